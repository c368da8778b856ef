"""Who a drawn person is, and what changes from photo to photo; both pure functions of a seed.

Every number of a `Person` or of `Conditions` declares its own distribution, so that one loop draws them all.
Lengths are pixels of an average face seen from the front in a 112x112 crop, x to the right, y down, from the
tip of the nose. Colours and amounts are in [0, 1] unless said otherwise; angles are radians.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

NUM_BACKGROUNDS = 48
OCCLUSIONS = ("none", "sunglasses", "mask", "hand", "object")
FRAMES_PER_KEY = 12
_PERSON, _PHOTO, _TRACK = range(3)  # streams of random numbers that never meet


def _trait(mean: float, deviation: float, low: float = -np.inf, high: float = np.inf) -> Any:
    """Field of a Person: normal with this mean and deviation, kept in [low, high]."""
    return dataclasses.field(metadata={"mean": mean, "deviation": deviation, "low": low, "high": high})


def _nuisance(
    easy: float, hard: float, mean: float = 0.0, low: float = -np.inf, high: float = np.inf, moves: bool = True
) -> Any:
    """Field of Conditions: deviation `easy` at difficulty 0, `hard` at 1; `moves` if it changes within a track."""
    return dataclasses.field(
        metadata={"mean": mean, "easy": easy, "hard": hard, "low": low, "high": high, "moves": moves}
    )


# The camera, the room, the make-up: one value for all frames of a track.
_setting = functools.partial(_nuisance, moves=False)


@dataclasses.dataclass(frozen=True)
class Person:
    """What stays the same in all photos of a person; made by `person`."""

    face_width: float = _trait(37.5, 2.2)  # half of it, at the cheekbones
    forehead_width: float = _trait(0.92, 0.05)  # share of face_width
    jaw_width: float = _trait(0.82, 0.07)  # share of face_width
    chin_width: float = _trait(0.43, 0.08)  # share of face_width
    chin_y: float = _trait(45.0, 2.8)
    depth: float = _trait(29.0, 2.5)

    melanin: float = _trait(0.38, 0.27, 0, 1)
    warmth: float = _trait(0.0, 1.0)  # of the skin; deviations
    blush: float = _trait(0.3, 0.25, 0, 1)
    age: float = _trait(0.25, 0.4, 0, 1)
    freckles: float = _trait(-0.2, 0.5, 0, 1)

    eye_x: float = _trait(17.2, 1.3)
    eye_width: float = _trait(6.6, 0.7)
    eye_height: float = _trait(3.0, 0.55)
    eye_tilt: float = _trait(0.05, 0.10)  # outer corner up
    eye_colour: float = _trait(0.45, 0.4, 0, 1)
    iris: float = _trait(3.0, 0.2)
    socket: float = _trait(0.4, 0.3, 0, 1)
    lid_fold: float = _trait(0.5, 0.4, 0, 1)
    lashes: float = _trait(0.45, 0.35, 0, 1)

    brow_y: float = _trait(-30.5, 1.4)
    brow_x: float = _trait(17.0, 1.4)
    brow_width: float = _trait(9.3, 1.1)
    brow_thickness: float = _trait(1.7, 0.6, 0.5, 4)
    brow_arch: float = _trait(2.2, 1.2)
    brow_tilt: float = _trait(0.0, 0.11)
    brow_colour: float = _trait(0.65, 0.25, 0.15, 1)  # how much of it is hair

    nose_y: float = _trait(0.0, 1.8)
    nose_width: float = _trait(7.0, 1.1)
    nose_bridge: float = _trait(2.8, 0.6, 1.2, 5)
    nose_height: float = _trait(12.0, 2.4)
    nose_bend: float = _trait(0.0, 0.7)
    nostril: float = _trait(1.5, 0.3, 0.7, 2.4)

    mouth_y: float = _trait(20.5, 1.7)
    mouth_width: float = _trait(13.5, 1.6)
    mouth_corner: float = _trait(0.0, 0.9)
    upper_lip: float = _trait(2.6, 0.8, 0.8, 5)
    lower_lip: float = _trait(3.6, 0.9, 1.2, 6)
    cupid: float = _trait(0.9, 0.5, 0, 2)
    lip_red: float = _trait(0.5, 0.25, 0, 1)

    hair_dark: float = _trait(0.62, 0.32, 0, 1)
    hair_red: float = _trait(0.2, 0.35, 0, 1)
    hair_grey: float = _trait(-0.4, 0.55, 0, 1)
    hair_volume: float = _trait(4.0, 3.0, -1, 14)
    hair_length: float = _trait(0.0, 38.0, -25, 75)  # y to which it falls beside the face
    hair_curl: float = _trait(0.4, 0.4, 0, 1)
    hairline_y: float = _trait(-49.0, 4.0)
    hairline_peak: float = _trait(1.0, 2.5)  # in the middle; negative is receding
    hair_part: float = _trait(0.0, 12.0)
    fringe: float = _trait(2.0, 6.0, 0, 18)
    beard: float = _trait(-0.35, 0.6, 0, 1)
    moustache: float = _trait(-0.35, 0.6, 0, 1)

    ear_size: float = _trait(8.0, 1.3)
    ear_out: float = _trait(4.0, 1.3)
    brow_asymmetry: float = _trait(0.0, 0.8)
    mouth_asymmetry: float = _trait(0.0, 0.8)
    wears_glasses: float = _trait(0.15, 0.3, 0, 1)  # share of the photos
    frame_size: float = _trait(9.5, 1.2)
    frame_roundness: float = _trait(3.2, 0.9, 2, 6)  # exponent of a superellipse
    frame_colour: float = _trait(0.25, 0.25, 0, 1)
    mole_x: tuple[float, ...] = ()
    mole_y: tuple[float, ...] = ()
    mole_size: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What changes from photo to photo of a person; made by `conditions` and `track_conditions`."""

    yaw: float = _nuisance(0.06, 0.48, low=-0.85, high=0.85)
    pitch: float = _nuisance(0.03, 0.22, low=-0.45, high=0.45)
    shift_x: float = _nuisance(0.4, 1.8)  # error of the alignment, pixels
    shift_y: float = _nuisance(0.4, 1.8)
    zoom: float = _nuisance(0.008, 0.05)  # log
    roll: float = _nuisance(0.01, 0.07)

    smile: float = _nuisance(0.25, 0.7, mean=0.15, low=-1, high=1.5)
    mouth_open: float = _nuisance(0.3, 3.4, mean=-0.2, low=0, high=9)  # pixels
    brow_raise: float = _nuisance(0.3, 1.7)  # pixels
    eye_open: float = _nuisance(0.06, 0.28, mean=1.0, low=0, high=1.35)
    gaze_x: float = _nuisance(0.4, 1.5)  # pixels
    gaze_y: float = _nuisance(0.2, 0.7)

    light_x: float = _nuisance(0.15, 0.9)  # direction towards the light, in units of its distance in front
    light_y: float = _nuisance(0.1, 0.45, mean=-0.2)
    shadow: float = _setting(0.15, 0.45, mean=-0.25, low=0, high=0.75)  # strength of one cast shadow
    shadow_angle: float = _setting(2.0, 2.0)
    shadow_offset: float = _nuisance(10, 22)
    ambient: float = _setting(0.05, 0.17, mean=0.55, low=0.15, high=0.9)
    exposure: float = _setting(0.06, 0.34, low=-0.9, high=0.6)  # log
    temperature: float = _setting(0.02, 0.15)  # log of red over green and of green over blue
    tint: float = _setting(0.01, 0.06)
    saturation: float = _setting(0.05, 0.32, mean=0.95, low=0, high=1.6)
    contrast: float = _setting(0.04, 0.2, mean=1.0, low=0.5, high=1.5)

    blur: float = _setting(0.2, 1.1, mean=-0.1, low=0, high=2.6)  # deviation, pixels
    motion: float = _nuisance(0.2, 2.0, mean=-0.5, low=0, high=5)  # pixels, sideways
    resolution: float = _setting(0.1, 0.4, mean=1.1, low=0.22, high=1)  # share of the crop's
    noise: float = _setting(1.0, 5.0, mean=1.5, low=0, high=14)  # deviation, of 255

    hair_ruffle: float = _setting(0.3, 2.5)
    growth: float = _setting(0.03, 0.25)  # of the beard
    lipstick: float = _setting(0.1, 0.35, mean=-0.25, low=0, high=0.9)
    lipstick_hue: float = _setting(1, 1)
    background_x: float = _nuisance(6, 10)
    background_y: float = _nuisance(6, 10)
    occluder_x: float = _nuisance(8, 22)
    occluder_y: float = _nuisance(8, 22)

    background: int = 0
    glasses: float = 1.0  # worn if below the person's wears_glasses
    hat: bool = False
    occlusion: str = "none"
    paint: tuple[float, float, float] = (0.5, 0.5, 0.5)  # RGB of the hat or of what is in the way
    noise_seed: int = 0


