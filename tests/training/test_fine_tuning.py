import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import short_networks

from keras_face import backbones, config, losses
from keras_face.alignment import templates
from keras_face.backbones.dropout import network_weights
from keras_face.backend import keras, tf
from keras_face.export import ServedModel, export_model, load_embedder, load_weights
from keras_face.photos.images import standardise
from keras_face.photos.template import write_record
from keras_face.training import named_prototypes
from keras_face.training.fine_tuning import freeze, learning_rate_factors, stages
from keras_face.training.model import FaceModel
from keras_face.training.run import train
from keras_face.training.teacher import Teacher, build_embedder


def small(name="iresnet18", width=0.1):
    return backbones.build(name, (16, 16, 3), 8, width, 0.0)


def short():
    return short_networks.build("iresnet18", (16, 16, 3), 8, 0.1, 0.0)


def unlike_fresh(backbone, seed=0):
    """Gives a network statistics, slopes and the rest that no fresh one has."""
    generator = np.random.default_rng(seed)
    backbone.set_weights([generator.uniform(0.5, 1.5, weight.shape) for weight in backbone.get_weights()])
    return backbone


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)


@pytest.mark.parametrize("source", ["export", "checkpoint"])
def test_before_the_first_step_the_outputs_are_those_of_the_loaded_model(source, photos, tmp_path):
    trained = unlike_fresh(short())
    if source == "export":
        export_model(ServedModel(trained), tmp_path / "export", 3, {})
    else:
        tf.train.Checkpoint(model=tf.train.Checkpoint(backbone=trained)).write(str(tmp_path / "checkpoints" / "ckpt-3"))
        (tmp_path / "checkpoints" / "checkpoint").write_text('model_checkpoint_path: "ckpt-3"')
    fresh = short()
    load_weights(fresh, tmp_path)
    statistics = [weight for weight in fresh.weights if "moving" in weight.name]
    assert statistics
    for name, mine, theirs in zip(
        (weight.name for weight in fresh.weights), fresh.get_weights(), trained.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs, err_msg=name)
    images = standardise(tf.constant(photos))
    np.testing.assert_array_equal(fresh(images, training=False), trained(images, training=False))


def counting_export(backbone, folder):
    """Exports as earlier versions did: what dropout counts is among the weights."""
    module = tf.Module()
    module.weights_in_order = list(backbone.weights)
    module.embed = tf.function(lambda images: images, input_signature=[tf.TensorSpec([1])])
    tf.saved_model.save(module, str(folder / "export" / "3"))


@pytest.mark.parametrize("dropouts", [(0.4, 0.0), (0.0, 0.4), (0.4, 0.2)])
@pytest.mark.parametrize("source", ["export", "earlier export", "checkpoint"])
def test_weights_go_over_to_a_network_with_another_dropout(source, dropouts, photos, tmp_path):
    trained, fresh = (backbones.build("iresnet18", (16, 16, 3), 8, 0.1, dropout) for dropout in dropouts)
    generator = np.random.default_rng(1)
    for weight in network_weights(trained):
        weight.assign(generator.uniform(0.5, 1.5, weight.shape))
    if source == "export":
        export_model(ServedModel(trained), tmp_path / "export", 3, {})
    elif source == "earlier export":
        counting_export(trained, tmp_path)
    else:
        folder = tmp_path / "checkpoints"
        tf.train.Checkpoint(model=tf.train.Checkpoint(backbone=trained)).write(str(folder / "ckpt-3"))
    load_weights(fresh, tmp_path)
    images = standardise(tf.constant(photos))
    np.testing.assert_array_equal(fresh(images, training=False), trained(images, training=False))


def test_stages_begin_with_the_stem_and_end_before_the_embedding():
    found = {layer.name: stage for layer, stage in stages(small())}
    assert {name: found[name] for name in ("images", "stem_conv", "stage1_unit2_add", "stage4_unit1_conv1")} == {
        "images": 1,
        "stem_conv": 1,
        "stage1_unit2_add": 1,
        "stage4_unit1_conv1": 4,
    }
    assert found["final_norm"] == found["embedding_dense"] == found["embedding_norm"] == 5
    order = [stage for _, stage in stages(small())]
    assert order == sorted(order)


