"""Embeddings and similarities that were computed before: read, checked and written."""

from keras_face.evaluation.features.embeddings import Features, replace_noisy
from keras_face.evaluation.features.files import read_features, write_features
from keras_face.evaluation.features.megaface import (
    megaface_blocks,
    read_matrix,
    read_megaface_features,
    write_matrix,
    write_megaface_features,
)
from keras_face.evaluation.features.score_files import Scores, read_scores, write_scores

__all__ = [
    "Features",
    "Scores",
    "megaface_blocks",
    "read_features",
    "read_matrix",
    "read_megaface_features",
    "read_scores",
    "replace_noisy",
    "write_features",
    "write_matrix",
    "write_megaface_features",
    "write_scores",
]
