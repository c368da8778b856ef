"""Face sets on disk: written through TensorFlow Datasets, described by metadata, opened only when whole.

A dataset is one folder in TensorFlow Datasets' layout (`tfds.builder_from_directory` reads it), and beside its
shards and `dataset_info.json`:

    metadata.json      how it was made, and its counts
    identities.json    the names of the identities, in the order of their labels
    index.npy          label, number of images and bytes of every record, in the order of the shards
"""

import dataclasses
import io
import json
import operator
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from keras_face import __version__, files
from keras_face.backend import tf
from keras_face.evaluation.short import Short
from keras_face.photos.headers import is_photo
from keras_face.photos.summary import write_skipped
from keras_face.photos.template import UNKNOWN, write_record
from keras_face.records.dataset import COLOUR_ORDER, FORMAT, INDEX_DTYPE, DatasetInfo, open_dataset, parse, shard_files


@dataclasses.dataclass(frozen=True, repr=False)
class FaceSet(Short):
    """Images that are known to show one person: a photo, photos of one identity, or a track.

    Args:
        images: Encoded JPEG or PNG files, aligned crops, RGB; at least one.
        label: >= 0: identity; < 0: a sequence whose person is unknown, -1 - sequence.
        name: Where it came from; unique in its dataset.

    Raises: ValueError if there is no image, no name, or an image is neither JPEG nor PNG.
    """

    images: Sequence[bytes]
    label: int
    name: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a face set must have a name, got an empty one")
        if not self.images:
            raise ValueError(f"face set {self.name!r} must have at least one image, got none")
        for image in self.images:
            if not is_photo(image):
                raise ValueError(f"face set {self.name!r} must hold JPEG or PNG files, got bytes {image[:8]!r}")


def check_new(output: "Output | str | os.PathLike") -> Path:
    """Returns the folder to make; ValueError if it exists."""
    return files.check_new(output.path if isinstance(output, Output) else output)


@dataclasses.dataclass(frozen=True)
class Output:
    """Where records are written, and by whom.

    Args:
        path: Folder to make; must not exist.
        num_shards: Number of files; None: as many as makes them about 256 MiB.
        beam_runner: Runner of Apache Beam, which then makes and writes the records, on many machines if it has them;
            None: this process does.
        beam_options: Options of the runner, each as on Beam's command lines.
    """

    path: str | os.PathLike
    num_shards: int | None = None
    beam_runner: str | None = None
    beam_options: Sequence[str] = ()


def write_records(
    output: Output | str | os.PathLike,
    items: Iterable[Any],
    *,
    identities: Sequence[str],
    image_size: Sequence[int],
    source: str,
    load: Callable[[Any], FaceSet] | None = None,
    template: str | None = None,
    drawn: bool = False,
    colour_order: str = COLOUR_ORDER,
    skipped: Sequence[tuple[str, str]] = (),
    total: int | None = None,
    progress: bool = False,
) -> DatasetInfo:
    """Writes a dataset, whole or not at all, in an order shuffled by name, and returns it opened.

    It is written into `<path>.incomplete` and then renamed; what a killed run left there is removed by the next.

    Args:
        output: Where to; a path is an `Output` with no more to say.
        items: What to write, read once: face sets, or with `load` anything of which it makes one.
        identities: Names of the identities 0, 1, ...; each must have a face set.
        image_size: (height, width) of all images, pixels.
        source: How the dataset was made, for its reader: a command, a path.
        load: Makes a face set of an item. Beam's workers call it, so there both must be picklable.
        template: What the crops are aligned to; None: nobody knows.
        drawn: Whether the people are drawn, which the records then say (`photos.template.is_drawn`).
        colour_order: Of the encoded images; only "rgb" is taken.
        skipped: Name and reason of what was left out before, for `skipped.csv` beside the records.
        total: Number of items, for the progress bar.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: The output exists or is being written, there is nothing to write, a name comes twice, a label is
            out of range, an identity or a sequence number has no face set, or `colour_order` is not RGB.
        OSError: It cannot be written.
    """
    # It imports TensorFlow Datasets, which takes seconds, and only writers need it.
    from keras_face.records import builder

    output = output if isinstance(output, Output) else Output(output)
    path = check_new(output)
    if colour_order != COLOUR_ORDER:
        raise ValueError(f"colour_order must be {COLOUR_ORDER!r}: encode the images as RGB, got {colour_order!r}")
    height, width = (operator.index(side) for side in image_size)
    with (
        files.scratch_folder(path) as scratch,
        tqdm(items, "writing", total, unit=" records", disable=not progress) as shown,
    ):
        examples = builder.Examples(load, len(identities))
        folder = builder.prepare(scratch, shown, examples, output.num_shards, output.beam_runner, output.beam_options)
        index = _scan(shard_files(folder)[0])
        facts = {
            "format": FORMAT,
            "num_records": len(index),
            "num_images": int(index["images"].sum()),
            "num_identities": len(identities),
            "num_sequences": _count_labels(index["label"], identities),
            "image_size": [height, width],
            "template": template or UNKNOWN,
            "colour_order": colour_order,
            "source": source,
            "package_version": __version__,
        }
        encoded_index = io.BytesIO()  # np.save itself says nothing where the disk is full
        np.save(encoded_index, index)
        (folder / "index.npy").write_bytes(encoded_index.getbuffer())
        (folder / "identities.json").write_text(json.dumps(list(identities), indent=0))
        (folder / "metadata.json").write_text(json.dumps({"keras_face": facts}, indent=2))
        write_skipped(folder, skipped)
        if drawn:
            write_record(folder, template, drawn=True)
        folder.rename(path)
    return open_dataset(path)


def _scan(shards: Sequence[str]) -> np.ndarray:
    """Returns the index of written shards: INDEX_DTYPE [num_records]."""

    @tf.autograph.experimental.do_not_convert  # converting takes as long as reading 10,000 records
    def facts(records: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parsed = parse(records)
        return parsed["label"], parsed["images"].row_lengths(), tf.strings.length(records)

    batches = tf.data.TFRecordDataset(shards).batch(256).map(facts).as_numpy_iterator()
    return np.concatenate([np.rec.fromarrays(batch, dtype=INDEX_DTYPE) for batch in batches]).view(np.ndarray)


def _count_labels(labels: np.ndarray, identities: Sequence[str]) -> int:
    """Returns the number of sequences of unknown people; ValueError if an identity or a sequence has no face set."""
    present = np.unique(labels)
    absent = np.setdiff1d(np.arange(len(identities)), present)
    if len(absent):
        names = ", ".join(identities[label] for label in absent[:5])
        raise ValueError(f"every identity must have a face set, but {len(absent)} have none: {names} ...")
    num_sequences = max(0, -int(present.min()))
    if np.count_nonzero(present < 0) != num_sequences:
        raise ValueError(
            f"labels < 0 must be -1, -2, ... without gaps, got {np.count_nonzero(present < 0)} down to {-num_sequences}"
        )
    return num_sequences
