"""What the data doctor keeps of every photo, and how it finds two that are alike."""

import hashlib
import math

import cv2
import numpy as np
import pytest

from keras_face.inspection import angles, clusters, descriptors, duplicates, facts
from keras_face.inspection.thresholds import photo_angle


def faces(count: int, seed: int = 0) -> np.ndarray:
    """Returns float32 [count, 32, 32]: smooth pictures that have a common one in them, as faces do."""
    random = np.random.default_rng(seed)
    common = cv2.GaussianBlur(np.random.default_rng(99).normal(size=(32, 32)), (0, 0), 4)
    own = np.stack([cv2.GaussianBlur(random.normal(size=(32, 32)), (0, 0), 2) for _ in range(count)])
    return (128 + 400 * common + 150 * own).astype(np.float32)


def test_descriptors_are_the_low_frequencies_of_the_cosine_transform():
    photo = faces(1)
    transform = cv2.dct(photo[0])
    frequencies = sorted(np.ndindex(32, 32), key=lambda place: (sum(place), max(place), place[0]))[1:65]
    coefficients = np.array([transform[place] for place in frequencies])
    expected = 128 * coefficients / np.linalg.norm(coefficients)
    np.testing.assert_allclose(descriptors.describe(photo)[0], np.clip(expected, -127, 127), atol=0.51)


def test_descriptors_do_not_see_brightness_and_contrast_and_hardly_noise():
    photos = faces(20)
    described = descriptors.describe(photos)
    np.testing.assert_array_equal(descriptors.describe(0.5 * photos + 30), described)
    noisy = photos + np.random.default_rng(0).normal(0, 2, photos.shape)
    assert duplicates.distance(descriptors.describe(noisy), described).max() < 0.1
    assert duplicates.distance(described[1:], described[:-1]).min() > 0.2


def test_near_pairs_are_those_of_the_comparison_of_all_with_all():
    photos = faces(300)
    copies = photos[:60] + np.random.default_rng(1).normal(0, 3, (60, 32, 32))
    described = descriptors.describe(np.concatenate([photos, copies, copies[:5]]))
    pairs, distance = duplicates.near(described, 0.15)
    unit = described / 128.0
    everything = {}
    for first in range(len(unit)):
        for second in range(first + 1, len(unit)):
            apart = np.linalg.norm(unit[first] - unit[second])
            if apart <= 0.15:
                everything[first, second] = apart
    bits = duplicates.perceptual_bits(described)
    certain = {pair for pair in everything if np.count_nonzero(bits[pair[0]] != bits[pair[1]]) <= 3}
    found = dict(zip(map(tuple, pairs.tolist()), distance, strict=True))
    assert certain <= set(found) <= set(everything)
    assert len(certain) > 50
    assert [found[pair] for pair in found] == pytest.approx([everything[pair] for pair in found], abs=1e-5)


def test_bits_of_photos_that_have_much_in_common_are_even():
    shares = duplicates.perceptual_bits(descriptors.describe(faces(500))).mean(axis=0)
    assert shares.min() > 0.35
    assert shares.max() <= 0.5


def test_hashes_that_come_again_are_grouped_and_missing_ones_are_not():
    groups = duplicates.same(np.array([7, -1, 3, 7, -1, 5, 3, 3]))
    assert [group.tolist() for group in groups] == [[0, 3], [2, 6, 7]]
    assert duplicates.same(np.array([], np.int64)) == []


def test_pairs_that_touch_are_one_group():
    pairs = np.array([[4, 9], [1, 2], [9, 7], [2, 0], [5, 6]])
    assert [group.tolist() for group in duplicates.groups_of(pairs)] == [[0, 1, 2], [4, 7, 9], [5, 6]]


def test_content_hash_is_the_beginning_of_sha1():
    digest = hashlib.sha1(b"abc").hexdigest()
    first_eight = [int(digest[place : place + 2], 16) for place in range(0, 16, 2)]
    assert descriptors.content_hash(b"abc") == sum(byte << 8 * place for place, byte in enumerate(first_eight)) // 2


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()


