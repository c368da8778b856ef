"""Photos a second of the face detector, against the `mtcnn` package called photo by photo, in one run.

python benchmarks/align.py [--photos 64] [--rounds 3]    (LFW's unaligned samples: KERAS_FACE_DATA)

Rounds of both take turns, and the best of each counts: other work on the machine slows both. It fails if the ratio is
below 2.5, or if the boxes are others.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

from keras_face.alignment.boxes import overlaps
from keras_face.alignment.detector import Detector
from keras_face.photos.files import read_photo

RATIO, OVERLAP = 2.5, 0.95  # at least


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    data = Path(os.environ.get("KERAS_FACE_DATA") or Path(__file__).parent / ".." / ".." / "shared" / "data")
    files = sorted((data / "lfw" / "raw250_deepfunneled_sample").glob("*/*.jpg"))[: arguments.photos]
    photos = [read_photo(file) for file in files]

    from mtcnn import MTCNN  # after the backend has chosen Keras

    ours, package = Detector(), MTCNN()
    ours(photos[:2])
    package.detect_faces(photos[0])
    speeds, theirs = [], []
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        found = ours(photos)
        between = time.perf_counter()
        theirs = [package.detect_faces([photo], box_format="xyxy", output_type="numpy") for photo in photos]
        end = time.perf_counter()
        speeds.append((len(photos) / (between - start), len(photos) / (end - between)))
    fast, slow = np.max(speeds, axis=0)
    least = min(_least_overlap(*pair) for pair in zip(found, theirs, strict=True))
    print(f"{len(photos)} photos of 250x250")
    print(f"  keras_face, a batch      {fast:6.1f} photos/s")
    print(f"  mtcnn, photo by photo    {slow:6.1f} photos/s")
    print(f"  ratio {fast / slow:.1f} (at least {RATIO}), least overlap of boxes {least:.4f} (at least {OVERLAP})")
    return 0 if fast / slow >= RATIO and least >= OVERLAP else 1


def _least_overlap(faces, rows) -> float:
    if len(faces) != len(rows):
        return 0.0
    boxes = np.array([[*face.box[:2], *(face.box[:2] + face.box[2:])] for face in faces]).reshape(-1, 4)
    return float(overlaps(boxes, rows[:, 1:5]).max(axis=1).min(initial=1))


if __name__ == "__main__":
    sys.exit(main())
