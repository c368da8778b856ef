"""The labels that a layer accepts."""

import numbers

from keras_face.backend import tf


def in_range(labels: tf.Tensor, num_identities: int, num_sequences: int, ignored_label: int | None = None) -> tf.Tensor:
    """Returns which labels are accepted, bool [batch]; all, except under XLA, where nothing can be raised.

    Args:
        labels: integer [batch].
        num_identities: Labels from 0 to below it are accepted,
        num_sequences: those from -num_sequences to -1,
        ignored_label: and this one.

    Raises: tf.errors.InvalidArgumentError: A label is none of these; eager and in a graph.
    """
    accepted = (labels >= -num_sequences) & (labels < num_identities)
    if ignored_label is not None:
        accepted |= labels == ignored_label
    wrong = tf.reduce_max(tf.where(accepted, labels.dtype.min, labels))
    message = f"labels must be in [{-num_sequences}, {num_identities}), got"
    tf.debugging.Assert(tf.reduce_all(accepted), [message, wrong])
    return accepted


def check_counts(num_identities: int, num_sequences: int) -> None:
    """Raises ValueError unless there is at least one identity and no negative number of sequences, in whole numbers."""
    for name, number in (("num_identities", num_identities), ("num_sequences", num_sequences)):
        if not isinstance(number, numbers.Integral):
            raise ValueError(f"{name} must be a whole number, got {number!r}")
    if num_identities < 1:
        raise ValueError(f"num_identities must be at least 1, got {num_identities}")
    if num_sequences < 0:
        raise ValueError(f"num_sequences must be at least 0, got {num_sequences}")
