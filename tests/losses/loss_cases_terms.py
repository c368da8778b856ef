"""Oracles of the terms that go beside a head: centres, sequences, distillation."""

import numpy as np
from loss_cases import HEAD, IDENTITIES, SIZE, Case, cosine, unit

from keras_face import losses
from keras_face.backend import tf


def angular_centre(embeddings, labels, weights, held):
    pairs = zip(embeddings, labels, strict=True)
    return np.array([64.0 * (1 - cosine(each, weights[0][label])) if label >= 0 else 0.0 for each, label in pairs])


def margin_loss(embeddings, labels, weights, held):
    result = []
    for embedding, label in zip(embeddings, labels, strict=True):
        cosines = [cosine(embedding, prototype) for prototype in weights[0]]
        others = [value for identity, value in enumerate(cosines) if identity != label]
        result.append(2.0 - (cosines[label] - max(others)) if label >= 0 else 0.0)
    return np.array(result)


# Centres move by the embeddings they meet, and a float16 gradient is to hold their distance to the next ones.
LARGEST_BESIDE_CENTRES = 1e6


def as_it_is(vector):
    return vector


def centre_loss(placed):
    def oracle(embeddings, labels, weights, held):
        pairs = zip(embeddings, labels, strict=True)
        return np.array(
            [np.sum((placed(each) - weights[0][label]) ** 2) / 2 if label >= 0 else 0.0 for each, label in pairs]
        )

    return oracle


def moved_centres(placed):
    def oracle(embeddings, labels, weights):
        centres = weights[0].copy()
        for identity in range(IDENTITIES):
            own = [placed(each) for each, label in zip(embeddings, labels, strict=True) if label == identity]
            centres[identity] -= (
                0.5 * sum((weights[0][identity] - each for each in own), np.zeros(SIZE)) / (1 + len(own))
            )
        return [centres]

    return oracle


def row_of(label):
    return label if label >= 0 else IDENTITIES - 1 - label


def quarter_square(first, second):
    return np.sum(((first - second) / 2) ** 2)


def sequence_agents(placed, draw):
    def oracle(embeddings, labels, weights, held):
        agents = [placed(agent) for agent in weights[0]]
        drawn = draw(weights)
        result = []
        for embedding, label in zip(embeddings, labels, strict=True):
            embedding = placed(embedding)
            own = quarter_square(embedding, agents[row_of(label)])
            push = 0.0
            for row in drawn:
                if row != row_of(label) and (label >= 0 or row < IDENTITIES):
                    push += max(0.0, 2.0 * own - quarter_square(embedding, agents[row]) + 1.0)
            result.append(0.5 * own + 0.5 * push / len(drawn))
        return np.array(result)

    return oracle


def all_agents(weights):
    return range(len(weights[0]))


def drawn_agents(weights):
    """The half of the agents that has the highest random numbers of this step."""
    keys = tf.random.stateless_uniform([len(weights[0])], [7, int(weights[1])], alg="philox").numpy()
    return np.argsort(keys)[-4:]


def moved_agents(placed):
    def oracle(embeddings, labels, weights):
        agents = weights[0].copy()
        for row in range(len(agents)):
            own = [placed(each) for each, label in zip(embeddings, labels, strict=True) if row_of(label) == row]
            if own:
                agent = placed(agents[row])
                gradient = -sum((each - agent) / 2 for each in own) / (len(own) + 1)
                agents[row] = placed(agent - 0.1 * gradient)
        return [agents, weights[1] + 1]

    return oracle


def agents_case(placed, huge, **settings):
    return Case(
        lambda: losses.get("sequence_agents", **HEAD, dropout_ratio=0.5, seed=7, **settings),
        sequence_agents(placed, all_agents),
        weights=lambda shapes: [np.random.default_rng(4).normal(size=shapes[0]), np.array(3)],
        training_oracle=sequence_agents(placed, drawn_agents),
        state_oracle=moved_agents(placed),
        huge=huge,
    )


TO_TEACHER = np.random.default_rng(5).normal(size=(SIZE, SIZE - 1))


def teacher_of(embeddings):
    """A teacher that sees what the student sees; IDENTITIES numbers for each example, embedding or logits."""
    return np.tanh(embeddings @ TO_TEACHER)


def call_with_teacher(size):
    def call(layer, embeddings, labels, training):
        teacher = tf.tanh(tf.matmul(tf.cast(embeddings, tf.float32), tf.constant(TO_TEACHER, tf.float32)))
        teacher = tf.pad(teacher, [[0, 0], [0, size - (SIZE - 1)]], constant_values=0.5)
        return layer(embeddings, labels, training=training, teacher=teacher)

    return call


