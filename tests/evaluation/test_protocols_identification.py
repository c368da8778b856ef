import json

import numpy as np
import pytest

from keras_face.evaluation.protocols import (
    Identification,
    find_ijb,
    read_ijb_identification,
    read_ijb_pairs,
    read_ijb_photos,
    read_masked,
    read_megaface,
    read_noises,
    whole_numbers,
)


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# Identification


def identification(probes="ab", who="AB", gallery="xyz", entries="ABA", same=(-1, -1), **others):
    return Identification("mine", tuple(probes), tuple(who), tuple(gallery), tuple(entries), np.array(same), **others)


def test_a_probe_is_mated_if_another_photo_of_its_identity_is_in_the_gallery():
    protocol = identification(probes="abc", who="ABN", same=(0, 1, -1))
    # a has y's person? No: A has x (its own photo) and z; B has y, its own photo alone; N has none.
    assert protocol.mated().tolist() == [True, False, False]
    assert not protocol.closed_set
    assert identification().closed_set
    probes, gallery = protocol.labels()
    assert (probes[:, np.newaxis] == gallery).tolist() == [[True, False, True], [False, True, False], [False] * 3]
    assert identification(distractors=("d",)).distinct_keys() == ("a", "b", "x", "y", "z", "d")


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"who": "A"}, r"mine: expected probes, each with its identity and same photo, got \[2, 1, 2\]"),
        ({"same": (1,)}, r"got \[2, 2, 1\]"),
        ({"probes": "", "who": "", "same": ()}, r"got \[0, 0, 0\]"),
        ({"entries": "AB"}, r"mine: expected a gallery, each entry with its identity, got \[3, 2\]"),
        ({"gallery": "", "entries": ""}, r"got \[0, 0\]"),
        ({"probes": "aa"}, "expected each of the probes once, got 'a' again"),
        ({"gallery": "xyx"}, "expected each of the gallery once, got 'x' again"),
        ({"distractors": ("d", "d")}, "expected each of the distractors once"),
        ({"distractors": ("x",)}, "expected distractors that are not in the gallery, got 'x'"),
        ({"same": (3, -1)}, r"expected same photos among the 3 of the gallery, or -1, got 3"),
        ({"who": "NM"}, "expected probes with a mate in the gallery, got none of 2"),
    ],
)
def test_an_identification_that_cannot_be_measured_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        identification(**wrong)


# IJB


def test_whole_numbers_are_parsed_in_blocks_as_numpy_does_line_by_line(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_numbers, "_BLOCK", 64)
    numbers = np.random.default_rng(0).integers(0, 10 ** np.arange(1, 7), (200, 6))
    for separator, end in ((" ", "\n"), ("\t", "\r\n"), ("  ", " \n")):
        text = end.join(separator.join(map(str, row)) for row in numbers.tolist())
        for tail in ("", "\n", "\n\n"):
            path = tmp_path / "numbers.txt"
            path.write_bytes((text + tail).encode())
            blocks = list(whole_numbers.read_whole_numbers(path, 6, "six"))
            np.testing.assert_array_equal(np.concatenate([rows for _, rows in blocks]), np.loadtxt(path, int))
            assert [line for lines, _ in blocks for line in lines] == list(range(1, 201))
            assert len(blocks) > 20


@pytest.mark.parametrize("block", range(1, 20))
def test_blank_lines_are_passed_over_and_counted(tmp_path, monkeypatch, block):
    monkeypatch.setattr(whole_numbers, "_BLOCK", block)
    path = written(tmp_path / "numbers.txt", "1 2\n\n3 4\n \n\n5 6\n\n")
    blocks = list(whole_numbers.read_whole_numbers(path, 2, "two"))
    assert [line for lines, _ in blocks for line in lines] == [1, 3, 6]
    assert np.concatenate([rows for _, rows in blocks]).tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    "line",
    ["7 8", "7 8 9 1", "7 8 x", "7 8 -1", "7 8 1.5", "7 8 \N{ARABIC-INDIC DIGIT ONE}"],
)
@pytest.mark.parametrize("block", [40, 1 << 20])
def test_a_line_that_is_not_whole_numbers_is_named(tmp_path, monkeypatch, line, block):
    monkeypatch.setattr(whole_numbers, "_BLOCK", block)
    path = written(tmp_path / "pairs.txt", "1 2 0\n" * 30 + line + "\n" + "3 4 1\n" * 9)
    with pytest.raises(ValueError, match=rf"pairs\.txt, line 31: expected three, got '{line}'"):
        list(whole_numbers.read_whole_numbers(path, 3, "three"))


