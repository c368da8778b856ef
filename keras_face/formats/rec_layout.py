"""Which records of a .rec file are photos, under which keys, and of whom.

InsightFace's layout (deepinsight/insightface, src/data/face2rec2.py), on top of MXNet's image records:

    record 0         no image, labels [i, j]: records 1 ... i - 1 are photos, i ... j - 1 are identities
    photos           label, or several labels of which the first is the person's
    identities       no image, labels [a, b]: photos a ... b - 1 show one person

Without such a record 0 every record is a photo (MXNet's im2rec, InsightFace's shuffle_rec).
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from keras_face.evaluation.short import Short
from keras_face.formats import image_records
from keras_face.formats.image_records import Headers
from keras_face.formats.recordio import RecordFile, Scan, read_index

_EXACT = 2**24  # float32, the type of labels, holds every whole number up to this one
LABELS = ("agreed", "headers", "identities")

Problems = list[tuple[str, str]]  # name and reason of what cannot be read


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RecPhotos(Short):
    """The photos of a .rec file, ordered by key.

    Attributes:
        keys: int64 [n].
        offsets: int64 [n], where their records begin.
        labels: int64 [n].
    """

    keys: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray


def read_photos(file: RecordFile, labels: str, problems: Problems, skip_damaged: bool = False) -> RecPhotos:
    """Returns the photos of a .rec file that can be read.

    Args:
        file: The file; its index is beside it, with the suffix .idx, or else the records' own numbers are their keys.
        labels: Whose labels are taken: "headers": of the photos' own headers; "identities": the positions of the
            identity records; "agreed": both must say the same of who is one person.
        problems: Gets the name and reason of everything that cannot be read.
        skip_damaged: Leave that out, instead of raising.

    Raises: ValueError if something cannot be read, the index is malformed, headers and identities disagree, or
        identities are asked for and are not there.
    """
    if labels not in LABELS:
        raise ValueError(f"labels must be one of {', '.join(LABELS)}, got {labels!r}")
    scan = file.scan()
    problems += [(f"{file.path.name}, offset {offset}", reason) for offset, reason in scan.damaged]
    headers = image_records.read_headers(file, scan)
    keys = _keys(file, scan, headers, problems)
    short = (headers.image_lengths < 0) & (keys >= 0)
    problems += [(place, "a record too short for its header") for place in _places(file, scan, keys, short)]
    images = (headers.image_lengths > 0) & (keys >= 0)
    describing = (headers.image_lengths == 0) & (keys >= 0)
    identities = describing & False
    if (described := np.flatnonzero(describing & (keys == 0))).size:
        describing[described[0]] = False
        identities = _identities(file, headers.labels[described[0]], keys, images, describing, problems)
    problems += [(place, "a record without an image") for place in _places(file, scan, keys, describing & ~identities)]
    label = headers.labels[:, 0]
    counted = images & (label >= 0) & (label < 2**31) & (np.floor(label) == label)
    for row, place in zip(np.flatnonzero(images & ~counted), _places(file, scan, keys, images & ~counted), strict=True):
        problems.append((place, f"label {label[row]} is no person's number"))
    rows = np.flatnonzero(counted)
    rows = rows[np.argsort(keys[rows], kind="stable")]
    photos = RecPhotos(keys[rows], scan.offsets[rows], label[rows].astype(np.int64))
    refuse(problems, skip_damaged)
    if labels == "headers" or (labels == "agreed" and not identities.any()):
        return photos
    order = np.flatnonzero(identities)
    order = order[np.argsort(keys[order], kind="stable")]
    return _owned(file, photos, keys[order], headers.labels[order], labels, problems, skip_damaged)


def _owned(
    file: RecordFile,
    photos: RecPhotos,
    keys: np.ndarray,
    ranges: np.ndarray,
    labels: str,
    problems: Problems,
    skip_damaged: bool,
) -> RecPhotos:
    """Returns the photos that are in identity records, with labels as `read_photos` says.

    `keys` are the numbers of the identity records, rising; `ranges` [m, 2] the first photo of each and its end.
    """
    if photos.keys.size and photos.keys[-1] >= _EXACT:
        if labels == "agreed":
            return photos
        raise ValueError(
            f"{file.path}: more than {_EXACT} photos, which identity records cannot tell; --labels_from headers"
        )
    owners = _owners(file, photos, keys, ranges)
    problems += [
        (f"{file.path.name}, record {key}", "in no identity record; --labels_from headers does without")
        for key in photos.keys[owners < 0].tolist()
    ]
    refuse(problems, skip_damaged)
    owned = owners >= 0
    photos = RecPhotos(photos.keys[owned], photos.offsets[owned], photos.labels[owned])
    if labels == "identities":
        return dataclasses.replace(photos, labels=owners[owned])
    _check_agreement(file, photos, owners[owned], keys)
    return photos


def refuse(problems: Problems, skip_damaged: bool) -> None:
    """Raises ValueError with the first problem, if there is one and they are not to be skipped."""
    if problems and not skip_damaged:
        place, reason = problems[0]
        more = f", and {len(problems) - 1} more like this" if len(problems) > 1 else ""
        raise ValueError(f"{place}: {reason}{more}; --skip_damaged leaves out what cannot be read")


def _keys(file: RecordFile, scan: Scan, headers: Headers, problems: Problems) -> np.ndarray:
    """Returns int64 [n], the key of each record; -1 where it has none."""
    index = file.path.with_suffix(".idx")
    if not index.exists():
        keys = np.where(headers.image_lengths < 0, np.iinfo(np.int64).max, headers.ids.astype(np.int64))
        whole = keys[headers.image_lengths >= 0]
        if np.unique(whole).size == whole.size and (whole >= 0).all():
            return keys
        if (headers.image_lengths == 0).any():
            raise ValueError(
                f"{file.path}: expected {index.name} beside it, or records with numbers of their own in their headers"
            )
        return np.arange(scan.offsets.size)
    listed, offsets = read_index(index)
    keys = np.full(scan.offsets.size, -1)
    rows = np.minimum(np.searchsorted(scan.offsets, offsets), scan.offsets.size - 1)
    found = scan.offsets[rows] == offsets if scan.offsets.size else np.zeros(offsets.size, bool)
    keys[rows[found]] = listed[found]
    known = {offset for offset, _ in scan.damaged}
    for key, offset in zip(listed[~found].tolist(), offsets[~found].tolist(), strict=True):
        outside = "outside the file" if not 0 <= offset < file.size else "where no record begins"
        if offset not in known:
            problems.append((f"{index.name}, record {key}", f"offset {offset}, {outside} ({file.size} bytes)"))
    if np.count_nonzero(found) != np.unique(rows[found]).size:
        key, other = _first_twice(listed[found], offsets[found])
        raise ValueError(f"{index}: expected each record once, but {key} and {other} have the same offset")
    for offset in scan.offsets[keys < 0].tolist():
        problems.append((f"{file.path.name}, offset {offset}", f"a record that is not in {index.name}"))
    return keys


def _first_twice(keys: np.ndarray, offsets: np.ndarray) -> tuple[int, int]:
    order = np.argsort(offsets, kind="stable")
    place = np.flatnonzero(np.diff(offsets[order]) == 0)[0]
    return keys[order[place]], keys[order[place + 1]]


def _identities(
    file: RecordFile,
    described: np.ndarray,
    keys: np.ndarray,
    images: np.ndarray,
    describing: np.ndarray,
    problems: Problems,
) -> np.ndarray:
    """Returns bool [n], the identity records; photos and identities must be those that record 0 describes."""
    if not np.isfinite(described).all() or not 1 <= described[0] <= described[1] <= np.iinfo(np.int64).max // 2:
        raise ValueError(f"{file.path}, record 0: expected [first identity, end] of the records, got {described}")
    first, stop = exact_end(described[0], keys[images]), exact_end(described[1], keys[describing])
    for place in np.flatnonzero(images & ((keys < 1) | (keys >= first))).tolist():
        problems.append((f"{file.path.name}, record {keys[place]}", f"record 0 says that photos are 1 to {first - 1}"))
        images[place] = False
    identities = describing & (keys >= first) & (keys < stop)
    for what, chosen, start, end in (("photo", images, 1, first), ("identity record", identities, first, stop)):
        for low, high in _gaps(np.sort(keys[chosen]), start, end):
            records = f"record {low}" if low == high else f"records {low} to {high}"
            problems.append((f"{file.path.name}, {records}", f"no {what}, though record 0 says so"))
    return identities


def exact_end(told: float, keys: np.ndarray) -> int:
    """Returns the end of a range of keys, which a float32 tells: exactly below 2**24, and rounded beyond it.

    Args:
        told: The end as the file has it.
        keys: int64 [n], the keys up to it; where the end is rounded, the end of these if they fit it.
    """
    if told >= _EXACT and keys.size and np.float32(keys.max() + 1) == told:
        return int(keys.max()) + 1
    return int(told)


def _gaps(keys: np.ndarray, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yields the first and last of each run of numbers in [start, stop) that are not among the sorted keys."""
    keys = np.concatenate([[start - 1], keys, [stop]])
    for place in np.flatnonzero(np.diff(keys) > 1).tolist():
        yield int(keys[place]) + 1, int(keys[place + 1]) - 1


