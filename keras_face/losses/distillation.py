"""Distillation: what a teacher makes of the same images is the aim."""

from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.angles_between import angle_losses, huber
from keras_face.losses.geometry import dot, unit
from keras_face.losses.products import products
from keras_face.losses.prototypes import PrototypeHead, nearest
from keras_face.losses.replicas import gather, position
from keras_face.losses.teacher import TeacherOutput


class Distillation(keras.layers.Layer):
    """Base of the losses with a teacher, `layer(embeddings, labels, training, teacher=...)`; computes in float32."""

    def __init__(self, **layer_settings: Any):
        super().__init__(**{"dtype": "float32", **layer_settings})

    def part_of(self, seen: TeacherOutput) -> tf.Tensor:
        """Returns what this loss takes as `teacher`, of all that the teacher gives."""
        return seen.embeddings

    def aim(self, teacher: tf.Tensor | None, size: int | None = None) -> tf.Tensor:
        """Returns what the teacher gave as a float32 constant, after checking that it is there and has this size."""
        if teacher is None:
            raise ValueError(f"{self.name} must be called with teacher=, got None")
        teacher = tf.convert_to_tensor(teacher)
        if teacher.shape.rank != 2 or size not in (None, teacher.shape[1]):
            raise ValueError(f"{self.name} expects a teacher of shape [batch, {size or 'any'}], got {teacher.shape}")
        return tf.stop_gradient(tf.cast(teacher, tf.float32))


@keras.utils.register_keras_serializable(package="keras_face")
class CosineDistillation(Distillation):
    """Turns each embedding towards the teacher's embedding of the same image: 1 - cosine(student, teacher).

    Call arguments:
        embeddings: Any floating type, [batch, size]; need not be of unit length.
        labels: Not used.
        teacher: Any floating type, [batch, size], the teacher's embeddings; no gradient goes there.

    Returns: float32 [batch], one loss per example in [0, 2]; 1 where one of the two is 0.
    Raises: ValueError if the teacher is missing or has another size.
    Reference: Keras_insightface's distillation, which gives it weight 128,
        https://github.com/leondgarse/Keras_insightface
    """

    def call(
        self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False, teacher: tf.Tensor | None = None
    ) -> tf.Tensor:
        aim = self.aim(teacher, embeddings.shape[-1])
        return 1.0 - dot(unit(embeddings), unit(aim))


@keras.utils.register_keras_serializable(package="keras_face")
class LogitDistillation(Distillation):
    """Brings the student's probabilities of all identities to the teacher's, both softened by a temperature.

    loss = T^2 KL(softmax(teacher / T) || softmax(scale * cosines / T)), with the margin-free cosines of embedding and
    the head's prototypes. T^2 keeps the size of the gradient when T changes.

    Args:
        head: The head whose prototypes make the student's logits; they are trained by this loss as well. With several
            prototypes for an identity the nearest counts.
        scale: Multiplies the cosines; without unit, > 0. Take the teacher's. ArcFace: 64.
        temperature: T, without unit, > 0. Hinton et al. try 1 to 20.

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size].
        labels: Not used: the examples of unknown identity count too.
        teacher: Any floating type, [batch, identities], the teacher's logits (scale * cosines, without margin); no
            gradient goes there.

    Returns: float32 [batch], one loss per example, >= 0 up to rounding.
    Raises: ValueError if a setting is out of range, or the teacher is missing or has other identities.
    Reference: Hinton et al. 2015, Distilling the Knowledge in a Neural Network, https://arxiv.org/abs/1503.02531,
        section 2
    """

    def __init__(self, head: PrototypeHead, scale: float = 64.0, temperature: float = 4.0, **layer_settings: Any):
        super().__init__(**layer_settings)
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale must be above 0 and finite, got {scale}")
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.head = head
        self.scale = float(scale)
        self.temperature = temperature

    def part_of(self, seen: TeacherOutput) -> tf.Tensor:
        if seen.cosines is None:
            raise ValueError(f"{self.name} needs a teacher with the prototypes of the identities, this one has none")
        return self.scale * seen.cosines

    def build(self, input_shape: Any) -> None:
        if not self.head.built:
            self.head.build(input_shape)
        super().build(input_shape)

    def call(
        self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False, teacher: tf.Tensor | None = None
    ) -> tf.Tensor:
        identities = self.head.num_identities
        aim = self.aim(teacher, identities) / self.temperature
        vectors = self.scale / self.temperature * unit(embeddings)
        no_rows = tf.zeros(tf.shape(vectors)[:1], tf.int32)  # the own products are not asked for
        logits, _ = products(vectors, self.head.prototypes, no_rows, normalise=True)
        if self.head.num_prototypes != identities:
            logits = nearest(logits, identities=identities)
        probabilities = tf.nn.softmax(aim)
        entropy = tf.nn.softmax_cross_entropy_with_logits(probabilities, aim)
        return self.temperature**2 * (tf.nn.softmax_cross_entropy_with_logits(probabilities, logits) - entropy)

    def get_config(self) -> dict[str, Any]:
        settings = {
            "head": keras.layers.serialize(self.head),
            "scale": self.scale,
            "temperature": self.temperature,
        }
        return super().get_config() | settings

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LogitDistillation":
        return cls(**{**config, "head": keras.layers.deserialize(config["head"])})


