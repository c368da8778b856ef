"""Figures and their intervals, from who is compared with whom and the scores: NumPy alone, and never a model."""

from keras_face.evaluation.arrays import verify_pairs, verify_people
from keras_face.evaluation.features import read_features, write_features
from keras_face.evaluation.protocols import Pairs, read_pairs
from keras_face.evaluation.result_files import write_results
from keras_face.evaluation.results import Measured, verify
from keras_face.evaluation.tables import table

__all__ = [
    "Measured",
    "Pairs",
    "read_features",
    "read_pairs",
    "table",
    "verify",
    "verify_pairs",
    "verify_people",
    "write_features",
    "write_results",
]
