import shutil

import numpy as np
import pytest

from keras_face import backbones, config
from keras_face.backend import keras, tf
from keras_face.config import LatseConfig
from keras_face.training.building import build_reconstruction
from keras_face.training.latse import MeanImages, Reconstruction, dissimilarity, smooth_l1
from keras_face.training.run import train


def images(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def test_the_smooth_l1_distance_is_a_parabola_up_to_a_ninth_and_a_line_beyond():
    drawn = tf.constant([[0.05, 1 / 9, 0.2, -1.0]])[:, :, tf.newaxis, tf.newaxis]
    expected = np.mean([4.5 * 0.05**2, 1 / 18, 0.2 - 1 / 18, 1 - 1 / 18])
    assert smooth_l1(drawn, tf.zeros_like(drawn)).numpy() == pytest.approx([expected], rel=1e-6)


def test_dissimilarity_is_that_of_the_whole_image_computed_in_double_precision():
    drawn, aims = images(3, 4, 5, 3), images(3, 4, 5, 3, seed=1)
    aims[1] = drawn[1]
    aims[2] = 1 - drawn[2]
    expected = []
    for one, other in zip(drawn.astype(float), aims.astype(float), strict=True):
        covariance = np.mean(one * other) - one.mean() * other.mean()
        light = (2 * one.mean() * other.mean() + 1e-4) / (one.mean() ** 2 + other.mean() ** 2 + 1e-4)
        expected.append((1 - light * (2 * covariance + 9e-4) / (one.var() + other.var() + 9e-4)) / 2)
    found = dissimilarity(tf.constant(drawn), tf.constant(aims)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[1] == pytest.approx(0, abs=1e-6)
    assert found[2] > 0.9


def small_decoder():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(12, activation="sigmoid", input_shape=(5,)), keras.layers.Reshape((2, 2, 3))]
    return keras.Sequential(layers)


@pytest.mark.parametrize("distance", ["smooth_l1", "ssim"])
def test_a_reconstruction_learns_to_draw_what_it_aims_at(distance):
    layer = Reconstruction(small_decoder(), distance)
    aims = tf.constant(np.random.default_rng(0).integers(0, 256, (4, 2, 2, 3)), tf.uint8)
    embeddings = tf.Variable(images(4, 5))
    optimizer = keras.optimizers.Adam(0.1)
    compute = tf.function(layer)
    losses = []
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = compute(embeddings, tf.zeros([4], tf.int64), training=True, aims=aims)
            total = tf.reduce_sum(loss)
        losses.append(loss.numpy())
        variables = [*layer.trainable_variables, embeddings]
        optimizer.apply_gradients(zip(tape.gradient(total, variables), variables, strict=True))
    assert losses[0].shape == (4,)
    assert losses[-1].max() < 0.2 * losses[0].min()
    apart = np.abs(layer.draw(embeddings).numpy().astype(int) - aims.numpy())
    assert np.median(apart) < 16


def test_the_weight_rises_over_the_warm_up_and_stays():
    _, weight = build_reconstruction(LatseConfig(weight=2.0, warmup_steps=3, width=0.05), 4, (16, 16))
    np.testing.assert_allclose([weight(tf.constant(step)) for step in (0, 1, 2, 3, 9)], [0.5, 1, 1.5, 2, 2])


def test_a_size_that_the_decoder_has_not_is_one_clear_line():
    with pytest.raises(ValueError, match=r"^\[latse\].*multiples of 16 pixels, got \(20, 20\)$"):
        build_reconstruction(LatseConfig(weight=1.0), 4, (20, 20))


def test_an_unknown_distance_and_missing_aims_are_refused():
    with pytest.raises(ValueError, match="smooth_l1, ssim, got 'l2'"):
        Reconstruction(small_decoder(), "l2")
    with pytest.raises(ValueError, match="aims=, got None"):
        Reconstruction(small_decoder())(tf.ones([1, 5]), tf.zeros([1], tf.int64))


def test_lines_of_crops_aims_and_drawings_are_filled_up_with_black():
    layer = Reconstruction(small_decoder())
    generator = np.random.default_rng(0)
    crops, aims = (tf.constant(generator.integers(1, 256, (11, 2, 2, 3)), tf.uint8) for _ in range(2))
    embeddings = tf.constant(images(11, 5))
    found = layer.compared(lambda _: embeddings, {"images": crops, "aims": aims, "labels": tf.zeros([11])})
    assert found.shape == (6 * 8, 2, 2, 3)
    for line, whole in enumerate((crops, aims, layer.draw(embeddings))):
        np.testing.assert_array_equal(found[8 * line : 8 * line + 8], whole[:8])
        np.testing.assert_array_equal(found[24 + 8 * line : 24 + 8 * line + 3], whole[8:])
        assert not found[24 + 8 * line + 3 : 24 + 8 * line + 8].any()
    np.testing.assert_array_equal(layer.compared(lambda _: embeddings, {"images": crops})[:8], crops[:8])


def photos(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 2, 3, 3), np.uint8)


