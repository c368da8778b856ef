"""What a step is told and says: its batch, and the sums over it that are reported as means."""

import re
from collections.abc import Mapping
from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.prototypes import PrototypeHead
from keras_face.losses.triplet import HardestTriplet, TripletOutput

COUNTS = ("size", "known", "anchors")
# What is not a mean over the whole batch, and what it is a mean over.
OVER = {
    "accuracy": "known",
    "target_cosine": "known",
    "active_triplets": "anchors",
    "positive_distance": "anchors",
    "negative_distance": "anchors",
}


def reported(losses: Mapping[str, keras.layers.Layer], masked: bool) -> list[str]:
    """Returns the names of the means that a step reports, by the losses and whether there is a mask."""
    names = ["loss", *losses, "embedding_norm"]
    names += ["accuracy", "target_cosine"] if any(isinstance(layer, PrototypeHead) for layer in losses.values()) else []
    names += ["teacher_mask"] if masked else []
    triplets = any(isinstance(layer, HardestTriplet) for layer in losses.values())
    return names + ([name for name, over in OVER.items() if over == "anchors"] if triplets else [])


def batch_of(data: Any) -> Mapping[str, tf.Tensor]:
    """Returns what Keras hands on as a batch.

    Raises: ValueError if there are weights of examples, or no labels.
    """
    if not isinstance(data, Mapping):
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if labels is None or weights is not None:
            raise ValueError("expected images with labels, and no sample_weight: a loss weighs all examples alike")
        return {"images": images, "labels": labels}
    if not {"images", "labels"} <= set(data):
        raise ValueError(f"expected a batch of `images` and `labels`, got {sorted(data)}")
    return data


def triplet_sums(triplets: TripletOutput) -> dict[str, tf.Tensor]:
    """Returns the sums over the anchors that count of what shows whether the embeddings collapse."""
    valid = tf.cast(triplets.valid, tf.float32)

    def over_anchors(values: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(valid * tf.stop_gradient(values))

    return {
        "active_triplets": over_anchors(tf.cast(triplets.loss > 0, tf.float32)),
        "positive_distance": over_anchors(triplets.positive_distance),
        "negative_distance": over_anchors(triplets.negative_distance),
        "anchors": tf.reduce_sum(valid),
    }


def scope_of(loss: str) -> str:
    """Returns the name that a loss's operations have in the graph, by which XLA names what it cannot compile."""
    return "loss_" + re.sub(r"[^\w.-]", "_", loss)
