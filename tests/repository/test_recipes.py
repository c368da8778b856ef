import importlib
import inspect
import re
import sys
from pathlib import Path

import command_runs
import numpy as np
import pytest

from keras_face import backbones, config
from keras_face.backend import tf
from keras_face.training.build_losses import build_losses, unused_losses

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.ini"))
NAMES = [path.stem for path in RECIPES]

# What the originals' code, configurations and papers say; a loss's settings are `loss NAME.key`.
PUBLISHED = [
    ("margin_centre_face", "data.image_size", (112, 96)),
    ("margin_centre_face", "model.backbone", "lresnet50e_ir"),
    ("margin_centre_face", "loss arcface.margin", 0.5),
    ("margin_centre_face", "loss arcface.scale", 64),
    ("margin_centre_face", "loss angular_centre.weight", 0.3),
    ("margin_centre_face", "optimizer.momentum", 0.9),
    ("margin_centre_face", "optimizer.weight_decay", 1e-4),
    ("margin_centre_face", "schedule.learning_rate", 1e-3),
    ("margin_centre_face", "training.batch_size", 64),
    ("margin_centre_face_triplet", "data.images_per_identity", 4),
    ("margin_centre_face_triplet", "loss.head", "none"),
    ("margin_centre_face_triplet", "loss batch_hard_triplet.margin", 0.3),
    ("margin_centre_face_triplet", "loss batch_hard_triplet.weight", 10),
    ("margin_centre_face_triplet", "training.batch_size", 16 * 4),
    ("margin_centre_face_triplet", "validation.best", "either"),
    ("insightface_foamliu", "training.batch_size", 512),
    ("insightface_foamliu", "training.epochs", 50),
    ("insightface_foamliu", "schedule.learning_rate", 0.1),
    ("insightface_foamliu", "optimizer.weight_decay", 5e-4),
    ("insightface_foamliu", "loss arcface.scale", 64),
    ("insightface_foamliu", "optimizer.clip_value", 5),
    ("arcface", "optimizer.clip_norm", 5),
    ("arcface", "data.standardise", 127.5),
    ("vit", "data.standardise", 127.5),
    ("sphereface", "data.image_size", (112, 96)),
    ("sphereface", "training.batch_size", 256),
    ("sphereface", "training.steps", 28000),
    ("sphereface", "schedule.learning_rate", 0.1),
    ("sphereface", "optimizer.weight_decay", 5e-4),
    ("sphereface", "loss a_softmax.multiplier", 4),
    ("sphereface", "loss a_softmax.lambda_base", 1000),
    ("sphereface", "loss a_softmax.lambda_gamma", 0.12),
    ("sphereface", "loss a_softmax.lambda_min", 5),
    ("gugugirls", "data.image_size", (128, 128)),
    ("gugugirls", "data.images_per_identity", 8),
    ("gugugirls", "training.batch_size", 16 * 8),
    ("gugugirls", "training.steps", 150 * 661),
    ("gugugirls", "schedule.warmup_steps", 20 * 661),
    ("gugugirls", "schedule.learning_rate", 0.01),
    ("gugugirls", "model.embedding_size", 4096),
    ("gugugirls", "optimizer.momentum", 0.9),
    ("seqface_1", "data.image_size", (128, 128)),
    ("seqface_1", "data.crop_from", (144, 144)),
    ("seqface_2", "data.crop_from", (144, 144)),
    ("seqface_1", "schedule.learning_rate", 0.01),
    ("seqface_1", "training.batch_size", 64),
    ("seqface_1", "training.steps", 300000),
    ("seqface_1", "loss a_softmax.scale", 32),
    ("seqface_1", "loss a_softmax.lambda_base", 5),
    ("seqface_1", "loss a_softmax.lambda_min", 5),
    ("seqface_2", "loss sequence_agents.weight", 0.04),
    ("seqface_2", "loss sequence_agents.pull_weight", 0.5),
    ("seqface_2", "loss sequence_agents.distance_ratio", 2),
    ("seqface_2", "loss sequence_agents.margin", 1),
    ("seqface_2", "loss sequence_agents.dropout_ratio", 0.99),
    ("seqface_2", "model.model_path", "output/seqface_1"),
    ("latse_1", "loss linear_phi.scale", 16),
    ("latse_1", "model.dropout", 0.4),
    ("latse_1", "training.batch_size", 2 * 128),
    ("latse_1", "optimizer.weight_decay", 5e-4),
    ("latse_2", "latse.weight", 1),
    ("latse_2", "teacher.mask", "top_k"),
    ("latse_2", "teacher.top_k", 1),
    ("arcface", "training.batch_size", 8 * 128),
    ("arcface", "training.epochs", 20),
    ("arcface", "schedule.power", 1),
    ("arcface", "loss arcface.gradient", "detached"),
    ("mobilefacenet", "optimizer.weight_decay", 1e-4),
    ("mobilefacenet", "training.epochs", 40),
    ("adaface", "loss adaface.margin", 0.4),
    ("adaface", "loss adaface.concentration", 0.333),
    ("adaface", "optimizer.weight_decay", 1e-4),
    ("adaface", "augmentation.crop", 0.2),
    ("magface", "loss magface.length_weight", 35),
    ("magface", "loss magface.upper_length", 110),
    ("distill", "loss cosine_distillation.weight", 128),
    ("vit", "optimizer.weight_decay", 0.1),
    ("vit", "training.batch_size", 8 * 256 * 12),
    ("vit", "optimizer.accumulation_steps", 12),
    ("vit", "loss cosface.margin", 0.4),
]

