"""Trains in steps from a configuration: checkpoints, validates, logs, exports and measures."""

import contextlib
import logging
from pathlib import Path
from typing import Any

from keras_face import config as configuration
from keras_face.backend import keras, tf
from keras_face.config import Config, LatseConfig
from keras_face.export import Embedder, ServedModel, export_model, load_embedder
from keras_face.measurement import GreyPixels
from keras_face.records import prepare
from keras_face.records.batches import Batches
from keras_face.records.held_out import HeldOut, write_names
from keras_face.records.streams import Mixture, mix, mixing_table
from keras_face.training import fine_tuning, held_out, named_prototypes, optimizers, void
from keras_face.training.alarms import alarm_for
from keras_face.training.build_backbone import build_backbone, check_backbone_name, precision
from keras_face.training.build_losses import build_losses, unused_losses
from keras_face.training.building import build_model
from keras_face.training.checkpoints import Checkpoints
from keras_face.training.compiling import NOTHING, WORDS, form_of
from keras_face.training.evaluation_sets import EvaluationSets
from keras_face.training.feed import Feed
from keras_face.training.hardware import description, on_gpus, unused_gpu
from keras_face.training.input_template import input_template, warn_of_masks
from keras_face.training.latse import MeanImages
from keras_face.training.little_data import warn_of_little
from keras_face.training.log import log_to
from keras_face.training.loop import loop
from keras_face.training.plugins import import_plugins
from keras_face.training.run_facts import run_facts
from keras_face.training.run_lock import held, scratch_of_worker
from keras_face.training.step_summaries import StepSummaries
from keras_face.training.strategy import build_strategy, check_same_step, chief_first, is_chief
from keras_face.training.summaries import Summaries
from keras_face.training.teacher import read_teacher
from keras_face.training.termination import Termination
from keras_face.training.update import Update
from keras_face.training.validation import Validation

logger = logging.getLogger("keras_face")


