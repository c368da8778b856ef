"""Where the five landmarks of an aligned face lie, by name or given by numbers."""

import dataclasses
import math
import re
from collections.abc import Sequence

import numpy as np

from keras_face.config.nearest import unknown
from keras_face.photos.template import UNKNOWN

_SAME = 0.01  # share of the height by which landmarks may lie apart and still be the same
# The mean face of ArcFace, for 112x96 (height x width); its square has 8 pixels more on either side.
_ARCFACE_112X96 = (
    (30.29459953, 51.69630051),
    (65.53179932, 51.50139999),
    (48.02519989, 71.73660278),
    (33.54930115, 92.36550140),
    (62.72990036, 92.20410156),
)
_NUMBERS = re.compile(r"(\d+)x(\d+):(.+)")


@dataclasses.dataclass(frozen=True)
class Template:
    """Where an aligned face lies in its crop.

    Args:
        name: As said in a dataset's metadata.
        landmarks: float32 [5, 2], x and y in pixels of the crop (0 is the middle of the first pixel): the eye on the
            image's left, the eye on its right, the nose, the corners of the mouth on the image's left and right.
        image_size: (height, width) of the crop, pixels.
        anchors: What a face is aligned by: "points": all five, least squares; "eyes_mouth": the slope and middle of
            the eyes, and how far below them the mouth is; "eyes": the eyes alone. The latter two are SeqFace's.

    Examples:
        >>> template("arcface").landmarks.round(1)
        array([[38.3, 51.7],
               [73.5, 51.5],
               [56. , 71.7],
               [41.5, 92.4],
               [70.7, 92.2]], dtype=float32)
    """

    name: str
    landmarks: np.ndarray
    image_size: tuple[int, int]
    anchors: str = "points"


def names() -> tuple[str, ...]:
    """Returns the names that `template` knows.

    Examples:
        >>> names()
        ('arcface', 'arcface112x96', 'seqface144', 'seqface128', 'seqface144_eyes', 'seqface128_eyes')
    """
    return tuple(_known())


def template(name_or_numbers: str | Sequence[float]) -> Template:
    """Returns a template by its name, or made of numbers.

    Args:
        name_or_numbers: A name of `names()`, or "HEIGHTxWIDTH:x,y,x,y,x,y,x,y,x,y": the crop's size and the five
            landmarks in pixels, in the order of `Template.landmarks`.

    Raises: ValueError if it is neither.

    Examples:
        >>> template("arcface").image_size
        (112, 112)
        >>> template("64x64:20,24,44,24,32,36,22,48,42,48").landmarks[2]
        array([32., 36.], dtype=float32)
    """
    known = _known()
    if name_or_numbers in known:
        return known[name_or_numbers]
    match = _NUMBERS.fullmatch(str(name_or_numbers).replace(" ", ""))
    try:
        numbers = [float(number) for number in match[3].split(",")] if match else []
    except ValueError:
        numbers = []
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if len(set(numbers)) < 2 or len(numbers) != 10 or not all(map(math.isfinite, numbers)) or min(size) < 1:
        raise ValueError(f"{unknown('template', name_or_numbers, known)}, and HEIGHTxWIDTH:x,y,... with five landmarks")
    return Template(str(name_or_numbers), np.array(numbers, np.float32).reshape(5, 2), size)


def of_window(name: str, whole_size: Sequence[int], image_size: Sequence[int]) -> str:
    """Returns the template of the middle of crops, by name or by numbers; a name that is not known stays.

    Args:
        name: Template of the crops.
        whole_size: (height, width) that they are fitted to first, pixels, as by `photos.images.fit`.
        image_size: (height, width) of the window in the middle, pixels.
    """
    try:
        whole = template(name)
    except ValueError:
        return name
    landmarks = placed(name, whole_size) + (np.array(image_size[::-1]) - whole_size[::-1]) / 2
    for other in _known().values():
        alike = (other.image_size, other.anchors) == (tuple(image_size), whole.anchors)
        if alike and np.allclose(other.landmarks, landmarks, atol=0.01):
            return other.name
    return f"{image_size[0]}x{image_size[1]}:{','.join(f'{number:.3f}' for number in landmarks.ravel())}"


def placed(name: str, image_size: Sequence[int]) -> np.ndarray:
    """Returns the landmarks of a template in crops of a size, as `photos.images.fit` makes them of its own.

    Args:
        name: Of the template, or its numbers.
        image_size: (height, width) of the crops, pixels.

    Returns: float32 [5, 2], pixels of these crops.
    Raises: ValueError if there is no such template.

    Examples:
        >>> placed("arcface", (56, 56))[0]  # the eye on the image's left
        array([18.897299, 25.59815 ], dtype=float32)
    """
    known = template(name)
    after, before = np.array(image_size[::-1]), np.array(known.image_size[::-1])  # width, height
    scale = (after / before).max()
    return ((known.landmarks + 0.5) * scale + (after - scale * before) / 2 - 0.5).astype(np.float32)


def differ(first: str | None, second: str | None, image_size: Sequence[int]) -> bool:
    """Returns whether crops of two templates have their landmarks in other places when fitted to a size.

    Args:
        first: Name or numbers; None or "unknown" differs from none. A name that is none of `names()` differs from all
            others.
        second: The same.
        image_size: (height, width), pixels.
    """
    if first == second or {first, second} & {None, UNKNOWN}:
        return False
    try:
        apart = np.abs(placed(str(first), image_size) - placed(str(second), image_size)).max()
    except ValueError:
        return True
    return bool(apart > _SAME * image_size[0])


def _known() -> dict[str, Template]:
    narrow = np.array(_ARCFACE_112X96)
    found = [
        Template("arcface", np.add(narrow, (8, 0)).astype(np.float32), (112, 112)),
        Template("arcface112x96", narrow.astype(np.float32), (112, 96)),
    ]
    for anchors, suffix in (("eyes_mouth", ""), ("eyes", "_eyes")):
        for side in (144, 128):
            found.append(Template(f"seqface{side}{suffix}", _seqface(narrow, side, anchors), (side, side), anchors))
    return {made.name: made for made in found}


def _seqface(face: np.ndarray, side: int, anchors: str) -> np.ndarray:
    """Returns the landmarks of the mean face as SeqFace lays it: at 144 pixels, of which 128 are the middle."""
    slope = math.atan2(*(face[1] - face[0])[::-1])  # its eyes are to be level
    turn = np.array([[math.cos(slope), math.sin(slope)], [-math.sin(slope), math.cos(slope)]])
    face = face @ turn.T
    eyes, mouth = face[:2].mean(axis=0), face[3:].mean(axis=0)
    if anchors == "eyes_mouth":  # a square of three times this length, the eyes at a third of its height
        length, height = mouth[1] - eyes[1], 144 / 3
    else:  # the eyes at the smaller part of the golden section
        length, height = np.linalg.norm(face[1] - face[0]), 144 * (3 - math.sqrt(5)) / 2
    margin = (144 - side) / 2
    placed = (face - eyes) * (144 / (3 * length)) + (144 / 2 - margin, height - margin)
    return placed.astype(np.float32)