def test_numbers_that_stand_in_wrong_lines_are_not_taken_for_each_other(tmp_path):
    path = written(tmp_path / "pairs.txt", "1 2 0\n1 2\n0 1 2 0\n")
    with pytest.raises(ValueError, match="line 2"):
        list(whole_numbers.read_whole_numbers(path, 3, "three"))


TID_MID = "1.jpg 10 100\n2.jpg 10 101\n3.jpg 20 101\n4.jpg 30 7\n"
POINTS = "".join(f"{i}.jpg {' '.join(str(i + k / 2) for k in range(10))} 0.9{i}\n" for i in range(1, 5))


def meta(folder, letter="c", one_to_many=True, **files):
    start, sets = f"ijb{letter}", {"b": ("S1", "S2"), "c": ("G1", "G2")}[letter]
    content = {
        f"{start}_face_tid_mid.txt": TID_MID,
        f"{start}_name_5pts_score.txt": POINTS,
        f"{start}_template_pair_label.txt": "10 20 1\n10 30 0\n30 20 0\n",
    }
    if one_to_many:
        header = "TEMPLATE_ID,SUBJECT_ID,FILENAME\n"
        content[f"{start}_1N_gallery_{sets[0]}.csv"] = f"{header}10,5,a.jpg\n10,5,b.jpg\n"
        content[f"{start}_1N_gallery_{sets[1]}.csv"] = f"{header}20,6,a.jpg\n"
        content[f"{start}_1N_probe_mixed.csv"] = f"{header}30,5,c.jpg\n20,6,d.jpg\n"
    for name, text in {**content, **files}.items():
        written(folder / name, text)
    return folder


@pytest.mark.parametrize("letter", ["b", "c"])
@pytest.mark.parametrize("inside", ["meta", "."])
def test_the_files_of_ijb_are_found(tmp_path, letter, inside):
    folder = meta(tmp_path / inside, letter)
    files = find_ijb(tmp_path)
    assert files.name == f"IJB-{letter.upper()}"
    named = [files.photos, files.landmarks, files.pairs, *files.galleries, files.probes]
    assert sorted(path.resolve() for path in named) == sorted(path.resolve() for path in folder.iterdir())
    assert [path.name[-6:-4] for path in files.galleries] == (["S1", "S2"] if letter == "b" else ["G1", "G2"])


def test_missing_files_of_ijb_are_named(tmp_path):
    files = find_ijb(meta(tmp_path, one_to_many=False))
    assert (files.galleries, files.probes) == ((), None)
    written(tmp_path / "ijbc_1N_gallery_G1.csv", "")
    with pytest.raises(FileNotFoundError, match=r"missing ijbc_1N_gallery_G2\.csv, ijbc_1N_probe_mixed\.csv"):
        find_ijb(tmp_path)
    written(tmp_path / "ijbb_face_tid_mid.txt", "")
    with pytest.raises(ValueError, match=r"expected one of ijbb_face_tid_mid\.txt and ijbc_face_tid_mid\.txt, got 2"):
        find_ijb(tmp_path)


