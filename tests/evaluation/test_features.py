import os
import pickle
import struct

import numpy as np
import pytest

from keras_face.evaluation.features import (
    Features,
    megaface_blocks,
    read_features,
    read_matrix,
    read_megaface_features,
    read_scores,
    replace_noisy,
    write_features,
    write_matrix,
    write_megaface_features,
    write_scores,
)
from keras_face.evaluation.protocols import Identification, Pairs, read_pairs


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def vectors(number, size=4, seed=0):
    return np.random.default_rng(seed).normal(0, 3, (number, size)).astype(np.float32)


# Features


def test_vectors_become_unit_embeddings_and_norms():
    raw = np.array([[3, 4], [0, -2], [1e-6, 0]], np.float32)
    features = Features.of(["a", "b/", "c"], raw)
    np.testing.assert_allclose(features.embeddings, [[0.6, 0.8], [0, -1], [1, 0]], rtol=1e-6)
    np.testing.assert_allclose(features.norms, [5, 2, 1e-6], rtol=1e-6)
    assert (features.embeddings.dtype, features.norms.dtype) == (np.float32, np.float32)
    assert features.names == ("a", "b", "c")
    assert raw[0, 0] == 3
    assert features.rows(["c", "a", "c"]).tolist() == [2, 0, 2]
    taken = features.take(["b", "a"])
    assert (taken.names, taken.norms.tolist()) == (("b", "a"), [2, 5])
    assert taken.rows(["a"]).tolist() == [1]


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int16])
def test_vectors_of_other_types_are_taken(dtype):
    features = Features.of(["a"], np.array([[3, 4]], dtype), in_place=True)
    np.testing.assert_allclose(features.embeddings, [[0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize(
    "names, raw, message",
    [
        ("abc", [[1, 2], [0, 0], [1, 1]], "mine, row 1: expected finite numbers, not all 0, for 'b', got norm 0$"),
        ("abc", [[1, 2], [np.nan, 0], [np.inf, 1]], "row 1: expected .* 'b', got NaN or infinity; 2 rows are such"),
        ("abc", [[1, 2], [1e30, 0], [1e39, 1]], "row 2: .* got norm 1e.39"),
        ("ab", [[1, 2], [1, 1], [2, 1]], r"mine: expected a vector for each of 2 names, got an array \(3, 2\)"),
        ("", np.empty((0, 3)), "for each of 0 names"),
        ("a", np.empty((1, 0)), r"got an array \(1, 0\)"),
        ("ab", [1, 2], r"got an array \(2,\)"),
        ("a", [["x"]], "expected vectors of numbers"),
        ("aba", [[1, 2], [1, 1], [2, 1]], r"row 2: expected each name once, got 'a' \(row 0 has it\)"),
        (["a", "/"], [[1, 2], [1, 1]], "row 1: expected each name once, got ''"),
    ],
)
def test_wrong_vectors_are_named(names, raw, message):
    with pytest.raises(ValueError, match=message):
        Features.of(list(names), np.array(raw), source="mine")


def test_missing_embeddings_are_named():
    features = Features.of(["a", "b"], vectors(2), source="some.npz")
    with pytest.raises(ValueError, match=r"some\.npz: 4 of 5 embeddings are missing, such as 'x', 'y', 'z'"):
        features.rows(["x", "a", "y", "x", "z", "w"])


def test_frames_are_grouped_by_their_folder():
    features = Features.of(["A/0/1", "B/0/1", "A/0/2"], vectors(3))
    groups = features.by_folder()
    assert {track: rows.tolist() for track, rows in groups.items()} == {"A/0": [0, 2], "B/0": [1]}
    with pytest.raises(ValueError, match="expected names like `folder/name`, got 'a'"):
        Features.of(["a"], vectors(1)).by_folder()


def test_a_noisy_probe_takes_the_place_of_its_person():
    names, identities = ("a", "b", "c", "d", "e"), ("A", "A", "A", "B", "B")
    protocol = Identification("mine", names, identities, names, identities, np.arange(5), replaced=("b", "e"))
    features = Features.of(names, vectors(5))
    refined = replace_noisy(features, protocol)
    unit = features.embeddings
    centre = (unit[0] + unit[2]) / np.sqrt(((unit[0] + unit[2]) ** 2).sum())
    np.testing.assert_allclose(refined.embeddings, [unit[0], centre, unit[2], unit[3], unit[3]], rtol=1e-6)
    np.testing.assert_allclose(refined.norms[1], (features.norms[0] + features.norms[2]) / 2, rtol=1e-6)
    with pytest.raises(ValueError, match="mine: expected a clean probe of B, all are noisy"):
        replace_noisy(
            features, Identification("mine", names, identities, names, identities, np.arange(5), replaced=("d", "e"))
        )


# Files


def test_an_npz_comes_back_as_it_was(tmp_path):
    features = Features.of(["A/1.jpg", "Ü/2.jpg"], vectors(2))
    path = tmp_path / "new" / "features.npz"
    write_features(path, features)
    again = read_features(path)
    assert again.names == features.names
    np.testing.assert_allclose(again.embeddings, features.embeddings, rtol=1e-6)
    np.testing.assert_allclose(again.norms, features.norms, rtol=1e-6)
    assert [child.name for child in path.parent.iterdir()] == ["features.npz"]
    with pytest.raises(ValueError, match=r"expected a file \.npz"):
        write_features(tmp_path / "features.txt", features)


@pytest.mark.parametrize("separator", [" ", "\t", ",", ", ", "  "])
@pytest.mark.parametrize("suffix", [".txt", ".list", ".csv"])
def test_lines_of_a_name_and_numbers(tmp_path, separator, suffix):
    raw = vectors(3)
    lines = [
        separator.join([f"P {i}" if separator in "\t, " and separator != " " else f"P{i}", *map(repr, row.tolist())])
        for i, row in enumerate(raw)
    ]
    features = read_features(written(tmp_path / f"feat{suffix}", "\n".join(lines) + "\n\n"))
    assert [name.replace(" ", "") for name in features.names] == ["P0", "P1", "P2"]
    np.testing.assert_allclose(features.embeddings * features.norms[:, np.newaxis], raw, rtol=1e-6)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "expected lines of a name and numbers, the file is empty"),
        ("a 1 2\nb 1\n", "line 2: expected 2 numbers after the name 'b', got 1"),
        ("a\n", "line 1: expected some numbers after the name 'a', got 0"),
        ("a 1 2\n\nb 1 x\n", "line 3: expected a name and numbers: .*'x'"),
        ("a 1 2\n\nb nan 2\n", "line 3: expected finite numbers, not all 0, for 'b', got NaN or infinity"),
        ("a 1 2\nb 0 0\n", "line 2: expected finite numbers, not all 0, for 'b', got norm 0"),
        ("a 1 2\n\na 2 2\n", r"line 3: expected each name once, got 'a' \(line 1 has it\)"),
    ],
)
def test_a_bad_line_of_embeddings_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"feat\.txt.*{message}"):
        read_features(written(tmp_path / "feat.txt", text))


