"""Findings about single photos: damaged, sideways, of another size, blank, grey, with red and blue swapped."""

import math
from collections import Counter
from collections.abc import Iterable

import numpy as np

from keras_face.inspection.facts import REASONS, Scan
from keras_face.inspection.findings import DROP, ERROR, LOOK, NOTE, WARNING, Entry, Finding
from keras_face.inspection.sources import Photos
from keras_face.photos.headers import orientation

# LFW: of 13,233 crops, 44 have a `colour` below 0.01, and the next one has 9.
_GREY_BELOW = 3.0  # grey levels
_BLANK_BELOW = 3.0  # grey levels of contrast
# LFW: 99.97 % of the colour photos have more red than blue in the middle; drawn people: 97.8 %.
_SWAPPED_BELOW, _RIGHT_FROM = 0.25, 0.8
_FEWEST_COLOURED = 8
_QUANTILE = 1.645  # of the normal distribution: 95 % on one side


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


def colour_share(scan: Scan) -> tuple[float, float, int]:
    """Returns the share of colour photos with more red than blue in the middle, [0, 1], and how sure that is.

    Skin is redder than blue in any light that people are photographed in.

    Returns: The share; the end of its 95 % confidence interval (Wilson's) that is nearer to one half; colour photos.
    """
    coloured = scan.good & (scan.facts["colour"] >= _GREY_BELOW)
    count = int(np.count_nonzero(coloured))
    if not count:
        return math.nan, math.nan, 0
    share = float(np.mean(scan.facts["red_over_blue"][coloured] > 0))
    square = _QUANTILE**2 / count
    middle = (share + square / 2) / (1 + square)
    half_width = _QUANTILE / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return share, middle - half_width if share >= 0.5 else middle + half_width, count


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
    share, bound, count = colour_share(scan)
    if count < _FEWEST_COLOURED or share >= _RIGHT_FROM:
        return findings
    told = f"only {share:.1%} of {count:,} colour photos have more red than blue in the middle, where skin is"
    swap = mend(photos, "--swap_channels")
    if share < _SWAPPED_BELOW:
        sure = f"95 % sure: at most {bound:.1%}; faces in RGB have 97 % or more"
        findings.append(Finding(ERROR, "colour-order", f"red and blue are swapped: {told} ({sure})", swap))
        return findings
    blue = np.flatnonzero(scan.good & (scan.facts["colour"] >= _GREY_BELOW) & (scan.facts["red_over_blue"] <= 0))
    what = f"photos of both colour orders are mixed, or many are no faces: {told}"
    found = entries(photos, blue, "more blue than red", LOOK)
    findings.append(Finding(WARNING, "colour-order", what, mend(photos) + "  # after looking: write drop", found))
    return findings
