"""A sheet of what the network will see: plain crops, and beside each what augmentation makes of it."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_face.augmentation.augmentation import Augmentation
from keras_face.backend import tf
from keras_face.photos import images
from keras_face.records.mixture import Mixture
from keras_face.records.streams import train_stream

_GAP, _CAPTION = 4, 200  # pixels
_BACKGROUND, _TEXT = (32, 32, 32), (220, 220, 220)


def write_preview(
    path: str | os.PathLike,
    mixture: Mixture,
    augmentation: Augmentation,
    image_size: Sequence[int],
    *,
    crop_from: Sequence[int] | None = None,
    rows: int = 8,
    columns: int = 8,
    seed: int = 0,
) -> None:
    """Writes a PNG: a row for each photo, the plain crop first, then augmented ones, then who it shows.

    Args:
        path: The PNG to write, whole or not at all.
        mixture: Whose photos; the first of the stream with this seed.
        augmentation: What is done to them.
        image_size: (height, width) of the network's input, pixels.
        crop_from: See `train_stream`; the plain crop is then the window in the middle.
        rows: Photos, >= 1.
        columns: Crops of each, the plain one among them, >= 2.
        seed: Of the choice of photos and of the augmentations, >= 0.

    Raises:
        ValueError: An argument is out of range.
        OSError: The PNG cannot be written.
    """
    if rows < 1 or columns < 2:
        raise ValueError(f"expected rows >= 1 and columns >= 2, got {rows} and {columns}")
    size, buffer = crop_from or image_size, max(64, 4 * rows)
    stream = train_stream(mixture, batch_size=rows, seed=seed, image_size=size, shuffle_buffer=buffer)
    batch = next(stream.take(1).as_numpy_iterator())
    whole = np.repeat(batch["images"], columns - 1, axis=0)
    seeds = np.stack(np.broadcast_arrays(seed, np.arange(len(whole))), axis=1).astype(np.int64)
    augmented = tf.function(augmentation.each, autograph=False)(tf.constant(whole), tf.constant(seeds))
    height, width = image_size
    if crop_from:
        augmented = images.random_windows(augmented, image_size, tf.constant(seeds)[:, ::-1])
    augmented = augmented.numpy().reshape(rows, columns - 1, height, width, 3)
    plain = tf.image.resize_with_crop_or_pad(batch["images"], height, width).numpy()
    line, cell = height + _GAP, width + _GAP
    sheet = Image.new("RGB", (columns * cell + _CAPTION + _GAP, rows * line + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for row in range(rows):
        top = _GAP + row * line
        for column, image in enumerate([plain[row], *augmented[row]]):
            sheet.paste(Image.fromarray(image), (_GAP + column * cell, top))
        label, name = int(batch["labels"][row]), batch["names"][row].decode(errors="replace")
        for number, text in enumerate((f"{label}: {_who(mixture, label)}", name)):
            text = _fitted(text, font)
            draw.text((columns * cell + 2 * _GAP, top + 2 + 14 * number), text, _TEXT, font)
    path = Path(path)
    unfinished = path.with_name(f"{path.name}.incomplete")
    try:
        sheet.save(unfinished, "PNG")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _who(mixture: Mixture, label: int) -> str:
    """Returns the name of the identity that a label of the mixture stands for."""
    if label < 0:
        return "unknown person"
    number = int(np.searchsorted(mixture.identity_offsets, label, side="right")) - 1
    return mixture.datasets[number].identities[label - mixture.identity_offsets[number]]


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Returns the text on one line, with its beginning left out where it is too long."""
    text = shown = " ".join(text.encode(errors="replace").decode().split())
    while len(text) > 1 and font.getlength(shown) > _CAPTION - _GAP:
        text = text[1:]
        shown = f"…{text}"
    return shown
