import json
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_face.backend import tf
from keras_face.records import builder, writing
from keras_face.records.writing import FaceSet, open_dataset


def picture(number: int, extension: str = ".png") -> bytes:
    pixels = np.random.RandomState(number).randint(0, 256, (8, 6, 3), np.uint8)
    return cv2.imencode(extension, pixels)[1].tobytes()


def face_sets() -> list[FaceSet]:
    """Three people and two tracks of unknown ones; as many images as their number."""
    labels = [0, 1, 2, -1, -2, 1, 0]
    return [
        FaceSet([picture(10 * n + i, (".png", ".jpg")[i % 2]) for i in range(n + 1)], label, f"folder/Åsa {n}\n.jpg")
        for n, label in enumerate(labels)
    ]


def write(path, sets=None, num_shards=None, **changes):
    options = {"identities": ["Anna", "Bo\nEk", "Čapek"], "image_size": (8, 6), "source": "a test", **changes}
    return writing.write_records(writing.Output(path, num_shards), face_sets() if sets is None else sets, **options)


def test_written_face_sets_come_back_byte_for_byte(tmp_path):
    dataset = write(tmp_path / "set", num_shards=3)
    expected = {face_set.name.encode(): face_set for face_set in face_sets()}
    raw = list(tf.data.TFRecordDataset(dataset.shards))
    parsed = writing.parse(tf.stack(raw))
    assert len(expected) == len(raw) == dataset.num_records
    for number, (serialized, record) in enumerate(zip(raw, dataset.index, strict=True)):
        face_set = expected.pop(parsed["name"][number].numpy())
        assert parsed["images"][number].numpy().tolist() == face_set.images
        assert parsed["label"][number] == face_set.label == record["label"]
        assert (len(face_set.images), len(serialized.numpy())) == (record["images"], record["bytes"])


def test_tensorflow_datasets_reads_the_folder(tmp_path):
    write(tmp_path / "set", template="arcface")
    builder = tfds.builder_from_directory(tmp_path / "set")
    assert builder.info.metadata["keras_face"]["template"] == "arcface"
    examples = {example["name"]: example for example in tfds.as_numpy(builder.as_dataset(split="train"))}
    for face_set in face_sets():
        example = examples.pop(face_set.name.encode())
        assert example["label"] == face_set.label
        for image, encoded in zip(example["images"], face_set.images, strict=True):
            assert image.shape == (8, 6, 3)
            if encoded.startswith(b"\x89PNG"):
                bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
                np.testing.assert_array_equal(image, bgr[..., ::-1])
    assert not examples


def test_an_opened_dataset_says_how_it_was_made_and_counts(tmp_path):
    write(tmp_path / "set", template="seqface_144", num_shards=2)
    dataset = open_dataset(tmp_path / "set")
    assert (dataset.num_records, dataset.num_images) == (7, 1 + 2 + 3 + 4 + 5 + 6 + 7)
    assert (dataset.num_identities, dataset.num_sequences) == (3, 2)
    assert dataset.identities == ("Anna", "Bo\nEk", "Čapek")
    assert (dataset.image_size, dataset.template, dataset.colour_order) == ((8, 6), "seqface_144", "rgb")
    assert (dataset.source, dataset.name) == ("a test", "set")
    assert len(dataset.shards) == 2
    assert sum(dataset.shard_lengths) == 7


def test_the_order_depends_on_the_names_alone(tmp_path):
    first, second = write(tmp_path / "first"), write(tmp_path / "second", face_sets()[::-1])
    assert Path(first.shards[0]).read_bytes() == Path(second.shards[0]).read_bytes()
    names = [name.decode() for name in writing.parse(list(tf.data.TFRecordDataset(first.shards)))["name"].numpy()]
    assert sorted(names) == [face_set.name for face_set in face_sets()] != names


@pytest.mark.parametrize(
    "sets, changes, message",
    [
        ([*face_sets(), face_sets()[2]], {}, "unique.*twice"),
        ([*face_sets(), FaceSet([picture(0)], 3, "x")], {}, "below 3, got 3"),
        ([face_set for face_set in face_sets() if face_set.label != 1], {}, "1 have none: Bo"),
        ([face_set for face_set in face_sets() if face_set.label != -1], {}, "without gaps"),
        ([], {}, "at least one face set"),
        (None, {"colour_order": "bgr"}, "RGB"),
    ],
)
def test_what_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path, sets, changes, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "set", sets, **changes)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "images, name, message",
    [([], "a", "at least one image"), ([b"just text"], "a", "JPEG or PNG"), ([picture(0)], "", "must have a name")],
)
def test_a_face_set_needs_a_name_and_images(images, name, message):
    with pytest.raises(ValueError, match=message):
        FaceSet(images, 0, name)


