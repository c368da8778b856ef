import base64
import dataclasses
import html.parser
import io
import json
import math
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from keras_face.evaluation.identification import IdentificationRate
from keras_face.evaluation.intervals import Interval
from keras_face.evaluation.operating_points import OperatingPoint
from keras_face.evaluation.protocols import Dropped, DroppedPhotos, Pairs
from keras_face.evaluation.protocols.identities import find_people
from keras_face.evaluation.report.crops import Crops
from keras_face.evaluation.report.errors import decide
from keras_face.evaluation.report.report import write_report
from keras_face.evaluation.report.sets import numbered, short_models
from keras_face.evaluation.results import IdentificationResult, Measured, Origin, verify

NUM_FOLDS = 3
FIGURES = "Figures of 80 genuine and 160 impostor pairs"
FACTS = {"date": "2026-11-23", "comparison": "first\n  second & third"}
VOID = {"meta", "img", "br", "wbr", "link", "input", "hr"}


class Page(html.parser.HTMLParser):
    """What is in a report: tables by caption, figures, headings, text. Refuses tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.cards, self.images, self.headings = {}, [], [], []
        self.tags, self.links, self.ids, self.text = Counter(), [], [], ""
        self._open, self._captured = [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags[tag] += 1
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes[name] for name in ("src", "href", "srcset", "action") if name in attributes]
        if tag == "img":
            self.images.append(attributes)
            if "li" in self._open:
                self.cards[-1]["images"].append(attributes)
        if tag == "br":
            self._add("\n")
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])
        if tag == "li" and "nav" not in self._open:
            folded = "details" in self._open
            self.cards.append({"images": [], "text": "", "heading": self.headings[-1], "folded": folded})
        if tag in ("caption", "th", "td", "h1", "h2", "h3", "h4", "figcaption", "style", "title"):
            self._captured.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag in ("caption", "th", "td", "h1", "h2", "h3", "h4", "figcaption", "style", "title"):
            content = self._captured.pop()
            if tag == "caption":
                self._caption = content
            elif tag in ("th", "td"):
                self._rows[-1].append(content)
            elif tag == "figcaption" and "li" in self._open:
                self.cards[-1]["text"] = content
            elif tag == "style":
                self.style = content
            elif tag.startswith("h"):
                self.headings.append(content)
        if tag == "table":
            self.tables.setdefault(self._caption, []).append(self._rows)

    def handle_data(self, data):
        self._add(data)

    def _add(self, text):
        self.text += text
        self._captured[-1:] = [captured + text for captured in self._captured[-1:]]

    def table(self, caption, number=0):
        return {row[0]: row[1:] for row in self.tables[caption][number]}


def make_pairs(number=240, seed=0, protocol="a protocol", key="person {}/photo {}.jpg"):
    """Pairs of 12 people, a third of them genuine, in folds of unequal size."""
    random = np.random.default_rng(seed)
    left, right, genuine = [], [], []
    for index in range(number):
        person = int(random.integers(12))
        other = person if index % 3 == 0 else (person + int(random.integers(1, 12))) % 12
        left.append(key.format(person, int(random.integers(5))))
        right.append(key.format(other, int(random.integers(5, 9))))
        genuine.append(person == other)
    fold = np.minimum(np.arange(number) // 60, NUM_FOLDS - 1)
    return Pairs(protocol, tuple(left), tuple(right), np.array(genuine), fold)


def make_measured(pairs=None, seed=0, model="a model", spread=0.2, rule="best_accuracy"):
    pairs = pairs or make_pairs()
    random = np.random.default_rng(seed)
    similarity = np.clip(random.normal(np.where(pairs.genuine, 0.5, 0.1), spread), -1, 1)
    return verify(pairs, similarity, Origin(model, "some data", "each photo alone"), rule=rule)


def photo_of(key):
    """A photo of one colour, that of its name."""
    return np.full((112, 112, 3), colour_of(key), np.uint8)


def colour_of(key):
    return [int(value) for value in np.random.default_rng(list(key.encode())).integers(0, 256, 3)]


def written(tmp_path, measured, **settings):
    write_report(tmp_path / "report.html", measured, **settings)
    return Page((tmp_path / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One report for what is only read: the measured, its page, its path."""
    measured = make_measured(dataclasses.replace(make_pairs(), dropped=(Dropped("wrong tracks", 62, 1057),)))
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, [measured], photo_of=photo_of, facts=FACTS, identification=[make_identification()], num_shown=5)
    return measured, Page(path.read_text(encoding="utf-8")), path


