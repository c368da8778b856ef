"""Oracles of the classification heads."""

import numpy as np
from loss_cases import HEAD, Case, cosine

from keras_face import losses
from keras_face.backend import tf


def log_sum(values):
    return np.max(values) + np.log(np.sum(np.exp(np.array(values) - np.max(values))))


def cross_entropy(logits, label):
    return log_sum(logits) - (logits[label] if label >= 0 else np.mean(logits))


def cosines_of(embeddings, prototypes):
    return np.array([[cosine(embedding, prototype) for prototype in prototypes] for embedding in embeddings])


def plain_softmax(embeddings, labels, weights, held):
    logits = [[np.sum(embedding * prototype) for prototype in weights[0]] for embedding in embeddings]
    return np.array([cross_entropy(line, label) for line, label in zip(logits, labels, strict=True)])


def margin_softmax(target_function, scale=64.0, focal=0.0, scale_of=lambda embedding, prototype, weights: 1.0):
    """The head whose logits are scale * scale_of(...) * cosine, the own one target_function of the cosine."""

    def oracle(embeddings, labels, weights, held):
        result = []
        for embedding, label in zip(embeddings, labels, strict=True):
            logits = []
            for identity, prototype in enumerate(weights[0]):
                value = cosine(embedding, prototype)
                value = target_function(value) if identity == label else value
                logits.append(scale * scale_of(embedding, prototype, weights) * value)
            loss = cross_entropy(logits, label)
            result.append(loss * (1 - np.exp(-loss)) ** focal if label >= 0 else loss)
        return np.array(result)

    return oracle


def arc(value, margin=0.5):
    beyond_pi = np.arccos(value) + margin > np.pi
    return value - margin * np.sin(margin) if beyond_pi else np.cos(np.arccos(value) + margin)


