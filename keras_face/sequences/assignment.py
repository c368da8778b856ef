"""Who is whom: the pairs, one to one, with the largest sum of scores."""

import numpy as np
from numpy.typing import ArrayLike


def assign(scores: ArrayLike) -> list[tuple[int, int]]:
    """Returns the pairs (row, column) of the best one-to-one assignment, sorted; only pairs with a score > 0 are made.

    Args:
        scores: float [rows, columns], finite; zero or less: never a pair.

    Reference: Kuhn 1955; Jonker and Volgenant 1987: shortest augmenting paths.
    """
    scores = np.asarray(scores, np.float64)
    if scores.size == 0:
        return []
    if scores.shape[0] > scores.shape[1]:
        return sorted((row, column) for column, row in assign(scores.T))
    cost = -np.maximum(scores, 0)  # a score of 0 is the same as no pair
    rows, columns = cost.shape
    # Column 0 is where the row that is being placed waits; owners are rows, counted from 1, 0 is nobody.
    owner, came_from = np.zeros(columns + 1, int), np.zeros(columns + 1, int)
    row_price, column_price = np.zeros(rows + 1), np.zeros(columns + 1)
    for row in range(1, rows + 1):
        owner[0], column = row, 0
        least = np.full(columns + 1, np.inf)
        visited = np.zeros(columns + 1, bool)
        while owner[column]:
            visited[column] = True
            moved = owner[column]
            slack = np.append(np.inf, cost[moved - 1] - row_price[moved] - column_price[1:])
            shorter = ~visited & (slack < least)
            least[shorter], came_from[shorter] = slack[shorter], column
            column = int(np.argmin(np.where(visited, np.inf, least)))
            step = least[column]
            row_price[owner[visited]] += step
            column_price[visited] -= step
            least[~visited] -= step
        while column:
            owner[column] = owner[came_from[column]]
            column = came_from[column]
    pairs = [(int(owner[column]) - 1, column - 1) for column in range(1, columns + 1) if owner[column]]
    return sorted(pair for pair in pairs if scores[pair] > 0)
