"""Writes docs/networks.md from the register of the backbones.

Run it as `python docs/make_networks.py`; it builds every network in its published size, which takes minutes.
"""

import os
import re
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from keras_face import backbones
from keras_face.backbones.tokens import Attend
from keras_face.backend import keras

PAGE = Path(__file__).parent / "networks.md"
HEAD = """# The networks

Made by docs/make_networks.py from the register, `keras_face.backbones`; do not edit.

`keras_face.backbones.build(name, input_shape, embedding_size, width, ...)` makes a network; in a configuration it is
`[model] backbone`. Parameters are the trained ones (no moving statistics, frozen biases or prototypes), multiply-adds
those of convolutions, dense layers and attention for one crop, both at the system's own size of crops and embeddings.
What a network does differently from the file it comes from is in the docstring of its function.

| name | system | crop | embedding | parameters | multiply-adds | source |
|---|---|---|---|---|---|---|
"""
TAIL = """
`keras_face.backbones.decoder(embedding_size, image_size, width)` makes LATSE's decoder (HuyaInc/huya_face,
analysis/symbol/fgan_resnet.py), from embeddings to crops: {parameters:,} parameters and {multiply_adds} G multiply-adds
for embeddings of 512 numbers and crops of 112 x 112 pixels.
"""


def parameters(model: keras.Model) -> int:
    """Returns how many numbers are trained."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def multiply_adds(model: keras.Model) -> int:
    """Returns the multiplications of one example: every number of a kernel, as often as the kernel is applied."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            total += multiply_adds(layer) * len(layer.inbound_nodes)
        elif isinstance(layer, Attend):
            tokens, size = layer.output_shape[1:]
            total += 2 * tokens**2 * size
        else:
            kernel = getattr(layer, "depthwise_kernel", getattr(layer, "kernel", None))
            if kernel is not None:
                transposed = isinstance(layer, keras.layers.Conv2DTranspose)
                shape = layer.input_shape if transposed else layer.output_shape
                total += int(np.prod(kernel.shape)) * int(np.prod(shape[1:-1]))
    return total


def row(name: str) -> str:
    """Returns the line of one network."""
    source = backbones.source(name)
    height, width = source.image_size
    model = backbones.build(name, (height, width, 3), source.embedding_size)
    numbers = f"{parameters(model):,} | {multiply_adds(model) / 1e9:.3f} G"
    keras.backend.clear_session()
    return (
        f"| `{name}` | {source.system} | {height} x {width} | {source.embedding_size} | {numbers} | {source.place} |\n"
    )


def in_order() -> list[str]:
    """Returns all names by system, and those of one kind by their number."""

    def key(name: str) -> tuple[str, list[str | int]]:
        return backbones.source(name).system, [
            int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)
        ]

    return sorted(backbones.names(), key=key)


def text() -> str:
    """Returns the page."""
    decoder = backbones.decoder(512)
    tail = TAIL.format(parameters=parameters(decoder), multiply_adds=f"{multiply_adds(decoder) / 1e9:.3f}")
    return HEAD + "".join(map(row, in_order())) + tail


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
