import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from keras_face.backend import keras
from keras_face.evaluation.scores import kfold_accuracy
from keras_face.export import ServedModel, export_model


@pytest.fixture(scope="module")
def served():
    keras.utils.set_random_seed(3)
    photo = keras.Input((8, 8, 3))
    embedding = keras.layers.Dense(16, use_bias=False)(keras.layers.Flatten()(photo))
    return ServedModel(keras.Model(photo, embedding))


@pytest.fixture(scope="module")
def model_path(served, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    export_model(served, folder, 7, {})
    return folder


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Ten people's tracks of two frames, two tracks each, and what compares them as YTF does and as LFW does."""
    folder, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(1)
    images = {}
    for person in range(10):
        face = rng.integers(0, 256, (8, 8, 3))
        for track in range(2):
            for number in (1, 2):
                image = np.clip(face + rng.normal(0, 60, face.shape), 0, 255).astype(np.uint8)
                images[person, track, number] = image
                (folder / f"P{person}" / str(track)).mkdir(parents=True, exist_ok=True)
                file = folder / f"P{person}" / str(track) / f"{number}.png"
                cv2.imwrite(str(file), image[:, :, ::-1])
    genuine = [f"{i // 2 + 1}, {i}, P{i}/0, P{i}/1, 1" for i in range(10)]
    impostor = [f"{i // 2 + 1}, {i + 10}, P{i}/0, P{(i + 3) % 10}/1, 0" for i in range(10)]
    (folder / "splits.txt").write_text("\n".join(genuine + impostor))
    (folder / "ytf-error.txt").write_text("P4/0\n")
    lines = [f"{same},P{i}/0/1.png,P{(i + 3 * (1 - same)) % 10}/1/1.png" for same in (1, 0) for i in range(10)]
    (folder / "pairs.txt").write_text("\n".join(lines))
    return folder, images


def run(script, *arguments):
    command = [sys.executable, "-m", f"eval.{script}", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, check=False
    )


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def embed(served, image):
    return unit(sum(served(np.stack([image, image[:, ::-1]]))))


def test_lfw_prints_a_table_and_writes_what_the_model_gives(served, model_path, frames, tmp_path):
    folder, images = frames
    done = run("test_lfw", "--model_path", model_path, "--data", folder, "--output_dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout.splitlines()[1]
    assert sorted(os.listdir(tmp_path / "out")) == ["lfw_histogram.png", "lfw_roc.png", "results.json"]
    [row] = json.loads((tmp_path / "out" / "results.json").read_text())["results"]
    assert row["model"] == str(model_path / "7")
    template = {key: embed(served, image) for key, image in images.items()}
    similarity = [template[i, 0, 1] @ template[(i + shift) % 10, 1, 1] for shift in (0, 3) for i in range(10)]
    expected = kfold_accuracy(similarity, np.repeat([True, False], 10), np.tile(np.arange(10), 2))
    np.testing.assert_allclose(row["accuracy"]["thresholds"], expected.thresholds, atol=1e-5)
    assert row["accuracy"]["mean"] == pytest.approx(expected.mean)


def test_ytf_takes_the_section_of_the_configuration_and_flags_before_it(served, model_path, frames, tmp_path):
    folder, images = frames
    config = tmp_path / "config.ini"
    config.write_text(f"[ytf]\nprefix = {folder}\nsplits = nowhere.txt\nytf_error = {folder}/ytf-error.txt\n")
    output = tmp_path / "out"
    done = run(
        "test_ytf",
        "--model_path",
        model_path,
        "--config",
        config,
        "--splits",
        folder / "splits.txt",
        "--output_dir",
        output,
    )
    assert done.returncode == 0, done.stderr
    raw, corrected = json.loads((output / "results.json").read_text())["results"]
    assert (raw["num_genuine"], raw["num_impostor"]) == (10, 10)
    assert (corrected["num_genuine"], corrected["num_impostor"]) == (9, 9)
    template = {
        (i, track): unit(embed(served, images[i, track, 1]) + embed(served, images[i, track, 2]))
        for i in range(10)
        for track in range(2)
    }
    similarity = [template[i, 0] @ template[(i + shift) % 10, 1] for shift in (0, 3) for i in range(10)]
    expected = kfold_accuracy(similarity, np.repeat([True, False], 10), np.tile(np.arange(10) // 2, 2))
    np.testing.assert_allclose(raw["accuracy"]["thresholds"], expected.thresholds, atol=1e-5)
    assert [line.split()[0] for line in done.stdout.splitlines()[2:6:3]] == [str(model_path / "7")] * 2
    assert (output / "ytf_corrected_roc.png").is_file()


@pytest.mark.parametrize(
    "script, arguments, message",
    [
        (
            "test_lfw",
            ["--data", "{frames}", "--pairs", "{frames}/ytf-error.txt"],
            "expected a first line like `10 300`",
        ),
        ("test_ytf", ["--prefix", "{frames}"], "expected a frames folder and a splits file"),
    ],
)
def test_a_users_error_is_one_line_without_a_stack_trace(model_path, frames, script, arguments, message):
    done = run(script, "--model_path", model_path, *(argument.format(frames=frames[0]) for argument in arguments))
    assert done.returncode == 1
    assert done.stdout == ""
    # TensorFlow may have said something about the machine before.
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    assert message in line
    assert "Traceback" not in done.stderr
