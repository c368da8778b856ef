import dataclasses
import json
import math
import os

import numpy as np
import pytest
import scipy.stats

import keras_face
from keras_face.evaluation.identification import IdentificationRate
from keras_face.evaluation.intervals import Interval
from keras_face.evaluation.protocols import Dropped, DroppedPhotos, Pairs
from keras_face.evaluation.result_files import read_results, versions, write_results
from keras_face.evaluation.results import IdentificationResult, Origin, pairs_hash, verify
from keras_face.evaluation.scores import kfold_accuracy
from keras_face.evaluation.tables import table

ORIGIN = Origin("net", "photos of lfw", "each photo alone, no mirror image", False, "m" * 64, "d" * 64)


def drawn(number=400, folds=10, protocol="drawn pairs", dropped=()):
    random = np.random.default_rng(3)
    genuine = np.arange(number) % 2 == 0
    keys = tuple(tuple(f"{side}{index}" for index in range(number)) for side in "ab")
    pairs = Pairs(protocol, *keys, genuine, np.arange(number) * folds // number, dropped)
    return pairs, random.normal(np.where(genuine, 0.6, 0.2), 0.15)


def test_a_result_has_every_figure_of_its_similarities():
    pairs, similarity = drawn()
    measured = verify(pairs, similarity, ORIGIN)
    result = measured.result
    genuines, impostors = similarity[pairs.genuine], similarity[~pairs.genuine]
    assert (result.num_genuine, result.num_impostor) == (200, 200)
    assert result.accuracy == kfold_accuracy(similarity, pairs.genuine, pairs.fold)
    right = round(400 * result.accuracy.mean)  # folds of one size
    low, high = scipy.stats.beta.ppf([0.025, 0.975], [right, right + 1], [400 - right + 1, 400 - right])
    np.testing.assert_allclose(result.accuracy_interval, (low, high), rtol=1e-9)
    assert result.auc == pytest.approx(scipy.stats.mannwhitneyu(genuines, impostors).statistic / 200**2)
    spread = math.sqrt((genuines.var() + impostors.var()) / 2)
    assert result.d_prime == pytest.approx((genuines.mean() - impostors.mean()) / spread)
    rejects = np.mean(genuines <= result.equal_error_threshold)
    accepts = np.mean(impostors > result.equal_error_threshold)
    assert abs(rejects - accepts) <= 1 / 200
    assert result.equal_error_rate == pytest.approx((rejects + accepts) / 2, abs=1 / 200)
    assert [point.far for point in result.tar_at_far] == [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
    assert result.tar_at_far[0].tar == np.mean(genuines > np.sort(impostors)[-21])
    assert [str(point) for point in result.tar_at_far[2:]] == ["not measurable with 200 impostors"] * 4
    best = max(np.mean((similarity > cut) == pairs.genuine) for cut in [*similarity, -9])
    assert np.mean((similarity > result.best_threshold) == pairs.genuine) == best


def test_a_protocol_without_folds_has_no_accuracy():
    pairs, similarity = drawn(folds=1)
    result = verify(pairs, similarity, ORIGIN).result
    assert (result.accuracy, result.accuracy_interval) == (None, None)
    assert "no folds" not in table([result])  # there is no column for it
    assert "accuracy" not in table([result])


def test_the_rule_of_the_threshold_is_said():
    pairs, similarity = drawn()
    honest, flattering = (
        verify(pairs, similarity, ORIGIN, rule=rule).result for rule in ("equal_error", "best_on_test")
    )
    assert flattering.accuracy.mean >= honest.accuracy.mean
    assert "threshold from the other folds (equal_error)" in table([honest])
    assert "threshold from all pairs, the judged ones too (best_on_test)" in table([flattering])


def test_similarities_that_cannot_be_judged_say_the_protocol():
    pairs, similarity = drawn()
    with pytest.raises(
        ValueError, match=r"^drawn pairs: similarity must be finite, got 1 that are not, first nan at 7$"
    ):
        verify(pairs, np.where(np.arange(400) == 7, np.nan, similarity), ORIGIN)


def test_similarities_that_do_not_vary_have_no_d_prime():
    pairs, _ = drawn()
    result = verify(pairs, np.ones(400), ORIGIN).result
    assert result.d_prime is None
    assert result.auc == 0.5


def test_the_hash_of_pairs_changes_with_each_part():
    pairs, _ = drawn()
    other_key = (*pairs.left[:-1], "z")
    swapped = np.flip(pairs.genuine)
    fold = np.roll(pairs.fold, 1)
    changed = [{"left": other_key}, {"right": other_key}, {"genuine": swapped}, {"fold": fold}]
    hashes = [pairs_hash(pairs), *(pairs_hash(dataclasses.replace(pairs, **change)) for change in changed)]
    assert len(set(hashes)) == 5
    # Where one key ends and the next begins matters, too.
    one, two = (
        Pairs("p", left, ("c", "d"), np.array([True, False]), np.zeros(2, int)) for left in (("a", "b"), ("ab", ""))
    )
    assert pairs_hash(one) != pairs_hash(two)
    assert pairs_hash(dataclasses.replace(pairs, protocol="another name")) == hashes[0]


def test_results_are_written_whole_and_read_back(tmp_path):
    pairs, similarity = drawn(dropped=(Dropped("wrong tracks", 1, 2),))
    result = verify(pairs, similarity, ORIGIN).result
    path = tmp_path / "out" / "results.json"
    write_results([result], path)
    write_results([result, result], path, scores={1: "scores_1.csv"})
    assert os.listdir(tmp_path / "out") == ["results.json"]
    content = json.loads(path.read_text())
    assert set(content["versions"]) == {"keras_face", "tensorflow", "numpy"}
    assert content["versions"]["numpy"] == np.__version__
    assert content["date"].endswith("+00:00")
    rows = read_results(path)
    assert [row.get("scores") for row in rows] == [None, "scores_1.csv"]
    row = rows[0]
    assert (row["model_hash"], row["data_hash"]) == ("m" * 64, "d" * 64)
    assert row["protocol_hash"] == pairs_hash(pairs)
    assert row["accuracy"]["thresholds"] == list(result.accuracy.thresholds)
    assert row["accuracy_interval"] == list(result.accuracy_interval)
    assert row["tar_at_far"][5]["tar"] is None
    assert row["tar_at_far"][0]["bootstrap_interval"] == list(result.tar_at_far[0].bootstrap_interval)
    assert row["dropped"] == [{"reason": "wrong tracks", "num_genuine": 1, "num_impostor": 2}]


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "expected a results.json"),
        ("[]", "expected a results.json, got something else"),
        ('{"results": []}', "expected a results.json with verification results, found none"),
        ('{"results": [{"protocol": "p", "model": "m"}]}', "expected protocol, protocol_hash and model in result 0"),
    ],
)
def test_other_files_are_no_results(tmp_path, content, message):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(ValueError, match=rf"results\.json: {message}"):
        read_results(tmp_path / "results.json")


