"""Networks from standardised face crops to embeddings, and one back."""

from keras_face.backbones.decoder import decoder
from keras_face.backbones.registry import Source, build, check, names, register, source
from keras_face.backbones.settings import Settings

__all__ = ["Settings", "Source", "build", "check", "decoder", "names", "register", "source"]
