"""Looks a dataset over, or several together: what is in it, and what is wrong with it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_face.backend import tf
from keras_face.export import EmbedderLike, newest_checkpoint
from keras_face.inspection import pictures
from keras_face.inspection.duplicate_checks import MAX_DISTANCE, check_duplicates, twins
from keras_face.inspection.facts import Scan, scan
from keras_face.inspection.findings import ERROR, NOTE, WARNING, Finding, Report
from keras_face.inspection.people_checks import check_head, check_people, check_shared_names, photos_per_person
from keras_face.inspection.photo_checks import blue_photos, check_photos, grey_photos, most_common_size
from keras_face.inspection.placement import Placement, check_placement, check_templates, place
from keras_face.inspection.shared_people import check_shared_people
from keras_face.inspection.sources import Photos
from keras_face.records import held_out

_QUANTILES = (0, 0.1, 0.5, 0.9, 1)


def inspect(
    datasets: Sequence[Photos],
    folder: Path,
    embedder: EmbedderLike | None = None,
    num_identities: int | None = None,
    min_photos: int = 2,
    max_distance: float = MAX_DISTANCE,
    detected_photos: int = 1024,
    progress: bool = False,
) -> Report:
    """Inspects datasets, writes pictures of what it finds, and returns the report.

    Args:
        datasets: In the order of their identities in training. What two share is to leave the first of them.
        folder: For the pictures; exists.
        embedder: Compares the people of two datasets; None: only their names are compared.
        num_identities: Of the head that is to be trained; None: not checked.
        min_photos: People with fewer are named.
        max_distance: Of near duplicates, see `duplicates.distance`; 0: only exact ones.
        detected_photos: Of each dataset, in which faces are looked for; 0: none.
        progress: Whether to show progress bars.
    """
    scans = [scan(photos, progress) for photos in datasets]
    placements = [
        place(photos, s, detected_photos) if detected_photos else None
        for photos, s in zip(datasets, scans, strict=True)
    ]
    findings: list[Finding] = []
    for photos, facts, placement in zip(datasets, scans, placements, strict=True):
        findings += check_photos(photos, facts)
        findings += check_people(photos, min_photos)
        if detected_photos:
            findings += check_placement(photos, placement)
    if num_identities is not None:
        findings += check_head(datasets, num_identities)
    groups = twins(scans, max_distance)
    findings += check_duplicates(datasets, scans, groups)
    for number, first in enumerate(datasets):
        for second in datasets[number + 1 :]:
            findings += check_shared_names(first, second)
            findings += check_templates(first, second)
    if embedder is not None and len(datasets) > 1:
        findings += check_shared_people(datasets, embedder, progress)
    _draw(folder, datasets, scans, placements, groups)
    facts_of = [_facts(*parts) for parts in zip(datasets, scans, placements, strict=True)]
    worst_first = sorted(findings, key=lambda finding: (ERROR, WARNING, NOTE).index(finding.severity))
    summary = [line for facts in facts_of for line in _lines(facts)]
    return Report({os.fspath(p.path): f for p, f in zip(datasets, facts_of, strict=True)}, summary, worst_first)


def head_size(number_or_run: str, datasets: Sequence[Photos]) -> int:
    """Returns the identities of a head: the number that is given, or those of a run's newest checkpoint.

    Args:
        number_or_run: A number, or a run's folder.
        datasets: A head with a whole multiple of their identities has that many sub-centres of each.

    Raises: ValueError if it is neither.
    """
    if number_or_run.isdecimal() and int(number_or_run):
        return int(number_or_run)
    run = Path(number_or_run)
    newest = newest_checkpoint(run)
    shapes = tf.train.list_variables(newest) if newest else []
    rows = [shape[0] for name, shape in shapes if name.endswith("/prototypes/.ATTRIBUTES/VARIABLE_VALUE")]
    if not rows:
        raise ValueError(
            "num_identities must be a number >= 1, or the folder of a run whose checkpoint has prototypes, "
            f"got {number_or_run!r}"
        )
    # People who were held out of the training are in its datasets, and have no row.
    total, apart = sum(len(photos.identities) for photos in datasets), len(held_out.read_names(run))
    trained = total - apart
    whole = trained > 0 and rows[0] % trained == 0 and rows[0] // trained <= 16
    return total if whole else rows[0] + apart


def _facts(photos: Photos, scan_of: Scan, placement: Placement | None) -> dict[str, Any]:
    """Returns what findings.json says of a dataset."""
    counts = photos_per_person(photos)
    counts = counts[counts > 0]
    blue, coloured = blue_photos(scan_of)
    quantiles = np.quantile(counts, _QUANTILES).round(1).tolist() if len(counts) else []
    facts: dict[str, Any] = {
        "name": photos.name,
        "photos": len(photos),
        "people": len(photos.identities),
        "sequences_of_unknown_people": len(np.unique(photos.labels[photos.labels < 0])),
        "damaged": int(np.count_nonzero(~scan_of.good)),
        "image_size": list(photos.image_size or most_common_size(scan_of)),
        "template": photos.template,
        "photos_per_person": dict(zip((f"quantile_{q}" for q in _QUANTILES), quantiles, strict=bool(quantiles))),
        "people_with_one_photo": int(np.count_nonzero(counts == 1)),
        "grey": int(np.count_nonzero(grey_photos(scan_of))),
    }
    if coloured:
        facts["red_over_blue"] = {"share": 1 - len(blue) / coloured, "colour_photos": coloured}
    if placement is not None:
        median = None if np.isnan(placement.median) else placement.median
        found = len(placement.numbers) and placement.found
        facts["placement"] = {"looked_at": len(placement.numbers), "face_found": found, "median_distance": median}
        facts["placement"]["off"] = int(np.count_nonzero(placement.bad))
        if np.isfinite(placement.landmarks[placement.turns == 0]).any():
            facts["placement"]["tendency"] = placement.tendency()
    return facts


def _lines(facts: dict[str, Any]) -> list[str]:
    """Returns the facts of a dataset for a person to read."""
    height, width = facts["image_size"]
    counts = [f"{count:,.0f}" for count in facts["photos_per_person"].values()]
    lines = [f"{facts['name']}: {facts['photos']:,} photos {height}x{width} of {facts['people']:,} people"]
    if counts:
        least, low, median, high, most = counts
        lines.append(
            f"  photos of a person: {least} to {most}, the middle 80 % {low} to {high}, median {median}; "
            f"one photo: {facts['people_with_one_photo']:,} people"
        )
    if facts["sequences_of_unknown_people"]:
        lines.append(f"  sequences of unknown people: {facts['sequences_of_unknown_people']:,}")
    if "red_over_blue" in facts:
        colours = facts["red_over_blue"]
        lines.append(
            f"  colours: {colours['share']:.2%} of {colours['colour_photos']:,} colour photos have more red than blue "
            f"in the middle, as faces in RGB do; {facts['grey']:,} photos are grey"
        )
    else:
        lines.append(f"  colours: {facts['grey']:,} photos are grey, none has colour")
    if placed := facts.get("placement"):
        lines.append(f"  alignment: a face in {placed['face_found']:.0%} of {placed['looked_at']} crops")
        if "tendency" in placed:
            lines[-1] += (
                f", in the median {placed['median_distance']:.1f} pixels off the template; {placed['tendency']}"
            )
    return lines


def _draw(
    folder: Path,
    datasets: Sequence[Photos],
    scans: Sequence[Scan],
    placements: Sequence[Placement | None],
    groups: Sequence[tuple[str, np.ndarray]],
) -> None:
    """Writes the pictures."""
    for number, (photos, facts, placement) in enumerate(zip(datasets, scans, placements, strict=True), start=1):
        suffix = f"-{number}" if len(datasets) > 1 else ""
        pictures.save_contact_sheet(folder / f"photos{suffix}.png", photos, facts.good)
        counts = photos_per_person(photos)
        title = f"{photos.name}: {len(photos):,} photos of {len(photos.identities):,} people"
        pictures.save_photos_per_person(folder / f"people{suffix}.png", counts, title)
        expected = placement.expected if placement is not None and _is_square(photos, facts) else None
        pictures.save_mean_photo(folder / f"mean{suffix}.png", facts.mean_photo, expected)
    starts = np.cumsum([0, *map(len, datasets)])
    located = [[_locate(starts, datasets, int(number)) for number in group] for _, group in groups]
    two_names = [
        group for group in located if len({(id(photos), photos.labels[number]) for photos, number in group}) > 1
    ]
    if two_names:
        pictures.save_groups(folder / "two-names.png", [_different(group) for group in two_names])
    if one_name := [group for group in located if group not in two_names]:
        pictures.save_groups(folder / "duplicates.png", one_name)


def _locate(starts: np.ndarray, datasets: Sequence[Photos], number: int) -> tuple[Photos, int]:
    dataset = int(np.searchsorted(starts, number, side="right")) - 1
    return datasets[dataset], number - int(starts[dataset])


def _different(group: list[tuple[Photos, int]]) -> list[tuple[Photos, int]]:
    """Returns two photos of a group that have different owners."""
    first, *rest = group
    other = (photo for photo in rest if (photo[0], photo[0].labels[photo[1]]) != (first[0], first[0].labels[first[1]]))
    return [first, next(other)]


def _is_square(photos: Photos, facts: Scan) -> bool:
    height, width = photos.image_size or most_common_size(facts)
    return height == width
