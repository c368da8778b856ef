"""The TensorFlow Datasets builder of face sets; imported only where records are written."""

import dataclasses
import importlib.util
import operator
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from tensorflow_datasets.core import writer as tfds_writer
from tensorflow_datasets.core.utils.lazy_imports_utils import apache_beam as beam
from tensorflow_datasets.core.utils.shard_utils import ShardConfig

from keras_face.backend import tf
from keras_face.records.dataset import FORMAT, SPLIT

SHARD_SIZE = 256 * 2**20  # bytes


class _Shards(ShardConfig):
    """As many shards as asked for, or as make them about SHARD_SIZE, where TensorFlow Datasets has powers of two."""

    def get_number_shards(self, total_size: int, num_examples: int, uses_precise_sharding: bool = True) -> int:
        return self.num_shards or min(num_examples, -(-total_size // SHARD_SIZE))


class _Config(tfds.download.DownloadConfig):
    def get_shard_config(self) -> ShardConfig:
        return _Shards(num_shards=self.num_shards)


class _Serializer:
    """Serializes the only kind of example there is: 12 times faster than the general one, to the same record."""

    example_specs: Mapping[str, Any] = types.MappingProxyType({})  # to print two records with one name: not wanted

    def serialize_example(self, example: dict[str, Any]) -> bytes:
        record = tf.train.Example()
        feature = record.features.feature
        feature["images"].bytes_list.value.extend(example["images"])
        feature["label"].int64_list.value.append(example["label"])
        feature["name"].bytes_list.value.append(example["name"])
        return record.SerializeToString(deterministic=True)


@dataclasses.dataclass(frozen=True)
class Examples:
    """From an item to what the builder writes: its key and its example.

    Args:
        load: Makes a face set of an item.
        num_identities: Labels must be below it.

    Raises: ValueError: the label is not.
    """

    load: Callable[[Any], Any] | None
    num_identities: int

    def __call__(self, item: Any) -> tuple[bytes, dict[str, Any]]:
        face_set = item if self.load is None else self.load(item)
        label = operator.index(face_set.label)
        if label >= self.num_identities:
            raise ValueError(f"face set {face_set.name!r}: label must be below {self.num_identities}, got {label}")
        name = face_set.name.encode(errors="surrogateescape")
        return name, {"images": list(face_set.images), "label": label, "name": name}


def prepare(
    folder: Path,
    items: Iterable[Any],
    examples: Examples,
    num_shards: int | None,
    beam_runner: str | None,
    beam_options: Sequence[str],
) -> Path:
    """Returns the folder inside `folder` that holds the written records; the order is that of a hash of the names.

    Args:
        folder: Existing folder for this writer alone.
        items: What `examples` takes, one a record; read once.
        examples: From an item to an example.
        num_shards: Number of files; None: about SHARD_SIZE each.
        beam_runner: Apache Beam's runner; None: this process writes.
        beam_options: Apache Beam's options, each as on its command lines.

    Raises:
        ValueError: There are no items, a name comes twice, an item is wrong, or Beam is not installed.
        OSError: The records cannot be written.
    """
    builder = _FaceSets(data_dir=folder)
    builder.items, builder.examples = items, examples
    config = _Config(num_shards=num_shards, try_download_gcs=False, beam_runner=beam_runner)
    if beam_runner is not None:
        if importlib.util.find_spec("apache_beam") is None:
            raise ValueError(f"beam_runner {beam_runner} needs Apache Beam: pip install apache-beam")
        config.beam_options = beam.options.pipeline_options.PipelineOptions(flags=list(beam_options))
    tfds.display_progress_bar(False)  # the writer's caller knows the total, and shows the progress of its source
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)  # of two records with one name all bytes are logged
    try:
        builder.download_and_prepare(download_dir=folder / "downloads", download_config=config)
    except AssertionError as error:
        if not isinstance(error.__context__, tfds.core.shuffle.DuplicatedKeysError):
            raise
        record = tf.train.Example.FromString(error.__context__.item1)
        name = record.features.feature["name"].bytes_list.value[0].decode(errors="replace")
        raise ValueError(f"names of face sets must be unique, got {name!r} twice") from None
    except (tf.errors.OpError, RuntimeError) as error:  # what becomes of a full disk, and of an error in a Beam worker
        raise OSError(f"cannot write the records: {str(error).strip().splitlines()[-1]}") from error
    finally:
        logging.set_verbosity(verbosity)
    return Path(builder.data_path)


with tfds.core.registered.skip_registration():

    class _FaceSets(tfds.core.GeneratorBasedBuilder):
        __module__ = "keras_face"  # a dotted name would need importlib_resources, which tfds does not install
        VERSION = tfds.core.Version(f"{FORMAT}.0.0")
        name = "face_sets"

        items: Iterable[Any]
        examples: Examples

        def _info(self):
            image = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
            features = {
                "images": tfds.features.Sequence(image),
                "label": tfds.features.Scalar(np.int64),
                "name": tfds.features.Text(),
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {SPLIT: self._generate_examples()}

        def _generate_examples(self):
            return beam.Create(self.items) | beam.Reshuffle() | beam.Map(self.examples)

        def _generate_splits(self, dl_manager, download_config):
            if download_config.beam_runner is not None:
                return super()._generate_splits(dl_manager, download_config)
            # What the general way does for a generator, with our serializer.
            files = self._get_filename_template(split_name=SPLIT)
            writer = tfds_writer.Writer(
                serializer=_Serializer(),
                filename_template=files,
                hash_salt=SPLIT,
                disable_shuffling=False,
                shard_config=download_config.get_shard_config(),
                example_writer=self._example_writer(),
            )
            written = False
            for item in self.items:
                writer.write(*self.examples(item))
                written = True
            if not written:
                raise ValueError("there must be at least one face set, got none")
            shard_lengths, num_bytes = writer.finalize()
            split = tfds.core.SplitInfo(
                name=SPLIT, shard_lengths=shard_lengths, num_bytes=num_bytes, filename_template=files
            )
            return [split]

        def _log_download_bytes(self):
            """Prints nothing: there is no download."""

        def _log_download_done(self):
            """Prints nothing: there is no download."""
