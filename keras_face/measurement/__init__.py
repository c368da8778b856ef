"""Measures an embedder: photos to embeddings, a protocol's pairs to similarities, similarities to figures."""

from keras_face.measurement.embedders import GreyPixels
from keras_face.measurement.photos import embed_photos
from keras_face.measurement.sources import FeatureSource, PhotoSource, Source

__all__ = [
    "FeatureSource",
    "GreyPixels",
    "PhotoSource",
    "Source",
    "embed_photos",
]
