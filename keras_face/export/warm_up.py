"""What TF Serving sends a model before others may: a request for each signature."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_face.backend import tf
from keras_face.photos.encoding import jpeg

WARM_UP = Path("assets.extra") / "tf_serving_warmup_requests"


def requests_of(image_size: Sequence[int]) -> list[bytes]:
    """Returns serialised tensorflow.serving.PredictionLog messages, one request for each signature.

    Written by hand (every field here is length-delimited), because TF Serving's Python API is a large package for four
    nested messages: PredictionLog.predict_log = 6, PredictLog.request = 1, PredictRequest.model_spec = 1 and
    .inputs = 2 (a map: key = 1, value = 2), ModelSpec.name = 1 and .signature_name = 3.
    """
    crop = np.full([*image_size, 3], 127, np.uint8)
    tensors = {
        ("serving_default", "images"): tf.make_tensor_proto(crop[np.newaxis]),
        ("serving_bytes", "image_bytes"): tf.make_tensor_proto([jpeg(crop)]),
    }
    requests = []
    for (signature, argument), tensor in tensors.items():
        model_spec = _field(1, b"default") + _field(3, signature.encode())
        entry = _field(1, argument.encode()) + _field(2, tensor.SerializeToString())
        requests.append(_field(6, _field(1, _field(1, model_spec) + _field(2, entry))))
    return requests


def _field(number: int, payload: bytes) -> bytes:
    """Returns a length-delimited protocol buffer field."""
    length, size = b"", len(payload)
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload
