"""What a teacher gives, and LATSE's use of it: a trained model decides which examples may teach."""

from typing import NamedTuple

from keras_face.backend import tf


class TeacherOutput(NamedTuple):
    """What a teacher makes of a batch; constants to the gradient.

    Attributes:
        embeddings: float32 [batch, the teacher's embedding_size], unit length.
        cosines: float32 [batch, identities], without margin, of these with the teacher's prototypes of the student's
            identities; None if the teacher has none.
    """

    embeddings: tf.Tensor
    cosines: tf.Tensor | None


def teacher_mask(teacher_cosines: tf.Tensor, labels: tf.Tensor, top_k: int = 1, soft: bool = False) -> tf.Tensor:
    """Returns how far the teacher believes each label, float32 [batch] in [0, 1].

    An example of unknown identity (label < 0) has mask 1: it makes no claim that the teacher could contradict. The
    original has no such examples.

    Args:
        teacher_cosines: Any floating type, [batch, identities], of the teacher's embeddings with its own prototypes;
            its identities are the student's.
        labels: integer [batch], below the number of identities.
        top_k: The mask is 1 where fewer than top_k identities are nearer than the label, else 0; >= 1. Original: 1.
        soft: The mask is the teacher's cosine to the label instead, 0 where that is negative; top_k must then be 1.
            The original (top-k 10000) takes the cosine as it is; below 0 it would turn the gradient around.

    Raises:
        ValueError: top_k is out of range.
        tf.errors.InvalidArgumentError: a label is out of range, eager and in a graph. XLA cannot raise; there the mask
            is NaN.

    Reference: HuyaInc/huya_face, parall_module_local.py, of Huang et al. 2020, https://arxiv.org/abs/2006.04518
    """
    if top_k < 1 or (soft and top_k != 1):
        raise ValueError(f"top_k must be at least 1, and 1 where soft, got {top_k} with soft {soft}")
    cosines = tf.cast(tf.stop_gradient(teacher_cosines), tf.float32)
    labels = tf.convert_to_tensor(labels)
    num_identities = tf.shape(cosines, labels.dtype)[1]
    in_range = labels < num_identities
    first_wrong = labels[tf.argmin(tf.cast(in_range, tf.int32))]
    tf.debugging.Assert(tf.reduce_all(in_range), ["labels must be below", num_identities, ", got", first_wrong])
    known = labels >= 0
    own = tf.gather(cosines, tf.where(known & in_range, labels, 0), batch_dims=1)
    if soft:
        mask = tf.clip_by_value(own, 0.0, 1.0)  # 1, for rounding
    else:
        nearer = tf.math.count_nonzero(cosines > own[:, tf.newaxis], axis=1)
        mask = tf.cast(nearer < top_k, tf.float32)
    return tf.where(in_range, tf.where(known, mask, 1.0), float("nan"))


def mask_gradient(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns the values; the gradient that goes back through them is multiplied by the mask.

    What is before the values learns by mask * gradient, what is computed from them from the whole batch: embeddings
    keep a refused photo from the network and not from a decoder, the losses of a head from its prototypes too. Where
    the mask is 0 nothing passes, not even a NaN.

    Args:
        values: Any floating type, [batch, ...].
        mask: float32 [batch], see `teacher_mask`; a constant to the gradient.
    """

    @tf.custom_gradient
    def masked(values: tf.Tensor) -> tuple:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            of_each = tf.reshape(mask, [-1] + [1] * (len(upstream.shape) - 1))
            return tf.math.multiply_no_nan(upstream, tf.cast(of_each, upstream.dtype))

        return tf.identity(values), gradient

    return masked(tf.convert_to_tensor(values))
