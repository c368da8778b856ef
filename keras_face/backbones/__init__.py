"""Networks from standardised face crops to embeddings, and one back."""

from keras_face.backbones.decoder import decoder
from keras_face.backbones.registry import build, names, source

__all__ = ["build", "decoder", "names", "source"]
