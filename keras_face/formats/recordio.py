"""RecordIO, the files of MXNet: records of bytes one after another (.rec), and where each begins (.idx).

A record is one part or several, each of which is

    magic number    uint32
    kind, length    uint32: kind << 29 | length; kind 0: a whole record, 1, 2, 3: its first, a middle, its last part
    bytes           `length` of them, then zeros up to a multiple of 4

Where a record holds the magic number at a multiple of 4, it is cut there and the number left out. So the number begins
parts and stands nowhere else: a file is cut into its parts without following lengths, and read on after damage.

Source: dmlc-core, src/recordio.cc. All numbers are little-endian.
"""

import dataclasses
import mmap
import os
import struct
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np

MAGIC = 0xCED7230A
_MAGIC_BYTES = struct.pack("<I", MAGIC)
_HEAD = struct.Struct("<II")
_LENGTH_BITS = 29
_LONGEST = (1 << _LENGTH_BITS) - 1  # bytes of a part
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_SCANNED_WORDS = 1 << 22  # at a time, so that a scan takes little memory


@dataclasses.dataclass(frozen=True, eq=False)
class Scan:
    """What a .rec file holds, in its order.

    Attributes:
        offsets: int64 [n], where each undamaged record begins, bytes.
        first_lengths: int64 [n], bytes of the first part of each.
        whole: bool [n], whether that is all of it.
        damaged: Offset and reason of every stretch of the file that is no record.
    """

    offsets: np.ndarray
    first_lengths: np.ndarray
    whole: np.ndarray
    damaged: tuple[tuple[int, str], ...]


class RecordFile:
    """A .rec file mapped into memory; any thread may read it.

    Args:
        path: The file.

    Raises: ValueError if it is empty; OSError if it cannot be read.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        with open(path, "rb") as file:
            self.size = os.fstat(file.fileno()).st_size
            if not self.size:
                raise ValueError(f"{path}: expected records, the file is empty")
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.words = np.frombuffer(self.bytes, "<u4", self.size // 4)

    def scan(self) -> Scan:
        """Returns every record of the file, and what is none."""
        words = self._heads()
        if not words.size:
            none = np.zeros(0, np.int64)
            return Scan(none, none, none > 0, ((0, f"no record begins with the magic number {MAGIC:#x}"),))
        # A file that is cut off within a head has no second word there, nor an end that fits.
        heads = self.words[np.minimum(words + 1, self.words.size - 1)].astype(np.int64)
        kinds, lengths, starts = heads >> _LENGTH_BITS, heads & _LONGEST, 4 * words
        ends = starts + 8 + (lengths + 3) // 4 * 4
        nexts = np.append(starts[1:], self.size)
        begins = (kinds == _WHOLE) | (kinds == _FIRST)
        continues = np.append(False, (kinds[:-1] == _FIRST) | (kinds[:-1] == _MIDDLE))
        first = np.flatnonzero(begins | ~continues)
        last = np.append(first[1:], starts.size) - 1
        fits = np.add.reduceat(ends != nexts, first) == 0
        good = fits & begins[first] & ((kinds[last] == _WHOLE) | (kinds[last] == _LAST))
        damaged = [(0, "no record begins there")] if starts[0] else []
        for record in np.flatnonzero(~good).tolist():
            part = first[record]
            if not fits[record]:
                part += int(np.argmax(ends[part:] != nexts[part:]))
                follows = "the file ends" if part == starts.size - 1 else "the next part begins"
                reason = f"a part that should end at {ends[part]}, but {follows} at {nexts[part]}"
            elif not begins[part]:
                reason = f"a part of kind {kinds[part]}, whose record does not begin before it"
            else:
                reason = "a record without its last part"
            damaged.append((int(starts[first[record]]), reason))
        return Scan(starts[first][good], lengths[first][good], kinds[first][good] == _WHOLE, tuple(damaged))

    def read(self, offset: int) -> bytes:
        """Returns the record that begins at an offset of `scan`."""
        kind, parts = _FIRST, []
        while kind in (_FIRST, _MIDDLE):
            _, head = _HEAD.unpack_from(self.bytes, offset)
            kind, length = head >> _LENGTH_BITS, head & _LONGEST
            parts.append(self.bytes[offset + 8 : offset + 8 + length])
            offset += 8 + (length + 3) // 4 * 4
        return _MAGIC_BYTES.join(parts)

    def _heads(self) -> np.ndarray:
        """Returns int64 [n], the words that are the magic number."""
        found = [
            np.flatnonzero(self.words[start : start + _SCANNED_WORDS] == MAGIC) + start
            for start in range(0, self.words.size, _SCANNED_WORDS)
        ]
        return np.concatenate([np.zeros(0, np.int64), *found])


class RecordWriter:
    """Writes a .rec file, and its .idx file when it is closed.

    Args:
        path: The .rec file; the index has its name, with the suffix .idx.
    """

    def __init__(self, path: str | os.PathLike):
        self._path = Path(path)
        self._file: BinaryIO = open(path, "wb")  # noqa: SIM115, closed by __exit__
        self._offsets: dict[int, int] = {}

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(self, *_: object) -> None:
        with self._file:
            lines = (f"{key}\t{offset}\n" for key, offset in sorted(self._offsets.items()))
            with open(self._path.with_suffix(".idx"), "w", encoding="ascii") as index:
                index.writelines(lines)

    def write(self, key: int, record: bytes) -> None:
        """Writes a record.

        Raises: ValueError if the key came before, or the record is longer than a part can be.
        """
        if key in self._offsets:
            raise ValueError(f"keys of records must be unique, got {key} twice")
        if len(record) > _LONGEST:
            raise ValueError(f"a record must be at most {_LONGEST} bytes long, got {len(record)}")
        self._offsets[key] = self._file.tell()
        parts = _cut(record)
        for number, part in enumerate(parts):
            kind = _WHOLE if len(parts) == 1 else _LAST if number == len(parts) - 1 else _MIDDLE if number else _FIRST
            self._file.write(_HEAD.pack(MAGIC, kind << _LENGTH_BITS | len(part)) + part)
        self._file.write(bytes(-len(record) % 4))


def read_index(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns the keys and offsets of an .idx file, int64 [n] each, in its order.

    Raises: ValueError if its lines are not `key<tab>offset`, or a key comes twice.
    """
    try:
        with open(path, encoding="ascii") as file, warnings.catch_warnings():
            warnings.simplefilter("error")  # what NumPy says of an empty file
            keys, offsets = np.loadtxt(file, np.int64, comments=None, delimiter="\t", ndmin=2).T
    except (ValueError, OverflowError, UserWarning) as error:
        raise ValueError(f"{path}: expected lines `key<tab>offset`: {error}") from None
    ordered = np.sort(keys)
    if (twice := ordered[:-1][ordered[:-1] == ordered[1:]]).size:
        raise ValueError(f"{path}: expected each key once, got {twice[0]} again")
    return keys, offsets


def _cut(record: bytes) -> list[bytes]:
    """Returns the parts of a record: what is between the magic numbers at multiples of 4."""
    parts, start, found = [], 0, record.find(_MAGIC_BYTES)
    while found >= 0:
        if found % 4 == 0:
            parts.append(record[start:found])
            start = found + 4
        found = record.find(_MAGIC_BYTES, found + (4 if found % 4 == 0 else 1))
    return [*parts, record[start:]]
