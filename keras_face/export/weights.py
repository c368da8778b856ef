"""From an exported model or a checkpoint to the weights of a backbone."""

import os
from pathlib import Path

from keras_face.backend import keras, tf
from keras_face.export.embedder import find_version


def load_weights(backbone: keras.Model, model_path: str | os.PathLike) -> str:
    """Sets all weights of a backbone, moving statistics included, from an export or a checkpoint.

    Args:
        backbone: Model of the same architecture and sizes.
        model_path: SavedModel folder, folder of numbered ones, run folder, or a training's checkpoint or their folder.

    Returns: The file prefix that was read.
    Raises: ValueError if nothing is found there, or what is there does not fit the backbone.
    """
    path = Path(model_path)
    try:
        prefix = os.fspath(find_version(path) / "variables" / "variables")
        root = tf.train.Checkpoint(weights_in_order=list(backbone.weights))
    except ValueError:
        folders = [path / "checkpoints", path]
        prefix = next(filter(None, map(tf.train.latest_checkpoint, folders)), None) or os.fspath(path)
        if not tf.io.gfile.glob(prefix + ".index"):
            raise ValueError(
                f"{path}: expected an exported model, a run's folder or a checkpoint, found none"
            ) from None
        root = tf.train.Checkpoint(model=tf.train.Checkpoint(backbone=backbone))
    try:
        root.read(prefix).assert_existing_objects_matched().expect_partial()
    except (ValueError, AssertionError, tf.errors.OpError) as error:
        reason = str(error).split("\n")[0]
        raise ValueError(f"{prefix}: expected the weights of this backbone ({backbone.name}): {reason}") from None
    return prefix
