import json
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest

from keras_face.backend import keras, tf
from keras_face.export import FACTS, ServedModel, export_model, find_version, load_embedder, load_weights
from keras_face.photos.images import decode

HEIGHT, WIDTH, EMBEDDING = 12, 10, 6

# Loads a SavedModel where keras_face cannot be imported, through Python or through the C++ loader in a session.
FRESH = """
import json, sys
sys.modules["keras_face"] = None
import numpy as np
import tensorflow as tf
folder, photos, encoded = sys.argv[1:]
images, image_bytes = np.load(photos), np.load(encoded, allow_pickle=True)
signatures = tf.saved_model.load(folder).signatures
session = tf.compat.v1.Session(graph=tf.Graph())
with session.graph.as_default():
    signature_def = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def
def by_python(key, name, value):
    return {n: t.numpy() for n, t in signatures[key](**{name: tf.constant(value)}).items()}
def by_session(key, name, value):
    outputs = {n: t.name for n, t in signature_def[key].outputs.items()}
    return session.run(outputs, {signature_def[key].inputs[name].name: value})
found = []
for run in (by_python, by_session):
    for count in (1, len(images)):
        one = run("serving_default", "images", images[:count])
        two = run("serving_bytes", "image_bytes", list(image_bytes[:count]))
        found.append([value.tolist() for value in (one["embedding"], one["norm"], two["embedding"], two["norm"])])
print(json.dumps(found))
"""


def backbone(seed=1, units=EMBEDDING, batch_norm=True):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Conv2D(4, 3, strides=2, input_shape=(HEIGHT, WIDTH, 3))]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization())
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(units)])


