"""Who the rows of a head are: the names of a run's identities, and prototypes carried over from run to run by name."""

import dataclasses
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from keras_face import files
from keras_face.backend import tf
from keras_face.evaluation.short import Short
from keras_face.export import find_version, newest_checkpoint
from keras_face.records.dataset import DatasetInfo

FILE = "identities.json"
_PROTOTYPES = re.compile(r"/loss_layers/(?P<head>[^/]+)/prototypes/\.ATTRIBUTES/VARIABLE_VALUE$")


@dataclasses.dataclass(frozen=True, repr=False)
class NamedPrototypes(Short):
    """The prototypes of a trained head and whose they are; made by `read_prototypes`.

    Attributes:
        values: float32 [rows, embedding_size]; a head with several for each identity has the rows of one together.
        names: The identities, in the order of their labels.
        source: The checkpoint they are from.
    """

    values: np.ndarray
    names: tuple[str, ...]
    source: str

    def of(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the prototypes of the named identities that are here, and where these stand among the names.

        Returns: float32 [found, prototypes of one identity, embedding_size], and int [found].
        Raises: ValueError if it cannot be told who is who, see `rows`.
        """
        found = rows(self.names, names, self.source)
        here = np.flatnonzero(found >= 0)
        return self.values.reshape(len(self.names), -1, self.values.shape[1])[found[here]], here

    def assign_to(self, prototypes: tf.Variable, names: Sequence[str]) -> int:
        """Gives a head the prototypes of the named identities that are here; the others keep theirs.

        Args:
            prototypes: float32 [rows, embedding_size], of a head that has as many for each identity as this one had.
            names: The head's identities, in the order of their labels.

        Returns: How many identities were found.
        Raises: ValueError as `of`, and for another size, or another number of prototypes for each identity.
        """
        kept, here = self.of(names)
        rows = prototypes.numpy().reshape(len(names), -1, prototypes.shape[1])
        if kept.shape[1:] != rows.shape[1:]:
            raise ValueError(
                f"{self.source}: expected prototypes of {rows.shape[2]} numbers, {rows.shape[1]} for each person, "
                f"got {kept.shape[2]} and {kept.shape[1]}"
            )
        rows[here] = kept
        prototypes.assign(rows.reshape(prototypes.shape))
        return len(here)


def names_of(datasets: Iterable[DatasetInfo]) -> list[str]:
    """Returns the names of all identities of a mixture of datasets, in the order of their labels."""
    return [name for dataset in datasets for name in dataset.identities]


def write_names(folder: Path, names: Sequence[str]) -> None:
    """Notes the names of a run's identities beside its checkpoints."""
    files.write_text(folder / FILE, json.dumps(list(names), indent=0))


def read_names(folder: Path) -> tuple[str, ...] | None:
    """Returns the names that `write_names` noted in a folder; None if there are none."""
    path = folder / FILE
    return (
        files.read_json(path, "names of identities", lambda names: tuple(map(str, names))) if path.is_file() else None
    )


def rows(before: Sequence[str], now: Sequence[str], source: str) -> np.ndarray:
    """Returns for each identity of today the row that it had before, int [len(now)]; -1 for one that is new.

    Args:
        before: Names in the order of their former labels.
        now: Names in the order of their present labels.
        source: Where the former ones are from, for the error.

    Raises: ValueError if the two lists differ and names are numbers, which mean others in every dataset, or not unique.
    """
    if tuple(before) == tuple(now):
        return np.arange(len(before))
    for what, names in ((source, before), ("the training data", now)):
        numbers = [name for name in names if name.isdigit()]
        if numbers:
            raise ValueError(
                f"{what}: expected names of people to find their prototypes by, got numbers ({numbers[0]}, ...), which "
                "are others in every dataset"
            )
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"{what}: expected a name of its own for every identity, {twice[0]} is there twice")
    row = {name: number for number, name in enumerate(before)}
    return np.array([row.get(name, -1) for name in now], int)


def read_prototypes(model_path: str | os.PathLike) -> NamedPrototypes:
    """Returns the prototypes of a trained head: of the checkpoint that was exported, or else of the newest.

    Args:
        model_path: Run folder, folder of checkpoints or a checkpoint; or an export within its run folder.

    Raises: ValueError if there is no checkpoint, or it has no head, or the names of its identities are unknown.
    """
    prefix = _checkpoint(Path(model_path))
    reader = tf.train.load_checkpoint(prefix)
    keys = [key for key in reader.get_variable_to_shape_map() if _PROTOTYPES.search(key)]
    if len(keys) != 1:
        raise ValueError(f"{prefix}: expected the prototypes of one classification head, found {len(keys)}")
    folders = Path(prefix).parents
    names = next(filter(None, (read_names(folder) for folder in (folders[0], folders[1]))), None)
    if names is None:
        raise ValueError(f"{prefix}: expected {FILE} beside it, which names its identities; who they are is unknown")
    values = reader.get_tensor(keys[0])
    if len(values) % len(names):
        raise ValueError(f"{prefix}: expected the prototypes of {len(names)} identities, got {len(values)}")
    return NamedPrototypes(values, names, prefix)


def _checkpoint(path: Path) -> str:
    """Returns the file prefix of the checkpoint that a path stands for."""
    if tf.io.gfile.glob(f"{path}.index"):
        return os.fspath(path)
    run = path
    try:
        version = find_version(path)
        run = version.parent.parent if version.parent.name == "export" else path
        exported = [run / "checkpoints" / folder / f"ckpt-{version.name}" for folder in ("best", ".")]
    except ValueError:
        exported = []
    found = [os.fspath(prefix) for prefix in exported if Path(f"{prefix}.index").is_file()]
    found += filter(None, [newest_checkpoint(run)])
    if not found:
        raise ValueError(
            f"{path}: expected a run's folder with its checkpoints, found none; an export alone has no prototypes"
        )
    return found[0]
