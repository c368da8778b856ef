"""Following faces: assignment, tracks of drawn people whose truth is known, cuts."""

import itertools

import cv2
import numpy as np
import pytest

from keras_face.sequences import appearance
from keras_face.sequences.assignment import assign
from keras_face.sequences.cuts import Cuts
from keras_face.sequences.tracking import Sighting, Tracker, overlap
from keras_face.synthetic.face import draw
from keras_face.synthetic.people import person, track_conditions

PEOPLE = 8
FRAMES = 40


@pytest.fixture(scope="module")
def looks() -> list[list[appearance.Look]]:
    """How each of some drawn people looks, in each frame of a smooth track."""
    return [
        [appearance.look(draw(person(3, index), frame)) for frame in track_conditions(3, index, 0, FRAMES, 0.2)]
        for index in range(PEOPLE)
    ]


def best_total(scores: np.ndarray) -> float:
    """Returns the largest sum of a one-to-one assignment, by trying all."""
    rows, columns = scores.shape
    padded = np.zeros((rows, columns + rows))  # as many columns of nobody as there are rows
    padded[:, :columns] = np.maximum(scores, 0)
    return max(
        sum(padded[row, column] for row, column in enumerate(chosen))
        for chosen in itertools.permutations(range(columns + rows), rows)
    )


@pytest.mark.parametrize("rows, columns", [(1, 1), (1, 4), (4, 1), (2, 3), (3, 2), (3, 3), (4, 3)])
def test_assignment_is_as_good_as_the_best_of_all(rows, columns):
    random = np.random.default_rng(rows * 10 + columns)
    for _ in range(25):
        scores = np.where(random.random((rows, columns)) < 0.4, 0, random.normal(0.3, 1, (rows, columns)).round(1))
        pairs = assign(scores)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
        assert all(scores[pair] > 0 for pair in pairs)
        assert sum(scores[pair] for pair in pairs) == pytest.approx(best_total(scores), abs=1e-9)


def test_a_large_assignment_is_as_good_as_scipys():
    optimize = pytest.importorskip("scipy.optimize")
    for seed, shape in enumerate([(60, 40), (40, 60), (50, 50)]):
        scores = np.random.default_rng(seed).random(shape)
        expected = scores[optimize.linear_sum_assignment(scores, maximize=True)].sum()
        assert sum(scores[pair] for pair in assign(scores)) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_where_there_is_nothing_to_assign_there_are_no_pairs(shape):
    assert assign(np.zeros(shape)) == []


