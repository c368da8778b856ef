"""The endless, undecoded stream of one dataset, epoch after epoch, from any position without reading what comes before.

A file is cut into spans of consecutive records. An epoch takes the spans in a random order, a block of them at a time,
and shuffles the examples of each block. So files are read in long runs, and the position of every example follows from
the spans' counts alone.

A *unit* is what is shuffled and counted: one image, or a face set that gives `images_per_set` of its images.
"""

import dataclasses

import numpy as np

from keras_face.backend import tf
from keras_face.records.dataset import RECORD_OVERHEAD, DatasetInfo, parse

SPAN_IMAGES = 256
_PURPOSES = _SPANS, _UNITS, _IMAGES = range(3)  # of random numbers; their streams never meet


@dataclasses.dataclass(frozen=True)
class Epochs:
    """The order of one dataset, a pure function of the seed and the position.

    With `balance`, every identity (and every sequence) gives equally many units to an epoch, about as many as the
    dataset holds in the mean: identities with more take turns from epoch to epoch, those with fewer repeat theirs.
    This holds 8 bytes per unit in memory.

    Args:
        dataset: What to read.
        seed: Of the order, and of the choice among a set's images.
        shuffle_buffer: Images that are shuffled together; about three times as many are held in memory, encoded.
        images_per_set: None: each image is a unit; K: a face set is, and gives K images, all different if it has K.
        balance: Whether identities, not units, are equally frequent.
    """

    dataset: DatasetInfo
    seed: int
    shuffle_buffer: int
    images_per_set: int | None = None
    balance: bool = False

    @property
    def num_units(self) -> int:
        """Units of the dataset."""
        return self.dataset.num_images if self.images_per_set is None else self.dataset.num_records

    @property
    def units_per_epoch(self) -> int:
        """Units of an epoch; with `balance` as near to `num_units` as equal shares allow."""
        if not self.balance:
            return self.num_units
        labels = self.dataset.num_identities + self.dataset.num_sequences
        return labels * max(1, round(self.num_units / labels))

    def examples(self, position: int) -> tf.data.Dataset:
        """Returns the stream of (image bytes, label, name) scalars, endless, that begins with unit number `position`.

        Labels are the dataset's own. Raises tf.errors.InvalidArgumentError at a record whose label is out of range.
        """
        index = self.dataset.index
        units = index["images"] if self.images_per_set is None else np.ones(len(index), np.int32)
        new_labels = self.dataset.new_labels
        if new_labels is not None:
            left_out = (index["label"] >= 0) & (new_labels.take(index["label"], mode="clip") < 0)
            units = np.where(left_out, np.int32(0), units)  # they are read with the spans they lie in, and not taken
        relabelling = None if new_labels is None else tf.constant(new_labels, tf.int64)
        spans = _spans(index, self.dataset.shard_lengths, min(SPAN_IMAGES, self.shuffle_buffer))
        span_units = tf.constant(np.add.reduceat(units, spans["record"]), tf.int64)
        table = {name: tf.constant(spans[name]) for name in ("shard", "offset", "record", "records")}
        shards = tf.constant(self.dataset.shards)
        spans_per_block = max(1, round(self.shuffle_buffer * len(spans) / self.dataset.num_images))
        num_blocks = -(-len(spans) // spans_per_block)
        last_spans = tf.constant(np.minimum(np.arange(1, num_blocks + 1) * spans_per_block, len(spans)) - 1)
        shares = _Shares(index["label"], units, self.units_per_epoch, self.seed) if self.balance else None
        first_epoch, skipped = divmod(position, self.units_per_epoch)

        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            order = tf.argsort(self._random([len(spans)], _SPANS, number))
            counts = span_units if shares is None else shares.count(number, table["record"])
            ends = tf.gather(tf.cumsum(tf.gather(counts, order)), last_spans)  # units up to the end of each block
            skip = tf.where(number == first_epoch, tf.constant(skipped, tf.int64), 0)
            first_block = tf.searchsorted(ends, [skip], side="right", out_type=tf.int64)[0]
            begin = tf.concat([[0], ends], 0)[first_block]  # units before that block

            def block(which: tf.Tensor) -> tf.data.Dataset:
                members = order[which * spans_per_block : (which + 1) * spans_per_block]
                shard, offset, record, records = (tf.gather(column, members) for column in table.values())
                read = tf.data.Dataset.from_tensor_slices((tf.gather(shards, shard), offset, records)).flat_map(_read)
                known = tf.data.Dataset.from_tensors((record, records, number, number * num_blocks + which))
                return tf.data.Dataset.zip((read.batch(tf.reduce_sum(records)), known))

            def shuffled(serialized: tf.Tensor, known: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
                return self._shuffled(shares, relabelling, serialized, *known)

            blocks = tf.data.Dataset.range(first_block, num_blocks).flat_map(block).map(shuffled)
            # The next block is read while this one is used.
            return blocks.prefetch(1).unbatch().skip((skip - begin) * (self.images_per_set or 1))

        # What waits here is used while the first block of the next epoch is read.
        return tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(epoch).prefetch(1 + self.shuffle_buffer // 4)

    def _shuffled(
        self,
        shares: "_Shares | None",
        relabelling: tf.Tensor | None,
        serialized: tf.Tensor,
        first_records: tf.Tensor,
        num_records: tf.Tensor,
        epoch: tf.Tensor,
        number: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the shuffled examples of a block: image bytes, labels and names, each [examples].

        Args:
            shares: With `balance`, how often each unit is taken.
            relabelling: The dataset's `new_labels`.
            serialized: string [records], the records of the block's spans.
            first_records: int64 [spans], the number of each span's first record.
            num_records: int64 [spans], the records of each span.
            epoch: int64 scalar.
            number: int64 scalar, the block, counted over all epochs.
        """
        parsed = parse(serialized)
        images, labels, names = parsed["images"], parsed["label"], parsed["name"]
        self._check(labels, names)
        if relabelling is not None:
            clipped = tf.clip_by_value(labels, 0, tf.size(relabelling, tf.int64) - 1)
            labels = tf.where(labels < 0, labels, tf.gather(relabelling, clipped))
            kept = tf.logical_or(parsed["label"] < 0, labels >= 0)
            images = tf.ragged.boolean_mask(images, kept)
            labels, names = tf.boolean_mask(labels, kept), tf.boolean_mask(names, kept)
        per_set = self.images_per_set
        rows = images.value_rowids() if per_set is None else tf.range(tf.size(labels))  # the record of each unit
        picked = tf.range(tf.size(rows))
        if shares is not None:
            records = tf.ragged.range(first_records, first_records + num_records).flat_values
            picked = tf.repeat(picked, shares.repeats_of(epoch, records))
        picked = tf.gather(picked, tf.argsort(self._random(tf.shape(picked), _UNITS, number)))
        rows = tf.gather(rows, picked)
        if per_set is None:
            return tf.gather(images.flat_values, picked), tf.gather(labels, rows), tf.gather(names, rows)
        sets = tf.gather(images, rows)
        # The images of each set in a random order, then the first K of them, over again where there are fewer.
        keys = self._random(tf.shape(sets.flat_values), _IMAGES, number)
        order = tf.argsort(keys + tf.cast(sets.value_rowids(), tf.float64))
        sizes = sets.row_lengths()
        chosen = sets.row_starts()[:, tf.newaxis] + tf.range(per_set, dtype=sizes.dtype) % sizes[:, tf.newaxis]
        rows = tf.repeat(rows, per_set)
        chosen_images = tf.gather(sets.flat_values, tf.gather(order, tf.reshape(chosen, [-1])))
        return chosen_images, tf.gather(labels, rows), tf.gather(names, rows)

    def _random(self, shape: tf.Tensor, purpose: int, counter: tf.Tensor) -> tf.Tensor:
        """Returns float64 in [0, 1) that depend on the seed, the purpose and the counter alone."""
        # float64, so that equal keys, whose order a sort would choose, are next to impossible.
        key = tf.stack([tf.constant(self.seed, tf.int64), counter * len(_PURPOSES) + purpose])
        return tf.random.stateless_uniform(shape, key, dtype=tf.float64)

    def _check(self, labels: tf.Tensor, names: tf.Tensor) -> None:
        """Fails, when the graph runs, at labels that the dataset does not have."""
        new_labels = self.dataset.new_labels
        low, high = -self.dataset.num_sequences, self.dataset.num_identities if new_labels is None else len(new_labels)
        outside = tf.logical_or(labels < low, labels >= high)
        tf.raw_ops.Assert(
            condition=tf.logical_not(tf.reduce_any(outside)),
            data=[
                f"{self.dataset.path}: labels must be in [{low}, {high}), got",
                tf.boolean_mask(labels, outside),
                "in the records",
                tf.boolean_mask(names, outside),
            ],
        )


class _Shares:
    """Which units an epoch takes, and how often, so that every label has the same share."""

    def __init__(self, labels: np.ndarray, units: np.ndarray, units_per_epoch: int, seed: int):
        labels = np.repeat(labels, units)
        keys = np.random.RandomState(seed % 2**32).random_sample(len(labels))
        order = np.lexsort((keys, labels))
        _, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
        rank = np.empty(len(labels), np.int32)
        rank[order] = np.arange(len(labels)) - np.repeat(starts, sizes)
        size = np.empty(len(labels), np.int32)
        size[order] = np.repeat(sizes, sizes)
        self.share = units_per_epoch // len(sizes)
        self.rank, self.size = tf.constant(rank), tf.constant(size)  # among the units of its label, and their number
        self.first_unit = tf.constant(np.concatenate([[0], np.cumsum(units)]), tf.int64)  # of each record

    def repeats(self, epoch: tf.Tensor, units: tf.Tensor) -> tf.Tensor:
        """Returns how often `epoch` takes each unit: the window [epoch * share, (epoch + 1) * share) of its cycle."""
        rank, size = tf.cast(tf.gather(self.rank, units), tf.int64), tf.cast(tf.gather(self.size, units), tf.int64)
        return self.share // size + tf.cast((rank - epoch * self.share) % size < self.share % size, tf.int64)

    def repeats_of(self, epoch: tf.Tensor, records: tf.Tensor) -> tf.Tensor:
        """Returns `repeats` of all units of the records."""
        units = tf.ragged.range(tf.gather(self.first_unit, records), tf.gather(self.first_unit, records + 1))
        return self.repeats(epoch, units.flat_values)

    def count(self, epoch: tf.Tensor, first_records: tf.Tensor) -> tf.Tensor:
        """Returns how many units `epoch` takes from each span, given the first record of each."""
        total = tf.cumsum(self.repeats(epoch, tf.range(tf.size(self.rank))))
        starts = tf.gather(tf.concat([[0], total], 0), tf.gather(self.first_unit, first_records))
        return tf.concat([starts[1:], total[-1:]], 0) - starts


def _spans(index: np.ndarray, shard_lengths: tuple[int, ...], images: int) -> np.ndarray:
    """Returns the spans: file, byte offset in it, first record (counted over all files) and number of records.

    A span holds about `images` images, and at least one record.
    """
    shard = np.repeat(np.arange(len(shard_lengths)), shard_lengths)
    first = np.repeat(np.cumsum(shard_lengths) - shard_lengths, shard_lengths)  # of the record's file
    images_before = np.cumsum(index["images"], dtype=np.int64) - index["images"]
    size = index["bytes"].astype(np.int64) + RECORD_OVERHEAD
    bytes_before = np.cumsum(size) - size
    part = (images_before - images_before[first]) // images
    starts = np.flatnonzero(np.diff(part, prepend=-1) | np.diff(shard, prepend=-1))
    spans = np.empty(len(starts), [("shard", "i8"), ("offset", "i8"), ("record", "i8"), ("records", "i8")])
    spans["shard"] = shard[starts]
    spans["offset"] = bytes_before[starts] - bytes_before[first[starts]]
    spans["record"] = starts
    spans["records"] = np.diff(starts, append=len(index))
    return spans


def _read(file: tf.Tensor, offset: tf.Tensor, records: tf.Tensor) -> tf.data.Dataset:
    """Returns the serialized records of a span."""
    # The public TFRecordDataset cannot begin in the middle of a file.
    reader = tf.raw_ops.TFRecordDatasetV2(
        filenames=[file], compression_type="", buffer_size=256 << 10, byte_offsets=[offset]
    )
    return tf.data.experimental.from_variant(reader, tf.TensorSpec([], tf.string)).take(records)
