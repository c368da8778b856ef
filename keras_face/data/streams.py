"""The training input: a mixture of datasets as an endless stream of batches."""

import hashlib
from collections.abc import Sequence

from keras_face.backend import tf
from keras_face.data import images
from keras_face.data.augment import Augmentation
from keras_face.data.epochs import Epochs
from keras_face.data.mixture import Mixture, Turns, mix, mixing_table

__all__ = ["Mixture", "mix", "mixing_table", "train_stream", "unreadable"]


def train_stream(
    mixture: Mixture,
    *,
    batch_size: int,
    seed: int,
    image_size: Sequence[int],
    start_step: int = 0,
    images_per_set: int | None = None,
    augmentation: Augmentation | None = None,
    shuffle_buffer: int = 8192,
) -> tf.data.Dataset:
    """Returns the endless stream of training batches from a step on.

    Order and content are a pure function of the datasets, the other arguments and the step: the stream that begins at
    step k has, bit for bit, the batches that one from the beginning has from step k on, and neither decodes nor reads
    what comes before.

    With K images per set, a batch is batch_size / K face sets one after the other, K images of each: all different if
    the set has K, in turn if it has fewer, another choice each time. Two sets of a batch may show the same identity.

    Args:
        mixture: Made by `mix`.
        batch_size: Examples of a batch over all replicas; a multiple of `images_per_set`.
        seed: Of order, choice and augmentation, >= 0.
        image_size: (height, width) of the batches, pixels; images of other sizes are fitted.
        start_step: Step of the first batch.
        images_per_set: None: every image of a set is an example of its own; K: every set gives K.
        augmentation: What is done to each image; None: nothing.
        shuffle_buffer: Images that each dataset shuffles together; about three times as many are held, encoded.

    Returns: dataset of {"images": uint8 [batch_size, height, width, 3], "labels": int64 [batch_size],
        "names": string [batch_size]}; labels of unknown sequences are negative.

    Raises:
        ValueError: An argument is out of range.
        tf.errors.InvalidArgumentError: While iterating, at a label outside its dataset's range, an image that is not
            of its dataset's size (both name the record), or bytes that are no image (`unreadable` names the records).
    """
    size = tuple(image_size)
    examples = _encoded(mixture, batch_size, seed, start_step, images_per_set, shuffle_buffer)
    numbers = tf.data.Dataset.range(start_step * batch_size, tf.int64.max)
    sizes = sorted({dataset.image_size for dataset in mixture.datasets})
    augmentation_seed = _derived(seed, "augmentation")

    def decoded(number: tf.Tensor, example: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        image_bytes, label, name = example
        image = images.decode(image_bytes)
        right_size = tf.reduce_any(tf.reduce_all(tf.equal(tf.shape(image)[:2], sizes), axis=1))
        # The op itself: tf.debugging.Assert puts a branch around it, which takes a tenth of the time of decoding.
        checked = tf.raw_ops.Assert(condition=right_size, data=[name, "has the size", tf.shape(image)])
        with tf.control_dependencies([checked]):
            image = tf.identity(image)
        if len(sizes) == 1:
            image = tf.ensure_shape(image, [*sizes[0], 3])
        image = images.fit(image, size)
        if augmentation is not None:
            image = augmentation(image, tf.stack([tf.constant(augmentation_seed, tf.int64), number]))
        return {"images": image, "labels": label, "names": name}

    options = tf.data.Options()
    options.deterministic = True
    # Files cannot be dealt out to workers, because the order goes over all of them.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    batches = (
        tf.data.Dataset.zip((numbers, examples))
        .map(decoded, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )
    return batches.with_options(options)


def unreadable(
    mixture: Mixture,
    *,
    step: int,
    batch_size: int,
    seed: int,
    images_per_set: int | None = None,
    shuffle_buffer: int = 8192,
) -> list[str]:
    """Returns the names of the records in a batch of `train_stream` whose bytes cannot be decoded."""
    names = []
    examples = _encoded(mixture, batch_size, seed, step, images_per_set, shuffle_buffer).take(batch_size)
    for image_bytes, _, name in examples:
        try:
            images.decode(image_bytes)
        except tf.errors.InvalidArgumentError:
            names.append(name.numpy().decode(errors="replace"))
    return names


def _encoded(
    mixture: Mixture, batch_size: int, seed: int, step: int, images_per_set: int | None, shuffle_buffer: int
) -> tf.data.Dataset:
    """Returns the undecoded examples from a step on: (image bytes, label, name) scalars."""
    per_set = 1 if images_per_set is None else images_per_set
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("images_per_set", per_set, 1),
        ("shuffle_buffer", shuffle_buffer, 1),
        ("seed", seed, 0),
        ("step", step, 0),
    ):
        if value < least:
            raise ValueError(f"{name} must be >= {least}, got {value}")
    if batch_size % per_set:
        raise ValueError(f"batch_size must be a multiple of images_per_set = {per_set}, got {batch_size}")
    first = step * batch_size // per_set
    turns = Turns(mixture.weights, _derived(seed, "turns"))
    streams = []
    for number, (dataset, position) in enumerate(zip(mixture.datasets, turns.counts(first), strict=True)):
        epochs = Epochs(dataset, _derived(seed, f"order {number}"), shuffle_buffer, images_per_set, mixture.balance)
        identity_offset, sequence_offset = mixture.identity_offsets[number], mixture.sequence_offsets[number]

        def relabelled(image_bytes, label, name, identities=identity_offset, sequences=sequence_offset):
            return image_bytes, tf.where(label < 0, label - sequences, label + identities), name

        stream = epochs.examples(position)
        streams.append(stream.map(relabelled) if number else stream)  # the first dataset's labels stay
    if len(streams) == 1:
        return streams[0]
    return tf.data.Dataset.choose_from_datasets(streams, turns.turns(first, per_set), stop_on_empty_dataset=False)


def _derived(seed: int, purpose: str) -> int:
    """Returns a seed below 2**63 for one purpose, so that no two purposes share their random numbers."""
    digest = hashlib.blake2b(f"{purpose} {seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