def test_overlap_is_the_share_of_common_pixels():
    first, second = np.array([2, 3, 10, 20]), np.array([5, 9, 12, 8])
    masks = np.zeros((2, 60, 60), bool)
    for mask, (left, top, width, height) in zip(masks, (first, second), strict=True):
        mask[top : top + height, left : left + width] = True
    assert overlap(first, second) == pytest.approx((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum())
    assert overlap(first, first + np.array([10, 0, 0, 0])) == 0


def follow(tracker: Tracker, film) -> tuple[dict[int, list[int]], list[int]]:
    """Returns whom each track shows in each of its frames, and the numbers of ended tracks in order.

    Args:
        film: Of each frame the faces: (person, box, look); None: a cut before the next frame.
    """
    shown: dict[int, list[int]] = {}
    all_ended, cut = [], False
    for faces in film:
        if faces is None:
            cut = True
            continue
        numbers, ended = tracker([Sighting(np.asarray(box, float), look) for _, box, look in faces], cut)
        all_ended += ended
        assert len(set(numbers)) == len(numbers)
        for number, (shown_person, _, _) in zip(numbers, faces, strict=True):
            assert number not in all_ended
            shown.setdefault(number, []).append(shown_person)
        cut = False
    all_ended += tracker.end()
    assert sorted(all_ended) == sorted(shown)
    return shown, all_ended


def test_faces_that_move_apart_are_one_track_each(looks):
    film = [
        [(person, (60 * person + 3 * frame, 50 + 2 * frame, 50, 60), looks[person][frame]) for person in range(4)]
        for frame in range(FRAMES)
    ]
    shown, _ = follow(Tracker(), [faces[:: -1 if frame % 2 else 1] for frame, faces in enumerate(film)])
    assert sorted(shown.values()) == [[person] * FRAMES for person in range(4)]


@pytest.mark.parametrize("speed", [2, 5, 8, 13, 21])
@pytest.mark.parametrize("hidden", [False, True])
def test_people_who_cross_are_never_in_one_track(looks, speed, hidden):
    """The one behind may be found all the time, or not while the other one is before."""
    for left, right in itertools.combinations(range(PEOPLE), 2):
        film = []
        for frame in range(FRAMES):
            shift = speed * (frame - FRAMES // 2)
            boxes = np.array([[200 + shift, 50, 50, 60], [200 - shift, 54, 50, 60]])
            faces = [(left, boxes[0], looks[left][frame]), (right, boxes[1], looks[right][frame])]
            if hidden and overlap(*boxes) > 0.2:
                del faces[1]
            film.append(faces)
        shown, _ = follow(Tracker(), film)
        assert all(len(set(people)) == 1 for people in shown.values()), (left, right)
        longest = {people[0]: 0 for people in shown.values()}
        for people in shown.values():
            longest[people[0]] = max(longest[people[0]], len(people))
        assert min(longest.values()) >= FRAMES // 2 - 8  # until they meet


def test_tracks_of_people_who_look_the_same_end_where_they_cross(looks):
    """What follows the overlap alone carries each of them on with the other one."""
    film = []
    for frame in range(20):
        shift = 20 * (frame - 10) + 10  # they change places from frame 9 to frame 10
        film.append([(0, (200 + shift, 50, 50, 60), looks[0][0]), (1, (200 - shift, 50, 50, 60), looks[0][0])])
    shown, _ = follow(Tracker(), film)
    assert all(len(set(people)) == 1 for people in shown.values())
    assert overlap(*(np.array(film[frame][person][1]) for frame, person in ((9, 0), (10, 1)))) == 1


def test_a_cut_ends_all_tracks_even_if_the_same_person_goes_on(looks):
    frames = [[(0, (50, 50, 50, 60), looks[0][frame])] for frame in range(10)]
    assert list(follow(Tracker(), frames)[0].values()) == [[0] * 10]
    assert list(follow(Tracker(), [*frames[:4], None, *frames[4:]])[0].values()) == [[0] * 4, [0] * 6]


def test_another_person_in_the_same_place_begins_a_track_even_if_no_cut_was_seen(looks):
    for first, second in itertools.permutations(range(PEOPLE), 2):
        film = [[(person, (50, 50, 50, 60), looks[person][0])] for person in [first] * 3 + [second] * 3]
        assert list(follow(Tracker(), film)[0].values()) == [[first] * 3, [second] * 3], (first, second)


@pytest.mark.parametrize("gap", [0, 1, 2, 3, 4, 5])
def test_a_track_outlives_as_many_frames_without_its_face_as_allowed(looks, gap):
    face = (0, (50, 50, 50, 60), looks[0][0])
    film = [[face]] * 3 + [[]] * gap + [[face]] * 2
    for allowed in range(6):
        shown, _ = follow(Tracker(max_gap=allowed), film)
        assert list(shown.values()) == ([[0] * 5] if gap <= allowed else [[0] * 3, [0] * 2])


def test_a_face_must_overlap_and_resemble_as_much_as_asked(looks):
    one, other = looks[0][0], looks[0][6]
    alike = appearance.similarity(one, other)
    assert 0.1 < alike < appearance.similarity(one, one) == pytest.approx(1)
    film = [[(0, (0, 0, 10, 10), one)], [(0, (5, 0, 10, 10), other)]]  # the overlap is a third
    for min_overlap, min_similarity, tracks in (
        (0.33, alike - 0.01, 1),
        (0.34, alike - 0.01, 2),
        (0.33, alike + 0.01, 2),
    ):
        assert len(follow(Tracker(min_overlap, min_similarity), film)[0]) == tracks


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"min_overlap": 0}, "min_overlap must be in"),
        ({"min_similarity": 1.5}, "min_similarity must be in"),
        ({"max_gap": -1}, "max_gap must be"),
        ({"min_overlap": float("nan")}, "min_overlap must be in"),
    ],
)
def test_settings_of_the_tracker_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Tracker(**arguments)


def scene(seed: int, width: int = 320, height: int = 180) -> np.ndarray:
    """Returns a picture of soft patches of colour."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def test_a_cut_is_seen_but_not_in_motion_noise_a_change_of_exposure_or_a_dark_film():
    random = np.random.default_rng(0)
    cuts = Cuts()
    wide = scene(1, 640, 180)
    panned = [wide[:, 3 * step : 3 * step + 320] for step in range(20)]
    brighter = np.minimum(panned[-1].astype(int) + 10, 255).astype(np.uint8)
    noisy = np.clip(brighter + random.normal(0, 8, (180, 320, 3)), 0, 255).astype(np.uint8)
    assert not any(map(cuts, [*panned, brighter, noisy]))
    black = np.zeros((180, 320, 3), np.uint8)
    dark = np.clip(random.normal(2, 1, (180, 320, 3)), 0, 255).astype(np.uint8)
    film = [scene(5), scene(6), scene(6), scene(7), black, dark, black, scene(8), scene(8, 300)]
    # Black is a shot of its own, and a picture of another size another film.
    assert [cuts(frame) for frame in film] == [True, True, False, True, True, False, False, True, True]


def test_cuts_of_drawn_scenes_are_seen_and_nothing_else():
    random = np.random.default_rng(1)
    expected, found, cuts = [], [], Cuts()
    for shot in range(20):
        picture = scene(100 + shot)
        for frame in range(random.integers(1, 6)):
            expected.append(shot > 0 and frame == 0)
            found.append(cuts(np.clip(picture + random.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)))
    assert found == expected
