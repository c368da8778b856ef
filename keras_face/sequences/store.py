"""Photos of tracks between their video and the records: in one file, so that memory holds only where they are."""

import dataclasses
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_face.records.writing import FaceSet
from keras_face.sequences.tracks import Track


@dataclasses.dataclass(frozen=True)
class StoredTrack:
    """A track whose photos are on disk.

    Args:
        video: Name of its video.
        number: Of the track in its video, from 1.
        shot: Number of the shot of the film that it is in, from 0.
        seen: int64 [n], numbers of the frames in which the face was seen, from 0, ascending.
        area: Sum of its boxes over all frames, pixels.
        frames: Numbers of the frames whose photos were kept.
        file: Where the photos are.
        offset: Where in it the first begins, bytes.
        sizes: Of the photos, which follow each other, bytes.
        label: >= 0: identity; < 0: -1 - sequence.
    """

    video: str
    number: int
    shot: int
    seen: np.ndarray
    area: float
    frames: tuple[int, ...]
    file: Path
    offset: int
    sizes: tuple[int, ...]
    label: int = -1

    @property
    def name(self) -> str:
        """The name of its face set, unique in its dataset."""
        return f"{self.video}/{self.number:05d}"

    def images(self) -> list[bytes]:
        """Returns the JPEG files of its photos."""
        with open(self.file, "rb") as file:
            file.seek(self.offset)
            return [file.read(size) for size in self.sizes]


def face_set(track: StoredTrack) -> FaceSet:
    """Returns the face set of a track, read from disk."""
    return FaceSet(track.images(), track.label, track.name)


def put(file: BinaryIO, video: str, track: Track) -> StoredTrack:
    """Returns where a track is after putting its photos at the end of an open file."""
    offset, sizes = file.tell(), tuple(map(len, track.images))
    file.writelines(track.images)
    frames, path = tuple(track.frames), Path(file.name)
    return StoredTrack(video, track.number, track.shot, track.seen, track.area, frames, path, offset, sizes)
