"""Masked twins of the photos of a folder."""

import dataclasses
import os
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from keras_face import files
from keras_face.alignment import templates
from keras_face.alignment.journal import Journal, open_journal
from keras_face.alignment.masked_landmarks import Landmarks, aligned
from keras_face.alignment.masked_sheet import write_sheet
from keras_face.masks import wearing
from keras_face.masks.wardrobe import Mask, Wardrobe, generator
from keras_face.photos import checked
from keras_face.photos.encoding import ENCODINGS, encoded
from keras_face.photos.files import PhotoError
from keras_face.photos.lists import crop_names, list_files
from keras_face.photos.reader import read_photos
from keras_face.photos.summary import Summary, write_skipped
from keras_face.photos.template import recorded

LIST = "masked.csv"
LIST_HEADER = ("original", "masked", "person", "picture", "colour", "pattern", "accent")


def mask_folder(
    source: str | os.PathLike,
    output_dir: str | os.PathLike,
    find_landmarks: Landmarks,
    wardrobe: Wardrobe,
    settings: dict[str, Any],
    seed: int = 0,
    match_light: bool = True,
    match_noise: bool = True,
    blur: float = 0.0,
    encoding: str = "jpg",
    list_file: str | os.PathLike | None = None,
    sheet: str | os.PathLike | None = None,
    progress: bool = True,
) -> Summary:
    """Writes a masked twin of each photo, in the layout that the photos have, and returns the summary.

    A photo gets the same mask wherever it stands in the order. What was left out, and why, is in `skipped.csv`. An
    interrupted run goes on where it was, and a finished one with what is new in the source.

    Args:
        source: A folder of people's folders of photos, or of any depth.
        output_dir: Folder to make or to continue; not in the source.
        find_landmarks: `aligned`, or a `Detected`, `Listed5` or `Listed68`, of `masked_landmarks`.
        wardrobe: The masks to choose from.
        settings: What the landmarks depend on, JSON values: a folder is not continued under other settings.
        seed: Of the choice of masks.
        match_light: Whether a mask takes brightness, shading and colourfulness of the covered face.
        match_noise: Whether a mask gets grain as strong as the photo's.
        blur: Of the mask, standard deviation in pixels, >= 0.
        encoding: Of the twins: "jpg" (quality 95, colours in full) or "png" (lossless).
        list_file: Where the CSV list of originals and twins goes; None: `masked.csv` in the output. Its columns are
            LIST_HEADER: paths from the source and from the output, the first folder of the path, and the mask's names.
        sheet: PNG file to write, originals above masked ones; None: none.
        progress: Whether to show a progress bar.

    Raises: ValueError: There is no photo or no twin, an argument is wrong, or the output was made otherwise or is being
        written; OSError: the output cannot be written.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding must be one of {', '.join(ENCODINGS)}, got {encoding!r}")
    if not 0 <= blur < np.inf:
        raise ValueError(f"blur must be >= 0 pixels, got {blur}")
    root, names, skipped = list_files(source)
    output = Path(output_dir)
    if Path(source).is_dir() and output.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"output_dir must not be in the source, but {output} is in {root}")
    aligned_to = set(recorded(root / parent for parent in {os.path.dirname(name) for name in names}))
    if find_landmarks is aligned:
        _check_aligned(root, aligned_to)

    def masked(name: str, photo: np.ndarray, points: "np.ndarray | PhotoError") -> "tuple[Mask, bytes] | PhotoError":
        if isinstance(points, PhotoError):
            return points
        mask = wardrobe.choose(seed, name)
        noise = generator(seed, name, "noise") if match_noise else None
        twin = wearing.wear(photo, points, *wardrobe.picture(mask), match_light, blur, noise)
        if np.array_equal(twin, photo):
            return PhotoError("the mask lies outside the photo")
        return mask, encoded(twin, encoding)

    how = {
        **settings,
        "mask_pictures": wardrobe.names,
        "masks_digest": wardrobe.digest,
        "seed": seed,
        "light": match_light,
        "noise": match_noise,
    }
    if len(aligned_to) == 1 and None not in aligned_to:
        how["template"] = aligned_to.pop()  # the twins are aligned as the photos are
    bases = crop_names(names)
    with open_journal(output, {**how, "blur": blur, "encoding": encoding}) as journal:
        todo = [name for name in names if not journal.is_done(name, root / name)]
        with tqdm(desc="masking", total=len(todo), unit=" photos", disable=not progress) as bar, ThreadPool() as pool:
            for group, found in read_photos(root, todo):
                good = [index for index, photo in enumerate(found) if not isinstance(photo, PhotoError)]
                jobs_names = [group[index] for index in good]
                jobs_photos = [photo for photo in found if not isinstance(photo, PhotoError)]
                results: list[Any] = list(found)
                jobs = zip(jobs_names, jobs_photos, find_landmarks(jobs_names, jobs_photos), strict=True)
                for index, result in zip(good, pool.starmap(masked, jobs), strict=True):
                    results[index] = result
                for name, result in zip(group, results, strict=True):
                    journal.add(name, root / name, **_written(journal, name, f"{bases[name]}.{encoding}", result))
                bar.update(len(group))
        entries = [journal.entries[name] for name in names]
    skipped = [*skipped, *((entry["name"], entry["reason"]) for entry in entries if "reason" in entry)]
    write_skipped(output, skipped)
    twins = [(entry["name"], entry["crops"][0]) for entry in entries if "crops" in entry]
    if not twins:
        some = checked.some([f"{name} ({reason})" for name, reason in skipped])
        raise ValueError(f"no photo got a mask; left out: {some}")
    rows = [(name, twin["name"], _person(name), *(twin[column] for column in LIST_HEADER[3:])) for name, twin in twins]
    files.write_csv(output / LIST if list_file is None else list_file, LIST_HEADER, rows)
    if sheet is not None:
        write_sheet(Path(sheet), [(root / name, output / twin["name"]) for name, twin in twins])
    counts = {"photos": len(names), "twins": len(twins), "people": len({_person(name) for name, _ in twins})}
    told = (
        f"{len(twins):,} masked twins of {len(names):,} photos, {counts['people']:,} people, {len(skipped):,} skipped"
    )
    return Summary(told, counts, skipped)


def _check_aligned(root: Path, aligned_to: set[str | None]) -> None:
    """Raises ValueError if photos are known to be aligned otherwise than to ArcFace's template."""
    for name in aligned_to & {*templates.names()}:
        if templates.differ(name, "arcface", templates.template(str(name)).image_size):
            raise ValueError(
                f"{root}: expected crops aligned to arcface, where the faces are taken to be, got {name}; "
                "--landmarks detect finds them"
            )


def _person(name: str) -> str:
    return name.split("/")[0] if "/" in name else ""


def _written(journal: Journal, name: str, twin_name: str, result: "tuple[Mask, bytes] | PhotoError") -> dict[str, Any]:
    """Writes a photo's twin, or removes one of an earlier run, and returns what the journal says of it."""
    path = journal.folder / twin_name
    if isinstance(result, PhotoError):
        path.unlink(missing_ok=True)
        return {"reason": str(result)}
    mask, data = result
    files.write_bytes(path, data)
    return {"crops": [{"name": twin_name, "bytes": len(data), **dataclasses.asdict(mask)}]}
