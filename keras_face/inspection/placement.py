"""Whether the faces are where the template says: MTCNN looks at a sample of the crops."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import cv2
import numpy as np

from keras_face.alignment.detector import Detector
from keras_face.alignment.templates import placed
from keras_face.alignment.transform import similarity
from keras_face.evaluation.intervals import clopper_pearson
from keras_face.inspection.facts import Scan, decode_all
from keras_face.inspection.findings import ERROR, LOOK, NOTE, WARNING, Entry, Finding
from keras_face.inspection.photo_checks import identity_name
from keras_face.inspection.sources import Photos
from keras_face.photos.template import UNKNOWN, is_drawn

HEIGHT = 112  # of the crops as the detector sees them; distances are in pixels of these
# LFW, how far the template must be moved to lie on the landmarks, pixels (docs/inspect.md): aligned 1.1 in the median,
# at most 3.9 in 99 %; shifted by 6.7 at least 5.5 in 99 %, turned by 15 degrees 5.9, 30 % smaller 8.0.
_OFF = 4.0
_AT_MOST = 0.02  # share of crops off the template; of LFW's it is 0.01
_SMALLEST_FACE = 40  # pixels; a crop holds a face of about 80
_BATCH = 64
_QUARTER_TURNS = (1, 2, 3)


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where the faces of a sample lie.

    Args:
        numbers: int [sample], which photos were looked at.
        landmarks: float32 [sample, 5, 2], pixels of crops of height 112, turned by `turns`; NaN: no face was found.
        turns: int [sample], quarter turns clockwise that the crop needs for its face to be upright.
        expected: float32 [5, 2], where the template has the landmarks, the same pixels.
    """

    numbers: np.ndarray
    landmarks: np.ndarray
    turns: np.ndarray
    expected: np.ndarray

    @property
    def found(self) -> float:
        """The share of the sample in which a face was found."""
        return float(np.isfinite(self.distances).mean()) if len(self.numbers) else math.nan

    @functools.cached_property
    def distances(self) -> np.ndarray:
        """float32 [sample]: how far the template is moved to lie on the landmarks (`distance`), NaN without a face."""
        return np.array([distance(points, self.expected) for points in self.landmarks], np.float32)

    @property
    def median(self) -> float:
        """The median distance, pixels of height 112."""
        distances = self.distances
        return float(np.median(distances[np.isfinite(distances)])) if np.isfinite(distances).any() else math.nan

    @property
    def bad(self) -> np.ndarray:
        """Bool [sample]: no face, or one that is off the template or not upright."""
        return ~(self.distances <= _OFF) | (self.turns > 0)

    def tendency(self) -> str:
        """Returns how the middle of all faces that are upright lies to the template."""
        return tendency(np.nanmedian(self.landmarks[self.turns == 0], axis=0), self.expected)

    def told(self, place: int) -> str:
        """Returns what is to be said of a crop of the sample."""
        if math.isnan(self.distances[place]):
            return "no face found"
        turned = f"turned by {90 * int(-self.turns[place]) % 360} degrees clockwise" if self.turns[place] else ""
        if self.distances[place] <= _OFF:
            return turned
        off = f"{self.distances[place]:.1f} pixels off: {tendency(self.landmarks[place], self.expected)}"
        return f"{turned}, and {off}" if turned else off


def distance(landmarks: np.ndarray, expected: np.ndarray) -> float:
    """Returns how far the landmarks of a template move under the similarity that lays them on those of a face.

    The root of the mean square over the landmarks, pixels; NaN where there is no face. What is a person's own, the
    shape of the face and where it looks, is no similarity and does not count.

    Args:
        landmarks: float [5, 2] of the face, or NaN.
        expected: float [5, 2] of the template.
    """
    if not np.isfinite(landmarks).all():
        return math.nan
    matrix = similarity(expected, landmarks)
    moved = expected @ matrix[:, :2].T + matrix[:, 2]
    return float(np.sqrt(np.mean(np.sum((moved - expected) ** 2, axis=1))))


def tendency(landmarks: np.ndarray, expected: np.ndarray) -> str:
    """Returns how a face lies to the template: shifted, turned, larger or smaller."""
    matrix = similarity(expected, landmarks)
    right, down = landmarks.mean(axis=0) - expected.mean(axis=0)
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    turn = math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))
    return f"{right:+.1f} pixels right, {down:+.1f} down, turned by {turn:+.1f} degrees, {scale:.2f} times the size"


def place(photos: Photos, scan: Scan, sample_size: int, seed: int = 0) -> Placement | None:
    """Returns where the faces of a random sample of the good photos lie; None if the template is unknown.

    A crop in which no face is on the template is looked at in its three other quarter turns too.

    Args:
        photos: The dataset.
        scan: Of it.
        sample_size: Photos to look at, at most.
        seed: Of the sample.
    """
    good = np.flatnonzero(scan.good)
    size = tuple(np.median([scan.facts["height"][good], scan.facts["width"][good]], axis=1).astype(int).tolist())
    try:
        expected = expected_landmarks(supposed_template(photos), size)
    except ValueError:
        return None
    numbers = np.sort(np.random.default_rng(seed).permutation(good)[:sample_size])
    landmarks = np.full((len(numbers), 5, 2), np.nan, np.float32)
    turns = np.zeros(len(numbers), int)
    for start in range(0, len(numbers), _BATCH):
        contents = [photos.read(int(number)) for number in numbers[start : start + _BATCH]]
        images = [_to_height(image) for _, image in decode_all(contents, size) if image is not None]
        here = slice(start, start + len(images))
        landmarks[here] = _nearest_faces(images, expected)
        off = [at for at, points in enumerate(landmarks[here]) if not distance(points, expected) <= _OFF]
        for turn in _QUARTER_TURNS if off else ():
            turned = [np.ascontiguousarray(np.rot90(images[at], -turn)) for at in off]
            for at, points in zip(off, _nearest_faces(turned, expected), strict=True):
                if distance(points, expected) < min(_distance_or_far(landmarks[start + at], expected), 2 * _OFF):
                    landmarks[start + at], turns[start + at] = points, turn
    return Placement(numbers, landmarks, turns, expected)