# Frameworks whose momentum sums up steps; that of the others (TensorFlow 1, torch) sums up gradients.
OF_STEPS = {"sphereface", "sphereface_masked", "seqface_1", "seqface_2", "latse_1", "latse_2", "ghostfacenet"}
# Of arcface_torch.
CLIPS_THE_BACKBONE = {"arcface", "mobilefacenet", "distill", "vit"}
# Whose torch or MXNet optimizer decays biases and betas too.
DECAYS_ALL = CLIPS_THE_BACKBONE | {"insightface_foamliu", "magface", "latse_1", "latse_2"}

# How long a prototype of 512 or 4,096 numbers is at the start of each original, of 2,000 people; else 0.01 sqrt(512).
_XAVIER = (2 * 512 / (2_000 + 512)) ** 0.5
STARTS = {
    **dict.fromkeys(("sphereface", "sphereface_masked", "seqface_1", "seqface_2", "adaface", "magface"), 1.0),
    **dict.fromkeys(("margin_centre_face", "insightface_foamliu", "ghostfacenet"), _XAVIER),
    "gugugirls": 0.001 * 4096**0.5,
}

# Of each original: the steps of its own batches at which the learning rate changes, and to which shares of it.
CHANGES = [
    ("margin_centre_face", (320_000, 480_000, 640_000), (0.5, 0.3, 0.1)),
    ("margin_centre_face_triplet", (320_000, 480_000, 640_000), (0.5, 0.3, 0.1)),
    ("sphereface", (16_000, 24_000), (0.1, 0.01)),
    ("sphereface_masked", (16_000, 24_000), (0.1, 0.01)),
    ("gugugirls", (60 * 661, 100 * 661), (0.1, 0.01)),
    ("seqface_1", (200_000,), (0.1,)),
    ("seqface_2", (200_000,), (0.1,)),
    ("latse_1", (20_000, 40_000, 60_000), (0.1, 0.01, 0.001)),
    ("latse_2", (20_000, 40_000, 60_000), (0.1, 0.01, 0.001)),
    ("insightface_foamliu", [round(epoch * 3_804_846 / 512) for epoch in (10, 20, 30, 40)], (0.1, 0.01, 0.001, 0.0001)),
    ("adaface", [round(epoch * 5_822_653 / 512) for epoch in (12, 20, 24)], (0.1, 0.01, 0.001)),
    ("magface", [round(epoch * 5_822_653 / 512) for epoch in (10, 18, 22)], (0.1, 0.01, 0.001)),
]


def load(name: str, tiny: bool = False) -> config.Config:
    return config.load(next(path for path in RECIPES if path.stem == name), tiny=tiny)


def test_the_systems_and_their_stages_are_there():
    assert {
        "margin_centre_face",
        "margin_centre_face_triplet",
        "insightface_foamliu",
        "sphereface",
        "sphereface_masked",
        "gugugirls",
        "seqface_1",
        "seqface_2",
        "latse_1",
        "latse_2",
    } <= set(NAMES)


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_the_head_says_what_it_is_and_the_one_command(path):
    text = path.read_text(encoding="utf-8")
    head = text[: text.index("\n[")]
    assert head.startswith("# ")
    # .ci/run takes the command from this line.
    commands = re.findall(r"^# (python -m train_\w+ .*)$", head, re.MULTILINE)
    module = "train_triplet" if path.stem.endswith("_triplet") else "train_centre"
    assert commands == [f"python -m {module} --config recipes/{path.name}"]
    assert all(len(line) <= 130 for line in text.splitlines())


