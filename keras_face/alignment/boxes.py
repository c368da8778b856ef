"""Boxes of faces: overlap and suppression, as the `mtcnn` package has them."""

import numpy as np

_BLOCK = 512  # boxes compared with all better ones at a time, so that memory grows with their number, not its square


def overlaps(boxes: np.ndarray, others: np.ndarray, of_smaller: bool = False) -> np.ndarray:
    """Returns how much boxes overlap: intersection over union, or over the smaller of both.

    Args:
        boxes: float [n, 4], left, top, right, bottom; pixels.
        others: float [m, 4].
        of_smaller: Whether to divide by the smaller area.

    Returns: float [n, m], [0, 1]; 0 where both boxes are empty.
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=2)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)[:, None]
    other_area = np.prod(others[:, 2:] - others[:, :2], axis=1)[None]
    whole = np.minimum(area, other_area) if of_smaller else area + other_area - common
    return np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)


def suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float, of_smaller: bool = False) -> np.ndarray:
    """Returns the indices of the boxes that no better one overlaps by more than `threshold`, the best first.

    A box is also suppressed by one that is itself suppressed: so the `mtcnn` package does it.

    Args:
        boxes: float [n, 4], left, top, right, bottom; pixels.
        scores: float [n]; higher is better.
        threshold: Overlap that is still allowed, [0, 1].
        of_smaller: Whether the overlap is a share of the smaller box, or else of the union.

    Returns: int [kept].
    """
    # Scores near 1 are often equal, and not in a stable order: the package's own words, for the package's boxes.
    order = np.argsort(scores)[::-1]
    ranked = boxes[order]
    kept = [order[:0]]
    for start in range(0, len(order), _BLOCK):
        stop = min(start + _BLOCK, len(order))
        better = np.arange(stop)[:, None] < np.arange(start, stop)
        over = overlaps(ranked[:stop], ranked[start:stop], of_smaller) > threshold
        kept.append(order[start:stop][~(over & better).any(axis=0)])
    return np.concatenate(kept)


def square(boxes: np.ndarray) -> np.ndarray:
    """Returns the squares about the middles of boxes float [n, 4], as wide or high as these are."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(axis=1, keepdims=True, initial=0)
    corner = boxes[:, :2] + (size - side) / 2
    return np.concatenate([corner, corner + side], axis=1)
