"""From the data sections of a configuration to datasets on disk that are ready to be read."""

import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_face import synthetic
from keras_face.config import DatasetConfig, LfwConfig, SyntheticConfig, YtfConfig
from keras_face.photos.template import UNKNOWN, agreed
from keras_face.records import from_photos
from keras_face.records.writing import DatasetInfo, FaceSet, open_dataset, write_records
from keras_face.synthetic.camera import SIZE

logger = logging.getLogger("keras_face")

SYNTHETIC = "synthetic"
SYNTHETIC_TRACKS = "synthetic_tracks"
_FIRST_OF_TRACKS = 1_000_000  # the first drawn person of a track: none of the training's or of the test sets'


def training_datasets(
    names: Sequence[str],
    sections: Mapping[str, DatasetConfig],
    drawn: SyntheticConfig,
    seed: int,
    output_dir: Path,
    images_per_identity: int = 0,
) -> tuple[list[DatasetInfo], list[float]]:
    """Returns the opened datasets and their weights; what does not exist as records yet is written first.

    Args:
        names: Datasets in the order of their identities; `synthetic` and `synthetic_tracks` are drawn.
        sections: The dataset sections.
        drawn: How many people and tracks to draw, and how.
        seed: Seed of the drawn people.
        output_dir: Folder of the run; records whose section names no folder go to its `records/`.
        images_per_identity: Photos of one person that a batch needs together; every record that is written holds at
            least as many, if the person has them.

    Raises:
        ValueError: No names, a dataset that has neither records nor photos, or records that all hold a single photo
            where `images_per_identity` asks for several.
    """
    if not names:
        raise ValueError("[data] train: expected the name of at least one dataset, got none")
    opened, weights = [], []
    for name in names:
        section = sections.get(name, DatasetConfig())
        if name == SYNTHETIC and is_drawn(name, sections):
            photos = output_dir / "synthetic" / "train"
            if not photos.exists():
                logger.info("drawing %d people into %s", drawn.people, photos)
                synthetic.write_photos(
                    photos,
                    num_people=drawn.people,
                    photos_per_person=drawn.photos_per_person,
                    seed=seed,
                    difficulty=drawn.difficulty,
                )
            section = dataclasses.replace(section, photos=str(photos))
        if name == SYNTHETIC_TRACKS and is_drawn(name, sections):
            section = dataclasses.replace(section, records=str(_drawn_tracks(drawn, seed, output_dir)))
        # Photos are dealt evenly: of sets of up to 2 K - 1 none has fewer than K, unless the person has.
        enough = 2 * images_per_identity - 1
        section = dataclasses.replace(section, set_size=max(section.set_size, enough))
        dataset = _records(name, section, output_dir)
        if images_per_identity > 1:
            _check_sets(dataset, images_per_identity, enough)
        opened.append(dataset)
        weights.append(drawn.weight if name == SYNTHETIC else section.weight)
    return opened, weights


def is_drawn(name: str, sections: Mapping[str, DatasetConfig]) -> bool:
    """Returns whether a dataset is drawn: it has one of the names for that, and no section gives it records or photos.

    Args:
        name: Of the dataset.
        sections: The dataset sections.
    """
    section = sections.get(name, DatasetConfig())
    if name == SYNTHETIC:
        return not (section.records or section.photos or section.train_list)
    return name == SYNTHETIC_TRACKS and not section.records


def _check_sets(dataset: DatasetInfo, images_per_identity: int, enough: int) -> None:
    """Raises ValueError where every record holds one photo, and warns of sets that are smaller than they could be."""
    if dataset.num_images == dataset.num_records:
        raise ValueError(
            f"{dataset.path}: expected sets of several photos of one person, but every record holds one photo; "
            f"write it again with --set_size {enough}"
        )
    people, sizes = np.unique(dataset.index["label"], return_inverse=True)[1], dataset.index["images"]
    short = (np.bincount(people, sizes)[people] >= images_per_identity) & (sizes < images_per_identity)
    if short.any():
        logger.warning(
            "%s: %d of %d sets have fewer than %d photos though the person has as many, so photos repeat in a batch; "
            "written with --set_size %d or more they would not",
            dataset.path,
            short.sum(),
            len(short),
            images_per_identity,
            enough,
        )