def test_magface_s_toy_file_has_its_published_norms(real_photos):
    features = read_features(real_photos / "magface_toy" / "feat.list", prefix="toy_imgs/")
    assert features.names == tuple(f"{i}.jpg" for i in range(10))
    assert features.embeddings.shape == (10, 512)
    assert (np.diff(features.norms) > 0).all()
    np.testing.assert_allclose(features.norms[[0, -1]], [21.78, 30.25], atol=0.005)
    with pytest.raises(
        ValueError, match=r"feat\.list, line 1: expected a name that begins with 'imgs/', got 'toy_imgs/0.jpg'"
    ):
        read_features(real_photos / "magface_toy" / "feat.list", prefix="imgs/")


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("kind", ["array", "list", "float64", "scalars"])
def test_a_pickled_dictionary_gives_its_vectors(tmp_path, protocol, kind):
    raw = vectors(3)
    value = {
        "array": lambda row: row,
        "list": lambda row: row.tolist(),
        "float64": lambda row: row.astype(np.float64),
        "scalars": list,
    }[kind]
    content = {f"data/LFW/images/P{i}.jpg": value(row) for i, row in enumerate(raw)}
    path = written(tmp_path / "feature_27.pkl", pickle.dumps(content, protocol))
    features = read_features(path, prefix="data/LFW/images/")
    assert features.names == ("P0.jpg", "P1.jpg", "P2.jpg")
    np.testing.assert_allclose(features.embeddings * features.norms[:, np.newaxis], raw, rtol=1e-6)


