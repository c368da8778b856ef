"""One video becomes tracks: its faces are found, followed, aligned, and what says nothing new is dropped."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from keras_face.alignment.detector import Face
from keras_face.alignment.templates import Template, template
from keras_face.alignment.transform import align
from keras_face.photos.encoding import jpeg
from keras_face.sequences import appearance
from keras_face.sequences.cuts import Cuts
from keras_face.sequences.tracking import Sighting, Tracker
from keras_face.sequences.videos import Report, Sampling, Video, read

FindFaces = Callable[[Sequence[np.ndarray]], list[list[Face]]]

FRAMES, LOOKED_AT, FACES, SMALL, UNSURE, TRACKS = (
    "frames read", "frames looked at", "faces found", "faces too small", "faces the detector is unsure of",
    "tracks followed",
)  # fmt: skip
DUPLICATES, THINNED, SHORT = "photos nearly as the one before", "photos thinned out", "tracks too short"
UNDECIDED = "tracks in other shots of a known person's video"

_BATCH_FRAMES, _BATCH_BYTES = 32, 128 << 20  # that are held at a time


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which faces and tracks are taken, and how they are written.

    Args:
        template: What the crops are aligned to.
        min_face_size: Shorter side of a face's box, at least, >= 12 pixels of the frame.
        min_score: How sure the detector must be, [0, 1].
        min_overlap: See `Tracker`.
        min_similarity: See `Tracker`.
        max_gap: See `Tracker`.
        min_difference: A photo is dropped that differs from the last one kept by less: mean difference of the face in
            28x28, grey levels; 0 keeps all.
        min_frames: Tracks with fewer photos after that are dropped, >= 1.
        max_frames: Photos of a track, at most: a longer one is thinned evenly; 0: no limit, and all are held in memory
            until the track ends.
        quality: Of the JPEG crops, [1, 100].

    Raises: ValueError if one is out of range.
    """

    template: Template = dataclasses.field(default_factory=lambda: template("arcface"))
    min_face_size: int = 40
    min_score: float = 0.9
    min_overlap: float = 0.3
    min_similarity: float = 0.6
    max_gap: int = 3
    min_difference: float = 4.0
    min_frames: int = 5
    max_frames: int = 32
    quality: int = 95

    def __post_init__(self) -> None:
        for name, low, high in (
            ("min_face_size", 12, math.inf),
            ("min_score", 0, 1),
            ("min_difference", 0, 255),
            ("min_frames", 1, math.inf),
            ("quality", 1, 100),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be in [{low}, {high}], got {value}")
        if self.max_frames != 0 and self.max_frames < self.min_frames:
            raise ValueError(f"max_frames must be 0 or >= min_frames = {self.min_frames}, got {self.max_frames}")
        self.tracker()

    def tracker(self) -> Tracker:
        """Returns a new tracker of these settings."""
        return Tracker(self.min_overlap, self.min_similarity, self.max_gap)


@dataclasses.dataclass(frozen=True)
class Track:
    """What was kept of a face that was followed.

    Args:
        number: Of the track in its video, from 1.
        shot: Number of the shot of the film that it is in, from 0; a cut ends all tracks.
        seen: int64 [n], numbers of the frames in which the face was seen, from 0, ascending.
        area: Sum of its boxes over all frames, pixels.
        frames: Numbers of the frames whose photos were kept, ascending.
        images: JPEG of each, aligned.
    """

    number: int
    shot: int
    seen: np.ndarray
    area: float
    frames: Sequence[int]
    images: Sequence[bytes]


def extract(
    video: Video,
    find_faces: FindFaces,
    settings: Settings,
    sampling: Sampling,
    counts: Counter[str],
    report: Report,
    tick: Callable[[int], object] = lambda frames: None,
) -> Iterator[Track]:
    """Yields the tracks of a video as they end; nothing is raised for a damaged one.

    Args:
        video: What to read.
        find_faces: A detector: frames, uint8 RGB [height, width, 3], to the faces of each.
        settings: Which faces and tracks are taken.
        sampling: Which frames are looked at.
        counts: Counts of frames, faces and tracks, and of what was dropped, are added to it.
        report: Told of every file that cannot be read to its end, or shows no face that could be followed, and why.
        tick: Called with the number of frames that have been done since the last call.
    """
    before = counts.copy()
    tracker = settings.tracker()
    keepers: dict[int, _Keeper] = {}
    yielded = shot = 0
    for pictures in _batches(video, sampling, counts, report, tick):
        for picture, faces in zip(pictures, find_faces([picture.frame for picture in pictures]), strict=True):
            counts[FACES] += len(faces)
            taken = _taken(faces, settings, counts)
            sightings = [Sighting(face.box, _look(picture.frame, face)) for face in taken]
            numbers, ended = tracker(sightings, picture.cut)
            shot += picture.cut
            for number, face, sighting in zip(numbers, taken, sightings, strict=True):
                keeper = keepers.setdefault(number, _Keeper(settings, shot))
                keeper.add(picture, face, sighting)
            for track in _finished(keepers, ended, settings, counts):
                yielded += 1
                yield track
    for track in _finished(keepers, tracker.end(), settings, counts):
        yielded += 1
        yield track
    if counts[LOOKED_AT] > before[LOOKED_AT] and not yielded:
        if counts[FACES] == before[FACES]:
            report(video.name, "no face was found")
        else:
            report(video.name, f"no face could be followed for {settings.min_frames} different photos")


@dataclasses.dataclass(frozen=True)
class _Picture:
    """A frame that is looked at, and whether there was a cut since the one before."""

    number: int
    frame: np.ndarray
    cut: bool


class _Keeper:
    """Keeps of one track what says something new."""

    def __init__(self, settings: Settings, shot: int):
        self.settings = settings
        self.shot = shot
        self.seen: list[int] = []
        self.area = 0.0
        self.duplicates = self.different = 0
        self.kept: list[tuple[int, bytes]] = []
        self._last_look: appearance.Look | None = None
        self._every = 1  # one different photo in this many is kept

    def add(self, picture: _Picture, face: Face, sighting: Sighting) -> None:
        self.seen.append(picture.number)
        self.area += float(face.box[2] * face.box[3])
        settings = self.settings
        last, look = self._last_look, sighting.look
        if last is not None and appearance.difference(last, look) < settings.min_difference:
            self.duplicates += 1
            return
        self._last_look = look
        self.different += 1
        if (self.different - 1) % self._every:
            return
        self.kept.append((picture.number, encoded(align(picture.frame, face.landmarks, settings.template), settings)))
        # Memory is bounded however long the track is, and what remains is evenly spaced among the different photos.
        if settings.max_frames and len(self.kept) >= 8 * settings.max_frames:
            self.kept, self._every = self.kept[::2], 2 * self._every

    def thinned(self) -> list[tuple[int, bytes]]:
        """Returns number and JPEG of the photos that are left after thinning."""
        limit = self.settings.max_frames
        if not limit or len(self.kept) <= limit:
            return self.kept
        return [self.kept[place] for place in np.linspace(0, len(self.kept) - 1, limit).round().astype(int)]


def encoded(crop: np.ndarray, settings: Settings) -> bytes:
    """Returns the JPEG of a crop, uint8 RGB [height, width, 3]."""
    return jpeg(crop, settings.quality)


def _batches(
    video: Video, sampling: Sampling, counts: Counter[str], report: Report, tick: Callable[[int], object]
) -> Iterator[list[_Picture]]:
    """Yields the frames that are looked at, as many at a time as are to be held."""
    cuts = Cuts()
    cut = False
    batch: list[_Picture] = []
    frames = 0
    for number, frame, looked_at in read(video, sampling, report):
        frames += 1
        cut |= cuts(frame)  # between frames that are left out, too
        if not looked_at:
            continue
        batch.append(_Picture(number, frame, cut))
        cut = False
        if len(batch) >= _BATCH_FRAMES or len(batch) * frame.nbytes >= _BATCH_BYTES:
            yield batch
            counts.update({FRAMES: frames, LOOKED_AT: len(batch)})
            tick(frames)
            batch, frames = [], 0
    if batch:
        yield batch
    counts.update({FRAMES: frames, LOOKED_AT: len(batch)})
    tick(frames)


def _taken(faces: Sequence[Face], settings: Settings, counts: Counter[str]) -> list[Face]:
    """Returns the faces that are large and sure enough, and counts the others."""
    taken = []
    for face in faces:
        if min(face.box[2:]) < settings.min_face_size:
            counts[SMALL] += 1
        elif face.score < settings.min_score:
            counts[UNSURE] += 1
        else:
            taken.append(face)
    return taken


def _look(frame: np.ndarray, face: Face) -> appearance.Look:
    """Returns how a face looks, always on the same template, so that the thresholds mean the same on every one."""
    return appearance.look(align(frame, face.landmarks, template("arcface")))


def _finished(
    keepers: dict[int, _Keeper], numbers: Sequence[int], settings: Settings, counts: Counter[str]
) -> Iterator[Track]:
    """Yields those of the ended tracks that are long enough, and forgets all of them."""
    for number in numbers:
        keeper = keepers.pop(number)
        counts.update({TRACKS: 1, DUPLICATES: keeper.duplicates})
        if keeper.different < settings.min_frames:
            counts[SHORT] += 1
            continue
        kept = keeper.thinned()
        counts[THINNED] += keeper.different - len(kept)
        frames, images = zip(*kept, strict=True)
        yield Track(number + 1, keeper.shot, np.array(keeper.seen), keeper.area, frames, images)
