"""From records to batches: images, mixtures, order, resume."""

import itertools
import json
import math
import zlib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_face.augmentation.augmentation import Augmentation
from keras_face.backend import tf
from keras_face.photos import images
from keras_face.records import writing
from keras_face.records.mixture import Turns
from keras_face.records.streams import mix, mixing_table, train_stream, unreadable

SIZE = (6, 8)


def picture(name: str) -> np.ndarray:
    """Returns the RGB pixels of a photo, made from its name."""
    return np.random.RandomState(zlib.crc32(name.encode())).randint(0, 256, (*SIZE, 3), np.uint8)


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def write(path, sets, num_shards=2, size=SIZE, **options):
    """Writes (label, number of photos) of each face set; photo i of set s of the folder F shows picture("F/s/i")."""
    face_sets = [
        writing.FaceSet([png(picture(f"{path.name}/{n}/{i}")) for i in range(count)], label, f"{path.name}/{n}")
        for n, (label, count) in enumerate(sets)
    ]
    identities = [f"{path.name} {label}" for label in range(max(label for label, _ in sets) + 1)]
    output = writing.Output(path, num_shards)
    return writing.write_records(output, face_sets, identities=identities, image_size=size, source="test", **options)


# Face sets (label, photos): photos alone, sets of several, and sets beside tracks of unknown people.
PHOTOS = [(label, 1) for label in range(7) for _ in range(label + 1)]
SETS = [(label, count) for label, count in enumerate([1, 2, 3, 4, 5, 6] * 2)]
TRACKS = [(0, 2), (-1, 5), (1, 1), (-2, 3), (1, 4)]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    named = {"photos": PHOTOS, "sets": SETS, "tracks": TRACKS}
    return {name: write(folder / name, sets) for name, sets in named.items()}


@pytest.fixture(scope="module")
def mixture(datasets):
    return mix(list(datasets.values()), [3, 2, 1])


@pytest.fixture(scope="module")
def alone(datasets):
    return mix([datasets["photos"]], [None])


@pytest.fixture(scope="module")
def mixed_batches(mixture):
    return batches(mixture, 50, augmentation=Augmentation(shift=0.2, erase=0.5))


def batches(mixture, count, **changes):
    options = {"batch_size": 12, "seed": 5, "image_size": SIZE, "shuffle_buffer": 8, **changes}
    return list(train_stream(mixture, **options).take(count).as_numpy_iterator())


def column(found, name):
    return np.concatenate([batch[name] for batch in found])


def names(found):
    return [name.decode() for name in column(found, "names")]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name in ("images", "labels", "names"):
            np.testing.assert_array_equal(one[name], other[name])


# Images


@pytest.mark.parametrize(
    "image_size, rows, columns", [((112, 96), (0, 112), (8, 104)), ((96, 112), (8, 104), (0, 112))]
)
def test_an_image_of_another_shape_is_cropped_at_its_centre(image_size, rows, columns):
    pixels = np.random.RandomState(0).randint(0, 256, (112, 112, 3), np.uint8)
    expected = pixels[slice(*rows), slice(*columns)]
    np.testing.assert_array_equal(images.fit(pixels, image_size), expected)
    dynamic = tf.function(lambda image: images.fit(image, image_size)).get_concrete_function(
        tf.TensorSpec([None, None, 3], tf.uint8)
    )
    np.testing.assert_array_equal(dynamic(tf.constant(pixels)), expected)
    assert dynamic.structured_outputs.shape == (*image_size, 3)


def test_an_image_of_another_scale_is_the_mean_of_areas():
    pixels = np.random.RandomState(0).randint(0, 256, (2, 12, 16, 3), np.uint8)
    expected = np.empty((2, 6, 8, 3))
    for n, row, col in itertools.product(range(2), range(6), range(8)):
        expected[n, row, col] = pixels[n, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2].mean((0, 1))
    np.testing.assert_allclose(images.fit(pixels, (6, 8)), expected, atol=0.5)
    # Twice as wide as asked: the middle half of the columns, at half the scale.
    np.testing.assert_array_equal(images.fit(pixels, (6, 4)), images.fit(pixels[:, :, 4:12], (6, 4)))


