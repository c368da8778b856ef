"""IJB-B and IJB-C: face sets of photos and frames (IJB templates), 1:1 and 1:N."""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from keras_face.alignment.templates import Template, names, template
from keras_face.evaluation.protocols import (
    Identification,
    IjbFiles,
    IjbPairs,
    IjbPhotos,
    Pairs,
    read_ijb_identification,
    read_ijb_pairs,
    read_ijb_photos,
)
from keras_face.evaluation.results import IdentificationResult, Measured, verify
from keras_face.measurement.identification import identify
from keras_face.measurement.photos import LooseCrop, Photo
from keras_face.measurement.pooling import PoolingRule
from keras_face.measurement.sources import Embedded, PhotoSource, Source
from keras_face.photos.lists import PhotoFolder


@dataclass(frozen=True, eq=False)
class Ijb:
    """IJB-B or IJB-C.

    Attributes:
        files: Its files.
        photos: The photos of the face sets.
        images_dir: Folder of the loose crops; None: there are none.
        template: Where the landmarks of an aligned photo lie.
    """

    files: IjbFiles
    photos: IjbPhotos
    images_dir: Path | None
    template: Template

    def locate(self, key: str) -> Photo:
        """Returns the loose crop of a photo, with its landmarks."""
        if self.images_dir is None or self.photos.landmarks is None:
            raise ValueError(f"{key}: there are no photos")
        landmarks = self.photos.landmarks[self.first_row[key]].tolist()
        return LooseCrop(self._folder(key), tuple(map(tuple, landmarks)), self.template)

    def best_photo(self, number: str) -> Photo:
        """Returns the photo of a face set that the detector was surest of."""
        rows = np.flatnonzero(self.photos.face_set == int(number))
        scores = self.photos.detector_score
        return self.locate(self.photos.photos[rows[0 if scores is None else int(np.argmax(scores[rows]))]])

    @functools.cached_property
    def _folder(self) -> PhotoFolder:
        return PhotoFolder(self.images_dir or "")

    @functools.cached_property
    def first_row(self) -> dict[str, int]:
        """The row of `photos` that a photo comes in first."""
        found: dict[str, int] = {}
        for row, name in enumerate(self.photos.photos):
            found.setdefault(name, row)
        return found


def read_ijb(files: IjbFiles, images_dir: str | os.PathLike | None, template_name: str = "arcface") -> Ijb:
    """Returns the photos of the files, and what else is needed of them.

    Args:
        files: As `find_ijb` found them.
        images_dir: Folder of the loose crops, InsightFace's `loose_crop`; None: embeddings were computed before.
        template_name: Where the photos are aligned to, see `alignment.templates.template`.

    Raises: ValueError as `read_ijb_photos` and `template`, and for a photo that comes twice with other landmarks.
    """
    photos = read_ijb_photos(files.photos, files.landmarks)
    found = Ijb(files, photos, None if images_dir is None else Path(images_dir), template(template_name))
    if photos.landmarks is not None and len(set(photos.photos)) < len(photos.photos):
        for row, name in enumerate(photos.photos):
            if not np.array_equal(photos.landmarks[row], photos.landmarks[found.first_row[name]]):
                raise ValueError(f"{files.landmarks}: expected {name} with the same landmarks each time")
    return found


