"""IJB-B and IJB-C as InsightFace lays them out: photos, pairs, galleries and probes.

What these files call a template is a face set: the photos and frames of one person that are compared as one.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_face.evaluation.protocols.identification import Identification, no_same_photo
from keras_face.evaluation.protocols.lines import bad_line, read_columns, read_lines, whole_number
from keras_face.evaluation.protocols.pairs import Dropped
from keras_face.evaluation.protocols.whole_numbers import read_whole_numbers
from keras_face.evaluation.short import Short

_TEMPLATE = ("template_id", "templateid", "template", "tid")
_SUBJECT = ("subject_id", "subjectid", "subject", "sid")
_MOST = 10_000_000  # templates are looked up in an array of this size


@dataclass(frozen=True, eq=False, repr=False)
class IjbPhotos(Short):
    """Which photos, of which media, make up each face set (IJB template).

    Attributes:
        photos: Key of each photo of each face set; a photo of several face sets comes several times.
        face_set: int64 [n], the number of the face set of each.
        media: int64 [n], the medium of each: a still, or the video that a frame is of.
        detector_score: float32 [n], how sure the detector was of the face; None if not given.
        landmarks: float32 [n, 5, 2], x and y in pixels of the loose crop; None if not given.
    """

    photos: tuple[str, ...]
    face_set: np.ndarray
    media: np.ndarray
    detector_score: np.ndarray | None = None
    landmarks: np.ndarray | None = None

    def face_sets(self) -> np.ndarray:
        """Returns int64 [t], the numbers of the face sets, rising."""
        return np.unique(self.face_set)

    def index(self) -> np.ndarray:
        """Returns int64 [n], the place of each photo's face set in `face_sets`, as in `IjbPairs`."""
        return np.searchsorted(self.face_sets(), self.face_set)


@dataclass(frozen=True, eq=False, repr=False)
class IjbPairs(Short):
    """Pairs of face sets (IJB templates); as `Pairs`, but by numbers, as there are 15.7 million, and without folds.

    Attributes:
        protocol: Name that says which rule was followed.
        face_sets: int64 [t], the numbers of the face sets, rising.
        left: int32 [n], index in `face_sets` of one side of each pair.
        right: int32 [n], of the other side.
        genuine: bool [n].
        dropped: What the protocol leaves out.
    """

    protocol: str
    face_sets: np.ndarray
    left: np.ndarray
    right: np.ndarray
    genuine: np.ndarray
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True)
class IjbFiles:
    """The files of IJB-B or IJB-C.

    Attributes:
        name: "IJB-B" or "IJB-C".
        photos: ijbc_face_tid_mid.txt.
        landmarks: ijbc_name_5pts_score.txt.
        pairs: ijbc_template_pair_label.txt, for 1:1.
        galleries: ijbc_1N_gallery_G1.csv and _G2.csv (S1 and S2 in IJB-B), for 1:N; empty if absent.
        probes: ijbc_1N_probe_mixed.csv; None if absent.
    """

    name: str
    photos: Path
    landmarks: Path
    pairs: Path
    galleries: tuple[Path, ...]
    probes: Path | None


