"""Batches of real records, without a network."""

import cv2
import numpy as np
import pytest

from keras_face.config import AugmentationConfig, DataConfig, TrainingConfig
from keras_face.records import writing
from keras_face.records.batches import Batches
from keras_face.records.dataset import open_dataset
from keras_face.records.streams import mix
from keras_face.training.feed import Feed
from keras_face.training.latse import MeanImages

SIDE, BATCH = 8, 4


def photo(value):
    return cv2.imencode(".png", np.full([SIDE, SIDE, 3], value, np.uint8))[1].tobytes()


def mixture(folder, photos):
    """Returns records of photos of two people in turn, named `photo 0`, `photo 1`, ..."""
    face_sets = [writing.FaceSet([each], number % 2, f"photo {number}") for number, each in enumerate(photos)]
    writing.write_records(folder, face_sets, identities=["A", "B"], image_size=(SIDE, SIDE), source="test")
    return mix([open_dataset(folder)], [None])


def batches_of(mixed, *, num_replicas=1, accumulation_steps=1, images_per_identity=0, **training):
    settings = TrainingConfig(**{"batch_size": BATCH, "steps": 10, **training})
    data = DataConfig(image_size=(SIDE, SIDE), shuffle_buffer=16, images_per_identity=images_per_identity)
    plain = AugmentationConfig(flip=0.0)
    more = {"num_replicas": num_replicas, "accumulation_steps": accumulation_steps}
    return Batches(mixed, settings, data, plain, seed=3, **more)


@pytest.fixture
def mixed(tmp_path):
    return mixture(tmp_path / "records", [photo(10 * number) for number in range(12)])


def test_a_feed_that_begins_later_gives_what_an_earlier_one_gives_at_that_step(mixed, one_replica):
    batches = batches_of(mixed)
    first, later = Feed(batches, one_replica, 0), Feed(batches, one_replica, 3)
    seen = [first.take(step)["images"].numpy() for step in range(1, 6)]
    for step in (4, 5):
        np.testing.assert_array_equal(later.take(step)["images"], seen[step - 1])
    assert not np.array_equal(seen[3], seen[4])


def test_the_names_of_a_step_are_those_of_its_photos(mixed, one_replica):
    feed = Feed(batches_of(mixed), one_replica, 1)
    batch = feed.take(2)
    assert set(batch) == {"images", "labels"}
    assert feed.names(2) == [f"photo {value // 10}" for value in batch["images"].numpy()[:, 0, 0, 0]]


def test_photos_that_cannot_be_decoded_are_named_with_their_step(tmp_path, one_replica):
    whole = photo(7)
    mixed = mixture(tmp_path / "records", [whole] * 5 + [whole[:45]] + [whole] * 2)
    feed = Feed(batches_of(mixed, batch_size=8), one_replica, 0)
    with pytest.raises(ValueError, match=r"^step 1: photos that cannot be decoded: photo 5$"):
        feed.take(1)


def test_replicas_share_a_batch_and_its_aims(mixed, tmp_path, two_replicas):
    means = MeanImages(tmp_path / "means", 2, (SIDE, SIDE), momentum=0.0)
    batch = Feed(batches_of(mixed, num_replicas=2), two_replicas, 0, means).take(1)
    shares = {key: two_replicas.experimental_local_results(value) for key, value in batch.items()}
    assert {key: [len(share) for share in value] for key, value in shares.items()} == {
        key: [BATCH // 2] * 2 for key in ("images", "labels", "aims")
    }
    for images, aims in zip(shares["images"], shares["aims"], strict=True):
        np.testing.assert_array_equal(images, aims)  # with momentum 0 the mean is the photo


@pytest.mark.parametrize(
    "training, steps", [({"steps": 7}, 7), ({"steps": 0, "epochs": 1}, 3), ({"steps": 0, "epochs": 1.1}, 4)]
)
def test_a_training_has_its_steps_or_those_of_its_epochs(mixed, training, steps):
    assert batches_of(mixed, **training).steps == steps  # 12 photos in batches of 4


@pytest.mark.parametrize(
    "more, message",
    [
        ({"steps": 0}, r"\[training\] expected steps or epochs above 0"),
        ({"batch_size": 9, "accumulation_steps": 2}, "multiple of 2 .*got 9"),
        ({"batch_size": 18, "num_replicas": 2, "accumulation_steps": 3, "images_per_identity": 4}, "multiple of 24 "),
    ],
)
def test_nothing_to_train_and_a_batch_that_cannot_be_shared_out_are_refused(mixed, more, message):
    with pytest.raises(ValueError, match=message):
        batches_of(mixed, **more)
