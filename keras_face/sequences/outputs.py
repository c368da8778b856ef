"""Labelled tracks are written: as records, or as folders of crops in the layout of YouTube Faces."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from keras_face import files
from keras_face.alignment.templates import Template
from keras_face.photos.summary import write_skipped
from keras_face.photos.template import write_record
from keras_face.records import writing
from keras_face.sequences.store import StoredTrack, face_set

_HEADER = ("name", "video", "track", "person", "label", "first_frame", "last_frame", "photos")


def write_records(
    output: writing.Output,
    tracks: Sequence[StoredTrack],
    identities: Sequence[str],
    template: Template,
    source: str,
    skipped: Sequence[tuple[str, str]],
    progress: bool,
) -> None:
    """Writes a record for each track, and beside them `tracks.csv` and `skipped.csv`.

    Args:
        output: Folder to make, and how.
        tracks: Labelled.
        identities: Names of the labels 0, 1, ...
        template: What the crops are aligned to.
        source: How the dataset was made.
        skipped: Name and reason of what was left out.
        progress: Whether to show a progress bar.

    Raises: see `writing.write_records`.
    """
    writing.write_records(
        output,
        tracks,
        load=face_set,
        identities=identities,
        image_size=template.image_size,
        source=source,
        template=template.name,
        skipped=skipped,
        total=len(tracks),
        progress=progress,
    )
    files.write_csv(
        Path(output.path, "tracks.csv"), _HEADER, _rows(tracks, identities, [track.name for track in tracks])
    )


def write_folders(
    path: Path,
    tracks: Sequence[StoredTrack],
    identities: Sequence[str],
    template: Template,
    skipped: Sequence[tuple[str, str]],
    progress: bool,
) -> None:
    """Writes `person/number/frame.jpg`, and beside the people `tracks.csv` and `skipped.csv`; whole or not at all.

    The record of what they are aligned to lies there too, see `photos.template`.

    Args:
        path: Folder to make.
        tracks: Labelled; a person's are numbered from 0, each unknown one is a person of its own, `unknown_000001`.
        identities: Names of the labels 0, 1, ...
        template: What the crops are aligned to.
        skipped: Name and reason of what was left out.
        progress: Whether to show a progress bar.

    Raises: ValueError if a known person has such a name too. OSError if it cannot be written.
    """
    counts: dict[str, itertools.count] = defaultdict(itertools.count)
    names = []
    for track in tracks:
        person = identities[track.label] if track.label >= 0 else f"unknown_{-track.label:06d}"
        if track.label < 0 and person in identities:
            raise ValueError(f"{person!r} is both a known person and the name of an unknown one")
        names.append(f"{person}/{next(counts[person])}")
    with files.new_folder(path) as output:
        for track, name in zip(tqdm(tracks, "writing", unit=" tracks", disable=not progress), names, strict=True):
            folder = output / name
            folder.mkdir(parents=True)
            for frame, image in zip(track.frames, track.images(), strict=True):
                (folder / f"{frame:06d}.jpg").write_bytes(image)
        write_record(output, template.name)
        write_skipped(output, skipped)
        files.write_csv(output / "tracks.csv", _HEADER, _rows(tracks, identities, names))


def _rows(
    tracks: Sequence[StoredTrack], identities: Sequence[str], names: Sequence[str]
) -> list[tuple[str | int, ...]]:
    """Returns the table of the tracks; `names` are their places in the output."""
    rows: list[tuple[str | int, ...]] = []
    for track, name in zip(tracks, names, strict=True):
        person = identities[track.label] if track.label >= 0 else ""
        first, last = int(track.seen[0]), int(track.seen[-1])
        rows.append((name, track.video, track.number, person, track.label, first, last, len(track.frames)))
    return rows
