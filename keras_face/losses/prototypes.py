"""The class weights of a head: the products of embeddings with them, and the layer that owns them."""

from typing import Any, NamedTuple

from keras_face.backend import keras, tf
from keras_face.losses.geometry import angle, unit


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
        rows: integer, the row of each example's prototype; 0 where it has none.
        known: bool, label >= 0.
        in_range: bool, whether the head has such a label. All True, except under XLA, where nothing can be raised.
    """

    rows: tf.Tensor
    known: tf.Tensor
    in_range: tf.Tensor


def products(
    vectors: tf.Tensor, prototypes: tf.Tensor, rows: tf.Tensor, normalise: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the inner products of vectors with all prototypes, and with their own one.

    One operation with its own gradient: taken apart, the normalisation would copy the [identities, size] prototypes,
    and choosing the own products would cost gradients of the full [batch, identities] size.

    Args:
        vectors: float32 [batch, size].
        prototypes: float32 [identities, size].
        rows: integer [batch], the row of each vector's own prototype.
        normalise: Divides each prototype by its length; one of length 0 then gives 0.

    Returns:
        float32 [batch, identities], and float32 [batch] the products with the own prototype, computed in full float32
        even where matrix products are not (TF32 on a GPU). The own entries of the matrix are these up to rounding.
    """
    indices = tf.stack([tf.range(tf.shape(rows, rows.dtype)[0], dtype=rows.dtype), rows], axis=1)

    @tf.custom_gradient
    def compute(vectors: tf.Tensor, prototypes: tf.Tensor) -> tuple:
        matrix = tf.matmul(vectors, prototypes, transpose_b=True)
        own = tf.reduce_sum(vectors * tf.gather(prototypes, rows), axis=1)
        if normalise:
            inverse_lengths = tf.math.reciprocal_no_nan(tf.norm(prototypes, axis=1))
            matrix *= inverse_lengths
            own *= tf.gather(inverse_lengths, rows)

        def gradient(to_matrix: tf.Tensor, to_own: tf.Tensor) -> tuple:
            to_matrix = tf.tensor_scatter_nd_add(to_matrix, indices, to_own)
            if not normalise:
                return tf.matmul(to_matrix, prototypes), tf.matmul(to_matrix, vectors, transpose_a=True)
            # A unit prototype moves only sideways: what points along the prototype is taken off.
            along = tf.reduce_sum(to_matrix * matrix, axis=0) * tf.square(inverse_lengths)
            to_matrix *= inverse_lengths
            to_prototypes = tf.matmul(to_matrix, vectors, transpose_a=True) - along[:, tf.newaxis] * prototypes
            return tf.matmul(to_matrix, prototypes), to_prototypes

        return (matrix, own), gradient

    return compute(vectors, tf.convert_to_tensor(prototypes))


class PrototypeHead(keras.layers.Layer):
    """Base of the losses that compare an embedding with one prototype per identity; computes in float32.

    Args:
        num_identities: Number of identities, C; labels run from 0 to C - 1.
        num_sequences: Number of sequences whose person is unknown; their labels run from -1 to -num_sequences.
        initializer: Keras initializer of the prototypes, or its name. Default: normal with standard deviation 0.01,
            as InsightFace's arcface_torch. "glorot_normal" is margin-centre-face's. The length of a prototype has no
            influence on a cosine, but the longer it is, the slower a gradient step turns it.

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
        initializer: str | keras.initializers.Initializer | None = None,
        **layer_settings: Any,
    ):
        super().__init__(**{"dtype": "float32", **layer_settings})
        if num_identities < 1:
            raise ValueError(f"num_identities must be at least 1, got {num_identities}")
        if num_sequences < 0:
            raise ValueError(f"num_sequences must be at least 0, got {num_sequences}")
        self.num_identities = num_identities
        self.num_sequences = num_sequences
        self.initializer = keras.initializers.get(initializer or keras.initializers.RandomNormal(stddev=0.01))

    def build(self, input_shape: Any) -> None:
        self.prototypes = self.add_weight(
            "prototypes",
            shape=(self.num_identities, int(input_shape[-1])),
            dtype="float32",
            initializer=self.initializer,
        )
        super().build(input_shape)

    def forward(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> HeadOutput:
        """Returns loss, target cosine and correctness from one pass; the layer must be built."""
        raise NotImplementedError

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.forward(embeddings, labels, training).loss

    def find(self, labels: tf.Tensor) -> OwnPrototypes:
        """Returns where the labels' prototypes are, after checking the range of the labels."""
        labels = tf.convert_to_tensor(labels)
        in_range = (labels >= -self.num_sequences) & (labels < self.num_identities)
        first_wrong = labels[tf.argmin(tf.cast(in_range, tf.int32))]
        tf.debugging.Assert(
            tf.reduce_all(in_range),
            [f"labels must be in [{-self.num_sequences}, {self.num_identities}), got", first_wrong],
        )
        known = labels >= 0
        return OwnPrototypes(tf.where(known & in_range, labels, 0), known, in_range)

    def target_cosine(self, embeddings: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns the margin-free cosines with the own prototypes, float32 [batch], without touching the others.

        Differentiable, but beside the gradient of a whole head its sparse gradient of the prototypes must be made
        dense: where `forward` runs anyway, use its `target_cosine`.
        """
        own = self.find(labels)
        cosine = tf.reduce_sum(unit(embeddings) * unit(tf.gather(self.prototypes, own.rows)), axis=-1)
        return tf.where(own.in_range, cosine, float("nan"))

    def get_config(self) -> dict[str, Any]:
        settings = {
            "num_identities": self.num_identities,
            "num_sequences": self.num_sequences,
            "initializer": keras.initializers.serialize(self.initializer),
        }
        return super().get_config() | settings
