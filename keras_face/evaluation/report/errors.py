"""Which pairs were decided wrongly: the worst side by side, and the people they show."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from keras_face.evaluation.folds import right_decisions
from keras_face.evaluation.protocols.identities import find_people
from keras_face.evaluation.report.crops import Crops
from keras_face.evaluation.report.html import Html, heading, name, paragraph, table
from keras_face.evaluation.results import Measured


@dataclass(frozen=True, eq=False)
class Decisions:
    """What each pair was called.

    Attributes:
        thresholds: float64 [n], what each pair was judged by.
        right: bool [n], whether it was called what it is.
        threshold: The one that pictures show: the mean of the folds', or the only one.
        how: Where it comes from.
    """

    thresholds: np.ndarray
    right: np.ndarray
    threshold: float
    how: str


def decide(measured: Measured) -> Decisions:
    """Returns the decisions that are behind the accuracy; where there is none, those at the best threshold.

    The thresholds of an accuracy on other similarities (mean subtracted) do not fit these either.
    """
    result, pairs = measured.result, measured.pairs
    similarity = np.asarray(measured.similarity, np.float64)
    if result.accuracy is not None:
        right = right_decisions(similarity, pairs.genuine, pairs.fold, result.accuracy.thresholds)
        accuracy = np.bincount(pairs.fold, right) / np.bincount(pairs.fold)
        if np.allclose(accuracy, result.accuracy.accuracy, rtol=0, atol=1e-9):
            thresholds = np.array(result.accuracy.thresholds)
            lowest, highest = thresholds.min(), thresholds.max()
            how = f"each pair by the threshold of its fold ({lowest:.4f} to {highest:.4f})"
            if lowest == highest:
                how = f"all pairs by one threshold ({lowest:.4f})"
            return Decisions(thresholds[pairs.fold], right, float(thresholds.mean()), how)
    best = result.best_threshold
    how = f"all pairs by the threshold that is best on these very pairs, {best:.4f}: no figure depends on it"
    return Decisions(np.full(similarity.size, best), (similarity > best) == pairs.genuine, best, how)


def wrong_pairs(measured: Measured, decisions: Decisions, *, genuine: bool) -> np.ndarray:
    """Returns the numbers of the false rejects (`genuine`) or false accepts, the farthest from the threshold first."""
    wrong = np.flatnonzero(~decisions.right & (measured.pairs.genuine == genuine))
    excess = np.abs(np.asarray(measured.similarity, np.float64)[wrong] - decisions.thresholds[wrong])
    return wrong[np.argsort(-excess, kind="stable")]


def error_parts(measured: Measured, decisions: Decisions, crops: Crops, num_shown: int) -> list[Html]:
    """Returns the false accepts and the false rejects: how many, the worst side by side, and the people."""
    pairs = measured.pairs
    parts = [paragraph(f"Judged: {decisions.how}.")]
    for polarity, what, people in ((False, "False accepts", "different people"), (True, "False rejects", "one person")):
        wrong = wrong_pairs(measured, decisions, genuine=polarity)
        worst = wrong[:num_shown]
        total = np.count_nonzero(pairs.genuine == polarity)
        shown = f", the worst {worst.size} of them" if worst.size < wrong.size else ""
        parts.append(heading(4, f"{what}: {wrong.size:,} of {total:,} pairs of {people}{shown}"))
        if worst.size:
            cards = "".join(_card(measured, decisions, crops, int(number)) for number in worst)
            parts.append(Html(f'<ol class="pairs">\n{cards}</ol>\n'))
    return [*parts, *_people(measured, decisions, crops, num_shown)]


def count_errors(measured: Measured, decisions: Decisions) -> str:
    """Returns how many decisions were wrong, of either kind."""
    counts = [wrong_pairs(measured, decisions, genuine=genuine).size for genuine in (False, True)]
    return f"{counts[0]:,} false accepts, {counts[1]:,} false rejects"


def _people(measured: Measured, decisions: Decisions, crops: Crops, num_shown: int) -> list[Html]:
    """Returns the people with the most wrong decisions; of an impostor pair both people are counted."""
    parts = [heading(4, "People with the most wrong decisions")]
    found = find_people(measured.pairs.left, measured.pairs.right, measured.pairs.genuine)
    if found is None:
        return [*parts, paragraph("The names of these pairs do not say who is who, so people cannot be listed.")]
    person_of, how = found
    false_accepts, false_rejects, comparisons = Counter[str](), Counter[str](), Counter[str]()
    photos: dict[str, Counter[str]] = {}
    for left, right, genuine, is_right in zip(
        measured.pairs.left, measured.pairs.right, measured.pairs.genuine, decisions.right, strict=True
    ):
        people = {person_of(left), person_of(right)}
        comparisons.update(people)
        if is_right:
            continue
        (false_rejects if genuine else false_accepts).update(people)
        for key in (left, right):
            photos.setdefault(person_of(key), Counter())[key] += 1
    errors = false_accepts + false_rejects
    worst = sorted(errors, key=lambda person: (-errors[person], -errors[person] / comparisons[person], person))
    if not worst:
        return [*parts, paragraph("None.")]
    rows = []
    for person in worst[:num_shown]:
        key, count = photos[person].most_common(1)[0]
        rows.append(
            (
                name(person),
                f"{errors[person]} of {comparisons[person]}",
                false_accepts[person],
                false_rejects[person],
                Html(f'<span class="photo">{crops.small(key)}<span>{name(key)} ({count})</span></span>'),
            )
        )
    head = ("person", "wrong of all decisions", "false accepts", "false rejects", "photo in most of them")
    caption = f"{len(rows)} of {len(worst):,} people with wrong decisions; a person is {how}"
    return [*parts, table(caption, head, rows)]


def _card(measured: Measured, decisions: Decisions, crops: Crops, number: int) -> str:
    pairs, similarity = measured.pairs, float(measured.similarity[number])
    left, right = pairs.left[number], pairs.right[number]
    return (
        f"<li><figure>{crops.pair(left, right)}<figcaption>{name(left)}<br>{name(right)}<br>"
        f"similarity {similarity:.4f}, threshold {decisions.thresholds[number]:.4f}</figcaption></figure></li>\n"
    )
