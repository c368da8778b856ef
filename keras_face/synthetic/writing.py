"""Drawn people, and folders of their photos and tracks in the layouts of real datasets.

Everything is a pure function of the seed. Person `index` of a seed is called `Person_<index>` and is the same person in
every folder written with that seed and difficulty, so training and test people are disjoint exactly if their
ranges of indices are: a folder begins with its `first_person` and uses as many as its writer says.

Beside the people lies the record of what they are aligned to, and that they are drawn, see `photos.template`.

A writer refuses an output that exists and moves its folder into place when it is complete; a killed run leaves only
`<output_dir>.incomplete`, which the next one removes.
"""

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_face.files import new_folder
from keras_face.photos import encoding
from keras_face.photos.template import write_record
from keras_face.synthetic.face import draw
from keras_face.synthetic.people import Conditions, Person, conditions, person, track_conditions
from keras_face.synthetic.pose import TEMPLATE_NAME

__all__ = [
    "Conditions",
    "Person",
    "conditions",
    "draw",
    "person",
    "track_conditions",
    "write_lfw_style",
    "write_photos",
    "write_unknown_tracks",
    "write_ytf_style",
]

_LFW_PAIRS, _YTF_PAIRS, _YTF_ERRORS = range(3, 6)  # streams of random numbers, beside those of synthetic_people


def write_photos(
    output_dir: str | os.PathLike[str],
    num_people: int,
    photos_per_person: int,
    seed: int = 0,
    difficulty: float = 0.5,
    first_person: int = 0,
) -> None:
    """Writes `Person_00012/Person_00012_0001.jpg` and so on: aligned 112x112 crops, JPEG of quality 94.

    Args:
        output_dir: Folder to make.
        num_people: People `first_person` to `first_person + num_people - 1`.
        photos_per_person: Photos of each.
        seed: Of the population.
        difficulty: In [0, 1]; see `person` and `conditions`.
        first_person: Index of the first person.

    Raises: ValueError if output_dir exists or a number is out of range.
    """
    _check_counts(num_people=num_people, photos_per_person=photos_per_person)
    with _new_folder(output_dir) as folder:
        _write_people(folder, range(first_person, first_person + num_people), photos_per_person, seed, difficulty)


def write_lfw_style(
    output_dir: str | os.PathLike[str],
    num_folds: int = 10,
    pairs_per_fold: int = 30,
    people_per_fold: int = 15,
    photos_per_person: int = 4,
    seed: int = 0,
    difficulty: float = 0.5,
    first_person: int = 0,
) -> None:
    """Writes photos as `write_photos` does, and beside the people `pairs.txt` in the format of LFW's View 2.

    The folds have no person in common. No pair comes twice, and no two people are compared twice.

    Args:
        output_dir: Folder to make.
        num_folds: Folds; LFW has 10.
        pairs_per_fold: Pairs of the same person in each fold, and as many of different people; LFW has 300.
        people_per_fold: People in each fold; `num_folds * people_per_fold` people are used.
        photos_per_person: Photos of each.
        seed: Of the population and of the pairs.
        difficulty: In [0, 1]; see `person` and `conditions`.
        first_person: Index of the first person.

    Raises: ValueError if output_dir exists, a number is out of range, or there are not that many pairs.
    """
    _check_counts(num_folds=num_folds, pairs_per_fold=pairs_per_fold, photos_per_person=photos_per_person)
    _check_pairs(pairs_per_fold, people_per_fold, photos_per_person)
    random = np.random.default_rng([seed, _LFW_PAIRS, first_person])
    lines = [f"{num_folds}\t{pairs_per_fold}"]
    for fold in range(num_folds):
        start = first_person + fold * people_per_fold
        for index, first, second in _genuine_pairs(random, pairs_per_fold, people_per_fold, photos_per_person):
            lines.append(f"{_name(start + index)}\t{first + 1}\t{second + 1}")
        for index, first, other, second in _impostor_pairs(random, pairs_per_fold, people_per_fold, photos_per_person):
            lines.append(f"{_name(start + index)}\t{first + 1}\t{_name(start + other)}\t{second + 1}")
    with _new_folder(output_dir) as folder:
        people = range(first_person, first_person + num_folds * people_per_fold)
        _write_people(folder, people, photos_per_person, seed, difficulty)
        _write_lines(folder / "pairs.txt", lines)


