"""RecordIO: framing, damage and the index, beside a reader and a writer that go byte by byte as dmlc-core's do."""

import struct
from pathlib import Path

import numpy as np
import pytest

from keras_face.formats.recordio import RecordFile, RecordWriter, read_index

MAGIC = struct.pack("<I", 0xCED7230A)
RECORDS = [
    b"", b"a", b"abcd", b"abcde", MAGIC, MAGIC + MAGIC, b"x" + MAGIC, b"abcd" + MAGIC, b"abcd" + MAGIC + b"ef",
    b"ab" + MAGIC + b"cd" + MAGIC + b"1234" + MAGIC + MAGIC + b"z", MAGIC[:2], b"abcd" + MAGIC[:3], bytes(1000),
]  # fmt: skip


def framed(record: bytes) -> bytes:
    """RecordIOWriter::WriteRecord of dmlc-core: every four bytes are compared with the magic number."""
    out, start = b"", 0
    for place in range(0, len(record) // 4 * 4, 4):
        if record[place : place + 4] == MAGIC:
            out += MAGIC + struct.pack("<I", (2 if start else 1) << 29 | place - start) + record[start:place]
            start = place + 4
    out += MAGIC + struct.pack("<I", (3 if start else 0) << 29 | len(record) - start) + record[start:]
    return out + bytes(-len(record) % 4)


def write(path: Path, content: bytes) -> RecordFile:
    path.write_bytes(content)
    return RecordFile(path)


def everything(file: RecordFile) -> list[bytes]:
    scan = file.scan()
    assert not scan.damaged
    return [file.read(offset) for offset in scan.offsets.tolist()]


def test_records_are_read_however_often_they_hold_the_magic_number(tmp_path):
    file = write(tmp_path / "a.rec", b"".join(map(framed, RECORDS)))
    assert everything(file) == RECORDS
    cut = [any(record[place : place + 4] == MAGIC for place in range(0, len(record), 4)) for record in RECORDS]
    assert (~file.scan().whole).tolist() == cut


def test_written_files_are_those_of_dmlc_core(tmp_path):
    with RecordWriter(tmp_path / "a.rec") as writer:
        for key, record in enumerate(RECORDS):
            writer.write(key + 5, record)
    assert (tmp_path / "a.rec").read_bytes() == b"".join(map(framed, RECORDS))
    keys, offsets = read_index(tmp_path / "a.idx")
    assert keys.tolist() == list(range(5, 5 + len(RECORDS)))
    assert offsets.tolist() == np.cumsum([0, *(len(framed(record)) for record in RECORDS[:-1])]).tolist()


def test_random_records_with_many_magic_words_survive(tmp_path):
    random = np.random.RandomState(0)
    words = [MAGIC, MAGIC[:3], b"\0", b"ab", b"wxyz"]
    made = [b"".join(words[n] for n in random.randint(0, 5, random.randint(0, 12))) for _ in range(500)]
    with RecordWriter(tmp_path / "a.rec") as writer:
        for key, record in enumerate(made):
            writer.write(key, record)
    assert (tmp_path / "a.rec").read_bytes() == b"".join(map(framed, made))
    assert everything(RecordFile(tmp_path / "a.rec")) == made


@pytest.mark.parametrize("place", range(len(RECORDS)))
def test_one_damaged_record_does_not_take_others_with_it(tmp_path, place):
    pieces = [framed(record) for record in RECORDS]
    start = sum(map(len, pieces[:place]))
    pieces[place] = pieces[place][:4] + b"\xff\xff\xff\x1f" + pieces[place][8:]  # a length far beyond the file
    file = write(tmp_path / "a.rec", b"".join(pieces))
    scan = file.scan()
    assert [offset for offset, _ in scan.damaged][:1] == [start]
    found = [file.read(offset) for offset in scan.offsets.tolist()]
    assert found == RECORDS[:place] + RECORDS[place + 1 :]


@pytest.mark.parametrize(
    "content, offset, reason",
    [
        (b"hello, world", 0, "magic number"),
        (b"junk" + framed(b"abcd"), 0, "no record begins"),
        (framed(b"abcd") + framed(b"ef")[:-1], 12, "should end at 24, but the file ends at 23"),
        (framed(b"abcd") + MAGIC, 12, "the file ends at 16"),
        (framed(b"abcd") + b"tail", 0, "should end at 12, but the file ends at 16"),
        (MAGIC + struct.pack("<I", 3 << 29 | 4) + b"abcd" + framed(b"ef"), 0, "kind 3"),
        (MAGIC + struct.pack("<I", 1 << 29 | 4) + b"abcd" + framed(b"ef"), 0, "without its last part"),
        (MAGIC + struct.pack("<I", 6 << 29 | 4) + b"abcd" + framed(b"ef"), 0, "kind 6"),
    ],
)
def test_damage_has_an_offset_and_a_reason(tmp_path, content, offset, reason):
    ((where, why), *more) = write(tmp_path / "a.rec", content).scan().damaged
    assert not more
    assert where == offset
    assert reason in why


def test_a_cut_is_never_taken_for_the_end_unless_a_record_ends_there(tmp_path):
    content = b"".join(map(framed, RECORDS[:-1]))
    ends = set(np.cumsum([len(framed(record)) for record in RECORDS]).tolist())
    for size in range(1, len(content)):
        assert bool(write(tmp_path / "a.rec", content[:size]).scan().damaged) == (size not in ends)


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the file is empty"):
        write(tmp_path / "a.rec", b"")


@pytest.mark.parametrize("text", ["", "1 2\n", "a\tb\n", "1\t2\n1\t3\n", "1\t2\t3\n", "1\n", "1\t1e400\n", "\x00\xff"])
def test_a_malformed_index_is_refused(tmp_path, text):
    (tmp_path / "a.idx").write_bytes(text.encode("latin1"))
    with pytest.raises(ValueError, match=r"a\.idx: expected"):
        read_index(tmp_path / "a.idx")


def test_a_key_is_written_once(tmp_path):
    with RecordWriter(tmp_path / "a.rec") as writer:
        writer.write(1, b"")
        with pytest.raises(ValueError, match="got 1 twice"):
            writer.write(1, b"")
