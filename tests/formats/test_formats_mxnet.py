"""from_mxnet and to_mxnet, beside files that MXNet 1.9.1 wrote, and a reader made after InsightFace's and MXNet's code.

tests/formats/mxnet was written on Python 3.8 by mxnet.recordio.MXIndexedRecordIO from six drawn photos of 12x10 pixels:
train.rec in the layout of InsightFace's face2rec2.py, im2rec.rec in that of MXNet's im2rec. The second photo has a
comment that holds RecordIO's magic number, so MXNet cut its record into parts. The fifth is a PNG.
"""

import hashlib
import io
import json
import pickle
import shutil
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from formats_support import jpeg, photos, pixels, png, read, run, skipped

from keras_face.backend import tf
from keras_face.formats import packed, rec_layout, rec_to_records, records_to_rec
from keras_face.formats.recordio import RecordFile, RecordWriter
from keras_face.photos.images import decode
from keras_face.records import writing

# Label and first hexadecimal digits of the SHA-256 of each photo that MXNet was given.
MXNET_PHOTOS = [
    ("0", "89b8922e2bd41e6b"), ("0", "240bdf74da351c06"), ("0", "81372881cc896109"), ("1", "1235a6c171a870ce"),
    ("2", "02a2bd9df7dedcd6"), ("2", "e38abc6b89ae130a"),
]  # fmt: skip
PEOPLE = [[jpeg(0), png(1), jpeg(2)], [jpeg(3)], [jpeg(4), jpeg(5)]]


class PublishedReader:
    """Reads as MXIndexedRecordIO and unpack of MXNet do, and chooses photos as arcface_torch's MXFaceDataset."""

    def __init__(self, folder: Path):
        self.content = (folder / "train.rec").read_bytes()
        lines = [line.strip().split("\t") for line in (folder / "train.idx").read_text().splitlines()]
        self.index = {int(key): int(offset) for key, offset in lines}
        flag, labels, _ = self.unpack(0)
        self.keys = range(1, int(labels[0])) if flag > 0 else list(self.index)

    def record(self, key: int) -> bytes:
        place, record = self.index[key], b""
        while True:
            magic, head = struct.unpack_from("<II", self.content, place)
            assert magic == 0xCED7230A
            length = head & (1 << 29) - 1
            record += self.content[place + 8 : place + 8 + length]
            place += 8 + (length + 3) // 4 * 4
            if head >> 29 in (0, 3):
                return record
            record += struct.pack("<I", magic)

    def unpack(self, key: int) -> tuple[int, list[float], bytes]:
        record = self.record(key)
        flag, label, number, _ = struct.unpack("<IfQQ", record[:24])
        assert number == key
        labels = struct.unpack(f"<{flag}f", record[24 : 24 + 4 * flag]) if flag else [label]
        return flag, list(labels), record[24 + 4 * flag :]

    def items(self) -> list[tuple[str, bytes]]:
        return [(str(int(labels[0])), image) for _, labels, image in map(self.unpack, self.keys)]


def image_record(labels: list[float], key: int, image: bytes) -> bytes:
    """recordio.pack of MXNet."""
    if len(labels) == 1:
        return struct.pack("<IfQQ", 0, labels[0], key, 0) + image
    return struct.pack("<IfQQ", len(labels), 0, key, 0) + np.array(labels, "<f4").tobytes() + image