def write_ytf_style(
    output_dir: str | os.PathLike[str],
    num_folds: int = 10,
    pairs_per_fold: int = 12,
    people_per_fold: int = 8,
    tracks_per_person: int = 3,
    frames_per_track: int = 8,
    num_mislabelled: int = 5,
    seed: int = 0,
    difficulty: float = 0.5,
    first_person: int = 0,
) -> None:
    """Writes tracks `Person_00012/0/0001.jpg`, and beside the people `ytf_splits.txt` and `ytf-error.txt`.

    The splits are lines `fold, number, track, track, same`, folds and numbers from 1, in each fold first the pairs of
    the same person. The error list names the tracks, `Person_00012/0` a line, that show a stranger although the
    splits call them that person's; each is in at least one of the genuine pairs, so that leaving it out matters.
    No person is in two folds.

    Args:
        output_dir: Folder to make.
        num_folds: Folds; YTF has 10.
        pairs_per_fold: Pairs of the same person in each fold, and as many of different people; YTF has 250.
        people_per_fold: People in each fold.
        tracks_per_person: Tracks of each, 2 to 10: of one digit, for readers that look for the error list's names
            within paths.
        frames_per_track: Frames of each track.
        num_mislabelled: Tracks that show somebody else. Their people are the ones after the people of the folds, so
            that `num_folds * people_per_fold + num_mislabelled` people are used.
        seed: Of the population, of the pairs and of the errors.
        difficulty: In [0, 1]; see `person` and `track_conditions`.
        first_person: Index of the first person.

    Raises: ValueError if output_dir exists, a number is out of range, or there are not that many pairs.
    """
    _check_counts(num_folds=num_folds, pairs_per_fold=pairs_per_fold, frames_per_track=frames_per_track)
    _check_pairs(pairs_per_fold, people_per_fold, tracks_per_person)
    if tracks_per_person > 10:
        raise ValueError(f"tracks_per_person must be at most 10, got {tracks_per_person}")
    random = np.random.default_rng([seed, _YTF_PAIRS, first_person])
    lines = []
    in_genuine_pairs: set[tuple[int, int]] = set()
    for fold in range(num_folds):
        start = first_person + fold * people_per_fold
        genuine = _genuine_pairs(random, pairs_per_fold, people_per_fold, tracks_per_person)
        impostor = _impostor_pairs(random, pairs_per_fold, people_per_fold, tracks_per_person)
        quadruples = [(index, first, index, second) for index, first, second in genuine] + impostor
        for number, (index, first, other, second) in enumerate(quadruples):
            tracks = f"{_name(start + index)}/{first}, {_name(start + other)}/{second}"
            lines.append(f"{fold + 1}, {number + 1}, {tracks}, {int(number < pairs_per_fold)}")
        in_genuine_pairs |= {(start + index, track) for index, *tracks in genuine for track in tracks}
    candidates = sorted(in_genuine_pairs)
    if not 0 <= num_mislabelled <= len(candidates):
        raise ValueError(f"num_mislabelled must be in [0, {len(candidates)}], got {num_mislabelled}")
    random = np.random.default_rng([seed, _YTF_ERRORS, first_person])
    wrong = [candidates[i] for i in np.sort(random.permutation(len(candidates))[:num_mislabelled])]
    end = first_person + num_folds * people_per_fold
    stranger = {track: end + i for i, track in enumerate(wrong)}
    with _new_folder(output_dir) as folder:
        for index, track in itertools.product(range(first_person, end), range(tracks_per_person)):
            shown = person(seed, stranger.get((index, track), index), difficulty)
            frames = track_conditions(seed, index, track, frames_per_track, difficulty)
            _write_track(folder / _name(index) / str(track), shown, frames)
        _write_lines(folder / "ytf_splits.txt", lines)
        _write_lines(folder / "ytf-error.txt", [f"{_name(index)}/{track}" for index, track in wrong])


