"""Centres that follow the embeddings by a rule of their own, not by the gradient; and the centre loss."""

from typing import Any, NamedTuple

from keras_face.backend import keras, tf
from keras_face.losses.geometry import distance, unit
from keras_face.losses.labels import check_counts, in_range
from keras_face.losses.replicas import gather_batch


class OwnCentres(NamedTuple):
    """Where the centres of a batch's labels are; every entry is [batch].

    Attributes:
        rows: integer, the row of each example's centre; 0 where it has none.
        exists: bool, whether the example has a centre.
        in_range: bool, whether the layer has such a label. All True, except under XLA, where nothing can be raised.
    """

    rows: tf.Tensor
    exists: tf.Tensor
    in_range: tf.Tensor


class MovingCentres(keras.layers.Layer):
    """Base of the losses with moving centres; computes in float32.

    The centres are state: no gradient moves them. In training each call moves those of the labels that are in the
    global batch, after the loss has used them, and touches no others. All replicas hold the same centres.

    Args:
        num_identities: Number of identities, C; labels run from 0 to C - 1.
        num_sequences: Number of sequences whose person is unknown; their labels run from -1 to -num_sequences.
        initializer: Keras initializer of the centres, or its name. Default: uniform with variance 1 / size, Caffe's
            "xavier", which the originals use.

    Call arguments:
        embeddings: Any floating type, [batch, size].
        labels: integer [batch], in [-num_sequences, num_identities).

    Returns: float32 [batch], one loss per example.

    Raises:
        ValueError: a setting is out of range.
        tf.errors.InvalidArgumentError: a label is out of range, eager and in a graph. XLA cannot raise; there the
            example's loss is NaN, and it moves nothing.
    """

    def __init__(
        self,
        num_identities: int,
        num_sequences: int = 0,
        initializer: str | keras.initializers.Initializer | None = None,
        **layer_settings: Any,
    ):
        super().__init__(**{"dtype": "float32", **layer_settings})
        check_counts(num_identities, num_sequences)
        self.num_identities = num_identities
        self.num_sequences = num_sequences
        xavier = keras.initializers.VarianceScaling(1.0, "fan_out", "uniform")
        self.initializer = keras.initializers.get(initializer or xavier)

    @property
    def num_centres(self) -> int:
        """Rows of `centres`: first the identities, then the sequences if these have any."""
        return self.num_identities

    def build(self, input_shape: Any) -> None:
        if self.built:
            raise ValueError(f"{self.name} is built already (FaceModel builds its losses): a loss is built once")
        self.centres = self.add_weight(
            "centres",
            shape=(self.num_centres, int(input_shape[-1])),
            dtype="float32",
            initializer=self.initializer,
            trainable=False,  # each replica changes its own copy, all by the same numbers
        )
        super().build(input_shape)

    def find(self, labels: tf.Tensor) -> OwnCentres:
        """Returns where the labels' centres are, after checking the range of the labels."""
        labels = tf.convert_to_tensor(labels)
        accepted = in_range(labels, self.num_identities, self.num_sequences)
        rows = tf.where(labels >= 0, labels, self.num_identities - 1 - labels)
        exists = accepted & (rows < self.num_centres)
        return OwnCentres(tf.where(exists, rows, 0), exists, accepted)

    def placed(self, centres: tf.Tensor) -> tf.Tensor:
        """Returns centres, float32 [n, size], where the loss has them."""
        return centres

    def move(self, embeddings: tf.Tensor, labels: tf.Tensor, rate: float) -> None:
        """Moves the centres by rate * sum(embedding - centre) / (1 + n), over their n examples in the global batch.

        Args:
            embeddings: float32 [replica batch, size].
            labels: integer [replica batch].
            rate: Without unit.
        """
        embeddings, labels, _ = gather_batch(tf.stop_gradient(embeddings), tf.convert_to_tensor(labels))
        own = self.find(labels)
        stored = tf.gather(self.centres, own.rows)
        centres = self.placed(stored)
        # The sums of a label stand in the line of its first example, the other lines are 0. So no two lines change one
        # row, and the result does not depend on the order in which a device adds them.
        first = tf.argmax(tf.cast(own.rows[:, tf.newaxis] == own.rows[tf.newaxis, :], tf.int32), axis=1)
        size = tf.size(first)
        apart = tf.where(own.exists[:, tf.newaxis], embeddings - centres, 0.0)
        sums = tf.math.unsorted_segment_sum(apart, first, size)
        counts = tf.math.unsorted_segment_sum(tf.cast(own.exists, tf.float32), first, size)
        moved = self.placed(centres + rate * sums / (1.0 + counts)[:, tf.newaxis])
        change = tf.where(counts[:, tf.newaxis] > 0.0, moved - stored, 0.0)
        self.centres.scatter_add(tf.IndexedSlices(change, own.rows))

    def get_config(self) -> dict[str, Any]:
        settings = {
            "num_identities": self.num_identities,
            "num_sequences": self.num_sequences,
            "initializer": keras.initializers.serialize(self.initializer),
        }
        return super().get_config() | settings


@keras.utils.register_keras_serializable(package="keras_face")
class CentreLoss(MovingCentres):
    """Pulls each embedding towards the moving centre of its identity: half the squared distance.

    loss = ||embedding - centre_label||^2 / 2. An example of unknown identity (label < 0) has loss 0 and moves nothing.
    In training, after the loss, centre_j += centre_rate * sum(embedding - centre_j) / (1 + n_j) over the n_j examples
    of identity j in the global batch.

    Args:
        num_identities: See `MovingCentres`.
        num_sequences: See `MovingCentres`.
        centre_rate: The paper's alpha, without unit, in [0, 1]. Paper: 0.5.
        normalise: Uses unit embeddings; the centres, their means, then lie within the unit sphere. The paper does not,
            and there the squared distance of embeddings longer than about 1e19 overflows.
        initializer: See `MovingCentres`.

    Call arguments, returns, raises: see `MovingCentres`. The paper's weights of this loss: 0.003 in its experiments on
        faces.
    Reference: Wen et al. 2016, A Discriminative Feature Learning Approach for Deep Face Recognition, ECCV, equations
        2 to 4
    """

    def __init__(
        self,
        num_identities: int,
        num_sequences: int = 0,
        centre_rate: float = 0.5,
        normalise: bool = False,
        initializer: str | keras.initializers.Initializer | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, num_sequences, initializer, **layer_settings)
        if not 0 <= centre_rate <= 1:
            raise ValueError(f"centre_rate must be in [0, 1], got {centre_rate}")
        self.centre_rate = centre_rate
        self.normalise = normalise

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        own = self.find(labels)
        embeddings = unit(embeddings) if self.normalise else tf.cast(embeddings, tf.float32)
        loss = distance(embeddings, tf.gather(self.centres, own.rows), squared=True) / 2.0
        loss = tf.where(own.exists, loss, tf.where(own.in_range, 0.0, float("nan")))
        if training:
            self.move(embeddings, labels, self.centre_rate)
        return loss

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"centre_rate": self.centre_rate, "normalise": self.normalise}
