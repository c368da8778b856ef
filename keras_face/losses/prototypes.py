"""The class weights of a head: the layer that owns them, and what it gives."""

from typing import Any, NamedTuple

from keras_face.backend import keras, tf
from keras_face.losses.fused import fused
from keras_face.losses.geometry import angle, dot, unit
from keras_face.losses.labels import check_counts, in_range
from keras_face.losses.products import COMPUTE
from keras_face.losses.replicas import sum_over_replicas
from keras_face.losses.starts import start_of


class HeadOutput(NamedTuple):
    """What one pass through a head gives; every entry is [batch].

    Attributes:
        loss: float32, one loss per example.
        target_cosine: float32, margin-free cosine of each embedding with its own prototype, differentiable;
            meaningless for an example of unknown identity (label < 0).
        correct: bool, whether the own identity scores highest without a margin; False for an unknown identity.
    """

    loss: tf.Tensor
    target_cosine: tf.Tensor
    correct: tf.Tensor

    @property
    def target_angle(self) -> tf.Tensor:
        """The angle, float32 [batch] in [0, pi] radians, between each embedding and its own prototype."""
        return angle(self.target_cosine)


class OwnPrototypes(NamedTuple):
    """Where the prototypes of a batch's labels are; every entry is [batch].

    Attributes:
        rows: integer, the row of each example's identity; 0 where it has none.
        known: bool, label >= 0 and not ignored.
        in_range: bool, whether the head has such a label. All True, except under XLA, where nothing can be raised.
        ignored: bool, whether the label is the ignored one; None if the head ignores none.
    """

    rows: tf.Tensor
    known: tf.Tensor
    in_range: tf.Tensor
    ignored: tf.Tensor | None


def entries(rows: tf.Tensor) -> tf.Tensor:
    """Returns the indices [batch, 2] of one entry in each line of a [batch, identities] matrix: (0, rows[0]), ..."""
    return tf.stack([tf.range(tf.shape(rows, rows.dtype)[0], dtype=rows.dtype), rows], axis=1)


@fused
def nearest(cosines: tf.Tensor, identities: int) -> tf.Tensor:
    """Returns the cosines with the nearest sub-centre of each identity, float32 [batch, identities].

    Args:
        cosines: float32 [batch, prototypes], those of one identity together.
        identities: By keyword; divides the number of prototypes.
    """
    return tf.reduce_max(tf.reshape(cosines, [tf.shape(cosines)[0], identities, -1]), axis=2)


class PrototypeHead(keras.layers.Layer):
    """Base of the losses that compare an embedding with one prototype per identity; computes in float32.

    Args:
        num_identities: Number of identities, C; labels run from 0 to C - 1.
        num_sequences: Number of sequences whose person is unknown; their labels run from -1 to -num_sequences.
        initializer: Where the prototypes begin, see `starts.start_of`: a standard deviation, "unit", or an initializer
            of Keras. Default: 0.01, as InsightFace's arcface_torch. "glorot_normal" is margin-centre-face's,
            "glorot_uniform" foamliu's, "unit" AdaFace's, MagFace's and SphereFace's. The length of a prototype has no
            influence on a cosine, but the longer it is, the slower a gradient step turns it.
        ignored_label: Examples with this label, in range or not, have loss 0 and do not count: the losses of the others
            are multiplied by global batch / number of the others. Default: none.
        compute: What products with the prototypes are made of, "float32" or "bfloat16"; see `products`.

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size].
        labels: integer [batch], in [-num_sequences, num_identities).

    Returns: float32 [batch], one loss per example.

    Raises:
        ValueError: a setting is out of range.
        tf.errors.InvalidArgumentError: a label is out of range, eager and in a graph. XLA cannot raise; there the
            example's loss is NaN.
    """

    def __init__(
        self,
        num_identities: int,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        compute: str = "float32",
        **layer_settings: Any,
    ):
        super().__init__(**{"dtype": "float32", **layer_settings})
        check_counts(num_identities, num_sequences)
        if compute not in COMPUTE:
            raise ValueError(f"compute must be one of {COMPUTE}, got {compute!r}")
        self.compute = compute
        self.num_identities = num_identities
        self.num_sequences = num_sequences
        self.ignored_label = ignored_label
        self.initializer = start_of(initializer)

    @property
    def num_prototypes(self) -> int:
        """Rows of `prototypes`; a head with several for each identity has the rows of one identity together."""
        return self.num_identities

    def build(self, input_shape: Any) -> None:
        if self.built:
            raise ValueError(f"{self.name} is built already (FaceModel builds its losses): a loss is built once")
        self.prototypes = self.add_weight(
            "prototypes",
            shape=(self.num_prototypes, int(input_shape[-1])),
            dtype="float32",
            initializer=self.initializer,
        )
        super().build(input_shape)

    def forward(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> HeadOutput:
        """Returns loss, target cosine and correctness from one pass; the layer must be built."""
        raise NotImplementedError

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.forward(embeddings, labels, training).loss

    def knows(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns which labels, integer [batch], are those of identities that count."""
        known = labels >= 0
        return known if self.ignored_label is None else known & (labels != self.ignored_label)

    def find(self, labels: tf.Tensor) -> OwnPrototypes:
        """Returns where the labels' prototypes are, after checking the range of the labels."""
        labels = tf.convert_to_tensor(labels)
        accepted = in_range(labels, self.num_identities, self.num_sequences, self.ignored_label)
        ignored = None if self.ignored_label is None else labels == self.ignored_label
        known = self.knows(labels)
        return OwnPrototypes(tf.where(known & accepted, labels, 0), known, accepted, ignored)

    def counted(self, loss: tf.Tensor, own: OwnPrototypes) -> tf.Tensor:
        """Returns the losses, NaN where the label is out of range, 0 where it is ignored and the others the larger."""
        loss = tf.where(own.in_range, loss, float("nan"))
        if own.ignored is None:
            return loss
        counts = tf.cast(~own.ignored, tf.float32)
        total = sum_over_replicas(tf.stack([tf.size(counts, tf.float32), tf.reduce_sum(counts)]))
        size, counting = tf.unstack(total)
        return tf.where(own.ignored, 0.0, loss * tf.math.divide_no_nan(size, counting))

    def own_rows(self, units: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the rows of `prototypes` that stand for identities.

        Args:
            units: float32 [batch, size], unit embeddings.
            rows: integer [batch], identities.
        """
        return rows

    def target_cosine(self, embeddings: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns the margin-free cosines with the own prototypes, float32 [batch], without touching the others.

        Differentiable, but beside the gradient of a whole head its sparse gradient of the prototypes must be made
        dense: where `forward` runs anyway, use its `target_cosine`.
        """
        own, units = self.find(labels), unit(embeddings)
        prototypes = tf.gather(self.prototypes, self.own_rows(units, own.rows))
        cosine = dot(units, unit(prototypes))
        return tf.where(own.in_range, cosine, float("nan"))

    def get_config(self) -> dict[str, Any]:
        settings = {
            "num_identities": self.num_identities,
            "num_sequences": self.num_sequences,
            "initializer": keras.initializers.serialize(self.initializer),
            "ignored_label": self.ignored_label,
            "compute": self.compute,
        }
        return super().get_config() | settings