def test_facts_say_what_the_pixels_are():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (112, 112, 3)).astype(np.uint8)
    reddish = np.zeros((112, 112, 3), np.uint8)
    reddish[28:84, 28:84] = (200, 120, 80)
    contents = [png(image), b"", b"text", png(reddish), png(image[:100]), png(image)[:-40]]
    found, total = facts.chunk_facts(contents, (112, 112))
    assert found["verdict"].tolist() == [facts.GOOD, facts.EMPTY, facts.NO_PHOTO, facts.GOOD, facts.GOOD, facts.DAMAGED]
    assert found["height"].tolist() == [112, 0, 0, 112, 100, 0]
    assert (found["pixels_hash"] < 0).tolist() == [False, True, True, False, False, True]
    assert (found["bytes_hash"] < 0).tolist() == [False, True, False, False, False, False]
    assert found["red_over_blue"][3] == pytest.approx(120)
    assert found["colour"][3] == pytest.approx(120 / 4)  # on a quarter of the photo
    enlarged = cv2.resize(image[:100], (112, 112), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(total, image.astype(np.float32) + reddish + enlarged)


def test_facts_do_not_depend_on_what_a_photo_is_decoded_with():
    random = np.random.default_rng(0)
    contents = [png(random.integers(0, 256, (20, 16, 3)).astype(np.uint8)) for _ in range(5)]
    together, _ = facts.chunk_facts(contents, (20, 16))
    with_damaged, _ = facts.chunk_facts([*contents, b"x"], (20, 16))
    np.testing.assert_array_equal(together, with_damaged[:5])


def around(centre: np.ndarray, count: int, spread: float, random) -> np.ndarray:
    return angles.unit(centre + spread * random.normal(size=(count, len(centre))) / math.sqrt(len(centre)))


def test_robust_angles_hold_while_most_photos_show_one_person():
    random = np.random.default_rng(0)
    people = np.eye(64)[:9]
    photos = np.concatenate([around(people[0], 11, 0.4, random), *(around(p, 1, 0.4, random) for p in people[1:])])
    found = clusters.robust_angles(photos)
    assert found[:11].max() < 0.7
    assert found[11:].min() > 1.2


def test_clusters_are_people_by_size_and_strangers_are_alone():
    random = np.random.default_rng(0)
    people = np.eye(64)
    sizes = (4, 9, 2, 1)
    photos = np.concatenate([around(people[n], size, 0.4, random) for n, size in enumerate(sizes)])
    found = clusters.clusters(photos, max_angle=0.8)
    assert found.tolist() == [1] * 4 + [0] * 9 + [clusters.ALONE] * 3
    assert clusters.clusters(photos, 0.8, min_size=2).tolist() == [1] * 4 + [0] * 9 + [2] * 2 + [clusters.ALONE]
    assert clusters.clusters(photos[[0, 4]], 0.8).tolist() == [clusters.ALONE] * 2
    assert clusters.clusters(photos[:1], 0.8).tolist() == [0]


def test_a_division_in_two_finds_the_two_people():
    random = np.random.default_rng(0)
    photos = np.concatenate([around(np.eye(64)[0], 8, 0.3, random), around(np.eye(64)[1], 5, 0.3, random)])
    smaller, apart = clusters.split(photos)
    assert smaller.tolist() == [False] * 8 + [True] * 5
    assert apart == pytest.approx(math.pi / 2, abs=0.2)


def test_the_photo_angle_is_between_right_photos_and_strangers():
    # 80 % of the own angles are right, up to 0.6; strangers and the wrong ones are from 1.0 to 1.5.
    own = np.concatenate([np.linspace(0.1, 0.6, 800), np.linspace(1.0, 1.5, 200)])
    limit, wrong = photo_angle(own, np.linspace(1.0, 1.5, 1000))
    assert 0.6 < limit < 1.0
    assert wrong == pytest.approx(0.2, abs=0.01)
    # Triangles that overlap, nine tenths right: the least cost is where the densities cross.
    random = np.random.default_rng(0)
    right, strangers = random.triangular(0, 0.5, 1, 90_000), random.triangular(0.6, 1.1, 1.6, 100_000)
    limit, wrong = photo_angle(np.concatenate([right, random.triangular(0.6, 1.1, 1.6, 10_000)]), strangers)
    crossing = (0.9 + 0.1 * 0.6) / (0.9 + 0.1)  # 0.9 * 4 (1 - t) = 0.1 * 4 (t - 0.6)
    assert limit == pytest.approx(crossing, abs=0.03)
    assert wrong == pytest.approx(0.1, abs=0.01)


def test_clean_photos_lose_nothing_and_few_photos_need_an_angle():
    own, strangers = np.linspace(0.1, 0.6, 500), np.linspace(1.0, 1.5, 500)
    limit, wrong = photo_angle(own, strangers)
    assert wrong == 0
    assert 0.6 <= limit <= 1.0
    with pytest.raises(ValueError, match="max_angle_degrees"):
        photo_angle(own[:40], strangers)


def test_people_are_one_within_the_middle_of_the_gap():
    own, others = np.linspace(0.1, 0.4, 50), np.tile(np.linspace(1.0, 1.4, 50), (2, 1))
    others[0, :2] = 0.25  # one person under two names
    assert angles.same_person_angle(own, others) == pytest.approx(0.7)


def test_close_pairs_and_nearest_agree_with_all_angles():
    centres = angles.unit(np.random.default_rng(0).normal(size=(40, 6)))
    every = np.array([[math.acos(np.clip(float(a @ b), -1, 1)) for b in centres] for a in centres])
    pairs, apart = angles.close_pairs(centres[:20], centres[20:], 0.9)
    assert {(a, b + 20) for a, b in pairs.tolist()} == {
        tuple(p) for p in np.argwhere(every <= 0.9).tolist() if p[0] < 20 <= p[1]
    }
    np.testing.assert_allclose(apart, [every[a, b + 20] for a, b in pairs], atol=1e-3)
    np.fill_diagonal(every, math.inf)
    np.testing.assert_allclose(angles.two_nearest(centres), np.sort(every, axis=1)[:, :2].T, atol=1e-3)
    assert angles.two_nearest(centres[:2])[1].tolist() == [math.pi] * 2
