"""Softmax heads: cross-entropy over all identities, plain or with a margin on the cosine of the own one."""

from typing import Any, NamedTuple

from keras_face.backend import keras, tf
from keras_face.losses.geometry import dot, length, unit
from keras_face.losses.margins import Margin
from keras_face.losses.products import products
from keras_face.losses.prototypes import HeadOutput, OwnPrototypes, PrototypeHead, entries, nearest

_SCALINGS = ("fixed", "learned", "norm", "inner_product")


def cross_entropy(
    logits: tf.Tensor, target_logits: tf.Tensor, rows: tf.Tensor, uniform: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns the softmax cross-entropy per example, with the own logit taken from elsewhere.

    Never subtracts exponentials, needs no one-hot, and keeps one [batch, identities] tensor for the gradient.

    Args:
        logits: float32 [batch, identities]; the entries at `rows` are replaced by `target_logits`.
        target_logits: float32 [batch].
        rows: integer [batch], the identity of each example.
        uniform: bool [batch], examples whose target is not `rows` but 1 / identities for each; None if there are none.

    Returns: float32 [batch].
    Reference: for `uniform`, Hu et al. 2018, SeqFace, https://arxiv.org/abs/1803.06524 (label smoothing regularisation)
    """
    indices = entries(rows)

    @tf.custom_gradient
    def compute(logits: tf.Tensor, target_logits: tf.Tensor) -> tuple:
        logits = tf.tensor_scatter_nd_update(logits, indices, target_logits)
        probabilities = tf.nn.softmax(logits)
        # log(sum(exp(logits))), by the largest probability, which is never below 1 / identities.
        log_sum = tf.reduce_max(logits, axis=1) - tf.math.log(tf.reduce_max(probabilities, axis=1))
        aim = target_logits if uniform is None else tf.where(uniform, tf.reduce_mean(logits, axis=1), target_logits)

        def gradient(upstream: tf.Tensor) -> tuple:
            to_logits = probabilities * upstream[:, tf.newaxis]
            to_aim = upstream
            if uniform is not None:
                share = tf.where(uniform, upstream, 0.0) / tf.cast(tf.shape(logits)[1], tf.float32)
                to_logits -= share[:, tf.newaxis]
                to_aim = tf.where(uniform, 0.0, upstream)
            to_target = tf.gather_nd(to_logits, indices) - to_aim
            return tf.tensor_scatter_nd_update(to_logits, indices, tf.zeros_like(to_target)), to_target

        return log_sum - aim, gradient

    return compute(logits, target_logits)


class SoftmaxHead(PrototypeHead):
    """Base of the heads that end in one cross-entropy; see `PrototypeHead`."""

    def cross_entropy(self, logits: tf.Tensor, target_logits: tf.Tensor, own: OwnPrototypes) -> tf.Tensor:
        """Returns the cross-entropies, float32 [batch], with uniform targets for the unknown examples."""
        return cross_entropy(logits, target_logits, own.rows, ~own.known if self.num_sequences else None)


def is_highest(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns for each line of [batch, identities] whether its label, integer [batch], has the highest logit."""
    labels = tf.convert_to_tensor(labels)
    return tf.argmax(logits, axis=1, output_type=labels.dtype) == labels


@keras.utils.register_keras_serializable(package="keras_face")
class Softmax(SoftmaxHead):
    """Cross-entropy of the inner products of embedding and prototypes, neither normalised, without a bias.

    loss = log(sum_j exp(embedding . prototype_j)) - embedding . prototype_label; for a label < 0 the mean over all
    identities takes the place of the last term.

    Args, call arguments, returns, raises: see `PrototypeHead`, except
        initializer: Default "glorot_normal".

    Reference: `softmax_loss` of margin-centre-face
    """

    def __init__(
        self,
        num_identities: int,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer = "glorot_normal",
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, num_sequences, initializer, ignored_label, **layer_settings)

    def forward(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> HeadOutput:
        own = self.find(labels)
        vectors = tf.cast(embeddings, tf.float32)
        logits, own_prototypes = products(vectors, self.prototypes, own.rows, compute=self.compute)
        loss = self.counted(self.cross_entropy(logits, dot(vectors, own_prototypes), own), own)
        return HeadOutput(loss, dot(unit(vectors), unit(own_prototypes)), is_highest(logits, labels))


class Compared(NamedTuple):
    """A batch of embeddings beside the prototypes.

    Attributes:
        own: Where the own prototypes are.
        lengths: float32 [batch], of the embeddings.
        scale: float32 [batch], what each embedding's cosines are multiplied with.
        logits: float32 [batch, identities], scaled cosines without a margin.
        cosine: float32 [batch], with the own prototype.
    """

    own: OwnPrototypes
    lengths: tf.Tensor
    scale: tf.Tensor
    logits: tf.Tensor
    cosine: tf.Tensor


class CosineSoftmax(SoftmaxHead):
    """Base of the heads whose logits are scaled cosines; a subclass says what takes the place of the own cosine.

    Args:
        num_identities: See `PrototypeHead`.
        scale: Multiplies the cosines; without unit, > 0.
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.
    """

    def __init__(
        self,
        num_identities: int,
        scale: float = 64.0,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, num_sequences, initializer, ignored_label, **layer_settings)
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale must be above 0 and finite, got {scale}")
        self.scale = float(scale)

    def forward(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> HeadOutput:
        compared = self.compare(embeddings, labels)
        loss = self.counted(self.losses_of(compared, training), compared.own)
        return HeadOutput(loss, compared.cosine, is_highest(compared.logits, labels))

    def compare(self, embeddings: tf.Tensor, labels: tf.Tensor) -> Compared:
        """Returns the margin-free cosines, scaled, after checking the range of the labels."""
        own = self.find(labels)
        units, lengths = unit(embeddings), length(embeddings)
        scale = tf.fill(tf.shape(lengths), self.scale)
        logits, own_prototypes = products(units, self.prototypes, own.rows, True, scale, self.compute)
        return Compared(own, lengths, scale, logits, dot(units, own_prototypes))

    def losses_of(self, compared: Compared, training: bool) -> tf.Tensor:
        """Returns the losses, float32 [batch], before labels out of range and ignored ones are seen to."""
        target = tf.where(compared.own.known, self.target(compared, training), compared.cosine)
        return self.cross_entropy(self.rivals(compared, training), compared.scale * target, compared.own)

    def target(self, compared: Compared, training: bool) -> tf.Tensor:
        """Returns what takes the place of the own cosine, float32 [batch]."""
        raise NotImplementedError

    def rivals(self, compared: Compared, training: bool) -> tf.Tensor:
        """Returns the logits of the other identities, float32 [batch, identities]; the own entries do not matter."""
        return compared.logits

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale}


@keras.utils.register_keras_serializable(package="keras_face")
class MarginSoftmax(CosineSoftmax):
    """Cross-entropy of the scaled cosines of embedding and prototypes, the own cosine lowered by a margin.

    loss = log(exp(scale margin(cosine_label)) + sum_{j != label} exp(scale cosine_j)) - scale margin(cosine_label).
    For a label < 0 there is no own cosine, and so no margin: log(sum_j exp(scale cosine_j)) - mean_j(scale cosine_j).

    Args:
        num_identities: See `PrototypeHead`.
        margin: The target function, a `Margin`.
        scale: Multiplies the cosines; without unit, > 0. ArcFace and CosFace papers: 64.
        scaling: What multiplies the cosines:
            "fixed": scale.
            "learned": a trained scalar that starts at scale (NormFace).
            "norm": scale times the length of the embedding, which is not normalised (SphereFace).
            "inner_product": scale times the lengths of the embedding and of the prototype (L-Softmax).
        focal_gamma: Multiplies each loss by (1 - exp(-loss))^focal_gamma; 0, or >= 1. For every example by itself, and
            only where the identity is known. foamliu's InsightFace: 2, by mistake on the mean of the batch.
        sub_centres: Prototypes of each identity; the nearest counts. Sub-centre ArcFace: 3.
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.

    Attributes:
        gradients: What the gradient of its margin may be.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Deng et al. 2019, ArcFace, https://arxiv.org/abs/1801.07698, equation 4; Deng et al. 2020, Sub-center
        ArcFace, ECCV, equation 2; Lin et al. 2017, Focal loss, https://arxiv.org/abs/1708.02002, equation 4
    """

    gradients: tuple[str, ...] = ("exact", "detached")

    def __init__(
        self,
        num_identities: int,
        margin: Margin,
        scale: float = 64.0,
        scaling: str = "fixed",
        focal_gamma: float = 0.0,
        sub_centres: int = 1,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, scale, num_sequences, initializer, ignored_label, **layer_settings)
        if margin.gradient not in self.gradients:
            raise ValueError(
                f"gradient must be one of {self.gradients} in {type(self).__name__}, got {margin.gradient!r}"
            )
        if scaling not in _SCALINGS:
            raise ValueError(f"scaling must be one of {_SCALINGS}, got {scaling!r}")
        if focal_gamma and not focal_gamma >= 1:
            raise ValueError(f"focal_gamma must be 0 or at least 1, got {focal_gamma}")
        if sub_centres < 1:
            raise ValueError(f"sub_centres must be at least 1, got {sub_centres}")
        if sub_centres > 1 and scaling == "inner_product":
            raise ValueError(
                f"sub_centres are compared by cosine: expected 1 with scaling inner_product, got {sub_centres}"
            )
        self.margin = margin
        self.scaling = scaling
        self.focal_gamma = focal_gamma
        self.sub_centres = sub_centres

    @property
    def num_prototypes(self) -> int:
        return self.num_identities * self.sub_centres

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.scaling == "learned":
            self.learned_scale = self.add_weight("scale", (), initializer=keras.initializers.Constant(self.scale))

    def compare(self, embeddings: tf.Tensor, labels: tf.Tensor) -> Compared:
        own = self.find(labels)
        units, lengths = unit(embeddings), length(embeddings)
        scale = self.learned_scale if self.scaling == "learned" else self.scale
        scale = scale * (lengths if self.scaling in ("norm", "inner_product") else tf.ones_like(lengths))
        rows = self.own_rows(units, own.rows)
        normalise = self.scaling != "inner_product"
        logits, own_prototypes = products(units, self.prototypes, rows, normalise, scale, self.compute)
        if self.sub_centres > 1:
            logits = nearest(logits, identities=self.num_identities)
        if not normalise:
            scale *= length(own_prototypes)
            own_prototypes = unit(own_prototypes)
        return Compared(own, lengths, scale, logits, dot(units, own_prototypes))

    def own_rows(self, units: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        if self.sub_centres == 1:
            return rows
        all_rows = rows[:, tf.newaxis] * self.sub_centres + tf.range(self.sub_centres, dtype=rows.dtype)
        candidates = unit(tf.gather(self.prototypes, all_rows))  # [batch, sub-centres, size]
        nearest = tf.argmax(tf.einsum("bd,bkd->bk", units, candidates), axis=1, output_type=rows.dtype)
        return rows * self.sub_centres + nearest

    def losses_of(self, compared: Compared, training: bool) -> tf.Tensor:
        return self.focused(super().losses_of(compared, training), compared.own)

    def focused(self, loss: tf.Tensor, own: OwnPrototypes) -> tf.Tensor:
        """Returns the losses, float32 [batch], those of known examples weighed by what they lack in probability."""
        if self.focal_gamma:
            missing = tf.nn.relu(-tf.math.expm1(-loss))  # 1 - own probability; rounding may make a loss negative
            loss *= tf.where(own.known, tf.pow(missing, self.focal_gamma), 1.0)
        return loss

    def target(self, compared: Compared, training: bool) -> tf.Tensor:
        return self.margin(compared.cosine)

    def get_config(self) -> dict[str, Any]:
        settings = {
            "margin": keras.utils.serialize_keras_object(self.margin),
            "scaling": self.scaling,
            "focal_gamma": self.focal_gamma,
            "sub_centres": self.sub_centres,
        }
        return super().get_config() | settings

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MarginSoftmax":
        return cls(**{**config, "margin": keras.utils.deserialize_keras_object(config["margin"])})
