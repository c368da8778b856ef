"""What every network here keeps, as a check that runs on one's own too."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_face import backbones
from keras_face.backend import keras, tf
from keras_face.testing.expectation import expect


def check_backbone(name: str, image_size: Sequence[int] = (32, 32), embedding_size: int = 8) -> None:
    """Checks that a registered network keeps what the others keep.

    float32 embeddings of any batch, finite, in float32 and in bfloat16; a gradient for every trained variable; the same
    numbers again without training; a `.keras` file and a SavedModel that give what it gives.

    Args:
        name: Of `keras_face.backbones.names()`.
        image_size: (height, width), pixels.
        embedding_size: Numbers in an embedding.

    Raises: AssertionError that says what does not hold; ValueError if there is no such network.

    Examples:
        >>> keras_face.testing.check_backbone("sphereface4", (16, 16))  # no error: it keeps all
    """
    shape = (*image_size, 3)
    images = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    model = backbones.build(name, shape, embedding_size)
    with tf.GradientTape() as tape:
        embeddings = model(images, training=True)
        total = tf.reduce_sum(tf.square(embeddings))
    expect(embeddings.dtype == tf.float32, f"{name}: embeddings must be float32, got {embeddings.dtype.name}")
    variables = model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(total, variables), strict=True):
        expect(gradient is not None, f"{name}: {variable.name} gets no gradient")
        finite = np.isfinite(tf.convert_to_tensor(gradient)).all()
        expect(finite, f"{name}: the gradient of {variable.name} is not finite")
    found = model(images, training=False).numpy()
    expect(found.shape == (3, embedding_size), f"{name}: expected [3, {embedding_size}], got {list(found.shape)}")
    expect(np.isfinite(found).all(), f"{name}: embeddings are not finite")
    np.testing.assert_array_equal(model(images, training=False), found, f"{name}: not the same numbers again")
    np.testing.assert_allclose(model(images[:1]), found[:1], rtol=1e-4, atol=1e-5, err_msg=f"{name}: of one image")
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, "model.keras"))
        again = keras.models.load_model(Path(folder, "model.keras"))
        np.testing.assert_array_equal(again(images, training=False), found, f"{name}: of its .keras file")
        module = tf.Module()
        module.variables_of_model = list(model.variables)
        module.embed = tf.function(lambda batch: model(batch, training=False), [tf.TensorSpec([None, *shape])])
        tf.saved_model.save(module, folder)
        served = tf.saved_model.load(folder)
        what = f"{name}: of its SavedModel"
        np.testing.assert_allclose(served.embed(images), found, rtol=1e-4, atol=1e-5, err_msg=what)
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        rounded = backbones.build(name, shape, embedding_size)(images, training=False)
    finally:
        keras.mixed_precision.set_global_policy(before)
    expect(rounded.dtype == tf.float32, f"{name}: embeddings must be float32 in bfloat16 too, got {rounded.dtype.name}")
    expect(np.isfinite(rounded).all(), f"{name}: embeddings in bfloat16 are not finite")