@pytest.mark.parametrize("name", ["mobilefacenet", "lresnet32e_ir", "sphereface20", "ghostfacenet_v1", "vit_t"])
def test_every_network_of_stages_can_be_frozen_stage_by_stage(name):
    order = [stage for _, stage in stages(small(name))]
    assert order == sorted(order)
    assert set(order) == set(range(1, max(order) + 1))


def test_frozen_stages_keep_weights_and_statistics_while_the_others_learn(two_replicas):
    with two_replicas.scope():
        backbone = short_networks.build("iresnet18", (16, 16, 3), 8, 0.1, 0.0, synchronized=True)
        frozen = freeze(backbone, 2)
        head = losses.get("norm_softmax", num_identities=3, scale=8.0)
        head.build((None, 8))
        model = FaceModel(backbone, {"head": head}, {"head": 1.0}, weight_decay=0.1)
        model.build((None, 16, 16, 3))
        model.compile(optimizer=keras.optimizers.SGD(0.1))
        model.optimizer.build(model.trainable_variables)
    stage = {id(variable): number for layer, number in stages(backbone) for variable in layer.variables}
    before = backbone.get_weights()
    generator = np.random.default_rng(0)
    images = tf.constant(generator.integers(0, 256, (4, 16, 16, 3)), tf.uint8)

    @tf.function
    def step():
        return two_replicas.run(model.update, args=({"images": images, "labels": tf.constant([0, 1, 2, 1], tf.int64)},))

    step()
    moved = {
        (variable.name, stage[id(variable)]): bool(np.any(now != then))
        for variable, now, then in zip(backbone.variables, backbone.get_weights(), before, strict=True)
    }
    assert frozen > 10
    assert not [name for (name, number), has in moved.items() if number <= 2 and has]
    assert all(has for (name, number), has in moved.items() if number > 2 and "moving_mean" in name)
    assert all(has for (name, number), has in moved.items() if number > 2 and "kernel" in name)


def test_learning_rates_fall_by_the_factor_from_the_embedding_down():
    backbone = small()
    factors = {variable.name: factor for variable, factor in learning_rate_factors(backbone, 0.5)}
    assert factors["stage4_unit1_conv1/kernel:0"] == 0.5
    assert factors["stage3_unit1_conv1/kernel:0"] == 0.25
    assert factors["stage1_unit1_conv1/kernel:0"] == factors["stem_conv/kernel:0"] == 0.0625
    whole = {variable.name for variable in backbone.trainable_variables} - set(factors)
    assert {name.split("/")[0] for name in whole} == {"final_norm", "embedding_dense", "embedding_norm"}


@pytest.mark.parametrize(
    "name, count, message",
    [("iresnet18", 5, "at most the 4 stages of iresnet18, got 5"), ("two_view_resnet50", 1, "has no stages")],
)
def test_stages_that_are_not_there_are_refused(name, count, message):
    with pytest.raises(ValueError, match=message):
        freeze(small(name), count)


def test_rows_are_found_by_name():
    found = named_prototypes.rows(["Ada", "Ben", "Cy"], ["Cy", "Dora", "Ada"], "run")
    assert found.tolist() == [2, -1, 0]


@pytest.mark.parametrize(
    "before, now, message",
    [
        (["0", "1"], ["0", "1", "2"], r"^run: expected names of people .* got numbers \(0"),
        (["Ada", "Ben"], ["Ada", "7"], r"^the training data: .* got numbers \(7"),
        (["Ada", "Ada"], ["Ada"], "^run: .* Ada is there twice"),
        (["Ada"], ["Ben", "Ben"], "^the training data: .* Ben is there twice"),
    ],
)
def test_people_who_cannot_be_told_by_their_names_are_refused(before, now, message):
    with pytest.raises(ValueError, match=message):
        named_prototypes.rows(before, now, "run")


def test_the_same_list_of_people_needs_no_names():
    assert named_prototypes.rows(["0", "1", "1"], ["0", "1", "1"], "run").tolist() == [0, 1, 2]


def test_several_prototypes_of_a_person_stay_together():
    values = np.arange(12.0).reshape(6, 2)
    known = named_prototypes.NamedPrototypes(values, ("Ada", "Ben", "Cy"), "run")
    found, here = known.of(["Ben", "Dora", "Ada"])
    assert here.tolist() == [0, 2]
    np.testing.assert_array_equal(found, [values[2:4], values[0:2]])


