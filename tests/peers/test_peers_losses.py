"""Losses and their gradients beside PyTorch's automatic ones, of definitions written from the papers' equations."""

import math

import numpy as np
import pytest

from keras_face import losses
from keras_face.backend import keras, tf

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
pytestmark = pytest.mark.peers

BATCH, SIZE, PEOPLE, SCALE = 12, 8, 6, 16.0
generator = np.random.default_rng(0)
EMBEDDINGS, PROTOTYPES = 15 * generator.normal(size=(BATCH, SIZE)), generator.normal(size=(PEOPLE, SIZE))
LABELS = generator.integers(0, PEOPLE, BATCH)


def cosines(embeddings, prototypes):
    return torch.nn.functional.normalize(embeddings) @ torch.nn.functional.normalize(prototypes).T


def margined(cosine, own):
    return torch.nn.functional.cross_entropy(
        SCALE * torch.where(torch.nn.functional.one_hot(torch.tensor(LABELS), PEOPLE) > 0, own, cosine),
        torch.tensor(LABELS),
    )


def softmax(embeddings, prototypes):
    return torch.nn.functional.cross_entropy(embeddings @ prototypes.T, torch.tensor(LABELS))


def cosface(embeddings, prototypes):
    cosine = cosines(embeddings, prototypes)
    return margined(cosine, cosine - 0.35)


def arcface(embeddings, prototypes):
    cosine = cosines(embeddings, prototypes)
    return margined(cosine, torch.where(cosine > math.cos(math.pi - 0.5), (cosine.acos() + 0.5).cos(),
                                        cosine - 0.5 * math.sin(0.5)))  # fmt: skip


def arcface_without_a_gradient_of_the_margin(embeddings, prototypes):
    cosine = cosines(embeddings, prototypes)
    own = cosine + ((cosine.acos() + 0.5).cos() - cosine).detach()
    return margined(cosine, own)


def combined(embeddings, prototypes):
    cosine = cosines(embeddings, prototypes)
    widened = cosine.acos() + 0.3
    own = torch.where(widened <= math.pi, widened.cos(), -widened.cos() - 2) - 0.2
    return margined(cosine, own)


def adaface(embeddings, prototypes):
    cosine, lengths = cosines(embeddings, prototypes), embeddings.detach().norm(dim=1).clip(1e-3, 100)
    mean, deviation = 0.01 * lengths.mean() + 0.99 * 20, 0.01 * lengths.std() + 0.99 * 100
    quality = (0.333 * (lengths - mean) / (deviation + 1e-3)).clip(-1, 1)[:, None]
    return margined(cosine, (cosine.acos() - 0.4 * quality).clip(0, math.pi).cos() - 0.4 * (1 + quality))


def magface(embeddings, prototypes):
    cosine, lengths = cosines(embeddings, prototypes), embeddings.norm(dim=1).clip(10, 110)
    margins = (0.45 + (0.8 - 0.45) / 100 * (lengths - 10))[:, None]
    own = torch.where(cosine > 0, (cosine.acos() + margins).cos(), cosine)
    return margined(cosine, own) + 35 * (lengths / 110**2 + 1 / lengths).mean()


CASES = {
    "softmax": (softmax, {}),
    "cosface": (cosface, {"scale": SCALE}),
    "arcface": (arcface, {"scale": SCALE}),
    "arcface, detached": (
        arcface_without_a_gradient_of_the_margin,
        {"scale": SCALE, "gradient": "detached", "beyond_pi": "none"},
    ),
    "combined": (combined, {"scale": SCALE}),
    "adaface": (adaface, {"scale": SCALE}),
    "magface": (magface, {"scale": SCALE}),
}


@pytest.mark.parametrize("case", list(CASES))
def test_a_loss_and_its_gradients_are_those_of_torch(case):
    theirs, settings = CASES[case]
    layer = losses.get(case.split(",")[0], num_identities=PEOPLE, **settings)
    layer.build((None, SIZE))
    layer.prototypes.assign(PROTOTYPES)
    embeddings = tf.constant(EMBEDDINGS, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        ours = tf.reduce_mean(layer(embeddings, LABELS, training=True))
    found = tape.gradient(ours, [embeddings, layer.prototypes])
    inputs = [torch.tensor(values, requires_grad=True) for values in (EMBEDDINGS, PROTOTYPES)]
    loss = theirs(*inputs)
    loss.backward()
    assert float(ours) == pytest.approx(loss.item(), rel=1e-5)
    for mine, variable in zip(found, inputs, strict=True):
        expected = variable.grad.numpy()
        np.testing.assert_allclose(tf.convert_to_tensor(mine), expected, atol=1e-4 * np.abs(expected).max())


def test_a_triplet_with_a_margin_is_torchs():
    keras.utils.set_random_seed(0)
    rows = torch.nn.functional.normalize(torch.tensor(generator.normal(size=(4, SIZE))))
    labels = np.array([0, 0, 1, 1])
    layer = losses.get("batch_hard_triplet", margin=0.3)
    apart = torch.cdist(rows, rows)
    theirs = [
        torch.nn.functional.triplet_margin_loss(
            rows[a : a + 1], rows[p : p + 1], rows[n : n + 1], margin=0.3, eps=0
        ).item()
        for a, p, n in ((a, a ^ 1, min((b for b in range(4) if b // 2 != a // 2), key=lambda b: apart[a, b].item()))
                        for a in range(4))
    ]  # fmt: skip
    np.testing.assert_allclose(layer(tf.constant(rows.numpy(), tf.float32), labels), theirs, rtol=1e-5)
