"""The losses by name: what each name stands for."""

import dataclasses
import inspect
import math
from collections.abc import Iterable
from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.adaptive import AdaCos, AdaFace, CurricularFace
from keras_face.losses.angular_margins import (
    LINEAR_SLOPE,
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
from keras_face.losses.margins import ArcMargin, CosineMargin, Margin, NoMargin
from keras_face.losses.pairs import MultiSimilarity, NPair, PairCircle
from keras_face.losses.relative_distance import RelativeDistance
from keras_face.losses.reshaped import AirFace, ClassCircle
from keras_face.losses.semi_hard import SemiHardTriplet
from keras_face.losses.sequence import SequenceAgents
from keras_face.losses.softmax import MarginSoftmax, Softmax
from keras_face.losses.triplet import AngularTriplet, BatchHardTriplet, SoftMarginTriplet
from keras_face.losses.unified import UnifiedNegatives


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a name stands for.

    Attributes:
        layer: Class of the layer.
        formula: What is special about it, for docs/losses.md: t angle and c cosine with the own prototype, c_j the
            others, s scale, m margin; d distance to a, n, p: anchor, negative, positive; [x]+ = max(0, x).
        use: When to use it.
        margin: Class of the margin that it is made with, if it is a margin softmax.
        defaults: Defaults other than those of the two classes.
        source: Where it is from, if that is not the first reference of the margin, or of the layer without a margin.
    """

    layer: type[keras.layers.Layer]
    formula: str
    use: str
    margin: type[Margin] | None = None
    defaults: dict[str, Any] = dataclasses.field(default_factory=dict)
    source: str = ""

    def parameters(self) -> dict[str, Any]:
        """Returns the settings with their defaults; `inspect.Parameter.empty` for one that must be given."""
        found = parameters_of(self.layer)
        if self.margin:
            del found["margin"]
            found |= parameters_of(self.margin)
        return found | self.defaults

    def margin_settings(self, values: dict[str, Any]) -> dict[str, Any]:
        """Returns those of the settings that are the margin's."""
        return {key: value for key, value in values.items() if self.margin and key in parameters_of(self.margin)}


SOFTMAX_HEADS: dict[str, Entry] = {
    "softmax": Entry(Softmax, "logits x . w_j", "a baseline; pretraining"),
    "norm_softmax": Entry(MarginSoftmax, "s c", "a baseline with the scale of the others (NormFace)", NoMargin),
    "cosface": Entry(MarginSoftmax, "s (c - m)", "small or hard sets: the steadiest margin", CosineMargin),
    "arcface": Entry(MarginSoftmax, "s cos(t + m)", "the usual first choice on large sets", ArcMargin),
    "combined": Entry(MarginSoftmax, "s (cos(m1 t + m2) - m3)", "to trade the three margins", CombinedMargin),
    "subcentre_arcface": Entry(
        MarginSoftmax,
        "s cos(t + m), c_j the largest of K",
        "noisy labels; then drop the outliers and train again with K = 1",
        ArcMargin,
        {"sub_centres": 3},
        "Deng et al. 2020, Sub-center ArcFace, ECCV, equation 2",
    ),
    "a_softmax": Entry(
        AnnealedSoftmax,
        "|x| (lambda c + psi(t)) / (1 + lambda)",
        "SphereFace as published; gradient caffe: with its own backward pass",
        MultipliedMargin,
        {"initializer": "unit"},
    ),
    "l_softmax": Entry(
        AnnealedSoftmax,
        "|x| |w| (lambda c + psi(t)) / (1 + lambda)",
        "SphereFace's parent; prototypes of any length",
        MultipliedMargin,
        {"scaling": "inner_product"},
        "Liu et al. 2016, L-Softmax, https://arxiv.org/abs/1612.02295",
    ),
    "sphereface_r": Entry(
        MarginSoftmax,
        "s psi(t), backward s c",
        "SphereFace without annealing (opensphere)",
        MultipliedMargin,
        {"multiplier": 1.7, "gradient": "detached", "scale": 30.0},
        "Liu et al. 2022, SphereFace Revived, https://arxiv.org/abs/2109.05565; opensphere, sphereface.py",
    ),
    "linear_phi": Entry(
        MarginSoftmax, "s (cos 0.5 - (1 + 2 cos 0.5) t / pi)", "LATSE's default", LinearMargin, {"scale": 16.0}
    ),
    "linear_smooth": Entry(
        MarginSoftmax, "s (0.6 - 0.7 t)", "LATSE's smooth line", LinearMargin,
        {"intercept": 0.6, "slope": 0.7, "scale": 16.0},
    ),
    "linear_large": Entry(
        MarginSoftmax, "s (0.5 - 0.877 t)", "LATSE's larger margin", LinearMargin, {"intercept": 0.5, "scale": 16.0}
    ),
    "linear_quarter_pi": Entry(
        MarginSoftmax, "s (cos(pi / 4) - 0.877 t)", "LATSE's phi_large_linear", LinearMargin,
        {"intercept": math.cos(math.pi / 4), "scale": 16.0},
    ),
    "linear_slope": Entry(
        MarginSoftmax, "s (1 - 0.877 t)", "LATSE's lines of one's own intercept and slope", LinearMargin,
        {"intercept": 1.0, "slope": LINEAR_SLOPE, "scale": 16.0},
    ),
    "linear": Entry(
        MarginSoftmax, "s (1 - 2 t / pi)", "a line without a margin, to compare", LinearMargin,
        {"intercept": 1.0, "slope": 2.0 / math.pi, "scale": 16.0},
    ),
    "li_arcface": Entry(
        MarginSoftmax, "s (1 - 2 (t + 0.45) / pi)", "li-ArcFace's line beside plain cosines", LinearMargin,
        {"intercept": 1.0 - 0.9 / math.pi, "slope": 2.0 / math.pi, "scale": 64.0},
        "Li et al. 2019, AirFace, https://arxiv.org/abs/1907.12256",
    ),
    "sine_phi": Entry(
        MarginSoftmax, "s (1 - 3 sin(t / 2))", "LATSE's curve, to compare", SineMargin, {"scale": 16.0}
    ),
    "log_phi": Entry(
        MarginSoftmax, "s (1 - log(t + 1))", "LATSE's notebook, to compare", LogarithmMargin, {"scale": 16.0}
    ),
}  # fmt: skip
OTHER_HEADS: dict[str, Entry] = {
    "airface": Entry(AirFace, "s (1 - 2 (t + m) / pi), rivals s (1 - 2 t_j / pi)", "small networks (AirFace)"),
    "adacos": Entry(AdaCos, "s c, s from the angles of the batch", "no wish to choose a scale"),
    "curricularface": Entry(
        CurricularFace, "s cos(t + m), hard rivals s c_j (u + c_j)", "large clean sets: hard rivals later in training"
    ),
    "adaface": Entry(
        AdaFace, "s (cos(t - m q) - m (1 + q)), q quality by |x|", "photos of mixed quality; a good first choice",
        None, {"initializer": "unit"},
    ),
    "magface": Entry(
        MagFace, "s cos(t + m(|x|)) and g(|x|)", "the length of an embedding as the photo's quality",
        None, {"initializer": "unit"},
    ),
    "elastic_arcface": Entry(ElasticFace, "s cos(t + m), m ~ N(0.5, 0.05)", "arcface with less to choose"),
    "elastic_arcface_plus": Entry(
        ElasticFace, "the same, larger m for smaller c", "the same", None, {"deviation": 0.0175, "ranked": True}
    ),
    "elastic_cosface": Entry(
        ElasticFace, "s (c - m), m ~ N(0.35, 0.05)", "cosface with less to choose", None,
        {"form": "cos", "margin": 0.35},
    ),
    "elastic_cosface_plus": Entry(
        ElasticFace, "the same, larger m for smaller c", "the same", None,
        {"form": "cos", "margin": 0.35, "deviation": 0.02, "ranked": True},
    ),
    "class_circle": Entry(
        ClassCircle, "s [1 + m - c]+ (c - 1 + m), rivals s [c_j + m]+ (c_j - m)", "one loss for labels and pairs"
    ),
    "sphereface2": Entry(SphereFace2, "C binary problems of s (g(c) -+ m) + b", "noisy labels; no softmax over C"),
    "uniface": Entry(UniFace, "C binary problems of s (c - m) - b", "one threshold for all people (verification)"),
    "unpg": Entry(
        UnifiedNegatives, "s cos(t + m), and impostor pairs of the batch as rivals", "large batches", ArcMargin,
        source="Jung et al. 2022, Unified Negative Pair Generation, https://arxiv.org/abs/2203.11593, equations 6 to 9",
    ),
    "margin_loss": Entry(MarginLoss, "2 - (c - max c_j)", "margin-centre-face's, no scale and no margin to choose"),
}  # fmt: skip
TERMS: dict[str, Entry] = {
    "angular_centre": Entry(AngularCentre, "s (1 - c)", "beside a head, weight 0.3: tighter identities"),
    "centre_loss": Entry(CentreLoss, "|x - centre|^2 / 2, moving centres", "beside softmax, weight 0.003 to 0.01"),
    "sequence_agents": Entry(
        SequenceAgents, "pull to the own agent, push from drawn ones",
        "tracks of unknown people (SeqFace), beside a head with num_sequences, weight 0.04",
    ),
}  # fmt: skip
TEACHERS: dict[str, Entry] = {
    "cosine_distillation": Entry(CosineDistillation, "1 - cos(student, teacher)", "a small network from a big one"),
    "logit_distillation": Entry(
        LogitDistillation, "T^2 KL(teacher / T, student / T)", "the same, if the teacher's prototypes are at hand"
    ),
    "relational_distillation": Entry(
        RelationalDistillation,
        "Huber of relative distances, and of cosines of angles",
        "the same, teacher of another embedding size",
    ),
}
BETWEEN_EXAMPLES: dict[str, Entry] = {
    "batch_hard_triplet": Entry(
        BatchHardTriplet, "[max d(a, p) - min d(a, n) + m]+", "fine-tuning after a head (margin-centre-face)"
    ),
    "soft_margin_triplet": Entry(
        SoftMarginTriplet, "log(1 + exp(max d(a, p) - min d(a, n)))", "the same without a margin to choose"
    ),
    "angular_triplet": Entry(
        AngularTriplet, "[max angle(a, p) - min angle(a, n) + m]+", "the same in angles (InsightFace)"
    ),
    "semi_hard_triplet": Entry(
        SemiHardTriplet, "[d(a, p)^2 - d(a, n)^2 + m]+, n beyond p", "from scratch, large batches (FaceNet)"
    ),
    "batch_all_triplet": Entry(
        BatchAllTriplet, "mean of [d(a, p) - d(a, n) + m]+ above 0", "where batch-hard collapses"
    ),
    "hardnet": Entry(HardNet, "[m + d(a, p) - hardest negative of both]+", "pairs (HardNet)"),
    "relative_distance": Entry(RelativeDistance, "-log p(a finds p), -log p(p finds a)", "pairs (L2-Net)"),
    "n_pair": Entry(NPair, "log(1 + sum exp(a . n - a . p))", "one pair of many people each"),
    "multi_similarity": Entry(
        MultiSimilarity, "log(1 + sum exp(-2 (c_p - b))) / 2 + log(1 + sum exp(50 (c_n - b))) / 50",
        "batches of P people x K photos",
    ),
    "pair_circle": Entry(
        PairCircle, "log(1 + sum exp(s w_n (c_n - m)) sum exp(-s w_p (c_p - 1 + m)))", "batches of P people x K photos"
    ),
}  # fmt: skip
LOSSES = SOFTMAX_HEADS | OTHER_HEADS | TERMS | TEACHERS | BETWEEN_EXAMPLES


def parameters_of(function: Any) -> dict[str, Any]:
    """Returns the named parameters of a class or function with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {each.name: each.default for each in parameters if each.kind not in several}


def _keep_from_autograph(kinds: Iterable[type]) -> None:
    """Lets AutoGraph leave the calls of these layers, and all they call, as they are written.

    No loss of ours has an `if` or a loop on a tensor, and translating the functions of one takes 2 to 3 seconds in each
    process.
    """
    bases: set[Any] = {base for kind in kinds for base in kind.__mro__ if base.__module__.startswith("keras_face.")}
    for base in (base for base in bases if "call" in vars(base)):
        left = tf.autograph.experimental.do_not_convert(base.call)
        left.__signature__ = inspect.signature(base.call)  # Keras asks which arguments there are
        base.call = left


_keep_from_autograph(entry.layer for entry in LOSSES.values())