def test_prototypes_are_assigned_by_name_and_the_others_stay():
    known = named_prototypes.NamedPrototypes(np.arange(12.0).reshape(6, 2), ("Ada", "Ben", "Cy"), "run")
    head = tf.Variable(-np.ones([8, 2]))
    assert known.assign_to(head, ["Ben", "Dora", "Ada", "Eve"]) == 2
    kept = {"Ben": [[4, 5], [6, 7]], "Ada": [[0, 1], [2, 3]]}
    np.testing.assert_array_equal(head[0:2], kept["Ben"])
    np.testing.assert_array_equal(head[4:6], kept["Ada"])
    np.testing.assert_array_equal(tf.gather(head, [2, 3, 6, 7]), -np.ones([4, 2]))


@pytest.mark.parametrize(
    "shape, message", [((3, 2), "of 2 numbers, 1 for each person, got 2 and 2"), ((6, 5), "of 5 .* got 2 and 2")]
)
def test_prototypes_that_do_not_fit_the_head_are_refused(shape, message):
    known = named_prototypes.NamedPrototypes(np.arange(12.0).reshape(6, 2), ("Ada", "Ben", "Cy"), "run")
    with pytest.raises(ValueError, match=rf"^run: expected prototypes {message}$"):
        known.assign_to(tf.Variable(np.zeros(shape)), ["Ada", "Ben", "Cy"])


SMALL = [
    "run.strategy=one_device",
    "data.image_size=16,16",
    "data.shuffle_buffer=64",
    "augmentation.flip=0",
    "augmentation.shift=0",
    "synthetic.people=6",
    "synthetic.photos_per_person=3",
    "model.backbone=sphereface4",
    "model.width=0.1",
    "model.embedding_size=8",
    "loss arcface.scale=8",
    "loss angular_centre.weight=0",
    "optimizer.ema=0",
    "schedule.warmup_steps=0",
    "training.batch_size=6",
    "training.steps=1",
    "training.validate_interval=0",
    "validation.baselines=False",
    "lfw.enable=False",
    "ytf.enable=False",
]


def run(folder, *more):
    return train(config.load(config.QUICK_START, [*SMALL, f"run.output_dir={folder}", *more]))


def prototypes(folder):
    found = named_prototypes.read_prototypes(folder)
    return dict(zip(found.names, found.values, strict=True))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    run(folder)
    return folder


def test_people_who_stay_keep_their_prototypes_and_the_network_its_outputs(trained, photos, tmp_path):
    own = tmp_path / "photos"
    people = sorted(path for path in (trained / "synthetic" / "train").iterdir() if path.is_dir())
    for person in people[1:]:
        shutil.copytree(person, own / person.name)
    shutil.copytree(people[0], own / "A_new_face")
    # With no learning rate and a frozen network nothing moves, so what is saved is what it began with.
    run(tmp_path / "run", "data.train=own", f"own.photos={own}", f"model.model_path={trained}",
        "model.keep_prototypes=True", "model.frozen_stages=3", "optimizer.stage_decay=0.5",
        "schedule.learning_rate=0")  # fmt: skip
    before, now = prototypes(trained), prototypes(tmp_path / "run")
    assert list(now) == ["A_new_face", *(person.name for person in people[1:])]
    for person in people[1:]:
        np.testing.assert_array_equal(now[person.name], before[person.name])
    assert not any(np.array_equal(now["A_new_face"], row) for row in before.values())
    log = (tmp_path / "run" / "train.log").read_text()
    assert "kept the prototypes of 5 people" in log
    assert "1 are new, 1 are left out" in log


def test_a_teachers_cosines_are_with_the_prototypes_of_the_students_people(trained, photos):
    names = json.loads((trained / "checkpoints" / "identities.json").read_text())
    asked = [names[4], names[1], names[5]]
    seen = Teacher(load_embedder(trained), trained, asked)(tf.constant(photos))
    embeddings = load_embedder(trained)(photos)
    rows = np.array([prototypes(trained)[name] for name in asked])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(seen.embeddings, embeddings, atol=1e-6)
    np.testing.assert_allclose(seen.cosines, embeddings @ rows.T, atol=1e-5)


