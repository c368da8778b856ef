"""The margin between the own cosine and the highest other one, as a loss without a softmax."""

from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.geometry import dot, unit
from keras_face.losses.products import products
from keras_face.losses.prototypes import HeadOutput, PrototypeHead, entries


@keras.utils.register_keras_serializable(package="keras_face")
class MarginLoss(PrototypeHead):
    """Widens the gap between the cosine with the own prototype and the highest one with another.

    loss = 2 - (cosine_label - max_{j != label} cosine_j), in [0, 4]. It has neither margin nor scale. An example of
    unknown identity (label < 0) has loss 0.

    Mended: the original multiplies the own cosine by 0 to leave it out of the maximum, which so is never below 0, and
    an example whose other cosines are all negative loses sight of them.

    Args:
        num_identities: See `PrototypeHead`; at least 2.
        num_sequences, initializer, ignored_label: See `PrototypeHead`.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: `margin_loss` of margin-centre-face, https://github.com/cnzeki/margin-centre-face
    """

    def __init__(
        self,
        num_identities: int,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, num_sequences, initializer, ignored_label, **layer_settings)
        if num_identities < 2:
            raise ValueError(f"num_identities must be at least 2, for there must be another one, got {num_identities}")

    def forward(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> HeadOutput:
        own = self.find(labels)
        units = unit(embeddings)
        cosines, own_prototypes = products(units, self.prototypes, own.rows, normalise=True, compute=self.compute)
        own_cosine = dot(units, own_prototypes)
        # The matrix without the own cosines only says which other one is highest; no gradient needs it.
        others = tf.tensor_scatter_nd_update(
            tf.stop_gradient(cosines), entries(own.rows), tf.fill(tf.shape(own_cosine), -2.0)
        )
        nearest = tf.argmax(others, axis=1, output_type=own.rows.dtype)
        other_cosine = tf.gather_nd(cosines, entries(nearest))
        loss = tf.where(own.known, 2.0 - (own_cosine - other_cosine), 0.0)
        return HeadOutput(self.counted(loss, own), own_cosine, own.known & (own_cosine > other_cosine))
