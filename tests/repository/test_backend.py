import os
import subprocess
import sys

import pytest

from keras_face import backend


def run(code, **environment):
    variables = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=variables | environment
    )


def test_keras_is_keras_2():
    assert ".engine." in backend.keras.Model.__module__
    assert backend.tf.keras.Model is backend.keras.Model


def test_keras_3_is_refused_with_what_to_do():
    done = run("import keras_face.backend", TF_USE_LEGACY_KERAS="0")
    assert done.returncode != 0
    assert "keras_face needs Keras 2" in done.stderr.splitlines()[-1]
    assert "TF_USE_LEGACY_KERAS" in done.stderr.splitlines()[-1]


def test_tensorflow_may_be_imported_before_keras_face_and_keras_used_after():
    done = run("import tensorflow as tf; import keras_face; keras_face.losses; print(tf.keras.Model.__module__)")
    assert ".engine." in done.stdout, done.stderr


@pytest.mark.skipif(
    tuple(map(int, backend.tf.__version__.split(".")[:2])) < (2, 16), reason="TensorFlow 2.15's own Keras is Keras 2"
)
def test_keras_used_before_keras_face_is_an_error_that_says_so():
    done = run("import tensorflow as tf; tf.keras.Model; import keras_face; keras_face.losses")
    message = done.stderr.splitlines()[-1]
    assert "ImportError: keras_face needs Keras 2, but tf.keras is Keras 3" in message
    assert "import keras_face first" in message


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tensorflow-addons has wheels up to Python 3.11")
def test_addons_work_beside_this_tensorflow():
    tf = backend.tf
    variable = tf.Variable([1.0, -1.0])
    optimizer = backend.addons().optimizers.LAMB(0.1)
    optimizer.apply_gradients([(tf.constant([1.0, 1.0]), variable)])
    assert float(variable[0]) < 1.0
    rotated = backend.addons().image.rotate(tf.reshape(tf.range(4.0), [1, 2, 2, 1]), 3.14159265)
    assert rotated.numpy().ravel().tolist() == [3.0, 2.0, 1.0, 0.0]