def _owners(file: RecordFile, photos: RecPhotos, keys: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Returns int64 [n], the position of each photo's identity record; -1 where it is in none."""
    order = np.argsort(ranges[:, 0], kind="stable")
    starts, stops = ranges[order].T
    if not keys.size or not (starts < stops).all() or not (stops[:-1] <= starts[1:]).all():
        raise ValueError(f"{file.path}: expected identity records with ranges of photos, apart from each other")
    place = np.maximum(np.searchsorted(starts, photos.keys, "right") - 1, 0)
    return np.where((photos.keys >= starts[place]) & (photos.keys < stops[place]), order[place], -1)


def _check_agreement(file: RecordFile, photos: RecPhotos, owners: np.ndarray, keys: np.ndarray) -> None:
    order = np.argsort(owners, kind="stable")
    same = np.diff(owners[order]) == 0
    if (differs := np.flatnonzero(same & (np.diff(photos.labels[order]) != 0))).size:
        photo, other = order[differs[0]], order[differs[0] + 1]
        raise ValueError(
            f"{file.path}: identity record {keys[owners[photo]]} says that photos {photos.keys[photo]} and "
            f"{photos.keys[other]} show one person, but their labels are {photos.labels[photo]} and "
            f"{photos.labels[other]}; say which is right with --labels_from headers or --labels_from identities"
        )


def _places(file: RecordFile, scan: Scan, keys: np.ndarray, chosen: np.ndarray) -> list[str]:
    """Returns names of records for messages."""
    pairs = zip(keys[chosen].tolist(), scan.offsets[chosen].tolist(), strict=True)
    return [f"{file.path.name}, record {key}, offset {offset}" for key, offset in pairs]