def test_versions_say_what_is_not_installed(monkeypatch):
    def absent(package):
        raise __import__("importlib.metadata").metadata.PackageNotFoundError(package)

    monkeypatch.setattr("importlib.metadata.version", absent)
    assert versions() == {"keras_face": keras_face.__version__, "tensorflow": "not installed", "numpy": "not installed"}


# Tables


def test_the_table_is_short_and_says_what_was_measured_and_how():
    pairs, similarity = drawn(number=2000, dropped=(Dropped("wrong tracks", 1, 2),))
    results = [
        verify(pairs, similarity, dataclasses.replace(ORIGIN, model=name)).result for name in ("net", "other net")
    ]
    few, of_few = drawn(40, protocol="few pairs")
    results.append(verify(few, of_few, ORIGIN).result)
    lines = table(results).splitlines()
    assert lines[0] == "drawn pairs: 1000 genuine and 1000 impostor pairs"
    assert lines[1].split("  ")[1] == "model"
    # Rates that some row can show have a column; the others one line together.
    assert lines[1].split("  ")[-1] == "TAR at FAR 0.001"
    assert "TAR at FAR 0.01 " in lines[1]
    assert lines[2].startswith("  net ")
    assert lines[2].split()[-1] == f"{results[0].tar_at_far[2].tar:.4f}"
    assert lines[3].startswith("  other net ")
    assert lines[4] == "few pairs: 20 genuine and 20 impostor pairs"
    assert lines[6].endswith("not measurable (20 impostors)")
    assert "TAR at FAR 0.0001 and below: not measurable with 1000 impostor pairs" in lines
    assert lines.count("embedding: each photo alone, no mirror image") == 1
    assert lines.count("left out of drawn pairs: 1 genuine and 2 impostor pairs (wrong tracks)") == 1
    assert max(map(len, lines)) < 130


def test_identification_has_a_table_of_its_own():
    rates = (
        IdentificationRate(1, 0.5, Interval(0.2, 0.8), 10),
        IdentificationRate(1, None, None, 10, 0.01, None, 7),
    )
    result = IdentificationResult(
        **vars(ORIGIN),
        protocol="own people",
        num_probes=17,
        num_gallery=9,
        cmc=(0.5, 0.75),
        rates=rates,
        mean_average_precision=0.625,
        dropped=(DroppedPhotos("noisy probes", 2, 1),),
    )
    lines = table([result]).splitlines()
    assert lines[0] == "own people: 17 probes, gallery of 9"
    assert "  rank 1  " in lines[1]
    assert "TPIR at FPIR 0.01, rank 1" in lines[1]
    assert "0.5000 [0.2000, 0.8000]" in lines[2]
    assert "not measurable with 7 probes without a mate" in lines[2]
    assert lines[2].endswith("0.6250")
    assert lines[-1] == "left out of own people: 2 probes, 1 of the gallery, 0 distractors (noisy probes)"