def decode(source):
    kind, content = source.split(",", 1)
    assert kind in ("data:image/png;base64", "data:image/jpeg;base64")
    image = PIL.Image.open(io.BytesIO(base64.b64decode(content, validate=True)))
    image.load()
    return image


def wrong_pairs(measured):
    """(pair, excess over the threshold of its fold) of false accepts and of false rejects, pair by pair."""
    found = {False: [], True: []}
    for index in range(len(measured.pairs.left)):
        threshold = measured.result.accuracy.thresholds[measured.pairs.fold[index]]
        genuine, similarity = bool(measured.pairs.genuine[index]), float(measured.similarity[index])
        if (similarity > threshold) != genuine:
            found[genuine].append((index, abs(similarity - threshold)))
    return found[False], found[True]


def test_the_figures_are_those_of_the_pairs(shared):
    measured, page, _ = shared
    false_accepts, false_rejects = wrong_pairs(measured)
    wrong = {index for index, _ in false_accepts + false_rejects}
    shares = []
    for fold in range(NUM_FOLDS):
        inside = np.flatnonzero(measured.pairs.fold == fold)
        shares.append(sum(index not in wrong for index in inside) / len(inside))
    row = page.table(FIGURES)["a model"]
    shown, interval = row[0].split("\n")
    assert shown == f"{np.mean(shares):.4f} ± {np.std(shares):.4f}"
    low, high = map(float, interval.split(" to "))
    assert low < 1 - len(wrong) / 240 < high
    genuine, impostor = (measured.similarity[measured.pairs.genuine == polarity] for polarity in (True, False))
    assert row[2].split("\n")[0] == f"{np.mean([a > b for a in genuine for b in impostor]):.5f}"
    assert page.text.count("Below each figure its interval of 95 % confidence: people resampled") == 1
    folds = page.table("Folds of a model, counted from 0")
    assert folds["standard error"][2] == f"{np.std(shares, ddof=1) / math.sqrt(NUM_FOLDS):.4f}"
    for fold, share in enumerate(shares):
        polarity = measured.pairs.genuine[measured.pairs.fold == fold]
        threshold = measured.result.accuracy.thresholds[fold]
        expected = [str(polarity.sum()), str((~polarity).sum()), f"{share:.4f}", f"{threshold:.4f}"]
        assert folds[str(fold)] == expected
    assert f"False accepts: {len(false_accepts)} of 160 pairs of different people" in "\n".join(page.headings)
    assert f"False rejects: {len(false_rejects)} of 80 pairs of one person" in "\n".join(page.headings)
    assert "threshold with the most right decisions on the other folds" in page.text


def test_the_thresholds_are_told_and_what_is_not_measurable(shared):
    measured, page, _ = shared
    rows = page.table("True accept rates and thresholds for false accept rates")
    genuine, impostor = (measured.similarity[measured.pairs.genuine == polarity] for polarity in (True, False))
    for far, allowed in (("1e-1", 16), ("1e-2", 1)):
        threshold = sorted(impostor)[-allowed - 1]
        tar, _, _, told, angle, accepted, _ = rows[far]
        assert told == f"{threshold:.4f}"
        assert tar == f"{sum(value > threshold for value in genuine) / len(genuine):.4f}"
        assert angle == f"{math.degrees(math.acos(threshold)):.2f}°"
        assert accepted == f"{allowed} of 160"
        assert page.table(FIGURES)["a model"][4 if far == "1e-1" else 5].startswith(f"{tar}\n")
    assert list(rows) == ["FAR", "1e-1", "1e-2"]
    assert "FAR 1e-3, 1e-4, 1e-5, 1e-6: not measurable with 160 impostor pairs." in page.text
    assert "Drawn people" not in page.text


