"""The products of embeddings with all prototypes, as one operation with its own gradient."""

from keras_face.backend import tf
from keras_face.losses.fused import compiled, xla_trouble
from keras_face.losses.geometry import dot

COMPUTE = ("float32", "bfloat16")


def _product(first: tf.Tensor, second: tf.Tensor, compute: str, **transposed: bool) -> tf.Tensor:
    """Returns the float32 product of float32 matrices; for bfloat16 to be compiled, as no other kernel has it.

    Args:
        first: The left matrix.
        second: The right one.
        compute: See `products`.
        **transposed: As tf.matmul has it.
    """
    if compute == "float32":
        return tf.matmul(first, second, **transposed)
    first, second = (tf.cast(each, tf.bfloat16) for each in (first, second))
    if xla_trouble():  # the same numbers, and no faster
        return tf.matmul(tf.cast(first, tf.float32), tf.cast(second, tf.float32), **transposed)
    return tf.matmul(first, second, output_type=tf.float32, **transposed)


def _normalised_products(
    vectors: tf.Tensor, prototypes: tf.Tensor, compute: str = "float32"
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the products of vectors with unit prototypes, float32 [batch, identities], and 1 / length of each."""
    if tf.config.list_logical_devices("GPU"):
        lengths = tf.norm(prototypes, axis=1)
    else:  # A third of the time; on a GPU the product might be TF32's.
        lengths = tf.sqrt(tf.linalg.matvec(tf.square(prototypes), tf.ones([prototypes.shape[1]])))
    inverse_lengths = tf.math.reciprocal_no_nan(lengths)
    return inverse_lengths * _product(vectors, prototypes, compute, transpose_b=True), inverse_lengths


def _gradient(
    to_matrix: tf.Tensor, by_own: tf.Tensor, rows: tf.Tensor, vectors: tf.Tensor, compute: str = "float32"
) -> tf.Tensor:
    """Returns the gradient by prototypes, float32 [identities, size], of their products with vectors.

    Args:
        to_matrix: float32 [batch, identities], gradient by the products.
        by_own: float32 [batch, size], what comes to the own prototypes by other ways than the products.
        rows: integer [batch], of the own prototypes.
        vectors: float32 [batch, size].
        compute: See `products`.
    """
    # Not compiled, tensor_scatter_nd_add would copy all.
    to_prototypes = _product(to_matrix, vectors, compute, transpose_a=True)
    return tf.tensor_scatter_nd_add(to_prototypes, rows[:, tf.newaxis], by_own)


def _normalised_gradients(
    to_matrix: tf.Tensor,
    by_own: tf.Tensor,
    rows: tf.Tensor,
    vectors: tf.Tensor,
    matrix: tf.Tensor,
    prototypes: tf.Tensor,
    inverse_lengths: tf.Tensor,
    compute: str = "float32",
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns gradients of the products of vectors with unit prototypes.

    Args:
        to_matrix: See `_gradient`.
        by_own: See `_gradient`.
        rows: See `_gradient`.
        vectors: See `_gradient`.
        matrix: float32 [batch, identities], the products.
        prototypes: float32 [identities, size], not normalised.
        inverse_lengths: float32 [identities], of the prototypes.
        compute: See `products`.

    Returns: float32 [batch, identities], the gradient by products with prototypes that are not normalised, and
        [identities, size], by the prototypes.
    """
    # A unit prototype moves only sideways: what points along the prototype is taken off.
    along = tf.reduce_sum(to_matrix * matrix, axis=0)
    to_products = to_matrix * inverse_lengths
    to_prototypes = _gradient(to_products, by_own, rows, vectors, compute)
    return to_products, to_prototypes - (along * tf.square(inverse_lengths))[:, tf.newaxis] * prototypes


def products(
    vectors: tf.Tensor,
    prototypes: tf.Tensor,
    rows: tf.Tensor,
    normalise: bool = False,
    scale: tf.Tensor | None = None,
    compute: str = "float32",
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the inner products of vectors with all prototypes, and the prototype of each vector's own identity.

    One operation with its own gradient: taken apart, the normalisation would copy the [identities, size] prototypes,
    and choosing the own ones would cost further gradients of that size. The `dot` of vectors and own prototypes is the
    own entry of the matrix / scale up to rounding, and full float32 even where matrix products are not (TF32 on a GPU).

    Args:
        vectors: float32 [batch, size].
        prototypes: float32 [identities, size].
        rows: integer [batch], the row of each vector's own prototype.
        normalise: Divides each prototype by its length; one of length 0 then stays 0.
        scale: float32 [batch], multiplies the lines of the matrix; None: 1.
        compute: "float32"; or "bfloat16", which rounds the factors of each product to 8 bits and adds in float32,
            forward and backward. A cosine is then wrong by less than 2^-7, for 512 numbers usually by 1e-4; the own
            one, which a margin is about, is computed in float32 either way.

    Returns:
        float32 [batch, identities], and float32 [batch, size], of length 1 if normalised.
    """
    # TensorFlow's own float32 product is the faster one on a CPU.
    multiplied = _product if compute == "float32" else compiled(_product)

    @tf.custom_gradient
    def both(vectors: tf.Tensor, prototypes: tf.Tensor, scale: tf.Tensor) -> tuple:
        # The scale goes into the small factor of the product, not over its [batch, identities] result.
        scaled = scale[:, tf.newaxis] * vectors
        own = tf.gather(prototypes, rows)
        if normalise:
            matrix, inverse_lengths = compiled(_normalised_products)(scaled, prototypes, compute=compute)
            own_inverse_lengths = tf.gather(inverse_lengths, rows)[:, tf.newaxis]
            own *= own_inverse_lengths
        else:
            matrix = multiplied(scaled, prototypes, compute=compute, transpose_b=True)

        def gradient(to_matrix: tf.Tensor, to_own: tf.Tensor) -> tuple:
            if normalise:
                by_own = (to_own - dot(to_own, own)[:, tf.newaxis] * own) * own_inverse_lengths
                facts = by_own, rows, scaled, matrix, prototypes, inverse_lengths
                to_matrix, to_prototypes = compiled(_normalised_gradients)(to_matrix, *facts, compute=compute)
            else:
                to_prototypes = compiled(_gradient)(to_matrix, to_own, rows, scaled, compute=compute)
            to_scaled = multiplied(to_matrix, prototypes, compute=compute)
            return scale[:, tf.newaxis] * to_scaled, to_prototypes, dot(vectors, to_scaled)

        return (matrix, own), gradient

    ones = tf.ones_like(rows, tf.float32) if scale is None else scale
    return both(vectors, tf.convert_to_tensor(prototypes), ones)
