"""What `inspect` finds of faults planted in aligned crops: recall, false alarms, severity, and processor time.

    python benchmarks/doctor.py [--source lfw/aligned112] [--photos 400] [--shares 0.05,0.4] [--seed 0]

Every fault is planted in a share of the crops of people drawn by the seed; the others stay as they are.
"""

import os
import random
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from absl import app, flags

from keras_face.inspection import doctor, sources
from keras_face.photos import encoding
from keras_face.photos.files import read_photo
from keras_face.photos.template import write_record

DATA = Path(os.environ.get("KERAS_FACE_DATA", "../shared/data"))
SOURCE = flags.DEFINE_string("source", os.fspath(DATA / "lfw" / "aligned112"), "Folder of people's aligned photos.")
PHOTOS = flags.DEFINE_integer("photos", 400, "Crops to plant faults among.", lower_bound=20)
SHARES = flags.DEFINE_list("shares", ["0.05", "0.4"], "Of the crops that get a fault.")
SEED = flags.DEFINE_integer("seed", 0, "Of the crops.")


def moved(image: np.ndarray, right=0.0, down=0.0, turn=0.0, scale=1.0) -> np.ndarray:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn, scale)
    matrix[:, 2] += right, down
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def no_face(image: np.ndarray) -> np.ndarray:
    """Returns a corner of the crop, enlarged: hair, clothes and background."""
    return cv2.resize(image[:28, :28], image.shape[1::-1], interpolation=cv2.INTER_CUBIC)


FAULTS = {
    "nothing": ("alignment", lambda image: image),
    "sideways": ("alignment", lambda image: np.rot90(image)),
    "upside down": ("alignment", lambda image: image[::-1, ::-1]),
    "shifted by 7 pixels": ("alignment", lambda image: moved(image, right=6, down=-3.6)),
    "turned by 15 degrees": ("alignment", lambda image: moved(image, turn=15)),
    "25 % smaller": ("alignment", lambda image: moved(image, scale=0.75)),
    "no face": ("alignment", no_face),
    "red and blue swapped": ("colour-order", lambda image: image[..., ::-1]),
}


def main(_: list[str]) -> None:
    draw = random.Random(SEED.value)
    paths = sorted(draw.sample(sorted(Path(SOURCE.value).glob("*/*.jpg")), PHOTOS.value))
    print(f"{len(paths)} crops of {SOURCE.value}, seed {SEED.value}")
    print(f"{'fault':<22} share  planted  found  recall  others  severity  seconds of processor")
    for fault, (kind, change) in FAULTS.items():
        for share in map(float, SHARES.value) if fault != "nothing" else [0.0]:
            planted = set(draw.sample(paths, round(share * len(paths))))
            with tempfile.TemporaryDirectory() as folder:
                source, report = Path(folder, "photos"), Path(folder, "report")
                report.mkdir()
                for path in paths:
                    target = source / path.parent.name / path.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    content = path.read_bytes()
                    if path in planted:
                        content = encoding.jpeg(np.ascontiguousarray(change(read_photo(path))), 95)
                    target.write_bytes(content)
                write_record(source, "arcface")
                start = time.process_time()
                findings = doctor.inspect([sources.FolderPhotos(source)], report, detected_photos=len(paths)).findings
                seconds = time.process_time() - start
            found = {entry.name for finding in findings if finding.kind == kind for entry in finding.entries}
            severity = next((finding.severity for finding in findings if finding.kind == kind), "-")
            right = found & {f"{path.parent.name}/{path.name}" for path in planted}
            recall = f"{len(right) / len(planted):.3f}" if planted else "-"
            row = f"{fault:<22} {share:>5.2f}  {len(planted):>7}  {len(right):>5}  {recall:>6}  {len(found - right):>6}"
            print(f"{row}  {severity:<8}  {seconds:.1f}", flush=True)


if __name__ == "__main__":
    app.run(main)
