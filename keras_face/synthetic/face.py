"""Draws a person under given conditions as an aligned 112x112 crop."""

import cv2
import numpy as np

from keras_face.synthetic.camera import SIZE, background, photograph
from keras_face.synthetic.people import Conditions, Person
from keras_face.synthetic.shapes import FRACTION_BITS, JAW, SIDES, shapes

Colour = tuple[float, float, float]

_SKIN = ((0.0, 0.3, 0.65, 1.0), ((242, 212, 192), (222, 178, 148), (154, 106, 78), (82, 54, 42)))
_HAIR = ((0.0, 0.4, 0.75, 1.0), ((222, 194, 138), (142, 100, 60), (66, 44, 32), (24, 20, 20)))
_IRIS = ((0.0, 0.35, 0.6, 0.8, 1.0), ((58, 36, 24), (112, 74, 40), (118, 112, 62), (92, 126, 104), (110, 150, 190)))
_FRAME = ((0.0, 0.4, 0.7, 1.0), ((22, 20, 20), (84, 46, 28), (128, 126, 130), (190, 160, 90)))
_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (0, 0, 0)


def draw(person: Person, conditions: Conditions) -> np.ndarray:
    """The photo of this person under these conditions.

    A pure function; about 0.6 ms on one core. The places of eyes, nose and mouth are those of the ArcFace template
    (`synthetic_pose.TEMPLATE`), as far as pose and the conditions' alignment errors allow.

    Args:
        person: Who it is.
        conditions: All the rest.

    Returns: uint8 [112, 112, 3], RGB.
    """
    curves = shapes(person, conditions)
    canvas = _paint(background(conditions), curves, person, conditions)
    head_x, head_y = (curves["middle"][0] / (1 << FRACTION_BITS)).tolist()
    return photograph(canvas, head_x, head_y, conditions)


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour in the first."""
    rest = 1 - share
    return (
        rest * first[0] + share * second[0],
        rest * first[1] + share * second[1],
        rest * first[2] + share * second[2],
    )


def _ramp(ramp: tuple[tuple[float, ...], tuple[Colour, ...]], place: float) -> Colour:
    """The colour at a place in [0, 1] of a ramp of colours."""
    places, colours = ramp
    for i in range(1, len(places)):
        if place <= places[i]:
            return _mix(colours[i - 1], colours[i], (place - places[i - 1]) / (places[i] - places[i - 1]))
    return colours[-1]


def _fill(canvas: np.ndarray, curve: np.ndarray, colour: Colour) -> None:
    cv2.fillPoly(canvas, [curve], colour, cv2.LINE_AA, FRACTION_BITS)


def _fill_soft(canvas: np.ndarray, curve: np.ndarray, colour: Colour) -> None:
    """`_fill` of what is blurred later, whose edges need no smoothing; twice as fast."""
    cv2.fillPoly(canvas, [curve], colour, cv2.LINE_8, FRACTION_BITS)


def _line(canvas: np.ndarray, curve: np.ndarray, colour: Colour, thickness: int = 1, closed: bool = False) -> None:
    cv2.polylines(canvas, [curve], closed, colour, thickness, cv2.LINE_AA, FRACTION_BITS)


def _paint(canvas: np.ndarray, curves: dict[str, np.ndarray], person: Person, conditions: Conditions) -> np.ndarray:
    """Paints head and hair from back to front, in even light."""
    skin = _ramp(_SKIN, person.melanin)
    skin = (skin[0] + 4 * person.warmth, skin[1], skin[2] - 5 * person.warmth)
    hair_dark = min(1.0, person.hair_dark + 0.6 * max(0.0, person.melanin - 0.35))
    hair = _mix(_ramp(_HAIR, hair_dark), (150, 62, 24), 0.6 * person.hair_red)
    hair = _mix(hair, (186, 186, 190), 0.9 * person.hair_grey)
    long_hair = person.hair_length > -18 and person.hair_volume > 0

    _fill_soft(canvas, curves["hair_back"], _mix(hair, _BLACK, 0.25))
    _fill_soft(canvas, curves["neck"], _mix(skin, _BLACK, 0.22))
    for side in SIDES:
        _fill_soft(canvas, curves[f"ear_{side}"], _mix(skin, (160, 60, 50), 0.2))
    _fill_soft(canvas, curves["face"], skin)
    canvas = _paint_relief(canvas, curves, person, conditions, skin, hair)
    _paint_marks(canvas, curves, person, skin)
    for side in SIDES:
        _paint_eye(canvas, curves, side, person, conditions, skin, hair)
    _paint_mouth(canvas, curves, person, conditions, skin)

    _fill(canvas, np.concatenate([curves["hair_top"], curves["hairline"]]), hair)
    if long_hair:
        for side in SIDES:
            _fill(canvas, curves[f"lock_{side}"], hair)
    crown, line = curves["hair_top"][::2], curves["hairline"][9:0:-1]
    strands = np.stack([(2 * crown + line) // 3, (crown + 5 * line) // 6], axis=1)
    cv2.polylines(canvas, list(strands[::2]), False, _mix(hair, _WHITE, 0.09), 1, cv2.LINE_AA, FRACTION_BITS)
    cv2.polylines(canvas, list(strands[1::2]), False, _mix(hair, _BLACK, 0.09), 1, cv2.LINE_AA, FRACTION_BITS)
    _paint_worn(canvas, curves, person, conditions, skin)
    return canvas


def _paint_relief(
    canvas: np.ndarray,
    curves: dict[str, np.ndarray],
    person: Person,
    conditions: Conditions,
    skin: Colour,
    hair: Colour,
) -> np.ndarray:
    """What has no edges: hollows, cheeks, the nose in the light, beard. Returns the canvas blurred."""
    dark = _mix(skin, (60, 20, 20), 0.4)
    cheek = _mix(skin, (196, 74, 66), 0.35 * person.blush)
    fold = min(1.0, 0.15 + 0.6 * person.age + 0.3 * max(0.0, conditions.smile))
    beard = min(1.0, max(0.0, person.beard + conditions.growth * (person.beard > 0)))
    for side in SIDES:
        _fill_soft(canvas, curves[f"cheek_{side}"], cheek)
        _fill_soft(canvas, curves[f"socket_{side}"], _mix(skin, dark, 0.12 + 0.55 * person.socket))
        _line(canvas, curves[f"fold_{side}"], _mix(skin, dark, fold))
        if person.age > 0.3:
            _line(canvas, curves[f"bag_{side}"], _mix(skin, dark, person.age - 0.2))
    if person.age > 0.4:
        _line(canvas, curves["forehead_lines"], _mix(skin, dark, person.age - 0.25))
    if beard > 0.03:
        _fill_soft(canvas, np.concatenate([curves["face"][JAW], curves["beard"]]), _mix(skin, hair, 0.85 * beard))
    if person.moustache > 0.03:
        _fill_soft(canvas, curves["moustache"], _mix(skin, hair, 0.85 * person.moustache))
    _fill_soft(canvas, curves["under_lip"], _mix(skin, dark, 0.45 * (1 - beard)))
    _fill_soft(canvas, curves["under_nose"], _mix(skin, dark, 0.7))
    for sign, side in ((-1, "left"), (1, "right")):
        lit = 0.16 * max(-1.0, min(1.0, sign * conditions.light_x)) - 0.06
        _fill_soft(canvas, curves[f"nose_{side}"], _mix(skin, _WHITE, lit) if lit > 0 else _mix(skin, dark, -2 * lit))
    _line(canvas, curves["ridge"], _mix(skin, _WHITE, 0.22))
    return cv2.GaussianBlur(canvas, (5, 5), 1.2)


def _paint_marks(canvas: np.ndarray, curves: dict[str, np.ndarray], person: Person, skin: Colour) -> None:
    brown = _mix(skin, (92, 40, 20), 0.7)
    if person.freckles > 0.05:
        places = curves["freckles"] >> FRACTION_BITS
        inside = ((places >= 0) & (places < SIZE)).all(1)
        columns, rows = places[inside].T
        canvas[rows, columns] = _mix(skin, brown, 0.9 * person.freckles)
    for place, size in zip(curves["moles"].tolist(), person.mole_size, strict=True):
        radius = int(size * (1 << FRACTION_BITS))
        cv2.circle(canvas, place, radius, brown, -1, cv2.LINE_AA, FRACTION_BITS)


def _paint_eye(
    canvas: np.ndarray,
    curves: dict[str, np.ndarray],
    side: str,
    person: Person,
    conditions: Conditions,
    skin: Colour,
    hair: Colour,
) -> None:
    if conditions.eye_open > 0.12:
        _fill(canvas, curves[f"eye_{side}"], _mix((236, 232, 228), skin, 0.12))
        _fill(canvas, curves[f"iris_{side}"], _ramp(_IRIS, person.eye_colour))
        pupil, catchlight = curves[f"pupil_{side}"].tolist()
        if conditions.eye_open > 0.6:
            cv2.circle(canvas, pupil, 22, (12, 10, 10), -1, cv2.LINE_AA, FRACTION_BITS)
            cv2.circle(canvas, catchlight, 9, (250, 250, 250), -1, cv2.LINE_AA, FRACTION_BITS)
    _line(canvas, curves[f"lid_{side}"], _mix(skin, (30, 16, 12), 0.5 + 0.45 * person.lashes))
    if person.lashes > 0.75:
        _line(canvas, curves[f"lid_{side}"] - (0, 1 << FRACTION_BITS), _mix(skin, (30, 16, 12), person.lashes - 0.3))
    if person.lid_fold > 0.1:
        _line(canvas, curves[f"lid_fold_{side}"], _mix(skin, (70, 30, 24), 0.55 * person.lid_fold))
    _fill(canvas, curves[f"brow_{side}"], _mix(skin, _mix(hair, _BLACK, 0.3), person.brow_colour))
    _line(canvas, curves[f"wing_{side}"], _mix(skin, (70, 30, 24), 0.4))
    _fill(canvas, curves[f"nostril_{side}"], _mix(skin, (40, 14, 12), 0.75))


def _paint_mouth(
    canvas: np.ndarray, curves: dict[str, np.ndarray], person: Person, conditions: Conditions, skin: Colour
) -> None:
    lips = _mix(_mix(skin, (150, 60, 60), 0.35), (190, 66, 72), 0.55 * person.lip_red)
    if conditions.lipstick > 0:
        hue = (170, 30 + 25 * conditions.lipstick_hue, 60 - 25 * conditions.lipstick_hue)
        lips = _mix(lips, hue, conditions.lipstick)
    if conditions.mouth_open > 0.4:
        _fill(canvas, curves["inside"], (62, 20, 22))
        if conditions.smile > -0.2:
            _fill(canvas, curves["teeth"], (232, 226, 214))
    _fill(canvas, curves["upper_lip"], _mix(lips, _BLACK, 0.12))
    _fill(canvas, curves["lower_lip"], _mix(lips, _WHITE, 0.06))
    if conditions.mouth_open <= 0.4:
        _line(canvas, curves["lips_line"], _mix(lips, (40, 8, 10), 0.7))


def _paint_worn(
    canvas: np.ndarray, curves: dict[str, np.ndarray], person: Person, conditions: Conditions, skin: Colour
) -> None:
    """Glasses, hat, and what hides the face."""
    red, green, blue = conditions.paint
    paint = (255 * red, 255 * green, 255 * blue)
    dark_glasses = conditions.occlusion == "sunglasses"
    if dark_glasses or conditions.glasses < person.wears_glasses:
        frame = _ramp(_FRAME, person.frame_colour)
        for side in SIDES:
            if dark_glasses:
                _fill(canvas, curves[f"glass_{side}"], _mix((18, 18, 22), paint, 0.12))
            _line(canvas, curves[f"glass_{side}"], frame, closed=True)
            _line(canvas, curves[f"temple_{side}"], frame)
        _line(canvas, curves["glasses_bridge"], frame)
    if conditions.hat:
        _fill(canvas, np.concatenate([curves["hat_top"], curves["hat_brim"]]), paint)
        _line(canvas, curves["hat_brim"], _mix(paint, _BLACK, 0.4), 2)
    if conditions.occlusion == "mask":
        _fill(canvas, np.concatenate([curves["mask"], curves["face"][9:34]]), _mix(paint, _WHITE, 0.4))
        _line(canvas, curves["mask"], _mix(paint, _BLACK, 0.1))
    elif conditions.occlusion == "hand":
        sign = 1 if conditions.occluder_x > 0 else -1
        x, y = 56 + 16 * sign + 0.4 * conditions.occluder_x, 62 + 0.5 * conditions.occluder_y
        for finger in range(4):
            tip = _fixed(x + 2 * sign * finger, y + 9 * finger)
            end = _fixed(56 + 75 * sign, y + 9 * finger + 26)
            for colour, thickness in ((_mix(skin, _BLACK, 0.35), 10), (_mix(skin, _BLACK, 0.06), 8)):
                cv2.line(canvas, tip, end, colour, thickness, cv2.LINE_AA, FRACTION_BITS)
    elif conditions.occlusion == "object":  # on a stick, such as a microphone
        x, y = 56 + 1.4 * conditions.occluder_x, 76 + 1.2 * conditions.occluder_y
        foot = _fixed(x + 80 * (red - 0.5), 130)
        cv2.line(canvas, _fixed(x, y), foot, _mix(paint, _BLACK, 0.5), 9, cv2.LINE_AA, FRACTION_BITS)
        radius = int((10 + 12 * green) * (1 << FRACTION_BITS))
        cv2.circle(canvas, _fixed(x, y), radius, paint, -1, cv2.LINE_AA, FRACTION_BITS)


def _fixed(x: float, y: float) -> tuple[int, int]:
    return int(x * (1 << FRACTION_BITS)), int(y * (1 << FRACTION_BITS))