@keras.utils.register_keras_serializable(package="keras_face")
class RelationalDistillation(Distillation):
    """Brings distances and angles between the student's embeddings to those between the teacher's, of any sizes.

    loss_i = distance_weight * D_i + angle_weight * A_i, with s the student's and t the teacher's embeddings of the
    global batch, and Huber's h(a, b) = (a - b)^2 / 2 where |a - b| <= 1 and |a - b| - 1/2 beyond:
        D_i = mean over j != i of h(||s_i - s_j|| / mean distance of the s, ||t_i - t_j|| / mean distance of the t),
            the mean distances over the pairs i != j of the batch, differentiated too;
        A_i = mean over j, k, all three different, of h(cosine of the angle at s_i to s_j and s_k, the same of the t).
    The means over the batch are the paper's sums over all pairs and triples, divided by their number; the authors' code
    divides by batch^2 and batch^3, which count those with two equal members too.

    The angles are those of batch^3 triples, but are made and dropped for a few i at a time, see `angle_losses`.

    Args:
        normalise: Uses unit embeddings of both, as faces are compared. The paper's students are not normalised; there
            the squared distance of embeddings longer than about 1e19 overflows.
        distance_weight: Of D, >= 0. The authors' scripts for embeddings: 1; beside a classifier others take 25
            (RepDistiller), as the paper is said to.
        angle_weight: Of A, >= 0; 0 leaves the angles out. Likewise 2, and 50. Not both weights may be 0.

    Call arguments:
        embeddings: Any floating type, [batch, size].
        labels: Not used: all pairs count.
        teacher: Any floating type, [batch, any size], the teacher's embeddings; no gradient goes there.

    Returns: float32 [batch], one loss per example, >= 0; 0 for the only example of a batch.
    Raises: ValueError if a weight is out of range or the teacher is missing.
    Reference: Park et al. 2019, Relational Knowledge Distillation, https://arxiv.org/abs/1904.05068, equations 4 to 9;
        https://github.com/lenscloth/RKD, metric/loss.py and examples
    """

    def __init__(
        self, normalise: bool = True, distance_weight: float = 1.0, angle_weight: float = 0.0, **layer_settings: Any
    ):
        super().__init__(**layer_settings)
        for name, weight in (("distance_weight", distance_weight), ("angle_weight", angle_weight)):
            if not 0 <= weight < float("inf"):
                raise ValueError(f"{name} must be at least 0 and finite, got {weight}")
        if not distance_weight and not angle_weight:
            raise ValueError(f"distance_weight or angle_weight must be above 0, got {distance_weight}, {angle_weight}")
        self.normalise = normalise
        self.distance_weight = distance_weight
        self.angle_weight = angle_weight

    def call(
        self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False, teacher: tf.Tensor | None = None
    ) -> tf.Tensor:
        student, aim = tf.cast(embeddings, tf.float32), self.aim(teacher)
        if self.normalise:
            student, aim = unit(student), unit(aim)
        sizes = [student.shape[1], aim.shape[1]]
        students, teachers = tf.split(gather(tf.concat([student, aim], axis=1)), sizes, axis=1)
        size = tf.shape(student)[0]
        own = position(size) + tf.range(size)
        parts = []
        if self.distance_weight:
            parts.append(self.distance_weight * tf.gather(_distance_losses(students, teachers), own))
        if self.angle_weight:
            parts.append(self.angle_weight * angle_losses(students, teachers, own))
        return tf.add_n(parts)

    def get_config(self) -> dict[str, Any]:
        settings = {
            "normalise": self.normalise,
            "distance_weight": self.distance_weight,
            "angle_weight": self.angle_weight,
        }
        return super().get_config() | settings


def _distance_losses(student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Returns D of `RelationalDistillation`, float32 [batch], of the global batch."""
    difference = _relative_distances(student) - _relative_distances(teacher)
    others = tf.maximum(tf.shape(student)[0] - 1, 1)
    return tf.reduce_sum(huber(difference), axis=1) / tf.cast(others, tf.float32)


def _relative_distances(vectors: tf.Tensor) -> tf.Tensor:
    """Returns all distances, float32 [batch, batch], divided by the mean of those between two; 0 where all are one.

    Points that rounding of the matrix product cannot tell apart are at distance 0, with gradient 0.
    """
    squares = tf.reduce_sum(tf.square(vectors), axis=1)
    squares = squares[:, tf.newaxis] + squares[tf.newaxis, :]
    squared = squares - 2.0 * tf.matmul(vectors, vectors, transpose_b=True)
    apart = squared > 1e-6 * squares
    distances = tf.where(apart, tf.sqrt(tf.where(apart, squared, 1.0)), 0.0)
    size = tf.cast(tf.shape(vectors)[0], tf.float32)
    mean = tf.math.divide_no_nan(tf.reduce_sum(distances), size * (size - 1.0))
    return tf.math.divide_no_nan(distances, mean)
