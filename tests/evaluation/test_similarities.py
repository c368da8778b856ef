import numpy as np
import pytest

from keras_face.evaluation.distractors import identify_among_distractors
from keras_face.evaluation.identification import search, tpir_at_fpir
from keras_face.evaluation.similarities import first_equal, pair_cosines


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("size", [7, 128, 511, 512])
def test_the_cosine_of_a_pair_does_not_depend_on_its_place(random, size):
    rows = unit(random.normal(size=(90, size)))
    twice = np.concatenate([rows, rows])
    left, right = random.integers(0, 90, 500), random.integers(0, 90, 500)
    found = pair_cosines(twice, left, right)
    expected = [np.dot(rows[a].astype(float), rows[b]) for a, b in zip(left, right, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for other in ((left + 90, right), (right, left), (right + 90, left)):
        np.testing.assert_array_equal(pair_cosines(twice, *other), found)
    np.testing.assert_array_equal(pair_cosines(twice, left[::-1], right[::-1])[::-1], found)
    assert (pair_cosines(twice, np.arange(90), np.arange(90, 180)) == 1).all()


def test_nearly_the_same_embedding_is_not_the_same(random):
    rows = unit(random.normal(size=(2, 64)))
    rows[1] = rows[0]
    rows[1, 3] = np.nextafter(rows[1, 3], np.float32(2))
    assert first_equal(rows).tolist() == [0, 1]
    assert first_equal(rows[[0, 1, 0, 1]]).tolist() == [0, 1, 0, 1]


def test_the_same_numbers_in_another_order_are_another_row():
    # Their checksums agree.
    assert first_equal(np.array([[1, 2], [2, 1], [1, 2]], np.float32)).tolist() == [0, 1, 0]


@pytest.mark.parametrize("size", [93, 120, 151])
def test_copies_in_a_gallery_are_as_alike_as_their_originals(random, size):
    gallery = unit(random.normal(size=(size, 512)))
    probes = unit(gallery[:20] + 0.05 * random.normal(size=(20, 512)))
    gallery[-20:] = gallery[:20]  # the mates' photos under others' names
    found = search(probes, np.arange(20), gallery, np.arange(size))
    assert found.rank.tolist() == [2] * 20
    np.testing.assert_array_equal(found.mate_similarity, found.other_similarity)


def test_a_probe_is_at_exactly_one_of_its_own_embedding(random):
    gallery = unit(random.normal(size=(131, 512)))
    found = search(gallery, np.arange(131), gallery, np.arange(131))
    assert (found.mate_similarity == 1).all()


def test_two_probes_that_are_nearest_to_each_other_are_accepted_together(random):
    # Nobody among the first 40 has a mate; they come in twos, each the other's nearest: no threshold divides two.
    pairs = np.repeat(unit(random.normal(size=(20, 512))), 2, axis=0)
    rows = np.concatenate([unit(pairs + 0.02 * random.normal(size=(40, 512))), unit(random.normal(size=(1, 512)))])
    rows = np.concatenate([rows, rows[-1:]])
    labels = np.append(np.arange(41), 40)
    found = search(rows, labels, rows, labels, itself=np.arange(42))
    nearest = found.other_similarity[:40]
    np.testing.assert_array_equal(nearest[::2], nearest[1::2])
    assert np.count_nonzero(nearest > tpir_at_fpir(found, 5 / 40).threshold) == 4  # five are allowed


@pytest.mark.parametrize("count", [61, 96, 143])
def test_distractors_that_are_probes_are_as_alike_as_those(random, count):
    probes = unit(random.normal(size=(20, 512)))
    probes[1::2] = unit(probes[::2] + 0.03 * random.normal(size=(10, 512)))
    others = unit(random.normal(size=(count, 512)))
    labels = np.repeat(np.arange(10), 2)
    one = others.copy()
    one[-1] = probes[1]  # the mate of the first probe; and the second probe itself
    assert identify_among_distractors(probes, labels, one, fars=(0.1,)).rank_1 == pytest.approx(0.9)
    others[-20:] = probes
    assert identify_among_distractors(probes, labels, others, fars=(0.1,)).rank_1 == 0
