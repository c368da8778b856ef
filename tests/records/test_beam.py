"""Records written by Apache Beam in several processes."""

import cv2
import numpy as np
import pytest

from keras_face.backend import tf
from keras_face.records import from_photos, writing

pytest.importorskip("apache_beam", reason="Apache Beam is an extra: pip install apache-beam")

TWO_WORKERS = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")


def read(path) -> list[tuple]:
    """Returns name, label and images of all records in their order."""
    parsed = writing.parse(list(tf.data.TFRecordDataset(writing.open_dataset(path).shards)))
    return list(zip(parsed["name"].numpy(), parsed["label"].numpy(), parsed["images"].to_list(), strict=True))


@pytest.mark.filterwarnings("default")  # Beam's own, and those of what it imports
def test_several_workers_write_the_same_records_in_the_same_order(tmp_path):
    random = np.random.RandomState(0)
    for photo in range(30):
        path = tmp_path / "photos" / f"person {photo % 6}" / f"{photo} å.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", random.randint(0, 256, (12, 10, 3), np.uint8))[1].tobytes())
    options = {"set_size": 2, "progress": False}
    from_photos.write_folder(tmp_path / "photos", tmp_path / "alone", **options)
    output = writing.Output(tmp_path / "many", 3, "DirectRunner", TWO_WORKERS)
    from_photos.write_folder(tmp_path / "photos", output, **options)
    assert len(writing.open_dataset(tmp_path / "many").shards) == 3
    assert read(tmp_path / "many") == read(tmp_path / "alone")
    assert not list(tmp_path.glob("*.incomplete"))


@pytest.mark.filterwarnings("default")
def test_an_error_in_a_worker_is_an_error_of_the_writer_and_leaves_nothing(tmp_path):
    output = writing.Output(tmp_path / "out", 1, "DirectRunner")
    face_set = writing.FaceSet([cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()], 7, "x")
    with pytest.raises((OSError, ValueError), match="label must be below 1, got 7"):
        writing.write_records(output, [face_set], identities=["a"], image_size=(8, 8), source="test")
    assert not list(tmp_path.iterdir())