@pytest.mark.parametrize("image_size", [(0, 8), (8,), (8, 8, 3), (8.0, 8)])
def test_a_size_that_is_no_height_and_width_is_an_error(image_size):
    with pytest.raises(ValueError, match=r"image_size must be \(height, width\)"):
        images.fit(np.zeros((8, 8, 3), np.uint8), image_size)


def test_decoding_gives_the_pixels_of_opencv(tmp_path):
    pixels = cv2.GaussianBlur(np.random.RandomState(0).randint(0, 256, (112, 112, 3), np.uint8), (0, 0), 3)
    for extension in (".jpg", ".png"):
        encoded = cv2.imencode(extension, pixels)[1]
        expected = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(images.decode(encoded.tobytes()), expected)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 0), ("bfloat16", 2**-8), ("float16", 2**-11)])
def test_standardised_pixels_are_within_one_of_zero(dtype, tolerance):
    pixels = np.arange(256, dtype=np.uint8)
    standardised = images.standardise(pixels, dtype)
    assert standardised.dtype == dtype
    expected = [(pixel - 127.5) / 128 for pixel in range(256)]
    np.testing.assert_allclose(tf.cast(standardised, tf.float64), expected, rtol=tolerance)


# Mixtures


def test_the_labels_of_a_dataset_follow_those_of_the_datasets_before_it(mixture, mixed_batches):
    before = {"photos": 0, "sets": 7, "tracks": 7 + 12}
    assert (mixture.num_identities, mixture.num_sequences) == (21, 2)
    own = {"photos": PHOTOS, "sets": SETS, "tracks": TRACKS}
    seen = set()
    for name, label in zip(names(mixed_batches), column(mixed_batches, "labels"), strict=True):
        dataset, number = name.split("/")
        expected = own[dataset][int(number)][0]
        assert label == (expected + before[dataset] if expected >= 0 else expected)
        seen.add(label)
    assert seen == set(range(-2, 21))


def test_sequences_of_unknown_people_are_numbered_on_too(tmp_path):
    first = write(tmp_path / "a", [(0, 1), (-1, 1), (-2, 1), (-3, 1)])
    second = write(tmp_path / "b", [(0, 1), (-1, 1), (-2, 1)])
    found = batches(mix([first, second], [1, 1]), 4)
    labels = dict(zip(names(found), column(found, "labels").tolist(), strict=True))
    assert labels == {"a/0": 0, "a/1": -1, "a/2": -2, "a/3": -3, "b/0": 1, "b/1": -4, "b/2": -5}


@pytest.mark.parametrize("balance, shares", [(False, [28, 42, 15]), (True, [7, 12, 4])])
def test_automatic_weights_are_photos_or_with_balance_people_and_tracks(datasets, balance, shares):
    mixture = mix(list(datasets.values()), [None, -1, None], balance)
    np.testing.assert_allclose(mixture.weights, np.array(shares) / sum(shares))


def test_tracks_have_half_of_a_batch_beside_people_unless_weights_say_otherwise(datasets, tmp_path):
    tracks = [write(tmp_path / name, [(-1, 3 * n), (-2, n)]) for n, name in enumerate("ab", 1)]
    people = [datasets["photos"], datasets["sets"]]  # 28 and 42 photos
    assert mix([people[0], tracks[0], people[1]], [None] * 3).weights == pytest.approx((28 / 140, 1 / 2, 42 / 140))
    assert mix([people[0], *tracks], [None] * 3).weights == pytest.approx((1 / 2, 1 / 6, 1 / 3))
    assert mix([people[0], *tracks], [2, 1, 1]).weights == (0.5, 0.25, 0.25)
    assert mix(tracks, [None] * 2).weights == pytest.approx((1 / 3, 2 / 3))


