"""A training that can learn little says so when it begins."""

import logging

import cv2
import numpy as np
import pytest

from keras_face.records.streams import mix
from keras_face.records.writing import FaceSet, open_dataset, write_records
from keras_face.training.little_data import warn_of_little


@pytest.fixture
def told(tmp_path, caplog):
    """Gives what is told of people with so many photos each."""

    def told(photos_per_person, batch_size, tracks=0):
        image = cv2.imencode(".png", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
        labels = [*np.repeat(np.arange(len(photos_per_person)), photos_per_person), *range(-1, -1 - tracks, -1)]
        sets = (FaceSet([image], int(label), f"{number}") for number, label in enumerate(labels))
        people = [f"Person {number}" for number in range(len(photos_per_person))]
        folder = tmp_path / "records"
        write_records(folder, sets, identities=people, image_size=(16, 16), source="a test", progress=False)
        with caplog.at_level(logging.WARNING, logger="keras_face"):
            warn_of_little(mix([open_dataset(folder)], [-1.0]), batch_size)
        return caplog.text

    return told


def test_one_photo_of_each_person_is_told_and_what_it_means(told):
    text = told([1, 1, 1], batch_size=3)
    assert "each of the 3 people of the training data has one photo: nothing shows what stays the same" in text


def test_a_batch_of_more_photos_than_there_are_is_told(told):
    text = told([2, 3], batch_size=6)
    assert "batch_size 6 is more than the 5 photos" in text
    assert "has one photo" not in text


@pytest.mark.parametrize(("photos", "tracks"), [([1, 2], 0), ([1, 1], 1)])
def test_enough_is_told_nothing(told, photos, tracks):
    assert told(photos, batch_size=3, tracks=tracks) == ""