def test_photos_of_templates_have_media_scores_and_landmarks(tmp_path):
    folder = meta(tmp_path)
    photos = read_ijb_photos(folder / "ijbc_face_tid_mid.txt", folder / "ijbc_name_5pts_score.txt")
    assert photos.photos == ("1.jpg", "2.jpg", "3.jpg", "4.jpg")
    assert photos.face_set.tolist() == [10, 10, 20, 30]
    assert photos.media.tolist() == [100, 101, 101, 7]
    np.testing.assert_allclose(photos.detector_score, [0.91, 0.92, 0.93, 0.94])
    np.testing.assert_allclose(photos.landmarks[2], [[3, 3.5], [4, 4.5], [5, 5.5], [6, 6.5], [7, 7.5]])
    assert photos.face_sets().tolist() == [10, 20, 30]
    assert photos.index().tolist() == [0, 0, 1, 2]
    assert read_ijb_photos(folder / "ijbc_face_tid_mid.txt").landmarks is None


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("face_tid_mid", "1.jpg 10\n", "face_tid_mid.txt, line 1: expected `photo template media`"),
        ("face_tid_mid", "1.jpg 10 1\n2.jpg 10 b\n", "line 2: expected `photo template media`"),
        ("face_tid_mid", "\n", "expected photos of templates, the file is empty"),
        ("name_5pts_score", POINTS[:-20], "line 4: expected `photo x1 y1 ... x5 y5 score`, finite numbers"),
        ("name_5pts_score", POINTS.replace("0.93", "nan"), "line 3: expected `photo x1 y1"),
        ("name_5pts_score", POINTS.replace("0.92", "high"), "line 2: expected `photo x1 y1"),
        ("name_5pts_score", POINTS.replace("3.jpg", "5.jpg"), "line 3: expected the photo 3.jpg, as in the list"),
        ("name_5pts_score", POINTS * 2, "expected 4 photos, got 8"),
    ],
)
def test_a_bad_line_of_ijb_s_photos_is_named(tmp_path, name, text, message):
    folder = meta(tmp_path, **{f"ijbc_{name}.txt": text})
    with pytest.raises(ValueError, match=message):
        read_ijb_photos(folder / "ijbc_face_tid_mid.txt", folder / "ijbc_name_5pts_score.txt")


def test_pairs_of_templates_are_indices(tmp_path):
    folder = meta(tmp_path)
    pairs = read_ijb_pairs(folder / "ijbc_template_pair_label.txt", read_ijb_photos(folder / "ijbc_face_tid_mid.txt"))
    assert pairs.face_sets[pairs.left].tolist() == [10, 10, 30]
    assert pairs.face_sets[pairs.right].tolist() == [20, 30, 20]
    assert pairs.genuine.tolist() == [True, False, False]
    assert (pairs.left.dtype, pairs.right.dtype, pairs.genuine.dtype) == (np.int32, np.int32, bool)
    assert pairs.protocol == "IJB 1:1 (ijbc_template_pair_label.txt)"


@pytest.mark.parametrize(
    "text, message",
    [
        ("10 20 1\n10 31 0\n", "line 2: expected two templates that have photos, and a label 0 or 1, got '10 31 0'"),
        ("10 20 1\n10 5 0\n", "line 2: expected two templates that have photos"),
        ("10 20 1\n10 20 2\n", "line 2: .* a label 0 or 1"),
        ("10 20 1\n10 20\n", "line 2: expected `template template label`"),
        ("10 20 1\n10 20 1\n", "expected genuine and impostor pairs, got 2 of one polarity"),
        ("", "expected pairs of templates, the file is empty"),
    ],
)
def test_a_bad_pair_of_templates_is_named(tmp_path, text, message):
    folder = meta(tmp_path, **{"ijbc_template_pair_label.txt": text})
    photos = read_ijb_photos(folder / "ijbc_face_tid_mid.txt")
    with pytest.raises(ValueError, match=message):
        read_ijb_pairs(folder / "ijbc_template_pair_label.txt", photos)


