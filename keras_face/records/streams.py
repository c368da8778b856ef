"""The training input: a mixture of datasets as an endless stream of batches."""

import hashlib
from collections.abc import Sequence

from keras_face.augmentation.augmentation import Augmentation
from keras_face.backend import tf
from keras_face.photos import images, limit
from keras_face.photos.files import PhotoError
from keras_face.photos.pixels import pixels_of
from keras_face.records.epochs import Epochs
from keras_face.records.mixture import Mixture, Turns, mix, mixing_table

__all__ = ["Mixture", "mix", "mixing_table", "train_stream", "unreadable"]

# Images that are decoded by one call: alone, each would cost a third of its decoding over again in tf.data's own work.
_GROUP = 16


def train_stream(
    mixture: Mixture,
    *,
    batch_size: int,
    seed: int,
    image_size: Sequence[int],
    crop_from: Sequence[int] | None = None,
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
        crop_from: (height, width), pixels; images are fitted to this size instead, and after augmentation a random
            window of `image_size` is cut out of each. SeqFace: 128 x 128 of 144 x 144.
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

    Examples:
        >>> dataset = keras_face.records.open_dataset("output/run/records/synthetic")
        >>> mixture = keras_face.records.mix([dataset], [None])
        >>> stream = keras_face.records.train_stream(mixture, batch_size=8, seed=0, image_size=(16, 16))
        >>> batch = next(iter(stream))
        >>> batch["images"].shape, batch["labels"].dtype
        (TensorShape([8, 16, 16, 3]), tf.int64)
    """
    size, fitted_size = tuple(image_size), tuple(crop_from or image_size)
    if len(fitted_size) != 2 or any(whole < part for whole, part in zip(fitted_size, size, strict=False)):
        raise ValueError(f"crop_from must be a (height, width) of at least image_size = {size}, got {fitted_size}")
    group = max(number for number in range(1, _GROUP + 1) if batch_size % number == 0)
    examples = _encoded(mixture, batch_size, seed, start_step, images_per_set, shuffle_buffer, group)
    first_numbers = tf.data.Dataset.range(start_step * batch_size, tf.int64.max, group)
    sizes = sorted({dataset.image_size for dataset in mixture.datasets})
    augmentation_seed = tf.constant(_derived(seed, "augmentation"), tf.int64)
    window_seed = tf.constant(_derived(seed, "window"), tf.int64)

    def decoded(first_number: tf.Tensor, example: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        image_bytes, labels, names = example
        small_enough = tf.raw_ops.Assert(
            condition=tf.logical_not(images.has_too_large(image_bytes, sizes)),
            data=["one of these has", limit.too_many(), names],
        )
        with tf.control_dependencies([small_enough]):  # before anything is decoded
            pixels = [images.decode(one) for one in tf.unstack(image_bytes, group)]
        shapes = tf.stack([tf.shape(image) for image in pixels])  # [group, 3]
        right_size = tf.reduce_any(tf.reduce_all(tf.equal(shapes[:, tf.newaxis, :2], sizes), axis=2), axis=1)
        wrong = tf.logical_not(right_size)
        # The op itself: tf.debugging.Assert puts a branch around it.
        checked = tf.raw_ops.Assert(
            condition=tf.reduce_all(right_size),
            data=[tf.boolean_mask(names, wrong), "have the sizes", tf.boolean_mask(shapes, wrong)],
        )
        with tf.control_dependencies([checked]):
            pixels = [tf.identity(image) for image in pixels]
        if len(sizes) == 1:
            pixels = images.fit(tf.ensure_shape(tf.stack(pixels), [group, *sizes[0], 3]), fitted_size)
        else:
            pixels = tf.stack([images.fit(image, fitted_size) for image in pixels])
        numbers = first_number + tf.range(group, dtype=tf.int64)
        if augmentation is not None:
            pixels = augmentation.each(pixels, tf.stack([tf.fill([group], augmentation_seed), numbers], axis=1))
        if fitted_size != size:
            seeds = tf.stack([tf.fill([group], window_seed), numbers], axis=1)
            pixels = images.random_windows(pixels, size, seeds)
        return {"images": pixels, "labels": labels, "names": names}

    options = tf.data.Options()
    options.deterministic = True
    # Files cannot be dealt out to workers, because the order goes over all of them.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    batches = (
        tf.data.Dataset.zip((first_numbers, examples))
        .map(decoded, num_parallel_calls=tf.data.AUTOTUNE)
        .rebatch(batch_size, drop_remainder=True)
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
    examples = _encoded(mixture, batch_size, seed, step, images_per_set, shuffle_buffer, batch_size)
    for image_bytes, _, name in examples.take(1).unbatch():
        try:
            pixels_of(image_bytes.numpy())
        except PhotoError:
            names.append(name.numpy().decode(errors="replace"))
    return names


def _encoded(
    mixture: Mixture,
    batch_size: int,
    seed: int,
    step: int,
    images_per_set: int | None,
    shuffle_buffer: int,
    group: int,
) -> tf.data.Dataset:
    """Returns the undecoded examples from a step on, in groups: (image bytes, labels, names) [group] each."""
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
    examples = streams[0]
    if len(streams) > 1:
        chosen = turns.turns(first, per_set)
        examples = tf.data.Dataset.choose_from_datasets(streams, chosen, stop_on_empty_dataset=False)
    return examples.batch(group, drop_remainder=True)


def _derived(seed: int, purpose: str) -> int:
    """Returns a seed below 2**63 for one purpose, so that no two purposes share their random numbers."""
    digest = hashlib.blake2b(f"{purpose} {seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
