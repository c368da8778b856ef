"""Printing what holds thousands of things is short."""

import numpy as np
import pytest

from keras_face.evaluation.features import Features
from keras_face.evaluation.protocols import Identification, Pairs
from keras_face.photos.people import Listing
from keras_face.records.writing import FaceSet

KEYS = tuple(f"Ann/{number}.jpg" for number in range(6000))
LARGE = [
    (Pairs("LFW", KEYS, KEYS, np.ones(6000, bool), np.arange(6000) % 10), ["protocol='LFW'", "left=<6,000 of them>"]),
    (Features(KEYS, np.eye(6000, 4, dtype=np.float32), np.ones(6000, np.float32)), ["embeddings=<float32 [6000, 4]>"]),
    (
        Identification("LFW", KEYS, ("Ann",) * 6000, KEYS, ("Ann",) * 6000, np.arange(6000)),
        ["probes=<6,000 of them>", "same_photo=<int64 [6000]>", "distractors=()"],
    ),
    (Listing({"Ann": KEYS}, []), ["photos=<1 of them>", "skipped=[]"]),
    (FaceSet([b"\xff\xd8\xff" + bytes(50_000)], 3, "Ann"), ["images=<1 of them>", "label=3, name='Ann'"]),
]


@pytest.mark.parametrize(("large", "parts"), LARGE, ids=lambda value: type(value).__name__)
def test_the_text_says_how_much_there_is(large, parts):
    text = repr(large)
    assert text.startswith(f"{type(large).__name__}(")
    assert len(text) < 400
    for part in parts:
        assert part in text
