"""From an exported model to an embedder, and the thresholds that were found for it."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keras_face import files
from keras_face.backend import tf

FACTS = Path("assets") / "keras_face.json"


def find_version(model_path: str | os.PathLike) -> Path:
    """Returns the SavedModel folder of a path: itself, or the highest numbered folder in it or in its `export`.

    Raises:
        ValueError: There is none.

    Examples:
        >>> keras_face.export.find_version("output/run").as_posix()
        'output/run/export/2'
    """
    path = Path(model_path)
    for folder in (path, path / "export"):
        if (folder / "saved_model.pb").is_file():
            return folder
        versions = [
            child for child in folder.glob("*") if child.name.isdigit() and (child / "saved_model.pb").is_file()
        ]
        if versions:
            return max(versions, key=lambda version: int(version.name))
    raise ValueError(f"{path}: expected a SavedModel folder, or a folder of numbered ones, {_instead(path)}")


def _instead(path: Path) -> str:
    """Returns what there is instead of an exported model: nothing, or a run or checkpoint, and what exports it."""
    is_checkpoint = Path(f"{path}.index").is_file() or (path / "checkpoint").is_file()
    # A run's folder has the folder `checkpoints`, which has checkpoints and `best`, a folder with one more.
    runs = [path] if (path / "checkpoints").is_dir() else []
    if is_checkpoint:
        runs += [folder.parent for folder in (path, *path.parents) if folder.name == "checkpoints"]
    if not runs:
        return "got a checkpoint, which only the run that it is of can export" if is_checkpoint else "found none"
    run, *_ = runs
    if any(run.glob("export/*/saved_model.pb")):
        return f"got a checkpoint; the model that its run exported is {run}"
    return (
        "got a run that has not exported yet, as it does at its end; to go on with it: "
        f"python -m train_centre --config {run / 'config.ini'}"
    )


class EmbedderLike(Protocol):
    """What embeds: a callable from images to unit embeddings, such as an `Embedder`.

    If it has a method `with_norms`, which also gives the lengths float32 [n] that the embeddings had, photos can be
    weighed by these.

    Call arguments:
        images: uint8 [n, height, width, 3], RGB aligned crops of `image_size`.

    Returns: float32 array [n, embedding_size], unit length.

    Examples:
        >>> class MeanColour:
        ...     name, image_size, batch_size = "mean colour", (112, 112), 64
        ...     def __call__(self, images):
        ...         colours = images.reshape(len(images), -1, 3).mean(axis=1).astype(np.float32) + 1
        ...         return colours / np.linalg.norm(colours, axis=1, keepdims=True)
        ...
        >>> MeanColour()(np.zeros((2, 112, 112, 3), np.uint8)).shape
        (2, 3)
    """

    @property
    def name(self) -> str: ...
    @property
    def image_size(self) -> tuple[int, int]: ...
    @property
    def batch_size(self) -> int: ...
    def __call__(self, images: np.ndarray, /) -> np.ndarray: ...


@dataclasses.dataclass(frozen=True)
class Embedder:
    """A SavedModel that turns photos into unit embeddings; made by `load_embedder`.

    Call arguments:
        images: uint8 [n, height, width, 3], RGB aligned crops of `image_size`.

    Returns: float32 array [n, embedding_size], unit length.

    Examples:
        >>> embed = keras_face.load_embedder("output/run")
        >>> embeddings, norms = embed.with_norms(np.zeros((3, 16, 16, 3), np.uint8))
        >>> embeddings.shape, norms.shape, embed.facts["colour_order"]
        ((3, 8), (3,), 'rgb')
    """

    name: str
    image_size: tuple[int, int]
    embedding_size: int
    facts: Mapping[str, Any]
    batch_size: int
    signature: Any = dataclasses.field(repr=False)
    loaded: Any = dataclasses.field(repr=False)  # the signature's variables live as long as this object does

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.with_norms(images)[0]

    def with_norms(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the unit embeddings, and the lengths float32 [n] that they had."""
        found = self.signature(images=tf.convert_to_tensor(images, tf.uint8))
        return found["embedding"].numpy(), found["norm"].numpy()


def load_embedder(model_path: str | os.PathLike, batch_size: int = 64) -> Embedder:
    """Returns the embedder of an exported model.

    Args:
        model_path: A SavedModel folder, a folder of numbered versions (the highest is taken), or a run's folder.
        batch_size: Photos that an evaluation should pass at once.

    Raises:
        ValueError: No such model, a damaged one, or a SavedModel that keras_face did not export.

    Examples:
        >>> embed = keras_face.load_embedder("output/run")
        >>> first, second = embed(np.zeros((2, *embed.image_size, 3), np.uint8))
        >>> print(f"{first @ second:.3f}")  # of a photo with itself
        1.000
    """
    folder = find_version(model_path)
    if not (folder / FACTS).is_file():
        raise ValueError(f"{folder}: expected a model exported by keras_face, it has no {FACTS}")
    facts = files.read_json(folder / FACTS, "the facts of a model", _facts)
    try:
        loaded = tf.saved_model.load(os.fspath(folder))
    except tf.errors.OpError as error:
        raise ValueError(f"{folder}: expected a whole SavedModel: {str(error).splitlines()[0]}") from None
    height, width = facts["image_size"]
    return Embedder(
        name=os.fspath(folder),
        image_size=(height, width),
        embedding_size=facts["embedding_size"],
        facts=facts,
        batch_size=batch_size,
        signature=loaded.signatures["serving_default"],
        loaded=loaded,
    )


def _facts(facts: Any) -> dict[str, Any]:
    """Returns the facts of a model, which must have those that an embedder is made with, each of its kind."""
    size, embedding_size = facts["image_size"], facts["embedding_size"]
    if len(size) != 2 or not all(type(number) is int and number > 0 for number in (*size, embedding_size)):
        raise ValueError(f"image_size {size}, embedding_size {embedding_size}")
    if not isinstance(facts.get("thresholds", {}), dict):
        raise ValueError(f"thresholds {facts['thresholds']!r}")
    if not isinstance(facts.get("template") or "", str):
        raise ValueError(f"template {facts['template']!r}")
    return facts


def write_thresholds(folder: str | os.PathLike, thresholds: Mapping[str, Mapping[str, Any]]) -> Path:
    """Writes thresholds into an exported model's `keras_face.json`, and returns that file; it changes in one step.

    Nothing else of the model is touched: its graph, weights and warm-up requests stay as they are.

    Args:
        folder: SavedModel folder that keras_face exported.
        thresholds: From a protocol's name to what was found by it, JSON values. Those of other protocols are kept.

    Raises: ValueError if keras_face did not export it.

    Examples:
        >>> found = {"my door": {"threshold": 0.42, "far": 0.001}}
        >>> file = keras_face.export.write_thresholds("output/run/export/2", found)
        >>> keras_face.load_embedder("output/run").facts["thresholds"]["my door"]
        {'threshold': 0.42, 'far': 0.001}
    """
    path = Path(folder) / FACTS
    if not path.is_file():
        raise ValueError(f"{folder}: expected a model exported by keras_face, it has no {FACTS}")
    facts = files.read_json(path, "the facts of a model", _facts)
    facts["thresholds"] = {**facts.get("thresholds", {}), **thresholds}
    text = json.dumps(facts, indent=2, allow_nan=False) + "\n"
    # Not beside it: TF Serving and copies of the folder would see an asset that is none.
    with files.whole_file(path, beside=folder) as part:
        part.write_text(text, encoding="utf-8")
    return path
