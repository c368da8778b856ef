"""Pairs of tracks, such as YouTube Faces."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_face.evaluation.protocols import Pairs, read_ytf_splits
from keras_face.evaluation.results import Measured, Origin, verify
from keras_face.measurement.drawn import marked_pairs
from keras_face.measurement.photos import named_missing
from keras_face.measurement.pooling import PoolingRule, qualities_of, read_qualities
from keras_face.measurement.sources import FeatureSource, Locate, Source
from keras_face.photos.files import EXTENSIONS
from keras_face.photos.lists import PhotoFolder, is_hidden


def read_tracks(
    splits_file: str | os.PathLike,
    error_file: str | os.PathLike | None = None,
    *,
    frames_dir: str | os.PathLike | None = None,
) -> tuple[Pairs, ...]:
    """Returns the pairs of tracks of a splits file: as they were published, and corrected if that differs.

    They are marked where the splits file, or the frames, are of drawn people.

    Args:
        splits_file: See `read_ytf_splits`.
        error_file: List of wrong tracks to leave out of the corrected pairs; None: none.
        frames_dir: Folder of the frames; None: there are none.

    Raises: ValueError as `read_ytf_splits`.
    """
    raw = read_ytf_splits(splits_file, label="original")
    corrected = read_ytf_splits(splits_file, label="corrected", error_file=error_file)
    same = error_file is None and np.array_equal(raw.genuine, corrected.genuine)
    return tuple(marked_pairs(pairs, splits_file, frames_dir) for pairs in ((raw,) if same else (raw, corrected)))


def measure_tracks(
    source: Source,
    protocols: Sequence[Pairs],
    frames_dir: str | os.PathLike | None,
    *,
    max_frames: int = 0,
    pooling: PoolingRule | None = None,
    quality_file: str | os.PathLike | None = None,
    rule: str = "best_accuracy",
) -> tuple[Measured, ...]:
    """Returns the figures on pairs of tracks, for each of the protocols, which have the same tracks.

    Args:
        source: Where embeddings come from. Those that were computed before are named `Name/number/frame`, or
            `Name/number` where a track has one embedding already.
        protocols: As `read_tracks`.
        frames_dir: Folder of aligned frames, `Name/number/*.jpg` (or another of `photos.files.EXTENSIONS`, in any
            case); None: embeddings were computed before.
        max_frames: Frames of a track that are used, evenly spaced in order of file name; 0: all.
        pooling: How tracks are compared; None: by the unit mean of the unit embeddings of their frames.
        quality_file: Quality of each frame, see `read_qualities`; None: none.
        rule: Threshold rule of the accuracy, of `scores.RULES`.

    Raises:
        FileNotFoundError: Tracks without frames; says how many, and names the first.
        ValueError: As the source, `PoolingRule.pool` and `verify`.
    """
    pooling = pooling or PoolingRule()
    tracks = tuple(dict.fromkeys(key for pairs in protocols for key in pairs.distinct_keys()))
    frames = _listed(source, tracks, frames_dir, max_frames)
    keys = [key for of_track in frames for key in of_track]
    owner = np.repeat(np.arange(len(tracks)), [len(of_track) for of_track in frames])
    qualities = None if quality_file is None else read_qualities(quality_file)
    quality = qualities_of(keys, qualities, os.fspath(quality_file or ""))
    _check_quality_is_used(pooling, quality)
    embedded = source(keys, frame_locator(frames_dir))
    features = embedded.features
    pooled = None
    if pooling.set_score is None:
        try:
            pooled = pooling.pool(features.embeddings, features.norms, owner, quality)
        except ValueError as error:
            raise ValueError(f"{features.source}: {error}") from None
    used = f"at most {max_frames} frames of a track, evenly spaced" if max_frames else "all frames of a track"
    data = features.source if frames_dir is None else os.fspath(frames_dir)
    origin = source.origin(data, f"{used}, {pooling}", embedded.data_hash)
    index = {track: number for number, track in enumerate(tracks)}
    found = []
    for pairs in protocols:
        sides = (np.array([index[key] for key in side]) for side in (pairs.left, pairs.right))
        similarity = pooling.similarity(features.embeddings, owner, pooled, *sides)
        found.append(verify(pairs, similarity, origin, rule=rule))
    return tuple(found)


def measure_again(measured: Measured, pairs: Pairs, *, rule: str = "best_accuracy") -> Measured:
    """Returns the figures of the same similarities by another protocol, whose pairs are among those measured.

    Raises: ValueError as `verify`, and for a pair that was not measured.
    """
    before = zip(measured.pairs.left, measured.pairs.right, strict=True)
    similarity = dict(zip(before, measured.similarity.tolist(), strict=True))
    keys = list(zip(pairs.left, pairs.right, strict=True))
    missing = [key for key in keys if key not in similarity]
    if missing:
        raise ValueError(f"{pairs.protocol}: expected a similarity of {' and '.join(missing[0])}")
    result = measured.result
    origin = Origin(**{field.name: getattr(result, field.name) for field in dataclasses.fields(Origin)})
    return verify(pairs, np.array([similarity[key] for key in keys]), origin, rule=rule)


def frame_locator(frames_dir: str | os.PathLike | None) -> Locate:
    """Returns what gives the file of a frame `Name/number/file`."""
    return PhotoFolder("" if frames_dir is None else frames_dir)


def frames_of(frames_dir: str | os.PathLike, track: str, max_frames: int = 0) -> list[str]:
    """Returns the keys of a track's frames that are used, evenly spaced in order of file name; 0: all."""
    folder = Path(frames_dir, track)
    if not folder.is_dir():
        return []
    return _evenly(sorted(f"{track}/{file.name}" for file in folder.iterdir() if _is_frame(file)), max_frames)


def _is_frame(file: Path) -> bool:
    return file.suffix.lower() in EXTENSIONS and not is_hidden(file.name)


def _listed(
    source: Source, tracks: Sequence[str], frames_dir: str | os.PathLike | None, max_frames: int
) -> list[list[str]]:
    if isinstance(source, FeatureSource):
        names = source.features.names
        known = set(names)
        by_track = {} if known.issuperset(tracks) else source.features.by_folder()
        frames = [
            [track] if track in known else _evenly([names[row] for row in by_track.get(track, ())], max_frames)
            for track in tracks
        ]
        what = f"tracks have no embeddings in {source.features.source}"
    elif frames_dir is None:
        raise ValueError("expected a folder of frames")
    else:
        frames = [frames_of(frames_dir, track, max_frames) for track in tracks]
        what = f"tracks have no frames (.jpg, .png, ...) in {frames_dir}"
    without = [track for track, of_track in zip(tracks, frames, strict=True) if not of_track]
    if without:
        raise FileNotFoundError(named_missing(without, len(tracks), what))
    return frames


def _evenly(keys: list[str], most: int) -> list[str]:
    if not most or len(keys) <= most:
        return keys
    return [keys[(2 * number + 1) * len(keys) // (2 * most)] for number in range(most)]


def _check_quality_is_used(rule: PoolingRule, quality: np.ndarray | None) -> None:
    pooling = rule.pooling
    if quality is not None and not pooling.weighting.endswith("quality") and pooling.best is None:
        raise ValueError(f"{rule} has no use for a quality file")
