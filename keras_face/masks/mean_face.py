"""The mean face in three dimensions: 68 landmarks in the order of iBUG and dlib."""

import numpy as np

# Measured for this project: dlib 20.0's 68 landmarks of 249 unaligned photos of LFW and of their mirror images,
# factored into one rigid shape and a scaled orthographic view of each photo (Tomasi and Kanade 1992), made symmetric.
# Small turns of the head say little about absolute depth: it was scaled so that the tip of the nose is 0.54 eye
# distances before the eyes. The jaw is the visible outline, as the landmarks are, so its depth is that of where the
# outline wanders to.
_POINTS = (
    (-1.168, 0.059, -0.808), (-1.158, 0.366, -0.778), (-1.130, 0.672, -0.760), (-1.075, 0.974, -0.732),
    (-0.964, 1.257, -0.641), (-0.788, 1.507, -0.500), (-0.561, 1.711, -0.329), (-0.299, 1.873, -0.164),
    (0.000, 1.918, -0.109), (0.299, 1.873, -0.164), (0.561, 1.711, -0.329), (0.788, 1.507, -0.500),
    (0.964, 1.257, -0.641), (1.075, 0.974, -0.732), (1.130, 0.672, -0.760), (1.158, 0.366, -0.778),
    (1.168, 0.059, -0.808), (-0.928, -0.166, -0.194), (-0.797, -0.311, -0.032), (-0.595, -0.368, 0.097),
    (-0.381, -0.348, 0.196), (-0.181, -0.272, 0.252), (0.181, -0.272, 0.252), (0.381, -0.348, 0.196),
    (0.595, -0.368, 0.097), (0.797, -0.311, -0.032), (0.928, -0.166, -0.194), (0.000, -0.049, 0.255),
    (0.000, 0.147, 0.346), (0.000, 0.341, 0.440), (0.000, 0.542, 0.536), (-0.230, 0.677, 0.264),
    (-0.120, 0.720, 0.317), (0.000, 0.755, 0.353), (0.120, 0.720, 0.317), (0.230, 0.677, 0.264),
    (-0.689, 0.010, -0.065), (-0.571, -0.058, 0.009), (-0.430, -0.060, 0.030), (-0.302, 0.016, 0.014),
    (-0.435, 0.045, 0.017), (-0.573, 0.048, -0.005), (0.302, 0.016, 0.014), (0.430, -0.060, 0.030),
    (0.571, -0.058, 0.009), (0.689, 0.010, -0.065), (0.573, 0.048, -0.005), (0.435, 0.045, 0.017),
    (-0.439, 1.083, -0.042), (-0.284, 0.994, 0.145), (-0.122, 0.958, 0.248), (0.000, 0.984, 0.260),
    (0.122, 0.958, 0.248), (0.284, 0.994, 0.145), (0.439, 1.083, -0.042), (0.290, 1.232, 0.080),
    (0.131, 1.294, 0.170), (0.000, 1.307, 0.185), (-0.131, 1.294, 0.170), (-0.290, 1.232, 0.080),
    (-0.372, 1.085, -0.011), (-0.123, 1.051, 0.221), (0.000, 1.064, 0.243), (0.123, 1.051, 0.221),
    (0.372, 1.085, -0.011), (0.126, 1.150, 0.165), (0.000, 1.165, 0.186), (-0.126, 1.150, 0.165),
)  # fmt: skip

MIRROR = (
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
    41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
)  # fmt: skip
# Landmark i of a face is landmark MIRROR[i] of its mirror image.


def mean_face() -> np.ndarray:
    """Returns float64 [68, 3], the landmarks of the mean face seen from the front.

    x goes to the right of the image, y down, z towards the viewer; the unit is the distance between the middles of the
    eyes, and the origin lies halfway between them.
    """
    return np.array(_POINTS)


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """Returns the five points [5, ...] of 68 landmarks [68, ...]: middles of the eyes, nose, corners of the mouth."""
    eyes = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    return np.stack([*eyes, landmarks[30], landmarks[48], landmarks[54]])