def train(config: Config) -> dict[str, Any]:
    """Trains as configured, or goes on where the run of `output_dir` stopped, and returns what came of it.

    That is `images_per_second` (None if nothing was left to train) and `results`, the rows of `results.json`.
    The folder then holds `config.ini`, `train.log`, `records/`, `held_out.json` (people who are set apart),
    `checkpoints/` (with `identities.json`, the names of the head's rows), `summaries/`, `export/<step>/`,
    `results.json` and `plots/`.

    Raises:
        ValueError: Something in the configuration or the data is not as expected.
        FloatingPointError: A loss became NaN or infinite; says which, at which step, on which photos.
        SystemExit: SIGTERM, SIGINT or SIGHUP came; the run was saved first.

    Examples:
        >>> config = keras_face.load_config(overrides=[
        ...     "run.output_dir=output/run", "run.strategy=one_device", "data.train=synthetic", "data.image_size=16,16",
        ...     "synthetic.people=4", "synthetic.photos_per_person=6", "model.backbone=sphereface4", "model.width=0.1",
        ...     "model.embedding_size=8", "training.batch_size=8", "training.steps=2",
        ... ])
        >>> found = keras_face.train(config)
        >>> found["results"]
        []
        >>> [path.name for path in Path("output/run/export").iterdir()]
        ['2']
    """
    # 1. What is not ours; the devices, before TensorFlow touches one; and mistakes in network and losses, before
    #    anything is drawn or written.
    run, training = config.run, config.training
    import_plugins(run.plugins)
    if run.deterministic:
        tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(run.tensor_float_32)
    strategy = build_strategy(run)
    form, uncompiled = form_of(run.jit, on_gpus(strategy))
    chief = is_chief(strategy)
    check_backbone_name(config.model)
    void.check_comparisons(config)
    build_losses(
        config.loss, config.losses, num_identities=3, num_sequences=0, has_teacher=bool(config.teacher.model_path)
    )

    # 2. The run's folder, which is no other run's meanwhile, and its log. Of several workers the chief alone writes;
    #    all else they do alike.
    output_dir = Path(run.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as until_the_end:
        scratch = None if chief else until_the_end.enter_context(scratch_of_worker(output_dir))
        if chief:
            until_the_end.enter_context(held(output_dir))
            until_the_end.enter_context(log_to(output_dir))
        float32 = "float32 matrix products in TensorFloat-32" if run.tensor_float_32 else "float32 in full"
        logger.info("on %s", description(strategy, run.precision, WORDS[form], *([float32] * on_gpus(strategy))))
        for less in filter(None, (unused_gpu(), uncompiled)):
            logger.warning("%s", less)

        # 3. The data: what is not there as records yet is drawn or written first.
        held_out.warn_if_nothing_is_measured(config)
        with chief_first(strategy):
            mixture, apart = _mixture(config, output_dir)
            lfw, ytf = prepare.test_sections(config.lfw, config.ytf, config.synthetic, run.seed, output_dir)
        template = input_template(config.data, mixture)
        if config.augmentation.mask:
            warn_of_masks(config.data, mixture)
        identities = named_prototypes.names_of(mixture.datasets)
        batches = Batches(
            mixture,
            training,
            config.data,
            config.augmentation,
            seed=run.seed,
            num_replicas=strategy.num_replicas_in_sync,
            accumulation_steps=config.optimizer.accumulation_steps,
        )
        warn_of_little(mixture, training.batch_size)
        own_people = held_out.test_set(config, apart)
        sets = EvaluationSets(lfw, ytf, own_people, flip=config.validation.flip)
        mean_images = _mean_images(config.latse, output_dir, len(identities), config.data.image_size, run.seed)

        # 4. The model and all else that is restored, freshly drawn; only then can anything be restored into it.
        schedule = optimizers.schedule(config.schedule, batches.steps, training.batch_size)
        void.tell_schedule(schedule, batches.steps, training.batch_size, config.optimizer.ema)
        with strategy.scope():
            teacher = read_teacher(config.teacher, config.loss_weights, identities, template)
            model = build_model(config, mixture, schedule, teacher)
            checkpoints = Checkpoints(
                output_dir / "checkpoints",
                model,
                identities,
                run_facts(config, identities, mixture.datasets, apart),
                chosen_by=config.validation.best,
                keep=training.saver_maxkeep,
                scratch=scratch,
                mean_images=mean_images,
            )
        served = _served(config, "trained")

        with Termination() as termination:
            # 5. Where it begins: with the run's own newest checkpoint, or else with the weights of another model, or
            #    else as it was drawn. Only then is noted what it is made with.
            found = checkpoints.restore()
            check_same_step(strategy, checkpoints.step)
            if found:
                logger.info("going on from %s at step %d of %d", found, checkpoints.step, batches.steps)
            else:
                if config.model.model_path:
                    fine_tuning.start_from(config.model, model, identities)
                checkpoints.begin()
            summaries = None
            if chief:
                write_names(output_dir, apart)
                configuration.write_config(config, output_dir / "config.ini")
                summaries = Summaries(output_dir / "summaries")
                summaries.text(0, "run/config", configuration.config_text(config))
            for name in unused_losses(config.loss, config.losses):
                logger.info("[loss %s] is not used: it is not the head, and has no weight", name)
            validation = Validation(sets, model, served, checkpoints, best=config.validation.best, summaries=summaries)
            logger.info(
                "training %s, %d weights, on %d replica%s, %d steps of %d photos",
                config.model.backbone,
                model.backbone.count_params(),
                strategy.num_replicas_in_sync,
                "" if strategy.num_replicas_in_sync == 1 else "s",
                batches.steps,
                training.batch_size,
            )

            # 6. The steps that are left.
            if form != NOTHING and checkpoints.step < batches.steps:
                logger.info("compiling, about a minute for a large network")
            rate = loop(
                training,
                steps=batches.steps,
                feed=Feed(batches, strategy, checkpoints.step, mean_images),
                update=Update(model, strategy, termination, form),
                checkpoints=checkpoints,
                validation=validation,
                summaries=StepSummaries(summaries, training, schedule, model, strategy),
                alarm=alarm_for(model.loss_layers, run.precision),
                shown=chief,
                read_interval=training.show_info_interval if on_gpus(strategy) else 1,
            )

        # 7. The weights that are chosen: exported, and measured beside the baselines. Every worker comes this far, as
        #    reading a variable of all workers takes all of them.
        if config.validation.best != "last":
            validation.validate(checkpoints.step)
            if checkpoints.restore_best():
                logger.info("the best on %s is step %d", config.validation.best, checkpoints.step)
            else:
                logger.warning("%s has no accuracy, so there is no best model: the last is", config.validation.best)
        served.assign(model.averaged_weights())
        if not chief:
            return {"images_per_second": rate}
        facts = {"backbone": config.model.backbone, "template": template, "loss": config.loss.head}
        folder = export_model(served, output_dir / "export", checkpoints.step, facts)
        logger.info("exported %s", folder)
        embedders: list[Embedder | ServedModel | GreyPixels] = [load_embedder(folder)]
        if config.validation.baselines:
            embedders += [_served(config, "untrained"), GreyPixels(config.data.image_size)]
        measured = sets.report(embedders, output_dir, folder)
        if summaries is not None:
            summaries.final(checkpoints.step, rate, measured[0] if measured else {})
        return {"images_per_second": rate, "results": [row.to_json() for of_one in measured for row in of_one.values()]}


def _mixture(config: Config, output_dir: Path) -> tuple[Mixture, list[HeldOut]]:
    """Returns what is trained on, and the people who are not."""
    data = config.data
    datasets, weights = prepare.training_datasets(
        data.train, config.datasets, config.synthetic, config.run.seed, output_dir, data.images_per_identity
    )
    datasets, apart = held_out.hold_out(data, config.datasets, datasets)
    mixture = mix(datasets, weights, balance=data.balance)
    logger.info("%s", mixing_table(mixture))
    return mixture, apart


def _mean_images(
    latse: LatseConfig, output_dir: Path, num_identities: int, image_size: tuple[int, ...], seed: int
) -> MeanImages | None:
    if not latse.weight or latse.aim != "identity_mean":
        return None
    return MeanImages(output_dir / "mean_images", num_identities, image_size, latse.momentum, seed)


def _served(config: Config, name: str) -> ServedModel:
    """Returns a float32 copy of the network, freshly initialised as the training's was, to measure and export."""
    keras.utils.set_random_seed(config.run.seed)
    with precision("float32"):
        backbone = build_backbone(config.model, config.data.image_size)
    return ServedModel(backbone, name=name, pixel_divisor=config.data.standardise)
