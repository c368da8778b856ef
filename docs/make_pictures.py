"""Writes docs/pictures from a run on drawn people: no photo of a real person is in them.

    python -m train_centre && python docs/make_pictures.py output/quick_start

The report is opened in chromium (`chromium-headless-shell`), as a reader would.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from keras_face import synthetic
from keras_face.alignment.aligner import Aligner
from keras_face.alignment.crop_files import align_folder
from keras_face.alignment.landmark_files import ListedLandmarks
from keras_face.alignment.templates import template

PICTURES = Path(__file__).parent / "pictures"
SCALARS = (
    "train/loss",
    "train/accuracy",
    "train/target_cosine",
    "train/learning_rate",
    "train/angular_centre",
    "train/embedding_norm",
)


def main() -> None:
    run = Path(sys.argv[1])
    PICTURES.mkdir(exist_ok=True)
    write_sheet(PICTURES / "sheet.png")
    write_scalars(PICTURES / "scalars.png", run / "summaries")
    write_report(PICTURES / "report.png", run / "report.html")
    for path in sorted(PICTURES.glob("*.png")):
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def write_sheet(path: Path) -> None:
    """Writes what `align --sheet` does of photos of drawn people, who stand askew in them."""
    with tempfile.TemporaryDirectory() as folder:
        photos, lines = Path(folder, "photos"), []
        synthetic.write_photos(Path(folder, "drawn"), num_people=4, photos_per_person=2)
        random = np.random.default_rng(0)
        for crop in sorted(Path(folder, "drawn").glob("*/*.jpg")):
            turn = cv2.getRotationMatrix2D((56, 56), random.uniform(-25, 25), random.uniform(0.9, 1.6))
            turn[:, 2] += random.uniform(64, 84, 2)
            photo = cv2.warpAffine(cv2.imread(str(crop)), turn, (256, 256), borderValue=(205, 215, 220))
            (photos / crop.parent.name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(photos / crop.parent.name / crop.name), photo)
            points = template("arcface").landmarks @ turn[:, :2].T + turn[:, 2]
            lines.append(
                "\t".join([f"{crop.parent.name}/{crop.name}", *(f"{number:.2f}" for number in points.ravel())])
            )
        Path(folder, "landmarks.txt").write_text("\n".join(lines))
        aligner = Aligner(template("arcface"), ListedLandmarks(Path(folder, "landmarks.txt")))
        align_folder(photos, Path(folder, "crops"), aligner, sheet=path, progress=False)
    shrink(path)


def write_scalars(path: Path, summaries: Path) -> None:
    """Writes the scalars of a run over its steps, from the event files that TensorBoard shows."""
    events = EventAccumulator(str(summaries), size_guidance={"tensors": 0, "scalars": 0})
    events.Reload()
    figure = Figure(figsize=(10, 5.6), dpi=100, layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    known = events.Tags()["tensors"]
    for axis, tag in zip(axes, [tag for tag in SCALARS if tag in known], strict=False):
        found = events.Tensors(tag)
        values = [float(tensor_util.make_ndarray(event.tensor_proto)) for event in found]
        axis.plot([event.step for event in found], values, "o-", color="#00897b")
        axis.set_title(tag, fontsize=10)
        axis.grid(alpha=0.3)
    for axis in axes:
        axis.set_visible(bool(axis.lines))
    figure.savefig(path)
    shrink(path)


def write_report(path: Path, report: Path) -> None:
    """Writes the beginning of a report as a browser shows it."""
    browser = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if browser is None:
        raise SystemExit("expected chromium-headless-shell or chromium, found neither")
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1100,1500",
         f"--screenshot={path.resolve()}", report.resolve().as_uri()],
        check=True, capture_output=True,
    )  # fmt: skip
    shrink(path)


def shrink(path: Path) -> None:
    """Writes a PNG again with 256 colours, a third of the bytes."""
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(256)
    small.save(path, optimize=True)


if __name__ == "__main__":
    main()