def test_the_worst_pairs_are_shown_side_by_side_with_names_and_scores(shared):
    measured, page, _ = shared
    for name, wrong in zip(("False accepts", "False rejects"), wrong_pairs(measured), strict=True):
        worst = sorted(wrong, key=lambda pair: -pair[1])[:5]
        assert len(wrong) > 5
        cards = [card for card in page.cards if card["heading"].startswith(name)]
        assert cards[0]["heading"].endswith("the worst 5 of them")
        assert len(cards) == 5
        for card, (index, _) in zip(cards, worst, strict=True):
            left, right = measured.pairs.left[index], measured.pairs.right[index]
            threshold = measured.result.accuracy.thresholds[measured.pairs.fold[index]]
            score = f"similarity {measured.similarity[index]:.4f}, threshold {threshold:.4f}"
            assert card["text"] == f"{left}\n{right}\n{score}"
            assert [image["alt"] for image in card["images"]] == [left, right]
            for image, key in zip(card["images"], (left, right), strict=True):
                decoded = decode(image["src"])
                assert decoded.size == (112, 112)
                np.testing.assert_allclose(np.asarray(decoded)[50, 50], colour_of(key), atol=4)  # JPEG


def test_people_with_the_most_wrong_decisions_come_first(shared):
    measured, page, _ = shared
    counts = Counter()
    for polarity, wrong in enumerate(wrong_pairs(measured)):
        for index, _ in wrong:
            for person in {key.split("/")[0] for key in (measured.pairs.left[index], measured.pairs.right[index])}:
                counts[person, polarity] += 1
    comparisons = Counter()
    for left, right in zip(measured.pairs.left, measured.pairs.right, strict=True):
        comparisons.update({left.split("/")[0], right.split("/")[0]})
    people = {person for person, _ in counts}
    caption = f"5 of {len(people)} people with wrong decisions; a person is the first folder of the photo's path"
    rows = {person: row for person, row in page.table(caption).items() if person != "person"}
    assert len(rows) == 5
    for person, row in rows.items():
        accepts, rejects = counts[person, 0], counts[person, 1]
        assert row[:3] == [f"{accepts + rejects} of {comparisons[person]}", str(accepts), str(rejects)]
    shown = [int(row[0].split()[0]) for row in rows.values()]
    assert shown == sorted((counts[person, 0] + counts[person, 1] for person in people), reverse=True)[:5]


@pytest.mark.parametrize(
    "key, words",
    [
        ("{person}/{view}/{photo}.jpg", "the first folder of the photo's path"),
        ("set/{person}/{photo}.jpg", "the folder of the photo"),
        ("the_{person}th_000{photo}.jpg", "the photo's name without its number"),
    ],
)
def test_people_are_found_in_the_names_of_photos(key, words):
    pairs = make_pairs(key="{}/{}")
    sides = {}
    for view in ("left", "right"):
        parts = [name.split("/") for name in getattr(pairs, view)]
        sides[view] = tuple(key.format(person=person, photo=photo, view=view) for person, photo in parts)
    person_of, told = find_people(sides["left"], sides["right"], pairs.genuine)
    assert told == words
    assert len({person_of(name) for name in sides["left"]}) == 12


def test_people_are_not_guessed_from_numbers():
    pairs = make_pairs()
    left, right = (tuple(map(str, range(start, 480, 2))) for start in (0, 1))
    assert find_people(left, right, pairs.genuine) is None


def test_people_are_found_in_spite_of_a_few_corrected_labels():
    pairs = make_pairs()
    labels = pairs.genuine.copy()
    labels[[0, 1]] ^= True
    assert not labels[0]
    assert labels[1]
    _, told = find_people(pairs.left, pairs.right, labels)
    # A label of either kind is wrong: 1 of 80 and 1 of 160.
    assert told.endswith(" (as labelled in 98.75% of the genuine and 99.38% of the impostor pairs)")


