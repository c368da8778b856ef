"""A folder of photos becomes a folder of aligned crops, or records."""

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from keras_face import files
from keras_face.alignment.aligner import Aligner, Crop
from keras_face.alignment.detector import Face
from keras_face.alignment.journal import Journal, open_journal
from keras_face.alignment.sheet import write_sheet
from keras_face.photos import checked
from keras_face.photos.encoding import ENCODINGS, encoded
from keras_face.photos.files import PhotoError
from keras_face.photos.lists import crop_names, list_files
from keras_face.photos.people import list_people
from keras_face.photos.reader import read_photos
from keras_face.photos.summary import Summary, write_skipped
from keras_face.records import photo_sets, writing

Listed = tuple[Path, list[str], list[tuple[str, str]]]  # what `list_files` returns


def align_folder(
    source: str | os.PathLike,
    output_dir: str | os.PathLike,
    aligner: Aligner,
    encoding: str = "jpg",
    sheet: str | os.PathLike | None = None,
    progress: bool = True,
) -> Summary:
    """Writes the aligned crops of photos, in the layout that the photos have, and returns the summary.

    A crop has the name of its photo and the extension of `encoding`; if all faces are taken, a number between both,
    from left to right. What was left out, and why, is in `skipped.csv`; `aligned.jsonl` has what was done, with boxes
    and landmarks: an interrupted run goes on where it was, and a finished one with what is new in the source.

    Args:
        source: A folder of any depth, or one photo.
        output_dir: Folder to make or to continue; not in the source.
        aligner: What makes crops of photos.
        encoding: Of the crops: "jpg" (quality 95, colours in full) or "png" (lossless, about three times as large).
        sheet: PNG to write: some of the photos with what was found in them, and their crops.
        progress: Whether to show a progress bar.

    Raises: ValueError: There is no photo or no crop, an argument is wrong, or the output was made otherwise or is being
        written; OSError: the output cannot be written.
    """
    return _align(_listed(source, output_dir), Path(output_dir), aligner, encoding, sheet, progress)[0]


def align_records(
    source: str | os.PathLike,
    output: writing.Output | str | os.PathLike,
    aligner: Aligner,
    encoding: str = "jpg",
    sheet: str | os.PathLike | None = None,
    progress: bool = True,
) -> Summary:
    """Writes the aligned crops of a folder with a folder per person as records, and returns the summary.

    The crops are made in the folder `<output>.crops`, which goes when the records are whole: an interrupted run goes on
    where it was. The rest is as in `align_folder`.

    Raises: ValueError if the aligner takes all faces: those of others would get a person's label; and as `align_folder`
        and `writing.write_records` do.
    """
    path = writing.check_new(output)
    if aligner.faces == "all":
        raise ValueError("records need one face of a photo, that of its person, but faces is 'all'")
    crops = path.with_name(f"{path.name}.crops")
    _check_apart(source, crops)
    listing = list_people(source)
    listed = [name for names in listing.photos.values() for name in names]
    if not listed:
        raise ValueError(f"expected a folder with a folder of photos per person, but {source} has no such photos")
    summary, names = _align((Path(source), listed, [*listing.skipped]), crops, aligner, encoding, sheet, progress)
    people = sorted({name.split("/")[0] for name in names})
    labels = {person: label for label, person in enumerate(people)}
    writing.write_records(
        output,
        [photo_sets.PhotoSet(labels[name.split("/")[0]], [(name, os.path.join(crops, name))]) for name in names],
        load=photo_sets.read,
        identities=people,
        image_size=aligner.template.image_size,
        source=f"photos {source}, aligned: {aligner.settings}",
        template=aligner.template.name,
        skipped=summary.skipped,
        total=len(names),
        progress=progress,
    )
    shutil.rmtree(crops)
    return summary


def _listed(source: str | os.PathLike, output: str | os.PathLike) -> Listed:
    """Returns the files of a source, after checking that the output is not among them."""
    _check_apart(source, output)
    return list_files(source)


def _check_apart(source: str | os.PathLike, output: str | os.PathLike) -> None:
    """Raises ValueError if the output is in the source."""
    if Path(source).is_dir() and Path(output).resolve().is_relative_to(Path(source).resolve()):
        raise ValueError(f"output_dir must not be in the source, but {output} is in {source}")


def _align(
    listed: Listed, output: Path, aligner: Aligner, encoding: str, sheet: str | os.PathLike | None, progress: bool
) -> tuple[Summary, list[str]]:
    """Makes the crops that are not there yet, and returns the summary and the names of all."""
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding must be one of {', '.join(ENCODINGS)}, got {encoding!r}")
    root, names, skipped = listed
    bases = crop_names(names)
    with open_journal(output, {**aligner.settings, "encoding": encoding}) as journal:
        todo = [name for name in names if not journal.is_done(name, root / name)]
        with tqdm(desc="aligning", total=len(todo), unit=" photos", disable=not progress) as bar:
            for group, found in read_photos(root, todo):
                for name, made in zip(group, _made(aligner, group, found), strict=True):
                    facts = _written(journal, name, made, bases[name], aligner.faces == "all", encoding)
                    journal.add(name, root / name, **facts)
                bar.update(len(group))
        entries = [journal.entries[name] for name in names]
        skipped = [*skipped, *((entry["name"], entry["reason"]) for entry in entries if "reason" in entry)]
        write_skipped(output, skipped)
    entries = [entry for entry in entries if "crops" in entry]
    if not entries:
        some = checked.some([f"{name} ({reason})" for name, reason in skipped])
        raise ValueError(f"no photo gave a crop; left out: {some}")
    if sheet is not None:
        write_sheet(Path(sheet), root, output, entries, aligner.template)
    crops = [crop["name"] for entry in entries for crop in entry["crops"]]
    folders = len({os.path.dirname(name) for name in crops})
    told = f"{len(crops):,} crops of {len(entries):,} photos in {folders:,} folders, {len(skipped):,} skipped"
    return Summary(told, {"photos": len(entries), "crops": len(crops), "folders": folders}, skipped), crops


def _made(
    aligner: Aligner, names: Sequence[str], found: Sequence[np.ndarray | PhotoError]
) -> list[list[Crop] | PhotoError]:
    """Returns the crops of each photo, or why there are none."""
    good = {name: photo for name, photo in zip(names, found, strict=True) if isinstance(photo, np.ndarray)}
    crops = iter(aligner(list(good), list(good.values())))
    return [photo if isinstance(photo, PhotoError) else next(crops) for photo in found]


def _written(
    journal: Journal, name: str, crops: Sequence[Crop] | PhotoError, base: str, numbered: bool, encoding: str
) -> dict[str, Any]:
    """Writes a photo's crops in place of those of an earlier run, and returns what the journal says of it."""
    for old in journal.entries.get(name, {}).get("crops", ()):
        (journal.folder / old["name"]).unlink(missing_ok=True)
    if isinstance(crops, PhotoError):
        return {"reason": str(crops)}
    facts = []
    for number, crop in enumerate(crops, 1):
        crop_name = f"{base}.{number}.{encoding}" if numbered else f"{base}.{encoding}"
        data = encoded(crop.pixels, encoding)
        try:
            files.write_bytes(journal.folder / crop_name, data)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return {"reason": "a name too long for its crop"}
        facts.append({"name": crop_name, "bytes": len(data), **_facts(crop.face)})
    return {"crops": facts}


def _facts(face: Face | None) -> dict[str, Any]:
    if face is None:
        return {}
    return {"box": face.box.tolist(), "landmarks": face.landmarks.tolist(), "score": face.score}
