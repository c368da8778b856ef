"""Findings about photos that come twice: under one name, under two names, in two datasets."""

from collections.abc import Sequence

import numpy as np

from keras_face.inspection import duplicates
from keras_face.inspection.facts import Scan
from keras_face.inspection.findings import DROP, NOTE, WARNING, Entry, Finding
from keras_face.inspection.photo_checks import identity_name, mend
from keras_face.inspection.sources import Photos

# LFW: 17 pairs are this near, all of one shot; the first of two shots is 0.19 apart. A copy at JPEG quality 20, or
# blurred, is at most 0.05 from its original, one shifted by a pixel 0.08 (at most 0.14).
MAX_DISTANCE = 0.15
_MANY = 0.01  # share of a dataset's photos from which on duplicates under one name are a warning


def twins(scans: Sequence[Scan], max_distance: float = MAX_DISTANCE) -> list[tuple[str, np.ndarray]]:
    """Returns the groups of photos that are the same, counting on through the datasets, and how alike they are.

    Args:
        scans: Of the datasets.
        max_distance: Of near duplicates, see `duplicates.distance`; 0: only exact ones.

    Returns: ("same bytes", "same pixels" or "nearly the same", ascending numbers) of each group.
    """
    bytes_hash = np.concatenate([scan.facts["bytes_hash"] for scan in scans])
    pixels_hash = np.concatenate([scan.facts["pixels_hash"] for scan in scans])
    exact = duplicates.same(pixels_hash)
    joined = [(group[0], other) for group in exact for other in group[1:]]
    if max_distance > 0:
        # Blank photos are all alike, and have a finding of their own; of exact copies one is compared.
        taken = pixels_hash >= 0
        taken &= np.concatenate([scan.facts["contrast"] for scan in scans]) >= 3
        for group in exact:
            taken[group[1:]] = False
        numbers = np.flatnonzero(taken)
        if len(numbers):
            descriptors = np.concatenate([scan.facts["descriptor"] for scan in scans])[numbers]
            pairs, _ = duplicates.near(descriptors, max_distance)
            joined += [tuple(pair) for pair in numbers[pairs]]
    groups = duplicates.groups_of(np.array(joined, np.int64).reshape(-1, 2))
    return [(_likeness(group, bytes_hash, pixels_hash), group) for group in groups]


def check_duplicates(
    datasets: Sequence[Photos], scans: Sequence[Scan], groups: Sequence[tuple[str, np.ndarray]]
) -> list[Finding]:
    """Returns the findings about photos that come twice.

    Args:
        datasets: Some.
        scans: Theirs.
        groups: Made by `twins`.
    """
    starts = np.cumsum([0, *map(len, datasets)])
    findings = []
    for number, photos in enumerate(datasets):
        within, across, elsewhere = [], [], []
        for likeness, group in groups:
            here = [int(n - starts[number]) for n in group if starts[number] <= n < starts[number + 1]]
            names = [photos.photo_name(n) for n in here]
            people = [identity_name(photos, n) for n in here]
            labels = {int(photos.labels[n]) for n in here}
            rows = list(zip(here, names, people, strict=True))
            if len(labels) > 1:
                for _, name, person in rows:
                    others = ", ".join(other for _, other, owner in rows if owner != person)
                    across.append(Entry(name, person, f"{likeness} as {others}", None, DROP))
            else:
                within += [Entry(name, person, f"{likeness} as {names[0]}") for _, name, person in rows[1:]]
            for later in range(number + 1, len(datasets)):
                there = [int(n - starts[later]) for n in group if starts[later] <= n < starts[later + 1]]
                if there and here:
                    other = f"{datasets[later].name}: {datasets[later].photo_name(there[0])}"
                    elsewhere += [Entry(name, person, f"{likeness} as {other}") for _, name, person in rows]
        if within:
            severity = WARNING if len(within) > _MANY * len(photos) else NOTE
            what = f"{len(within):,} photos come again under the same name ({_counts(within)})"
            findings.append(Finding(severity, "duplicates", what, mend(photos), within))
        if across:
            what = f"{len(across):,} photos come under two names ({_counts(across)}): one of the names is wrong"
            dropped = mend(photos) + "  # drops all copies; edit the list to keep the right one"
            findings.append(Finding(WARNING, "two-names", what, dropped, across))
        if elsewhere:
            what = (
                f"{len(elsewhere):,} photos of {photos.name} are in another of the datasets too ({_counts(elsewhere)})"
            )
            findings.append(Finding(WARNING, "shared-photos", what, mend(photos), elsewhere))
    return findings


def _likeness(group: np.ndarray, bytes_hash: np.ndarray, pixels_hash: np.ndarray) -> str:
    if len(np.unique(bytes_hash[group])) == 1:
        return "same bytes"
    return "same pixels" if len(np.unique(pixels_hash[group])) == 1 else "nearly the same"


def _counts(found: Sequence[Entry]) -> str:
    kinds = ("same bytes", "same pixels", "nearly the same")
    counts = {kind: sum(entry.finding.startswith(kind) for entry in found) for kind in kinds}
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
