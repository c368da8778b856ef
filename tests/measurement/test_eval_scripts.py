import csv
import importlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import command_runs
import cv2
import numpy as np
import pytest
from absl import flags

from keras_face.alignment.templates import template
from keras_face.backend import keras
from keras_face.evaluation.features import (
    Features,
    read_features,
    read_megaface_features,
    read_scores,
    write_features,
    write_megaface_features,
)
from keras_face.evaluation.scores import kfold_accuracy
from keras_face.export import WARM_UP, ServedModel, export_model, load_embedder
from keras_face.photos.template import write_record
from keras_face.records import writing


def network(seed):
    keras.utils.set_random_seed(seed)
    photo = keras.Input((8, 8, 3))
    embedding = keras.layers.Dense(16, use_bias=False)(keras.layers.Flatten()(photo))
    return ServedModel(keras.Model(photo, embedding))


@pytest.fixture(scope="module")
def served():
    return network(3)


@pytest.fixture(scope="module")
def model_path(served, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    export_model(served, folder, 7, {"template": "arcface"})
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


@pytest.fixture(scope="module")
def people(frames, tmp_path_factory):
    """The same people, a folder each, four photos in it."""
    folder = tmp_path_factory.mktemp("people")
    for (person, track, number), image in frames[1].items():
        (folder / f"P{person}").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"P{person}" / f"{2 * track + number}.png"), image[:, :, ::-1])
    return folder


@pytest.fixture(scope="module")
def reported():
    """The commands whose report has been written."""
    return set()


