"""What the commands and the Python of the pages name: photos, records, lists, a model."""

import shutil
from pathlib import Path

import cv2
import numpy as np

from keras_face import config
from keras_face.backend import keras, tf
from keras_face.evaluation.features import write_features
from keras_face.evaluation.protocols import Pairs
from keras_face.evaluation.results import Origin, verify
from keras_face.export import ServedModel, export_model, load_embedder
from keras_face.formats import bin_files, records_to_rec
from keras_face.measurement.feature_files import embed_all
from keras_face.records import from_photos, writing
from keras_face.synthetic.writing import write_lfw_style, write_photos, write_ytf_style

REPOSITORY = Path(__file__).resolve().parents[2]


def make_workspace(folder: Path, real_photos: Path | None) -> None:
    """Makes what the commands of the pages name: photos, records, lists, a model; small, and of drawn people.

    Args:
        folder: To make it in; exists.
        real_photos: Folder of LFW's photos as they came from the camera; None: drawn crops stand for them.
    """
    write_lfw_style(folder / "lfw/aligned112", 2, 6, 4, 3)
    write_photos(folder / "crops/mine", 4, 3, first_person=10)
    write_photos(folder / "crops/others", 20, 2, first_person=20)
    write_photos(folder / "crops/many", 17, 3, first_person=40)
    shutil.copytree(folder / "crops/mine", folder / "CASIA-WebFace-112")
    shutil.copytree(folder / "crops/mine", folder / "crops", dirs_exist_ok=True)
    for name in ("my_photos", "photos"):
        _photos(folder / name, real_photos, folder / "crops/mine")
    shutil.copy(folder / "lfw/aligned112/pairs.txt", folder / "lfw/pairs.txt")
    (folder / "lfw/protocol").mkdir()
    shutil.copy(folder / "lfw/pairs.txt", folder / "lfw/protocol/pairs.txt")
    shutil.copy(folder / "lfw/pairs.txt", folder / "pairs.txt")
    write_ytf_style(folder / "ytf", 2, 4, 4, 2, 2, 1)
    ytf = "[ytf]\nprefix = ytf\nsplits = ytf/ytf_splits.txt\nytf_error = ytf/ytf-error.txt\n"
    (folder / "config.ini").write_text(ytf)
    (folder / "own.ini").write_text("[data]\ntrain = own\n[own]\nrecords = records/mine\n[training]\nepochs = 2\n")
    (folder / "recipes").symlink_to(REPOSITORY / "recipes")
    for name, source in (("records/mine", "mine"), ("data/ms1m", "mine"), ("records/many", "many")):
        from_photos.write_folder(folder / "crops" / source, writing.Output(folder / name))
    records_to_rec.write_rec(folder / "data/ms1m", folder / "faces_emore", progress=False)
    bin_files.pack(folder / "lfw/aligned112", folder / "lfw.bin", progress=False)
    files = sorted((folder / "crops/mine").glob("*/*.jpg"))
    np.save(folder / "photos.npy", np.stack([cv2.imread(str(file)) for file in files]))
    np.save(folder / "labels.npy", np.array([file.parent.name for file in files]))
    lines = [f"{file.parent.name}/{file.name} {int(file.parent.name[-2:])}" for file in files]
    (folder / "casia.txt").write_text("\n".join(lines))
    (folder / "FILE.csv").write_text("")
    _model(folder)


def python_names(folder: Path) -> dict[str, object]:
    """Returns what the Python blocks take for granted, by name."""
    random = np.random.default_rng(0)
    genuine, fold = np.arange(600) % 2 == 0, np.arange(600) % 10
    similarity = random.normal(genuine * 0.6, 0.2)
    left, right = (tuple(f"P{i + side}/{side}.jpg" for i in range(600)) for side in (0, 1))
    pairs = Pairs("made pairs", left, right, genuine, fold)
    return {
        "tf": tf,
        "two_photos": tf.constant(random.integers(0, 256, (2, 112, 112, 3)), tf.uint8),
        "similarity": similarity,
        "genuine": genuine,
        "fold": fold,
        "measured": verify(pairs, similarity, Origin("model", "photos", "plain")),
        "read": lambda key: np.full((8, 8, 3), len(key), np.uint8),
    }


def _photos(folder: Path, real: Path | None, drawn: Path) -> None:
    if real is None:
        shutil.copytree(drawn, folder)
        return
    people = [person for person in sorted(real.iterdir()) if 1 < len(list(person.glob("*.jpg"))) < 5][:2]
    for person in people:
        shutil.copytree(person, folder / person.name)


def _model(folder: Path) -> None:
    """Exports a small network as the run output/mine, which is output/run and MODEL, too, and embeds photos with it."""
    keras.utils.set_random_seed(0)
    photo = keras.Input((112, 112, 3))
    embedding = keras.layers.Dense(16)(keras.layers.Flatten()(keras.layers.AveragePooling2D(16)(photo)))
    backbone = ServedModel(keras.Model(photo, embedding))
    for name in ("mine", "run", "big"):
        export_model(backbone, folder / "output" / name / "export", 1000, {"template": "arcface"})
        (folder / "output" / name / "checkpoints").mkdir()
        config.write_config(config.load(), folder / "output" / name / "config.ini")
    photos = sorted((folder / "lfw/aligned112").glob("*/*.jpg"))
    named = ((str(path.relative_to(folder / "lfw/aligned112")), path) for path in photos)
    features = embed_all(load_embedder(folder / "output/mine"), named, len(photos), flip=True)
    write_features(folder / "lfw.npz", features)
    rows = [
        " ".join([f"lfw/{name}", *map(str, row)]) for name, row in zip(features.names, features.embeddings, strict=True)
    ]
    (folder / "feat.list").write_text("\n".join(rows))
