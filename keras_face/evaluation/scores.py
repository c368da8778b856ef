"""Figures of verification from similarities. NumPy only; sees neither models nor photos.

One rule throughout: a pair is called genuine where its similarity is **greater than** the threshold; an equal one is
called impostor.
"""

from keras_face.evaluation.curves import Det, EqualError, Roc, auc, det, equal_error, roc
from keras_face.evaluation.folds import (
    RULES,
    FoldAccuracy,
    best_threshold,
    kfold_accuracy,
    mean_subtracted,
    right_decisions,
)
from keras_face.evaluation.intervals import Interval, bootstrap, clopper_pearson
from keras_face.evaluation.operating_points import FARS, OperatingPoint, TarAtFar, operating_points, tar_at_far

__all__ = [
    "FARS",
    "RULES",
    "Det",
    "EqualError",
    "FoldAccuracy",
    "Interval",
    "OperatingPoint",
    "Roc",
    "TarAtFar",
    "auc",
    "best_threshold",
    "bootstrap",
    "clopper_pearson",
    "det",
    "equal_error",
    "kfold_accuracy",
    "mean_subtracted",
    "operating_points",
    "right_decisions",
    "roc",
    "tar_at_far",
]