@pytest.mark.parametrize("tiny", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_its_network_and_losses_are_known(name, tiny):
    loaded = load(name, tiny)
    assert loaded.model.backbone in backbones.names()
    layers, weights = build_losses(
        loaded.loss,
        loaded.losses,
        num_identities=5,
        num_sequences=2,
        accumulation_steps=loaded.optimizer.accumulation_steps,
        has_teacher=bool(loaded.teacher.model_path),
    )
    assert layers.keys() == weights.keys()
    assert loaded.loss.head in layers or (loaded.loss.head == "none" and layers)
    assert unused_losses(loaded.loss, loaded.losses) == []


@pytest.mark.parametrize("name", [name for name in NAMES if load(name).losses])
def test_the_settings_of_its_losses_do_in_a_graph(name):
    """A whole number of the file may stand for what is a float32 in a loss."""
    loaded = load(name)
    layers, _ = build_losses(loaded.loss, loaded.losses, num_identities=5, num_sequences=2, has_teacher=True)
    embeddings = tf.constant(np.random.default_rng(0).normal(size=(6, 4)), tf.float32)
    labels = tf.constant([0, 0, 1, 1, 2, -1])
    for layer in layers.values():
        if "teacher" not in inspect.signature(layer.call).parameters:
            layer.build((None, 4))
            assert np.isfinite(tf.function(layer)(embeddings, labels, training=True)).all()


@pytest.mark.parametrize("name", NAMES)
def test_its_tiny_set_runs_the_same_code_on_drawn_people(name):
    real, tiny = load(name), load(name, tiny=True)
    assert set(tiny.data.train) <= {"synthetic", "synthetic_tracks"}
    assert not set(real.data.train) & {"synthetic", "synthetic_tracks"}
    assert ("synthetic_tracks" in tiny.data.train) == ("tracks" in real.data.train)
    assert real.losses.keys() <= tiny.losses.keys()
    assert real.loss == tiny.loss
    assert real.augmentation == tiny.augmentation
    for section in ("validation", "teacher", "model", "schedule", "optimizer"):
        for key in ("mask", "top_k", "keep_prototypes", "frozen_stages", "kind", "name", "best"):
            assert getattr(getattr(real, section), key, None) == getattr(getattr(tiny, section), key, None)
    assert bool(real.latse.weight) == bool(tiny.latse.weight)
    assert bool(real.data.images_per_identity) == bool(tiny.data.images_per_identity)
    assert real.ytf.enable == tiny.ytf.enable
    assert not tiny.ytf.enable or (tiny.ytf.prefix, tiny.ytf.pairs, tiny.ytf.splits) == ("synthetic", "", "")
    assert bool(real.data.crop_from) == bool(tiny.data.crop_from)
    assert (real.lfw.enable, tiny.lfw.prefix, tiny.lfw.npdata, tiny.lfw.pairs) == (True, "synthetic", "", "")
    assert tiny.training.steps * tiny.training.batch_size <= 64


def test_a_tiny_set_goes_on_from_one_that_runs_before_it():
    made = []
    for name in sorted(NAMES):  # as .ci/run has them
        real, tiny = load(name), load(name, tiny=True)
        for section in ("model", "teacher"):
            path, real_path = (getattr(loaded, section).model_path for loaded in (tiny, real))
            assert bool(path) == bool(real_path), f"{name} [{section}]"
            assert not path or path in made, f"{name} [{section}] {path}"
        made.append(tiny.run.output_dir)
    assert made == [f"output/tiny/{name}" for name in sorted(NAMES)]


def test_a_stage_goes_on_from_the_recipe_before_it():
    for name, section, before in [
        ("margin_centre_face_triplet", "model", "margin_centre_face"),
        ("seqface_2", "model", "seqface_1"),
        ("latse_2", "teacher", "latse_1"),
        ("distill", "teacher", "arcface"),
    ]:
        assert getattr(load(name), section).model_path == load(before).run.output_dir


@pytest.mark.parametrize("name, key, value", PUBLISHED, ids=[f"{name}-{key}" for name, key, _ in PUBLISHED])
def test_a_number_is_the_published_one(name, key, value):
    loaded, (section, _, field) = load(name), key.rpartition(".")
    if section.startswith("loss "):
        found = loaded.losses[section.removeprefix("loss ")][field]
    else:
        found = getattr(getattr(loaded, section), field)
    assert found == value


@pytest.mark.parametrize("name, steps, factors", CHANGES, ids=[each[0] for each in CHANGES])
def test_the_learning_rate_changes_at_the_published_steps(name, steps, factors):
    loaded = load(name)
    scaled = [round(step * 512 / loaded.training.batch_size) for step in loaded.schedule.lr_steps]
    assert scaled == list(steps)
    assert loaded.schedule.lr_factors == factors


def test_the_update_is_that_of_the_originals_framework():
    loaded = {name: load(name).optimizer for name in NAMES}
    # lfw_view1 has no original; the README's figures were measured with this form.
    assert {name for name in NAMES if loaded[name].momentum_form == "keras"} == OF_STEPS | {"lfw_view1"}
    assert {name for name in NAMES if loaded[name].clip_scope == "backbone"} == CLIPS_THE_BACKBONE
    assert {name for name in NAMES if loaded[name].decay_scope == "all"} == DECAYS_ALL


@pytest.mark.parametrize("name", [name for name in NAMES if load(name).loss.head != "none"])
def test_prototypes_begin_at_the_length_of_the_original(name):
    loaded = load(name)
    settings = {loaded.loss.head: loaded.losses.get(loaded.loss.head, {})}
    layers, _ = build_losses(loaded.loss, settings, num_identities=2_000, num_sequences=0)
    head = layers[loaded.loss.head]
    head.build((None, loaded.model.embedding_size))
    found = np.linalg.norm(head.prototypes, axis=1).mean()
    assert found == pytest.approx(STARTS.get(name, 0.01 * 512**0.5), rel=0.01)


def test_known_people_and_tracks_are_one_to_one():
    loaded = load("seqface_2")
    assert [loaded.datasets[name].weight for name in loaded.data.train] == [1, 1]
    loaded = load("seqface_2", tiny=True)
    tiny = loaded.synthetic
    assert (tiny.weight, loaded.datasets["synthetic_tracks"].weight) == (1, 1)
    assert tiny.people * tiny.photos_per_person != tiny.tracks * tiny.frames_per_track


def test_mirror_images_are_measured_with_where_the_original_had_them():
    without = {"margin_centre_face", "margin_centre_face_triplet", "insightface_foamliu", "seqface_1", "seqface_2"}
    assert {name for name in NAMES if not load(name).validation.flip} == without


def test_train_triplet_keeps_what_a_file_says_of_triplets(repository, tmp_path, monkeypatch):
    (tmp_path / "own.ini").write_text("[loss batch_hard_triplet]\nweight = 1\n[data]\nimages_per_identity = 8\n")
    (tmp_path / "none.ini").write_text("[loss]\nhead = arcface\n[loss angular_centre]\nweight = 0.3\n")
    (tmp_path / "half.ini").write_text("[loss]\nhead = none\n[loss batch_hard_triplet]\nweight = 2\n")
    (tmp_path / "bare.ini").write_text("[loss]\nhead = none\n")
    monkeypatch.syspath_prepend(repository)
    sys.modules.pop("train_triplet", None)
    with command_runs.own_flags():
        triplets = importlib.import_module("train_triplet").triplets
    del sys.modules["train_triplet"]

    def settings(path):
        loaded = config.load(path, triplets(lambda *more: config.load(path, more)))
        return loaded.loss.head, loaded.loss_weights, loaded.data.images_per_identity

    monkeypatch.chdir(repository)
    assert settings(tmp_path / "own.ini") == ("none", {"batch_hard_triplet": 1}, 8)
    assert settings(tmp_path / "half.ini") == ("none", {"batch_hard_triplet": 2}, 4)
    for path in (tmp_path / "none.ini", tmp_path / "bare.ini", repository / "config.ini.example"):
        assert settings(path) == ("none", {"batch_hard_triplet": 10}, 4)


def test_the_angular_centre_is_margin_centre_faces_alone():
    assert [name for name in NAMES if "angular_centre" in load(name).loss_weights] == ["margin_centre_face"]


def test_the_page_of_the_systems_names_every_recipe(repository):
    page = (repository / "docs" / "systems.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"{name}.ini" not in page] == []


def test_the_page_of_the_systems_names_files_that_exist(repository):
    page = (repository / "docs" / "systems.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:keras_face|tfrecords_tools|eval)/[\w/]*(?:\.py)?)`", page)
    modules = re.findall(r"python -m ([\w.]+)", page)
    assert len(paths) > 30
    # Of originals that have a folder of the same name, margin-centre-face's eval/ alone.
    missing = [path for path in paths if not (repository / path).exists()]
    missing += [name for name in modules if not (repository / f"{name.replace('.', '/')}.py").exists()]
    assert missing == []
