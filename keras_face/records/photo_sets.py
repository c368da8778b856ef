"""Checked photos of people become records: sets of photos of one person."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from keras_face.photos.checked import People, Photo, read_bytes
from keras_face.photos.pixels import for_records
from keras_face.photos.summary import Skipped, Summary
from keras_face.photos.template import agreed, is_drawn
from keras_face.records import writing


def write_photos(
    found: People,
    output: writing.Output | str | os.PathLike,
    set_size: int,
    source: str,
    template: str | None,
    progress: bool,
) -> Summary:
    """Writes photos as records, with `skipped.csv` of what was left out beside them, and returns the summary.

    Args:
        found: Made by `check`.
        output: Folder to make, and how.
        set_size: Photos in a record, at most; those of a person are dealt out evenly: 10 become 4, 3 and 3.
        source: How the dataset was made.
        template: What the photos are aligned to, where the records of their folders do not say it.
        progress: Whether to show a progress bar.

    Raises: ValueError: see `photos.template.agreed` and `writing.write_records`.
    """
    if set_size < 1:
        raise ValueError(f"set_size must be >= 1, got {set_size}")
    folders = {os.path.dirname(path): None for photos in found.photos.values() for _, path in photos}
    template = agreed(folders, template)
    sets = _sets(found, set_size)
    writing.write_records(
        output,
        sets,
        load=read,
        identities=list(found.photos),
        image_size=found.image_size,
        source=source,
        template=template,
        drawn=is_drawn(*folders),
        skipped=found.skipped,
        total=len(sets),
        progress=progress,
    )
    return summary(len(found.photos), sum(map(len, found.photos.values())), found.skipped, template)


def summary(people: int, photos: int, skipped: Skipped, template: str | None) -> Summary:
    """Returns the summary of people and photos that became records, and says if nobody knows their template."""
    told = f"{people:,} people, {photos:,} photos, {len(skipped):,} skipped"
    if template is None:
        told += "\nit is not known what the photos are aligned to: say it by --template, or in the dataset's section"
    return Summary(told, {"people": people, "photos": photos}, skipped)


class PhotoSet(NamedTuple):
    """Photos that become one record; `plain` says that all can go into it as they are."""

    label: int
    photos: Sequence[Photo]
    plain: bool = True


def read(photo_set: PhotoSet) -> writing.FaceSet:
    """Returns the face set of photos on disk."""
    images = [read_bytes(path) for _, path in photo_set.photos]
    if not photo_set.plain:
        images = [for_records(image) for image in images]
    return writing.FaceSet(images, photo_set.label, "|".join(name for name, _ in photo_set.photos))


def _sets(found: People, set_size: int) -> list[PhotoSet]:
    """Returns the sets; neighbours in a folder are often alike, so they are dealt to different sets."""
    sets = []
    for label, photos in enumerate(found.photos.values()):
        num_sets = -(-len(photos) // set_size)
        for first in range(num_sets):
            members = photos[first::num_sets]
            plain = not found.unplain or found.unplain.isdisjoint(name for name, _ in members)
            sets.append(PhotoSet(label, members, plain))
    return sets
