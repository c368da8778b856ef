"""What the tests of formats share: small photos, records read back, commands run in this process."""

import csv
from pathlib import Path

import command_runs
import cv2
import numpy as np

from keras_face.backend import tf
from keras_face.records import writing


def jpeg(number: int, size: tuple[int, int] = (12, 10)) -> bytes:
    return cv2.imencode(".jpg", pixels(number, size))[1].tobytes()


def png(number: int, size: tuple[int, int] = (12, 10)) -> bytes:
    return cv2.imencode(".png", pixels(number, size))[1].tobytes()


def pixels(number: int, size: tuple[int, int] = (12, 10)) -> np.ndarray:
    return np.random.RandomState(number).randint(0, 256, (*size, 3), np.uint8)


def read(path: Path) -> list[tuple[str, list[bytes]]]:
    """Returns the name of the person and the images of every record, in the order of names of records."""
    dataset = writing.open_dataset(path)
    parsed = writing.parse(list(tf.data.TFRecordDataset(dataset.shards)))
    columns = zip(parsed["name"].numpy(), parsed["label"].numpy(), parsed["images"].to_list(), strict=True)
    return [(dataset.identities[label], images) for _, label, images in sorted(columns, key=lambda row: row[0])]


def photos(path: Path) -> list[tuple[str, bytes]]:
    """Returns the name of the person and the bytes of every photo, in an order of their own."""
    return sorted((person, image) for person, images in read(path) for image in images)


def skipped(path: Path) -> list[tuple[str, str]]:
    with open(path / "skipped.csv", encoding="utf-8", newline="") as file:
        return [(name, reason) for name, reason in list(csv.reader(file))[1:]]


def run(monkeypatch, capsys, module: str, *arguments: object) -> command_runs.Ended:
    """Returns status, stdout and stderr of a command of tfrecords_tools, run in this process."""
    return command_runs.run(monkeypatch, capsys, f"tfrecords_tools.{module}", *arguments)