@pytest.mark.parametrize("kind", ["run", "checkpoint"])
def test_a_teacher_may_be_a_run_that_was_stopped_before_its_export(kind, trained, photos, tmp_path):
    for name in ("checkpoints", "config.ini"):
        (shutil.copytree if name == "checkpoints" else shutil.copy)(trained / name, tmp_path / name)
    path = tmp_path if kind == "run" else Path(tf.train.latest_checkpoint(str(tmp_path / "checkpoints")))
    names = json.loads((trained / "checkpoints" / "identities.json").read_text())
    seen = Teacher(build_embedder(path), path, names)(tf.constant(photos))
    expected = Teacher(load_embedder(trained), trained, names)(tf.constant(photos))
    np.testing.assert_allclose(seen.embeddings, expected.embeddings, atol=1e-6)
    np.testing.assert_allclose(seen.cosines, expected.cosines, atol=1e-5)
    with pytest.raises(ValueError, match="expected an exported model, or a run's folder or checkpoint, found none"):
        build_embedder(tmp_path / "elsewhere" / "and" / "further")


def test_where_nobody_knows_whose_the_prototypes_are_is_said_so(trained, tmp_path):
    shutil.copytree(trained / "export", tmp_path / "export")
    with pytest.raises(ValueError, match="an export alone has no prototypes"):
        named_prototypes.read_prototypes(tmp_path / "export")
    shutil.copytree(trained / "checkpoints", tmp_path / "checkpoints")
    (tmp_path / "checkpoints" / "identities.json").unlink()
    with pytest.raises(ValueError, match=r"expected identities\.json beside it"):
        named_prototypes.read_prototypes(tmp_path)


def test_an_export_of_random_windows_says_what_the_middle_one_is_aligned_to(tmp_path):
    run(tmp_path, "data.crop_from=18,20")
    template = load_embedder(tmp_path).facts["template"]
    assert template == templates.of_window("arcface", (18, 20), (16, 16))
    assert template.startswith("16x16:")


def test_an_export_says_what_the_photos_were_aligned_to_and_masks_for_others_are_warned_of(trained, tmp_path):
    own = tmp_path / "photos"
    shutil.copytree(trained / "synthetic" / "train", own)
    write_record(own, "seqface144")
    run(tmp_path / "run", "data.train=own", f"own.photos={own}", "augmentation.mask=0.5")
    assert load_embedder(tmp_path / "run").facts["template"] == "seqface144"
    log = (tmp_path / "run" / "train.log").read_text()
    assert "[augmentation] mask draws on crops aligned to arcface, those here are to seqface144" in log
    assert load_embedder(trained).facts["template"] == "arcface"  # the drawn people's
    assert "aligned to" not in (trained / "train.log").read_text()


def test_a_run_that_goes_on_with_other_people_is_refused(trained, tmp_path):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    names = named_prototypes.read_names(tmp_path / "checkpoints")
    named_prototypes.write_names(tmp_path / "checkpoints", [*names[:-1], "Another"])
    for seal in (tmp_path / "checkpoints").glob("*.seal.json"):  # a run of an earlier version has none
        seal.unlink()
    with pytest.raises(ValueError, match="expected the 6 people that this run began with"):
        run(tmp_path, "training.steps=2", "optimizer.momentum_form=keras")  # the form of earlier versions


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["model.keep_prototypes=True"], "expected one for keep_prototypes"),
        (["model.frozen_stages=1"], "expected one for keep_prototypes or frozen_stages"),
        (["model.keep_prototypes=True", "model.model_path=x", "loss.head=none", "loss angular_centre.weight=0",
          "loss batch_hard_triplet.weight=1", "data.images_per_identity=2"], "head is none"),
        (["teacher.mask=soft"], "model_path: expected one for the mask soft"),
        (["validation.best=either"], r"best: either expects \[lfw\] or \[ytf\] enable, or \[data\] hold_out"),
        (["validation.best=held_out"], r"best: held_out expects \[data\] hold_out above 0"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(overrides, message):
    with pytest.raises(ValueError, match=message):
        config.load(None, overrides)


def test_a_teacher_that_nothing_asks_is_refused(trained, tmp_path):
    with pytest.raises(ValueError, match=r"\[teacher\] model_path: expected something that asks"):
        run(tmp_path, f"teacher.model_path={trained}")