def _distance_or_far(landmarks: np.ndarray, expected: np.ndarray) -> float:
    found = distance(landmarks, expected)
    return math.inf if math.isnan(found) else found


def _nearest_faces(images: Sequence[np.ndarray], expected: np.ndarray) -> np.ndarray:
    """Returns float32 [n, 5, 2]: the landmarks of the face in each crop that is nearest to the template, NaN: none."""
    found = np.full((len(images), 5, 2), np.nan, np.float32)
    for at, faces in enumerate(_detector()(images)):
        if faces:
            found[at] = min((face.landmarks for face in faces), key=lambda points: distance(points, expected))
    return found


def supposed_template(photos: Photos) -> str:
    """Returns what photos are aligned to, and of those of which nobody knows it what most are."""
    return "arcface" if photos.template == UNKNOWN else photos.template


def expected_landmarks(name: str, image_size: tuple[int, int]) -> np.ndarray:
    """Returns the landmarks of a template in crops of a size, as `images.fit` makes them of its own: float32 [5, 2].

    Args:
        name: Of the template.
        image_size: (height, width) of the crops; the landmarks are in pixels of these shown at height 112.

    Raises: ValueError if there is no such template.
    """
    return ((placed(name, image_size) + 0.5) * (HEIGHT / image_size[0]) - 0.5).astype(np.float32)


def check_placement(photos: Photos, placement: Placement | None) -> list[Finding]:
    """Returns whether the faces are off the template."""
    align = f"python -m tfrecords_tools.align --source PHOTOS --output_dir {photos.path}_aligned  # of the whole photos"
    if not photos.made_of_records:
        align = f"python -m tfrecords_tools.align --source {photos.path} --output_dir {photos.path}_aligned"
    if placement is None:
        what = f"the template {photos.template!r} is none that is known, so nobody can say whether the faces are on it"
        return [Finding(NOTE, "template", what, align)]
    name = supposed_template(photos)
    total, bad = len(placement.numbers), int(np.count_nonzero(placement.bad))
    unsaid = []
    if photos.template == UNKNOWN and 2 * bad <= total:
        say = f"--template {name} when records are written, or template = {name} in the dataset's section of a config"
        told = f"the faces are {placement.median:.1f} pixels from the template {name} (of a crop 112 high)"
        unsaid = [Finding(NOTE, "template", f"nobody said what the photos are aligned to; {told}", say)]
    if not bad:
        return unsaid
    least = clopper_pearson(bad, total).low
    # The detector knows photographs: of drawn people it misses one face in six.
    at_most = 0.5 if is_drawn(photos.path) else _AT_MOST
    severity = ERROR if least > 0.5 else WARNING if least > at_most else NOTE
    what = (
        f"{bad:,} of {total:,} crops that were looked at ({bad / total:.1%}; 95 % sure: {least:.1%} or more) are not "
        f"on the template {name}: {_kinds(placement)}"
    )
    if 2 * bad > total and np.isfinite(placement.landmarks[placement.turns == 0]).any():
        what += f"; together {placement.tendency()}"
    if total < len(photos):
        what += f"; --detected_photos {len(photos)} looks at all"
    return [*unsaid, Finding(severity, "alignment", what, f"look at the list; {align}", _entries(photos, placement))]


def _kinds(placement: Placement) -> str:
    """Returns how many crops are bad in which way."""
    none, turned = np.isnan(placement.distances), placement.turns > 0
    counts = {
        f"off by more than {_OFF:.0f} pixels (of a crop 112 high)": placement.bad & ~none & ~turned,
        "sideways or upside down": turned,
        "without a face that is found": none,
    }
    return ", ".join(f"{np.count_nonzero(which):,} {what}" for what, which in counts.items() if which.any())


def check_templates(first: Photos, second: Photos) -> list[Finding]:
    """Returns whether two datasets are aligned differently."""
    if first.template == second.template or UNKNOWN in (first.template, second.template):
        return []
    what = f"{first.name} is aligned to {first.template}, {second.name} to {second.template}: no training mixes them"
    source = f"--source PHOTOS --output_dir {second.path}_aligned  # of the whole photos"
    mend = f"python -m tfrecords_tools.align --template {first.template} {source}"
    return [Finding(WARNING, "template", what, mend)]


def _entries(photos: Photos, placement: Placement) -> list[Entry]:
    return [
        Entry(photos.photo_name(number), identity_name(photos, number), placement.told(place), None, LOOK)
        for place, number in enumerate(placement.numbers.tolist())
        if placement.bad[place]
    ]


@functools.cache
def _detector() -> Detector:
    """Returns one detector for all datasets: making it takes longer than a sample does."""
    return Detector(min_face_size=_SMALLEST_FACE)


def _to_height(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    if height == HEIGHT:
        return image
    size = max(1, round(width * HEIGHT / height)), HEIGHT
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if height > HEIGHT else cv2.INTER_LINEAR)
