"""People who are set apart from the training by a rule, so that a model can be measured on people it never saw."""

import dataclasses
import functools
import hashlib
import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_face import files
from keras_face.records.dataset import DatasetInfo

FILE = "held_out.json"
_HASHES = 2**64


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """The people of a dataset who are set apart; made by `set_apart`.

    Attributes:
        section: The dataset's name in the configuration.
        dataset: All of it.
        labels: int64, theirs in its files, rising.
    """

    section: str
    dataset: DatasetInfo
    labels: np.ndarray

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Their names, in the order of the labels."""
        return tuple(self.dataset.identities[label] for label in self.labels)

    @property
    def num_images(self) -> int:
        """Their photos."""
        index = self.dataset.index
        return int(index["images"][np.isin(index["label"], self.labels)].sum())


def is_held_out(name: str, share: float, seed: int) -> bool:
    """Returns whether a person is set apart: a rule about the name alone.

    So people who are added or taken away move nobody else into the training or out of it, a person of two datasets is
    in neither's training, and a larger share sets further people apart beside those of a smaller one.

    Args:
        name: Of the person; the same in any Unicode form.
        share: Of all people, [0, 1], in the long run: of few it may be more or less.
        seed: Who they are, any integer.
    """
    text = f"{seed} {unicodedata.normalize('NFC', name)}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") < share * _HASHES


def set_apart(section: str, dataset: DatasetInfo, share: float, seed: int) -> tuple[DatasetInfo, HeldOut]:
    """Returns a dataset without the people who are held out, and these.

    Sequences of unknown people all stay. Nothing is written: the first is the same files with other labels.

    Args:
        section: The dataset's name in the configuration.
        dataset: All of it.
        share: See `is_held_out`.
        seed: Likewise.

    Raises: ValueError if nobody would be left to train.
    """
    out = np.array([is_held_out(name, share, seed) for name in dataset.identities], bool)
    held_out = HeldOut(section, dataset, np.flatnonzero(out))
    if not out.any():
        return dataset, held_out
    if out.all():
        raise ValueError(
            f"[data] hold_out: expected a share that leaves somebody of [{section}] to train, but {share} sets all of "
            f"its {len(out)} people apart; take a smaller one, or another hold_out_seed"
        )
    index = dataset.index
    kept = ~np.isin(index["label"], held_out.labels)
    rest = dataclasses.replace(
        dataset,
        num_records=int(np.count_nonzero(kept)),
        num_images=int(index["images"][kept].sum()),
        num_identities=int(np.count_nonzero(~out)),
        new_labels=np.where(out, -1, np.cumsum(~out) - 1),
    )
    return rest, held_out


def write_names(folder: Path, held_out: Sequence[HeldOut]) -> None:
    """Notes in a run's folder who is held out of its datasets; of nobody there is no file."""
    names = {one.section: list(one.names) for one in held_out if one.names}
    if names:
        files.write_text(folder / FILE, json.dumps(names, indent=0))
    else:
        (folder / FILE).unlink(missing_ok=True)


def read_names(folder: Path) -> list[str]:
    """Returns the names that `write_names` noted, those of all datasets one after the other."""
    path = folder / FILE
    if not path.is_file():
        return []
    return files.read_json(path, "the names of people held out, by dataset", _names)


def _names(held_out: Any) -> list[str]:
    return [str(name) for names in held_out.values() for name in list(names)]
