"""Who is in a video, where that is known, and which of its tracks are this person's."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from keras_face.photos import checked
from keras_face.sequences.store import StoredTrack
from keras_face.sequences.videos import Video


def from_list(list_file: str | os.PathLike, videos: Sequence[Video]) -> dict[str, str]:
    """Returns the person of each listed video, by the name of the video.

    Args:
        list_file: Lines `path,identity`: path of a video below the source, and the name of its person, without comma.
        videos: Of the source.

    Raises: ValueError at a line of another form, a video that comes twice or is not there, or a name that no folder
        can have.
    """
    text = Path(list_file).read_text(encoding="utf-8-sig", errors="surrogateescape")
    known: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        path, comma, person = (part.strip() for part in line.rpartition(","))
        if not (path and comma and person):
            raise ValueError(f"{list_file}:{number}: expected `path,identity`, got {line!r}")
        if "/" in person or "\\" in person or "\0" in person or person in (".", ".."):
            raise ValueError(f"{list_file}:{number}: expected a name that a folder can have, got {person!r}")
        name = os.path.normpath(path)
        if name in known:
            raise ValueError(f"{list_file}:{number}: expected each video once, got {path!r} again")
        known[name] = person
    if not known:
        raise ValueError(f"{list_file}: expected lines `path,identity`, got none")
    if missing := sorted(set(known).difference(video.name for video in videos)):
        raise ValueError(f"{list_file}: {len(missing)} videos are not in the source: {checked.some(missing)}")
    return known


def from_folders(videos: Sequence[Video]) -> dict[str, str]:
    """Returns the person of each video that is in a folder of the source, the name of that folder.

    Raises: ValueError if there is none.
    """
    known = {}
    for video in videos:
        person, *rest = PurePosixPath(video.name).parts
        if rest or video.frames:
            known[video.name] = person
    if not known:
        raise ValueError("expected a folder per person in the source, but its videos are in none")
    return known


def of_person(tracks: Sequence[StoredTrack], alone: bool = False) -> tuple[set[int], set[int]]:
    """Returns the numbers of the tracks that show the person of their video, and of those that may or may not.

    The track with the largest face, summed over its frames, is the person's. Of tracks that are seen in the same frame
    only one can be; so the others are taken in the order of their size, each unless it shares a frame with one that was
    taken before. This holds in the shot of the largest face; in another one there may be somebody else.

    Args:
        tracks: All of one video.
        alone: Whether all shots are said to show the person.
    """
    by_size = sorted(tracks, key=lambda track: (-track.area, track.number))
    undecided = set() if alone else {track.number for track in tracks if track.shot != by_size[0].shot}
    own: set[int] = set()
    frames: set[int] = set()
    for track in by_size:
        if track.number not in undecided and frames.isdisjoint(seen := track.seen.tolist()):
            own.add(track.number)
            frames.update(seen)
    return own, undecided