def test_mean_images_follow_the_photos_of_each_identity_and_the_first_is_the_first(tmp_path):
    means = MeanImages(tmp_path, 3, (2, 3), momentum=0.75)
    whole = photos(5)
    aims = means.update(1, whole, np.array([2, 0, 2, -1, 2]))
    np.testing.assert_array_equal(aims[[0, 1, 3]], whole[[0, 1, 3]])
    second = 0.75 * whole[0].astype(float) + 0.25 * whole[2]
    assert np.abs(aims[2] - second).max() < 1
    assert np.abs(aims[4] - (0.75 * aims[2].astype(float) + 0.25 * whole[4])).max() < 1
    np.testing.assert_array_equal(means.means[2], aims[4])
    assert means.seen.tolist() == [True, False, True]


def test_each_replica_gets_the_aims_of_its_share_of_the_batch(tmp_path, two_replicas):
    whole, labels = photos(4), np.array([0, 1, 1, 0])
    expected = MeanImages(tmp_path / "alone", 2, (2, 3), momentum=0.5).update(1, whole, labels)
    shares = tf.data.Dataset.from_tensor_slices({"images": whole, "labels": labels}).batch(4)
    (batch,) = two_replicas.experimental_distribute_dataset(shares)
    found = MeanImages(tmp_path / "shared", 2, (2, 3), momentum=0.5).with_aims(1, batch, two_replicas)
    assert set(found) == {"images", "labels", "aims"}
    for replica, aims in enumerate(two_replicas.experimental_local_results(found["aims"])):
        np.testing.assert_array_equal(aims, expected[2 * replica : 2 * replica + 2])


def test_momentum_zero_is_the_photo_itself(tmp_path):
    means = MeanImages(tmp_path, 1, (2, 3), momentum=0.0)
    for step in range(4):
        whole = photos(2, step)
        np.testing.assert_array_equal(means.update(step, whole, np.array([0, 0])), whole)


def test_rounding_moves_a_mean_the_last_grey_levels_too(tmp_path):
    means = MeanImages(tmp_path, 1, (2, 3), momentum=0.9)
    start, end = np.full((1, 2, 3, 3), 100, np.uint8), np.full((1, 2, 3, 3), 103, np.uint8)
    means.update(0, start, np.array([0]))
    for step in range(1, 100):
        means.update(step, end, np.array([0]))
    assert means.means.mean() > 102.5


def test_mean_images_go_on_from_what_was_saved(tmp_path):
    labels = np.array([0, 1, 1, 0])
    whole = MeanImages(tmp_path / "whole", 3, (2, 3), 0.5, seed=4)
    expected = [whole.update(step, photos(4, step), labels) for step in range(6)]
    killed = MeanImages(tmp_path / "killed", 3, (2, 3), 0.5, seed=4)
    for step in range(5):
        killed.update(step, photos(4, step), labels)
        if step < 4:
            killed.save(step + 1)
    del killed
    again = MeanImages(tmp_path / "killed", 3, (2, 3), 0.5, seed=4)
    again.restore(4)
    assert again.seen.tolist() == [True, True, False]
    for step in (4, 5):
        np.testing.assert_array_equal(again.update(step, photos(4, step), labels), expected[step])
    names = sorted(path.name for path in (tmp_path / "killed").iterdir())
    assert names == ["mean_images-3.npy", "mean_images-4.npy", "mean_images.npy"]
    with pytest.raises(ValueError, match=r"mean_images-2\.npy: expected the mean images of step 2"):
        again.restore(2)
    with pytest.raises(ValueError, match=r"shape \(4, 2, 3, 3\), got \(3, 2, 3, 3\)"):
        MeanImages(tmp_path / "killed", 4, (2, 3), 0.5).restore(4)