def test_one_gallery_of_ijb_is_open_set_and_both_are_closed_set(tmp_path):
    files = find_ijb(meta(tmp_path))
    photos = read_ijb_photos(files.photos)
    both = read_ijb_identification(files.galleries, files.probes, photos)
    assert (both.probes, both.probe_identities) == (("30", "20"), ("5", "6"))
    assert (both.gallery, both.gallery_identities) == (("10", "20"), ("5", "6"))
    assert both.closed_set
    first = read_ijb_identification(files.galleries[:1], files.probes)
    assert first.mated().tolist() == [True, False]
    assert first.protocol == "IJB 1:N (ijbc_1N_probe_mixed.csv in ijbc_1N_gallery_G1.csv)"


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "G2.csv: expected a header line with TEMPLATE_ID, SUBJECT_ID, the file is empty"),
        ("20,6\n", "line 1: expected a header line with one column `TEMPLATE_ID`"),
        ("template,subject\n", "expected templates, found none"),
        ("tid,sid\n20,6\n20,7\n", "line 3: expected one subject of a template, 6 before"),
        ("tid,sid\n20,6,7\n", "line 2: expected 2 fields as in the header"),
        ("tid,sid\n20,x\n", "line 2: expected whole numbers"),
        ("tid,sid\n21,6\n", "line 2: expected a template that has photos, got '21,6'"),
        ("tid,sid\n20,5\n", "line 2: expected one template of subject 5 in the gallery, got 10 and 20"),
    ],
)
def test_a_bad_gallery_is_refused(tmp_path, text, message):
    files = find_ijb(meta(tmp_path, **{"ijbc_1N_gallery_G2.csv": text}))
    with pytest.raises(ValueError, match=message):
        read_ijb_identification(files.galleries, files.probes, read_ijb_photos(files.photos))


# MegaFace


def lists(
    folder,
    paths=("A/A_1.png", "A/A_2.png", "A/A_3.png", "B/B_1.png", "B/B_2.png"),
    distractors=("1/2/x.jpg", "1/2/y.jpg"),
):
    probes = written(folder / "facescrub.json", json.dumps({"path": paths, "id": [path[0] for path in paths]}))
    return probes, written(folder / "megaface.json", json.dumps({"path": distractors}))


def test_megaface_ranks_each_mate_alone_among_the_distractors(tmp_path):
    protocol = read_megaface(*lists(tmp_path))
    assert protocol.probes == protocol.gallery == ("A/A_1.png", "A/A_2.png", "A/A_3.png", "B/B_1.png", "B/B_2.png")
    assert protocol.probe_identities == protocol.gallery_identities == ("A", "A", "A", "B", "B")
    assert protocol.same_photo.tolist() == [0, 1, 2, 3, 4]
    assert protocol.distractors == ("1/2/x.jpg", "1/2/y.jpg")
    assert protocol.one_mate_at_a_time
    assert protocol.closed_set
    assert protocol.protocol == "MegaFace challenge 1, 2 distractors, not refined"
    assert not protocol.dropped


def test_noisy_photos_of_megaface_are_left_out_and_counted(tmp_path):
    noises = {
        "probe_noises": written(tmp_path / "facescrub_noises.txt", "# bad\nA_2.png\nB_2.png\nNobody_9.png\n"),
        "distractor_noises": written(tmp_path / "megaface_noises.txt", "#\n17\t1/2/x.jpg\n9/9/z.jpg\n"),
    }
    protocol = read_megaface(*lists(tmp_path), **noises)
    # B_1 is clean, but has no mate without B_2.
    assert protocol.probes == ("A/A_1.png", "A/A_3.png")
    assert protocol.distractors == ("1/2/y.jpg",)
    assert [(d.reason, d.num_probes, d.num_gallery, d.num_distractors) for d in protocol.dropped] == [
        ("noisy probes", 2, 2, 0),
        ("probes without another photo of the person", 1, 1, 0),
        ("noisy distractors", 0, 0, 1),
    ]
    assert protocol.protocol.endswith("1 distractors, probes and distractors refined, noisy probes left out")
    replaced = read_megaface(*lists(tmp_path), **noises, noisy_probes="replaced")
    assert len(replaced.probes) == 5
    assert replaced.replaced == ("A/A_2.png", "B/B_2.png")
    assert replaced.protocol.endswith("noisy probes replaced")
    assert read_noises(noises["distractor_noises"]) == {"1/2/x.jpg", "9/9/z.jpg"}


