"""Videos, and folders of frames that are videos: found in a source, and read as a stream of frames."""

import dataclasses
import math
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from keras_face.photos.files import EXTENSIONS, PhotoError, read_photo
from keras_face.photos.limit import max_pixels, too_many
from keras_face.photos.lists import HIDDEN, is_hidden

# fmt: off
_VIDEO_EXTENSIONS = frozenset([
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts",
    ".mxf", ".ogg", ".ogv", ".ts", ".vob", ".webm", ".wmv",
])
# fmt: on
_FRAME_EXTENSIONS = EXTENSIONS - {".gif"}
_LACKING = 0.02  # of the frames that a file says it has; some containers only estimate it
_FAILURES = 32  # in a row, after which nothing more is expected of a file; behind a damaged part there often is

Report = Callable[[str, str], None]  # takes the name of a file and what is wrong with it


@dataclasses.dataclass(frozen=True)
class Video:
    """A video file, or a folder whose images are the frames of one.

    Args:
        name: Path below the source, parts joined by "/".
        path: Where it is.
        frames: Names of a folder's images, in their natural order: "frame 9" before "frame 10"; none: a file.
    """

    name: str
    path: Path
    frames: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Which frames are looked at.

    Args:
        stride: One frame in this many, >= 1.
        frames_per_second: Instead of a stride, this many of each second, > 0; all, if the video has fewer.

    Raises: ValueError if either is out of range, or both are given.
    """

    stride: int = 1
    frames_per_second: float | None = None

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise ValueError(f"stride must be a number of frames >= 1, got {self.stride}")
        if self.frames_per_second is not None:
            if not 0 < self.frames_per_second < math.inf:
                raise ValueError(f"frames_per_second must be > 0, got {self.frames_per_second}")
            if self.stride != 1:
                raise ValueError(f"expected stride or frames_per_second, got both: {self.stride}")

    def takes(self, number: int, rate: float) -> bool:
        """Returns whether frame `number`, from 0, of a video with `rate` frames a second is looked at."""
        if self.frames_per_second is None:
            return number % self.stride == 0
        share = min(1.0, self.frames_per_second / rate)
        return math.floor(number * share) > math.floor((number - 1) * share)


def natural(name: str) -> tuple[list[str | int], str]:
    """Returns the key that sorts names with numbers as people do: "frame 9" before "frame 10"."""
    parts = re.split(r"(\d+)", name)  # text and digits in turn
    return [int(part) if number % 2 else part.casefold() for number, part in enumerate(parts)], name


def find(source: str | os.PathLike) -> tuple[list[Video], list[tuple[str, str]]]:
    """Returns the videos of a source in natural order, and name and reason of every file and folder that is none.

    Args:
        source: A video file, of any extension; or a folder, in which every video file and every folder with images is
            a video, however deep.

    Raises: ValueError if the source does not exist, or there is no video in it.
    """
    root = Path(source)
    if root.is_file():
        return [Video(root.name, root)], []
    if not root.is_dir():
        raise ValueError(f"expected a video file, or a folder of videos or frames, but {root} is neither")
    found: list[Video] = []
    skipped: list[tuple[str, str]] = []
    seen = {os.path.realpath(root)}

    def unlistable(error: OSError) -> None:
        skipped.append((_below(root, Path(error.filename)), f"cannot be read: {error.strerror}"))

    for folder, folders, files in os.walk(root, followlinks=True, onerror=unlistable):
        for name in filter(is_hidden, [*folders, *files]):
            skipped.append((_below(root, Path(folder, name)), HIDDEN))
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in list(folders):
            real = os.path.realpath(Path(folder, name))
            if real in seen:  # a loop of links, or the same videos twice
                folders.remove(name)
                skipped.append((_below(root, Path(folder, name)), "the same folder as another, by a link"))
            seen.add(real)
        frames = []
        for name in files:
            if is_hidden(name):
                continue
            path, extension = Path(folder, name), Path(name).suffix.lower()
            if extension in _FRAME_EXTENSIONS:
                frames.append(name)
            elif extension in _VIDEO_EXTENSIONS:
                found.append(Video(_below(root, path), path))
            else:
                skipped.append((_below(root, path), "neither a video nor a frame, by its extension"))
        if frames:
            path = Path(folder)
            found.append(Video(_below(root, path), path, tuple(sorted(frames, key=natural))))
    if not found:
        raise ValueError(f"expected videos or folders of frames in {root}, got none; {len(skipped)} other files")
    return sorted(found, key=lambda video: natural(video.name)), sorted(skipped)


def read(video: Video, sampling: Sampling, report: Report) -> Iterator[tuple[int, np.ndarray, bool]]:
    """Yields every frame of a video, one at a time: its number from 0, uint8 RGB pixels, whether it is looked at.

    The frames of a file are counted as they can be read.

    Args:
        video: What to read.
        sampling: Which frames are looked at; the others are yielded too, for cuts between them.
        report: Told of every file that cannot be read to its end, and why; nothing is raised for it.

    Raises: ValueError if `sampling` goes by seconds, and the video is a folder.
    """
    if not video.frames:
        yield from _read_file(video, sampling, report)
        return
    if sampling.frames_per_second is not None:
        raise ValueError(f"{video.path}: a folder of frames has no frames a second; give a stride")
    for number, name in enumerate(video.frames):
        try:
            photo = read_photo(video.path / name)
        except PhotoError as error:
            report(f"{video.name}/{name}", str(error))
            continue
        yield number, photo, sampling.takes(number, 1.0)


def _read_file(video: Video, sampling: Sampling, report: Report) -> Iterator[tuple[int, np.ndarray, bool]]:
    """Yields what `read` does, of a video file."""
    if (reason := _unreadable(video.path)) is not None:
        report(video.name, reason)
        return
    # FFmpeg would tell of every damaged block on standard error; read when the first video is opened.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # what cannot be opened is reported, not logged
    # Only FFmpeg, and an absolute path: other readers, and protocols, take some names for patterns and addresses.
    capture = cv2.VideoCapture(os.path.abspath(video.path), cv2.CAP_FFMPEG)
    cv2.utils.logging.setLogLevel(level)
    try:
        if not capture.isOpened():
            report(video.name, "no video that FFmpeg can read, or damaged")
            return
        width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > max_pixels():
            report(video.name, f"{too_many()} a frame")
            return
        rate = capture.get(cv2.CAP_PROP_FPS)
        if sampling.frames_per_second is not None and not 0 < rate < math.inf:
            report(video.name, "does not say its frames a second; give a stride")
            return
        number = failures = 0
        while failures <= _FAILURES:
            whole, frame = capture.read()
            failures = 0 if whole else failures + 1
            if whole:
                yield number, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), sampling.takes(number, rate)
                number += 1
        expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if number == 0:
            report(video.name, "no frame can be read: damaged or cut off")
        elif expected - number > max(1, expected * _LACKING):
            report(video.name, f"damaged or cut off: {number:,} of {expected:,} frames could be read, and were used")
    finally:
        capture.release()


def _unreadable(path: Path) -> str | None:
    """Returns why a file cannot be opened as a video, or None."""
    try:
        os.path.abspath(path).encode()  # OpenCV crashes at other names
    except UnicodeEncodeError:
        return "its path is not UTF-8; rename it"
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
            return "not a file"
        with open(path, "rb") as file:
            return None if file.read(1) else "an empty file"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _below(root: Path, path: Path) -> str:
    """Returns the name of a file or folder below the source; of the source itself, its own name."""
    return path.relative_to(root).as_posix() if path != root else path.resolve().name or "video"
