"""From photos to aligned crops: which face, whose landmarks, which template."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_face.alignment.detector import Detector, Face
from keras_face.alignment.landmark_files import ListedLandmarks
from keras_face.alignment.templates import Template
from keras_face.alignment.transform import align
from keras_face.photos import images
from keras_face.photos.files import PhotoError

FACES = ("largest", "central", "best", "all")


def choose(faces: Sequence[Face], which: str, image_size: Sequence[int]) -> list[Face]:
    """Returns the chosen faces of a photo: one, or all from left to right; none if there are none.

    Args:
        faces: Found in the photo.
        which: "largest": of the largest box; "central": whose box has its centre nearest to the photo's;
            "best": of the highest score; "all".
        image_size: (height, width) of the photo, pixels.

    Raises: ValueError if `which` is none of FACES.

    Examples:
        >>> small = Face(np.array([10, 10, 20, 20]), np.zeros((5, 2)), score=0.99)
        >>> large = Face(np.array([60, 10, 40, 40]), np.zeros((5, 2)), score=0.95)
        >>> choose([small, large], "largest", image_size=(100, 120)) == [large]
        True
    """
    if which not in FACES:
        raise ValueError(f"faces must be one of {', '.join(FACES)}, got {which!r}")
    if which == "all":
        return sorted(faces, key=lambda face: (face.box[0], face.box[1]))
    height, width = image_size
    middle = np.array([width, height]) / 2
    ranks: dict[str, Callable[[Face], float]] = {
        "largest": lambda face: face.box[2] * face.box[3],
        "central": lambda face: -float(np.linalg.norm(face.box[:2] + face.box[2:] / 2 - middle)),
        "best": lambda face: face.score,
    }
    return [max(faces, key=ranks[which])] if faces else []


@dataclasses.dataclass(frozen=True)
class Crop:
    """An aligned crop, uint8 RGB [height, width, 3], and the face it shows; None: it was aligned before.

    Examples:
        >>> crop = Crop(np.zeros((112, 112, 3), np.uint8), face=None)
        >>> crop.pixels.shape
        (112, 112, 3)
    """

    pixels: np.ndarray
    face: Face | None


@dataclasses.dataclass(frozen=True)
class Aligner:
    """Makes aligned crops of photos.

    Args:
        template: What to align to.
        landmarks: Where those of a photo come from: a detector; a file; or None, if the photos are aligned already:
            then they are only cropped to the template's proportions about their middle, and resized.
        faces: Which of the faces that a detector found: one of FACES.

    Call arguments:
        names: Relative paths of the photos.
        photos: uint8 RGB [height, width, 3] each.

    Returns: For each photo its crops, at least one, or a PhotoError that says why there are none.
    Raises: ValueError if `faces` is unknown.

    Examples:
        >>> from keras_face.alignment.templates import template
        >>> align = Aligner(template("arcface"), landmarks=None)  # of photos that are aligned already
        >>> [[crop]] = align(["a.jpg"], [np.zeros((250, 250, 3), np.uint8)])
        >>> crop.pixels.shape
        (112, 112, 3)
    """

    template: Template
    landmarks: Detector | ListedLandmarks | None
    faces: str = "largest"

    def __post_init__(self) -> None:
        choose([], self.faces, (1, 1))

    @property
    def settings(self) -> dict[str, Any]:
        """What the crops depend on, as JSON values."""
        landmarks: Any = self.landmarks
        if isinstance(landmarks, Detector):
            landmarks = landmarks.settings
        elif landmarks is not None:
            landmarks = str(landmarks.path)
        return {"template": self.template.name, "faces": self.faces, "landmarks": landmarks}

    def __call__(self, names: Sequence[str], photos: Sequence[np.ndarray]) -> list[list[Crop] | PhotoError]:
        source = self.landmarks
        if isinstance(source, Detector):
            return [self._crops(photo, faces) for photo, faces in zip(photos, source(photos), strict=True)]
        if isinstance(source, ListedLandmarks):
            return [self._crop(photo, name, source) for name, photo in zip(names, photos, strict=True)]
        return [[Crop(images.fit(photo, self.template.image_size).numpy(), None)] for photo in photos]

    def _crops(self, photo: np.ndarray, faces: Sequence[Face]) -> list[Crop] | PhotoError:
        chosen = choose(faces, self.faces, photo.shape[:2])
        if not chosen:
            return PhotoError("no face found")
        return [Crop(align(photo, face.landmarks, self.template), face) for face in chosen]

    def _crop(self, photo: np.ndarray, name: str, source: ListedLandmarks) -> list[Crop] | PhotoError:
        try:
            landmarks = source(name)
            if landmarks is None:
                return PhotoError("no landmarks listed")
            pixels = align(photo, landmarks, self.template)
        except PhotoError as error:
            return error
        except ValueError:
            return PhotoError("landmarks that are all the same")
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        return [Crop(pixels, Face(np.concatenate([low, high - low]), landmarks, 1.0))]