def _drawn_tracks(drawn: SyntheticConfig, seed: int, output_dir: Path) -> Path:
    """Returns the records of the drawn tracks of unknown people, drawn and written first where they do not exist."""
    path = output_dir / "records" / SYNTHETIC_TRACKS
    if path.exists():
        return path
    photos = output_dir / "synthetic" / "tracks"
    if not photos.exists():
        logger.info("drawing %d tracks into %s", drawn.tracks, photos)
        synthetic.write_unknown_tracks(
            photos,
            num_tracks=drawn.tracks,
            frames_per_track=drawn.frames_per_track,
            seed=seed,
            difficulty=drawn.difficulty,
            first_person=_FIRST_OF_TRACKS,
        )
    tracks = sorted(path for path in photos.iterdir() if path.is_dir())
    face_sets = (
        FaceSet([frame.read_bytes() for frame in sorted(track.iterdir())], -1 - number, track.name)
        for number, track in enumerate(tracks)
    )
    how = f"folder {photos} of drawn tracks"
    write_records(path, face_sets, identities=(), image_size=(SIZE, SIZE), source=how, template=agreed([photos]))
    return path


def _records(name: str, section: DatasetConfig, output_dir: Path) -> DatasetInfo:
    """Returns the opened records of a section, written first where they do not exist."""
    records = Path(section.records) if section.records else output_dir / "records" / name
    if not records.exists():
        if section.photos:
            logger.info("writing the photos of %s as records into %s", section.photos, records)
            summary = from_photos.write_folder(
                section.photos,
                records,
                people_file=section.people or None,
                min_photos=section.min_photos,
                set_size=section.set_size,
                progress=sys.stderr.isatty(),
                template=section.template or None,
            )
        elif section.train_list:
            logger.info("writing the photos of %s as records into %s", section.train_list, records)
            summary = from_photos.write_list(
                section.train_list,
                section.prefix,
                records,
                set_size=section.set_size,
                progress=sys.stderr.isatty(),
                template=section.template or None,
            )
        else:
            raise ValueError(f"[{name}] expected records, photos or train_list that exist; {records} does not")
        logger.info("%s", summary)
    dataset = open_dataset(records)
    if section.template not in ("", dataset.template):
        if dataset.template != UNKNOWN:
            raise ValueError(
                f"[{name}] template: expected {dataset.template}, which the records {records} say, or nothing, "
                f"got {section.template}"
            )
        dataset = dataclasses.replace(dataset, template=section.template)
    return dataset


def test_sections(
    lfw: LfwConfig, ytf: YtfConfig, drawn: SyntheticConfig, seed: int, output_dir: Path
) -> tuple[LfwConfig, YtfConfig]:
    """Returns the sections of the test sets with `synthetic` replaced by folders, drawn where they do not exist.

    The people are none of the training's: their numbers begin after them.
    """
    if lfw.enable and lfw.prefix == SYNTHETIC:
        folder = output_dir / "synthetic" / "lfw"
        if not folder.exists():
            logger.info("drawing LFW-style pairs into %s", folder)
            synthetic.write_lfw_style(folder, seed=seed, difficulty=drawn.test_difficulty, first_person=drawn.people)
        lfw = dataclasses.replace(lfw, prefix=str(folder))
    if ytf.enable and ytf.prefix == SYNTHETIC:
        folder = output_dir / "synthetic" / "ytf"
        if not folder.exists():
            logger.info("drawing YTF-style tracks into %s", folder)
            synthetic.write_ytf_style(folder, seed=seed, difficulty=drawn.test_difficulty, first_person=drawn.people)
        ytf = dataclasses.replace(
            ytf,
            prefix=str(folder),
            splits=str(folder / "ytf_splits.txt"),
            ytf_error=str(folder / "ytf-error.txt"),
        )
    return lfw, ytf
