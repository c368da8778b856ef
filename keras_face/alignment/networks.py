"""The three networks of MTCNN, from the `mtcnn` package."""

import importlib.resources
from collections.abc import Callable
from typing import NamedTuple

from keras_face.backend import keras, tf


class Networks(NamedTuple):
    """Functions of RGB in [0, 255], float32, of any number and, for `propose`, any size.

    Args:
        propose: Scaled photos [n, height, width, 3] to changes of cells [n, rows, columns, 4] and scores [n, rows,
            columns]; a cell is 12 x 12 pixels, the next is 2 pixels on.
        refine: Patches [n, 24, 24, 3] to changes of their boxes [n, 4] and scores [n].
        finish: Patches [n, 48, 48, 3] to changes [n, 4], landmarks [n, 10] as x, ..., y, ... and scores [n].
    """

    propose: Callable
    refine: Callable
    finish: Callable


def load_networks() -> Networks:
    """Returns the networks with the weights that the `mtcnn` package has."""
    from mtcnn.stages import StageONet, StagePNet, StageRNet  # imports TensorFlow: after the backend has chosen Keras

    weights = importlib.resources.files("mtcnn.assets.weights")
    # The whole path: a bare name is looked for in the working folder first.
    propose, refine, finish = (
        stage(weights=str(weights / name)).model
        for stage, name in ((StagePNet, "pnet.lz4"), (StageRNet, "rnet.lz4"), (StageONet, "onet.lz4"))
    )
    return Networks(_function(propose, None), _function(refine, 24), _function(finish, 48))


def _function(model: keras.Model, side: int | None) -> Callable:
    @tf.function(input_signature=[tf.TensorSpec([None, side, side, 3], tf.float32)])
    def results(pixels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        *values, scores = model((pixels - 127.5) / 128)
        return (*values, scores[..., 1])

    return results