def photos(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = ServedModel(backbone())
    return model, export_model(model, tmp_path_factory.mktemp("export"), 7, {"backbone": "small"})


def test_an_embedding_is_the_standardised_photo_through_the_network_at_unit_length(exported):
    images = photos(3)
    raw = backbone()((images.astype(np.float32) - 127.5) / 128).numpy()
    model, folder = exported
    for embedder in (model, load_embedder(folder)):
        np.testing.assert_allclose(embedder(images), raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-6)
        assert embedder.image_size == (HEIGHT, WIDTH)
        assert embedder.embedding_size == EMBEDDING


@pytest.mark.parametrize("divisor", [127.5, 128])
def test_the_divisor_of_the_pixels_goes_with_the_model(tmp_path, divisor):
    model = ServedModel(backbone(), pixel_divisor=divisor)
    folder = export_model(model, tmp_path, 1, {})
    raw = backbone()((photos(3).astype(np.float32) - 127.5) / divisor).numpy()
    np.testing.assert_allclose(load_embedder(folder).with_norms(photos(3))[1], np.linalg.norm(raw, axis=1), rtol=1e-5)
    assert json.loads((folder / "assets" / "keras_face.json").read_text())["pixel_divisor"] == divisor


def test_a_fresh_process_without_keras_face_gets_the_same_embeddings(exported, tmp_path):
    """By TensorFlow 2's loader, and by a session, which has a graph of its own."""
    model, folder = exported
    images = photos(5)
    np.save(tmp_path / "photos.npy", images)
    np.save(tmp_path / "encoded.npy", np.array([tf.io.encode_png(image).numpy() for image in images], object))
    command = [sys.executable, "-c", FRESH, folder, tmp_path / "photos.npy", tmp_path / "encoded.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    raw = backbone()((images.astype(np.float32) - 127.5) / 128).numpy()
    for count, found in zip((1, 5, 1, 5), json.loads(done.stdout.splitlines()[-1]), strict=True):
        embedding, norm, from_bytes, norm_from_bytes = map(np.array, found)
        np.testing.assert_allclose(embedding, model(images[:count]), atol=1e-6)
        np.testing.assert_allclose(from_bytes, embedding, atol=1e-6)
        np.testing.assert_allclose(norm, np.linalg.norm(raw[:count], axis=1), rtol=1e-5)
        np.testing.assert_allclose(norm_from_bytes, norm, rtol=1e-6)


def test_encoded_crops_of_another_size_are_fitted(exported):
    model, folder = exported
    large = np.kron(photos(2), np.ones((1, 3, 3, 1), np.uint8))
    encoded = [tf.io.encode_png(image).numpy() for image in large]
    served = tf.saved_model.load(str(folder)).signatures["serving_bytes"](image_bytes=tf.constant(encoded))
    np.testing.assert_allclose(served["embedding"].numpy(), model(photos(2)), atol=1e-5)


def test_photos_beyond_the_limit_are_refused_undecoded():
    huge = tf.io.encode_png(np.zeros((2, 2, 3), np.uint8)).numpy()
    huge = huge[:16] + struct.pack(">II", 9_500, 9_500) + huge[24:]  # 270 megabytes, as its header has it
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected photos of no more than 89,478,485 pixels"):
        ServedModel(backbone()).module.embed_bytes(tf.constant([tf.io.encode_png(photos(1)[0]).numpy(), huge]))


def test_a_black_network_gives_zeros_and_no_nan():
    model = ServedModel(
        keras.Sequential(
            [keras.layers.Flatten(input_shape=(4, 4, 3)), keras.layers.Dense(3, kernel_initializer="zeros")]
        )
    )
    np.testing.assert_array_equal(model(np.zeros((2, 4, 4, 3), np.uint8)), np.zeros((2, 3)))


def test_the_folder_is_that_of_tf_serving_and_says_what_it_holds(exported):
    _, folder = exported
    assert folder.name == "7"
    facts = json.loads((folder / "assets" / "keras_face.json").read_text())
    assert facts["image_size"] == [HEIGHT, WIDTH]
    assert facts["embedding_size"] == EMBEDDING
    assert facts["colour_order"] == "rgb"
    assert facts["step"] == 7
    assert facts["backbone"] == "small"
    assert not [path for path in folder.parent.iterdir() if path != folder]
    saved = tf.saved_model.load(str(folder))
    assert sum(np.prod(v.shape) for v in saved.weights_in_order) == backbone().count_params()


def test_the_warm_up_requests_are_those_that_tf_serving_reads(exported):
    prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    model, folder = exported
    records = tf.data.TFRecordDataset(str(folder / "assets.extra" / "tf_serving_warmup_requests"))
    requests = [prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request for record in records]
    assert [request.model_spec.signature_name for request in requests] == ["serving_default", "serving_bytes"]
    images = tf.make_ndarray(requests[0].inputs["images"])
    (encoded,) = tf.make_ndarray(requests[1].inputs["image_bytes"])
    assert images.shape == (1, HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(decode(encoded), images[0])
    assert model(images).shape == (1, EMBEDDING)


def test_no_images_are_no_embeddings(exported):
    signatures = tf.saved_model.load(str(exported[1])).signatures
    for found in (
        signatures["serving_default"](images=tf.zeros([0, HEIGHT, WIDTH, 3], tf.uint8)),
        signatures["serving_bytes"](image_bytes=tf.zeros([0], tf.string)),
    ):
        assert {name: tuple(value.shape) for name, value in found.items()} == {
            "embedding": (0, EMBEDDING),
            "norm": (0,),
        }


def test_a_version_is_replaced_whole_and_the_highest_is_served(tmp_path):
    for seed, step in [(1, 9), (2, 10), (3, 10)]:
        export_model(ServedModel(backbone(seed)), tmp_path, step, {})
    assert find_version(tmp_path).name == "10"
    np.testing.assert_allclose(load_embedder(tmp_path)(photos(2)), ServedModel(backbone(3))(photos(2)), atol=1e-6)


def test_weights_come_back_from_an_export_with_the_moving_statistics(exported):
    _, folder = exported
    source, target = backbone(1), backbone(5)
    source.layers[1].moving_mean.assign([1.0, 2.0, 3.0, 4.0])
    folder = export_model(ServedModel(source), folder.parent / "other", 1, {})
    assert load_weights(target, folder).endswith("variables/variables")
    for left, right in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_weights_come_back_from_a_checkpoint_of_training(tmp_path):
    source, target = backbone(1), backbone(5)
    holder = tf.Module()
    holder.backbone = source
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(model=holder), str(tmp_path / "checkpoints"), 1)
    manager.save(3)
    for path in (tmp_path, tmp_path / "checkpoints", manager.latest_checkpoint):
        load_weights(target, path)
        for left, right in zip(source.get_weights(), target.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)
        target = backbone(5)


@pytest.mark.parametrize("other", [{"units": EMBEDDING + 1}, {"batch_norm": False}])
def test_weights_of_another_network_are_refused(exported, tmp_path, other):
    _, folder = exported
    with pytest.raises(ValueError, match="expected the weights of this backbone"):
        load_weights(backbone(**other), folder)


def test_a_path_without_a_model_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere"):
        load_embedder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="nowhere"):
        load_weights(backbone(), tmp_path / "nowhere")


def test_a_saved_model_of_another_origin_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "3"))
    with pytest.raises(ValueError, match="exported by keras_face"):
        load_embedder(tmp_path)


@pytest.mark.parametrize(
    "facts",
    [
        "0",
        "{}",
        "[",
        '{"image_size": [12, 10], "embedding_size": 6, "thresholds": null}',
        '{"image_size": 3, "embedding_size": 6}',
    ],
)
def test_facts_that_are_none_are_one_line_with_the_file(exported, tmp_path, facts):
    shutil.copytree(exported[1], tmp_path / "1")
    (tmp_path / "1" / FACTS).write_text(facts)
    with pytest.raises(ValueError, match="expected the facts of a model, got something else") as raised:
        load_embedder(tmp_path)
    assert str(raised.value).startswith(str(tmp_path / "1" / FACTS))
