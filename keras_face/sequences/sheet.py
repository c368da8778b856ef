"""Tracks as one picture: a row of photos for each, so that a person sees at a glance whether a track mixes people."""

import os
from collections.abc import Sequence

import numpy as np

from keras_face.photos.pixels import pixels_of
from keras_face.photos.sheet import evenly, grid, write, written
from keras_face.sequences.store import StoredTrack

MAX_ROWS = 100
_MIN_COLUMNS, _MAX_COLUMNS = 5, 12  # photos in a row; fewer would leave no room for the text


def save_sheet(path: str | os.PathLike, tracks: Sequence[StoredTrack], identities: Sequence[str]) -> None:
    """Writes a PNG with a row for each track, of at most 12 evenly spaced photos, and above it whose track it is.

    Of more than 100 tracks it shows 100, evenly spaced; the last line says so.

    Args:
        path: PNG file, written whole or not at all.
        tracks: At least one.
        identities: Names of the labels 0, 1, ...

    Raises: OSError if it cannot be written.
    """
    shown = [tracks[number] for number in evenly(len(tracks), MAX_ROWS)]
    columns = max(_MIN_COLUMNS, *(min(len(track.frames), _MAX_COLUMNS) for track in shown))
    rows = [_row(track, identities, columns) for track in shown]
    if len(shown) < len(tracks):
        rows.append(written([f"{len(shown)} of {len(tracks):,} tracks"], rows[0].shape[1]))
    write(path, np.vstack(rows))


def _row(track: StoredTrack, identities: Sequence[str], columns: int) -> np.ndarray:
    """Returns a track as a picture: uint8 RGB [height, width, 3]."""
    images = track.images()
    photos = grid([pixels_of(images[number]) for number in evenly(len(images), columns)], columns, gap=0)
    person = identities[track.label] if track.label >= 0 else f"unknown {-track.label}"
    text = f"{person}: {track.name}, {len(images)} photos, frames {track.seen[0]}-{track.seen[-1]}"
    return np.vstack([written([text], photos.shape[1]), photos])
