"""FaceModel: a backbone, its losses and how one batch moves them."""

import inspect
from collections.abc import Callable, Mapping, Sequence

from keras_face.backbones.dropout import network_weights
from keras_face.backend import keras, tf
from keras_face.losses.centre import AngularCentre
from keras_face.losses.distillation import Distillation
from keras_face.losses.prototypes import HeadOutput, PrototypeHead
from keras_face.losses.teacher import TeacherOutput, mask_gradient
from keras_face.losses.triplet import HardestTriplet
from keras_face.photos.images import standardise
from keras_face.training.fitting import Fitted
from keras_face.training.optimizers import WeightAverage, decays, slow_down
from keras_face.training.sums import COUNTS, OVER, reported, scope_of, triplet_sums


@keras.utils.register_keras_serializable(package="keras_face")
class FaceModel(Fitted):
    """A face-embedding network with the losses that train it; a Keras model with all that belongs to one.

    `fit` and `evaluate` take uint8 images with integer labels, as two arrays, as tuples or as dictionaries of `images`
    and `labels`, and report means over all that they saw; `compile` needs an optimizer alone. `.keras` files hold it
    whole, but for a teacher, a mask and weights that are functions, which are refused.

    The loss of a batch is `sum over losses of weight * mean over the global batch`; losses give one number per example
    and this is the only place where they are weighted and averaged.

    Args:
        backbone: Model from standardised images to embeddings, [batch, height, width, 3] to [batch, embedding_size].
        losses: Loss layers by the name they are reported under; called as `layer(embeddings, labels, training=True)`.
            The first `PrototypeHead` also gives the accuracy; an `AngularCentre` on it comes after it. One whose call
            takes `teacher` is given what the teacher makes of the images, one that takes `aims` the images themselves,
            or the batch's `aims` where there are any.
        weights: Weight of each loss, a number or a function from the step, int64 counted from 0, to a number.
        weight_decay: Added to the gradient as weight_decay * variable where `optimizers.decays` holds.
        decay_scope: `weights` or `all`, see `optimizers.decays`.
        clip_norm: Largest norm of the gradient, before weight decay; 0: any.
        clip_scope: Whose gradient that is: of `all` variables together; of those of the `backbone`, while the losses'
            own is not limited (arcface_torch).
        clip_value: Largest size of each number of the gradient, clamped before `clip_norm`; 0: any.
        accumulation_steps: Parts that a batch is computed in, one after the other; statistics and mining see a part.
        average_decay: Decay of the moving average of the backbone's weights; 0: no average.
        teacher: Gives its embeddings, and cosines with its prototypes, of images; not trained, and not saved.
        mask: What the gradient of each example is multiplied by, float32 [batch], from the teacher's cosines and the
            labels: of a loss that compares with prototypes as a whole, of others where it reaches the embedding, so
            that a decoder learns from the whole batch. None: 1.
        pixel_divisor: Of the pixels, less 127.5, in grey levels; see `photos.images.standardise`.
        learning_rate_factors: Variables whose learning rate is not the whole one, and its share.

    Attributes:
        compiles_network: Whether the network, forward and backward, is compiled by XLA in training, and nothing else.

    Call arguments:
        images: uint8 [batch, height, width, 3], RGB.
        training: bool.

    Returns: float32 [batch, embedding_size], embeddings, not of unit length.
    Raises: ValueError if a loss has no weight, or needs a teacher where there is none.

    Examples:
        >>> network = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(8)])
        >>> head = keras_face.losses.get("cosface", num_identities=4)
        >>> model = keras_face.FaceModel(network, {"cosface": head}, {"cosface": 1.0})
        >>> model.compile(optimizer=keras.optimizers.SGD(0.1))
        >>> images, labels = np.zeros((8, 16, 16, 3), np.uint8), np.arange(8) % 4
        >>> sorted(model.fit(images, labels, verbose=0).history)
        ['accuracy', 'cosface', 'embedding_norm', 'loss', 'target_cosine']
        >>> model.predict(images, verbose=0).shape
        (8, 8)
    """

    def __init__(
        self,
        backbone: keras.Model,
        losses: Mapping[str, keras.layers.Layer],
        weights: Mapping[str, float | Callable[[tf.Tensor], tf.Tensor]],
        *,
        weight_decay: float = 0.0,
        decay_scope: str = "weights",
        clip_norm: float = 0.0,
        clip_scope: str = "all",
        clip_value: float = 0.0,
        accumulation_steps: int = 1,
        average_decay: float = 0.0,
        teacher: Callable[[tf.Tensor], TeacherOutput] | None = None,
        mask: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        pixel_divisor: float = 128.0,
        learning_rate_factors: Sequence[tuple[tf.Variable, float]] = (),
        name: str = "face_model",
    ):
        super().__init__(name=name)
        if set(losses) != set(weights) or not losses:
            raise ValueError(
                f"expected a weight for each loss, got losses {sorted(losses)} and weights {sorted(weights)}"
            )
        self.backbone = backbone
        self.loss_layers = dict(losses)
        self.loss_weights = dict(weights)
        if decay_scope not in ("weights", "all") or clip_scope not in ("all", "backbone"):
            raise ValueError(
                f"expected decay_scope weights or all and clip_scope all or backbone, got {decay_scope}, {clip_scope}"
            )
        self.weight_decay, self.decay_scope = weight_decay, decay_scope
        self.clip_norm, self.clip_scope, self.clip_value = clip_norm, clip_scope, clip_value
        self.accumulation_steps, self.pixel_divisor = accumulation_steps, pixel_divisor
        self.average = WeightAverage(backbone.trainable_variables, average_decay) if average_decay else None
        # Functions, so that Keras sees, and saves, neither a teacher nor variables twice.
        self._teacher, self._mask = teacher and (lambda images: teacher(images)), mask
        factors = tuple((variable, factor) for variable, factor in learning_rate_factors if factor != 1.0)
        self._slowed = lambda: factors
        self._takes = {name: set(inspect.signature(layer.call).parameters) for name, layer in losses.items()}
        asking = [name for name, taken in self._takes.items() if "teacher" in taken]
        if teacher is None and (asking or mask):
            raise ValueError(f"expected a teacher for {asking or 'the mask'}, got none")
        for layer in losses.values():
            if not layer.built:
                layer.build((None, backbone.output_shape[-1]))
        self.compiles_network = False
        # Behind a function, so that they are no part of checkpoints and weights.
        means = {name: keras.metrics.Mean(name) for name in reported(losses, masked=bool(mask))}
        self._means = lambda: means

    @property
    def has_teacher(self) -> bool:
        """Whether another model's embeddings take part."""
        return self._teacher is not None

    @property
    def learning_rate_factors(self) -> Sequence[tuple[tf.Variable, float]]:
        """Variables whose learning rate is not the whole one, and its share."""
        return self._slowed()

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        pixels = standardise(images, self.backbone.compute_dtype, self.pixel_divisor)
        return self.backbone(pixels, training=training)

    @tf.function(jit_compile=True)
    def _compiled_network(self, images: tf.Tensor) -> tf.Tensor:
        return self(images, training=True)

    def averaged_weights(self) -> list[tf.Tensor]:
        """Returns the values of the `network_weights`, with the moving averages where there are any."""
        if self.average is None:
            return [weight.value() for weight in network_weights(self.backbone)]
        averages = {
            id(variable): average
            for variable, average in zip(self.backbone.trainable_variables, self.average.averages, strict=True)
        }
        return [averages.get(id(weight), weight).value() for weight in network_weights(self.backbone)]

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

    def update(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Makes one update and returns what it saw, the same on every replica.

        Args:
            batch: `images` uint8 [batch, height, width, 3] and `labels` int64 [batch], this replica's share; and `aims`
                uint8 [batch, height, width, 3], where a decoder is to draw something else than the images.

        Returns: float32 scalars, means over the global batch: `loss`, each loss by its name (not weighted),
            `embedding_norm`; with a classification head `accuracy` (share of known identities whose prototype is
            the nearest, margin not counted) and `target_cosine` (mean cosine to the own prototype); with a mask
            `teacher_mask`; with a loss of hardest triplets, over the anchors that count, `active_triplets` (the share
            whose negative is not farther than the positive by the margin), `positive_distance` and `negative_distance`
            (to the hardest ones); in float16 `loss_scale`, and `skipped`, 1 where the update was, as its gradient was
            infinite, else 0.
        """
        scale_before = self.optimizer.loss_scale if self._scales_loss else None
        sums = self._update(batch)
        counts = {name: sums.pop(name) for name in COUNTS if name in sums}
        seen = {name: value / tf.maximum(counts[OVER.get(name, "size")], 1.0) for name, value in sums.items()}
        if self._scales_loss:
            scale = self.optimizer.loss_scale
            # Where it is not skipped the count of good steps goes up, or the scale does.
            skipped = tf.logical_and(self.optimizer.dynamic_counter == 0, scale <= scale_before)
            seen |= {"loss_scale": scale, "skipped": tf.cast(skipped, tf.float32)}
        return seen

    def _update(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Makes one update, and returns the sums over the global batch of what it saw, and what they are sums over."""
        context = tf.distribute.get_replica_context()
        batch = {name: batch[name] for name in ("images", "labels", "aims") if name in batch}
        gradients, sums = self._part(batch) if self.accumulation_steps == 1 else self._parts(batch)
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
        gradients = self._limited(gradients)
        if self.weight_decay:
            gradients = [
                gradient + self.weight_decay * variable if decays(variable, self.decay_scope) else gradient
                for gradient, variable in zip(gradients, self.trainable_variables, strict=True)
            ]
        step = self.optimizer.iterations + 0
        with tf.name_scope("optimizer"), slow_down(self.learning_rate_factors):
            # Reduced above, before clipping and decay, so the optimizer must not reduce again.
            self.optimizer.apply_gradients(
                zip(gradients, self.trainable_variables, strict=True), experimental_aggregate_gradients=False
            )
        if self.average is not None:
            self.average.update(step)
        return sums

    def _limited(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Returns the gradients of `trainable_variables`, clamped and clipped as asked for."""
        if self.clip_value:
            gradients = [tf.clip_by_value(gradient, -self.clip_value, self.clip_value) for gradient in gradients]
        if self.clip_norm:
            scope = self.backbone if self.clip_scope == "backbone" else self
            places = {id(variable): place for place, variable in enumerate(self.trainable_variables)}
            chosen = [places[id(variable)] for variable in scope.trainable_variables]
            clipped, _ = tf.clip_by_global_norm([gradients[place] for place in chosen], self.clip_norm)
            for place, gradient in zip(chosen, clipped, strict=True):
                gradients[place] = gradient
        return gradients

    def _part(self, batch: Mapping[str, tf.Tensor]) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns this replica's share of the gradient and of the sums that `update` reports."""
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        size = tf.cast(tf.shape(batch["labels"])[0], tf.float32)
        with tf.GradientTape() as tape:
            total, sums = self._sums(batch, training=True)
            # The gradient is of the mean over the global batch, of which all replicas hold equal shares.
            mean = total / (size * replicas * self.accumulation_steps)
            scaled = self.optimizer.get_scaled_loss(mean) if self._scales_loss else mean
        gradients = tape.gradient(scaled, self.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if self._scales_loss:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        return gradients, sums

    def _sums(self, batch: Mapping[str, tf.Tensor], training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns this replica's share of the weighted loss, a sum, and of all sums that are reported, with counts."""
        images, labels = batch["images"], batch["labels"]
        sums = {}
        with tf.name_scope("teacher"):
            seen = self._teacher(images) if self._teacher else None
        with tf.name_scope("network"):
            alone = training and self.compiles_network
            whole = embeddings = self._compiled_network(images) if alone else self(images, training=training)
        mask = self._mask(seen.cosines, labels) if self._mask and seen is not None else None
        if mask is not None:
            sums["teacher_mask"] = tf.reduce_sum(mask)
        total = tf.constant(0.0)
        head: HeadOutput | None = None
        for name, layer in self.loss_layers.items():
            by_prototypes = isinstance(layer, PrototypeHead) or hasattr(layer, "head")
            if mask is not None:
                embeddings = whole if by_prototypes else mask_gradient(whole, mask)
            with tf.name_scope(scope_of(name)):
                if isinstance(layer, PrototypeHead) and head is None:
                    head, head_layer = layer.forward(embeddings, labels, training=training), layer
                    loss = head.loss
                elif isinstance(layer, AngularCentre) and head is not None:
                    loss = layer.from_cosine(head.target_cosine, labels)
                elif isinstance(layer, HardestTriplet) and "anchors" not in sums:
                    triplets = layer.forward(embeddings, labels)
                    loss = triplets.loss
                    sums |= triplet_sums(triplets)
                else:
                    more = {"aims": batch.get("aims", images)} if "aims" in self._takes[name] else {}
                    if "teacher" in self._takes[name] and seen is not None:
                        more["teacher"] = layer.part_of(seen) if isinstance(layer, Distillation) else seen.embeddings
                    loss = layer(embeddings, labels, training=training, **more)
            if mask is not None and by_prototypes:  # as huya_face does at the logits: prototypes refuse the photo too
                loss = mask_gradient(loss, mask)
            sums[name] = tf.reduce_sum(loss)
            weight = self.loss_weights[name]
            total += (weight(self.optimizer.iterations) if callable(weight) else weight) * sums[name]
        known = tf.cast(labels >= 0 if head is None else head_layer.knows(labels), tf.float32)
        if head is not None:
            sums["accuracy"] = tf.reduce_sum(known * tf.cast(head.correct, tf.float32))
            sums["target_cosine"] = tf.reduce_sum(known * head.target_cosine)
        sums["loss"] = total
        sums["embedding_norm"] = tf.reduce_sum(tf.norm(tf.stop_gradient(embeddings), axis=1))
        sums["known"] = tf.reduce_sum(known)
        sums["size"] = tf.cast(tf.shape(labels)[0], tf.float32)
        return total, sums

    def _parts(self, batch: Mapping[str, tf.Tensor]) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns what `_part` returns, summed over the parts of the batch, with the memory of one."""
        shares = {name: tf.split(whole, self.accumulation_steps) for name, whole in batch.items()}
        parts = [{name: share[number] for name, share in shares.items()} for number in range(self.accumulation_steps)]
        gradients, sums = self._part(parts[0])
        # Not a tf.while_loop, in which replicas cannot reduce the statistics of batch normalisation.
        for part in parts[1:]:
            with tf.control_dependencies(gradients):  # one after the other, so that memory holds one
                more_gradients, more_sums = self._part(part)
            gradients = [one + more for one, more in zip(gradients, more_gradients, strict=True)]
            sums = {name: sums[name] + more_sums[name] for name in sums}
        return gradients, sums

    @property
    def _scales_loss(self) -> bool:
        return isinstance(self.optimizer, keras.mixed_precision.LossScaleOptimizer)
