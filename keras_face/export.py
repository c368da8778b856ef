"""From a trained backbone to a SavedModel that TF Serving loads, and from a SavedModel to an embedder."""

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_face.backend import keras, tf
from keras_face.data.images import decode, fit, standardise

FACTS = Path("assets") / "keras_face.json"
WARM_UP = Path("assets.extra") / "tf_serving_warmup_requests"
_SHORTEST = 1e-12  # embeddings shorter than this stay short instead of becoming NaN


class ServedModel:
    """A backbone with what serving needs around it: standardisation before, unit length after.

    It is an embedder: called with photos it gives unit embeddings as a NumPy array.

    Args:
        backbone: float32 model of standardised images, [batch, height, width, 3] to [batch, embedding_size].
        batch_size: Photos that an evaluation should pass at once.
        name: What the model is called in tables and results.

    Call arguments:
        images: uint8 [n, height, width, 3], RGB aligned crops.

    Returns: float32 array [n, embedding_size], unit length.
    """

    def __init__(self, backbone: keras.Model, batch_size: int = 64, name: str = "model"):
        self.label = name
        height, width, _ = backbone.input_shape[1:]
        self.image_size: tuple[int, int] = (height, width)
        self.batch_size = batch_size
        self.name = name
        self.embedding_size: int = backbone.output_shape[-1]
        # Only variables and functions are tracked: a SavedModel without Keras objects loads without our classes.
        self.module = tf.Module()
        self.module.weights_in_order = list(backbone.weights)

        def embed(images: tf.Tensor) -> dict[str, tf.Tensor]:
            embeddings = tf.cast(backbone(standardise(images), training=False), tf.float32)
            norm = tf.norm(embeddings, axis=1)
            return {"embedding": embeddings / tf.maximum(norm, _SHORTEST)[:, tf.newaxis], "norm": norm}

        def embed_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            def pixels(one: tf.Tensor) -> tf.Tensor:
                return tf.ensure_shape(fit(decode(one), self.image_size), [height, width, 3])

            return embed(tf.map_fn(pixels, image_bytes, fn_output_signature=tf.uint8))

        images_spec = tf.TensorSpec([None, height, width, 3], tf.uint8, name="images")
        bytes_spec = tf.TensorSpec([None], tf.string, name="image_bytes")
        self.module.embed = tf.function(embed, input_signature=[images_spec])
        self.module.embed_bytes = tf.function(embed_bytes, input_signature=[bytes_spec])
        self.signature = self.module.embed

    def assign(self, weights: Sequence[tf.Tensor]) -> None:
        """Sets all weights, in the order of `backbone.weights`."""
        for variable, value in zip(self.module.weights_in_order, weights, strict=True):
            variable.assign(value)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.with_norms(images)[0]

    def with_norms(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the unit embeddings, and the lengths float32 [n] that they had."""
        found = self.module.embed(tf.convert_to_tensor(images, tf.uint8))
        return found["embedding"].numpy(), found["norm"].numpy()


def export_model(model: ServedModel, export_dir: str | os.PathLike, step: int, facts: Mapping[str, Any]) -> Path:
    """Writes `<export_dir>/<step>/`, the layout of TF Serving, and returns that folder.

    Signatures: `serving_default` takes `images` uint8 [n, height, width, 3] RGB and gives `embedding` float32
    [n, embedding_size] of unit length and `norm` float32 [n]; `serving_bytes` takes `image_bytes` string [n], encoded
    JPEG or PNG crops, and gives the same. `assets/keras_face.json` holds the facts, `assets.extra/` warm-up requests.
    The folder appears whole or not at all.

    Args:
        model: What is served.
        export_dir: Folder of the numbered versions.
        step: Training step; the version number. A version that exists is replaced.
        facts: What else `keras_face.json` should say, JSON values.
    """
    export_dir = Path(export_dir)
    target, unfinished = export_dir / str(step), export_dir / f".unfinished-{step}"
    shutil.rmtree(unfinished, ignore_errors=True)
    signatures = {"serving_default": model.module.embed, "serving_bytes": model.module.embed_bytes}
    tf.saved_model.save(model.module, os.fspath(unfinished), signatures=signatures)
    all_facts = {
        "image_size": list(model.image_size),
        "colour_order": "rgb",
        "embedding_size": model.embedding_size,
        "step": step,
        "thresholds": {},
        **facts,
    }
    _write(unfinished / FACTS, (json.dumps(all_facts, indent=2) + "\n").encode())
    with_warm_up = unfinished / WARM_UP
    with_warm_up.parent.mkdir()
    with tf.io.TFRecordWriter(os.fspath(with_warm_up)) as writer:
        for request in _warm_up_requests(model.image_size):
            writer.write(request)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    return target


def find_version(model_path: str | os.PathLike) -> Path:
    """Returns the SavedModel folder of a path: itself, or the highest numbered folder in it or in its `export`.

    Raises:
        ValueError: There is none.
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
    raise ValueError(f"{path}: expected a SavedModel folder, or a folder of numbered ones, found none")


@dataclasses.dataclass(frozen=True)
class Embedder:
    """A SavedModel that turns photos into unit embeddings; made by `load_embedder`.

    Call arguments:
        images: uint8 [n, height, width, 3], RGB aligned crops of `image_size`.

    Returns: float32 array [n, embedding_size], unit length.
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
    """
    folder = find_version(model_path)
    if not (folder / FACTS).is_file():
        raise ValueError(f"{folder}: expected a model exported by keras_face, it has no {FACTS}")
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
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


def write_thresholds(folder: str | os.PathLike, thresholds: Mapping[str, Mapping[str, Any]]) -> Path:
    """Writes thresholds into an exported model's `keras_face.json`, and returns that file; it changes in one step.

    Nothing else of the model is touched: its graph, weights and warm-up requests stay as they are.

    Args:
        folder: SavedModel folder that keras_face exported.
        thresholds: From a protocol's name to what was found by it, JSON values. Those of other protocols are kept.

    Raises: ValueError if keras_face did not export it.
    """
    path = Path(folder) / FACTS
    if not path.is_file():
        raise ValueError(f"{folder}: expected a model exported by keras_face, it has no {FACTS}")
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["thresholds"] = {**facts.get("thresholds", {}), **thresholds}
    text = json.dumps(facts, indent=2, allow_nan=False) + "\n"
    # Not beside it: TF Serving and copies of the folder would see an asset that is none.
    unfinished = Path(folder).parent / f".{Path(folder).name}-{path.name}.{os.getpid()}"
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def load_weights(backbone: keras.Model, model_path: str | os.PathLike) -> str:
    """Sets all weights of a backbone, moving statistics included, from an export or a checkpoint.

    Args:
        backbone: Model of the same architecture and sizes.
        model_path: SavedModel folder, folder of numbered ones, run folder, or a training's checkpoint or their folder.

    Returns: The file prefix that was read.
    Raises: ValueError if nothing is found there, or what is there does not fit the backbone.
    """
    path = Path(model_path)
    try:
        prefix = os.fspath(find_version(path) / "variables" / "variables")
        root = tf.train.Checkpoint(weights_in_order=list(backbone.weights))
    except ValueError:
        folders = [path / "checkpoints", path]
        prefix = next(filter(None, map(tf.train.latest_checkpoint, folders)), None) or os.fspath(path)
        if not tf.io.gfile.glob(prefix + ".index"):
            raise ValueError(
                f"{path}: expected an exported model, a run's folder or a checkpoint, found none"
            ) from None
        root = tf.train.Checkpoint(model=tf.train.Checkpoint(backbone=backbone))
    try:
        root.read(prefix).assert_existing_objects_matched().expect_partial()
    except (ValueError, AssertionError, tf.errors.OpError) as error:
        reason = str(error).split("\n")[0]
        raise ValueError(f"{prefix}: expected the weights of this backbone ({backbone.name}): {reason}") from None
    return prefix


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def _warm_up_requests(image_size: Sequence[int]) -> list[bytes]:
    """Returns serialised tensorflow.serving.PredictionLog messages, one request for each signature.

    Written by hand (every field here is length-delimited), because TF Serving's Python API is a large package for four
    nested messages: PredictionLog.predict_log = 6, PredictLog.request = 1, PredictRequest.model_spec = 1 and
    .inputs = 2 (a map: key = 1, value = 2), ModelSpec.name = 1 and .signature_name = 3.
    """
    crop = np.full([*image_size, 3], 127, np.uint8)
    tensors = {
        ("serving_default", "images"): tf.make_tensor_proto(crop[np.newaxis]),
        ("serving_bytes", "image_bytes"): tf.make_tensor_proto([tf.io.encode_jpeg(crop).numpy()]),
    }
    requests = []
    for (signature, argument), tensor in tensors.items():
        model_spec = _field(1, b"default") + _field(3, signature.encode())
        entry = _field(1, argument.encode()) + _field(2, tensor.SerializeToString())
        requests.append(_field(6, _field(1, _field(1, model_spec) + _field(2, entry))))
    return requests


def _field(number: int, payload: bytes) -> bytes:
    """Returns a length-delimited protocol buffer field."""
    length, size = b"", len(payload)
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload
