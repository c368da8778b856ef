"""The losses, by name: `get("arcface", num_identities=1000, margin=0.4)`; docs/losses.md shows them all.

A loss is a Keras layer, `layer(embeddings, labels, training=False)` -> float32 [batch]: one loss per example, neither
averaged nor weighted. It gives the same numbers on one device and on several. A new loss is one entry in
`keras_face.losses.entries`; the conformance suite then tests it. One of one's own joins by `register`.
"""

from keras_face.losses.adaptive import AdaCos, AdaFace, CurricularFace
from keras_face.losses.angular_margins import (
    CombinedMargin,
    LinearMargin,
    LogarithmMargin,
    MultipliedMargin,
    SineMargin,
)
from keras_face.losses.annealed import AnnealedSoftmax
from keras_face.losses.batch_all import BatchAllTriplet
from keras_face.losses.binary import SphereFace2, UniFace
from keras_face.losses.centre import AngularCentre
from keras_face.losses.centres import CentreLoss
from keras_face.losses.distillation import CosineDistillation, LogitDistillation, RelationalDistillation
from keras_face.losses.elastic import ElasticFace
from keras_face.losses.hardnet import HardNet
from keras_face.losses.magnitude import MagFace
from keras_face.losses.margin_loss import MarginLoss
from keras_face.losses.margins import ArcMargin, CosineMargin, Margin, NoMargin, Principles
from keras_face.losses.pairs import MultiSimilarity, NPair, PairCircle
from keras_face.losses.prototypes import HeadOutput, PrototypeHead
from keras_face.losses.registry import check, get, names, register, settings
from keras_face.losses.relative_distance import RelativeDistance
from keras_face.losses.reshaped import AirFace, ClassCircle
from keras_face.losses.semi_hard import SemiHardTriplet
from keras_face.losses.sequence import SequenceAgents
from keras_face.losses.softmax import MarginSoftmax, Softmax
from keras_face.losses.sub_centres import dropped
from keras_face.losses.teacher import mask_gradient, teacher_mask
from keras_face.losses.triplet import AngularTriplet, BatchHardTriplet, SoftMarginTriplet, TripletOutput
from keras_face.losses.unified import UnifiedNegatives

__all__ = [
    "AdaCos",
    "AdaFace",
    "AirFace",
    "AngularCentre",
    "AngularTriplet",
    "AnnealedSoftmax",
    "ArcMargin",
    "BatchAllTriplet",
    "BatchHardTriplet",
    "CentreLoss",
    "ClassCircle",
    "CombinedMargin",
    "CosineDistillation",
    "CosineMargin",
    "CurricularFace",
    "ElasticFace",
    "HardNet",
    "HeadOutput",
    "LinearMargin",
    "LogarithmMargin",
    "LogitDistillation",
    "MagFace",
    "Margin",
    "MarginLoss",
    "MarginSoftmax",
    "MultiSimilarity",
    "MultipliedMargin",
    "NPair",
    "NoMargin",
    "PairCircle",
    "Principles",
    "PrototypeHead",
    "RelationalDistillation",
    "RelativeDistance",
    "SemiHardTriplet",
    "SequenceAgents",
    "SineMargin",
    "SoftMarginTriplet",
    "Softmax",
    "SphereFace2",
    "TripletOutput",
    "UniFace",
    "UnifiedNegatives",
    "check",
    "dropped",
    "get",
    "mask_gradient",
    "names",
    "register",
    "settings",
    "teacher_mask",
]