def _distributions(parameters: type) -> tuple[list[str], dict[str, np.ndarray]]:
    """Names of the fields drawn at random, and the columns of their distributions."""
    drawn = [field for field in dataclasses.fields(parameters) if field.metadata]
    columns = {key: np.array([field.metadata[key] for field in drawn]) for key in drawn[0].metadata}
    return [field.name for field in drawn], columns


_TRAIT_NAMES, _TRAITS = _distributions(Person)
_NUISANCE_NAMES, _NUISANCES = _distributions(Conditions)


def person(seed: int, index: int, difficulty: float = 0.5) -> Person:
    """The person of this number; people of other numbers or seeds are other people.

    Args:
        seed: Of the whole population, >= 0.
        index: Of the person, >= 0. Test people are disjoint from training people if their indices are.
        difficulty: In [0, 1]; the higher, the more all people look alike.

    Returns: the same person on every call.
    Raises: ValueError if difficulty is out of range.
    """
    _check_difficulty(difficulty)
    random = _random(seed, _PERSON, index)
    spread = 1.25 - 0.6 * difficulty
    values = _TRAITS["mean"] + spread * _TRAITS["deviation"] * _normal(random, len(_TRAIT_NAMES))
    values = np.clip(values, _TRAITS["low"], _TRAITS["high"])
    moles = random.random((3, random.integers(0, 5)))
    return Person(
        **dict(zip(_TRAIT_NAMES, values.tolist(), strict=True)),
        mole_x=tuple((-26 + 52 * moles[0]).tolist()),
        mole_y=tuple((-40 + 75 * moles[1]).tolist()),
        mole_size=tuple((0.5 + 0.8 * moles[2]).tolist()),
    )