HOSTILE = "<script>document.title = 'run'</script>\"'&amp;<img src=http://127.0.0.1:9/a.png></style></title>-->\n\0\udcff\u202e"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A report whose names are HTML, control characters and lone surrogates."""
    measured = make_measured(make_pairs(protocol=HOSTILE, key=HOSTILE + "{}/{}.jpg"), model=HOSTILE)
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    write_report(path, [measured], photo_of=photo_of_any, facts={HOSTILE: HOSTILE}, num_shown=3)
    return Page(path.read_text(encoding="utf-8")), path


def test_names_are_shown_as_they_are_and_never_run(hostile):
    page, _ = hostile
    tags = (
        "html head meta title style body main h1 h2 h3 h4 nav ul li a section div table caption thead tbody tr th td p "
        "figure img figcaption ol br wbr span details summary"
    )
    assert set(page.tags) <= set(tags.split())
    shown = (
        HOSTILE.replace("\n", "\\x0a").replace("\0", "\\x00").replace("\udcff", "\\xff").replace("\u202e", "\\u202e")
    )
    assert page.headings[0] == f"Measured: {shown}"
    assert any(card["text"].startswith(shown) for card in page.cards)
    assert any(image["alt"].startswith(shown) for image in page.images)
    assert shown in page.table("Facts")


def photo_of_any(key):
    return np.zeros((8, 8, 3), np.uint8)


def test_the_page_needs_nothing_from_outside(shared):
    _, page, path = shared
    assert len(page.links) > 20
    for link in page.links:
        assert link.startswith(("data:image/png;base64,", "data:image/jpeg;base64,", "#"))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "url(" not in page.style
    assert "@import" not in page.style
    assert "script" not in page.tags
    assert "default-src 'none'" in path.read_text(encoding="utf-8")


def test_pictures_are_whole_and_described(shared):
    _, page, _ = shared
    assert page.tags["img"] == len(page.images)
    for image in page.images:
        assert image["alt"]
        assert min(decode(image["src"]).size) > 50
    plots = [image for image in page.images if image.get("class") != "crop"]
    assert len(plots) == 6  # ROC, DET, similarities, angles, sorted distances, CMC
    assert page.tags["caption"] == page.tags["table"]


def test_a_report_without_photos_has_names_only(tmp_path):
    measured = make_measured()
    page = written(tmp_path, [measured])
    assert not [image for image in page.images if image.get("class") == "crop"]
    assert "no photo" not in page.text
    assert "Nothing was left out" in page.text
    worst = max(wrong_pairs(measured)[0], key=lambda pair: pair[1])[0]
    assert page.cards[0]["text"].startswith(f"{measured.pairs.left[worst]}\n{measured.pairs.right[worst]}\n")


def test_a_photo_that_is_not_there_is_told(tmp_path):
    measured = make_measured()
    page = written(tmp_path, [measured], photo_of=lambda key: None if "photo 3" in key else photo_of(key))
    crops = [image["alt"] for image in page.images if image.get("class") == "crop"]
    assert crops
    assert not [key for key in crops if "photo 3" in key]
    assert "no photo" in page.text


def test_large_photos_become_small_ones_and_each_is_asked_for_once():
    asked = Counter()

    def large(key):
        asked[key] += 1
        return np.full((900, 600, 3), colour_of(key), np.uint8)

    crops = Crops(large)
    shown = [crops.pair("a", "b"), crops.pair("b", "a"), crops.small("a")]
    assert asked == {"a": 1, "b": 1}
    sources = [re.findall('src="([^"]*)"', one) for one in shown]
    assert sources[1] == sources[0][::-1]
    assert decode(sources[2][0]).size == (100, 150)
    np.testing.assert_allclose(np.asarray(decode(sources[2][0]))[50, 50], colour_of("a"), atol=4)


@pytest.mark.parametrize(
    "photo", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((0, 8, 3), np.uint8)]
)
def test_a_photo_that_is_none_is_refused(photo):
    with pytest.raises(ValueError, match=r"a.jpg: expected a photo uint8 \[height, width, 3\], got .* \("):
        Crops(lambda key: photo).small("a.jpg")


def test_what_a_protocol_leaves_out_is_counted(shared):
    assert shared[1].table("Left out on purpose")["wrong tracks"] == ["62", "1,057"]


def test_a_threshold_chosen_on_the_test_pairs_is_called_flattering(tmp_path, shared):
    write_report(tmp_path / "report.html", [make_measured(rule="best_on_test")])
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<p class="warning">Threshold rule best_on_test: one threshold, chosen on the very pairs' in text
    assert 'class="warning"' not in shared[2].read_text(encoding="utf-8")


def test_pairs_without_folds_are_judged_by_the_best_threshold(tmp_path):
    pairs = dataclasses.replace(make_pairs(), fold=np.zeros(240, np.int64))
    measured = make_measured(pairs)
    page = written(tmp_path, [measured])
    accepted = measured.similarity > measured.result.best_threshold
    assert f"False accepts: {np.count_nonzero(accepted & ~pairs.genuine)} of" in "\n".join(page.headings)
    assert "by the threshold that is best on these very pairs" in page.text
    assert not [caption for caption in page.tables if caption.startswith("Folds")]
    assert page.table(FIGURES)["a model"][0].startswith("no folds")


def test_thresholds_of_other_similarities_judge_no_pair():
    pairs = make_pairs()
    measured = make_measured(pairs)
    other = np.tile(measured.similarity * 0.1 + 0.8, (NUM_FOLDS, 1))  # as after the subtraction of a mean
    subtracted = verify(pairs, measured.similarity, Origin("a model", "", ""), fold_similarity=other)
    assert "all pairs by the threshold that is best on these very pairs" in decide(subtracted).how
    np.testing.assert_array_equal(decide(subtracted).thresholds, subtracted.result.best_threshold)
    assert "each pair by the threshold of its fold" in decide(measured).how
    np.testing.assert_array_equal(
        decide(measured).thresholds[[0, -1]], np.array(measured.result.accuracy.thresholds)[[0, -1]]
    )


def test_models_of_one_set_are_side_by_side_and_the_worst_of_the_best_are_open(tmp_path):
    measured = [make_measured(seed=1, model="worse", spread=0.6), make_measured(model="runs/mine/export/30")]
    page = written(tmp_path, measured)
    assert [heading for heading in page.headings if heading == "a protocol"] == ["a protocol"]
    assert list(page.table(FIGURES)) == ["model", "worse", "mine/export/30"]
    thresholds = page.tables["True accept rates and thresholds for false accept rates"][0]
    assert [row[:2] for row in thresholds[1:]] == [
        [model, far] for model in ("worse", "mine/export/30") for far in ("1e-1", "1e-2")
    ]
    kinds = [image["alt"].split("; ")[0] for image in page.images]
    assert kinds[:2] == ["ROC curves of worse, mine/export/30", "DET curves of worse, mine/export/30"]
    assert len(kinds) == 2 + 2 * 3
    assert measured[1].result.accuracy.mean > measured[0].result.accuracy.mean
    for folded, each in ((False, measured[1]), (True, measured[0])):
        worst = max(wrong_pairs(each)[0], key=lambda pair: pair[1])[0]
        card = next(card for card in page.cards if card["folded"] is folded)
        assert card["text"].startswith(f"{each.pairs.left[worst]}\n{each.pairs.right[worst]}\n")
    origin = page.tables["What was measured"][0]
    assert origin[:2] == [["what", "worse", "mine/export/30"], ["model", "worse", "runs/mine/export/30"]]
    assert ["data", "some data"] in origin  # the same for both
    assert len(set(page.ids)) == len(page.ids)


def test_each_test_set_has_its_section_and_all_are_in_the_overview(tmp_path):
    sets = [make_pairs(), make_pairs(seed=3, protocol="another", number=300)]
    measured = [make_measured(pairs, model=model) for model in ("first", "second") for pairs in sets]
    page = written(tmp_path, measured)
    assert [heading for heading in page.headings if heading in ("Overview", "a protocol", "another")] == [
        "Overview", "a protocol", "another",
    ]  # fmt: skip
    overview = page.table("Accuracy ± deviation over the folds")
    shown = {each.result.protocol: each.result.accuracy for each in measured}
    for protocol, accuracy in shown.items():
        assert overview[protocol] == [f"{accuracy.mean:.4f} ± {accuracy.std:.4f}"] * 2  # the same similarities
    assert [image["alt"] for image in page.images if image["alt"].startswith("DET")] == [
        "DET curves of first, second"
    ] * 2
    assert "Overview" not in written(tmp_path, measured[::2]).headings


def test_what_is_measured_on_drawn_people_says_so_beside_the_thresholds(tmp_path):
    pairs = dataclasses.replace(make_pairs(protocol="drawn pairs in LFW's form"), drawn=True)
    page = written(tmp_path, [make_measured(pairs), make_measured(make_pairs(protocol="real"))])
    assert "True accept rates and thresholds for false accept rates, of drawn people" in page.tables
    assert page.text.count("Found on drawn people: none of these thresholds is for use.") == 1
    assert page.text.count("Drawn people, none of them real") == 1


def test_names_of_models_are_as_short_as_tells_them_apart():
    models = ["/a/run/export/30", "/b/run/export/30", "/b/other/export/30", "net", "x/scores.csv", "/1/2", "a/b\n/c"]
    assert list(short_models(models).values()) == [
        "a/run/export/30", "b/run/export/30", "other/export/30", "net", "scores.csv", "/1/2", "a/b\n/c",
    ]  # fmt: skip
    assert numbered(["a", "b", "a"]) == ["a (1)", "b", "a (2)"]
    assert short_models([]) == {}


def test_scores_that_are_no_cosines_have_no_angles(tmp_path):
    pairs = make_pairs()
    similarity = make_measured(pairs).similarity * 50
    page = written(tmp_path, [verify(pairs, similarity, Origin("scores", "a file", "unknown"))])
    assert "no cosines, so there are no angles" in page.text
    assert len(page.images) == 4
    assert page.table("True accept rates and thresholds for false accept rates")["1e-1"][4] == "no cosine"


def test_facts_keep_their_lines(shared):
    assert {name: [value] for name, value in FACTS.items()}.items() <= shared[1].table("Facts").items()


def make_identification():
    interval = Interval(0.45, 0.55)
    return IdentificationResult(
        model="a model",
        data="some data",
        photos="each photo alone",
        protocol="a gallery",
        num_probes=1400,
        num_gallery=2500,
        num_distractors=1_000_000,
        cmc=(0.5, 0.625, 0.75),
        rates=(
            IdentificationRate(1, 0.5, interval, 1200),
            IdentificationRate(1, None, None, 1200, 1e-3, None, 200),
        ),
        mean_average_precision=0.4321,
        tar_at_far=(OperatingPoint(1e-6, None, None, 50, 1400),),
        dropped=(DroppedPhotos("noisy", num_probes=3, num_distractors=1500),),
    )


def test_an_identification_has_its_table_and_curve(tmp_path):
    page = written(tmp_path, [], identification=[make_identification()])
    rows = page.table("a model: a gallery")
    assert rows["distractors"] == ["1,000,000"]
    assert rows["found first (rank 1)"] == ["0.5000 [0.4500, 0.5500]"]
    assert rows["found first (rank 1), FPIR 1e-3 (TPIR)"] == ["not measurable with 200 probes without a mate"]
    assert rows["TAR at FAR 1e-6"] == ["not measurable with 50 impostors"]
    assert rows["mean average precision"] == ["0.4321"]
    assert rows["left out: noisy"] == ["3 probes, 0 of the gallery, 1,500 distractors"]
    assert [image["alt"] for image in page.images] == ["Cumulative match characteristics of a model"]
    assert page.headings[0] == "Measured: a model"


def test_what_cannot_be_reported_is_refused_by_name(tmp_path):
    measured = make_measured()
    path = tmp_path / "report.html"
    with pytest.raises(ValueError, match="expected something measured to report, got nothing"):
        write_report(path, [])
    with pytest.raises(ValueError, match="num_shown must be 1 or more, got 0"):
        write_report(path, [measured], num_shown=0)
    pairs = measured.pairs
    same = dataclasses.replace(pairs, genuine=np.ones(240, bool))
    with pytest.raises(ValueError, match="a model, a protocol: expected genuine and impostor pairs, got 240 and 0"):
        write_report(path, [Measured(measured.result, same, measured.similarity)])
    spoilt = measured.similarity.copy()
    spoilt[7] = np.nan
    with pytest.raises(ValueError, match=r"a model, a protocol: similarity must be finite, .* first nan at 7"):
        write_report(path, [Measured(measured.result, pairs, spoilt)])
    with pytest.raises(ValueError, match=r"a model, a protocol: .* got \(239,\) and \(240,\)"):
        write_report(path, [Measured(measured.result, pairs, measured.similarity[1:])])
    other = make_pairs(seed=5)
    other = dataclasses.replace(other, genuine=np.roll(other.genuine, 1) | other.genuine)
    with pytest.raises(ValueError, match="a model, a protocol: expected the pairs of the result, 80 genuine"):
        write_report(path, [Measured(measured.result, other, measured.similarity)])
    with pytest.raises(ValueError, match="got those of elsewhere"):
        write_report(
            path, [Measured(measured.result, dataclasses.replace(pairs, protocol="elsewhere"), measured.similarity)]
        )
    fewer = dataclasses.replace(pairs, fold=np.minimum(pairs.fold, 1))
    with pytest.raises(ValueError, match="expected a threshold for each of 2 folds, got 3"):
        write_report(path, [Measured(measured.result, fewer, measured.similarity)])
    assert not list(tmp_path.iterdir())


def test_a_report_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ValueError, match=r"person \d+/photo \d.jpg: expected a photo"):
        write_report(path, [make_measured()], photo_of=lambda key: np.zeros((8, 8)))
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "old"


def test_the_same_measurement_gives_the_same_file(tmp_path, shared):
    measured, _, path = shared
    settings = {"facts": FACTS, "identification": [make_identification()], "num_shown": 5}
    write_report(tmp_path / "second", [measured], photo_of=photo_of, **settings)
    assert (tmp_path / "second").read_bytes() == path.read_bytes()


def test_the_report_needs_no_tensorflow_and_no_display():
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['matplotlib.pyplot'] = None;"
        " import keras_face.evaluation.report; print('ok')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "ok", done.stderr


def browse(path, *settings):
    """Opens a page in a real browser without a window, and returns what it printed."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
    cached = Path.home().glob(".cache/ms-playwright/chromium*/chrome-linux*/*")
    found = [shutil.which(name) for name in names] + [
        str(file) for file in cached if file.name in ("chrome", "headless_shell")
    ]
    browser = next(filter(None, found), None)
    if browser is None:
        pytest.skip(f"no browser to open the report in: none of {', '.join(names)}")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", *settings, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def requests(log):
    """Addresses that the browser asked for over the network, of its own log."""
    events = json.loads(log.read_text())["events"]
    return {event["params"]["url"] for event in events if "url" in event.get("params", {})}


