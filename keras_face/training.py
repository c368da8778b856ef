"""Trains in steps from a configuration: checkpoints, validates, logs, exports and measures."""

import dataclasses
import logging
import math
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_face import building, identities, optimizers
from keras_face import config as configuration
from keras_face.backend import keras, tf
from keras_face.config import Config, ModelConfig
from keras_face.data import prepare
from keras_face.data.augment import Augmentation
from keras_face.data.streams import Mixture, mix, mixing_table, train_stream, unreadable
from keras_face.export import Embedder, ServedModel, export_model, load_embedder, load_weights
from keras_face.latse import MeanImages
from keras_face.losses.prototypes import PrototypeHead
from keras_face.losses.triplet import HardestTriplet
from keras_face.measurement import GreyPixels
from keras_face.progress import CollapseAlarm, ConsoleLine, Summaries, log_to
from keras_face.teacher import Teacher
from keras_face.validation import Validation

logger = logging.getLogger("keras_face")

TERMINATED = 128 + signal.SIGTERM  # exit status, as a shell would report it
_STOP = "stop"
_FIGURES = ("lfw", "ytf")  # by which the best model is chosen


def train(config: Config) -> dict[str, Any]:
    """Trains as configured, or goes on where the run of `output_dir` stopped, and returns what came of it.

    That is `images_per_second` (None if nothing was left to train) and `results`, the rows of `results.json`.
    The folder then holds `config.ini`, `train.log`, `records/`, `checkpoints/` (with `identities.json`, the names of
    the head's rows), `summaries/`, `export/<step>/`, `results.json` and `plots/`.

    Raises:
        ValueError: Something in the configuration or the data is not as expected.
        FloatingPointError: A loss became NaN or infinite; says which, at which step, on which photos.
        SystemExit: SIGTERM came; the run was saved first.
    """
    run = config.run
    if run.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = building.build_strategy(run)
    building.build_losses(  # mistakes at once
        config.loss, config.losses, num_identities=3, num_sequences=0, has_teacher=bool(config.teacher.model_path)
    )
    output_dir = Path(run.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    resolver = strategy.cluster_resolver if run.strategy == "multi_worker" else None
    chief = resolver is None or resolver.task_type in (None, "chief") or resolver.task_id == 0
    handler = log_to(output_dir) if chief else None
    try:
        if chief:
            _note_changes(config, output_dir / "config.ini")
            configuration.write(config, output_dir / "config.ini")
            for name in building.unused_losses(config.loss, config.losses):
                logger.info("[loss %s] is not used: it is not the head, and has no weight", name)
        return _Training(config, strategy, output_dir, chief).run()
    finally:
        if handler is not None:
            logger.removeHandler(handler)
            handler.close()


def _note_changes(config: Config, path: Path) -> None:
    """Logs what differs from the configuration that the run was last started with."""
    if not path.exists():
        return
    before, now = dataclasses.asdict(configuration.load(path)), dataclasses.asdict(config)
    for section, keys in now.items():
        for key, value in keys.items():
            if before[section].get(key) != value:
                logger.info(
                    "changed since the last start: [%s] %s: %s -> %s", section, key, before[section].get(key), value
                )


class _Training:
    """One run: what it is made of, and its loop."""

    def __init__(self, config: Config, strategy: tf.distribute.Strategy, output_dir: Path, chief: bool):
        self.config, self.strategy, self.output_dir, self.chief = config, strategy, output_dir, chief
        self.mixture = self._mixture()
        self.identities = identities.names_of(self.mixture.datasets)
        self.steps = self._count_steps(self.mixture)
        self._check_batch()
        lfw, ytf = prepare.test_sections(config.lfw, config.ytf, config.synthetic, config.run.seed, output_dir)
        self.validation = Validation(lfw, ytf, flip=config.validation.flip)
        self.schedule = optimizers.schedule(config.schedule, self.steps, config.training.batch_size)
        with strategy.scope():
            self.teacher = self._read_teacher()
            self.model = building.build_model(config, self.mixture, self.schedule, self.teacher)
            self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
            self.best = tf.Variable([-1.0] * len(_FIGURES), trainable=False, name="best")  # of each figure
        self.served = self._served("trained")
        checkpoint = tf.train.Checkpoint(model=self.model, step=self.step, best=self.best)
        # Every worker takes part in a save (a sharded variable lives on all of them), only the chief's is kept.
        folder = output_dir / "checkpoints" if chief else Path(tempfile.mkdtemp(prefix="keras_face_worker_"))
        self.newest = tf.train.CheckpointManager(checkpoint, os.fspath(folder), config.training.saver_maxkeep)
        self.best_kept = tf.train.CheckpointManager(checkpoint, os.fspath(folder / "best"), 1)
        self.summaries = Summaries(output_dir / "summaries") if chief else None
        self.mean_images: MeanImages | None = None
        if config.latse.weight and config.latse.aim == "identity_mean":
            self.mean_images = MeanImages(
                output_dir / "mean_images",
                len(self.identities),
                config.data.image_size,
                config.latse.momentum,
                config.run.seed,
            )
        self.alarm: CollapseAlarm | None = None
        for name, layer in self.model.loss_layers.items():
            if isinstance(layer, HardestTriplet) and self.alarm is None:
                self.alarm = CollapseAlarm(name, float(layer.cost(tf.constant(0.0))))
        self._terminated = False

    def run(self) -> dict[str, Any]:
        before = signal.signal(signal.SIGTERM, self._terminate)
        try:
            self._start()
            rate = self._loop()
        finally:
            signal.signal(signal.SIGTERM, before)
        return {"images_per_second": rate, **self._finish()}

    def _mixture(self) -> Mixture:
        config = self.config
        datasets, weights = prepare.training_datasets(
            config.data.train,
            config.datasets,
            config.synthetic,
            config.run.seed,
            self.output_dir,
            config.data.images_per_identity,
        )
        mixture = mix(datasets, weights, balance=config.data.balance)
        logger.info("%s", mixing_table(mixture))
        return mixture

    def _read_teacher(self) -> Teacher | None:
        model_path = self.config.teacher.model_path
        if not model_path:
            return None
        known = self.identities if building.needs_teachers_prototypes(self.config) else None
        teacher = Teacher(model_path, known)
        logger.info(
            "the teacher is %s, embeddings of %d numbers%s",
            teacher.name,
            teacher.embedding_size,
            "" if known is None else f", prototypes of all {len(known)} people",
        )
        template = self.mixture.datasets[0].template
        if teacher.template not in (None, template):
            logger.warning("the teacher saw crops aligned to %s, those here are to %s", teacher.template, template)
        return teacher

    def _count_steps(self, mixture: Mixture) -> int:
        training = self.config.training
        steps = training.steps or math.ceil(training.epochs * mixture.num_images / training.batch_size)
        if steps < 1:
            raise ValueError("[training] expected steps or epochs above 0, got 0 of both")
        return steps

    def _check_batch(self) -> None:
        parts = self.strategy.num_replicas_in_sync * self.config.optimizer.accumulation_steps
        per_set = max(1, self.config.data.images_per_identity)
        batch_size = self.config.training.batch_size
        if batch_size % (parts * per_set):
            raise ValueError(
                f"[training] batch_size: expected a multiple of {parts * per_set} (replicas * accumulation_steps * "
                f"images_per_identity), got {batch_size}"
            )

    def _served(self, name: str) -> ServedModel:
        """Returns a float32 copy of the network, freshly initialised as the training's was, to measure and export."""
        keras.utils.set_random_seed(self.config.run.seed)
        with building.precision("float32"):
            backbone = building.build_backbone(self.config.model, self.config.data.image_size)
        return ServedModel(backbone, name=name)

    def _stream(self, start_step: int) -> tf.data.Dataset:
        config = self.config
        return train_stream(
            self.mixture,
            batch_size=config.training.batch_size,
            seed=config.run.seed,
            start_step=start_step,
            images_per_set=config.data.images_per_identity or None,
            augmentation=Augmentation(**dataclasses.asdict(config.augmentation)),
            image_size=config.data.image_size,
            shuffle_buffer=config.data.shuffle_buffer,
        )

    def _start(self) -> None:
        """Restores the newest checkpoint, or starts from `model_path`, or from scratch."""
        folder = self.output_dir / "checkpoints"
        found = tf.train.latest_checkpoint(os.fspath(folder))
        if found:
            before = identities.read(folder)
            if before is not None and list(before) != self.identities:
                raise ValueError(
                    f"{folder}: expected the {len(before)} people that this run began with, in their order, got others "
                    f"({len(self.identities)}); for these start a new run with [model] model_path and keep_prototypes"
                )
            self.newest.checkpoint.restore(found).assert_existing_objects_matched()
            if self.mean_images is not None:
                self.mean_images.restore(int(self.step.numpy()))
            logger.info("going on from %s at step %d of %d", found, int(self.step.numpy()), self.steps)
        elif self.config.model.model_path:
            self._start_from(self.config.model)
        if self.chief and not found:
            identities.write(folder, self.identities)
        replicas = self.strategy.num_replicas_in_sync
        logger.info(
            "training %s, %d weights, on %d replica%s, %d steps of %d photos",
            self.config.model.backbone,
            self.model.backbone.count_params(),
            replicas,
            "" if replicas == 1 else "s",
            self.steps,
            self.config.training.batch_size,
        )

    def _start_from(self, config: ModelConfig) -> None:
        """Takes the weights of a trained network, and the prototypes of people who were trained before."""
        read = load_weights(self.model.backbone, config.model_path)
        if self.model.average is not None:
            self.model.average.restart()
        logger.info("starting from the weights of %s", read)
        if config.frozen_stages:
            frozen = sum(not layer.trainable for layer in self.model.backbone.layers)
            logger.info("%d layers, the first %d stages, stay as they are", frozen, config.frozen_stages)
        if not config.keep_prototypes:
            return
        known = identities.read_prototypes(config.model_path)
        kept, here = known.of(self.identities)
        head = next(layer for layer in self.model.loss_layers.values() if isinstance(layer, PrototypeHead))
        rows = head.prototypes.numpy().reshape(len(self.identities), -1, head.prototypes.shape[1])
        if kept.shape[1:] != rows.shape[1:]:
            raise ValueError(
                f"{known.source}: expected prototypes of {rows.shape[2]} numbers, {rows.shape[1]} for each person, "
                f"got {kept.shape[2]} and {kept.shape[1]}"
            )
        rows[here] = kept
        head.prototypes.assign(rows.reshape(head.prototypes.shape))
        logger.info(
            "kept the prototypes of %d people of %s; %d are new, %d are left out",
            len(here),
            known.source,
            len(self.identities) - len(here),
            len(known.names) - len(here),
        )

    def _terminate(self, *_: Any) -> None:
        self._terminated = True

    def _loop(self) -> float | None:
        """Trains to the last step, and returns the photos per second after the first step; None if there is none."""
        training = self.config.training
        start = int(self.step.numpy())
        # Names are strings, which no GPU takes; the stream gives them again if they are ever asked for.
        batches = self._stream(start).map(lambda batch: {key: batch[key] for key in ("images", "labels")})
        iterator = iter(self.strategy.experimental_distribute_dataset(batches))

        several = self.config.run.strategy == "multi_worker"

        def replica_step(batch, stop):
            seen = self.model.train_step(batch)
            if several:  # a worker that is told to end takes the others with it, at the same step
                context = tf.distribute.get_replica_context()
                # An argument is on no device; its copy is on the replica's.
                seen[_STOP] = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(stop))
            return seen

        @tf.function
        def one_step(batch, stop):
            seen = self.strategy.run(replica_step, args=(batch, stop))
            return {name: self.strategy.experimental_local_results(value)[0] for name, value in seen.items()}

        begun = 0.0
        line = ConsoleLine(self.steps, start, training.batch_size, training.show_info_interval, shown=self.chief)
        try:
            for step in range(start + 1, self.steps + 1):
                batch = self._with_aims(step, self._next(iterator, step))
                seen = one_step(batch, tf.constant(float(self._terminated)))
                numbers = {name: float(value) for name, value in seen.items()}
                ending = bool(numbers.pop(_STOP)) if several else self._terminated
                self._check_finite(step, numbers)
                self.step.assign(step)
                line.update(step, numbers)
                if self.alarm is not None:
                    numbers["collapsed"] = float(self.alarm.update(step, numbers))
                self._summarise(step, numbers, batch)
                if training.validate_interval and step % training.validate_interval == 0 and step < self.steps:
                    self._validate(step)
                if step % training.ckpt_interval == 0 or step == self.steps or ending:
                    if self.mean_images is not None:
                        self.mean_images.save(step)
                    self.newest.save(checkpoint_number=step)
                if ending:
                    logger.info("terminated at step %d, saved", step)
                    raise SystemExit(TERMINATED)
                begun = begun or time.perf_counter()  # the first step builds the graphs, those of the summaries too
        finally:
            line.close()
        counted = self.steps - start - 1
        if counted < 1:
            return None
        rate = counted * training.batch_size / (time.perf_counter() - begun)
        logger.info("trained %d steps, %.1f images/s", self.steps - start, rate)
        return rate

    def _next(self, iterator: Iterator, step: int) -> Any:
        try:
            return next(iterator)
        except tf.errors.InvalidArgumentError as error:
            config = self.config
            names = unreadable(
                self.mixture,
                step=step - 1,
                batch_size=config.training.batch_size,
                seed=config.run.seed,
                images_per_set=config.data.images_per_identity or None,
                shuffle_buffer=config.data.shuffle_buffer,
            )
            reason = f"photos that cannot be decoded: {', '.join(names)}" if names else error.message.split("\n")[0]
            raise ValueError(f"step {step}: {reason}") from None

    def _with_aims(self, step: int, batch: Any) -> Any:
        """Returns the batch with the mean images of its people, where a decoder is to draw these."""
        if self.mean_images is None:
            return batch
        shares = {
            key: [value.numpy() for value in self.strategy.experimental_local_results(batch[key])]
            for key in ("images", "labels")
        }
        aims = self.mean_images.update(step, *(np.concatenate(parts) for parts in shares.values()))
        shares_of_aims = np.split(aims, np.cumsum([len(part) for part in shares["labels"]])[:-1])
        placed = self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(shares_of_aims[context.replica_id_in_sync_group])
        )
        return {**batch, "aims": placed}

    def _check_finite(self, step: int, numbers: dict[str, float]) -> None:
        wrong = [name for name, value in numbers.items() if not math.isfinite(value)]
        if wrong:
            names = next(iter(self._stream(step - 1)))["names"].numpy()
            photos = ", ".join(name.decode(errors="replace") for name in names)
            raise FloatingPointError(
                f"step {step}: {', '.join(f'{name} is {numbers[name]}' for name in wrong)}; "
                f"the last checkpoint is {self.newest.latest_checkpoint or 'none'}; the batch's photos: {photos}"
            )

    def _summarise(self, step: int, numbers: dict[str, float], batch: Any) -> None:
        training = self.config.training
        if self.summaries is not None and step % training.show_info_interval == 0:
            rate = float(self.schedule(step - 1))
            self.summaries.scalars(step, {**numbers, "learning_rate": rate}, "train")
        if step % training.summary_interval == 0 or step == 1:
            images = self.strategy.experimental_local_results(batch["images"])[0]
            labels = self.strategy.experimental_local_results(batch["labels"])[0]
            # On every worker: reading a variable of all workers takes all of them.
            angles = self.model.target_angles(images, labels) if self.config.loss.head != "none" else None
            drawn = self._drawn(batch)
            if self.summaries is not None:
                self.summaries.sheet(step, "train/crops", images.numpy())
                if drawn is not None:
                    self.summaries.sheet(step, "train/reconstructions", drawn)
                if angles is not None:
                    self.summaries.histogram(step, "train/target_angle", angles.numpy())

    def _drawn(self, batch: Any) -> np.ndarray | None:
        """Returns lines of 8 crops, of what should be drawn where that is not the crops, and of what the decoder draws.

        uint8 [n, height, width, 3], black where the batch has no further crop; None without a decoder.
        """
        if "reconstruction" not in self.model.loss_layers:
            return None
        shown = {
            key: self.strategy.experimental_local_results(batch[key])[0][:16].numpy()
            for key in ("images", "aims")
            if key in batch
        }
        shown["drawn"] = self.model.loss_layers["reconstruction"].draw(self.model(shown["images"])).numpy()
        blank = -len(shown["images"]) % 8
        lines = [np.pad(images, [[0, blank], [0, 0], [0, 0], [0, 0]]) for images in shown.values()]
        lines = [images.reshape(-1, 8, *images.shape[1:]) for images in lines]
        return np.stack(lines, axis=1).reshape(-1, *shown["drawn"].shape[1:])

    def _validate(self, step: int) -> None:
        self.served.assign(self.model.averaged_weights())
        figures = self.validation.figures(self.served)
        if not figures:
            return
        logger.info("step %d: %s", step, ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
        if self.summaries is not None:
            self.summaries.scalars(step, figures, "validation")
        before = dict(zip(_FIGURES, self.best.numpy().tolist(), strict=True))
        improved = [name for name in _FIGURES if name in figures and np.float32(figures[name]) > before[name]]
        self.best.assign([figures[name] if name in improved else before[name] for name in _FIGURES])
        if self.config.validation.best in improved or (self.config.validation.best == "either" and improved):
            self.best_kept.save(checkpoint_number=step)

    def _finish(self) -> dict[str, Any]:
        """Exports the chosen weights, measures them beside the baselines, and writes the results.

        Every worker comes here, as reading a variable of all workers takes all of them; the chief alone writes.
        """
        if self.config.validation.best != "last":
            self._validate(int(self.step.numpy()))
            self.newest.checkpoint.restore(self.best_kept.latest_checkpoint).assert_existing_objects_matched()
            logger.info("the best on %s is step %d", self.config.validation.best, int(self.step.numpy()))
        self.served.assign(self.model.averaged_weights())
        if not self.chief:
            return {}
        facts = {
            "backbone": self.config.model.backbone,
            "template": self.mixture.datasets[0].template,
            "loss": self.config.loss.head,
        }
        folder = export_model(self.served, self.output_dir / "export", int(self.step.numpy()), facts)
        logger.info("exported %s", folder)
        if self.summaries is not None:
            self.summaries.flush()
        embedders: list[Embedder | ServedModel | GreyPixels] = [load_embedder(folder)]
        if self.config.validation.baselines:
            embedders += [self._served("untrained"), GreyPixels(self.config.data.image_size)]
        return self.validation.report(embedders, self.output_dir)
