import os
import pickle
from collections import Counter

import cv2
import numpy as np
import pytest
from sklearn.model_selection import KFold

from keras_face.evaluation.pickles import read_bin, read_np
from keras_face.evaluation.protocols import folds_by_position, read_pairs, read_ytf_splits


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("num_pairs", [10, 47, 6000])
def test_folds_by_position_are_those_of_kfold(num_pairs):
    fold = folds_by_position(num_pairs)
    for number, (_, inside) in enumerate(KFold(10, shuffle=False).split(np.zeros(num_pairs))):
        assert np.flatnonzero(fold == number).tolist() == inside.tolist()


# LFW


def test_view_2_has_the_folds_of_its_file(tmp_path):
    lines = [
        "2\t2",
        "A\t1\t2",
        "B\t3\t10000",
        "A\t1\tB\t2",
        "C\t1\tA\t7",
        "D\t1\t2",
        "D\t1\t3",
        "D\t1\tE\t2",
        "E\t1\tD\t7",
    ]
    pairs = read_pairs(written(tmp_path / "pairs.txt", "\n".join(lines) + "\n\n"))
    assert pairs.left[:4] == ("A/A_0001.jpg", "B/B_0003.jpg", "A/A_0001.jpg", "C/C_0001.jpg")
    assert pairs.right[:4] == ("A/A_0002.jpg", "B/B_10000.jpg", "B/B_0002.jpg", "A/A_0007.jpg")
    assert pairs.genuine.tolist() == [True, True, False, False] * 2
    assert pairs.fold.tolist() == [0] * 4 + [1] * 4
    assert pairs.protocol == "LFW View 2 (pairs.txt), 2 folds of the file"
    assert pairs.distinct_keys()[:3] == ("A/A_0001.jpg", "A/A_0002.jpg", "B/B_0003.jpg")


