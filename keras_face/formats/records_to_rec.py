"""Records become train.rec, train.idx, train.lst and property, as InsightFace's trainers read them."""

import os
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
from tqdm import tqdm

from keras_face.backend import tf
from keras_face.files import new_folder
from keras_face.formats.image_records import pack
from keras_face.formats.recordio import RecordWriter
from keras_face.photos.summary import Summary
from keras_face.records.dataset import DatasetInfo, open_dataset, parse

_EXACT = 2**24  # float32, the type of labels, holds every whole number up to this one
_BATCH_SIZE = 64  # records that are parsed at a time


def write_rec(
    source: str | os.PathLike,
    output_dir: str | os.PathLike,
    *,
    identity_records: bool = True,
    skip_unknown: bool = False,
    progress: bool = True,
) -> Summary:
    """Writes a dataset as a .rec file with index, list and property file, and returns the summary.

    The photos are the same, byte for byte, in the shuffled order of the records.

    Args:
        source: Folder of records.
        output_dir: Folder to make; must not exist.
        identity_records: Number the photos 1, 2, ... person by person, and add InsightFace's record 0 and identity
            records (see `rec_layout`). Without them the photos are numbered 0, 1, ... in the order of the file, as
            NVIDIA's DALI needs it; arcface_torch reads both.
        skip_unknown: Leave out sequences of unknown people, which a .rec has no place for.
        progress: Whether to show a progress bar.

    Raises: ValueError: The output exists, `source` is no whole dataset, it has sequences of unknown people, or more
        people or identity records than the float32 of a .rec can number.
    """
    dataset = open_dataset(source)
    if dataset.num_sequences and not skip_unknown:
        raise ValueError(
            f"{source}: {dataset.num_sequences} sequences of unknown people, which a .rec has no place for; "
            "--skip_unknown leaves them out"
        )
    index = dataset.index
    known = index[index["label"] >= 0]
    counts = np.bincount(known["label"], known["images"], dataset.num_identities).astype(np.int64)
    # The numbers of the photos of each person: from its start to the next one's.
    starts = np.concatenate([[1], 1 + np.cumsum(counts)])
    num_photos, last = int(counts.sum()), int(starts[-1]) + dataset.num_identities
    if dataset.num_identities > _EXACT or (identity_records and last > _EXACT):
        raise ValueError(
            f"{source}: a .rec numbers at most {_EXACT} people and records exactly, got {dataset.num_identities} and "
            f"{last}{'; --noidentity_records numbers people only' if identity_records else ''}"
        )
    names = [""] * num_photos
    with new_folder(output_dir) as folder, RecordWriter(folder / "train.rec") as rec:
        if identity_records:
            rec.write(0, pack([starts[-1], last], 0, b""))
        following = starts.copy()
        photos = tqdm(_photos(dataset), "writing", num_photos, unit=" photos", disable=not progress)
        for number, (label, name, image) in enumerate(photos):
            key = int(following[label]) if identity_records else number
            following[label] += 1
            rec.write(key, pack([label], key, image))
            path = _path(name, dataset.identities[label])
            names[key - identity_records] = f"1\t{path}\t{label}" if identity_records else f"{key}\t{label}\t{path}"
        if identity_records:
            for label in range(dataset.num_identities):
                key = int(starts[-1]) + label
                rec.write(key, pack([starts[label], starts[label + 1]], key, b""))
        with open(folder / "train.lst", "w", encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            lines.writelines(f"{line}\n" for line in names)
        height, width = dataset.image_size
        (folder / "property").write_text(f"{dataset.num_identities},{height},{width}\n", encoding="ascii")
    told = f"{dataset.num_identities:,} people, {num_photos:,} photos"
    if dataset.num_sequences:
        told += f", {dataset.num_sequences:,} sequences of unknown people left out"
    numbers = {"people": dataset.num_identities, "photos": num_photos, "sequences_left_out": dataset.num_sequences}
    return Summary(told, numbers)


def _photos(dataset: DatasetInfo) -> Iterator[tuple[int, str, bytes]]:
    """Yields label, name and image of every photo of a known person, in the order of the records."""
    for batch in tf.data.TFRecordDataset(dataset.shards).batch(_BATCH_SIZE).map(parse):
        columns = batch["label"].numpy().tolist(), batch["name"].numpy(), batch["images"].to_list()
        for label, encoded, images in zip(*columns, strict=True):
            if label < 0:
                continue
            name = encoded.decode(errors="surrogateescape")
            each = name.split("|")
            if len(each) != len(images):
                each = [f"{name}#{number}" for number in range(len(images))] if len(images) > 1 else [name]
            yield from ((label, name, image) for name, image in zip(each, images, strict=True))


def _path(name: str, identity: str) -> str:
    """Returns what a list calls a photo: a path in a folder with the person's name, so that `from_mxnet` finds it."""
    if PurePosixPath(name).parent.name != identity:
        name = f"{identity}/{name.replace('/', '_')}"
    return re.sub(r"[\t\r\n]", "_", name)
