"""Findings about people: too few photos, none, two names for one, labels that the head does not have."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from keras_face.inspection.findings import DROP, ERROR, LOOK, MOVE, NOTE, WARNING, Entry, Finding
from keras_face.inspection.photo_checks import mend
from keras_face.inspection.sources import Photos
from keras_face.records.mixture import ONE_PHOTO
from keras_face.records.photos import RecordPhotos


def photos_per_person(photos: Photos) -> np.ndarray:
    """Returns int64 [num_identities]."""
    labels = photos.labels[(photos.labels >= 0) & (photos.labels < len(photos.identities))]
    return np.bincount(labels, minlength=len(photos.identities))


def check_people(photos: Photos, min_photos: int = 2) -> list[Finding]:
    """Returns what is wrong with the people of a dataset.

    Args:
        photos: The dataset.
        min_photos: People with fewer photos are named.
    """
    findings = []
    counts = photos_per_person(photos)
    lowest = -photos.info.num_sequences if isinstance(photos, RecordPhotos) else 0
    if outside := np.flatnonzero((photos.labels >= len(photos.identities)) | (photos.labels < lowest)).tolist():
        what = (
            f"{len(outside):,} photos have labels outside [{lowest}, {len(photos.identities)}): training refuses them"
        )
        found = [Entry(photos.photo_name(number), "", f"label {photos.labels[number]}") for number in outside]
        findings.append(Finding(ERROR, "label-range", what, mend(photos), found))
    if empty := np.flatnonzero(counts == 0).tolist():
        found = [Entry("", photos.identities[label], "no photo") for label in empty]
        what = f"{len(empty):,} people have no photo"
        if photos.made_of_records:
            findings.append(Finding(WARNING, "empty", f"{what}: their prototypes learn nothing", mend(photos), found))
        else:
            remove = f"find {photos.path} -mindepth 1 -maxdepth 1 -type d -empty -delete"
            findings.append(Finding(ERROR, "empty", f"{what}: write_images stops at an empty folder", remove, found))
    some = counts[counts > 0]
    if some.size and some.max() == 1:
        what = f"each of the {some.size:,} people has one photo: {ONE_PHOTO}"
        more = "put more photos of each person into the dataset, or train with another one beside it"
        findings.append(Finding(WARNING, "one-photo", what, more))
    elif few := np.flatnonzero((counts > 0) & (counts < min_photos)).tolist():
        found = [Entry("", photos.identities[label], f"{counts[label]} photos") for label in few]
        what = f"{len(few):,} of {np.count_nonzero(counts):,} people have fewer than {min_photos} photos"
        leave_out = mend(photos)
        if not photos.made_of_records:
            where = f"--source {photos.path} --output_dir {photos.path}_records"
            leave_out = f"python -m tfrecords_tools.write_images {where} --min_photos {min_photos}"
        findings.append(Finding(NOTE, "few-photos", f"{what}: triplets have no positive for them", leave_out, found))
    same = shared_names(photos.identities, photos.identities)
    if same := [(first, second) for first, second in same if first < second]:
        found = [Entry("", second, f"the same name as {first}", None, f"{MOVE}{first}") for first, second in same]
        what = f"{len(same):,} names come twice but for case, accents, spaces or punctuation: one person, two labels"
        findings.append(Finding(WARNING, "same-name", what, mend(photos), found))
    if parts := numbered_names(photos.identities):
        found = [Entry("", second, f"{first} with a number", None, LOOK) for first, second in parts]
        what = f"{len(parts):,} names are another's with a number behind, as programs name what is there already"
        look = f"{mend(photos)}  # where it is one person: write move to NAME"
        findings.append(Finding(NOTE, "split-name", what, look, found))
    return findings


def check_head(datasets: Sequence[Photos], num_identities: int) -> list[Finding]:
    """Returns whether the labels of the datasets, one after the other as in training, fit a head.

    Args:
        datasets: In the order of their identities.
        num_identities: Of the head.
    """
    total = sum(len(photos.identities) for photos in datasets)
    names = ", ".join(photos.name for photos in datasets)
    train = "python train_centre.py CONFIG  # with an output_dir of its own: the head gets the size of the datasets"
    if total > num_identities:
        what = f"{names}: labels go up to {total - 1:,}, but the head has {num_identities:,} identities"
        return [Finding(ERROR, "label-range", what, train)]
    if total < num_identities:
        what = f"{names}: {total:,} identities, but the head has {num_identities:,}: it was trained with other datasets"
        return [Finding(WARNING, "label-range", what, train)]
    return []


def check_shared_names(first: Photos, second: Photos) -> list[Finding]:
    """Returns the people whose names two datasets share."""
    shared = shared_names(first.identities, second.identities)
    if not shared:
        return []
    what = f"{len(shared):,} people of {first.name} are in {second.name} too, by their names"
    found = [Entry("", mine, f"in {second.name} as {theirs}", None, DROP) for mine, theirs in shared]
    return [
        Finding(
            WARNING,
            "shared-names",
            f"{what}: no honest measurement of the one after training on the other",
            mend(first),
            found,
        )
    ]


def shared_names(first: Sequence[str], second: Sequence[str]) -> list[tuple[str, str]]:
    """Returns the pairs of names that are equal but for case, accents, spaces and punctuation; numbers are no names."""
    by_key: dict[str, list[str]] = {}
    for name in second:
        by_key.setdefault(_key(name), []).append(name)
    return [(name, other) for name in first for other in by_key.get(_key(name), []) if not _key(name).isdecimal()]


def numbered_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """Returns the pairs of a name and the same one with a number behind: `Ann` and `Ann_2`, `Ann (2)` or `ann-copy`."""
    by_key: dict[str, list[str]] = {}
    for name in names:
        by_key.setdefault(_key(name), []).append(name)
    found = []
    for name in names:
        whole = re.fullmatch(r"(.*\S)(?:\s*\(\d+\)|[\s_.-]+(?:\d+|copy)|#\d+)", name)
        if whole and not _key(whole[1]).isdecimal():
            found += [(other, name) for other in by_key.get(_key(whole[1]), []) if other != name]
    return found


def _key(name: str) -> str:
    letters = (letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", " ", "".join(letters).casefold()).strip() or name