@pytest.fixture
def run(tmp_path, monkeypatch, repository, reported):
    """Runs a command's main in this process, its folder for output and cache below `tmp_path`; gives its summary."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(repository)

    def run(script, *arguments, report=True):
        sys.modules.pop(f"eval.{script}", None)
        with command_runs.own_flags():
            module = importlib.import_module(f"eval.{script}")
            # A report takes seconds: one for each command.
            without = ["--noreport"] if report and script in reported else []
            flags.FLAGS([script, *without, *map(str, arguments)])
            summary = module.main()
            if report and script not in reported:
                reported.add(script)
                folder = summary.split("results.json and report.html: ")[1].split("\n")[0]
                assert Path(folder, "report.html").stat().st_size > 10_000
            return summary

    return run


def in_process_of_its_own(script, *arguments):
    command = [sys.executable, "-m", f"eval.{script}", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, check=False
    )


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def embed(served, image):
    return unit(sum(served(np.stack([image, image[:, ::-1]]))))


def results_of(folder, kind="results"):
    return json.loads((folder / "results.json").read_text())[kind]


def lfw_similarity(served, images):
    embeddings = {key: embed(served, image) for key, image in images.items()}
    return np.array([embeddings[i, 0, 1] @ embeddings[(i + shift) % 10, 1, 1] for shift in (0, 3) for i in range(10)])


def test_photos_aligned_otherwise_than_the_models_are_warned_of(model_path, frames, run, tmp_path, caplog):
    shutil.copytree(frames[0], tmp_path / "frames")
    for name, warned in (("arcface", False), ("arcface112x96", True), ("unknown", False)):
        write_record(tmp_path / "frames", name)
        caplog.clear()
        run("test_lfw", "--model_path", model_path, "--data", "frames", "--output_dir", "out", "--nocache")
        expected = f"are aligned to {name}, but the model was trained on crops aligned to arcface"
        assert any(expected in text for text in caplog.messages) == warned


def test_lfw_prints_a_table_and_writes_what_the_model_gives(served, model_path, frames, tmp_path):
    folder, images = frames
    output, cache = tmp_path / "out", tmp_path / "cache"
    arguments = ["--model_path", model_path, "--data", folder, "--output_dir", output, "--cache_dir", cache]
    done = in_process_of_its_own("test_lfw", *arguments)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout.splitlines()[1]
    assert done.stdout.splitlines()[-1] == f"results.json and report.html: {output}"
    names = ["lfw_histogram.png", "lfw_roc.png", "report.html", "results.json", "scores.csv"]
    assert sorted(os.listdir(output)) == names
    [row] = results_of(output)
    assert row["model"] == str(model_path / "7")
    similarity = lfw_similarity(served, images)
    expected = kfold_accuracy(similarity, np.repeat([True, False], 10), np.tile(np.arange(10), 2))
    np.testing.assert_allclose(row["accuracy"]["thresholds"], expected.thresholds, atol=1e-5)
    assert row["accuracy"]["mean"] == pytest.approx(expected.mean)
    np.testing.assert_allclose(read_scores(output / "scores.csv").similarity, similarity, atol=1e-6)
    assert len(list(cache.iterdir())) == 1
    wrong = np.flatnonzero((similarity > np.tile(expected.thresholds, 2)) != np.repeat([True, False], 10))
    assert wrong.size
    report = (output / "report.html").read_text()
    assert f"P{wrong[0] % 10}/0/1.png" in report
    assert report.count("data:image/") > 5  # crops beside the plots


def test_lfw_measures_photos_features_and_similarities_alike(served, model_path, frames, run, tmp_path):
    folder, images = frames
    run("test_lfw", "--model_path", model_path, "--data", folder, "--output_dir", "photos")
    names = [f"lfw/P{i}/{track}/{number}.png" for i, track, number in images]
    vectors = np.array([embed(served, image) for image in images.values()])
    write_features(tmp_path / "features.npz", Features.of(names, vectors))
    given = ["--features", "features.npz", "--features_prefix", "lfw/", "--pairs", folder / "pairs.txt"]
    run("test_lfw", *given, "--output_dir", "features")
    run("test_lfw", "--scores", "photos/scores.csv", "--output_dir", "scores", "--pairs", folder / "pairs.txt")
    photos, features, scores = (results_of(tmp_path / name)[0] for name in ("photos", "features", "scores"))
    assert photos["protocol_hash"] == features["protocol_hash"] == scores["protocol_hash"]
    assert photos["accuracy"]["accuracy"] == features["accuracy"]["accuracy"] == scores["accuracy"]["accuracy"]
    assert photos["auc"] == features["auc"] == scores["auc"]


def test_thresholds_go_into_the_model_which_serves_as_before(served, frames, run, tmp_path):
    folder, images = frames
    version = export_model(served, tmp_path / "model", 3, {"loss": "none"})
    before = {path: path.read_bytes() for path in version.rglob("*") if path.is_file()}
    summary = run("test_lfw", "--model_path", version, "--source", folder, "--save_thresholds")
    assert summary.splitlines()[-1] == f"thresholds: {version / 'assets' / 'keras_face.json'}"
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed == {"keras_face.json"}
    assert {path for path in version.rglob("*") if path.is_file()} == set(before)
    assert os.listdir(tmp_path / "model") == ["3"]
    assert (version / WARM_UP).is_file()
    embedder = load_embedder(version)
    assert embedder.facts["loss"] == "none"
    [(protocol, found)] = embedder.facts["thresholds"].items()
    assert protocol == "pairs of pairs.txt, 10 folds by position"
    similarity, genuine = lfw_similarity(served, images), np.repeat([True, False], 10)
    cuts = [np.mean((similarity > cut) == genuine) for cut in similarity]
    assert np.mean((similarity > found["best_accuracy"]) == genuine) == max(cuts)
    # One of ten impostors may pass at 0.1; with ten no lower rate can be told.
    assert list(found["far"]) == ["0.1"]
    assert np.count_nonzero(similarity[10:] > found["far"]["0.1"] + 1e-6) == 1


def test_ytf_takes_the_section_of_the_configuration_and_flags_before_it(served, model_path, frames, run, tmp_path):
    folder, images = frames
    config = tmp_path / "config.ini"
    config.write_text(f"[ytf]\nprefix = {folder}\nsplits = nowhere.txt\nytf_error = {folder}/ytf-error.txt\n")
    output = tmp_path / "out"
    settings = ["--config", config, "--splits", folder / "splits.txt", "--output_dir", output]
    summary = run("test_ytf", "--model_path", model_path, *settings)
    raw, corrected = results_of(output)
    assert (raw["num_genuine"], raw["num_impostor"]) == (10, 10)
    assert (corrected["num_genuine"], corrected["num_impostor"]) == (9, 9)
    pooled = {
        (i, track): unit(embed(served, images[i, track, 1]) + embed(served, images[i, track, 2]))
        for i in range(10)
        for track in range(2)
    }
    similarity = [pooled[i, 0] @ pooled[(i + shift) % 10, 1] for shift in (0, 3) for i in range(10)]
    expected = kfold_accuracy(similarity, np.repeat([True, False], 10), np.tile(np.arange(10) // 2, 2))
    np.testing.assert_allclose(raw["accuracy"]["thresholds"], expected.thresholds, atol=1e-5)
    assert [line.split()[0] for line in summary.splitlines()[2:6:3]] == [str(model_path / "7")] * 2
    assert {f"ytf_{name}_{kind}.png" for name in ("raw", "corrected") for kind in ("roc", "histogram")} < set(
        os.listdir(output)
    )
    assert (output / "scores_1.csv").is_file()
    # From the similarities of all pairs alone, the corrected ones can be had, too.
    again = ["--splits", folder / "splits.txt", "--ytf_error", folder / "ytf-error.txt"]
    run("test_ytf", "--scores", output / "scores_0.csv", *again, "--output_dir", "again")
    assert [row["auc"] for row in results_of(tmp_path / "again")] == [raw["auc"], corrected["auc"]]
    # And frame by frame, from embeddings.
    names = [f"P{i}/{track}/{number}.png" for i, track, number in images]
    write_features(
        tmp_path / "f.npz", Features.of(names, np.array([embed(served, image) for image in images.values()]))
    )
    given = ["--features", "f.npz", "--splits", folder / "splits.txt", "--set_score", "max", "--output_dir", "max"]
    run("test_ytf", *given)
    [row] = results_of(tmp_path / "max")
    assert row["photos"].startswith("all frames of a track, set to set, highest cosine of two photos")


def test_several_bins_are_measured_at_once(served, model_path, frames, run, tmp_path):
    _, images = frames
    encoded = {key: cv2.imencode(".png", image[:, :, ::-1])[1].tobytes() for key, image in images.items()}
    for number, name in ((1, "first"), (2, "second")):
        order = [key for i in range(10) for other in (i, (i + 3) % 10) for key in ((i, 0, number), (other, 1, number))]
        (tmp_path / f"{name}.bin").write_bytes(pickle.dumps(([encoded[key] for key in order], [True, False] * 10)))
    run("test_bin", "--model_path", model_path, "--source", "first.bin,second.bin", "--output_dir", "out")
    rows = results_of(tmp_path / "out")
    assert [row["protocol"] for row in rows] == ["first.bin, 10 consecutive folds", "second.bin, 10 consecutive folds"]
    similarity = lfw_similarity(served, images).reshape(2, 10).T.reshape(-1)
    np.testing.assert_allclose(read_scores(tmp_path / "out" / "scores_0.csv").similarity, similarity, atol=1e-6)
    assert rows[0]["data_hash"] != rows[1]["data_hash"]
    run("embed", "--model_path", model_path, "--source", "first.bin", "--output", "f.npz", report=False)
    run("test_bin", "--features", "f.npz", "--source", "first.bin", "--output_dir", "file")
    first, again = (without_origin(row | {"scores": None}) for row in (rows[0], *results_of(tmp_path / "file")))
    assert_same_figures(first, again)
    with pytest.raises(ValueError, match="expected files of different names, got first, first"):
        run("test_bin", "--model_path", model_path, "--source", "first.bin,a/first.bin")


def test_own_people_are_verified_and_identified(served, model_path, frames, people, run, tmp_path):
    _, images = frames
    settings = ["--source", people, "--folds", 4, "--seed", 3, "--output_dir"]
    summary = run("test_folder", "--model_path", model_path, *settings, "out")
    [row], [found] = results_of(tmp_path / "out"), results_of(tmp_path / "out", "identification")
    assert "4 folds by people" in row["protocol"]
    assert "seed 3" in row["protocol"]
    assert (found["num_probes"], found["num_gallery"]) == (40, 40)
    vectors = np.array([embed(served, images[key]) for key in sorted(images)])
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -9)
    person = np.arange(40) // 4
    order = person[np.argsort(-cosine, axis=1)] == person[:, None]
    first = order.argmax(axis=1)
    np.testing.assert_allclose(found["cmc"][:3], [np.mean(first <= rank) for rank in range(3)])
    precision = [np.mean(np.arange(1, 4) / (np.flatnonzero(hits[:-1]) + 1)) for hits in order]
    assert found["mean_average_precision"] == pytest.approx(np.mean(precision))
    assert "rank 1" in summary
    # The seed names the pairs.
    run("test_folder", "--model_path", model_path, *settings, "again")
    assert results_of(tmp_path / "again")[0]["protocol_hash"] == row["protocol_hash"]
    run("test_folder", "--model_path", model_path, "--source", people, "--folds", 4, "--output_dir", "other")
    assert results_of(tmp_path / "other")[0]["protocol_hash"] != row["protocol_hash"]


def test_masked_photos_are_looked_up_among_the_others(served, model_path, frames, people, run, tmp_path):
    _, images = frames
    with open(tmp_path / "masked.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["original", "masked", "person"])
        for person in range(10):
            for number in range(1, 5):
                writer.writerow([f"P{person}/{number}.png", f"P{person}/{number}.png", f"P{person}"])
    masked = {key: np.where(np.arange(8)[:, None, None] > 4, 200, image) for key, image in images.items()}
    for (person, track, number), image in masked.items():
        file = tmp_path / "masked" / f"P{person}" / f"{2 * track + number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), image[:, :, ::-1].astype(np.uint8))
    settings = ["--list", "masked.csv", "--source", "masked", "--original_source", people]
    run("test_masked", "--model_path", model_path, *settings, "--output_dir", "out")
    [found] = results_of(tmp_path / "out", "identification")
    vectors = [
        np.array([embed(served, each[key].astype(np.uint8)) for key in sorted(each)]) for each in (masked, images)
    ]
    cosine = vectors[0] @ vectors[1].T
    np.fill_diagonal(cosine, -9)
    person = np.arange(40) // 4
    best = person[cosine.argmax(axis=1)] == person
    assert found["cmc"][0] == pytest.approx(best.mean())
    assert found["protocol"].endswith("own originals not compared")
    # Two files of embeddings, whose names are the same.
    for name, source in (("masked", "masked"), ("originals", people)):
        run("embed", "--model_path", model_path, "--source", source, "--output", f"{name}.npz", report=False)
    files = ["--features", "masked.npz", "--original_features", "originals.npz"]
    run("test_masked", *files, "--list", "masked.csv", "--output_dir", "features")
    assert results_of(tmp_path / "features", "identification")[0]["cmc"] == pytest.approx(found["cmc"])


def test_megaface_is_measured_from_photos_and_from_the_devkits_features(served, model_path, frames, run, tmp_path):
    _, images = frames
    random = np.random.default_rng(5)
    others = {f"x/{number}.png": random.integers(0, 256, (8, 8, 3), np.uint8) for number in range(30)}
    probes = {f"P{i}/{track}{number}.png": images[i, track, number] for i, track, number in images}
    for folder, photos in (("facescrub", probes), ("megaface", others)):
        for name, image in photos.items():
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / folder / name), image[:, :, ::-1])
        features = Features.of(photos, np.array([embed(served, image) for image in photos.values()]))
        write_megaface_features(tmp_path / "features" / folder, features, "_net.bin")
    ids = [name.split("/")[0] for name in probes]
    (tmp_path / "probes.json").write_text(json.dumps({"path": list(probes), "id": ids}))
    (tmp_path / "distractors.json").write_text(json.dumps({"path": list(others)}))
    (tmp_path / "noises.txt").write_text("x/3.png\n")
    lists = [
        "--probe_list",
        "probes.json",
        "--distractor_list",
        "distractors.json",
        "--distractor_noises",
        "noises.txt",
    ]
    run(
        "test_megaface",
        "--model_path",
        model_path,
        *lists,
        "--probe_source",
        "facescrub",
        "--distractor_source",
        "megaface",
    )
    folders = ["--probe_source", "features/facescrub", "--distractor_source", "features/megaface"]
    run("test_megaface", "--ending", "_net.bin", *lists, *folders, "--output_dir", "features_out")
    for folder in ("facescrub", "megaface"):  # in one folder, for one file of embeddings
        shutil.copytree(tmp_path / folder, tmp_path / "both", dirs_exist_ok=True)
    run("embed", "--model_path", model_path, "--source", "both", "--output", "f.npz", report=False)
    run("test_megaface", "--features", "f.npz", *lists, "--output_dir", "file")
    [found] = results_of(tmp_path / "output" / "eval" / "megaface", "identification")
    for output in ("features_out", "file"):
        [again] = results_of(tmp_path / output, "identification")
        assert found["cmc"] == pytest.approx(again["cmc"])
    assert (found["num_probes"], found["num_distractors"]) == (40, 29)
    vectors = np.array([embed(served, image) for image in probes.values()])
    kept = np.array([embed(served, image) for name, image in others.items() if name != "x/3.png"])
    ahead = [
        np.mean(vectors[a] @ vectors[b] > (vectors[a] @ kept.T).max())
        for a in range(40)
        for b in range(40)
        if a != b and ids[a] == ids[b]
    ]
    assert found["cmc"][0] == pytest.approx(np.mean(ahead))
    assert [point["tar"] for point in found["tar_at_far"]] == [None] * 3  # 1,160 impostors
    assert "distractors refined" in found["protocol"]


@pytest.fixture
def ijb(frames, tmp_path):
    """Writes IJB-C in small: a face set a track, loose crops with landmarks, 1:1 and 1:N."""
    _, images = frames
    meta, crops = tmp_path / "IJBC" / "meta", tmp_path / "IJBC" / "loose_crop"
    meta.mkdir(parents=True)
    crops.mkdir()
    points = template("arcface").landmarks
    faces, landmarks = [], []
    for row, ((person, track, number), image) in enumerate(images.items()):
        whole = cv2.copyMakeBorder(cv2.resize(image, (112, 112)), 9, 9, 5, 5, cv2.BORDER_REPLICATE)
        cv2.imwrite(str(crops / f"{row}.png"), whole[:, :, ::-1])
        faces.append(f"{row}.png {2 * person + track} {row}")
        score = 0.5 + number / 4
        landmarks.append(f"{row}.png " + " ".join(f"{x + 5} {y + 9}" for x, y in points) + f" {score}")
    pairs = [f"{2 * i} {2 * ((i + shift) % 10) + 1} {int(shift == 0)}" for shift in (0, 3, 5) for i in range(10)]
    (meta / "ijbc_face_tid_mid.txt").write_text("\n".join(faces))
    (meta / "ijbc_name_5pts_score.txt").write_text("\n".join(landmarks))
    (meta / "ijbc_template_pair_label.txt").write_text("\n".join(pairs))
    for name, templates in (
        ("gallery_G1", range(0, 10, 2)),
        ("gallery_G2", range(10, 20, 2)),
        ("probe_mixed", range(1, 20, 2)),
    ):
        lines = [f"{number},{number // 2}" for number in templates]
        (meta / f"ijbc_1N_{name}.csv").write_text("\n".join(["TEMPLATE_ID,SUBJECT_ID", *lines]))
    return tmp_path / "IJBC"


def test_ijb_is_measured_by_face_sets_one_to_one_and_one_to_many(served, model_path, frames, ijb, run, tmp_path):
    _, images = frames
    summary = run(
        "test_ijb", "--model_path", model_path, "--source", ijb, "--pooling", "quality", "--output_dir", "out"
    )
    small = {key: cv2.resize(cv2.resize(image, (112, 112)), (8, 8), interpolation=cv2.INTER_AREA)
             for key, image in images.items()}  # fmt: skip
    pooled = np.array([
        unit(0.75 * embed(served, small[i, track, 1]) + embed(served, small[i, track, 2]))
        for i in range(10) for track in range(2)
    ])  # fmt: skip
    expected = [pooled[2 * i] @ pooled[2 * ((i + shift) % 10) + 1] for shift in (0, 3, 5) for i in range(10)]
    np.testing.assert_allclose(read_scores(tmp_path / "out" / "scores.csv").similarity, expected, atol=0.02)
    [row] = results_of(tmp_path / "out")
    assert row["accuracy"] is None
    assert row["photos"].startswith("aligned to arcface, unit(mean of unit embeddings weighed by quality, by media)")
    closed, first, second = results_of(tmp_path / "out", "identification")
    assert (closed["num_gallery"], first["num_gallery"], second["num_gallery"]) == (10, 5, 5)
    assert len(closed["rates"]) == 3
    # Half of the probes have no mate in one gallery: 5 can show an FPIR of 0.2, none of these.
    assert [rate["fpir"] for rate in first["rates"]] == [None] * 3 + [0.1, 0.01]
    assert first["rates"][-1]["rate"] is None
    hits = [np.argmax(pooled[0::2] @ probe) == number for number, probe in enumerate(pooled[1::2])]
    assert closed["cmc"][0] == pytest.approx(np.mean(hits), abs=0.11)
    assert "no folds" not in summary
    # From embeddings of aligned crops: the same, without photos.
    (tmp_path / "aligned").mkdir()
    for row, image in enumerate(small.values()):
        cv2.imwrite(str(tmp_path / "aligned" / f"{row}.png"), image[:, :, ::-1])
    run("embed", "--model_path", model_path, "--source", "aligned", "--output", "f.npz", report=False)
    given = ["--source", ijb, "--output_dir", "features"]
    run("test_ijb", "--features", "f.npz", "--pooling", "quality", *given)
    similarity = read_scores(tmp_path / "features" / "scores.csv").similarity
    np.testing.assert_allclose(similarity, expected, atol=1e-5)
    run("test_ijb", "--scores", "features/scores.csv", "--output_dir", "scores")
    run("test_ijb", "--features", "f.npz", "--set_score", "mean", *given)
    assert "identification" not in json.loads((tmp_path / "features" / "results.json").read_text())
    with pytest.raises(ValueError, match="1:N is measured by pooled embeddings"):
        run("test_ijb", "--features", "f.npz", "--set_score", "mean", "--identification", *given)


def test_two_models_are_compared_on_the_same_pairs(model_path, frames, run, tmp_path):
    folder, _ = frames
    export_model(network(8), tmp_path / "other", 1, {})
    for name, path in (("a", model_path), ("b", tmp_path / "other")):
        run("test_lfw", "--model_path", path, "--data", folder, "--output_dir", name)
    summary = run("compare", "--first", "a", "--second", "b/results.json", "--output_dir", "ab")
    models = ["--first", model_path, "--second", "other", "--source", folder, "--output_dir", "models"]
    of_models = run("compare", *models)
    comparisons = [results_of(tmp_path / name, "comparisons") for name in ("ab", "models")]
    assert comparisons[0][0]["accuracy"] == comparisons[1][0]["accuracy"]
    [found] = comparisons[0]
    rows = [results_of(tmp_path / name)[0] for name in "ab"]
    assert found["accuracy"]["accuracy"]["first"] == rows[0]["accuracy"]["mean"]
    assert found["accuracy"]["accuracy"]["second"] == rows[1]["accuracy"]["mean"]
    assert "McNemar's exact test, as if pairs were independent: p = " in summary
    assert "McNemar's exact test, as if pairs were independent: p = " in of_models
    same = run("compare", "--first", "a/scores.csv", "--second", "a/results.json")
    assert "+0.0000 [+0.0000, +0.0000], within luck" in same


def test_results_of_other_protocols_are_not_compared(frames, model_path, run, tmp_path):
    folder, _ = frames
    lines = (folder / "pairs.txt").read_text().splitlines()
    (tmp_path / "pairs.txt").write_text("\n".join([lines[1], lines[0], *lines[2:]]))
    (tmp_path / "others.txt").write_text("\n".join(lines))
    settings = ["--model_path", model_path, "--data", folder]
    run("test_lfw", *settings, "--output_dir", "a")
    run("test_lfw", *settings, "--pairs", "pairs.txt", "--output_dir", "b")
    run("test_lfw", *settings, "--pairs", "others.txt", "--output_dir", "c")
    with pytest.raises(
        ValueError, match=r"pairs of pairs\.txt.*: expected the same pairs and folds of both, got others"
    ):
        run("compare", "--first", "a", "--second", "b")
    with pytest.raises(ValueError, match=r"expected the same protocols of both, got pairs of pairs\.txt.*others\.txt"):
        run("compare", "--first", "a", "--second", "c")
    # Similarities that are not those of the results beside them.
    (tmp_path / "a" / "scores.csv").write_bytes((tmp_path / "b" / "scores.csv").read_bytes())
    with pytest.raises(ValueError, match=r"scores\.csv: expected the pairs of .* as in a/results\.json, got others"):
        run("compare", "--first", "a", "--second", "a")
    run("test_lfw", *settings, "--nosave_scores", "--output_dir", "d")
    with pytest.raises(ValueError, match=r"expected the similarities of .* beside it \(--save_scores\), found none"):
        run("compare", "--first", "d", "--second", "d")
    with pytest.raises(ValueError, match="expected --source with --flip: results have been measured before"):
        run("compare", "--first", "a", "--second", "b", "--noflip")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "expected one of --model_path, --features and --scores .*, got none"),
        (["--scores", "s", "--features", "f"], "got features and scores"),
        (["--scores", "s", "--batch_size", "3"], "--scores has no use for --batch_size"),
        (["--features", "f", "--noflip", "--distances"], "--features has no use for --noflip, --distances"),
        (["--features", "f", "--save_thresholds"], "--features has no use for --save_thresholds"),
        (["--model_path", "m", "--features_prefix", "p"], "--model_path has no use for --features_prefix"),
        (["--model_path", "m", "--nocache", "--cache_dir", "c"], "--model_path has no use for --cache_dir"),
        (["--model_path", "m", "--threshold_rule", "luck"], "threshold_rule must be one of best_accuracy, .*'luck'"),
        (["--scores", "s", "--score_columns", "similarity"], "expected a column as similarity=NAME"),
        (["--scores", "s", "--subtract_mean"], "--scores has no use for --subtract_mean"),
        (["--features", "f"], "expected --source, or --pairs for --features"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(run, arguments, message):
    with pytest.raises(ValueError, match=message):
        run("test_lfw", *arguments)


@pytest.mark.parametrize(
    "script, arguments, message",
    [
        (
            "test_lfw",
            ["--data", "{frames}", "--pairs", "{frames}/ytf-error.txt"],
            "expected a first line like `10 300`",
        ),
        ("test_ytf", ["--source", "{frames}"], "expected a frames folder and a splits file"),
    ],
)
def test_a_users_error_is_one_line_without_a_stack_trace(model_path, frames, command, script, arguments, message):
    arguments = [argument.format(frames=frames[0]) for argument in arguments]
    done = command(f"eval.{script}", "--model_path", model_path, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    # TensorFlow may have said something about the machine before.
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    assert message in line


def test_embedded_files_give_every_command_the_figures_of_the_model(model_path, frames, people, run, tmp_path):
    folder = frames[0]
    cases = (
        ("test_lfw", folder, ["--pairs", folder / "pairs.txt"], ["--pairs", folder / "pairs.txt"]),
        ("test_ytf", folder, ["--splits", folder / "splits.txt", "--pooling", "norm"], None),
        ("test_folder", people, ["--folds", 4], ["--folds", 4, "--source", people]),
    )
    for flip in ([], ["--noflip"]):
        for script, source, settings, of_features in cases:
            of_model = ["--model_path", model_path, "--source", source, *flip]
            told = run("embed", *of_model, "--output", "f.npz", report=False)
            assert told.startswith("f.npz: 40 embeddings of size 16")
            output = tmp_path / f"{script}{''.join(flip)}"
            run(script, *of_model, *settings, "--output_dir", output / "model")
            given = settings if of_features is None else of_features
            run(script, "--features", "f.npz", *given, "--output_dir", output / "file")
            photos, file = (json.loads((output / name / "results.json").read_text()) for name in ("model", "file"))
            for kind in ("results", "identification"):
                rows = ([without_origin(each) for each in side.get(kind, [])] for side in (photos, file))
                assert_same_figures(*rows)
            assert photos["results"]
            scores = sorted(path.name for path in (output / "model").glob("scores*"))
            assert scores
            for name in scores:
                one, other = (read_scores(output / side / name).similarity for side in ("model", "file"))
                np.testing.assert_allclose(one, other, atol=1e-6)
    assert {path.name for path in tmp_path.glob("*f.npz*")} == {"f.npz"}


def assert_same_figures(first, second, where=""):
    """Asserts that two results are equal, numbers but for what a second normalisation rounds."""
    assert type(first) is type(second), where
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            assert_same_figures(first[key], second[key], f"{where}.{key}")
    elif isinstance(first, list):
        assert len(first) == len(second), where
        for number, pair in enumerate(zip(first, second, strict=True)):
            assert_same_figures(*pair, f"{where}[{number}]")
    elif isinstance(first, float):
        assert first == pytest.approx(second, abs=1e-5), where
    else:
        assert first == second, where


def without_origin(result):
    """What was measured, without what says where embeddings come from."""
    said = ("model", "data", "photos", "flip", "model_hash", "data_hash", "date")
    return {key: value for key, value in result.items() if key not in said}


def test_records_are_embedded_by_the_names_of_their_photos(served, model_path, frames, run, tmp_path):
    photos = {key: cv2.imencode(".png", image[:, :, ::-1])[1].tobytes() for key, image in frames[1].items()}
    sets = [writing.FaceSet([photos[i, 0, 1], photos[i, 0, 2]], i, f"P{i}/a.png|P{i}/b.png") for i in range(3)] + [
        writing.FaceSet([photos[3, 0, 1], photos[3, 0, 2]], 3, "track")
    ]
    writing.write_records(tmp_path / "records", sets, identities=list("abcd"), image_size=(8, 8), source="test")
    run("embed", "--model_path", model_path, "--source", "records", "--output", "f.npz", report=False)
    found = read_features(tmp_path / "f.npz")
    expected = {f"P{i}/{name}.png": (i, 0, number) for i in range(3) for number, name in ((1, "a"), (2, "b"))}
    expected |= {"track#0": (3, 0, 1), "track#1": (3, 0, 2)}
    assert sorted(found.names) == sorted(expected)
    for name, embedding, norm in zip(found.names, found.embeddings, found.norms, strict=True):
        image = frames[1][expected[name]]
        np.testing.assert_allclose(embedding, embed(served, image), atol=1e-6)
        lengths = load_embedder(model_path).with_norms(np.stack([image, image[:, ::-1]]))[1]
        assert norm == pytest.approx(lengths.mean(), rel=1e-5)


def test_photos_are_embedded_whole_or_not_at_all(model_path, people, run, tmp_path):
    given = ["--model_path", model_path, "--source", "photos"]
    shutil.copytree(people, tmp_path / "photos")
    (tmp_path / "photos" / "P0" / "notes.txt").write_text("no photo")
    told = run("embed", *given, "--output_dir", "features", "--ending", "_net.bin", report=False)
    assert told == "features: 40 embeddings of size 16; 1 other files left out"
    names = sorted(str(path.relative_to(people)) for path in people.glob("*/*.png"))
    run("embed", *given, "--output", "f.npz", report=False)
    devkit = read_megaface_features(tmp_path / "features", names, "_net.bin")
    np.testing.assert_allclose(devkit.embeddings, read_features(tmp_path / "f.npz").take(names).embeddings, atol=1e-6)
    np.testing.assert_allclose(devkit.norms, 1, atol=1e-6)
    (tmp_path / "photos" / "P1" / "1.png").write_bytes(b"broken")
    before = sorted(os.listdir(tmp_path))
    for more in (["--output", "new.npz"], ["--output_dir", "new", "--ending", ".bin"]):
        with pytest.raises(ValueError, match=r"P1/1\.png"):
            run("embed", *given, *more, report=False)
    assert sorted(os.listdir(tmp_path)) == before
    for more, message in (
        ([], "expected --source, and either --output or --output_dir"),
        (["--output", "a.npz", "--ending", "b"], "expected --output_dir and --ending together"),
        (["--output", "a.pkl"], "expected a file .npz"),
        (["--output_dir", "features", "--ending", "_net.bin"], "features"),
    ):
        with pytest.raises(ValueError, match=message):
            run("embed", *given, *more, report=False)


def test_lfw_prints_what_the_originals_would_have_printed(served, model_path, frames, run):
    folder, images = frames
    given = ["--model_path", model_path, "--source", folder, "--originals"]
    told = run("test_lfw", *given).splitlines()
    cosine, genuine = lfw_similarity(served, images), np.repeat([True, False], 10)
    best = max(np.mean((cosine >= threshold) == genuine) for threshold in cosine)
    assert told[0].startswith("What published scripts would have printed")
    assert told[3].startswith(f"SeqFace: best threshold of the test pairs: accuracy {best:.4f}, threshold ")
    assert told[2].startswith(f"foamliu/InsightFace: threshold tuned on the test pairs: accuracy {best:.4f}, ")
    assert re.match(r"margin-centre-face: .* accuracy 0\.\d{4} ± 0\.\d{4}, threshold \d\.\d{4} \(1 - cosine\)", told[1])
    with pytest.raises(ValueError, match="--originals has no use for --distances"):
        run("test_lfw", "--scores", "s.csv", "--distances", "--originals")


def test_lfw_prints_false_rejects_by_norm(served, model_path, frames, run, tmp_path):
    folder, images = frames
    told = run("test_lfw", "--model_path", model_path, "--source", folder, "--error_versus_reject").splitlines()
    norm = {key: load_embedder(model_path).with_norms(np.stack([image, image[:, ::-1]]))[1].mean()
            for key, image in images.items()}  # fmt: skip
    cosine = lfw_similarity(served, images)
    [point] = [each for each in results_of(tmp_path / "output/eval/lfw")[0]["tar_at_far"] if each["far"] == 0.1]
    quality = np.array([min(norm[i, 0, 1], norm[i, 1, 1]) for i in range(10)])
    wrong = cosine[:10] <= point["threshold"]
    kept = np.argsort(quality)[2:]  # without 20 %
    line = next(line for line in told if line.startswith("FAR 0.1:"))
    assert line.startswith(f"FAR 0.1: {wrong.mean():.4f}; ")
    assert f"{wrong[kept].mean():.4f} without 20 %" in line
    names = [f"P{i}/{track}/{number}.png" for i, track, number in images]
    write_features(
        tmp_path / "unit.npz", Features.of(names, np.array([embed(served, image) for image in images.values()]))
    )
    with pytest.raises(ValueError, match="needs embeddings of different lengths"):
        run("test_lfw", "--features", "unit.npz", "--pairs", folder / "pairs.txt", "--error_versus_reject")
    with pytest.raises(ValueError, match="--scores has no use for --error_versus_reject"):
        run("test_lfw", "--scores", "s.csv", "--error_versus_reject")
