"""Measures an embedder: photos to embeddings, a protocol's pairs to similarities, similarities to figures."""

from keras_face.measurement.embedders import GreyPixels
from keras_face.measurement.photos import embed_photos
from keras_face.measurement.sources import FeatureSource, PhotoSource, Source
from keras_face.measurement.tracks import YtfResult, measure_ytf
from keras_face.measurement.verification import measure_lfw

__all__ = [
    "FeatureSource",
    "GreyPixels",
    "PhotoSource",
    "Source",
    "YtfResult",
    "embed_photos",
    "measure_lfw",
    "measure_ytf",
]