def test_every_dataset_gets_its_share_of_every_stretch(mixed_batches):
    found = [name.split("/")[0] for name in names(mixed_batches)]
    for start in range(0, 600, 60):
        counts = Counter(found[start : start + 60])
        for name, weight in zip(("photos", "sets", "tracks"), (3 / 6, 2 / 6, 1 / 6), strict=True):
            assert abs(counts[name] - 60 * weight) <= 2


@pytest.mark.parametrize(
    "weights, message",
    [
        ([1, None, -1], "all positive, or all None"),
        ([1, 2, 0], "all positive"),
        ([1, 2, math.inf], "all positive"),
        ([1, 2, math.nan], "all positive"),
        ([1, 2], "a weight for each"),
    ],
)
def test_weights_that_mix_units_are_refused(datasets, weights, message):
    with pytest.raises(ValueError, match=message):
        mix(list(datasets.values()), weights)


def test_datasets_that_do_not_go_together_are_refused(datasets, tmp_path):
    with pytest.raises(ValueError, match="expected datasets"):
        mix([], [])
    with pytest.raises(ValueError, match="each dataset can be mixed in once"):
        mix([datasets["photos"], datasets["photos"]], [1, 1])
    one = write(tmp_path / "one", [(0, 1)], num_shards=1, template="arcface")
    other = write(tmp_path / "other", [(0, 1)], num_shards=1, template="seqface_144")
    with pytest.raises(ValueError, match="same template, got one: arcface, other: seqface_144"):
        mix([one, other], [1, 1])


def test_the_mixing_table_has_a_line_for_each_dataset_and_the_total(mixture):
    rows = [line.split() for line in mixing_table(mixture).splitlines()]
    assert rows == [
        ["dataset", "photos", "people", "tracks", "weight"],
        ["photos", "28", "7", "0", "0.5"],
        ["sets", "42", "12", "0", "0.3333"],
        ["tracks", "15", "2", "2", "0.1667"],
        ["total", "85", "21", "2", "1"],
    ]


@pytest.mark.parametrize("weights", [[1.0], [0.5, 0.5], [0.3, 0.2, 0.5], [1e-5, 1 - 1e-5], [0.1] * 10])
def test_turns_are_counted_as_they_fall(weights):
    turns = Turns(weights, seed=123456789123456789)
    fallen = np.array(list(turns.turns(0, 1).take(3000).as_numpy_iterator()))
    for stop in (0, 1, 2, 7, 100, 1234, 3000):
        assert turns.counts(stop) == [np.count_nonzero(fallen[:stop] == number) for number in range(len(weights))]
    assert list(turns.turns(1000, 2).take(4).as_numpy_iterator()) == np.repeat(fallen[1000:1002], 2).tolist()
    billion = turns.counts(10**9)
    assert sum(billion) == 10**9
    np.testing.assert_allclose(np.array(billion) / 1e9, weights, atol=1e-7)


# Order


@pytest.mark.parametrize("name", ["sets", "tracks"])
def test_an_epoch_shows_every_photo_once_each_in_another_order(datasets, name):
    mixture = mix([datasets[name]], [None])
    photos = mixture.num_images
    found = batches(mixture, 3, batch_size=photos)
    sets = {"sets": SETS, "tracks": TRACKS}[name]
    expected = Counter({f"{name}/{number}": count for number, (_, count) in enumerate(sets)})
    shown = Counter(picture(f"{name}/{n}/{i}").tobytes() for n, (_, count) in enumerate(sets) for i in range(count))
    for batch in found:
        assert Counter(names([batch])) == expected
        assert Counter(image.tobytes() for image in batch["images"]) == shown
    assert len({tuple(names([batch])) for batch in found}) == 3


