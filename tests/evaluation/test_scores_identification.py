import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from keras_face.evaluation import distractors, identification
from keras_face.evaluation.distractors import identify_among_distractors
from keras_face.evaluation.identification import cmc, identification_rate, mean_average_precision, search, tpir_at_fpir
from keras_face.evaluation.scores import operating_points


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(4)


def people(random, labels, *, size=6, noise=1.2):
    """Embeddings around a direction for each person, of any length."""
    directions = np.random.default_rng(99).normal(0, 1, (50, size))
    return directions[labels] + random.normal(0, noise, (len(labels), size))


def cosines(a, b):
    return np.array([[x @ y / np.linalg.norm(x) / np.linalg.norm(y) for y in b] for x in a])


def test_a_search_finds_the_places_of_the_mates(random):
    probe_labels, gallery_labels = random.integers(0, 12, 40), random.integers(0, 9, 60)  # 9, 10 and 11 have no mate
    probes, gallery = people(random, probe_labels), people(random, gallery_labels)
    found = search(probes, probe_labels, gallery, gallery_labels)
    similarity = cosines(probes, gallery)
    for number, row in enumerate(similarity):
        mate = gallery_labels == probe_labels[number]
        assert found.other_similarity[number] == pytest.approx(row[~mate].max(), abs=1e-6)
        if not mate.any():
            assert (found.rank[number], found.average_precision[number]) == (0, 0)
            assert found.mate_similarity[number] == -np.inf
            continue
        assert found.rank[number] == 1 + np.count_nonzero(row[~mate] >= row[mate].max())
        assert found.mate_similarity[number] == pytest.approx(row[mate].max(), abs=1e-6)
        assert found.average_precision[number] == pytest.approx(metrics.average_precision_score(mate, row))
    mated = np.isin(probe_labels, gallery_labels)
    assert (found.mated == mated).all()
    assert mean_average_precision(found) == pytest.approx(found.average_precision[mated].mean())


def test_the_gallery_is_searched_in_blocks_alike(random, monkeypatch):
    labels = random.integers(0, 9, 50)
    embeddings = people(random, labels)
    whole = search(embeddings, labels, embeddings, labels, itself=np.arange(50))
    monkeypatch.setattr(identification, "_CELLS", 170)
    blocks = search(embeddings, labels, embeddings, labels, itself=np.arange(50))
    np.testing.assert_array_equal(whole.rank, blocks.rank)
    np.testing.assert_allclose(whole.average_precision, blocks.average_precision)


def test_a_probe_is_not_found_as_itself(random):
    labels = np.array([0, 0, 1, 1, 2])
    embeddings = people(random, labels)
    assert (search(embeddings, labels, embeddings, labels).rank == 1).all()
    found = search(embeddings, labels, embeddings, labels, itself=np.arange(5))
    assert found.rank[4] == 0  # nobody else shows person 2
    row = cosines(embeddings[:1], embeddings)[0]
    assert found.rank[0] == 1 + np.count_nonzero(row[2:] >= row[1])


def test_others_as_alike_are_ahead_of_the_mate():
    gallery = np.array([[1, 0], [1, 0], [0, 1], [1, 0]])
    found = search([[2, 0]], [7], gallery, [3, 7, 7, 5])
    assert found.rank.tolist() == [3]
    # Places 3 and 4 of 4 are the two mates.
    assert found.average_precision.tolist() == [pytest.approx((1 / 3 + 2 / 4) / 2)]


def test_cmc_and_rates_count_the_mated_probes():
    ranks = np.array([1, 1, 2, 5, 0, 9])
    found = identification.Search(ranks, *np.zeros((2, 6), np.float32), np.zeros(6))
    assert cmc(found, 6) == pytest.approx(np.array([2, 3, 3, 3, 4, 4]) / 5)
    rate = identification_rate(found, 5)
    expected = stats.binomtest(4, 5).proportion_ci(0.95, method="exact")
    assert (rate.rate, rate.num_mated, rate.rank) == (0.8, 5, 5)
    assert rate.interval == pytest.approx((expected.low, expected.high))
    assert str(rate) == f"0.8000 [{expected.low:.4f}, {expected.high:.4f}]"


