"""Files that state more than they hold, or nest without end: one line, little memory, no process that ends."""

import io
import pickle
import struct
import zipfile

import cv2
import numpy as np
import pytest

from keras_face.evaluation import pickles, protocols
from keras_face.evaluation.features import read_features, read_scores

JPEG = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()


def refused(read, path, content, message):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert path.name in str(error.value)
    assert len(str(error.value)) < 1000


def of_shape(sizes: bytes) -> bytes:
    """Returns a pickle of no images and, as flags, an empty array of whatever shape these opcodes put on the stack."""
    dtype = b"cnumpy\ndtype\nX\x02\x00\x00\x00u1\x89\x88\x87R"
    return b"\x80\x02(]cnumpy\nndarray\n)R(K\x01(" + sizes + b"t" + dtype + b"\x89U\x00tbt."


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\x80\x02K\x01r" + struct.pack("<I", 1 << 27) + b".", "entry 134217728 of a memo in 10 bytes"),
        (b"\x80\x04K\x01p134217728\n.", "entry 134217728 of a memo"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.", "expected a pickle of .* whole"),
        (b"\x80\x02})" + b"\x85" * 1_000_000 + b"K\x01s.", "nested in each other more than 100 times"),
        (b"\x80\x02](K\x01" + b"]" + b"]a" * 200 + b"e.", "half as many flags, got int, list of 200"),
        (b"\x80\x02" + b"]" * 300 + b"a" * 299 + b".", "nested in each other more than 100 times"),
        (pickle.dumps(([JPEG] * 2, ["x" * 10_000_000])), r"expected flags True or False, got 'xxx"),
        (b"\x80\x02cnumpy\nndarray\n}U\x01rK\x01sb.", "it sets the attributes of a name"),
        (b"\x80\x02c_codecs\nencode\n}U\x0c__defaults__)sb.", "it sets the attributes of a name"),
        (of_shape(b"G" + struct.pack(">d", 0.0)), "whole numbers as shape"),
        (of_shape(b"K\x00J\xff\xff\xff\xff"), "whole numbers as shape"),
    ],
)  # fmt: skip
def test_a_pickle_that_states_more_than_it_holds_is_refused(tmp_path, content, message):
    refused(pickles.read_bin, tmp_path / "a.bin", content, message)


def test_a_long_pickle_is_not_taken_for_a_nested_one(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"long": [0] * 150_000}))  # which is filled 150 times
    _, (vector,) = pickles.read_vectors(tmp_path / "a.pkl")
    assert vector.shape == (150_000,)


def test_photos_without_pixels_are_refused(tmp_path):
    photo = np.zeros((0, 1, 3), np.uint8)
    content = pickle.dumps(([[photo, photo]] * 10, [[photo, photo]] * 10))
    refused(pickles.read_np, tmp_path / "a.np", content, "expected two lists of pairs of uint8 RGB images")


def npz(header=None, body=b"", **arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    if header is not None:
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
            text = header.ljust(118) + "\n"
            archive.writestr(
                "embeddings.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + body
            )
    return file.getvalue()


NAMES = np.array(["a", "b"])


@pytest.mark.parametrize(
    "content, message",
    [
        (
            npz("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1000000000000), }", names=NAMES),
            "states float32 .* in",
        ),
        (
            npz("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 4), }", bytes(32), names=NAMES),
            "states float32 .-2, 4.",
        ),
        (npz("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", bytes(32), names=NAMES), "states object"),
        (npz("{'descr': ", names=NAMES), "expected an .npz of arrays"),
        (
            npz("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 60000000), }", bytes(480_000_000), names=NAMES),
            "claims",
        ),
        (npz(names=NAMES, embeddings=np.ones((2, 4), np.float32))[:-30], "expected an .npz of arrays"),
        (b"PK\x03\x04", "expected an .npz of arrays"),
    ],
    ids=["huge", "negative", "objects", "header", "bomb", "cut", "zip"],
)
def test_an_npz_that_states_more_than_it_holds_is_refused(tmp_path, content, message):
    refused(read_features, tmp_path / "a.npz", content, message)


def test_other_arrays_of_an_npz_are_not_read(tmp_path):
    np.savez(tmp_path / "a.npz", names=NAMES, embeddings=np.eye(2, dtype=np.float32), other=np.array([{}], object))
    assert read_features(tmp_path / "a.npz").names == ("a", "b")


BIG = "9" * 5000


@pytest.mark.parametrize(
    "read, name, content, message",
    [
        (read_scores, "a.csv", f"similarity,genuine,fold\n0.5,1,{BIG}\n0.1,0,0\n", "line 2: expected a number as sim"),
        (protocols.read_pairs, "a.txt", f"10 {BIG}\nA 1 2\n", "line 1: expected a first line like"),
        (protocols.read_pairs, "a.txt", f"1\nA 1 {BIG}\nA 1 B 1\n", "line 2: expected `Name 1 4`"),
        (protocols.read_people, "a.txt", "1\nA 3000000000\n", "at most 100,000,000 photos, got 3,000,000,001"),
        (protocols.read_people, "a.txt", f"1\nA {BIG}\n", "line 2: expected `Name 4`"),
        (protocols.read_people, "a.txt", f"{BIG}\n1\nA 3\n", "begins with a number"),
        (protocols.read_ijb_photos, "a.txt", f"1.jpg {BIG} 1\n", "line 1: expected `photo template media`"),
        (protocols.read_ytf_splits, "a.txt", f"{BIG}, 1, A/0, A/1, 1\n", "line 1: expected `split, pair"),
    ],
)  # fmt: skip
def test_a_number_without_end_is_a_bad_line(tmp_path, read, name, content, message):
    refused(read, tmp_path / name, content, message)