def test_seqface_s_keys_of_tracks_end_in_a_slash(tmp_path):
    path = written(tmp_path / "ytf.pkl", pickle.dumps({"YTF/A/0/": [1.0, 2.0], "YTF/B/1/": [2.0, 2.0]}))
    assert read_features(path, prefix="YTF/").names == ("A/0", "B/1")


def test_a_pickle_of_python_2_gives_its_vectors(tmp_path):
    def text(content):
        return b"T" + len(content).to_bytes(4, "little") + content

    dtype = b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85" + dtype
    content = b"\x80\x02}(" + text(b"A/1.jpg") + array + b"\x89" + text(struct.pack("<2f", 3, 4)) + b"tbu."
    features = read_features(written(tmp_path / "feature.pkl", content))
    assert features.names == ("A/1.jpg",)
    np.testing.assert_allclose(features.embeddings, [[0.6, 0.8]], rtol=1e-6)


def test_the_frames_of_a_pickled_track_get_numbers(tmp_path):
    raw = vectors(5)
    content = {"A/0": list(raw[:3]), "B/1": raw[3:]}
    features = read_features(written(tmp_path / "model.pkl", pickle.dumps(content, 2)))
    assert features.names == ("A/0/0", "A/0/1", "A/0/2", "B/1/0", "B/1/1")
    np.testing.assert_allclose(features.embeddings * features.norms[:, np.newaxis], raw, rtol=1e-6)
    assert features.by_folder()["B/1"].tolist() == [3, 4]


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path):
    trace = tmp_path / "trace"
    path = written(tmp_path / "feature.pkl", pickle.dumps({"a": Malicious(os.system, f"touch {trace}")}))
    with pytest.raises(ValueError, match=r"feature\.pkl: refused: the pickle asks for (posix|nt)\.system"):
        read_features(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "content, message",
    [
        ([1, 2], "expected a pickled dictionary from names to vectors, got list of 2"),
        ({}, "expected a pickled dictionary"),
        ({1: [1.0]}, "expected names as text, got 1"),
        ({"a": "b"}, "expected a vector, or one for each frame, for 'a', got str"),
        ({"a": [[1.0], "b"]}, "expected a vector, or one for each frame, for 'a'"),
        ({"a": [np.zeros(2), np.zeros(3)]}, "expected a vector, or one for each frame"),
        ({"a": np.zeros((2, 2, 2))}, "expected a vector, or one for each frame"),
        ({"a": np.array([None])}, "an array of numbers, got one of 'O8'"),
        ({"a": [1.0, 2.0], "b": [1.0]}, "entry 1: expected 2 numbers for 'b', got 1"),
        ({"a": [1.0, 2.0], "b": [np.nan, 1.0]}, "entry 1: expected finite numbers"),
    ],
)
def test_a_pickle_of_something_else_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_features(written(tmp_path / "feature.pkl", pickle.dumps(content)))


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"embeddings": np.ones((2, 3))}, "expected an array 'names', got embeddings"),
        ({"names": np.array(["a", "b"])}, "expected an array 'embeddings', got names"),
        ({"names": np.array([1, 2]), "embeddings": np.ones((2, 3))}, r"expected names as text \[n\], got int64 \(2,\)"),
        (
            {"names": np.array(["a", None]), "embeddings": np.ones((2, 3))},
            "expected an .npz of arrays of numbers and text",
        ),
        ({"names": np.array(["a", "b"]), "embeddings": np.ones((3, 3))}, "expected a vector for each of 2 names"),
        (
            {"names": np.array(["a", "b"]), "embeddings": np.eye(2) * [1, 0]},
            "row 1: expected finite numbers, not all 0",
        ),
        (
            {"names": np.array(["a"]), "embeddings": np.ones((1, 3)), "norms": np.ones(2)},
            r"expected norms as numbers \(1,\)",
        ),
        ({"names": np.array(["a"]), "embeddings": np.ones((1, 3)), "norms": np.zeros(1)}, "row 0: expected a norm > 0"),
    ],
)
def test_a_wrong_npz_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "features.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_features(tmp_path / "features.npz")


