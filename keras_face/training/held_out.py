"""What a training measures of its own people: those who are set apart from it."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence

from keras_face.config import Config, DataConfig, DatasetConfig
from keras_face.measurement.drawn import marked_pairs
from keras_face.measurement.held_out import held_out_task
from keras_face.measurement.verification import Task
from keras_face.records import prepare
from keras_face.records.dataset import DatasetInfo
from keras_face.records.held_out import FILE, HeldOut, set_apart

logger = logging.getLogger("keras_face")


def hold_out(
    data: DataConfig, sections: Mapping[str, DatasetConfig], datasets: Sequence[DatasetInfo]
) -> tuple[list[DatasetInfo], list[HeldOut]]:
    """Returns the datasets without the people who are set apart, and these, whom it logs; drawn people all stay.

    Args:
        data: Which share is set apart, and the names of the datasets.
        sections: The dataset sections.
        datasets: Those of `data.train`, in its order.

    Raises: ValueError if nobody of a dataset would be left to train.
    """
    if not data.hold_out:
        return list(datasets), []
    kept, apart = [], []
    for name, dataset in zip(data.train, datasets, strict=True):
        if prepare.is_drawn(name, sections):
            kept.append(dataset)
            continue
        rest, held_out = set_apart(name, dataset, data.hold_out, data.hold_out_seed)
        kept.append(rest)
        apart.append(held_out)
        logger.info(
            "[%s] %d of %d people, %d photos, are held out to be measured on; %s names them",
            *(name, len(held_out.labels), dataset.num_identities, held_out.num_images, FILE),
        )
    return kept, apart


def test_set(config: Config, held_out: Sequence[HeldOut]) -> Task | None:
    """Returns pairs of the people who are set apart; None if none are asked for, or too few (a warning).

    Raises: ValueError if they are too few and the best model is to be chosen by them alone.
    """
    if not config.data.hold_out:
        return None
    best, others = config.validation.best, config.lfw.enable or config.ytf.enable
    try:
        task = held_out_task(held_out)
    except ValueError as error:
        if best == "held_out" or (best == "either" and not others):
            raise ValueError(f"[validation] best: held-out people cannot be measured: {error}") from None
        logger.warning("held-out people are not measured: %s; a larger [data] hold_out sets more apart", error)
        return None
    folders = [folder for one in held_out for folder in (config.datasets[one.section].photos or None, one.dataset.path)]
    return dataclasses.replace(task, pairs=marked_pairs(task.pairs, *folders))


def warn_if_nothing_is_measured(config: Config) -> None:
    """Warns of a training that has no test set."""
    if not (config.lfw.enable or config.ytf.enable or config.data.hold_out):
        logger.warning(
            "this training measures nothing: [data] hold_out = 0.1 would set a tenth of your people apart for it, and "
            "[lfw] and [ytf] name test sets"
        )
