"""Losses and networks of one's own, by name."""

import numpy as np
import pytest

import keras_face
from keras_face import losses
from keras_face.backbones import registry as backbone_registry
from keras_face.backend import keras, tf
from keras_face.losses import registry

EMBEDDINGS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
LABELS = np.array([0, 1, 1, 0])


@pytest.fixture(autouse=True)
def register_as_it_was(monkeypatch):
    monkeypatch.setattr(registry, "LOSSES", dict(registry.LOSSES))
    for known in ("_BACKBONES", "_SOURCES"):
        monkeypatch.setattr(backbone_registry, known, dict(getattr(backbone_registry, known)))


def half_cosine():
    @losses.register("half_cosine", scale=2.0)
    class HalfCosine(losses.Margin):
        def __init__(self, offset: float = 0.5, gradient: str = "exact"):
            super().__init__(gradient)
            self.offset = offset

        def target(self, cosine):
            return 0.5 * cosine - self.offset

        def get_config(self):
            return super().get_config() | {"offset": self.offset}

    return HalfCosine


def test_a_margin_of_ones_own_makes_a_head_by_name():
    half_cosine()
    assert losses.names()[-1] == "half_cosine"
    assert losses.settings("half_cosine")["scale"] == 2.0
    head = losses.get("half_cosine", num_identities=2, offset=0.25)
    head.build((None, 3))
    prototypes = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], np.float32)
    head.prototypes.assign(prototypes)
    found = head(EMBEDDINGS, LABELS).numpy()
    for embedding, label, loss in zip(EMBEDDINGS, LABELS, found, strict=True):
        cosines = prototypes @ embedding / np.linalg.norm(embedding)
        logits = 2.0 * cosines
        logits[label] = 2.0 * (0.5 * cosines[label] - 0.25)
        assert loss == pytest.approx(np.log(np.exp(logits).sum()) - logits[label], rel=1e-5)


def test_a_layer_of_ones_own_is_told_the_number_of_identities_and_comes_back_from_a_keras_file(tmp_path):
    @losses.register("pull_to_zero")
    class PullToZero(keras.layers.Layer):
        def __init__(self, num_identities: int, power: float = 2.0, **layer_settings):
            super().__init__(**layer_settings)
            self.num_identities, self.power = num_identities, power

        def call(self, embeddings, labels, training=False):
            return tf.reduce_sum(tf.abs(embeddings) ** self.power, axis=1) / self.num_identities

        def get_config(self):
            return super().get_config() | {"num_identities": self.num_identities, "power": self.power}

    layer = losses.get("pull_to_zero", num_identities=2, power=1.0)
    np.testing.assert_allclose(layer(EMBEDDINGS, LABELS), np.abs(EMBEDDINGS).sum(axis=1) / 2, rtol=1e-6)
    backbone = keras.Sequential([keras.layers.Flatten(input_shape=(4, 4, 3)), keras.layers.Dense(3)])
    model = keras_face.FaceModel(backbone, {"pull": layer}, {"pull": 1.0})
    model.compile("sgd")
    images = np.arange(2 * 48, dtype=np.uint8).reshape(2, 4, 4, 3)
    model.fit(images, LABELS[:2], verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.loss_layers["pull"].power == 1.0
    np.testing.assert_array_equal(again(images), model(images))


def test_mistakes_in_a_loss_of_ones_own_are_named():
    with pytest.raises(ValueError, match="there is a loss 'arcface' already"):
        losses.register("arcface")
    with pytest.raises(ValueError, match="letters, digits and underscores, got 'my loss'"):
        losses.register("my loss")
    with pytest.raises(ValueError, match="must be a Margin or a Keras layer, got dict"):
        losses.register("mine")(dict)
    with pytest.raises(ValueError, match="call must take embeddings, labels and training; Dense lacks embeddings"):
        losses.register("mine")(keras.layers.Dense)
    with pytest.raises(ValueError, match="CosineMargin has no setting 'marign'"):
        losses.register("mine", marign=0.2)(losses.CosineMargin)
    assert "mine" not in losses.names()


def test_a_network_of_ones_own_is_built_by_name():
    @keras_face.backbones.register("flat")
    def flat(name, settings):
        images = keras.Input(settings.input_shape)
        embeddings = keras.layers.Dense(settings.embedding_size)(keras.layers.Flatten()(images))
        return keras.Model(images, embeddings, name=name)

    model = keras_face.backbones.build("flat", (16, 16, 3), 5)
    assert model.name == "flat"
    assert model.output_shape == (None, 5)
    assert "flat" in keras_face.backbones.names()
    assert keras_face.backbones.source("flat").place == __name__
    with pytest.raises(ValueError, match="there is a backbone 'flat' already"):
        keras_face.backbones.register("flat")


def test_a_network_that_gives_something_else_is_refused():
    @keras_face.backbones.register("wrong")
    def wrong(name, settings):
        images = keras.Input(settings.input_shape)
        return keras.Model(images, keras.layers.Flatten()(images), name=name)

    with pytest.raises(ValueError, match=r"backbone 'wrong' must give \[batch, 5\], got \[None, 768\]"):
        keras_face.backbones.build("wrong", (16, 16, 3), 5)


def test_a_loss_and_a_network_of_ones_own_can_be_checked_as_the_registered_ones_are():
    half_cosine()
    keras_face.testing.check_loss("half_cosine", settings={"scale": 2.0})

    @losses.register("untidy")
    class Untidy(keras.layers.Layer):
        def call(self, embeddings, labels, training=False):
            return tf.reduce_mean(embeddings)

    with pytest.raises(AssertionError, match=r"untidy: check_values: losses must be one per example, \[10\], got \[\]"):
        keras_face.testing.check_loss("untidy", label_range=None)
    keras_face.testing.check_backbone("sphereface4")


def test_a_formula_that_is_not_the_losss_is_found():
    half_cosine()

    def other(embeddings, labels, weights, held):
        return np.zeros(len(labels))

    with pytest.raises(AssertionError, match=r"(?s)half_cosine: check_values: .*Mismatched elements: 10 / 10"):
        keras_face.testing.check_loss("half_cosine", other)