def test_other_files_are_refused(tmp_path):
    whole = tmp_path / "features.npz"
    np.savez(whole, names=np.array(["a"]), embeddings=np.ones((1, 300)))
    content = whole.read_bytes()
    for wrong in (b"", content[:100], content[:-30], b"not a zip"):
        with pytest.raises(ValueError, match=r"features\.npz: expected an \.npz"):
            read_features(written(whole, wrong))
    for name in ("features.mat", "features"):
        with pytest.raises(ValueError, match=r"expected embeddings in a file \.npz, \.txt"):
            read_features(written(tmp_path / name, b"x"))
    with pytest.raises(ValueError, match=r"x\.txt: expected a text file"):
        read_features(written(tmp_path / "x.txt", b"\xff\xd8"))


# MegaFace's matrices


def test_a_vector_is_written_as_the_devkit_s_matrix_of_one_column(tmp_path):
    vector = vectors(1, 512)[0]
    write_matrix(tmp_path / "x.bin", vector)
    content = (tmp_path / "x.bin").read_bytes()
    assert content == struct.pack("<4i512f", 512, 1, 4, 5, *vector)
    assert len(content) == 2064
    np.testing.assert_array_equal(read_matrix(tmp_path / "x.bin"), vector[:, np.newaxis])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("shape", [(3, 5), (1, 4), (4, 1)])
def test_a_matrix_comes_back_as_it_was(tmp_path, dtype, shape):
    matrix = np.random.default_rng(0).normal(size=shape).astype(dtype)
    if matrix.dtype.isnative:
        write_matrix(tmp_path / "x.bin", matrix.T.copy().T)
        again = read_matrix(tmp_path / "x.bin")
        assert again.dtype == dtype
        np.testing.assert_array_equal(again, matrix)
    else:
        with pytest.raises(ValueError, match="expected float32 or float64"):
            write_matrix(tmp_path / "x.bin", matrix)


