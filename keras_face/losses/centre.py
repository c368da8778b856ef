"""Terms that pull embeddings to the centre of their identity."""

from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.prototypes import PrototypeHead


@keras.utils.register_keras_serializable(package="keras_face")
class AngularCentre(keras.layers.Layer):
    """Pulls each embedding towards its own prototype in a head: scale * (1 - cosine), on the margin-free cosine.

    There are no centres of its own: the head's prototypes serve, and are pulled as well. It goes beside the head's
    own loss with a weight, in margin-centre-face 0.3. An example of unknown identity (label < 0) has loss 0.

    Args:
        head: The head whose prototypes are the centres.
        scale: Multiplies the term; without unit, > 0. margin-centre-face: 64, whatever the head's scale.

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size].
        labels: integer [batch], in the head's range.

    Returns: float32 [batch], one loss per example in [0, 2 * scale].
    Raises: ValueError if scale is out of range; for labels see `PrototypeHead`.
    Reference: margin-centre-face, https://github.com/cnzeki/margin-centre-face, README
    """

    def __init__(self, head: PrototypeHead, scale: float = 64.0, **layer_settings: Any):
        super().__init__(**{"dtype": "float32", **layer_settings})
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale must be above 0 and finite, got {scale}")
        self.head = head
        self.scale = float(scale)

    def build(self, input_shape: Any) -> None:
        if not self.head.built:
            self.head.build(input_shape)
        super().build(input_shape)

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.from_cosine(self.head.target_cosine(embeddings, labels), labels)

    def from_cosine(self, target_cosine: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns the same losses from the `target_cosine` of the head's `forward`, which costs nothing more."""
        known = tf.cast(self.head.knows(tf.convert_to_tensor(labels)), tf.float32)
        return known * self.scale * (1.0 - target_cosine)  # a product, so that NaN stays NaN

    def get_config(self) -> dict[str, Any]:
        settings = {"head": keras.layers.serialize(self.head), "scale": self.scale}
        return super().get_config() | settings

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AngularCentre":
        return cls(**{**config, "head": keras.layers.deserialize(config["head"])})