def test_a_mixture_that_starts_later_goes_on_as_one_that_never_stopped(mixture, mixed_batches):
    for start in (1, 38):  # the datasets' first epochs end within batches 5, 11 and 8
        found = batches(mixture, 5, start_step=start, augmentation=Augmentation(shift=0.2, erase=0.5))
        assert_same(found, mixed_batches[start : start + 5])


@pytest.mark.parametrize(
    "chosen, balance, options",
    [
        (["sets"], False, {"augmentation": Augmentation()}),
        (["sets", "tracks"], False, {"images_per_set": 3}),
        (["sets"], True, {}),
        (["photos", "tracks"], True, {"images_per_set": 2}),
    ],
    ids=["one dataset", "several of each set", "balanced", "balanced, several of each set"],
)
def test_a_stream_that_starts_later_goes_on_as_one_that_never_stopped(datasets, chosen, balance, options):
    mixture = mix([datasets[name] for name in chosen], [None] * len(chosen), balance)
    whole = batches(mixture, 12, **options)
    for start in (2, 9):
        assert_same(batches(mixture, 3, start_step=start, **options), whole[start : start + 3])


def test_a_late_start_reads_none_of_what_comes_before(datasets, tmp_path):
    dataset = write(tmp_path / "long", [(0, 1)] * 64, num_shards=1)
    mixture = mix([dataset], [1])
    whole = batches(mixture, 8, batch_size=8, shuffle_buffer=4)
    shard = Path(dataset.shards[0])
    damaged = shard.read_bytes()
    for name in names(whole[:4]):
        photo = png(picture(f"{name}/0"))
        assert photo in damaged
        damaged = damaged.replace(photo, bytes(len(photo)))  # now the checksum of this record is wrong
    shard.write_bytes(damaged)
    with pytest.raises(tf.errors.DataLossError):
        batches(mixture, 1, batch_size=8, shuffle_buffer=4)
    assert_same(batches(mixture, 4, batch_size=8, shuffle_buffer=4, start_step=4), whole[4:])


def test_order_and_flips_depend_on_the_seed_and_on_no_other(alone):
    flips = Augmentation(flip=0.5)
    tf.random.set_seed(1)
    first = batches(alone, 3, augmentation=flips)
    tf.random.set_seed(2)
    assert_same(batches(alone, 3, augmentation=flips), first)
    assert names(batches(alone, 3, seed=6)) != names(first)


def test_with_balance_every_person_has_the_same_share_of_an_epoch(datasets):
    mixture = mix([datasets["photos"]], [None], balance=True)
    # 28 photos of 7 people: 4 of each in an epoch, whether a person has 1 photo or 7.
    epochs = batches(mixture, 7, batch_size=28)
    for batch in epochs:
        assert Counter(batch["labels"].tolist()) == dict.fromkeys(range(7), 4)
    # In 7 epochs each photo of a person with k photos had its turn 28 / k times, or one more or less.
    for name, count in Counter(names(epochs)).items():
        person = PHOTOS[int(name.split("/")[1])][0]
        assert abs(count - 28 / (person + 1)) < 1