def write_rec(path: Path, written: list[tuple[int, bytes]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    with RecordWriter(path) as writer:
        for key, record in written:
            writer.write(key, record)
    return path


def insightface(people=PEOPLE, labels=None, second_label=True) -> list[tuple[int, bytes]]:
    """Returns the records that InsightFace's face2rec2.py writes: photos, record 0, identities."""
    written, ranges, key = [], [], 1
    for label, images in zip(labels or range(len(people)), people, strict=True):
        ranges.append((key, key + len(images)))
        for image in images:
            written.append((key, image_record([label, 1] if second_label else [label], key, image)))
            key += 1
    written.append((0, image_record([key, key + len(ranges)], 0, b"")))
    return written + [(key + n, image_record(list(ends), key + n, b"")) for n, ends in enumerate(ranges)]


def named(people) -> list[tuple[str, bytes]]:
    return sorted((str(label), image) for label, images in enumerate(people) for image in images)


def convert(source: Path, output: Path, **options):
    return rec_to_records.write_from_rec(source, output, progress=False, **options)


@pytest.mark.peers
@pytest.mark.parametrize("name", ["train", "im2rec"])
@pytest.mark.parametrize("indexed", [True, False])
def test_files_that_mxnet_wrote_are_read_byte_for_byte(tmp_path, repository, name, indexed):
    for suffix in ("rec", "idx") if indexed else ("rec",):
        shutil.copy(repository / "tests" / "formats" / "mxnet" / f"{name}.{suffix}", tmp_path)
    summary = convert(tmp_path / f"{name}.rec", tmp_path / "out")
    assert (summary.counts["people"], summary.counts["photos"], list(summary.skipped)) == (3, 6, [])
    found = [(person, hashlib.sha256(image).hexdigest()[:16]) for person, image in photos(tmp_path / "out")]
    assert sorted(found) == sorted(MXNET_PHOTOS)
    assert writing.open_dataset(tmp_path / "out").image_size == (12, 10)


@pytest.mark.parametrize("second_label", [True, False])
def test_a_folder_of_insightface_becomes_records(tmp_path, second_label):
    rec = write_rec(tmp_path / "faces" / "train.rec", insightface(second_label=second_label))
    (rec.parent / "property").write_text("3,12,10\n")
    convert(rec.parent, tmp_path / "out")
    assert photos(tmp_path / "out") == named(PEOPLE)


def test_labels_become_consecutive_in_their_order_and_keep_their_names(tmp_path):
    rec = write_rec(tmp_path / "faces" / "train.rec", insightface(labels=[70, 7, 1000]))
    convert(rec, tmp_path / "out")
    assert writing.open_dataset(tmp_path / "out").identities == ("7", "70", "1000")
    expected = zip(["70", "7", "1000"], PEOPLE, strict=True)
    assert photos(tmp_path / "out") == sorted((name, image) for name, images in expected for image in images)


def test_photos_of_a_person_are_dealt_to_sets_and_few_are_left_out(tmp_path):
    people = [[jpeg(10 * label + n) for n in range(count)] for label, count in enumerate([5, 1, 2])]
    rec = write_rec(tmp_path / "faces" / "train.rec", insightface(people))
    summary = convert(rec, tmp_path / "out", set_size=2, min_photos=2)
    assert (summary.counts["people"], summary.counts["photos"]) == (2, 7)
    assert skipped(tmp_path / "out") == [("1", "fewer than 2 good photos")]
    assert sorted((person, len(images)) for person, images in read(tmp_path / "out")) == [
        ("0", 1), ("0", 2), ("0", 2), ("2", 2),
    ]  # fmt: skip
    assert photos(tmp_path / "out") == sorted((n, image) for n, image in named(people) if n != "1")


def test_a_list_names_photos_and_people(tmp_path):
    rec = write_rec(tmp_path / "faces" / "train.rec", insightface())
    names = [(f"/raid/m.{label}x/{n} é.jpg", label) for label, images in enumerate(PEOPLE) for n in range(len(images))]
    rec.with_suffix(".lst").write_text("".join(f"1\t{name}\t{label}\n" for name, label in names), encoding="utf-8")
    convert(rec, tmp_path / "out")
    assert writing.open_dataset(tmp_path / "out").identities == ("m.0x", "m.1x", "m.2x")
    found = writing.parse(list(tf.data.TFRecordDataset(writing.open_dataset(tmp_path / "out").shards)))["name"].numpy()
    assert sorted(name.decode() for name in found) == sorted(name for name, _ in names)


def test_a_list_of_other_photos_is_said_and_not_used(tmp_path):
    rec = write_rec(tmp_path / "faces" / "train.rec", insightface())
    rec.with_suffix(".lst").write_text("1\ta/1.jpg\t0\n1\ta/2.jpg\t0\n")
    convert(rec, tmp_path / "out")
    assert skipped(tmp_path / "out") == [("train.lst", "not used: 2 lines, 2 of which fit the 6 photos")]
    assert writing.open_dataset(tmp_path / "out").identities == ("0", "1", "2")


def test_photos_of_another_size_are_left_out_with_the_reason(tmp_path):
    rec = write_rec(tmp_path / "faces" / "train.rec", insightface([*PEOPLE, [jpeg(9, (20, 21))]]))
    convert(rec, tmp_path / "out")
    assert skipped(tmp_path / "out") == [
        ("3/7", "20x21, expected height x width 12x10"),
        ("3", "fewer than 1 good photos"),
    ]
    assert photos(tmp_path / "out") == named(PEOPLE)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("kind", ["pixels", "array"])
def test_photos_that_are_not_encoded_keep_every_pixel(tmp_path, order, kind):
    def stored(number):
        if kind == "pixels":
            return pixels(number).tobytes()
        file = io.BytesIO()
        np.save(file, pixels(number))
        return file.getvalue()

    rec = write_rec(tmp_path / "faces" / "train.rec", insightface([[stored(0)], [stored(1)]]))
    (rec.parent / "property").write_text("2,12,10")
    with pytest.raises(ValueError, match="say --colour_order rgb or bgr"):
        convert(rec, tmp_path / "out")
    convert(rec, tmp_path / "out", colour_order=order)
    for number, (_, (image,)) in enumerate(read(tmp_path / "out")):
        expected = pixels(number) if order == "rgb" else pixels(number)[..., ::-1]
        np.testing.assert_array_equal(decode(image), expected)


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_file_that_is_cut_off_is_refused_with_its_offset(tmp_path, indexed, tenth):
    content = b"".join(framed_order(tmp_path, record0_first=not indexed))
    rec = tmp_path / "train.rec"
    if not indexed:
        rec.with_suffix(".idx").unlink()
    rec.write_bytes(content[: len(content) * tenth // 10])
    with pytest.raises(ValueError, match=r"(offset \d+|record \d).*--skip_damaged") as raised:
        convert(rec, tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def framed_order(folder: Path, record0_first: bool) -> list[bytes]:
    """Returns the bytes of a .rec file after writing it and its index, with record 0 before or after the photos."""
    written = insightface([[jpeg(10 * label + n, (16, 16)) for n in range(3)] for label in range(4)])
    if record0_first:  # as to_mxnet does, so that a file without an index that lost its end still says what it had
        written.sort(key=lambda record: record[0] != 0)
    return [write_rec(folder / "train.rec", written).read_bytes()]


def test_what_is_left_of_a_damaged_file_can_be_taken(tmp_path):
    rec = write_rec(tmp_path / "faces" / "train.rec", insightface())
    content = bytearray(rec.read_bytes())
    offset = int(rec.with_suffix(".idx").read_text().splitlines()[2].split("\t")[1])
    content[offset + 4] ^= 0xFF  # the length of photo 2
    rec.write_bytes(content)
    with pytest.raises(ValueError, match=f"train.rec, offset {offset}: a part that should end"):
        convert(rec, tmp_path / "out")
    summary = convert(rec, tmp_path / "out", skip_damaged=True)
    assert summary.counts["photos"] == 5
    assert photos(tmp_path / "out") == [row for row in named(PEOPLE) if row[1] != PEOPLE[0][1]]
    names = [name for name, _ in skipped(tmp_path / "out")]
    assert names == [f"train.rec, offset {offset}", "train.rec, record 2"]


def test_a_damaged_photo_is_refused_or_left_out(tmp_path):
    rec = write_rec(tmp_path / "faces" / "train.rec", insightface([[jpeg(0), jpeg(1)[:-20]], [b"text"], [jpeg(2)]]))
    with pytest.raises(ValueError, match=r"record 2, offset \d+: damaged or cut off, and 1 more"):
        convert(rec, tmp_path / "out")
    convert(rec, tmp_path / "out", skip_damaged=True)
    assert photos(tmp_path / "out") == [("0", jpeg(0)), ("2", jpeg(2))]
    assert [name for name, _ in skipped(tmp_path / "out")] == ["0/2", "1/3", "1"]


def rewritten(rec: Path, change) -> None:
    index = rec.with_suffix(".idx")
    index.write_text("".join(line for line in change(index.read_text().splitlines(keepends=True))))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda lines: lines[:-1], r"offset \d+: a record that is not in train\.idx"),
        (lambda lines: [*lines[:4], *lines[5:]], r"offset \d+: a record that is not in train\.idx"),
        (lambda lines: [*lines, "99\t4\n"], r"train\.idx, record 99: offset 4, where no record begins"),
        (lambda lines: [*lines, "99\t123456789\n"], r"record 99: offset 123456789, outside the file \(\d+ bytes\)"),
        (lambda lines: [*lines, "99\t-8\n"], r"record 99: offset -8, outside the file"),
        (lambda lines: [*lines, f"99\t{lines[-1].split()[1]}\n"], "and 99 have the same offset"),
        (lambda lines: [*lines[:-1], lines[-1][:1]], r"train\.idx: expected lines `key<tab>offset`"),
        (lambda lines: [], r"train\.idx: expected lines `key<tab>offset`"),
        (lambda lines: [line.replace("3\t", "30\t") for line in lines], "record 30: record 0 says that photos are 1"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path, change, message):
    rec = write_rec(tmp_path / "faces" / "train.rec", insightface())
    rewritten(rec, change)
    with pytest.raises(ValueError, match=message):
        convert(rec, tmp_path / "out")


@pytest.mark.parametrize(
    "written, message",
    [
        ([(0, image_record([2], 0, b""))], "record 0: expected .first identity, end."),
        ([(0, image_record([9, 9], 0, b"")), (1, image_record([0], 1, jpeg(0)))], "records 2 to 8: no photo, though"),
        ([(0, image_record([2, 4], 0, b"")), (1, image_record([0], 1, jpeg(0)))], "records 2 to 3: no identity record"),
        ([(0, image_record([1e9, np.nan], 0, b"")), (1, image_record([0], 1, jpeg(0)))], "record 0: expected"),
        ([(0, image_record([1e30, 1e30], 0, b"")), (1, image_record([0], 1, jpeg(0)))], "record 0: expected"),
        ([(0, image_record([2.5], 0, jpeg(0)))], r"label 2\.5 is no person's number"),
        ([(0, image_record([-1], 0, jpeg(0)))], r"label -1\.0 is no person's number"),
        ([(0, image_record([np.nan], 0, jpeg(0)))], "label nan is no person's number"),
        ([(0, image_record([0], 0, jpeg(0))), (1, b"abc")], "record 1, offset .* too short for its header"),
        ([(0, image_record([0], 0, jpeg(0))), (1, struct.pack("<IfQQ", 1 << 30, 0, 1, 0))], "too short for its header"),
        (
            [(0, image_record([0], 0, jpeg(0))), (1, image_record([1], 1, b""))],
            "record 1, .* without an image",
        ),
    ],
)
def test_headers_that_say_nonsense_are_refused(tmp_path, written, message):
    with pytest.raises(ValueError, match=message):
        convert(write_rec(tmp_path / "train.rec", written), tmp_path / "out")


def test_the_magic_number_may_be_in_a_header(tmp_path):
    magic = 0xCED7230A
    rec = write_rec(
        tmp_path / "a.rec", [(5, image_record([3], magic, jpeg(0))), (6, image_record([4, 1], magic << 32, jpeg(1)))]
    )
    assert not RecordFile(rec).scan().whole.any()
    convert(rec, tmp_path / "out")
    assert photos(tmp_path / "out") == [("3", jpeg(0)), ("4", jpeg(1))]


def test_headers_and_identity_records_that_disagree_must_be_chosen_between(tmp_path):
    written = dict(insightface(second_label=False))
    written[3] = image_record([1], 3, PEOPLE[0][2])
    rec = write_rec(tmp_path / "faces" / "train.rec", list(written.items()))
    with pytest.raises(
        ValueError, match=r"identity record 7 .* photos 2 and 3 show one .* are 0 and 1; .*--labels_from"
    ):
        convert(rec, tmp_path / "out")
    convert(rec, tmp_path / "identities", labels_from="identities")
    assert photos(tmp_path / "identities") == named(PEOPLE)
    convert(rec, tmp_path / "headers", labels_from="headers")
    assert photos(tmp_path / "headers") == named([PEOPLE[0][:2], [PEOPLE[0][2], *PEOPLE[1]], PEOPLE[2]])


@pytest.mark.parametrize(
    "text, message", [("4,12,10", "property: 4 people, but train.rec has 3"), ("a", "expected a first line")]
)
def test_a_property_file_that_does_not_fit_is_refused(tmp_path, text, message):
    rec = write_rec(tmp_path / "faces" / "train.rec", insightface())
    (rec.parent / "property").write_text(text)
    with pytest.raises(ValueError, match=message):
        convert(rec.parent, tmp_path / "out")


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_are_refused(tmp_path, seed):
    (tmp_path / "train.rec").write_bytes(np.random.RandomState(seed).bytes(10_000))
    with pytest.raises(ValueError, match="offset 0: no record begins with the magic number 0xced7230a"):
        convert(tmp_path, tmp_path / "out")


def test_a_flipped_bit_in_any_magic_number_or_length_is_refused(tmp_path):
    rec = write_rec(tmp_path / "faces" / "train.rec", insightface([[jpeg(0), jpeg(1)], [jpeg(2)]]))
    content = rec.read_bytes()
    heads = [place for place in range(0, len(content), 4) if content[place : place + 4] == content[:4]]
    random = np.random.RandomState(0)
    for place in np.add.outer(heads, range(8)).ravel().tolist():  # magic numbers and lengths
        damaged = bytearray(content)
        damaged[place] ^= 1 << random.randint(8)
        rec.write_bytes(damaged)
        with pytest.raises(ValueError, match="offset"):
            convert(rec, tmp_path / "out")


def test_what_loads_photos_can_be_sent_to_beams_workers(tmp_path):
    rec = write_rec(tmp_path / "train.rec", insightface())
    load = packed.LoadSet(rec_to_records.LoadImage(str(rec), (0, 0), None, None))
    offset = int(rec.with_suffix(".idx").read_text().splitlines()[1].split("\t")[1])
    face_set = pickle.loads(pickle.dumps(load))(pickle.loads(pickle.dumps(packed.Item(4, "a", (offset,)))))
    assert face_set == writing.FaceSet([PEOPLE[0][0]], 4, "a")


@pytest.mark.parametrize("end", [2**24 - 1, 2**24, 2**24 + 1, 2**24 + 2, 17_091_658, 42_474_559])
def test_the_end_of_a_range_is_exact_where_float32_rounds_it(end):
    told = float(np.float32(end))
    assert rec_layout.exact_end(told, np.array([1, end - 1])) == end
    assert rec_layout.exact_end(told, np.array([1, end - 100])) == int(told)


def test_photos_beyond_the_numbers_that_floats_hold_go_by_their_own_headers(tmp_path, monkeypatch):
    monkeypatch.setattr(rec_layout, "_EXACT", 4)  # a float32 holds whole numbers up to 2**24
    written = dict(insightface(second_label=False))
    written[8] = image_record([1, 1], 8, b"")  # the range of the second person, rounded
    rec = write_rec(tmp_path / "train.rec", list(written.items()))
    convert(rec, tmp_path / "out")
    assert photos(tmp_path / "out") == named(PEOPLE)
    with pytest.raises(
        ValueError, match="more than 4 photos, which identity records cannot tell; --labels_from headers"
    ):
        convert(rec, tmp_path / "new", labels_from="identities")


def dataset(path: Path, sets, identities, size=(12, 10)):
    face_sets = [writing.FaceSet(images, label, name) for label, name, images in sets]
    output = writing.Output(path, num_shards=2)
    return writing.write_records(output, face_sets, identities=identities, image_size=size, source="test")


SETS = [
    (0, "Ann Ö/1.jpg|Ann Ö/2.jpg", [jpeg(0), png(1)]),
    (0, "Ann Ö/3.jpg", [jpeg(2)]),
    (2, "Cid/a.jpg", [jpeg(3)]),
    (1, "video 7", [jpeg(4), jpeg(5), jpeg(6)]),
]
EXPECTED = sorted((str(label), image) for label, _, images in SETS for image in images)


@pytest.mark.parametrize("identity_records", [True, False])
def test_arcface_torch_can_read_what_is_written(tmp_path, identity_records):
    dataset(tmp_path / "records", SETS, ["Ann Ö", "Bob", "Cid"])
    summary = records_to_rec.write_rec(
        tmp_path / "records", tmp_path / "rec", identity_records=identity_records, progress=False
    )
    assert str(summary) == "3 people, 7 photos"
    reader = PublishedReader(tmp_path / "rec")
    assert sorted(reader.items()) == EXPECTED
    assert (tmp_path / "rec" / "property").read_text() == "3,12,10\n"
    if identity_records:
        assert [label for label, _ in reader.items()] == ["0"] * 3 + ["1"] * 3 + ["2"]
        assert [reader.unpack(key)[1] for key in (0, 8, 9, 10)] == [[8, 11], [1, 4], [4, 7], [7, 8]]
        assert not any(reader.unpack(key)[2] for key in (0, 8, 9, 10))


@pytest.mark.parametrize("identity_records", [True, False])
def test_records_survive_the_way_there_and_back(tmp_path, identity_records):
    dataset(tmp_path / "records", SETS, ["Ann Ö", "Bob", "Cid"])
    records_to_rec.write_rec(tmp_path / "records", tmp_path / "rec", identity_records=identity_records, progress=False)
    summary = convert(tmp_path / "rec", tmp_path / "again")
    assert list(summary.skipped) == []
    assert writing.open_dataset(tmp_path / "again").identities == ("Ann Ö", "Bob", "Cid")
    assert photos(tmp_path / "again") == photos(tmp_path / "records")
    found = writing.parse(list(tf.data.TFRecordDataset(writing.open_dataset(tmp_path / "again").shards)))
    assert {name.decode() for name in found["name"].numpy()} == {
        "Ann Ö/1.jpg", "Ann Ö/2.jpg", "Ann Ö/3.jpg", "Cid/a.jpg", "Bob/video 7#0", "Bob/video 7#1", "Bob/video 7#2",
    }  # fmt: skip


def test_sequences_of_unknown_people_are_left_out_only_when_asked(tmp_path):
    dataset(tmp_path / "records", [*SETS, (-1, "track", [jpeg(8)])], ["Ann Ö", "Bob", "Cid"])
    with pytest.raises(ValueError, match=r"1 sequences of unknown people.*--skip_unknown"):
        records_to_rec.write_rec(tmp_path / "records", tmp_path / "rec", progress=False)
    assert not list(tmp_path.glob("rec.*"))
    summary = records_to_rec.write_rec(tmp_path / "records", tmp_path / "rec", skip_unknown=True, progress=False)
    assert str(summary) == "3 people, 7 photos, 1 sequences of unknown people left out"
    assert sorted(PublishedReader(tmp_path / "rec").items()) == EXPECTED


def test_a_rec_that_floats_cannot_number_is_not_written(tmp_path, monkeypatch):
    dataset(tmp_path / "records", SETS, ["Ann Ö", "Bob", "Cid"])
    monkeypatch.setattr(records_to_rec, "_EXACT", 10)  # the float32 of a .rec holds 2**24
    with pytest.raises(ValueError, match="at most 10 people and records exactly, got 3 and 11; --noidentity_records"):
        records_to_rec.write_rec(tmp_path / "records", tmp_path / "rec", progress=False)
    records_to_rec.write_rec(tmp_path / "records", tmp_path / "rec", identity_records=False, progress=False)
    assert sorted(PublishedReader(tmp_path / "rec").items()) == EXPECTED


def test_nothing_is_left_of_an_output_that_could_not_be_finished(tmp_path, monkeypatch):
    dataset(tmp_path / "records", SETS, ["Ann Ö", "Bob", "Cid"])

    def full(self, key, record):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RecordWriter, "write", full)
    with pytest.raises(OSError, match="No space left"):
        records_to_rec.write_rec(tmp_path / "records", tmp_path / "rec", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["records"]


def test_the_commands_say_what_they_did_or_what_is_wrong(tmp_path, monkeypatch, capsys):
    rec = write_rec(tmp_path / "faces" / "train.rec", insightface())
    out, back = tmp_path / "out", tmp_path / "back"
    done = run(
        monkeypatch,
        capsys,
        "from_mxnet",
        "--source",
        rec.parent,
        "--output_dir",
        out,
        "--set_size",
        2,
        "--template",
        "mine",
    )
    assert done[:2] == (0, f"{out}: 3 people, 6 photos, 0 skipped\n")
    assert json.loads((out / "metadata.json").read_text())["keras_face"]["num_records"] == 4
    done = run(monkeypatch, capsys, "to_mxnet", "--records", out, "--output_dir", back)
    assert done[:2] == (0, f"{back}: 3 people, 6 photos\n")
    done = run(monkeypatch, capsys, "from_mxnet", "--source", back, "--output_dir", out)
    assert done[:2] == (1, "")
    assert done[2].splitlines()[-1] == f"error: output_dir must not exist yet, but {out} does"
    (rec.parent / "train.rec").write_bytes(rec.read_bytes()[:-1])
    done = run(monkeypatch, capsys, "from_mxnet", "--source", rec.parent, "--output_dir", tmp_path / "new")
    assert done[0] == 1
    assert done[2].splitlines()[-1].startswith("error: train.rec, offset ")
    done = run(monkeypatch, capsys, "from_mxnet", "--source", tmp_path, "--output_dir", tmp_path / "new")
    assert done[2].splitlines()[-1] == f"error: {tmp_path} has no train.rec; nor another .rec file"


def test_real_photos_survive_the_way_there_and_back(tmp_path, real_photos):
    folders = sorted((real_photos / "lfw" / "aligned112").iterdir())[:30]
    sets = [
        (label, f"{folder.name}/{photo.name}", [photo.read_bytes()])
        for label, folder in enumerate(folders)
        for photo in sorted(folder.iterdir())
    ]
    dataset(tmp_path / "records", sets, [folder.name for folder in folders], (112, 112))
    records_to_rec.write_rec(tmp_path / "records", tmp_path / "rec", progress=False)
    convert(tmp_path / "rec", tmp_path / "again")
    assert photos(tmp_path / "again") == photos(tmp_path / "records")
    for label, image in PublishedReader(tmp_path / "rec").items()[:3]:
        assert cv2.imdecode(np.frombuffer(image, np.uint8), 1).shape == (112, 112, 3)
        assert 0 <= int(label) < 30