@pytest.mark.parametrize(
    "text, message",
    [
        ("[", r"facescrub\.json: expected JSON, {path, id: \[\.\.\.\]}"),
        ("[1]", "expected a JSON object with path, id, got a list"),
        ('{"path": ["a"]}', "expected a list 'id' in the JSON object, got path"),
        ('{"path": [], "id": []}', "expected a list 'path'"),
        ('{"path": ["a", null], "id": ["A", "B"]}', "expected text in 'path', got None at index 1"),
        ('{"path": ["a", "b"], "id": ["A"]}', "expected lists of one size, got {'path': 2, 'id': 1}"),
        ('{"path": ["a", "b", "a"], "id": [1, 1, 1]}', "expected each path once, got a again"),
        ('{"path": ["a", "b"], "id": [1, 2]}', "expected people with two or more photos, found none"),
    ],
)
def test_a_bad_list_of_megaface_is_refused(tmp_path, text, message):
    probes, distractors = lists(tmp_path)
    with pytest.raises(ValueError, match=message):
        read_megaface(written(probes, text), distractors)


def test_a_bad_noise_list_is_named_by_its_line(tmp_path):
    with pytest.raises(ValueError, match=r"noises\.txt, line 2: expected `file` or `number<tab>path`"):
        read_noises(written(tmp_path / "noises.txt", "a\n1\tb\tc\n"))
    with pytest.raises(ValueError, match="noisy_probes must be one of left out, replaced, got 'kept'"):
        read_megaface(*lists(tmp_path), noisy_probes="kept")


def test_facescrub_s_probes_have_their_published_counts(real_photos, tmp_path):
    # The devkit's list is not here, but the landmarks of its photos are, `Name_number` each.
    names = list(json.loads((real_photos / "protocols" / "facescrub_80_landmark5.json").read_text()))
    people = [name.rsplit("_", 1)[0] for name in names]
    content = {"path": [f"{person}/{name}.png" for person, name in zip(people, names, strict=True)], "id": people}
    _, distractors = lists(tmp_path)
    protocol = read_megaface(written(tmp_path / "facescrub.json", json.dumps(content)), distractors)
    assert (len(protocol.probes), len(set(protocol.probe_identities))) == (3530, 80)
    assert not protocol.dropped


# Masked to unmasked

MASKED = ["A/1.jpg,A/1_m.jpg,A", "A/2.jpg,A/2_m.jpg,A", "A/2.jpg,A/2_n.jpg,A", "B/1.jpg,B/1_m.jpg,B"]


@pytest.mark.parametrize("columns", ["original,masked,person", "original,masked"])
def test_a_masked_probe_is_not_compared_with_its_own_original(tmp_path, columns):
    rows = [columns, *(row.rsplit(",", 1)[0] if columns.count(",") == 1 else row for row in MASKED)]
    protocol = read_masked(written(tmp_path / "masked.csv", "\n".join(rows)))
    assert protocol.gallery == ("A/1.jpg", "A/2.jpg", "B/1.jpg")
    assert protocol.gallery_identities == ("A", "A", "B")
    assert protocol.probes == ("A/1_m.jpg", "A/2_m.jpg", "A/2_n.jpg")
    assert protocol.same_photo.tolist() == [0, 1, 1]
    assert [(d.reason, d.num_probes) for d in protocol.dropped] == [("people with a single original", 1)]
    assert protocol.protocol == "masked to unmasked (masked.csv), own originals not compared"
    easier = read_masked(tmp_path / "masked.csv", own_original=True)
    assert len(easier.probes) == 4
    assert easier.same_photo.tolist() == [-1] * 4
    assert not easier.dropped
    assert easier.protocol.endswith("own originals compared too")


@pytest.mark.parametrize(
    "text, message",
    [
        ("original,twin\na/b,c\n", r"masked\.csv, line 1: expected a header line with one column `masked`"),
        ("original,masked\n", "expected masked photos, found none"),
        ("original,masked\na/b.jpg\n", "line 2: expected 2 fields as in the header"),
        ("original,masked\nb.jpg,c.jpg\n", "line 2: expected `original,masked`, paths that begin with the person's"),
        ("original,masked\na/b.jpg,\n", "line 2: expected `original,masked`"),
        ("original,masked\na/b,m\n\na/c,m\n", "line 4: expected each masked photo once, got 'a/c,m'"),
        ("original,masked,person\na,m,A\na,n,B\n", "line 3: expected one person for each original, not A and B"),
        ("original,masked\na/1,m\nb/1,n\n", "expected people with two or more originals, got none among 2"),
    ],
)
def test_a_bad_line_of_the_masked_list_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_masked(written(tmp_path / "masked.csv", text))
