"""Records that are damaged, or are none that training takes: the file and the record are named."""

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_face.augmentation.augmentation import Augmentation
from keras_face.backend import tf
from keras_face.config import AugmentationConfig, DataConfig, TrainingConfig
from keras_face.records import mixture, preview, writing
from keras_face.records.batches import Batches
from keras_face.records.dataset import open_dataset
from keras_face.records.faults import first_fault
from keras_face.records.photos import RecordPhotos

SIDE, PHOTOS = 8, 6


@pytest.fixture
def path(tmp_path):
    """Records of a photo each, of two people in turn."""
    photo = cv2.imencode(".png", np.full([SIDE, SIDE, 3], 9, np.uint8))[1].tobytes()
    face_sets = [writing.FaceSet([photo], number % 2, f"photo {number}") for number in range(PHOTOS)]
    output = tmp_path / "records"
    writing.write_records(output, face_sets, identities=["A", "B"], image_size=(SIDE, SIDE), source="test")
    return output


def rewrite(path, change):
    """Changes the serialized third record, and what the index says of its bytes."""
    dataset = open_dataset(path)
    (shard,) = dataset.shards
    records = [record.numpy() for record in tf.data.TFRecordDataset(shard)]
    records[2] = change(tf.train.Example.FromString(records[2]))
    with tf.io.TFRecordWriter(shard) as writer:
        for record in records:
            writer.write(record)
    index = np.array(dataset.index)
    index["bytes"][2] = len(records[2])
    np.save(path / "index.npy", index)
    return shard


def with_label(label):
    def change(example):
        example.features.feature["label"].int64_list.value[0] = label
        return example.SerializeToString()

    return change


def with_text_label(example):
    example.features.feature["label"].bytes_list.value.append(b"1")
    return example.SerializeToString()


def without_images(example):
    del example.features.feature["images"]
    return example.SerializeToString()


def garbage(example):
    return b"\xff" * 200


CASES = [
    (with_label(2), "expected a label in [0, 2), got 2"),
    (with_label(-1), "expected a label in [0, 2), got -1"),
    (with_text_label, "expected label as int64_list, got bytes_list"),
    (without_images, "expected images as bytes_list, got none"),
    (garbage, "expected a tf.train.Example, got other bytes"),
]


def batches(path):
    settings = TrainingConfig(batch_size=2, steps=3)
    data = DataConfig(image_size=(SIDE, SIDE), shuffle_buffer=16)
    mixed = mixture.mix([open_dataset(path)], [None])
    return Batches(mixed, settings, data, AugmentationConfig(), seed=0, num_replicas=1)


def train_on(path):
    of_path = batches(path)
    iterator = iter(of_path.stream(0))
    for step in range(3):
        of_path.next_of(iterator, step)


@pytest.mark.parametrize("change, wrong", CASES)
def test_a_record_that_training_does_not_take_is_named_by_training_and_inspection(path, change, wrong):
    shard = rewrite(path, change)
    line = f"{shard}: record 3 of {PHOTOS}: {wrong}"
    assert first_fault(open_dataset(path)) == line
    if change is not without_images:  # training leaves such a record out
        with pytest.raises(ValueError, match=r"^step 1: ") as raised:
            train_on(path)
        assert str(raised.value) == f"step 1: {line}"
    with pytest.raises(ValueError, match="record 3") as raised:
        list(RecordPhotos(path).encoded())
    assert str(raised.value).startswith(line)


def test_a_record_with_a_wrong_checksum_is_named_with_its_file(path, tmp_path):
    (shard,) = map(Path, open_dataset(path).shards)
    content = bytearray(shard.read_bytes())
    (length,) = struct.unpack("<Q", content[:8])
    content[2 * (length + 16) + 40] ^= 1  # in the third record: all are of one length
    shard.write_bytes(content)
    line = f"{shard}: record 3 of {PHOTOS}: expected whole bytes, but it is damaged"
    with pytest.raises(ValueError, match="record 3") as raised:
        train_on(path)
    assert str(raised.value).startswith(f"step 1: {line}")
    with pytest.raises(ValueError, match="record 3") as raised:
        preview.write_preview(
            tmp_path / "a.png", mixture.mix([open_dataset(path)], [None]), Augmentation(), (SIDE, SIDE), rows=2
        )
    assert line in str(raised.value)


def test_records_that_are_whole_have_no_fault(path):
    assert first_fault(open_dataset(path)) is None


@pytest.mark.parametrize(
    "name, content",
    [
        ("identities.json", b"NaN"),
        ("identities.json", b"[1, 2]"),
        ("identities.json", b"\xff"),
        ("dataset_info.json", b'{"name": "face_sets", "splits": [{}]}'),
        ("dataset_info.json", b"[]"),
        ("dataset_info.json", b"[" * 100_000),
        ("metadata.json", b"0"),
        ("metadata.json", b'{"keras_face": 3}'),
        ("index.npy", b""),
        ("index.npy", b"PK\x03\x04 no archive"),
    ],
)
def test_metadata_that_is_something_else_is_one_line_with_the_file(path, name, content):
    (path / name).write_bytes(content)
    with pytest.raises(ValueError, match="expected") as raised:
        open_dataset(path)
    assert str(raised.value).startswith(f"{path / name}: expected ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "fact, value", [("image_size", -1), ("image_size", [8, 0]), ("num_records", "6"), ("source", 1)]
)
def test_a_fact_of_another_kind_is_one_line_with_the_file(path, fact, value):
    facts = json.loads((path / "metadata.json").read_text())
    facts["keras_face"][fact] = value
    (path / "metadata.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=rf"metadata.json: {fact}: expected"):
        open_dataset(path)