def conditions(seed: int, person_index: int, photo_index: int, difficulty: float = 0.5) -> Conditions:
    """The conditions of one photo of one person; those of any other photo are independent of them.

    Args:
        seed: Of the whole population, >= 0.
        person_index: Of the person, >= 0.
        photo_index: Of the photo among those of the person, >= 0.
        difficulty: In [0, 1]; 0 is a passport photo, 1 a bad surveillance camera. The same photo at another
            difficulty has the same deviations in the same directions, smaller or larger.

    Returns: the same conditions on every call.
    Raises: ValueError if difficulty is out of range.
    """
    _check_difficulty(difficulty)
    random = _random(seed, _PHOTO, person_index, photo_index)
    return _with_choices(_normal(random, len(_NUISANCE_NAMES))[None], difficulty, random)[0]


def track_conditions(
    seed: int, person_index: int, track_index: int, num_frames: int, difficulty: float = 0.5
) -> list[Conditions]:
    """The conditions of the frames of one track of one person: a smooth path through conditions.

    Pose, expression, light and what is in the way pass through random key frames, twelve frames apart, that
    resemble each other; the camera and the room stay the same.

    Args:
        seed: Of the whole population, >= 0.
        person_index: Of the person, >= 0.
        track_index: Of the track among those of the person, >= 0.
        num_frames: Length of the track, >= 1.
        difficulty: In [0, 1], as in `conditions`.

    Returns: the conditions of each frame, the same on every call.
    Raises: ValueError if difficulty or num_frames is out of range.
    """
    _check_difficulty(difficulty)
    if num_frames < 1:
        raise ValueError(f"num_frames must be at least 1, got {num_frames}")
    random = _random(seed, _TRACK, person_index, track_index)
    time = np.arange(num_frames) / FRAMES_PER_KEY
    base = _normal(random, len(_NUISANCE_NAMES))
    # 0.7 and 0.714: the variance of a key frame is that of a photo.
    keys = 0.7 * base + 0.714 * _normal(random, (int(time[-1]) + 2, len(_NUISANCE_NAMES)))
    before = time.astype(int)
    weight = time - before
    weight = (weight * weight * (3 - 2 * weight))[:, None]  # no jerk at a key
    path = (1 - weight) * keys[before] + weight * keys[before + 1]
    return _with_choices(np.where(_NUISANCES["moves"], path, base), difficulty, random)


def _with_choices(deviations: np.ndarray, difficulty: float, random: np.random.Generator) -> list[Conditions]:
    """Conditions from deviations [frames, nuisances]; what is chosen at random is the same in all of them."""
    scale = (1 - difficulty) * _NUISANCES["easy"] + difficulty * _NUISANCES["hard"]
    values = np.clip(_NUISANCES["mean"] + scale * deviations, _NUISANCES["low"], _NUISANCES["high"]).tolist()
    chance = random.random(7).tolist()
    covered = chance[0] < 0.35 * difficulty
    choices: dict[str, Any] = {
        "background": int(NUM_BACKGROUNDS * chance[1]),
        "glasses": chance[2],
        "hat": chance[3] < 0.2 * difficulty,
        "occlusion": OCCLUSIONS[1 + int(chance[0] / (0.35 * difficulty) * 4)] if covered else "none",
        "paint": tuple(chance[4:]),
    }
    noise_seeds = random.integers(0, 1 << 12, len(values)).tolist()
    return [
        Conditions(**dict(zip(_NUISANCE_NAMES, row, strict=True)), noise_seed=noise_seed, **choices)
        for row, noise_seed in zip(values, noise_seeds, strict=True)
    ]


def _random(seed: int, *stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *stream])))


def _normal(random: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    """Normal deviations without the tails, in which faces fall apart."""
    return np.clip(random.standard_normal(shape), -2.2, 2.2)


def _check_difficulty(difficulty: float) -> None:
    if not 0 <= difficulty <= 1:
        raise ValueError(f"difficulty must be in [0, 1], got {difficulty}")
