"""Oracles of the losses between the examples of a batch."""

import numpy as np
from loss_cases import Case, cosine, unit

from keras_face import losses


def apart(first, second, squared=False):
    square = np.sum((unit(first) - unit(second)) ** 2)
    return square if squared else np.sqrt(square)


def angle(first, second):
    return np.arccos(cosine(first, second))


def relatives(labels, i):
    """Returns the rows of the positives and of the negatives of example i."""
    positives, negatives = [], []
    for j in range(len(labels)):
        if j != i and labels[j] == labels[i]:
            positives.append(j)
        elif labels[j] != labels[i] and (labels[i] >= 0 or labels[j] >= 0):
            negatives.append(j)
    return positives, negatives


def mean_over_counting(labels, loss_of):
    """Returns the losses that loss_of(i, positives, negatives) gives, scaled from the counting anchors to the batch."""
    result, counted = np.zeros(len(labels)), 0
    for i in range(len(labels)):
        positives, negatives = relatives(labels, i)
        if positives and negatives:
            result[i] = loss_of(i, positives, negatives)
            counted += 1
    return result * len(labels) / counted


def hardest(distance, cost):
    def oracle(embeddings, labels, weights, held):
        def loss_of(i, positives, negatives):
            to_positive = max(distance(embeddings[i], embeddings[j]) for j in positives)
            to_negative = min(distance(embeddings[i], embeddings[j]) for j in negatives)
            return cost(to_positive - to_negative)

        return mean_over_counting(labels, loss_of)

    return oracle


def semi_hard_triplet(embeddings, labels, weights, held):
    result, pairs = np.zeros(len(labels)), 0
    for i in range(len(labels)):
        positives, negatives = relatives(labels, i)
        to_negatives = sorted(apart(embeddings[i], embeddings[j], True) for j in negatives)
        for j in positives if negatives else []:
            to_positive = apart(embeddings[i], embeddings[j], True)
            beyond = [distance for distance in to_negatives if distance > to_positive]
            result[i] += max(to_positive - (beyond[0] if beyond else to_negatives[-1]) + 0.2, 0.0)
            pairs += 1
    return result * len(labels) / pairs


def batch_all_triplet(embeddings, labels, weights, held):
    result, costing = np.zeros(len(labels)), 0
    for i in range(len(labels)):
        positives, negatives = relatives(labels, i)
        for j in positives:
            for k in negatives:
                cost = apart(embeddings[i], embeddings[j]) - apart(embeddings[i], embeddings[k]) + 0.3
                result[i] += max(cost, 0.0)
                costing += cost > 0
    return result * len(labels) / costing


def partner(labels, i):
    """Returns the row of the next example with the label of example i, after the last the first."""
    rows = [j for j in range(len(labels)) if labels[j] == labels[i]]
    return rows[(rows.index(i) + 1) % len(rows)]


def rivals(labels, match):
    """Returns the negatives of example `match` that stand among those of their label where it stands."""
    rows = [j for j in range(len(labels)) if labels[j] == labels[match]]
    found = []
    for label in {labels[j] for j in relatives(labels, match)[1]}:
        others = [j for j in range(len(labels)) if labels[j] == label]
        found.append(others[rows.index(match) % len(others)])
    return found


def hardnet(embeddings, labels, weights, held):
    def loss_of(i, positives, negatives):
        p = partner(labels, i)
        from_anchor = min(apart(embeddings[i], embeddings[j]) for j in negatives)
        from_positive = min(apart(embeddings[p], embeddings[j]) for j in negatives)
        return max(1.0 + apart(embeddings[i], embeddings[p]) - min(from_anchor, from_positive), 0.0)

    return mean_over_counting(labels, loss_of)


def relative_distance(embeddings, labels, weights, held):
    units = np.array([unit(embedding) for embedding in embeddings])
    correlation = np.corrcoef(units, rowvar=False)
    second = np.sum(correlation**2) - np.sum(np.diag(correlation) ** 2)

    def loss_of(i, positives, negatives):
        p = partner(labels, i)
        match = np.exp(2 - apart(embeddings[i], embeddings[p]))
        row = match + sum(np.exp(2 - apart(embeddings[i], embeddings[j])) for j in rivals(labels, p))
        column = match + sum(np.exp(2 - apart(embeddings[p], embeddings[j])) for j in rivals(labels, i))
        return -(np.log(match / row) + np.log(match / column)) / 2 + 0.05 * second

    return mean_over_counting(labels, loss_of)


def n_pair(embeddings, labels, weights, held):
    def loss_of(i, positives, negatives):
        anchor, positive = embeddings[i], embeddings[partner(labels, i)]
        total = 1.0
        for j in rivals(labels, partner(labels, i)):
            total += np.exp(np.sum(anchor * embeddings[j]) - np.sum(anchor * positive))
        return np.log(total) + 0.002 / 4 * (np.sum(anchor**2) + np.sum(positive**2))

    return mean_over_counting(labels, loss_of)


def multi_similarity(embeddings, labels, weights, held):
    def loss_of(i, positives, negatives):
        to_positives = [cosine(embeddings[i], embeddings[j]) for j in positives]
        to_negatives = [cosine(embeddings[i], embeddings[j]) for j in negatives]
        pull = sum(np.exp(-2 * (each - 0.5)) for each in to_positives if each - 0.1 < max(to_negatives))
        push = sum(np.exp(50 * (each - 0.5)) for each in to_negatives if each + 0.1 > min(to_positives))
        return np.log1p(pull) / 2 + np.log1p(push) / 50

    return mean_over_counting(labels, loss_of)


def pair_circle(embeddings, labels, weights, held):
    before, _ = held  # the weights of the pairs are constants

    def loss_of(i, positives, negatives):
        push = pull = 0.0
        for j in negatives:
            weight = max(cosine(before[i], before[j]) + 0.25, 0.0)
            push += np.exp(16 * weight * (cosine(embeddings[i], embeddings[j]) - 0.25))
        for j in positives:
            weight = max(1.25 - cosine(before[i], before[j]), 0.0)
            pull += np.exp(-16 * weight * (cosine(embeddings[i], embeddings[j]) - 0.75))
        return np.log(1 + push * pull)

    return mean_over_counting(labels, loss_of)


def case(name, oracle, huge=1e30, **settings):
    return {name: Case(lambda: losses.get(name, **settings), oracle, label_range=None, huge=huge)}


CASES = {
    **case("batch_hard_triplet", hardest(apart, lambda difference: max(difference + 0.3, 0.0))),
    **case("soft_margin_triplet", hardest(apart, lambda difference: np.log1p(np.exp(difference)))),
    **case("angular_triplet", hardest(angle, lambda difference: max(difference + 0.35, 0.0))),
    **case("semi_hard_triplet", semi_hard_triplet),
    **case("batch_all_triplet", batch_all_triplet),
    **case("hardnet", hardnet),
    **case("relative_distance", relative_distance, correlation_weight=0.05),
    **case("n_pair", n_pair, huge=1e15),  # its products are of lengths, not of directions
    **case("multi_similarity", multi_similarity),
    # With scale 256 the gradient of the sum at an embedding of length 1e-3 is 5e5, right but more than a float16 holds.
    **case("pair_circle", pair_circle, scale=16.0),
}
