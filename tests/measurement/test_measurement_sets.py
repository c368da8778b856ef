import json

import cv2
import numpy as np
import pytest

from keras_face.evaluation.features import Features, read_scores
from keras_face.evaluation.identification import search
from keras_face.evaluation.protocols import Identification, IjbFiles, Pairs
from keras_face.evaluation.results import Origin, verify
from keras_face.evaluation.similarities import pair_cosines
from keras_face.measurement import FeatureSource, GreyPixels, PhotoSource, runs
from keras_face.measurement.comparison import compare, read_measured
from keras_face.measurement.identification import identify, measure_megaface
from keras_face.measurement.ijb import IjbKeys, model_template, read_ijb

ORIGIN = Origin("net", "data", "each photo alone, no mirror image")


def drawn(number=60, protocol="drawn", folds=1):
    genuine = np.arange(number) % 2 == 0
    keys = tuple(tuple(f"{side}{index}" for index in range(number)) for side in "ab")
    similarity = np.random.default_rng(3).normal(np.where(genuine, 0.6, 0.2), 0.2).astype(np.float32)
    return verify(Pairs(protocol, *keys, genuine, np.arange(number) * folds // number), similarity, ORIGIN)


def test_keys_of_face_sets_are_their_numbers():
    keys = IjbKeys(np.array([3, 7, 40]), np.array([2, 0, 0, 1], np.int32))
    assert list(keys) == ["40", "3", "3", "7"]
    assert keys[1:3] == ["3", "3"]
    assert len(keys) == 4


def test_cosines_of_many_pairs_are_those_of_each():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    left, right = random.integers(0, 50, (2, 70_000))
    expected = (vectors[left] * vectors[right]).sum(axis=1)
    np.testing.assert_allclose(pair_cosines(vectors, left, right), expected, atol=1e-5)


def ijb_files(folder, lines, landmarks):
    (folder / "ijbc_face_tid_mid.txt").write_text("\n".join(lines))
    (folder / "ijbc_name_5pts_score.txt").write_text("\n".join(landmarks))
    return IjbFiles("IJB-C", folder / "ijbc_face_tid_mid.txt", folder / "ijbc_name_5pts_score.txt", folder, (), None)


def test_a_photo_of_two_face_sets_has_the_same_landmarks(tmp_path):
    points = " ".join(map(str, range(10)))
    lines = ["1.jpg 5 1", "2.jpg 5 2", "1.jpg 9 3"]
    files = ijb_files(tmp_path, lines, [f"1.jpg {points} 0.5", f"2.jpg {points} 0.9", f"1.jpg {points} 0.5"])
    found = read_ijb(files, tmp_path)
    assert found.locate("1.jpg").landmarks == ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))
    assert found.locate("1.jpg").template.name == "arcface"
    assert found.best_photo("5").path == tmp_path / "2.jpg"
    files = ijb_files(tmp_path, lines, [f"1.jpg {points} 0.5", f"2.jpg {points} 0.9", f"1.jpg {points}1 0.5"])
    with pytest.raises(ValueError, match=r"5pts_score\.txt: expected 1\.jpg with the same landmarks each time"):
        read_ijb(files, tmp_path)
    with pytest.raises(ValueError, match="there are no photos"):
        read_ijb(ijb_files(tmp_path, lines[:2], [f"{n}.jpg {points} 1" for n in (1, 2)]), None).locate("1.jpg")


def test_a_model_that_does_not_say_its_template_is_not_guessed():
    with pytest.raises(ValueError, match=r"expected --template, as the model's template is none of arcface, .* None"):
        model_template(PhotoSource(GreyPixels()))


def test_open_set_rates_come_on_top_where_probes_have_no_mate():
    random = np.random.default_rng(1)
    gallery = random.normal(size=(6, 4))
    probes = np.concatenate([gallery + random.normal(0, 0.3, (6, 4)), random.normal(size=(14, 4))])
    people = [f"p{number}" for number in range(20)]
    protocol = Identification("own", tuple(people), tuple(people), tuple("abcdef"), tuple(people[:6]), np.full(20, -1))
    result = identify(protocol, probes, gallery, ORIGIN)
    found = search(probes, np.arange(20), gallery, np.arange(6))
    threshold = np.sort(found.other_similarity[6:])[-2]
    hits = (found.rank[:6] == 1) & (found.mate_similarity[:6] > threshold)
    assert [rate.fpir for rate in result.rates] == [None, None, None, 0.1, 0.01]
    assert result.rates[3].rate == np.mean(hits)
    assert result.rates[4].rate is None
    assert result.cmc[0] == np.mean(found.rank[:6] == 1)


def test_probes_and_distractors_of_different_sizes_are_refused():
    protocol = Identification(
        "mega", ("a", "b"), ("x", "x"), ("a", "b"), ("x", "x"), np.arange(2), ("d",), one_mate_at_a_time=True
    )
    sources = [FeatureSource(Features.of(names, np.ones((len(names), size)), source=f"{size}.npz"))
               for names, size in ((("a", "b"), 4), (("d",), 5))]  # fmt: skip
    with pytest.raises(ValueError, match=r"of one size, got 4 numbers in 4\.npz and 5 in 5\.npz"):
        measure_megaface(*sources, protocol, "", "")


def test_similarities_of_many_pairs_are_written_without_their_names(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_MOST_KEYED", 50)
    measured = drawn()
    runs.write_run(tmp_path, [measured])
    scores = read_scores(tmp_path / "scores.npz")
    np.testing.assert_array_equal(scores.similarity, measured.similarity)
    assert (scores.left, scores.fold) == ((), None)
    [again] = read_measured(tmp_path)
    assert again.result == measured.result
    [found] = compare([again], [measured])
    assert found.accuracy is None
    assert [each.difference is None for each in found.tar_at_far] == [False] + [True] * 5
    assert "TAR at FAR 0.01, 0.001" in str(found)


def test_an_unreadable_photo_costs_the_report_a_picture_alone(tmp_path):
    measured = drawn(folds=3)
    picture = tmp_path / "whole.png"
    cv2.imwrite(str(picture), np.full((9, 9, 3), 99, np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no photo")
    files = {"a": picture, "b": tmp_path / "broken.png"}
    runs.write_run(tmp_path / "out", [measured], locate=lambda key: files[key[0]], save_scores=False)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "results.json"]
    assert "scores" not in json.loads((tmp_path / "out" / "results.json").read_text())["results"][0]


def test_models_of_different_pairs_are_not_compared():
    with pytest.raises(ValueError, match="expected the same protocols of both, got drawn and other"):
        compare([drawn()], [drawn(protocol="other")])
    with pytest.raises(ValueError, match="drawn: expected the same pairs and folds of both, got others"):
        compare([drawn(folds=3)], [drawn(folds=2)])


def test_thresholds_for_the_model_are_those_of_the_result():
    measured = drawn(folds=3)
    protocol, found = runs.thresholds(measured)
    assert protocol == "drawn"
    assert found["far"] == {"0.1": measured.result.tar_at_far[0].threshold}
    assert np.count_nonzero(measured.similarity[1::2] > found["far"]["0.1"]) == 3
    assert found["far_interval"] == {"0.1": list(measured.result.tar_at_far[0].far_interval)}
    assert found["intervals"] == measured.result.intervals
    assert json.loads(json.dumps(found)) == found
