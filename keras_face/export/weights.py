"""From an exported model or a checkpoint to the weights of a backbone."""

import os
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_face.backbones.dropout import network_weights
from keras_face.backend import keras, tf
from keras_face.export import checkpoint_files
from keras_face.export.embedder import find_version

_EXPORTED = re.compile(r"weights_in_order/(\d+)/\.ATTRIBUTES/VARIABLE_VALUE")
_IN_BACKBONE = re.compile(r"model/backbone/(?P<path>.+)/\.ATTRIBUTES/VARIABLE_VALUE")
_LAYER = re.compile(r"^layer_with_weights-(\d+)/")


def load_weights(backbone: keras.Model, model_path: str | os.PathLike) -> str:
    """Sets all weights of a backbone, moving statistics included, from an export or a checkpoint.

    What random layers count, as dropout does, is no weight: the other network may have had more of them, or none.

    Args:
        backbone: Model of the same architecture and sizes.
        model_path: SavedModel folder, folder of numbered ones, run folder, or a training's checkpoint or their folder,
            of which the newest whole one is read.

    Returns: The file prefix that was read.
    Raises: ValueError if nothing is found there, or what is there does not fit the backbone.
    """
    path = Path(model_path)
    try:
        prefix, read = os.fspath(find_version(path) / "variables" / "variables"), _read_export
    except ValueError:
        found, read = newest_checkpoint(path), _read_checkpoint
        if found is None:
            raise ValueError(
                f"{path}: expected an exported model, a run's folder or a checkpoint, found none"
            ) from None
        prefix = found
    try:
        read(backbone, prefix)
    except (ValueError, AssertionError, tf.errors.OpError) as error:
        reason = str(error).split("\n")[0]
        raise ValueError(f"{prefix}: expected the weights of this backbone ({backbone.name}): {reason}") from None
    return prefix


def newest_checkpoint(path: Path) -> str | None:
    """Returns the file prefix of the checkpoint that a path stands for: itself, or the newest whole one in it.

    Args:
        path: A checkpoint, a folder of them, or a run's folder.

    Returns: None if there is none.
    Raises: ValueError if there are some, and none is whole.
    """
    if Path(f"{path}.index").is_file():
        return os.fspath(path)
    found = filter(None, map(checkpoint_files.newest_whole, (path / "checkpoints", path)))
    return next(map(os.fspath, found), None)


def exported_weights(variables: str | os.PathLike) -> Iterator[Any]:
    """Yields the weights of an exported network, arrays in their order, without what random layers count.

    Args:
        variables: The file prefix of a SavedModel's variables, one of an earlier version too.
    """
    reader = tf.train.load_checkpoint(os.fspath(variables))
    found = {int(match[1]): name for name in reader.get_variable_to_shape_map() if (match := _EXPORTED.fullmatch(name))}
    dtypes = reader.get_variable_to_dtype_map()
    for _, name in sorted(found.items()):
        if dtypes[name] != tf.int64:  # a count, in an export of an earlier version
            yield reader.get_tensor(name)


def _read_export(backbone: keras.Model, prefix: str) -> None:
    _assign(network_weights(backbone), list(exported_weights(prefix)))


def _read_checkpoint(backbone: keras.Model, prefix: str) -> None:
    root = tf.train.Checkpoint(model=tf.train.Checkpoint(backbone=backbone))
    try:
        root.read(prefix).assert_existing_objects_matched().expect_partial()
    except (ValueError, AssertionError):
        # With a random layer more or fewer the layers after it are numbered otherwise.
        reader = tf.train.load_checkpoint(prefix)
        names = {m["path"]: name for name in reader.get_variable_to_shape_map() if (m := _IN_BACKBONE.fullmatch(name))}
        saved, own = _without_counts(names), _without_counts(_variables(backbone))
        if saved.keys() != own.keys():
            raise
        _assign(list(own.values()), [reader.get_tensor(saved[key]) for key in own])


def _assign(variables: Sequence[tf.Variable], values: Sequence[Any]) -> None:
    if len(variables) != len(values):
        raise ValueError(f"expected {len(variables)} of them, got {len(values)}")
    for variable, value in zip(variables, values, strict=True):
        if variable.shape != value.shape:
            raise ValueError(f"{variable.name}: expected the shape {tuple(variable.shape)}, got {value.shape}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _variables(backbone: keras.Model) -> dict[str, tf.Variable]:
    """Returns the variables of a network by the paths that a checkpoint has them under."""
    view = tf.train.TrackableView(backbone)
    found, seen, waiting = {}, {id(backbone)}, deque([(backbone, "")])
    while waiting:
        parent, path = waiting.popleft()
        for name, child in view.children(parent).items():
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append((child, f"{path}{name}/"))
                if isinstance(child, tf.Variable):
                    found[f"{path}{name}"] = child
    return found


def _without_counts(by_path: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is there but for what random layers count; layers that have nothing else leave no gap."""
    kept = {path: value for path, value in by_path.items() if not path.endswith("/step")}
    numbers = sorted({int(match[1]) for path in kept if (match := _LAYER.match(path))})
    return {_LAYER.sub(lambda m: f"layer_with_weights-{numbers.index(int(m[1]))}/", path): kept[path] for path in kept}