@pytest.mark.parametrize("per_set", [2, 4])
def test_a_set_gives_so_many_images_all_different_if_it_has_them(datasets, per_set):
    mixture = mix([datasets["sets"]], [None])
    found = batches(mixture, 12, batch_size=4 * per_set, images_per_set=per_set)
    shown, labels = column(found, "images"), column(found, "labels")
    order = []
    for start in range(0, len(shown), per_set):
        (name,) = set(names(found)[start : start + per_set])
        number = int(name.split("/")[1])
        label, count = SETS[number]
        assert set(labels[start : start + per_set]) == {label}
        own = [picture(f"sets/{number}/{i}").tobytes() for i in range(count)]
        picked = [own.index(image.tobytes()) for image in shown[start : start + per_set]]
        assert {picked.count(i) for i in range(count)} <= {per_set // count, -(-per_set // count)}
        order.append((number, *picked))
    assert Counter(number for number, *_ in order) == dict.fromkeys(range(12), 4)  # 48 sets in 4 epochs
    assert len({picks for picks in order if picks[0] == 5}) > 1


def test_a_dataset_smaller_than_a_batch_repeats(tmp_path):
    mixture = mix([write(tmp_path / "small", [(0, 1), (1, 1), (1, 1)], num_shards=1)], [None])
    (batch,) = batches(mixture, 1, batch_size=32)
    counts = Counter(batch["names"].tolist())
    assert set(counts.values()) == {10, 11}
    assert len(counts) == 3


def test_batches_have_static_shapes_and_the_size_asked_for(alone):
    stream = train_stream(alone, batch_size=4, seed=0, image_size=(6, 4))
    assert stream.element_spec == {
        "images": tf.TensorSpec([4, 6, 4, 3], tf.uint8),
        "labels": tf.TensorSpec([4], tf.int64),
        "names": tf.TensorSpec([4], tf.string),
    }
    (batch,) = stream.take(1).as_numpy_iterator()
    for name, image in zip(names([batch]), batch["images"], strict=True):
        np.testing.assert_array_equal(image, picture(f"{name}/0")[:, 2:6])


def test_datasets_of_different_sizes_are_fitted_alike(datasets, tmp_path):
    face_set = writing.FaceSet([png(np.full((12, 16, 3), 77, np.uint8))], 0, "big")
    big = writing.write_records(tmp_path / "big", [face_set], identities=["a"], image_size=(12, 16), source="test")
    found = batches(mix([datasets["photos"], big], [1, 1]), 3)
    for name, image in zip(names(found), column(found, "images"), strict=True):
        np.testing.assert_array_equal(image, 77 if name == "big" else picture(f"{name}/0"))


def test_random_windows_are_cut_at_every_place_alike_and_another_one_each_time(alone):
    found = batches(alone, 60, crop_from=SIZE, image_size=(5, 6))
    places = Counter()
    of_photo = {}
    for name, window in zip(names(found), column(found, "images"), strict=True):
        whole = picture(f"{name}/0")
        place = [(y, x) for y in range(2) for x in range(3) if np.array_equal(whole[y : y + 5, x : x + 6], window)]
        assert len(place) == 1
        places[place[0]] += 1
        of_photo.setdefault(name, set()).add(place[0])
    assert set(places) == set(itertools.product(range(2), range(3)))
    assert max(places.values()) < 2 * min(places.values())  # 120 of each expected, standard deviation 10
    assert all(len(seen) > 3 for seen in of_photo.values())


def test_windows_do_not_hang_on_the_augmentation_and_come_after_it(alone):
    plain, mirrored = (
        column(batches(alone, 4, crop_from=SIZE, image_size=(6, 4), augmentation=augmentation), "images")
        for augmentation in (None, Augmentation(flip=1.0))
    )
    names_of = names(batches(alone, 4))
    for name, one, other in zip(names_of, plain, mirrored, strict=True):
        whole = picture(f"{name}/0")
        (x,) = (x for x in range(5) if np.array_equal(whole[:, x : x + 4], one))
        np.testing.assert_array_equal(other, whole[:, ::-1][:, x : x + 4])


def test_replicas_share_out_the_global_batch(alone, two_replicas):
    options = {"batch_size": 12, "seed": 5, "image_size": SIZE, "shuffle_buffer": 8}
    distributed = iter(two_replicas.experimental_distribute_dataset(train_stream(alone, **options)))
    for expected in batches(alone, 3):
        parts = next(distributed)
        for name in ("images", "labels", "names"):
            halves = two_replicas.experimental_local_results(parts[name])
            assert [half.shape[0] for half in halves] == [6, 6]
            np.testing.assert_array_equal(np.concatenate(halves), expected[name])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"images_per_set": 5}, "multiple of images_per_set = 5, got 12"),
        ({"images_per_set": 0}, "images_per_set must be >= 1"),
        ({"shuffle_buffer": 0}, "shuffle_buffer must be >= 1"),
        ({"seed": -1}, "seed must be >= 0"),
        ({"start_step": -1}, "step must be >= 0"),
        (
            {"crop_from": (6, 7)},
            r"crop_from must be a \(height, width\) of at least image_size = \(6, 8\), got \(6, 7\)",
        ),
        ({"crop_from": (8,)}, r"crop_from must be a \(height, width\)"),
    ],
)
def test_arguments_out_of_range_are_refused(mixture, options, message):
    with pytest.raises(ValueError, match=message):
        batches(mixture, 1, **options)


