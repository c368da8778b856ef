"""The angles that the points of a batch make with each other: how far two batches of points differ in these."""

from keras_face.backend import tf

# Vertices whose angles are held at a time: enough for a GPU, and a small part of the batch.
_VERTICES = 8

# Of two points whose squared distance is below this share of their squared lengths the direction is not known.
_SMALLEST_SHARE = 1e-6


def huber(difference: tf.Tensor) -> tf.Tensor:
    """Returns difference^2 / 2 where the difference is in [-1, 1], and |difference| - 1/2 beyond, of the same shape."""
    apart = tf.abs(difference)
    return tf.where(apart <= 1.0, tf.square(apart) / 2.0, apart - 0.5)


def angle_losses(student: tf.Tensor, teacher: tf.Tensor, vertices: tf.Tensor) -> tf.Tensor:
    """Returns how far the angles at each vertex are from the teacher's, float32 [vertices].

    The mean over all two others j and k, j != k, of huber(cosine of the student's angle - that of the teacher's). Where
    a point lies on the vertex, or so near that its direction is rounding, the direction is 0: the cosine is 0 and has
    no gradient. Below three points there is no angle, and the loss is 0.

    Eight vertices are compared at a time, and once more for the gradient, so memory is about ten times 8 * batch *
    max(batch, size) floats: 0.1 GiB for a batch of 512 with embeddings of 512, where batch^3 floats are 0.5 GiB, many
    times. The work is vertices * batch^2 * (size + teacher's size) multiplications, 2.5 times that with the gradient.

    Args:
        student: float32 [batch, size].
        teacher: float32 [batch, any size]; a constant to the gradient.
        vertices: int32 [vertices], rows of the two; which vertices this replica compares.

    Reference: Park et al. 2019, Relational Knowledge Distillation, https://arxiv.org/abs/1904.05068, equations 7 to 9
    """
    batch, count = tf.shape(student)[0], tf.shape(vertices)[0]
    triples = tf.cast(tf.maximum((batch - 1) * (batch - 2), 1), tf.float32)
    blocks = (count + _VERTICES - 1) // _VERTICES
    unused = blocks * _VERTICES - count

    def in_blocks(values: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.pad(values, [[0, unused]]), [blocks, _VERTICES])

    def differences(rows: tf.Tensor, of_student: tf.Tensor) -> tf.Tensor:
        """Returns cosines less the teacher's, [8, batch, batch], of all two others; 0 of one with itself."""
        of_teacher, _ = _directions(teacher, rows)
        apart = _cosines(of_student) - _cosines(of_teacher)
        return tf.linalg.set_diag(apart, tf.zeros(tf.shape(apart)[:2]))

    @tf.custom_gradient
    def compute(student: tf.Tensor) -> tuple:
        def losses_of(rows: tf.Tensor) -> tf.Tensor:
            of_student, _ = _directions(student, rows)
            return tf.reduce_sum(huber(differences(rows, of_student)), axis=[1, 2]) / triples

        def add_gradient(total: tf.Tensor, block: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            rows, upstream = block
            of_student, inverse_distances = _directions(student, rows)
            slopes = tf.clip_by_value(differences(rows, of_student), -1.0, 1.0)  # of huber
            # A cosine is the product of two directions, and the matrix of cosines is symmetric.
            by_directions = (2.0 / triples * upstream)[:, tf.newaxis, tf.newaxis] * tf.matmul(slopes, of_student)
            along = tf.reduce_sum(by_directions * of_student, axis=2, keepdims=True)
            by_points = inverse_distances[:, :, tf.newaxis] * (by_directions - along * of_student)
            total += tf.reduce_sum(by_points, axis=0)
            return tf.tensor_scatter_nd_sub(total, rows[:, tf.newaxis], tf.reduce_sum(by_points, axis=1))

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            each = in_blocks(vertices), in_blocks(upstream)
            return tf.foldl(add_gradient, each, tf.zeros_like(student), parallel_iterations=1)

        losses = tf.map_fn(losses_of, in_blocks(vertices), parallel_iterations=1, fn_output_signature=tf.float32)
        return tf.reshape(losses, [-1])[:count], gradient

    return compute(student)


def _directions(points: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns unit vectors [rows, batch, size] from rows to all points, and 1 / distances; both 0 of the same point."""
    vectors = points - tf.gather(points, rows)[:, tf.newaxis, :]
    squared = tf.reduce_sum(tf.square(vectors), axis=2)
    squares = tf.reduce_sum(tf.square(points), axis=1)
    apart = squared > _SMALLEST_SHARE * (squares + tf.gather(squares, rows)[:, tf.newaxis])
    inverse_distances = tf.where(apart, tf.math.rsqrt(tf.where(apart, squared, 1.0)), 0.0)
    return vectors * inverse_distances[:, :, tf.newaxis], inverse_distances


def _cosines(directions: tf.Tensor) -> tf.Tensor:
    return tf.matmul(directions, directions, transpose_b=True)
