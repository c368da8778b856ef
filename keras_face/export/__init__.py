"""A trained backbone becomes a SavedModel that TF Serving loads, and a SavedModel an embedder."""

from keras_face.export.embedder import FACTS, Embedder, EmbedderLike, find_version, load_embedder, write_thresholds
from keras_face.export.served_model import ServedModel, export_model
from keras_face.export.warm_up import WARM_UP
from keras_face.export.weights import exported_weights, load_weights, newest_checkpoint

__all__ = [
    "FACTS",
    "WARM_UP",
    "Embedder",
    "EmbedderLike",
    "ServedModel",
    "export_model",
    "exported_weights",
    "find_version",
    "load_embedder",
    "load_weights",
    "newest_checkpoint",
    "write_thresholds",
]