def cosine_distillation(embeddings, labels, weights, held):
    teacher = np.pad(teacher_of(held[0]), [[0, 0], [0, 1]], constant_values=0.5)
    return np.array([1 - cosine(*pair) for pair in zip(embeddings, teacher, strict=True)])


def softmax(logits):
    return np.exp(logits) / np.sum(np.exp(logits))


def logit_distillation(embeddings, labels, weights, held):
    result = []
    for embedding, logits in zip(embeddings, teacher_of(held[0]), strict=True):
        student = softmax(np.array([16.0 * cosine(embedding, prototype) / 4.0 for prototype in weights[0]]))
        teacher = softmax(logits / 4.0)
        result.append(16.0 * sum(teacher * np.log(teacher / student)))
    return np.array(result)


def relational_distillation(placed, distance_weight=1.0, angle_weight=0.0):
    def relative_distances(vectors):
        vectors = [placed(vector) for vector in vectors]
        distances = np.array([[np.sqrt(np.sum((one - other) ** 2)) for other in vectors] for one in vectors])
        return distances / np.mean([distances[i, j] for i, j in np.ndindex(distances.shape) if i != j])

    def angle_cosines(vectors):
        vectors, cosines = [placed(vector) for vector in vectors], {}
        for i, vertex in enumerate(vectors):
            directions = {j: unit(other - vertex) for j, other in enumerate(vectors) if j != i}
            for j, one in directions.items():
                cosines |= {(i, j, k): np.sum(one * other) for k, other in directions.items() if k != j}
        return cosines

    def huber(apart):
        return apart**2 / 2 if abs(apart) <= 1 else abs(apart) - 0.5

    def oracle(embeddings, labels, weights, held):
        result, others = np.zeros(len(embeddings)), len(embeddings) - 1
        if distance_weight:
            student, teacher = relative_distances(embeddings), relative_distances(teacher_of(held[0]))
            for i, j in np.ndindex(student.shape):
                result[i] += distance_weight * huber(student[i, j] - teacher[i, j]) / others
        if angle_weight:
            student, teacher = angle_cosines(embeddings), angle_cosines(teacher_of(held[0]))
            for triple, cosine_of_student in student.items():
                share = huber(cosine_of_student - teacher[triple]) / (others * (others - 1))
                result[triple[0]] += angle_weight * share
        return result

    return oracle


CASES = {
    "angular_centre": Case(
        lambda: losses.get("angular_centre", head=losses.get("arcface", **HEAD)),
        angular_centre,
    ),
    "margin_loss": Case(lambda: losses.get("margin_loss", **HEAD), margin_loss),
    "centre_loss": Case(
        lambda: losses.get("centre_loss", **HEAD),
        centre_loss(as_it_is),
        state_oracle=moved_centres(as_it_is),
        huge=LARGEST_BESIDE_CENTRES,
    ),
    "centre_loss of unit embeddings": Case(
        lambda: losses.get("centre_loss", **HEAD, normalise=True), centre_loss(unit), state_oracle=moved_centres(unit)
    ),
    "sequence_agents": agents_case(as_it_is, LARGEST_BESIDE_CENTRES),
    "sequence_agents of one length": agents_case(lambda vector: 2.0 * unit(vector), 1e30, scale=2.0),
    "cosine_distillation": Case(
        lambda: losses.get("cosine_distillation"),
        cosine_distillation,
        label_range=None,
        call=call_with_teacher(SIZE),
    ),
    "logit_distillation": Case(
        # The gradient is up to scale * temperature / length of the embedding, which a float16 is to hold.
        lambda: losses.get("logit_distillation", head=losses.get("arcface", **HEAD), scale=16.0),
        logit_distillation,
        label_range=None,
        call=call_with_teacher(IDENTITIES),
    ),
    "relational_distillation": Case(
        lambda: losses.get("relational_distillation"),
        relational_distillation(unit),
        label_range=None,
        call=call_with_teacher(SIZE - 1),
    ),
    "relational_distillation of any lengths": Case(
        lambda: losses.get("relational_distillation", normalise=False),
        relational_distillation(as_it_is),
        label_range=None,
        huge=1e15,
        call=call_with_teacher(SIZE - 1),
    ),
    "relational_distillation with angles": Case(
        lambda: losses.get("relational_distillation", distance_weight=0.5, angle_weight=3.0),
        relational_distillation(unit, 0.5, 3.0),
        label_range=None,
        call=call_with_teacher(SIZE - 1),
    ),
    "relational_distillation, angles of any lengths": Case(
        lambda: losses.get("relational_distillation", normalise=False, distance_weight=0.0, angle_weight=1.0),
        relational_distillation(as_it_is, 0.0, 1.0),
        label_range=None,
        huge=1e15,
        call=call_with_teacher(SIZE - 1),
    ),
}
