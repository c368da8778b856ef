"""Networks from standardised face crops to embeddings."""

from keras_face.backbones.registry import build, names

__all__ = ["build", "names"]