SMALL = [
    "run.strategy=one_device",
    "data.image_size=32,32",
    "data.shuffle_buffer=64",
    "synthetic.people=6",
    "synthetic.photos_per_person=4",
    "model.backbone=sphereface4",
    "model.width=0.1",
    "model.embedding_size=16",
    "loss.head=linear_phi",
    "loss angular_centre.weight=0",
    "latse.width=0.05",
    "training.batch_size=8",
    "training.validate_interval=0",
    "training.summary_interval=2",
    "validation.baselines=False",
    "lfw.enable=False",
    "ytf.enable=False",
]


AGAIN = [
    "latse.weight=10",
    "latse.aim=identity_mean",
    "latse.momentum=0.5",
    "training.ckpt_interval=2",
    "run.deterministic=True",
    "schedule.kind=constant",
]


def run(folder, *more):
    return train(config.load(config.QUICK_START, [*SMALL, f"run.output_dir={folder}", *more]))


def pictures(folder, tag):
    found = []
    for path in sorted(folder.glob("summaries/*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            found += [value.tensor.string_val[2] for value in event.summary.value if value.tag == tag]
    return [tf.io.decode_png(picture).numpy() for picture in found]


def values(folder, step):
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{step}"))
    names = [name for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
    return {name: reader.get_tensor(name) for name in names if not name.startswith("save_counter")}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("latse")
    run(folder, *AGAIN, "training.steps=4")
    return folder


def test_a_run_with_mean_images_that_was_killed_goes_on_to_identical_bits(uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    for name in ("checkpoints/ckpt-4.index", "checkpoints/ckpt-4.data-00000-of-00001", "mean_images/mean_images-4.npy"):
        (tmp_path / name).unlink()
    (tmp_path / "checkpoints" / "checkpoint").write_text('model_checkpoint_path: "ckpt-2"')
    run(tmp_path, *AGAIN, "training.steps=4")
    assert "at step 2 of 4" in (tmp_path / "train.log").read_text()
    left, right = values(uninterrupted, 4), values(tmp_path, 4)
    assert any("decoder" in name for name in left)
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def test_the_sheet_shows_crops_what_they_should_become_and_what_is_drawn(uninterrupted):
    (first, *_), (crops, *_) = pictures(uninterrupted, "train/reconstructions"), pictures(uninterrupted, "train/crops")
    assert first.shape == (3 * 32, 8 * 32, 3)
    np.testing.assert_array_equal(first[:32], crops[:32])
    assert np.any(first[32:64] != first[:32])  # means of two photos where an identity is in the batch twice
    assert len(np.unique(first[64:])) > 10


def test_a_teacher_of_an_earlier_run_has_its_say_in_that_of_some_of_its_people(uninterrupted, tmp_path):
    own = tmp_path / "photos"
    people = sorted(path for path in (uninterrupted / "synthetic" / "train").iterdir() if path.is_dir())
    for person in people[2:]:
        shutil.copytree(person, own / person.name)
    more = ["data.train=own", f"own.photos={own}", f"teacher.model_path={uninterrupted}", "training.steps=2"]
    run(tmp_path / "run", *more, "latse.weight=1", "teacher.mask=soft", "loss logit_distillation.weight=0.1",
        "loss cosine_distillation.weight=1")  # fmt: skip
    log = (tmp_path / "run" / "train.log").read_text()
    assert "prototypes of all 4 people" in log
    shutil.copytree(people[0], own / "Stranger")
    with pytest.raises(ValueError, match=r"knows all 5 people .* among them Stranger"):
        run(tmp_path / "other", *more, "teacher.mask=top_k")


def test_the_published_decoder_fits_the_reconstruction():
    layer = Reconstruction(backbones.decoder(4, (16, 32), 0.05))
    aims = tf.zeros([2, 16, 32, 3], tf.uint8)
    assert layer(tf.ones([2, 4]), tf.zeros([2], tf.int64), aims=aims).shape == (2,)
    assert layer.draw(tf.ones([2, 4])).dtype == tf.uint8