def test_an_output_that_exists_or_is_being_written_is_refused(tmp_path):
    write(tmp_path / "set")
    before = (tmp_path / "set" / "metadata.json").read_text()
    with pytest.raises(ValueError, match="must not exist"):
        write(tmp_path / "set", source="again")
    assert (tmp_path / "set" / "metadata.json").read_text() == before

    def two_writers():
        with pytest.raises(ValueError, match="another process is writing"):
            write(tmp_path / "both")
        yield from face_sets()

    assert write(tmp_path / "both", two_writers()).num_records == 7


def edit_metadata(path, **changes):
    facts = json.loads((path / "metadata.json").read_text())["keras_face"]
    facts = {name: value for name, value in {**facts, **changes}.items() if value is not None}
    (path / "metadata.json").write_text(json.dumps({"keras_face": facts}))


def cut_shard(path):
    shard = next(path.glob("*.tfrecord-00001-*"))
    os.truncate(shard, shard.stat().st_size - 1)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: path.rename(path.with_name("elsewhere")), "expected a folder of records"),
        (lambda path: (path / "metadata.json").unlink(), "no metadata.json"),
        (lambda path: (path / "index.npy").unlink(), "no index.npy"),
        (lambda path: (path / "metadata.json").write_text("{}"), "format 1, got None"),
        (lambda path: edit_metadata(path, format=2), "format 1, got 2"),
        (lambda path: edit_metadata(path, template=None), "lacks template"),
        (lambda path: edit_metadata(path, colour_order="bgr"), "colour order rgb, got 'bgr'"),
        (lambda path: edit_metadata(path, num_records=8), "expected 8 records of 28 images"),
        (lambda path: edit_metadata(path, num_images=29), "expected 7 records of 29 images"),
        (lambda path: edit_metadata(path, num_identities=4), "expected 4 names"),
        (lambda path: next(path.glob("*.tfrecord-00000-*")).unlink(), "bytes, got no file"),
        (cut_shard, r"tfrecord-00001-of-00002: expected (\d+) bytes, got"),
    ],
)
def test_a_dataset_that_is_not_whole_is_refused(tmp_path, damage, message):
    write(tmp_path / "set", num_shards=2)
    damage(tmp_path / "set")
    with pytest.raises(ValueError, match=message):
        open_dataset(tmp_path / "set")


def test_a_killed_writer_leaves_nothing_that_opens_and_another_run_succeeds(tmp_path, repository):
    code = f"""
import time
from test_records import face_sets, write
def slow():
    yield from face_sets()[:4]
    print("half", flush=True)
    time.sleep(600)
write({os.fspath(tmp_path / "set")!r}, slow())
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
    ) as writer:
        assert writer.stdout.readline() == "half\n"
        writer.send_signal(signal.SIGKILL)
    left = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert left
    for path in [tmp_path / "set", *left]:
        with pytest.raises(ValueError, match=r"expected a folder of records|no finished dataset"):
            open_dataset(path)
    assert write(tmp_path / "set").num_records == 7
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_files_are_about_256_mebibytes_unless_their_number_is_given(monkeypatch, tmp_path):
    monkeypatch.setattr(builder, "SHARD_SIZE", 1000)
    sets = [FaceSet([b"\xff\xd8\xff" + bytes(497)], 0, str(number)) for number in range(20)]
    dataset = writing.write_records(tmp_path / "set", sets, identities=["a"], image_size=(8, 6), source="a test")
    assert len(dataset.shards) == math.ceil(dataset.index["bytes"].sum() / 1000)
    assert max(dataset.shard_lengths) == 2


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, repository):
    """A limit of the size of files stands for a full disk: first no file of records fits, then not the index."""
    program = """
import os, resource, sys
from keras_face import commands
from keras_face.records import builder, writing
sets = [writing.FaceSet([b"\\xff\\xd8\\xff" + bytes(10)], 0, str(number)) for number in range(2000)]
output = writing.Output(sys.argv.pop(), 400)
for limit in (3000, 30_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        commands.run(
            lambda: writing.write_records(output, iter(sets), identities=["a"], image_size=(8, 6), source="a test")
        )
    except SystemExit as end:
        print(end.code, os.path.exists(output.path))
"""
    command = [sys.executable, "-c", program, str(tmp_path / "set")]
    ended = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert ended.stdout.splitlines() == ["1 False", "1 False"], ended.stderr
    assert len(re.findall(r"^error: .*File too large", ended.stderr, re.MULTILINE)) == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "set").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission"):
        write(tmp_path / "set")