@pytest.mark.parametrize("decimals", [12, 1])
@pytest.mark.parametrize("rank", [1, 3])
def test_tpir_takes_the_lowest_threshold_that_keeps_the_fpir(random, rank, decimals):
    ranks = np.append(random.integers(1, 5, 80), np.zeros(100, int))
    mate = np.where(ranks > 0, np.round(random.normal(0.5, 0.2, 180), decimals), -np.inf).astype(np.float32)
    other = np.round(random.normal(0.3, 0.2, 180), decimals).astype(np.float32)
    found = identification.Search(ranks, mate, other, np.zeros(180))
    for fpir in (0.01, 0.1, 1.0):
        rate = tpir_at_fpir(found, fpir, rank)
        candidates = [-9.0, *np.unique(other), *np.unique(mate)]
        kept = [t for t in candidates if np.mean(other[ranks == 0] > t) <= fpir]
        best = max(np.mean((mate[ranks > 0] > t) & (ranks[ranks > 0] <= rank)) for t in kept)
        assert rate.rate == pytest.approx(best)
        assert np.mean(other[ranks == 0] > rate.threshold) <= fpir
        assert (rate.num_mated, rate.num_unmated, rate.fpir) == (80, 100, fpir)
    few = tpir_at_fpir(found, 0.009)
    assert (few.rate, few.threshold) == (None, None)
    assert str(few) == "not measurable with 100 probes without a mate"


@pytest.mark.parametrize("block", [7, 64, 1000])
def test_probes_among_distractors_are_ranked_as_by_the_whole_matrix(random, block):
    labels = np.repeat(np.arange(10), [1, 2, 3, 4, 5, 4, 3, 2, 1, 6])
    probes, others = people(random, labels), random.normal(0, 1, (500, 6))
    result = identify_among_distractors(probes, labels, others, max_rank=15, fars=(1e-1, 1e-3), block=block)
    similarity, mates = cosines(probes, others), cosines(probes, probes)
    ranks = [
        1 + np.count_nonzero(similarity[probe] >= mates[probe, mate])
        for probe in range(31)
        for mate in range(31)
        if mate != probe and labels[mate] == labels[probe]
    ]
    assert result.num_searches == len(ranks)
    assert result.cmc == pytest.approx([np.mean(np.array(ranks) <= rank) for rank in range(1, 16)])
    assert result.rank_1 == result.cmc[0]
    assert (result.num_identities, result.num_probes, result.num_distractors) == (10, 31, 500)
    genuine = [mates[i, j] for i in range(31) for j in range(i) if labels[i] == labels[j]]
    pairs = np.concatenate([genuine, similarity.reshape(-1)])
    expected = operating_points(pairs, np.arange(pairs.size) < len(genuine), (1e-1, 1e-3))
    for point, whole in zip(result.operating_points, expected, strict=True):
        assert (point.tar, point.num_impostor) == (whole.tar, whole.num_impostor)
        assert point.threshold == pytest.approx(whole.threshold, abs=1e-6)
    # Intervals by people: a loop over the resamples of ten people, each in its own pairs and searches.
    owner = np.array([labels[i] for i in range(31) for j in range(i) if labels[i] == labels[j]])
    falling = np.argsort(-similarity.reshape(-1))
    tars = [[], []]
    for _ in range(1500):
        weight = random.exponential(size=10)
        of_impostor, of_genuine = np.repeat(weight[labels], 500), weight[owner]
        passed = np.cumsum(of_impostor[falling]) / of_impostor.sum()
        for found, far in zip(tars, (1e-1, 1e-3), strict=True):
            threshold = similarity.reshape(-1)[falling[np.argmax(passed > far)]]
            found.append(of_genuine[np.array(genuine) > threshold].sum() / of_genuine.sum())
    for point, found in zip(result.operating_points, tars, strict=True):
        low, high = (np.log(end / (1 - end)) for end in point.bootstrap_interval)
        assert point.bootstrap_interval.low < point.tar < point.bootstrap_interval.high
        # People of 1 ... 6 photos have 0 ... 15 pairs: as sure as this many with as many each.
        pairs_of = np.array([0, 1, 3, 6, 10, 6, 3, 1, 0, 15])
        people_of = pairs_of.sum() ** 2 / (pairs_of**2).sum()
        wide = stats.t.ppf(0.975, people_of - 1) * np.sqrt(people_of / (people_of - 1))
        expected = 2 * wide * np.std(found) / (point.tar * (1 - point.tar))
        assert high - low == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("block", [3, 50])