def measure_ijb(
    source: Source, ijb: Ijb, *, pooling: PoolingRule, identification: bool = True
) -> tuple[Measured, tuple[IdentificationResult, ...]]:
    """Returns the figures of 1:1, and those of 1:N: closed-set in both galleries, and open-set in each of them.

    Args:
        source: Where embeddings come from, named as the photos.
        ijb: IJB-B or IJB-C.
        pooling: How face sets are compared; the detector's score is the quality.
        identification: Whether to measure 1:N.

    Raises: ValueError and FileNotFoundError as the source, `PoolingRule.pool` and the protocols' readers.
    """
    if identification and ijb.files.probes is None:
        raise ValueError(f"{ijb.files.photos.parent}: expected the galleries and probes of 1:N beside the other files")
    if identification and pooling.set_score is not None:
        raise ValueError("1:N is measured by pooled embeddings: choose no set score, or leave 1:N out")
    photos = ijb.photos
    pairs = read_ijb_pairs(ijb.files.pairs, photos)
    embedded: Embedded = source(tuple(dict.fromkeys(photos.photos)), ijb.locate)
    embeddings, norms = embedded.features.embeddings, embedded.features.norms
    if len(embeddings) < len(photos.photos):
        rows = embedded.features.rows(photos.photos)
        embeddings, norms = embeddings[rows], norms[rows]
    index = photos.index()
    pooled = None
    if pooling.set_score is None:
        media = photos.media if pooling.pooling.by_media else None
        pooled = pooling.pool(embeddings, norms, index, photos.detector_score, media)
    aligned = f"aligned to {ijb.template.name}, " if isinstance(source, PhotoSource) else ""
    data = embedded.features.source if ijb.images_dir is None else os.fspath(ijb.images_dir)
    origin = source.origin(data, f"{aligned}{pooling}", embedded.data_hash)
    similarity = pooling.similarity(embeddings, index, pooled, pairs.left, pairs.right)
    galleries, in_all = ijb.files.galleries, None
    if ijb.files.probes is not None:
        in_all = read_ijb_identification(galleries, ijb.files.probes, photos)
    measured = verify(_without_folds(pairs, in_all), similarity, origin)
    found = []
    if identification and pooled is not None and ijb.files.probes is not None and in_all is not None:
        row = {str(number): place for place, number in enumerate(pairs.face_sets.tolist())}
        in_each = (read_ijb_identification((gallery,), ijb.files.probes, photos) for gallery in galleries)
        for protocol in (in_all, *in_each):
            probes, entries = ([row[key] for key in keys] for keys in (protocol.probes, protocol.gallery))
            found.append(identify(protocol, pooled[probes], pooled[entries], origin))
    return measured, tuple(found)


def model_template(source: Source) -> str:
    """Returns the name of the template that an exported model's photos are aligned to.

    Raises: ValueError if the model does not say it by a known name.
    """
    facts = getattr(source.embedder, "facts", {}) if isinstance(source, PhotoSource) else {}
    name = facts.get("template")
    if name not in names():
        raise ValueError(f"expected --template, as the model's template is none of {', '.join(names())}, but {name!r}")
    return name


def _without_folds(pairs: IjbPairs, subjects: Identification | None) -> Pairs:
    """Returns the pairs with the people that 1:N names, where it names those of all face sets."""
    left, right = (IjbKeys(pairs.face_sets, side) for side in (pairs.left, pairs.right))
    fold = np.zeros(pairs.genuine.size, np.int64)
    people = None
    if subjects is not None:
        labels = zip(
            (*subjects.gallery, *subjects.probes), np.concatenate(subjects.labels()[::-1]).tolist(), strict=True
        )
        person = dict(labels)
        of_each = np.array([person.get(str(number), -1) for number in pairs.face_sets.tolist()], np.int32)
        if of_each.min() >= 0:
            people = np.stack([of_each[pairs.left], of_each[pairs.right]], axis=1)
    return Pairs(pairs.protocol, cast(Any, left), cast(Any, right), pairs.genuine, fold, pairs.dropped, people)


class IjbKeys(Sequence):
    """Numbers of face sets as keys of pairs, made when they are asked for, as there are 15.7 million.

    Args:
        numbers: int [t], of the face sets.
        index: int [n], index in `numbers` of each key.
    """

    def __init__(self, numbers: np.ndarray, index: np.ndarray):
        self._numbers, self._index = numbers, index

    def __len__(self) -> int:
        return self._index.size

    def __getitem__(self, place):
        if isinstance(place, slice):
            return list(map(str, self._numbers[self._index[place]].tolist()))
        return str(int(self._numbers[self._index[place]]))
