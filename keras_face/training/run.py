"""Trains in steps from a configuration: checkpoints, validates, logs, exports and measures."""

import dataclasses
import logging
import math
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from keras_face import config as configuration
from keras_face.alignment import templates
from keras_face.backend import keras, tf
from keras_face.config import Config
from keras_face.export import Embedder, ServedModel, export_model, load_embedder
from keras_face.losses.triplet import HardestTriplet
from keras_face.measurement import GreyPixels
from keras_face.records import prepare
from keras_face.records.batches import Batches
from keras_face.records.streams import Mixture, mix, mixing_table
from keras_face.training import fine_tuning, named_prototypes, optimizers
from keras_face.training.build_backbone import build_backbone, precision
from keras_face.training.build_losses import build_losses, unused_losses
from keras_face.training.building import build_model
from keras_face.training.collapse import CollapseAlarm
from keras_face.training.console import ConsoleLine
from keras_face.training.latse import MeanImages
from keras_face.training.log import log_to
from keras_face.training.strategy import build_strategy, is_chief
from keras_face.training.summaries import Summaries
from keras_face.training.teacher import read_teacher
from keras_face.training.validation import Validation

logger = logging.getLogger("keras_face")

TERMINATED = 128 + signal.SIGTERM  # exit status, as a shell would report it
_STOP = "stop"
_FIGURES = ("lfw", "ytf")  # by which the best model is chosen
_ERRORS_SHOWN = 8  # false accepts, and false rejects, of a set


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
    strategy = build_strategy(run)
    build_losses(  # mistakes at once
        config.loss, config.losses, num_identities=3, num_sequences=0, has_teacher=bool(config.teacher.model_path)
    )
    output_dir = Path(run.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    chief = is_chief(strategy)
    handler = log_to(output_dir) if chief else None
    try:
        if chief:
            _note_changes(config, output_dir / "config.ini")
            configuration.write_config(config, output_dir / "config.ini")
            for name in unused_losses(config.loss, config.losses):
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
        self.identities = named_prototypes.names_of(self.mixture.datasets)
        self.batches = Batches(config, self.mixture, strategy.num_replicas_in_sync)
        self.steps = self.batches.steps
        lfw, ytf = prepare.test_sections(config.lfw, config.ytf, config.synthetic, config.run.seed, output_dir)
        self.validation = Validation(lfw, ytf, flip=config.validation.flip)
        self.schedule = optimizers.schedule(config.schedule, self.steps, config.training.batch_size)
        with strategy.scope():
            self.teacher = read_teacher(config.teacher, config.loss_weights, self.identities, self._template())
            self.model = build_model(config, self.mixture, self.schedule, self.teacher)
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

    def _template(self) -> str:
        """Returns what the network's input is aligned to: with `crop_from` the middle of the crops."""
        template, data = self.mixture.datasets[0].template, self.config.data
        return templates.of_window(template, data.crop_from, data.image_size) if data.crop_from else template

    def _served(self, name: str) -> ServedModel:
        """Returns a float32 copy of the network, freshly initialised as the training's was, to measure and export."""
        keras.utils.set_random_seed(self.config.run.seed)
        with precision("float32"):
            backbone = build_backbone(self.config.model, self.config.data.image_size)
        return ServedModel(backbone, name=name)

    def _start(self) -> None:
        """Restores the newest checkpoint, or starts from `model_path`, or from scratch."""
        folder = self.output_dir / "checkpoints"
        found = tf.train.latest_checkpoint(os.fspath(folder))
        if found:
            before = named_prototypes.read_names(folder)
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
            fine_tuning.start_from(self.config.model, self.model, self.identities)
        if self.chief and not found:
            named_prototypes.write_names(folder, self.identities)
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

    def _terminate(self, *_: Any) -> None:
        self._terminated = True

    def _loop(self) -> float | None:
        """Trains to the last step, and returns the photos per second after the first step; None if there is none."""
        training = self.config.training
        start = int(self.step.numpy())
        # Names are strings, which no GPU takes; the stream gives them again if they are ever asked for.
        batches = self.batches.stream(start).map(lambda batch: {key: batch[key] for key in ("images", "labels")})
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
                batch = self.batches.next_of(iterator, step - 1)
                if self.mean_images is not None:
                    batch = self.mean_images.with_aims(step, batch, self.strategy)
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

    def _check_finite(self, step: int, numbers: dict[str, float]) -> None:
        wrong = [name for name, value in numbers.items() if not math.isfinite(value)]
        if wrong:
            raise FloatingPointError(
                f"step {step}: {', '.join(f'{name} is {numbers[name]}' for name in wrong)}; "
                f"the last checkpoint is {self.newest.latest_checkpoint or 'none'}; "
                f"the batch's photos: {', '.join(self.batches.names(step - 1))}"
            )

    def _summarise(self, step: int, numbers: dict[str, float], batch: Any) -> None:
        training = self.config.training
        if self.summaries is not None and step % training.show_info_interval == 0:
            rate = float(self.schedule(step - 1))
            self.summaries.scalars(step, {**numbers, "learning_rate": rate}, "train")
        if step % training.summary_interval == 0 or step == 1:
            share = {key: self.strategy.experimental_local_results(value)[0] for key, value in batch.items()}
            images, headless = share["images"], self.config.loss.head == "none"
            # On every worker: reading a variable of all workers takes all of them.
            angles = None if headless else self.model.target_angles(images, share["labels"])
            reconstruction = self.model.loss_layers.get("reconstruction")
            drawn = None if reconstruction is None else reconstruction.compared(self.model, share)
            if self.summaries is not None:
                self.summaries.sheet(step, "train/crops", images.numpy())
                if drawn is not None:
                    self.summaries.sheet(step, "train/reconstructions", drawn)
                if angles is not None:
                    self.summaries.histogram(step, "train/target_angle", angles.numpy())

    def _validate(self, step: int) -> None:
        self.served.assign(self.model.averaged_weights())
        found = self.validation.measure(self.served)
        accuracies = {name: each.measured.result.accuracy for name, each in found.items()}
        figures = {name: accuracy.mean for name, accuracy in accuracies.items() if accuracy is not None}
        if not figures:
            return
        logger.info("step %d: %s", step, ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
        if self.summaries is not None:
            self.summaries.scalars(step, figures, "validation")
            for name, each in found.items():
                for kind, photos in each.worst_errors(self.served.image_size, _ERRORS_SHOWN).items():
                    self.summaries.sheet(step, f"validation/{name}_{kind}", photos, columns=2)
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
            "template": self._template(),
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
