"""Findings about single photos: damaged, sideways, of another size, blank, grey, with red and blue swapped."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from keras_face.evaluation.intervals import clopper_pearson
from keras_face.inspection.facts import REASONS, Scan
from keras_face.inspection.findings import DROP, ERROR, LOOK, NOTE, WARNING, Entry, Finding
from keras_face.inspection.sources import Photos
from keras_face.photos.headers import orientation

# LFW: of 13,233 crops, 44 have a `colour` below 0.01, and the next one has 9.
_GREY_BELOW = 3.0  # grey levels
_BLANK_BELOW = 3.0  # grey levels of contrast
# LFW: 0.03 % of the colour photos have more blue than red in the middle; drawn people: 2.2 %.
_SWAPPED_FROM, _BLUE_AT_MOST = 0.75, 0.03
_FEWEST_COLOURED = 8


def check_photos(photos: Photos, scan: Scan) -> list[Finding]:
    """Returns what is wrong with single photos of a dataset."""
    return [
        *_damaged(photos, scan),
        *_changed(photos, scan),
        *_sizes(photos, scan),
        *_blank(photos, scan),
        *_colours(photos, scan),
    ]


def entries(photos: Photos, numbers: Iterable[int], finding: str, suggestion: str = DROP) -> list[Entry]:
    """Returns the entries of photos by their numbers."""
    return [Entry(photos.photo_name(n), identity_name(photos, n), finding, None, suggestion) for n in map(int, numbers)]


def identity_name(photos: Photos, number: int) -> str:
    """Returns the name of a photo's identity; empty for a sequence of an unknown person."""
    label = int(photos.labels[number])
    return photos.identities[label] if 0 <= label < len(photos.identities) else ""


def mend(photos: Photos, how: str = "--list {list}") -> str:
    """Returns the command that writes the dataset again without what a list drops."""
    written = photos.path if photos.made_of_records else f"{photos.path}_records"
    clean = f"python -m tfrecords_tools.clean --records {written} {how} --output_dir {photos.path}_mended"
    if photos.made_of_records:
        return clean
    return f"python -m tfrecords_tools.write_images --source {photos.path} --output_dir {written} --decode && {clean}"


def blue_photos(scan: Scan) -> tuple[np.ndarray, int]:
    """Returns the photos with more blue than red in the middle, int [n], and the number of colour photos.

    Skin is redder than blue in any light that people are photographed in.
    """
    coloured = scan.good & (scan.facts["colour"] >= _GREY_BELOW)
    return np.flatnonzero(coloured & (scan.facts["red_over_blue"] <= 0)), int(np.count_nonzero(coloured))


def grey_photos(scan: Scan) -> np.ndarray:
    """Returns bool [photos]: good, and without colour."""
    return scan.good & (scan.facts["colour"] < _GREY_BELOW)


def _damaged(photos: Photos, scan: Scan) -> list[Finding]:
    bad = np.flatnonzero(~scan.good)
    found = [
        entry
        for verdict in range(1, len(REASONS))
        for entry in entries(photos, bad[scan.facts["verdict"][bad] == verdict], REASONS[verdict])
    ]
    reasons = Counter(entry.finding for entry in found)
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    if found and photos.made_of_records:
        return [Finding(ERROR, "damaged", f"{len(bad):,} photos cannot be decoded ({told})", mend(photos), found)]
    refused = [Entry(name, "", reason, None, LOOK) for name, reason in photos.refused]
    findings = []
    leave_out = (
        f"python -m tfrecords_tools.write_images --source {photos.path} --output_dir {photos.path}_records --decode"
    )
    if found:
        what = f"{len(bad):,} files are no whole photos ({told}); write_images leaves them out"
        findings.append(Finding(WARNING, "damaged", what, leave_out, found))
    if refused:
        what = f"{len(refused):,} files or folders are not where a person's photos are; write_images leaves them out"
        findings.append(Finding(NOTE, "not-taken", what, leave_out, refused))
    return findings