def edit_metadata(path, **changes):
    facts = json.loads((path / "metadata.json").read_text())["keras_face"]
    (path / "metadata.json").write_text(json.dumps({"keras_face": {**facts, **changes}}))


def test_a_label_outside_the_dataset_is_an_error_that_names_the_record(tmp_path):
    write(tmp_path / "set", [(0, 1), (1, 1), (2, 1)], num_shards=1)
    edit_metadata(tmp_path / "set", num_identities=2)
    (tmp_path / "set" / "identities.json").write_text('["a", "b"]')
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        batches(mix([writing.open_dataset(tmp_path / "set")], [None]), 1)
    for part in (r"labels must be in [0, 2)", "[2]", "set/2"):
        assert part in error.value.message


def test_an_image_of_another_size_than_its_dataset_is_an_error_that_names_the_record(tmp_path):
    write(tmp_path / "set", [(0, 1)], num_shards=1, size=(8, 8))
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        batches(mix([writing.open_dataset(tmp_path / "set")], [None]), 1)
    assert "set/0" in error.value.message
    assert "[6 8" in error.value.message


def test_records_that_cannot_be_decoded_are_named(tmp_path):
    good = [writing.FaceSet([png(picture(str(n)))], 0, f"good {n}") for n in range(5)]
    bad = writing.FaceSet([png(picture("x"))[:-20]], 0, "bad Å")
    dataset = writing.write_records(tmp_path / "set", [*good, bad], identities=["a"], image_size=SIZE, source="test")
    mixture = mix([dataset], [None])
    with pytest.raises(tf.errors.InvalidArgumentError):
        batches(mixture, 1, batch_size=6)
    broken = [unreadable(mixture, step=step, batch_size=2, seed=5, shuffle_buffer=8) for step in range(3)]
    assert sorted(broken) == [[], [], ["bad Å"]]
    assert len(batches(mixture, 1, batch_size=2, start_step=broken.index([]))) == 1


# Augmentation

SQUARE = np.random.RandomState(1).randint(0, 256, (20, 24, 3), np.uint8)


def augmented(pixels, count=64, **options):
    augmentation = Augmentation(**{"flip": 0.0, **options})
    return np.stack([augmentation(tf.constant(pixels), tf.constant([3, n], tf.int64)) for n in range(count)])


def test_about_half_of_the_images_are_mirrored_exactly(alone):
    found = batches(alone, 20, augmentation=Augmentation())
    flipped = []
    for name, image in zip(names(found), column(found, "images"), strict=True):
        original = picture(f"{name}/0")
        flipped.append(not np.array_equal(image, original))
        np.testing.assert_array_equal(image, original[:, ::-1] if flipped[-1] else original)
    assert abs(sum(flipped) - 120) < 4 * math.sqrt(240) / 2  # 4 standard deviations of a fair coin


