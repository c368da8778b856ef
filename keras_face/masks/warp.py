"""A picture bent from one set of points to another: an affine map for each triangle between them."""

import cv2
import numpy as np

_INSIDE = 1e-9  # share of a triangle that rounding may put a point on its edge outside


def triangulate(points: np.ndarray) -> np.ndarray:
    """Returns the Delaunay triangulation of points: int [triangles, 3], rows of `points`, all turning the same way.

    Args:
        points: float [n, 2], n >= 3, no two the same and not all on a line.

    Raises: ValueError if there is no triangle.
    """
    points = np.asarray(points, np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    # In the units of a fixed frame: OpenCV's answer depends on how far off its helping points are.
    scaled = ((points - low) / max((high - low).max(), 1e-12) * 1000).astype(np.float32)
    subdivision = cv2.Subdiv2D((-10, -10, 1020, 1020))
    for x, y in scaled.tolist():
        subdivision.insert((x, y))
    corners = np.asarray(subdivision.getTriangleList()).reshape(-1, 3, 2)
    known = {tuple(point): row for row, point in enumerate(scaled.tolist())}
    found = [[known.get(tuple(corner), -1) for corner in triangle] for triangle in corners.tolist()]
    triangles = np.array([rows for rows in found if min(rows) >= 0], np.int64).reshape(-1, 3)
    areas = _double_areas(points[triangles])
    triangles[areas < 0] = triangles[areas < 0][:, [0, 2, 1]]
    triangles = triangles[np.abs(areas) > 1e-9 * np.abs(areas).max(initial=0)]
    if not len(triangles):
        raise ValueError(f"expected anchors that span an area, got {points.round(1).tolist()}")
    return triangles[np.lexsort(np.sort(triangles, axis=1).T[::-1])]


def warp(
    picture: np.ndarray,
    source: np.ndarray,
    destination: np.ndarray,
    image_size: tuple[int, int],
    detail: int = 2,
    outer: int = 0,
) -> np.ndarray:
    """Returns a picture bent so that its source points come to the destination points; transparent elsewhere.

    Every pixel is taken from one triangle, so there are no seams. Triangles that the bending turns over are the far
    side of a turned head, and are not seen; where others overlap, the least shrunk is seen, the nearest.

    Args:
        picture: float32 [height, width, channels], colour premultiplied by alpha, alpha last.
        source: float [n, 2], x and y in pixels of the picture (0 is the middle of the first pixel).
        destination: float [n, 2], in pixels of the result; may lie outside.
        image_size: (height, width) of the result.
        detail: Samples along each side of a pixel, which are averaged; 1 to take the picture as it is at each pixel's
            middle.
        outer: How many of the last points are only there to enclose the picture; triangles with these are seen where no
            others are.

    Returns: float32 [height, width, channels].
    """
    height, width = image_size
    channels = picture.shape[2]
    result = np.zeros((height, width, channels), np.float32)
    triangles = triangulate(source)
    areas = _double_areas(destination[triangles])
    growth = areas / _double_areas(source[triangles])
    order = np.lexsort((-growth, (triangles >= len(source) - outer).any(axis=1)))
    seen = triangles[order[areas[order] > 1e-6]]
    if not len(seen):
        return result
    corners = destination[seen].reshape(-1, 2)
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width, height)).tolist()
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, (width, height)).tolist()
    if right <= left or bottom <= top:
        return result
    if detail > 1:
        picture, source = _shrunk(picture, source, destination, triangles, detail)
    # From here on in pixels of the part of the result that the picture can reach, `detail` to the pixel.
    fine = (destination + 0.5 - (left, top)) * detail - 0.5
    places = _places(source, fine, seen, ((bottom - top) * detail, (right - left) * detail))
    bent = cv2.remap(picture, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT).reshape(*places[0].shape, -1)
    if detail > 1:
        bent = cv2.resize(bent, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    result[top:bottom, left:right] = bent.reshape(bottom - top, right - left, channels)
    return result


def _places(
    source: np.ndarray, destination: np.ndarray, triangles: np.ndarray, image_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns x and y of where in the picture each pixel comes from, float32 of `image_size`; far outside: nowhere."""
    across, down = np.full(image_size, -1e4, np.float32), np.full(image_size, -1e4, np.float32)
    free = np.ones(image_size, bool)
    y, x = (np.arange(side, dtype=np.float64) for side in image_size)
    corners = destination[triangles]
    # Barycentric coordinates are linear in x, y and 1; they share out the corners in the picture: the affine map.
    shares = np.linalg.inv(np.concatenate([corners, np.ones((len(corners), 3, 1))], axis=2))
    maps = shares @ source[triangles]
    starts = np.clip(np.ceil(corners.min(axis=1)), 0, image_size[::-1]).astype(int).tolist()
    stops = np.clip(np.floor(corners.max(axis=1)) + 1, 0, image_size[::-1]).astype(int).tolist()
    for share, to, (left, top), (right, bottom) in zip(shares, maps, starts, stops, strict=True):
        rows, columns, box = y[top:bottom, np.newaxis], x[left:right], np.s_[top:bottom, left:right]
        inside = free[box].copy()
        for along_x, along_y, constant in share.T.tolist():
            inside &= along_x * columns + (along_y * rows + constant) >= -_INSIDE
        for places, (along_x, along_y, constant) in zip((across, down), to.T.tolist(), strict=True):
            np.copyto(places[box], along_x * columns + (along_y * rows + constant), where=inside, casting="same_kind")
        free[box] &= ~inside
    return across, down


def _shrunk(
    picture: np.ndarray, source: np.ndarray, destination: np.ndarray, triangles: np.ndarray, detail: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the picture and the points in it, made smaller if the samples would lie further apart than its pixels."""
    areas = (np.abs(_double_areas(points[triangles])).sum() for points in (destination, source))
    scale = float(np.sqrt(next(areas) / next(areas))) * detail
    if scale >= 1:
        return picture, source
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    scales = np.array([width / picture.shape[1], height / picture.shape[0]])
    shrunk = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return shrunk.reshape(height, width, -1), (source + 0.5) * scales - 0.5


def _double_areas(triangles: np.ndarray) -> np.ndarray:
    """Returns twice the areas of triangles [n, 3, 2]; below 0 if they turn from y to x."""
    first, second = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