def _changed(photos: Photos, scan: Scan) -> list[Finding]:
    """Returns what records of old have: photos that were written as they were, though they are to be seen otherwise."""
    changed = np.flatnonzero(scan.good & scan.facts["changed"])
    if not photos.made_of_records or not len(changed):
        return []
    found = []
    for number in map(int, changed):
        turned = orientation(photos.read(number))
        what = f"sideways or mirrored: EXIF orientation {turned}" if turned != 1 else "transparent, or colours of print"
        fits = (scan.facts["height"][number], scan.facts["width"][number]) == photos.image_size
        found += entries(photos, [number], what, LOOK if fits else DROP)
    told = (
        f"{len(found):,} photos are sideways, mirrored or transparent for the training: they were written as they were "
        "stored; clean turns what is kept"
    )
    return [Finding(WARNING, "sideways", told, mend(photos), found)]


def _sizes(photos: Photos, scan: Scan) -> list[Finding]:
    sizes = np.stack([scan.facts["height"], scan.facts["width"]], axis=1)
    expected = photos.image_size or most_common_size(scan)
    told_already = scan.facts["changed"] & photos.made_of_records
    odd = np.flatnonzero(scan.good & (sizes != expected).any(axis=1) & ~told_already)
    if not len(odd):
        return []
    found = [
        Entry(
            photos.photo_name(n),
            identity_name(photos, n),
            f"{sizes[n, 0]}x{sizes[n, 1]}, not {expected[0]}x{expected[1]}",
        )
        for n in map(int, odd)
    ]
    what = f"{len(odd):,} photos are not {expected[0]}x{expected[1]} (height x width) as "
    if photos.made_of_records:
        return [Finding(ERROR, "size", f"{what}the dataset says; training stops at them", mend(photos), found)]
    align = f"python -m tfrecords_tools.align --source {photos.path} --output_dir {photos.path}_aligned"
    return [Finding(WARNING, "size", f"{what}most are; write_images leaves them out", align, found)]


def most_common_size(scan: Scan) -> tuple[int, int]:
    """Returns the (height, width) that most good photos have."""
    facts = scan.facts[scan.good]
    sizes = Counter(zip(facts["height"].tolist(), facts["width"].tolist(), strict=True))
    return max(sizes, key=lambda size: (sizes[size], size), default=(0, 0))


def _blank(photos: Photos, scan: Scan) -> list[Finding]:
    blank = np.flatnonzero(scan.good & (scan.facts["contrast"] < _BLANK_BELOW))
    if not len(blank):
        return []
    found = entries(photos, blank, "one colour all over")
    return [Finding(WARNING, "blank", f"{len(blank):,} photos are one colour all over", mend(photos), found)]


def _colours(photos: Photos, scan: Scan) -> list[Finding]:
    findings = []
    if grey := np.flatnonzero(grey_photos(scan)).tolist():
        what = f"{len(grey):,} of {np.count_nonzero(scan.good):,} photos are grey"
        nothing = "nothing to mend; `grey` in [augmentation] makes the others grey as often as you like"
        findings.append(Finding(NOTE, "grey", what, nothing, entries(photos, grey, "grey", LOOK)))
    blue, count = blue_photos(scan)
    if count < _FEWEST_COLOURED or len(blue) <= _BLUE_AT_MOST * count:
        return findings
    interval = clopper_pearson(len(blue), count)
    told = (
        f"{len(blue):,} of {count:,} colour photos ({len(blue) / count:.1%}; 95 % sure: {interval.low:.1%} or more) "
        f"have more blue than red in the middle, where skin is; of faces in RGB at most {_BLUE_AT_MOST:.0%} have"
    )
    if len(blue) >= _SWAPPED_FROM * count:
        swap = mend(photos, "--swap_channels")
        return [*findings, Finding(ERROR, "colour-order", f"red and blue are swapped: {told}", swap)]
    severity = WARNING if interval.low > _BLUE_AT_MOST else NOTE
    what = f"photos of both colour orders are mixed, or some are no faces: {told}"
    found = entries(photos, blue, "more blue than red", LOOK)
    return [*findings, Finding(severity, "colour-order", what, mend(photos) + "  # after looking: write drop", found)]
