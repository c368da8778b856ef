"""Which record of a dataset is damaged, or is none that training takes: looked for once something has gone wrong."""

from collections.abc import Iterator

from keras_face.backend import said_by, tf
from keras_face.records.dataset import DatasetInfo

# What reading records ends with: the last where TensorFlow's message repeats bytes of them that are no text.
UNREADABLE = (tf.errors.InvalidArgumentError, tf.errors.DataLossError, UnicodeDecodeError)
_KINDS = {"images": "bytes_list", "label": "int64_list", "name": "bytes_list"}


def first_fault(dataset: DatasetInfo) -> str | None:
    """Returns the file and number of the first record that cannot be read, and what is wrong with it; None: all can.

    Args:
        dataset: Whose records are read, one after the other.
    """
    labels = dataset.num_identities if dataset.new_labels is None else len(dataset.new_labels)
    for shard, length in zip(dataset.shards, dataset.shard_lengths, strict=True):
        for number, record in enumerate(_records(shard), start=1):
            wrong = record if isinstance(record, str) else _fault(record, -dataset.num_sequences, labels)
            if wrong:
                return f"{shard}: record {number} of {length}: {wrong}"
    return None


def _records(shard: str) -> Iterator[bytes | str]:
    """Yields the records of a file, and in place of one that is damaged what is said of it."""
    reader = tf.data.TFRecordDataset(shard).as_numpy_iterator()
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            yield f"expected whole bytes, but it is damaged ({said_by(error)}); write the dataset again"
            return


def _fault(serialized: bytes, low: int, high: int) -> str | None:
    """Returns what is wrong with a record; None if it is as training takes it, but for its photos' own bytes."""
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except Exception:  # protobuf's own error, which is no ValueError, and has another name in each of its versions
        return "expected a tf.train.Example, got other bytes"
    for name, kind in _KINDS.items():
        found = features[name].WhichOneof("kind") if name in features else None
        if found != kind:
            return f"expected {name} as {kind}, got {found or 'none'}"
        number = len(getattr(features[name], kind).value)
        if number < 1 or (name != "images" and number != 1):
            return f"expected {'one or more' if name == 'images' else 'one'} of {name}, got {number}"
    label = features["label"].int64_list.value[0]
    if not low <= label < high:
        return f"expected a label in [{low}, {high}), got {label}"
    return None