def psi(multiplier, margin=0.0):
    """SphereFace's, by its pieces."""

    def target(value):
        widened = multiplier * np.arccos(value) + margin
        piece = int(widened // np.pi)
        return (-1) ** piece * np.cos(widened) - 2 * piece

    return target


def line(intercept, slope):
    return lambda value: intercept - slope * np.arccos(value)


def length(embedding, prototype, weights):
    return np.sqrt(np.sum(embedding**2))


def both_lengths(embedding, prototype, weights):
    return np.sqrt(np.sum(embedding**2) * np.sum(prototype**2))


def mixed(target_function, part):
    """(lambda cosine + target) / (1 + lambda), part = lambda."""
    return lambda value: (part * value + target_function(value)) / (1 + part)


def subcentre(embeddings, labels, weights, held):
    result = []
    for embedding, label in zip(embeddings, labels, strict=True):
        nearest = [max(cosine(embedding, each) for each in group) for group in weights[0].reshape(-1, 3, 6)]
        logits = [64.0 * (arc(value) if identity == label else value) for identity, value in enumerate(nearest)]
        result.append(cross_entropy(logits, label))
    return np.array(result)


def airface(embeddings, labels, weights, held):
    result = []
    for values, label in zip(cosines_of(embeddings, weights[0]), labels, strict=True):
        angles = [np.arccos(value) + 0.45 * (identity == label) for identity, value in enumerate(values)]
        result.append(cross_entropy([64.0 * (np.pi - 2 * angle) / np.pi for angle in angles], label))
    return np.array(result)


def adacos_scale(embeddings, labels, weights):
    values = cosines_of(embeddings, weights[0])
    sums, angles = [], []
    for i, label in enumerate(labels):
        if label >= 0:
            sums.append(sum(np.exp(weights[1] * values[i, j]) for j in range(len(weights[0])) if j != label))
            angles.append(np.arccos(values[i, label]))
    return np.log(np.mean(sums)) / np.cos(min(np.pi / 4, np.median(angles)))


def adacos(embeddings, labels, weights, held):
    logits = weights[1] * cosines_of(embeddings, weights[0])
    return np.array([cross_entropy(each, label) for each, label in zip(logits, labels, strict=True)])


def adacos_training(embeddings, labels, weights, held):
    return adacos(embeddings, labels, [weights[0], adacos_scale(embeddings, labels, weights)], held)


def curriculum(embeddings, labels, weights):
    own = [
        values[label] for values, label in zip(cosines_of(embeddings, weights[0]), labels, strict=True) if label >= 0
    ]
    return 0.01 * np.mean(own) + 0.99 * weights[1]


def curricularface(embeddings, labels, weights, held):
    result = []
    for values, label in zip(cosines_of(embeddings, weights[0]), labels, strict=True):
        logits = 64.0 * values
        for identity, value in enumerate(values):
            if label >= 0 and identity != label and value > np.cos(np.arccos(values[label]) + 0.5):
                logits[identity] = 64.0 * value * (weights[1] + value)
        if label >= 0:
            logits[label] = 64.0 * arc(values[label])
        result.append(cross_entropy(logits, label))
    return np.array(result)


def curricularface_training(embeddings, labels, weights, held):
    return curricularface(embeddings, labels, [weights[0], curriculum(embeddings, labels, weights)], held)


def adaface_statistics(embeddings, labels, weights):
    lengths = np.clip([np.sqrt(np.sum(embedding**2)) for embedding in embeddings], 1e-3, 100)
    return [
        weights[0],
        0.01 * np.mean(lengths) + 0.99 * weights[1],
        0.01 * np.std(lengths, ddof=1) + 0.99 * weights[2],
    ]


def adaface(embeddings, labels, weights, held):
    result = []
    for i, (values, label) in enumerate(zip(cosines_of(embeddings, weights[0]), labels, strict=True)):
        logits = 64.0 * values
        if label >= 0:
            norm = np.clip(np.sqrt(np.sum(held[0][i] ** 2)), 1e-3, 100)
            quality = np.clip(0.333 * (norm - weights[1]) / (weights[2] + 1e-3), -1, 1)
            angle = np.clip(np.arccos(values[label]) - 0.4 * quality, 0, np.pi)
            logits[label] = 64.0 * (np.cos(angle) - 0.4 * (1 + quality))
        result.append(cross_entropy(logits, label))
    return np.array(result)


def adaface_training(embeddings, labels, weights, held):
    return adaface(embeddings, labels, adaface_statistics(embeddings, labels, weights), held)


def magface(embeddings, labels, weights, held):
    # lower_length 1, upper_length 3, so that the lengths of the test are below, between and above.
    result = []
    for embedding, values, label in zip(embeddings, cosines_of(embeddings, weights[0]), labels, strict=True):
        clipped = np.clip(np.sqrt(np.sum(embedding**2)), 1, 3)
        logits = 64.0 * values
        if label >= 0 and values[label] > 0:
            logits[label] = 64.0 * arc(values[label], 0.45 + 0.35 * (clipped - 1) / 2)
        result.append(cross_entropy(logits, label) + 35 * (clipped / 9 + 1 / clipped))
    return np.array(result)


def elastic(form, margin, deviation, ranked):
    def measuring(embeddings, labels, weights, held):
        target = arc if form == "arc" else lambda value, margin: value - margin
        return margin_softmax(lambda value: target(value, margin))(embeddings, labels, weights, held)

    def training(embeddings, labels, weights, held):
        # The draws by the same generator; how they are ranked and used by another road.
        margins = tf.random.stateless_normal([len(labels)], [0, int(weights[1])], margin, deviation).numpy()
        if ranked:
            values = cosines_of(embeddings, weights[0])
            known = [i for i, label in enumerate(labels) if label >= 0]
            ordered = sorted(margins[: len(known)])
            for k, example in enumerate(sorted(known, key=lambda i: -values[i, labels[i]])):
                margins[example] = ordered[k]
        rows = []
        for i, (values, label) in enumerate(zip(cosines_of(embeddings, weights[0]), labels, strict=True)):
            logits = 64.0 * values
            if label >= 0:
                own = values[label]
                logits[label] = 64.0 * (arc(own, margins[i]) if form == "arc" else own - margins[i])
            rows.append(cross_entropy(logits, label))
        return np.array(rows)

    def state(embeddings, labels, weights):
        return [weights[0], weights[1] + 1]

    return {"oracle": measuring, "training_oracle": training, "state_oracle": state, "weights": with_state(3)}


def class_circle(embeddings, labels, weights, held):
    result = []
    values, constants = cosines_of(embeddings, weights[0]), cosines_of(held[0], held[1][0])
    for i, label in enumerate(labels):
        logits = []
        for j, value in enumerate(values[i]):
            if j == label:
                logits.append(256 * max(0, 1.25 - constants[i, j]) * (value - 0.75))
            else:
                logits.append(256 * max(0, constants[i, j] + 0.25) * (value - 0.25))
        result.append(cross_entropy(logits, label))
    return np.array(result)


def softplus(value):
    return np.logaddexp(0.0, value)


def sphereface2(embeddings, labels, weights, held):
    result = []
    values, constants = cosines_of(embeddings, weights[0]), cosines_of(held[0], held[1][0])
    for i, label in enumerate(labels):
        loss = 0.0
        for j, value in enumerate(values[i]):
            # Valued as the similarity, differentiated as the cosine.
            similar = 2 * ((constants[i, j] + 1) / 2) ** 3 - 1 + value - constants[i, j]
            if j == label:
                loss += 0.7 * softplus(-(40 * (similar - 0.4) + weights[1]))
            else:
                loss += 0.3 * softplus(40 * (similar + 0.4) + weights[1])
        result.append(50 / 40 * loss)
    return np.array(result)


def uniface(embeddings, labels, weights, held):
    result = []
    for values, label in zip(cosines_of(embeddings, weights[0]), labels, strict=True):
        loss = 0.0
        for j, value in enumerate(values):
            loss += softplus(weights[1] - 64 * (value - 0.4)) if j == label else softplus(64 * value - weights[1])
        result.append(loss)
    return np.array(result)


def unpg(embeddings, labels, weights, held):
    pairs, constants = [], []
    for i in range(len(labels)):
        for j in range(i):
            if labels[i] != labels[j] and (labels[i] >= 0 or labels[j] >= 0):
                pairs.append(cosine(embeddings[i], embeddings[j]))
                constants.append(cosine(held[0][i], held[0][j]))
    first, third = np.percentile(constants, [25, 75])
    reach = 0.5 * (third - first)
    kept = [4 * pair for pair, at in zip(pairs, constants, strict=True) if first - reach <= at <= third + reach]
    assert 0 < len(kept) < len(pairs)
    result = []
    for values, label in zip(cosines_of(embeddings, weights[0]), labels, strict=True):
        logits = list(4.0 * values)
        if label >= 0:
            logits[label] = 4.0 * arc(values[label])
            result.append(log_sum([*logits, *kept]) - logits[label])
        else:
            result.append(cross_entropy(logits, label))
    return np.array(result)


def with_state(*state):
    """Returns a maker of weights: normal prototypes, and this state behind them."""
    return lambda shapes: [np.random.default_rng(1).normal(size=shapes[0]), *(np.array(value) for value in state)]


def count(embeddings, labels, weights):
    return [weights[0], weights[1] + 1]


# After 7 steps, so at the eighth.
LAMBDA_8 = 1000 / (1 + 0.12 * 8)
COS_HALF = np.cos(0.5)
SLOPE = (1 + 2 * COS_HALF) / np.pi

CASES = {
    "softmax": Case(lambda: losses.get("softmax", **HEAD), plain_softmax),
    "norm_softmax": Case(lambda: losses.get("norm_softmax", **HEAD), margin_softmax(lambda value: value)),
    "cosface": Case(lambda: losses.get("cosface", **HEAD), margin_softmax(lambda value: value - 0.35)),
    "arcface": Case(lambda: losses.get("arcface", **HEAD), margin_softmax(arc)),
    "combined": Case(lambda: losses.get("combined", **HEAD), margin_softmax(lambda value: psi(1.0, 0.3)(value) - 0.2)),
    "combined, all three": Case(
        lambda: losses.get("combined", **HEAD, multiplier=1.35, angle_margin=0.5, cosine_margin=0.1),
        margin_softmax(lambda value: psi(1.35, 0.5)(value) - 0.1),
    ),
    "subcentre_arcface": Case(lambda: losses.get("subcentre_arcface", **HEAD), subcentre),
    "a_softmax": Case(
        lambda: losses.get("a_softmax", **HEAD),
        margin_softmax(mixed(psi(4), LAMBDA_8), 1.0, scale_of=length),
        weights=with_state(7),
        state_oracle=count,
    ),
    "a_softmax, annealed": Case(
        lambda: losses.get("a_softmax", **HEAD, multiplier=3.0),
        margin_softmax(mixed(psi(3), 5.0), 1.0, scale_of=length),
        weights=with_state(2000),
        state_oracle=count,
    ),
    "a_softmax, caffe": Case(
        lambda: losses.get("a_softmax", **HEAD, gradient="caffe"),
        margin_softmax(mixed(psi(4), LAMBDA_8), 1.0, scale_of=length),
        weights=with_state(7),
        state_oracle=count,
        differentiable=False,
    ),
    "a_softmax, caffe of 3, annealed": Case(
        lambda: losses.get("a_softmax", **HEAD, multiplier=3.0, gradient="caffe"),
        margin_softmax(mixed(psi(3), 5.0), 1.0, scale_of=length),
        weights=with_state(2000),
        state_oracle=count,
        differentiable=False,
    ),
    "a_softmax, caffe of 2, margin alone": Case(
        lambda: losses.get("a_softmax", **HEAD, multiplier=2.0, gradient="caffe", lambda_base=0.0, lambda_min=0.0),
        margin_softmax(psi(2), 1.0, scale_of=length),
        weights=with_state(0),
        state_oracle=count,
        differentiable=False,
    ),
    "a_softmax, caffe of 1": Case(
        # Without a margin the layer's backward pass is the true one.
        lambda: losses.get("a_softmax", **HEAD, multiplier=1.0, gradient="caffe"),
        margin_softmax(lambda value: value, 1.0, scale_of=length),
        weights=with_state(0),
        state_oracle=count,
    ),
    "l_softmax": Case(
        lambda: losses.get("l_softmax", **HEAD, multiplier=2.0, lambda_base=0.0, lambda_min=0.0),
        margin_softmax(psi(2), 1.0, scale_of=both_lengths),
        weights=with_state(0),
        state_oracle=count,
    ),
    "sphereface_r": Case(
        lambda: losses.get("sphereface_r", **HEAD), margin_softmax(psi(1.7), 30.0), differentiable=False
    ),
    "linear_phi": Case(lambda: losses.get("linear_phi", **HEAD), margin_softmax(line(COS_HALF, SLOPE), 16.0)),
    "linear_smooth": Case(lambda: losses.get("linear_smooth", **HEAD), margin_softmax(line(0.6, 0.7), 16.0)),
    "linear_large": Case(lambda: losses.get("linear_large", **HEAD), margin_softmax(line(0.5, SLOPE), 16.0)),
    "linear_quarter_pi": Case(
        lambda: losses.get("linear_quarter_pi", **HEAD), margin_softmax(line(np.sqrt(0.5), SLOPE), 16.0)
    ),
    "linear_slope": Case(lambda: losses.get("linear_slope", **HEAD), margin_softmax(line(1.0, SLOPE), 16.0)),
    "linear": Case(lambda: losses.get("linear", **HEAD), margin_softmax(line(1.0, 2 / np.pi), 16.0)),
    "li_arcface": Case(
        lambda: losses.get("li_arcface", **HEAD),
        margin_softmax(lambda value: (np.pi - 2 * (np.arccos(value) + 0.45)) / np.pi),
    ),
    "sine_phi": Case(
        lambda: losses.get("sine_phi", **HEAD), margin_softmax(lambda value: 1 - 3 * np.sin(np.arccos(value) / 2), 16.0)
    ),
    "log_phi": Case(
        lambda: losses.get("log_phi", **HEAD), margin_softmax(lambda value: 1 - np.log(np.arccos(value) + 1), 16.0)
    ),
    "arcface, focal": Case(lambda: losses.get("arcface", **HEAD, focal_gamma=2.0), margin_softmax(arc, focal=2.0)),
    "cosface, learned scale": Case(
        lambda: losses.get("cosface", **HEAD, scaling="learned", scale=30.0),
        margin_softmax(lambda value: value - 0.35, 1.0, scale_of=lambda e, p, weights: weights[1]),
        weights=with_state(12.0),
    ),
    "airface": Case(lambda: losses.get("airface", **HEAD), airface),
    "adacos": Case(
        lambda: losses.get("adacos", **HEAD),
        adacos,
        training_oracle=adacos_training,
        state_oracle=lambda e, labels, weights: [weights[0], adacos_scale(e, labels, weights)],
        weights=with_state(7.0),
    ),
    "curricularface": Case(
        lambda: losses.get("curricularface", **HEAD),
        curricularface,
        training_oracle=curricularface_training,
        state_oracle=lambda e, labels, weights: [weights[0], curriculum(e, labels, weights)],
        weights=with_state(0.3),
    ),
    "adaface": Case(
        lambda: losses.get("adaface", **HEAD),
        adaface,
        training_oracle=adaface_training,
        state_oracle=adaface_statistics,
        weights=with_state(2.3, 0.2),
    ),
    "magface": Case(lambda: losses.get("magface", **HEAD, lower_length=1.0, upper_length=3.0), magface),
    "elastic_arcface": Case(lambda: losses.get("elastic_arcface", **HEAD), **elastic("arc", 0.5, 0.05, False)),
    "elastic_arcface_plus": Case(
        lambda: losses.get("elastic_arcface_plus", **HEAD), **elastic("arc", 0.5, 0.0175, True)
    ),
    "elastic_cosface": Case(lambda: losses.get("elastic_cosface", **HEAD), **elastic("cos", 0.35, 0.05, False)),
    "elastic_cosface_plus": Case(
        lambda: losses.get("elastic_cosface_plus", **HEAD), **elastic("cos", 0.35, 0.02, True)
    ),
    "class_circle": Case(lambda: losses.get("class_circle", **HEAD), class_circle),
    "sphereface2": Case(lambda: losses.get("sphereface2", **HEAD), sphereface2, weights=with_state(-5.0)),
    "uniface": Case(lambda: losses.get("uniface", **HEAD), uniface, weights=with_state(3.0)),
    # At scale 64 the rounding of a cosine is 4e-6 in a logit, and so in the share of every pair.
    "unpg": Case(lambda: losses.get("unpg", **HEAD, whisker=0.5, scale=4.0), unpg),
}
