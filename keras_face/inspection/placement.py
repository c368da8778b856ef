"""Whether the faces are where the template says: MTCNN looks at a sample of the crops."""

import dataclasses
import functools
import math

import cv2
import numpy as np

from keras_face.alignment.detector import Detector
from keras_face.alignment.templates import placed
from keras_face.alignment.transform import similarity
from keras_face.inspection.facts import Scan, decode_all
from keras_face.inspection.findings import ERROR, LOOK, NOTE, WARNING, Entry, Finding
from keras_face.inspection.photo_checks import identity_name
from keras_face.inspection.sources import Photos
from keras_face.photos.template import UNKNOWN

HEIGHT = 112  # of the crops as the detector sees them; distances are in pixels of these
# LFW, 120 crops, median distance: aligned 2.8; shifted by 4 pixels 4.7, by 8 7.9; turned by 10 degrees 5.0; 15 %
# smaller 4.9; 250x250 photos cut to their middle 7.6, or shrunk whole 14.7. Drawn people 3.1.
_OFF, _FAR_OFF, _ONE_OFF = 4.0, 6.0, 10.0
_FEWEST_FOUND = 0.5  # share of the sample
_SMALLEST_FACE = 40  # pixels; a crop holds a face of about 80
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where the faces of a sample lie.

    Args:
        numbers: int [sample], which photos were looked at.
        landmarks: float32 [sample, 5, 2], pixels of crops of height 112; NaN where no face was found.
        expected: float32 [5, 2], where the template has them, the same pixels.
    """

    numbers: np.ndarray
    landmarks: np.ndarray
    expected: np.ndarray

    @property
    def found(self) -> float:
        """The share of the sample in which a face was found."""
        return float(np.isfinite(self.distances).mean()) if len(self.numbers) else math.nan

    @property
    def distances(self) -> np.ndarray:
        """float32 [sample]: mean distance of the five landmarks from the template's, pixels of height 112."""
        return np.linalg.norm(self.landmarks - self.expected, axis=2).mean(axis=1)

    @property
    def median(self) -> float:
        """The median distance, pixels of height 112."""
        distances = self.distances
        return float(np.median(distances[np.isfinite(distances)])) if np.isfinite(distances).any() else math.nan

    def tendency(self) -> str:
        """Returns how the middle of all faces lies to the template: shifted, turned, larger or smaller."""
        middle = np.nanmedian(self.landmarks, axis=0)
        matrix = similarity(self.expected, middle)
        right, down = middle.mean(axis=0) - self.expected.mean(axis=0)
        scale = math.hypot(matrix[0, 0], matrix[1, 0])
        turn = math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))
        return f"{right:+.1f} pixels right, {down:+.1f} down, turned by {turn:+.1f} degrees, {scale:.2f} times the size"


def place(photos: Photos, scan: Scan, sample_size: int, seed: int = 0) -> Placement | None:
    """Returns where the faces of a random sample of the good photos lie; None if the template is unknown.

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
    for start in range(0, len(numbers), _BATCH):
        contents = [photos.read(int(number)) for number in numbers[start : start + _BATCH]]
        images = [image for _, image in decode_all(contents, size) if image is not None]
        for place, faces in enumerate(_detector()([_to_height(image) for image in images]), start):
            if faces:
                landmarks[place] = max(faces, key=lambda face: float(face.box[2] * face.box[3])).landmarks
    return Placement(numbers, landmarks, expected)


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
    if placement.found < _FEWEST_FOUND:
        what = (
            f"in {1 - placement.found:.0%} of {len(placement.numbers)} crops no face was found: "
            "no faces, upside down, much covered, or not cropped"
        )
        return [Finding(WARNING, "alignment", what, align, _entries(photos, placement, np.isnan(placement.distances)))]
    # The comparison with NaN is false: photos without a face are no outliers.
    outliers = _entries(photos, placement, placement.distances > _ONE_OFF)
    name = supposed_template(photos)
    told = f"{placement.median:.1f} pixels from the template {name} (of a crop 112 high; aligned: about 3)"
    if placement.median > _OFF:
        severity = ERROR if placement.median > _FAR_OFF else WARNING
        what = f"the faces are not aligned: in the median {told}; together {placement.tendency()}"
        return [Finding(severity, "alignment", what, align, outliers)]
    unsaid = []
    if photos.template == UNKNOWN:
        say = f"--template {name} when records are written, or template = {name} in the dataset's section of a config"
        what = f"nobody said what the photos are aligned to; the faces are {told}"
        unsaid = [Finding(NOTE, "template", what, say)]
    if outliers:
        what = (
            f"{len(outliers)} of {len(placement.numbers)} crops that were looked at are more than {_ONE_OFF:.0f} "
            f"pixels off the template, or show another face too; in the median {told}"
        )
        return [*unsaid, Finding(NOTE, "alignment", what, f"look at the list; {align}", outliers)]
    return unsaid


def check_templates(first: Photos, second: Photos) -> list[Finding]:
    """Returns whether two datasets are aligned differently."""
    if first.template == second.template or UNKNOWN in (first.template, second.template):
        return []
    what = f"{first.name} is aligned to {first.template}, {second.name} to {second.template}: no training mixes them"
    source = f"--source PHOTOS --output_dir {second.path}_aligned  # of the whole photos"
    mend = f"python -m tfrecords_tools.align --template {first.template} {source}"
    return [Finding(WARNING, "template", what, mend)]


def _entries(photos: Photos, placement: Placement, chosen: np.ndarray) -> list[Entry]:
    found = []
    for number, distance in zip(placement.numbers[chosen].tolist(), placement.distances[chosen].tolist(), strict=True):
        what = "no face found" if math.isnan(distance) else f"{distance:.1f} pixels off the template"
        found.append(Entry(photos.photo_name(number), identity_name(photos, number), what, None, LOOK))
    return found


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