def find_ijb(folder: str | os.PathLike) -> IjbFiles:
    """Returns the files of a `meta` folder of IJB-B or IJB-C, or of the folder that has it.

    Raises: ValueError if it is neither or both; FileNotFoundError if a file of 1:1 is missing, or one of 1:N where
        another one is there.
    """
    folder = Path(folder)
    meta = folder / "meta" if (folder / "meta").is_dir() else folder
    found = [letter for letter in "bc" if (meta / f"ijb{letter}_face_tid_mid.txt").is_file()]
    if len(found) != 1:
        raise ValueError(f"{meta}: expected one of ijbb_face_tid_mid.txt and ijbc_face_tid_mid.txt, got {len(found)}")
    start = f"ijb{found[0]}"
    needed = [meta / f"{start}_{name}.txt" for name in ("face_tid_mid", "name_5pts_score", "template_pair_label")]
    sets = ("S1", "S2") if found == ["b"] else ("G1", "G2")
    names = [f"{start}_1N_gallery_{name}.csv" for name in sets] + [f"{start}_1N_probe_mixed.csv"]
    one_to_many = [meta / name for name in names]
    if any(path.is_file() for path in one_to_many):
        needed += one_to_many
    else:
        one_to_many = []
    missing = [path.name for path in needed if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{meta}: missing {', '.join(missing)}")
    name, probes = f"IJB-{found[0].upper()}", one_to_many[2] if one_to_many else None
    return IjbFiles(name, needed[0], needed[1], needed[2], tuple(one_to_many[:2]), probes)


def read_ijb_photos(path: str | os.PathLike, landmarks_file: str | os.PathLike | None = None) -> IjbPhotos:
    """Returns the photos of the templates.

    Args:
        path: Lines `photo template media` (ijbc_face_tid_mid.txt).
        landmarks_file: Lines `photo x1 y1 ... x5 y5 score` of the same photos in the same order
            (ijbc_name_5pts_score.txt); None: without landmarks and scores.

    Raises: ValueError, with file and line, for a line that is not as expected, and for a photo that is not the other
        file's of the same line.
    """
    photos, numbers = [], []
    lines = read_lines(path)
    for line in lines:
        fields = line[1].split()
        template, media = map(whole_number, fields[1:]) if len(fields) == 3 else (None, None)
        if template is None or media is None:
            raise bad_line(path, line, "`photo template media`, the last two whole numbers")
        photos.append(fields[0])
        numbers.append((template, media))
    if not photos:
        raise ValueError(f"{path}: expected photos of templates, the file is empty")
    templates, medias = np.array(numbers, np.int64).T
    if landmarks_file is None:
        return IjbPhotos(tuple(photos), templates, medias)
    values = _read_landmarks(landmarks_file, photos)
    return IjbPhotos(tuple(photos), templates, medias, values[:, 10], values[:, :10].reshape(-1, 5, 2))


def _read_landmarks(path: str | os.PathLike, photos: list[str]) -> np.ndarray:
    """Returns float32 [n, 11]: x and y of five points, and the detector's score."""
    lines = read_lines(path)
    if len(lines) != len(photos):
        raise ValueError(f"{path}: expected {len(photos)} photos, got {len(lines)}")
    values = np.empty((len(photos), 11), np.float32)
    for index, (line, photo) in enumerate(zip(lines, photos, strict=True)):
        name, *fields = line[1].split()
        if name != photo:
            raise bad_line(path, line, f"the photo {photo}, as in the list of templates")
        try:
            values[index] = fields if len(fields) == 11 else np.nan
        except ValueError:
            values[index] = np.nan
        if not np.isfinite(values[index]).all():
            raise bad_line(path, line, "`photo x1 y1 ... x5 y5 score`, finite numbers")
    return values


def read_ijb_pairs(path: str | os.PathLike, photos: IjbPhotos) -> IjbPairs:
    """Returns the pairs of templates of 1:1.

    Args:
        path: Lines `template template 1`, 1 is genuine and 0 is not (ijbc_template_pair_label.txt).
        photos: The photos of the templates.

    Raises: ValueError, with file and line, for a line that is not as expected or has a template without photos; if
        there are pairs of one polarity only, or a template's number is above 10 million.
    """
    templates = photos.face_sets()
    if templates[-1] > _MOST:
        raise ValueError(f"{path}: expected numbers of templates up to {_MOST}, got {templates[-1]}")
    index_of = np.full(templates[-1] + 1, -1, np.int32)
    index_of[templates] = np.arange(templates.size)
    parts = []
    for line_numbers, numbers in read_whole_numbers(path, 3, "`template template label`, label 0 or 1"):
        sides, label = numbers[:, :2], numbers[:, 2]
        index = index_of[np.minimum(sides, templates[-1])]
        bad = np.flatnonzero((sides > templates[-1]).any(axis=1) | (index < 0).any(axis=1) | (label > 1))
        if bad.size:
            line = (line_numbers[bad[0]], " ".join(map(str, numbers[bad[0]])))
            raise bad_line(path, line, "two templates that have photos, and a label 0 or 1")
        parts.append((index, label == 1))
    if not parts:
        raise ValueError(f"{path}: expected pairs of templates, the file is empty")
    genuine = np.concatenate([part[1] for part in parts])
    if genuine.all() or not genuine.any():
        raise ValueError(f"{path}: expected genuine and impostor pairs, got {genuine.size} of one polarity")
    left, right = (np.concatenate([part[0][:, side] for part in parts]) for side in (0, 1))
    return IjbPairs(f"IJB 1:1 ({Path(path).name})", templates, left, right, genuine)


def read_ijb_identification(
    gallery_files: Sequence[str | os.PathLike], probe_file: str | os.PathLike, photos: IjbPhotos | None = None
) -> Identification:
    """Returns 1:N: each probe template looked up in a gallery with one template for each subject.

    With both galleries it is closed-set, as InsightFace measures; with one of them it is the official open-set
    protocol, as the subjects of the other one have no mate.

    Args:
        gallery_files: CSV files with a header and columns TEMPLATE_ID and SUBJECT_ID; a template may have many rows.
        probe_file: Likewise.
        photos: The photos of the templates, to check that each has some; None: not checked.

    Raises: ValueError, with file and line, for a row that is not as expected, a template with two subjects or without
        photos, and a subject with two templates in the gallery.
    """
    known = None if photos is None else set(map(str, photos.face_sets().tolist()))
    gallery: dict[str, str] = {}
    template_of: dict[str, str] = {}
    for path in gallery_files:
        for template, (subject, line) in _subjects(path, known).items():
            if template_of.setdefault(subject, template) != template:
                raise ValueError(
                    f"{path}, line {line}: expected one template of subject {subject} in the gallery, got "
                    f"{template_of[subject]} and {template}"
                )
            gallery[template] = subject
    probes = {template: subject for template, (subject, _) in _subjects(probe_file, known).items()}
    names = " and ".join(Path(path).name for path in gallery_files)
    return Identification(
        f"IJB 1:N ({Path(probe_file).name} in {names})",
        tuple(probes),
        tuple(probes.values()),
        tuple(gallery),
        tuple(gallery.values()),
        no_same_photo(len(probes)),
    )


def _subjects(path: str | os.PathLike, known: set[str] | None) -> dict[str, tuple[str, int]]:
    """Returns the subject of each template, and the line that says it first."""
    subjects: dict[str, tuple[str, int]] = {}
    for number, (template, subject) in read_columns(path, {"TEMPLATE_ID": _TEMPLATE, "SUBJECT_ID": _SUBJECT}):
        line = (number, f"{template},{subject}")
        if not template.isdecimal() or not subject.isdecimal():
            raise bad_line(path, line, "whole numbers as TEMPLATE_ID and SUBJECT_ID")
        if known is not None and template not in known:
            raise bad_line(path, line, "a template that has photos")
        if subjects.setdefault(template, (subject, number))[0] != subject:
            raise bad_line(path, line, f"one subject of a template, {subjects[template][0]} before")
    if not subjects:
        raise ValueError(f"{path}: expected templates, found none")
    return subjects