def test_distractors_as_alike_are_ahead(random, block):
    # Whole numbers of equal length: equal similarities are equal in floating point, too.
    choices = np.array([[3, 4, 0, 0], [4, 3, 0, 0], [0, 0, 5, 0], [0, 5, 0, 0], [5, 0, 0, 0]])
    probes, others = choices[[0, 1, 3, 3]], choices[random.integers(0, 5, 40)]
    labels = np.array([0, 0, 1, 1])
    result = identify_among_distractors(probes, labels, others, max_rank=40, fars=(0.5,), block=block)
    inner = probes @ others.T
    ranks = [1 + np.count_nonzero(inner[a] >= probes[a] @ probes[b]) for a, b in ((0, 1), (1, 0), (2, 3), (3, 2))]
    assert result.cmc == pytest.approx([np.mean(np.array(ranks) <= rank) for rank in range(1, 41)])


def test_distractors_may_lie_on_disk(random, tmp_path):
    labels = np.repeat(np.arange(5), 3)
    probes, others = people(random, labels), random.normal(0, 1, (90, 6)).astype(np.float32)
    np.save(tmp_path / "distractors.npy", others)
    there = np.load(tmp_path / "distractors.npy", mmap_mode="r")
    result = identify_among_distractors(probes, labels, there, block=32)
    np.testing.assert_array_equal(result.cmc, identify_among_distractors(probes, labels, others).cmc)
    assert str(result.operating_points[0]) == "not measurable with 1350 impostors"


def test_the_place_of_a_bad_distractor_is_said(random):
    labels, others = np.repeat(np.arange(5), 3), random.normal(0, 1, (90, 6))
    others[70] = 0
    with pytest.raises(
        ValueError, match="distractors must be finite and not zero, got 1 that are not, first zero at 70"
    ):
        identify_among_distractors(people(random, labels), labels, others, block=32)


EYE = np.eye(3)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: search(EYE * [1, 0, 1], [0, 1, 2], EYE, [0, 1, 2]), "probes must .* first zero at 1"),
        (lambda: search(EYE, [0, 1, 2], EYE * np.nan, [0, 1, 2]), "gallery must .* got 3 .* not finite at 0"),
        (lambda: search(EYE, [0, 1, 2], np.eye(2), [0, 1]), r"got \(2, 2\) and \(3, 3\)"),
        (lambda: search(EYE, [0, 1, 2], np.zeros((0, 3)), []), r"got \(0, 3\)"),
        (lambda: search(EYE, [0, 1], EYE, [0, 1, 2]), r"probe_labels must be 3 integers, got shape \(2,\)"),
        (lambda: search(EYE, [0.0, 1, 2], EYE, [0, 1, 2]), "probe_labels must be 3 integers"),
        (lambda: search(EYE, [0, 1, 2], EYE, [0, 1, 2], itself=[0, 1, 3]), r"itself must be -1 ... 2, got 0 ... 3"),
        (lambda: cmc(search(EYE, [0, 1, 2], EYE, [3, 4, 5])), "got 0 and rank 20"),
        (lambda: identification_rate(search(EYE, [0, 1, 2], EYE, [0, 1, 2]), 0), "got 3 and rank 0"),
        (lambda: tpir_at_fpir(search(EYE, [0, 1, 2], EYE, [0, 1, 3]), 0), r"fpir must be a rate in \(0, 1\], got 0"),
        (lambda: identify_among_distractors(EYE, [0, 1, 2], EYE), "two or more probes of a person"),
        (lambda: identify_among_distractors(EYE, [0, 0, 1], np.eye(2)), r"like probes \(3, 3\), got shape \(2, 2\)"),
        (lambda: identify_among_distractors(EYE, [0, 0, 1], EYE, max_rank=0), "got 0 and 4096"),
        (lambda: identify_among_distractors(EYE, [0, 0], EYE), "labels must be 3 integers"),
    ],
)
def test_what_cannot_be_searched_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_highest_of_a_stream_are_kept_whatever_its_order(random):
    values = np.round(random.normal(0, 1, (3, 200)), 1).astype(np.float32)
    for order in (np.arange(200), np.argsort(values[0]), np.argsort(-values[0])):
        tops = distractors._Tops(3, 5, 20)
        for start in range(0, 200, 11):
            tops.add(values[:, order[start : start + 11]])
        np.testing.assert_array_equal(np.sort(tops.of_probe), np.sort(values)[:, -5:])
        highest, probe = tops.of_all()
        np.testing.assert_array_equal(highest, np.sort(values.reshape(-1))[::-1][:20])
        for number in range(3):  # equal ones at the end may be of another probe
            sure = highest[(probe == number) & (highest > highest[-1])]
            np.testing.assert_array_equal(sure, np.sort(values[number][values[number] > highest[-1]])[::-1])
