"""Tracks as one picture: a row of photos for each, so that a person sees at a glance whether a track mixes people."""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from keras_face.sequences.store import StoredTrack

MAX_ROWS = 100
_MIN_COLUMNS, _MAX_COLUMNS = 5, 12  # photos in a row; fewer would leave no room for the text
_GAP, _TEXT = 4, 18  # pixels between rows, height of the line of text


def save_sheet(path: str | os.PathLike, tracks: Sequence[StoredTrack], identities: Sequence[str]) -> None:
    """Writes a PNG with a row for each track, of at most 12 evenly spaced photos, and above it whose track it is.

    Of more than 100 tracks it shows 100, evenly spaced; the last line says so.

    Args:
        path: PNG file, replaced.
        tracks: At least one.
        identities: Names of the labels 0, 1, ...

    Raises: OSError if it cannot be written.
    """
    shown = [tracks[place] for place in _evenly(len(tracks), MAX_ROWS)]
    people = [identities[track.label] if track.label >= 0 else f"unknown {-track.label}" for track in shown]
    columns = max(_MIN_COLUMNS, *(min(len(track.frames), _MAX_COLUMNS) for track in shown))
    rows = [_row(track, person, columns) for track, person in zip(shown, people, strict=True)]
    if len(shown) < len(tracks):
        rows.append(_line(f"{len(shown)} of {len(tracks):,} tracks", rows[0].shape[1]))
    Path(path).write_bytes(cv2.imencode(".png", np.vstack(rows))[1].tobytes())


def _row(track: StoredTrack, person: str, columns: int) -> np.ndarray:
    """Returns a track as a picture: uint8 BGR [height, width, 3]."""
    images = track.images()
    places = _evenly(len(images), columns)
    crops = [np.asarray(cv2.imdecode(np.frombuffer(images[place], np.uint8), cv2.IMREAD_COLOR)) for place in places]
    height, width = crops[0].shape[:2]
    strip = np.full((height + _GAP, columns * width, 3), 255, np.uint8)
    strip[:height, : len(crops) * width] = np.hstack(crops)
    text = f"{person}: {track.name}, {len(images)} photos, frames {track.seen[0]}-{track.seen[-1]}"
    return np.vstack([_line(text, strip.shape[1]), strip])


def _line(text: str, width: int) -> np.ndarray:
    """Returns a line of text, black on white; what the font does not have becomes a question mark."""
    line = np.full((_TEXT, width, 3), 255, np.uint8)
    written = text.encode("ascii", "replace").decode()
    cv2.putText(line, written, (4, _TEXT - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return line


def _evenly(count: int, limit: int) -> list[int]:
    """Returns at most `limit` evenly spaced numbers below `count`, the first and the last among them."""
    return np.linspace(0, count - 1, min(count, limit)).round().astype(int).tolist()