def test_view_1_is_cut_into_ten_folds_by_position(tmp_path):
    lines = ["20", *(f"P{i} 1 2" for i in range(20)), *(f"P{i} 1 Q{i} 2" for i in range(20))]
    pairs = read_pairs(written(tmp_path / "pairsDevTest.txt", "\r\n".join(lines)))
    assert pairs.protocol == "LFW View 1 (pairsDevTest.txt), 10 folds by position"
    assert pairs.fold.tolist() == [i // 2 for i in range(20)] * 2
    assert pairs.genuine.tolist() == [True] * 20 + [False] * 20


def test_the_official_lfw_files_have_their_published_counts(real_photos):
    folder = real_photos / "lfw" / "protocol"
    view_2 = read_pairs(folder / "pairs.txt")
    assert Counter(zip(view_2.fold.tolist(), view_2.genuine.tolist(), strict=True)) == {
        (fold, genuine): 300 for fold in range(10) for genuine in (True, False)
    }
    # Another list of the same pairs: SeqFace's, all genuine pairs first.
    theirs = (real_photos / "known_answer_roc" / "seqface" / "LFW" / "pairs.txt").read_text().split("\n")
    ours = [f"{a} {b} {int(g)}" for a, b, g in zip(view_2.left, view_2.right, view_2.genuine, strict=True)]
    assert sorted(ours) == sorted(filter(None, theirs))
    for name, size in (("pairsDevTrain.txt", 1100), ("pairsDevTest.txt", 500)):
        view_1 = read_pairs(folder / name)
        assert (view_1.genuine.sum(), (~view_1.genuine).sum()) == (size, size)
        assert set(np.bincount(view_1.fold)) == {size // 5}
        assert all((real_photos / "lfw" / "aligned112" / key).is_file() for key in view_1.distinct_keys()[:50])


def test_a_list_of_frames_has_flags(tmp_path):
    lines = [f"{i % 2},A/0/{i}.jpg,B/0/{i}.jpg" for i in range(40)]
    pairs = read_pairs(written(tmp_path / "ytf_img_pair.txt", "\n".join(lines)))
    assert pairs.left[3] == "A/0/3.jpg"
    assert pairs.genuine.tolist() == [False, True] * 20
    assert pairs.fold.tolist() == [i // 4 for i in range(40)]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the file is empty"),
        ("A 1 2\n", "expected 2 or more pairs for 2 folds, got 1 genuine ones"),
        ("1 1\nA 1 2\nA 1 B 2 3\n", r"line 3: expected `Name 1 Other 4` \(impostor\), got 'A 1 B 2 3'"),
        ("1 1\nA 1 B 2\nA 1 B 2\n", r"line 2: expected `Name 1 4` \(genuine\), got 'A 1 B 2'"),
        ("1 1\n\nA 1 x\nA 1 B 2\n", "line 3: expected `Name 1 4`"),
        ("1 1\nA 1 2\nA 1 A 2\n", "line 3: expected `Name 1 Other 4`"),
        ("1 1\nA 1 2\n", "expected 2 pairs after '1 1', got 1"),
        ("2\nA 1 2\nB 1 2\nA 1 B 1\nB 1 A 1\nA 1 B 3\n", "expected 4 pairs after '2', got 5"),
        ("1,a,b\n1,a\n", "line 2: expected `1,path,path`"),
        ("1,a,b\n0,a,b\n", "2 or more pairs for 2 folds, got 1 genuine"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_pairs(written(tmp_path / "pairs.txt", text))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "pairs.txt").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF")
    with pytest.raises(ValueError, match=r"pairs\.txt: expected a text file"):
        read_pairs(tmp_path / "pairs.txt")


# YTF

SPLITS = ["1, 1, A/0, A/1, 1", "1, 2, A/0, B/0, 0", "2, 1, B/0, B/11, 1", "2, 2, B/1, C/0, 0"]


@pytest.mark.parametrize("header", [[], ["split number, pair number, first name, second name, is same"]])
@pytest.mark.parametrize("separator", [", ", ",", " "])
def test_splits_of_five_columns_are_read_by_their_numbers(tmp_path, header, separator):
    if header and separator == " ":
        header = ["split pair first second same"]
    rows = [SPLITS[i].replace(", ", separator) for i in (2, 0, 3, 1)]
    pairs = read_ytf_splits(written(tmp_path / "splits.txt", "\r\n".join(header + rows)))
    assert pairs.left == ("B/0", "A/0", "B/1", "A/0")
    assert pairs.right == ("B/11", "A/1", "C/0", "B/0")
    assert pairs.genuine.tolist() == [True, True, False, False]
    assert pairs.fold.tolist() == [1, 0, 1, 0]
    assert pairs.protocol == "YTF (splits.txt, labels as given), 2 folds by split number"


def test_wrong_tracks_leave_both_polarities_by_exact_name(tmp_path):
    errors = written(tmp_path / "ytf-error.txt", "B/1\nZ/9\n")
    pairs = read_ytf_splits(
        written(tmp_path / "splits.txt", "\n".join([*SPLITS, "2, 3, C/0, B/1, 1"])), error_file=errors
    )
    # B/1 is a beginning of B/11, which stays.
    assert list(zip(pairs.left, pairs.right, strict=True)) == [("A/0", "A/1"), ("A/0", "B/0"), ("B/0", "B/11")]
    assert [(d.num_genuine, d.num_impostor) for d in pairs.dropped] == [(1, 1)]
    assert pairs.fold.tolist() == [0, 0, 1]
    assert pairs.protocol.endswith("without wrong tracks")


def test_an_empty_error_list_drops_nothing(tmp_path):
    splits, errors = written(tmp_path / "splits.txt", "\n".join(SPLITS)), written(tmp_path / "ytf-error.txt", "")
    pairs = read_ytf_splits(splits, error_file=errors)
    assert len(pairs.left) == 4
    assert [(d.num_genuine, d.num_impostor) for d in pairs.dropped] == [(0, 0)]


def test_an_error_list_that_empties_a_fold_is_refused(tmp_path):
    errors = written(tmp_path / "ytf-error.txt", "B/0\nB/1\n")
    with pytest.raises(ValueError, match=r"empties the folds \[1\]"):
        read_ytf_splits(written(tmp_path / "splits.txt", "\n".join(SPLITS)), error_file=errors)


SIX = ["1, 1, A/0, A/1, 1, 1", "1, 2, A/0, B/0, 0, 0", "2, 1, B/0, B/11, 1, 0", "2, 2, B/1, C/0, 0, 0"]


@pytest.mark.parametrize("header", [[], ["split, pair, first, second, is same, corrected"]])
def test_six_columns_end_in_the_original_and_the_corrected_label(tmp_path, header):
    path = written(tmp_path / "splits_corrected.txt", "\n".join(header + SIX))
    assert read_ytf_splits(path).genuine.tolist() == [True, False, False, False]
    original = read_ytf_splits(path, label="original")
    assert original.genuine.tolist() == [True, False, True, False]
    assert "original labels" in original.protocol


@pytest.mark.parametrize(
    "lines",
    [
        [f"{line[:-4]}{line[-1]}, {line[-4]}" for line in SIX],  # columns swapped: the last one is balanced
        ["split, pair, first, second, corrected, is same", *SIX],
        ["split, pair, first, second, corrected 1, corrected 2", *SIX],
        ["1, 1, A/0, A/1, 1, 0", *SIX],  # neither is balanced
    ],
)
def test_six_columns_whose_order_cannot_be_told_are_refused(tmp_path, lines):
    with pytest.raises(ValueError, match="expected six columns that end in the original and the corrected label"):
        read_ytf_splits(written(tmp_path / "splits.txt", "\n".join(lines)))


@pytest.mark.parametrize(
    "text, message",
    [
        ("split, pair, first, second, same", "expected pairs of tracks, found none"),
        ("1, 1, A/0, A/1", r"line 1: expected `split, pair, Name/number, Name/number, label`"),
        ("h\n1, 1, A/0, A/1, 1\n1, 2, A/0, B, 0", "line 3: expected .*got '1, 2, A/0, B, 0'"),
        ("1, 1, A/0, A/1, 1\n2, 1, A/0, B/1, 2", "line 2: expected .* with labels 0 or 1"),
        ("1, 1, A/0, A/1, 1\n2, 1, A/0, B/1, 0, 0", "line 2: expected"),
        ("1, 1, A/0, A/1, 1\n3, 1, A/0, B/1, 0", r"expected split numbers 1 \.\.\. k, k >= 2, got \[1, 3\]"),
        ("1, 1, A/0, A/1, 1\n1, 2, A/0, B/1, 0", r"k >= 2, got \[1\]"),
    ],
)
def test_a_bad_line_of_splits_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_ytf_splits(written(tmp_path / "splits.txt", text))


def test_a_bad_line_of_the_error_list_is_named(tmp_path):
    errors = written(tmp_path / "ytf-error.txt", "A/0\nA\n")
    with pytest.raises(ValueError, match=r"ytf-error\.txt, line 2: expected `Name/number`, got 'A'"):
        read_ytf_splits(written(tmp_path / "splits.txt", "\n".join(SPLITS)), error_file=errors)


def test_the_official_splits_have_their_published_counts(real_photos, tmp_path):
    path, errors = real_photos / "protocols" / "ytf_splits.txt", real_photos / "protocols" / "ytf-error.txt"
    raw = read_ytf_splits(path, label="original")
    assert (raw.genuine.sum(), (~raw.genuine).sum(), set(np.bincount(raw.fold))) == (2500, 2500, {500})
    # Counted with grep -Fw for each of the 35 tracks.
    dropped = read_ytf_splits(path, error_file=errors).dropped
    assert [(d.num_genuine, d.num_impostor) for d in dropped] == [(62, 57)]
    # SeqFace's list has the corrected labels of the same pairs; the two make a file of six columns.
    theirs = (real_photos / "known_answer_roc" / "seqface" / "YTF" / "pairs.txt").read_text().splitlines()
    rows = zip(path.read_text().splitlines(), theirs, strict=True)
    six = written(tmp_path / "six.txt", "\n".join(f"{ours}, {line.split()[-1]}" for ours, line in rows))
    assert read_ytf_splits(six, label="original").genuine.tolist() == raw.genuine.tolist()
    assert read_ytf_splits(six).genuine.sum() == 2400


# Packed pairs


def photos(number, size=6):
    return list(np.random.default_rng(3).integers(0, 255, (number, size, size + 1, 3), np.uint8))


def encoded(image):
    return cv2.imencode(".png", np.ascontiguousarray(image[:, :, ::-1]))[1].tobytes()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["bytes", "arrays"])
def test_a_bin_gives_its_photos_and_ten_consecutive_folds(tmp_path, protocol, kind):
    distinct = [encoded(image) for image in photos(5)]
    order = [i % 5 for i in range(44)]
    images = [distinct[i] if kind == "bytes" else np.frombuffer(distinct[i], np.uint8)[None] for i in order]
    flags = [i % 3 == 0 for i in range(22)] if kind == "bytes" else [np.bool_(i % 3 == 0) for i in range(22)]
    (tmp_path / "some.bin").write_bytes(pickle.dumps((images, flags), protocol))
    packed = read_bin(tmp_path / "some.bin")
    assert packed.photos == tuple(distinct)
    assert [int(key) for pair in zip(packed.pairs.left, packed.pairs.right, strict=True) for key in pair] == order
    assert packed.pairs.genuine.tolist() == [i % 3 == 0 for i in range(22)]
    assert np.bincount(packed.pairs.fold).tolist() == [3, 3, 2, 2, 2, 2, 2, 2, 2, 2]
    assert packed.pairs.protocol == "some.bin, 10 consecutive folds"


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_np_gives_its_photos_and_folds_of_each_polarity(tmp_path, protocol, order):
    images = photos(6)
    lists = ([[images[i % 6], images[(i + 1) % 6]] for i in range(20)], [[images[0], images[i % 6]] for i in range(10)])
    content = tuple([[np.asarray(image, order=order) for image in pair] for pair in pairs] for pairs in lists)
    (tmp_path / "lfw.np").write_bytes(pickle.dumps(content, protocol))
    packed = read_np(tmp_path / "lfw.np")
    seen = [
        [packed.photos[int(key)] for key in pair] for pair in zip(packed.pairs.left, packed.pairs.right, strict=True)
    ]
    np.testing.assert_array_equal(seen, [*lists[0], *lists[1]])
    assert len(packed.photos) == 6
    assert packed.pairs.genuine.tolist() == [True] * 20 + [False] * 10
    assert packed.pairs.fold.tolist() == [i // 2 for i in range(20)] + list(range(10))


def python_2_string(content):
    return b"T" + len(content).to_bytes(4, "little") + content


def test_files_of_python_2_are_read(tmp_path):
    images = photos(4)
    # Python 2 wrote bytes as strings, opcode T; Python 3 cannot write them.
    items = [python_2_string(encoded(images[i % 4])) for i in range(20)]
    content = b"\x80\x02](" + b"".join(items) + b"e](" + b"\x88\x89" * 5 + b"e\x86."
    (tmp_path / "lfw.bin").write_bytes(content)
    packed = read_bin(tmp_path / "lfw.bin")
    assert packed.photos == tuple(encoded(image) for image in images)
    assert packed.pairs.genuine.tolist() == [True, False] * 5

    def array(image):
        dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        shape = b"".join(b"K" + bytes([side]) for side in image.shape) + b"\x87"
        empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        return empty + b"(K\x01" + shape + dtype + b"\x89" + python_2_string(image.tobytes()) + b"tb"

    pair = b"](" + array(images[0]) + array(images[1]) + b"e"
    (tmp_path / "lfw.np").write_bytes(b"\x80\x02](" + pair * 10 + b"e](" + pair * 10 + b"e\x86.")
    np.testing.assert_array_equal(read_np(tmp_path / "lfw.np").photos, images[:2])


def test_a_real_bin_is_read(real_photos):
    packed = read_bin(real_photos / "fixtures" / "small_lfw.bin")
    assert packed.pairs.genuine.tolist() == [True] * 10
    shapes = {cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR).shape for photo in packed.photos}
    assert shapes == {(112, 112, 3)}


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("read", [read_bin, read_np])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_is_refused_by_name_and_not_run(tmp_path, read, protocol):
    trace = tmp_path / "trace"
    path = tmp_path / "lfw.bin"
    path.write_bytes(pickle.dumps(([Malicious(os.system, f"touch {trace}")], [True]), protocol))
    with pytest.raises(ValueError, match=r"lfw\.bin: refused: the pickle asks for (posix|nt)\.system"):
        read(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins.eval",
        "numpy.load",
        "numpy.core.multiarray.fromfile",
        "numpy.testing._private.utils.runstring",
        "os.path.join",
    ],
)
def test_any_other_name_is_refused(tmp_path, name):
    module, _, attribute = name.rpartition(".")
    (tmp_path / "lfw.bin").write_bytes(b"\x80\x02c" + f"{module}\n{attribute}\n".encode() + b".")
    with pytest.raises(ValueError, match=f"asks for {name}, which"):
        read_bin(tmp_path / "lfw.bin")


def test_a_pickle_cannot_ask_for_a_giant_array(tmp_path):
    sane = pickle.dumps(([[np.zeros((2, 2, 3), np.uint8)] * 2] * 10, []), 2)
    shape = b"K\x02K\x02K\x03\x87"
    assert sane.count(shape) == 1
    for side in (b"J\xff\xff\xff\x7f", b"J\xff\xff\xff\xff"):
        (tmp_path / "lfw.np").write_bytes(sane.replace(shape, side * 3 + b"\x87"))
        with pytest.raises(ValueError, match=r"expected (the bytes of an array of|whole numbers as) shape"):
            read_np(tmp_path / "lfw.np")
    (tmp_path / "lfw.np").write_bytes(b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R.")
    with pytest.raises(ValueError, match=r"lfw\.np: expected a pickle of"):
        read_np(tmp_path / "lfw.np")


@pytest.mark.parametrize("cut", [0, 1, 30, 200])
def test_a_truncated_pickle_is_refused(tmp_path, cut):
    whole = pickle.dumps(([encoded(image) for image in photos(20)], [True, False] * 5))
    (tmp_path / "lfw.bin").write_bytes(whole[:cut])
    with pytest.raises(ValueError, match=r"lfw\.bin: expected a pickle of \(images, flags\), whole"):
        read_bin(tmp_path / "lfw.bin")


@pytest.mark.parametrize(
    "read, content, message",
    [
        (read_bin, [1, 2, 3], "got list of 3"),
        (read_bin, ([b"a"] * 3, [True]), "half as many flags, got list of 3, list of 1"),
        (read_bin, ([b"a"] * 20, [True] * 9 + [2]), "flags True or False, got 2"),
        (read_bin, (["a"] * 20, [True] * 10), "encoded images as bytes, got str of 1"),
        (read_bin, ([b"a"] * 4, [True, False]), "10 or more pairs for 10 folds, got 2"),
        (read_bin, ([np.zeros(3)] * 4, [True, False]), "whole numbers, got one of 'f8'"),
        (read_np, ([b"a"], [b"b"]), "two lists of pairs of uint8 RGB images"),
        (read_np, ([[np.zeros((4, 4), np.uint8)] * 2], []), "two lists of pairs of uint8 RGB images"),
        (read_np, ([[np.zeros((4, 4, 3), np.int64)] * 2], []), "two lists of pairs of uint8 RGB images"),
    ],
)
def test_a_pickle_of_something_else_is_refused(tmp_path, read, content, message):
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "lfw.bin")