def write_unknown_tracks(
    output_dir: str | os.PathLike[str],
    num_tracks: int,
    frames_per_track: int = 8,
    seed: int = 0,
    difficulty: float = 0.5,
    first_person: int = 0,
) -> None:
    """Writes tracks `track_00001/0001.jpg` of people without a name, another person in each.

    Args:
        output_dir: Folder to make.
        num_tracks: Tracks, of people `first_person` to `first_person + num_tracks - 1`.
        frames_per_track: Frames of each.
        seed: Of the population.
        difficulty: In [0, 1]; see `person` and `track_conditions`.
        first_person: Index of the first person.

    Raises: ValueError if output_dir exists or a number is out of range.
    """
    _check_counts(num_tracks=num_tracks, frames_per_track=frames_per_track)
    with _new_folder(output_dir) as folder:
        for i in range(num_tracks):
            frames = track_conditions(seed, first_person + i, 0, frames_per_track, difficulty)
            _write_track(folder / f"track_{i + 1:05d}", person(seed, first_person + i, difficulty), frames)


def _name(index: int) -> str:
    return f"Person_{index:05d}"


def _genuine_pairs(random: np.random.Generator, num_pairs: int, num_people: int, each: int) -> list[tuple[int, ...]]:
    """Different pairs (person, image, later image of the same person), sorted."""
    pairs = list(itertools.combinations(range(each), 2))
    chosen = np.sort(random.permutation(num_people * len(pairs))[:num_pairs]).tolist()
    return [(i // len(pairs), *pairs[i % len(pairs)]) for i in chosen]


def _impostor_pairs(random: np.random.Generator, num_pairs: int, num_people: int, each: int) -> list[tuple[int, ...]]:
    """Pairs (person, image, later person, image), sorted; no two people twice."""
    people = list(itertools.combinations(range(num_people), 2))
    chosen = np.sort(random.permutation(len(people))[:num_pairs]).tolist()
    images = random.integers(0, each, (num_pairs, 2)).tolist()
    return [(people[i][0], first, people[i][1], second) for i, (first, second) in zip(chosen, images, strict=True)]


def _write_people(folder: Path, indices: range, photos_per_person: int, seed: int, difficulty: float) -> None:
    for index in indices:
        shown, name = person(seed, index, difficulty), _name(index)
        (folder / name).mkdir()
        for photo in range(photos_per_person):
            image = draw(shown, conditions(seed, index, photo, difficulty))
            _write_jpeg(folder / name / f"{name}_{photo + 1:04d}.jpg", image)


def _write_track(folder: Path, shown: Person, frames: list[Conditions]) -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, start=1):
        _write_jpeg(folder / f"{number:04d}.jpg", draw(shown, frame))


def _write_jpeg(path: Path, image: np.ndarray) -> None:
    path.write_bytes(encoding.jpeg(image, encoding.DRAWN))


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@contextlib.contextmanager
def _new_folder(output_dir: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a folder to write into, with the record of what the photos are aligned to, and that they are drawn."""
    with new_folder(output_dir) as folder:
        write_record(folder, TEMPLATE_NAME, drawn=True)
        yield folder


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")


def _check_pairs(pairs_per_fold: int, people_per_fold: int, each: int) -> None:
    """Raises ValueError if this many people, with this many images each, do not make the pairs of a fold."""
    genuine = people_per_fold * each * (each - 1) // 2
    impostor = people_per_fold * (people_per_fold - 1) // 2
    if pairs_per_fold > min(genuine, impostor):
        raise ValueError(
            f"pairs_per_fold must be at most {min(genuine, impostor)}, got {pairs_per_fold}: {people_per_fold} people "
            f"with {each} images each make {genuine} genuine pairs and {impostor} pairs of people"
        )
