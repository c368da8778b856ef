"""What every loss and network here keeps, as checks that run on one's own too.

    keras_face.testing.check_loss("my_loss")
    keras_face.testing.check_backbone("my_network")

The project's own conformance suite is these checks over every registered loss, each with its formula in NumPy.
"""

from keras_face.testing.backbone_checks import check_backbone
from keras_face.testing.loss_case import IDENTITIES, LABELS, SEQUENCES, SIZE, Case, Oracle
from keras_face.testing.loss_checks import LOSS_CHECKS, check_loss

__all__ = [
    "IDENTITIES",
    "LABELS",
    "LOSS_CHECKS",
    "SEQUENCES",
    "SIZE",
    "Case",
    "Oracle",
    "check_backbone",
    "check_loss",
]
