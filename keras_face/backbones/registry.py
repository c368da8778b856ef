"""The backbones by name."""

import difflib
from collections.abc import Callable, Sequence
from functools import partial

from keras_face.backbones.mobilefacenet import mobilefacenet
from keras_face.backbones.residual import INSIGHTFACE, MARGIN_CENTRE, residual_network
from keras_face.backbones.settings import Settings
from keras_face.backend import keras

_UNITS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3), 200: (6, 26, 60, 6)}
_LRESNET_UNITS = {32: (3, 3, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3), 152: (3, 8, 36, 3)}

_BACKBONES: dict[str, Callable[[str, Settings], keras.Model]] = {"mobilefacenet": mobilefacenet}
for _prefix, _squeeze in (("", False), ("se_", True)):
    for _depth, _units in _UNITS.items():
        _BACKBONES[f"{_prefix}iresnet{_depth}"] = partial(
            residual_network, family=INSIGHTFACE, units=_units, channels=(64, 128, 256, 512), squeeze=_squeeze
        )
    for _depth, _units in _LRESNET_UNITS.items():
        # margin-centre-face's own depth 32 is also narrower, but for its stem.
        _channels = (16, 32, 64, 128) if _depth == 32 else (64, 128, 256, 512)
        _BACKBONES[f"{_prefix}lresnet{_depth}e_ir"] = partial(
            residual_network, family=MARGIN_CENTRE, units=_units, channels=_channels, squeeze=_squeeze
        )


def names() -> tuple[str, ...]:
    """Returns the names that `build` knows, in alphabetical order."""
    return tuple(sorted(_BACKBONES))


def build(
    name: str,
    input_shape: Sequence[int] = (112, 112, 3),
    embedding_size: int = 512,
    width: float = 1.0,
    dropout: float | None = None,
    *,
    dropout_seed: int = 0,
    synchronized: bool = False,
) -> keras.Model:
    """Returns a freshly initialised network from standardised face crops to embeddings.

    The model takes float [batch, height, width, channels] in the compute dtype of the global mixed-precision policy,
    and gives float32 [batch, embedding_size], not of unit length.

    Args:
        name: One of `names()`.
            iresnet18, 34, 50, 100, 200: InsightFace's (arcface_torch).
            lresnet32e_ir, 50, 100, 152: margin-centre-face's.
            se_...: each of them with squeeze-and-excitation.
            mobilefacenet: InsightFace's mbf.
        input_shape: (height, width, channels), height and width at least 16 pixels; published: (112, 112, 3) and, for
            margin-centre-face, (112, 96, 3). The weights of the embedding layer depend on it.
        embedding_size: Numbers in an embedding; published: 512.
        width: Factor on every channel count, which is then rounded to a multiple of 8, at least 8; published: 1.
        dropout: Share of the final map that is dropped in training, [0, 1); None: the published share, 0.6 for
            lresnet..., else 0.
        dropout_seed: Chooses the dropout masks.
        synchronized: Whether batch-normalisation statistics in training are of the global batch, so that N replicas
            compute what one device would, instead of each replica's own as published; slower (not fused).

    Raises: ValueError if the name is unknown or a value is out of range.
    """
    if name not in _BACKBONES:
        close = difflib.get_close_matches(str(name), names(), n=1)
        nearest = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"unknown backbone {name!r}; {nearest}known are {', '.join(names())}")
    settings = Settings(input_shape, embedding_size, width, dropout, dropout_seed, synchronized)
    return _BACKBONES[name](name, settings)
