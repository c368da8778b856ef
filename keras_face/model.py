"""FaceModel: a backbone, its losses and how one batch moves them."""

from collections.abc import Mapping

from keras_face.backend import keras, tf
from keras_face.data.images import standardise
from keras_face.losses.centre import AngularCentre
from keras_face.losses.prototypes import HeadOutput, PrototypeHead
from keras_face.optimizers import WeightAverage, decays


class FaceModel(keras.Model):
    """A face-embedding network with the losses that train it.

    The loss of a batch is `sum over losses of weight * mean over the global batch`; losses give one number per example
    and this is the only place where they are weighted and averaged.

    Args:
        backbone: Model from standardised images to embeddings, [batch, height, width, 3] to [batch, embedding_size].
        losses: Loss layers by the name they are reported under; called as `layer(embeddings, labels, training=True)`.
            The first `PrototypeHead` also gives the accuracy; an `AngularCentre` on it comes after it.
        weights: Weight of each loss.
        weight_decay: Added to the gradient as weight_decay * variable where `optimizers.decays` holds.
        clip_norm: Largest norm of the whole gradient over all variables, before weight decay; 0: any.
        accumulation_steps: Parts that a batch is computed in, one after the other; statistics and mining see a part.
        average_decay: Decay of the moving average of the backbone's weights; 0: no average.

    Call arguments:
        images: uint8 [batch, height, width, 3], RGB.
        training: bool.

    Returns: float32 [batch, embedding_size], embeddings, not of unit length.
    Raises: ValueError if a loss has no weight.
    """

    def __init__(
        self,
        backbone: keras.Model,
        losses: Mapping[str, keras.layers.Layer],
        weights: Mapping[str, float],
        *,
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
        accumulation_steps: int = 1,
        average_decay: float = 0.0,
    ):
        super().__init__()
        if set(losses) != set(weights) or not losses:
            raise ValueError(
                f"expected a weight for each loss, got losses {sorted(losses)} and weights {sorted(weights)}"
            )
        self.backbone = backbone
        self.loss_layers = dict(losses)
        self.loss_weights = dict(weights)
        self.weight_decay, self.clip_norm = weight_decay, clip_norm
        self.accumulation_steps = accumulation_steps
        self.average = WeightAverage(backbone.trainable_variables, average_decay) if average_decay else None

    def call(self, images, training=False):
        return self.backbone(standardise(images, self.backbone.compute_dtype), training=training)

    def averaged_weights(self) -> list[tf.Tensor]:
        """Returns the values of `backbone.weights`, with the moving averages where there are any."""
        if self.average is None:
            return [weight.value() for weight in self.backbone.weights]
        averages = {
            id(variable): average
            for variable, average in zip(self.backbone.trainable_variables, self.average.averages, strict=True)
        }
        return [averages.get(id(weight), weight).value() for weight in self.backbone.weights]

    @tf.function(reduce_retracing=True)
    def target_angles(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns the angles in radians between known identities' embeddings and their own prototypes, float32 [known].

        Args:
            images: uint8 [batch, height, width, 3], RGB.
            labels: int64 [batch].

        Raises: ValueError if no loss is a `PrototypeHead`.
        """
        heads = [layer for layer in self.loss_layers.values() if isinstance(layer, PrototypeHead)]
        if not heads:
            raise ValueError(f"expected a classification head among the losses, got {sorted(self.loss_layers)}")
        return tf.boolean_mask(heads[0].forward(self(images), labels).target_angle, labels >= 0)

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Makes one update and returns what it saw, the same on every replica.

        Args:
            batch: `images` uint8 [batch, height, width, 3] and `labels` int64 [batch], this replica's share.

        Returns: float32 scalars, means over the global batch: `loss`, each loss by its name (not weighted),
            `embedding_norm`, and with a classification head `accuracy` (share of known identities whose prototype is
            the nearest, margin not counted) and `target_cosine` (mean cosine to the own prototype).
        """
        context = tf.distribute.get_replica_context()
        images, labels = batch["images"], batch["labels"]
        if self.accumulation_steps == 1:
            gradients, sums = self._part(images, labels)
        else:
            gradients, sums = self._parts(images, labels)
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm)
        if self.weight_decay:
            gradients = [
                gradient + self.weight_decay * variable if decays(variable) else gradient
                for gradient, variable in zip(gradients, self.trainable_variables, strict=True)
            ]
        step = self.optimizer.iterations + 0
        # Reduced above, before clipping and decay, so the optimizer must not reduce again.
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_variables, strict=True), experimental_aggregate_gradients=False
        )
        if self.average is not None:
            self.average.update(step)
        known = tf.maximum(sums.pop("known"), 1.0)
        size = sums.pop("size")
        return {
            name: value / (known if name in ("accuracy", "target_cosine") else size) for name, value in sums.items()
        }

    def _part(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns this replica's share of the gradient and of the sums that `train_step` reports."""
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        size = tf.cast(tf.shape(labels)[0], tf.float32)
        sums = {}
        with tf.GradientTape() as tape:
            embeddings = self(images, training=True)
            total = tf.constant(0.0)
            head: HeadOutput | None = None
            for name, layer in self.loss_layers.items():
                if isinstance(layer, PrototypeHead) and head is None:
                    head, head_layer = layer.forward(embeddings, labels, training=True), layer
                    loss = head.loss
                elif isinstance(layer, AngularCentre) and head is not None:
                    loss = layer.from_cosine(head.target_cosine, labels)
                else:
                    loss = layer(embeddings, labels, training=True)
                sums[name] = tf.reduce_sum(loss)
                total += self.loss_weights[name] * sums[name]
            # The gradient is of the mean over the global batch, of which all replicas hold equal shares.
            mean = total / (size * replicas * self.accumulation_steps)
            scaled = self.optimizer.get_scaled_loss(mean) if self._scales_loss else mean
        gradients = tape.gradient(scaled, self.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if self._scales_loss:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        known = tf.cast(labels >= 0 if head is None else head_layer.knows(labels), tf.float32)
        if head is not None:
            sums["accuracy"] = tf.reduce_sum(known * tf.cast(head.correct, tf.float32))
            sums["target_cosine"] = tf.reduce_sum(known * head.target_cosine)
        sums["loss"] = total
        sums["embedding_norm"] = tf.reduce_sum(tf.norm(tf.stop_gradient(embeddings), axis=1))
        sums["known"] = tf.reduce_sum(known)
        sums["size"] = size
        return gradients, sums

    def _parts(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns what `_part` returns, summed over the parts of the batch, with the memory of one."""
        shares = [tf.split(whole, self.accumulation_steps) for whole in (images, labels)]
        gradients, sums = self._part(shares[0][0], shares[1][0])
        # Not a tf.while_loop, in which replicas cannot reduce the statistics of batch normalisation.
        for part_images, part_labels in zip(shares[0][1:], shares[1][1:], strict=True):
            with tf.control_dependencies(gradients):  # one after the other, so that memory holds one
                more_gradients, more_sums = self._part(part_images, part_labels)
            gradients = [one + more for one, more in zip(gradients, more_gradients, strict=True)]
            sums = {name: sums[name] + more_sums[name] for name in sums}
        return gradients, sums

    @property
    def _scales_loss(self) -> bool:
        return isinstance(self.optimizer, keras.mixed_precision.LossScaleOptimizer)
