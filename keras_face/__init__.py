"""Trains, measures, exports and uses face embeddings, with TensorFlow 2 and Keras 2.

Every loss of the field is a Keras layer in `keras_face.losses`, every network a Keras model in `keras_face.backbones`;
`keras_face.train(keras_face.load_config("config.ini"))` makes a SavedModel of photos, and
`keras_face.load_embedder("output/run")` embeddings of a SavedModel. What is named here is imported when it is first
used; importing sets the one environment variable that chooses Keras 2, so it comes before the first use of `tf.keras`.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_face import alignment, backbones, evaluation, losses, records, testing
    from keras_face.config import load as load_config
    from keras_face.export import load_embedder
    from keras_face.records.dataset import open_dataset as open_records
    from keras_face.training.model import FaceModel
    from keras_face.training.run import train

__version__ = "0.2.0"

# TensorFlow takes Keras from the tf-keras package, which is Keras 2, where this is set before `tf.keras` is used.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

_MODULES = ("alignment", "backbones", "evaluation", "losses", "records", "testing")
_NAMES = {
    "FaceModel": ("keras_face.training.model", "FaceModel"),
    "load_config": ("keras_face.config", "load"),
    "load_embedder": ("keras_face.export", "load_embedder"),
    "open_records": ("keras_face.records.dataset", "open_dataset"),
    "train": ("keras_face.training.run", "train"),
}
__all__ = [
    "FaceModel",
    "__version__",
    "alignment",
    "backbones",
    "evaluation",
    "load_config",
    "load_embedder",
    "losses",
    "open_records",
    "records",
    "testing",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        module, attribute = _NAMES[name]
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