def test_a_browser_shows_the_report_and_asks_for_nothing(tmp_path, hostile):
    expected, path = hostile
    shown = Page(browse(path, f"--log-net-log={tmp_path / 'log'}", "--dump-dom"))
    assert shown.tables == expected.tables
    assert shown.cards == expected.cards
    assert shown.headings == expected.headings
    assert shown.tags == expected.tags
    assert requests(tmp_path / "log") == set()
    # The log would have it.
    (tmp_path / "other.html").write_text("<!DOCTYPE html><img src=http://127.0.0.1:9/a.png>")
    browse(tmp_path / "other.html", f"--log-net-log={tmp_path / 'log'}", "--dump-dom")
    assert requests(tmp_path / "log") == {"http://127.0.0.1:9/a.png"}


def test_a_browser_draws_the_report_on_light_and_on_dark(tmp_path, shared):
    corners, spreads = [], []
    for scheme in (1, 0):
        picture = tmp_path / f"{scheme}.png"
        settings = ("--window-size=1000,2500", "--hide-scrollbars", f"--blink-settings=preferredColorScheme={scheme}")
        browse(shared[2], f"--screenshot={picture}", *settings)
        pixels = np.asarray(PIL.Image.open(picture).convert("RGB")).astype(float)
        corners.append(pixels[:20, :20].mean())
        spreads.append(pixels.std())
    assert corners[0] > 250
    assert corners[1] < 40
    assert min(spreads) > 20  # there is something on the page
