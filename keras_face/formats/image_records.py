"""MXNet's image records: a header, labels, and an encoded image.

    flag     uint32     number of labels that follow the header; 0: the label is in the header
    label    float32    the label, where flag is 0
    id, id2  uint64     number of the record, usually its key; 0
    labels   float32    `flag` of them
    image    the rest: a JPEG or PNG file, an array as numpy.save writes it, or bare pixels; nothing in records that
             describe others

Source: apache/mxnet, python/mxnet/recordio.py (pack, unpack). All numbers are little-endian.
"""

import dataclasses
import struct
from collections.abc import Sequence

import numpy as np

from keras_face.formats.recordio import RecordFile, Scan

_HEADER = struct.Struct("<IfQQ")


@dataclasses.dataclass(frozen=True, eq=False)
class Headers:
    """The headers of many records.

    Attributes:
        labels: float64 [n, 2], the first two labels; NaN where there are none.
        ids: uint64 [n].
        image_lengths: int64 [n], bytes of the images; -1: the record
            is too short for its header.
    """

    labels: np.ndarray
    ids: np.ndarray
    image_lengths: np.ndarray


def pack(labels: Sequence[float], record_id: int, image: bytes) -> bytes:
    """Returns an image record; one label goes into the header, several follow it."""
    if len(labels) == 1:
        return _HEADER.pack(0, labels[0], record_id, 0) + image
    return _HEADER.pack(len(labels), 0, record_id, 0) + struct.pack(f"<{len(labels)}f", *labels) + image


def image_of(record: bytes) -> bytes:
    """Returns the image of a record."""
    (flag,) = struct.unpack_from("<I", record)
    return record[_HEADER.size + 4 * flag :]


def read_headers(file: RecordFile, scan: Scan) -> Headers:
    """Returns the headers of all records of a scan, in its order."""
    words = file.words
    start = scan.offsets // 4 + 2

    def word(place: int) -> np.ndarray:
        """Returns uint32 [n], a word of each record; any word where the record is shorter."""
        return words[np.minimum(start + place, words.size - 1)]

    flags = word(0).astype(np.int64)
    labels = np.stack([word(1), word(6), word(7)]).view("<f4").astype(np.float64)
    labels = np.stack([np.where(flags, labels[1], labels[0]), np.where(flags > 1, labels[2], np.nan)], axis=1)
    ids = word(2).astype(np.uint64) | word(3).astype(np.uint64) << np.uint64(32)
    lengths = scan.first_lengths - _HEADER.size - 4 * flags
    for row in np.flatnonzero(~scan.whole).tolist():  # the magic number may be in the header itself
        labels[row], ids[row], lengths[row] = _read_header(file.read(int(scan.offsets[row])))
    return Headers(labels, ids, np.maximum(lengths, -1))


def _read_header(record: bytes) -> tuple[tuple[float, float], int, int]:
    if len(record) < _HEADER.size:
        return (np.nan, np.nan), 0, -1
    flag, label, record_id, _ = _HEADER.unpack_from(record)
    length = len(record) - _HEADER.size - 4 * flag
    if flag and length >= 0:
        label, second, *_ = (*struct.unpack_from(f"<{flag}f", record, _HEADER.size), np.nan)
        return (label, second), record_id, length
    return (label, np.nan), record_id, length