def test_moving_agrees_with_opencv():
    limits = {"shift": 0.2, "scale": 0.3, "rotation": 0.5}
    smooth = cv2.GaussianBlur(SQUARE, (0, 0), 2)
    for number, moved in enumerate(augmented(smooth, 8, **limits)):
        draws = 2 * tf.random.stateless_uniform([14], tf.constant([3, number], tf.int64)).numpy() - 1
        across, down, zoom, turn = draws[1] * 0.2 * 24, draws[2] * 0.2 * 20, 1 + draws[3] * 0.3, draws[4] * 0.5
        # OpenCV turns counter-clockwise for positive degrees, about the centre of the pixel grid.
        matrix = cv2.getRotationMatrix2D((23 / 2, 19 / 2), math.degrees(turn), zoom)
        matrix[:, 2] += across, down
        expected = cv2.warpAffine(smooth, matrix, (24, 20), borderMode=cv2.BORDER_REFLECT)
        np.testing.assert_allclose(moved.astype(int), expected, atol=4)


def test_brightness_adds_the_same_to_every_pixel():
    changes = augmented(np.full((4, 4, 3), 128, np.uint8), brightness=0.2).astype(int) - 128
    assert (changes == changes[:, :1, :1, :1]).all()
    assert -51 <= changes.min() < -25
    assert 25 < changes.max() <= 51


def luminance(pixels):
    return pixels @ np.array([0.299, 0.587, 0.114])


def test_contrast_scales_the_distance_from_the_mean():
    pixels = (100 + SQUARE // 8).astype(np.uint8)
    mean = luminance(pixels).mean()
    distance = pixels - mean
    factors = [np.sum((image - mean) * distance) / np.sum(distance**2) for image in augmented(pixels, contrast=0.5)]
    assert 0.49 < min(factors) < 0.75
    assert 1.25 < max(factors) < 1.51


def test_saturation_scales_the_distance_from_grey():
    pixels = (100 + SQUARE // 8).astype(np.uint8)
    colour = pixels - luminance(pixels)[..., np.newaxis]
    changed = augmented(pixels, saturation=0.5)
    factors = [np.sum((image - luminance(image)[..., np.newaxis]) * colour) / np.sum(colour**2) for image in changed]
    assert 0.49 < min(factors) < 0.75
    assert 1.25 < max(factors) < 1.51
    np.testing.assert_allclose(luminance(changed), np.broadcast_to(luminance(pixels), changed.shape[:3]), atol=0.51)


def test_grey_images_have_the_luminance_in_every_channel():
    (grey,) = augmented(SQUARE, 1, grey=1.0)
    np.testing.assert_allclose(grey, np.repeat(luminance(SQUARE)[..., np.newaxis], 3, axis=2), atol=0.501)
    some = [np.ptp(image, axis=2).max() == 0 for image in augmented(SQUARE, 100, grey=0.3)]
    assert 12 <= sum(some) <= 48


def test_erasing_fills_one_rectangle_with_noise():
    plain = np.full((40, 40, 3), 9, np.uint8)
    for image in augmented(plain, 40, erase=1.0):
        changed = (image != 9).any(axis=2)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        assert changed.sum() == box  # noise of three channels equals 9 once in 16 million
        assert 0.02 * 1600 - 8 <= box <= 0.33 * 1600 + 24  # sides are rounded to whole pixels
    assert {(image != 9).any() for image in augmented(plain, 40, erase=0.5)} == {True, False}


def test_one_option_does_not_change_what_another_draws():
    flips = augmented(SQUARE, flip=0.5)
    grey = augmented(SQUARE, flip=0.5, grey=1.0, saturation=0.3)
    for image, other in zip(flips, grey, strict=True):
        np.testing.assert_allclose(other[..., 0], luminance(image), atol=0.501)


@pytest.mark.parametrize(
    "options",
    [{"flip": 1.1}, {"shift": 0.6}, {"scale": -0.1}, {"rotation": 4}, {"contrast": 1}, {"erase": math.nan}],
)
def test_an_option_out_of_range_is_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name}: expected a number in "):
        Augmentation(**options)