def test_the_known_writer_s_row_of_float64_is_accepted(tmp_path):
    # face-datasets writes 4 * columns as the bytes of a row whatever the type.
    path = written(tmp_path / "x.bin", struct.pack("<4i3d", 3, 1, 4, 6, 1, 2, 3))
    assert read_matrix(path).tolist() == [[1], [2], [3]]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", r"x\.bin: expected a header .* in 16 bytes, got \[\]"),
        (struct.pack("<4i", 0, 1, 4, 5), r"got \[0, 1, 4, 5\]"),
        (struct.pack("<4i2f", 2, 1, 4, 4, 1, 2), r"type \(5 or 6\) in 16 bytes, got \[2, 1, 4, 4\]"),
        (struct.pack("<4i2f", 2, 1, 12, 5, 1, 2), r"got \[2, 1, 12, 5\]"),
        (struct.pack(">4i2f", 2, 1, 4, 5, 1, 2), "expected a header"),
        (struct.pack("<4i1f", 2, 1, 4, 5, 1), "expected 24 bytes for 2 x 1 of type 5, got 20"),
        (struct.pack("<4i3f", 2, 1, 4, 5, 1, 2, 3), "expected 24 bytes for 2 x 1 of type 5, got 28"),
        (struct.pack("<4i", 2**30, 2**30, 4, 5), "expected a header"),
    ],
)
def test_another_file_is_no_matrix(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_matrix(written(tmp_path / "x.bin", content))


@pytest.mark.parametrize("normalised", [True, False])
def test_a_folder_of_features_comes_back_in_the_order_of_the_list(tmp_path, normalised):
    features = Features.of([f"{i % 3}/{i}.jpg" for i in range(10)], vectors(10))
    write_megaface_features(tmp_path, features, "_mine.bin", normalised=normalised)
    assert (tmp_path / "1" / "4.jpg_mine.bin").is_file()
    names = features.names[::-1]
    again = read_megaface_features(tmp_path, names, "_mine.bin")
    assert again.names == names
    np.testing.assert_allclose(again.embeddings, features.embeddings[::-1], rtol=1e-5)
    np.testing.assert_allclose(again.norms, 1 if normalised else features.norms[::-1], rtol=1e-6)
    blocks = list(megaface_blocks(tmp_path, names, "_mine.bin", block_size=4))
    assert [block.names for block in blocks] == [names[:4], names[4:8], names[8:]]
    np.testing.assert_array_equal(np.concatenate([block.embeddings for block in blocks]), again.embeddings)


def test_wrong_files_of_a_folder_are_named(tmp_path):
    features = Features.of(["a", "b", "c"], vectors(3))
    write_megaface_features(tmp_path, features, ".bin")
    with pytest.raises(FileNotFoundError, match=r"2 of 4 feature files are missing, such as .*x\.bin, .*y\.bin"):
        read_megaface_features(tmp_path, ["a", "x", "b", "y"], ".bin")
    with pytest.raises(ValueError, match="for each of 0 names"):
        read_megaface_features(tmp_path, [], ".bin")
    write_matrix(tmp_path / "b.bin", np.zeros(4, np.float32))
    with pytest.raises(ValueError, match=r"b\.bin: expected finite numbers, not all 0, for 'b', got norm 0"):
        read_megaface_features(tmp_path, ["a", "b"], ".bin")
    for wrong in (np.ones(5, np.float32), np.ones((2, 2), np.float32)):
        write_matrix(tmp_path / "b.bin", wrong)
        with pytest.raises(ValueError, match=r"b\.bin: expected a vector of 4 values, got"):
            read_megaface_features(tmp_path, ["a", "b"], ".bin")
    for name in ("../a", "/a"):
        with pytest.raises(ValueError, match="expected names inside of"):
            write_megaface_features(tmp_path / "in", Features.of([name], vectors(1)), ".bin")


# Scores


def pairs_and_similarity(number=40):
    genuine = np.arange(number) % 2 == 0
    keys = [tuple(f"{side}, {i}" for i in range(number)) for side in "ab"]
    return Pairs("mine", *keys, genuine, np.arange(number) % 3), np.random.default_rng(0).normal(size=number)


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_scores_come_back_as_they_were(tmp_path, suffix):
    pairs, similarity = pairs_and_similarity()
    write_scores(tmp_path / f"scores{suffix}", pairs, similarity)
    scores = read_scores(tmp_path / f"scores{suffix}")
    np.testing.assert_array_equal(scores.similarity, similarity)
    again = scores.pairs()
    assert (again.left, again.right) == (pairs.left, pairs.right)
    np.testing.assert_array_equal(again.genuine, pairs.genuine)
    np.testing.assert_array_equal(again.fold, pairs.fold)
    assert again.protocol == f"scores of scores{suffix}, folds of the file"
    with pytest.raises(ValueError, match="mine: expected 40 finite similarities"):
        write_scores(tmp_path / "scores.csv", pairs, similarity[:-1])
    with pytest.raises(ValueError, match=r"expected a file \.csv or \.npz"):
        write_scores(tmp_path / "scores.txt", pairs, similarity)


def test_scores_without_folds_or_keys_get_some(tmp_path):
    path = written(
        tmp_path / "s.csv", "Genuine,similarity\n" + "".join(f"{'yes' if i < 10 else 'No'},{i}\n" for i in range(30))
    )
    pairs = read_scores(path).pairs()
    assert pairs.fold.tolist() == [*range(10), *(i // 2 for i in range(20))]
    assert (pairs.left[3], pairs.right[3]) == ("row 3", "row 3")
    assert pairs.protocol == "scores of s.csv, 10 folds by position"


def test_foamliu_s_angles_are_distances(tmp_path):
    scores = read_scores(written(tmp_path / "angles.txt", "30.5 1\n80 0\n-.5e1 1\n"), distances=True)
    assert scores.similarity.tolist() == [-30.5, -80, 5]
    assert scores.genuine.tolist() == [True, False, True]


def test_deepface_s_table_is_read_by_its_own_names(real_photos):
    columns = {"similarity": "Facenet_cosine", "genuine": "decision", "left": "file_x", "right": "file_y"}
    scores = read_scores(real_photos / "known_answer_roc" / "deepface_pivot.csv", distances=True, columns=columns)
    assert (scores.genuine.sum(), (~scores.genuine).sum()) == (140, 140)
    assert scores.left[0] == "deepface/tests/dataset/img38.jpg"
    assert scores.similarity[scores.genuine].mean() > scores.similarity[~scores.genuine].mean() + 0.3


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "expected a header line with similarity, genuine"),
        ("similarity,genuine\n", "expected similarities, found none"),
        ("similarity,left\n1,a\n", "line 1: expected a header line with one column `genuine`"),
        ("similarity,genuine\n1,1\nx,0\n", "line 3: expected a number as similarity, 1 or 0 as genuine"),
        ("similarity,genuine\n1,1\n2,2\n", "line 3: expected a number"),
        ("similarity,genuine\n1,1\n2,0,1\n", "line 3: expected 2 fields as in the header"),
        ("similarity,genuine,fold\n1,1,0\n\n2,0,\n", "line 4: expected .* a whole number as fold"),
        ("similarity,genuine,left,right\n1,1,a,b\n2,0,a,\n", "line 3: expected a key of either side"),
        ("similarity,genuine,left\n1,1,a\n2,0,a\n", "expected the keys of both sides, or of none"),
        ("similarity,genuine\n1,1\n\nnan,0\n", "line 4: expected a finite similarity, got nan"),
        ("similarity,genuine\n1,1\n2,1\n", "expected genuine and impostor pairs, got 2 of one polarity"),
        ("similarity,genuine,fold\n1,1,0\n2,0,2\n", r"expected folds 0 \.\.\. k - 1, each with pairs, got \[0, 2\]"),
        ("0.5 1\n0.4 0 1\n", "line 2: expected `value flag`"),
        ("0.5 1\nx 0\n", "line 2: expected a number as similarity"),
        ("0.5 1\ninf 0\n", "line 2: expected a finite similarity, got inf"),
    ],
)
def test_a_bad_line_of_scores_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"scores\.csv.*{message}"):
        read_scores(written(tmp_path / "scores.csv", text))


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"similarity": np.ones(2)}, "expected an array 'genuine', got similarity"),
        ({"similarity": np.ones(2), "genuine": np.array([1, 2])}, "expected 'genuine' of 0 and 1"),
        (
            {"similarity": np.ones(2), "genuine": np.ones(3)},
            r"expected 2 values of numbers as 'genuine', got float64 \[3\]",
        ),
        ({"similarity": np.array([1, np.nan]), "genuine": np.array([1, 0])}, "row 1: expected a finite similarity"),
        ({"similarity": np.ones(2), "genuine": np.array([1, 0]), "left": np.array(["a", "b"])}, "keys of both sides"),
        (
            {"similarity": np.ones(2), "genuine": np.array([1, 0]), "fold": np.array([1, 1])},
            r"each with pairs, got \[1\]",
        ),
    ],
)
def test_a_wrong_npz_of_scores_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "scores.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_scores(tmp_path / "scores.npz")


def test_unknown_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match="columns must be among similarity, genuine, fold, left, right, got score"):
        read_scores(tmp_path / "scores.csv", columns={"score": "x"})


def test_embeddings_cover_the_pairs_of_a_protocol(tmp_path):
    # The way from a feature file to the similarities of a protocol.
    lines = [f"{a}/1.jpg {b}/1.jpg {int(a == b)}" for a in "ABCDEFGHIJ" for b in ("A" if a != "A" else "B", a)]
    pairs = read_pairs(written(tmp_path / "pairs.txt", "\n".join(lines)))
    raw = vectors(10, 3)
    features = Features.of([f"{name}/1.jpg" for name in "ABCDEFGHIJ"], raw)
    left, right = (features.embeddings[features.rows(side)] for side in (pairs.left, pairs.right))
    similarity = (left * right).sum(axis=1)
    np.testing.assert_allclose(similarity[pairs.genuine], 1, rtol=1e-6)
    expected = raw[0] @ raw[1] / np.sqrt((raw[0] ** 2).sum() * (raw[1] ** 2).sum())
    np.testing.assert_allclose(similarity[[0, 2]], [expected] * 2, rtol=1e-5)
