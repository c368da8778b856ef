"""Masked faces looked up among the same people's faces without masks."""

import os
from collections import Counter
from pathlib import Path

import numpy as np

from keras_face.evaluation.protocols.identification import DroppedPhotos, Identification
from keras_face.evaluation.protocols.lines import bad_line, read_columns


def read_masked(path: str | os.PathLike, *, own_original: bool = False) -> Identification:
    """Returns masked probes and their gallery of unmasked originals, from a list that `tfrecords_tools.mask` wrote.

    The list is a CSV file with a header and the columns `original` and `masked`, paths of a photo and of its masked
    twin; others but `person` are not read. The person is the column `person`, or else the first folder of the original.
    Originals are keys of the gallery, from the folder of originals; twins are keys of the probes, from the folder of
    twins. All originals are the gallery; one may have several twins.

    Args:
        path: The list.
        own_original: Whether a probe is compared with its own original, too: an easier task, as both are one photo. If
            not, the probes of people with a single original have no mate, and are left out and counted.

    Raises: ValueError, with file and line, for a line that is not as expected, a twin that comes twice, and an original
        with two people; and if no person has two originals.
    """
    columns = {name: (name,) for name in ("original", "masked", "person")}
    probes: list[tuple[str, str, str]] = []
    person_of: dict[str, str] = {}
    twins: set[str] = set()
    for number, (original, masked, person) in read_columns(path, columns, optional=("person",)):
        line = (number, f"{original},{masked}")
        if not original or not masked or not (person or "/" in original):
            raise bad_line(path, line, "`original,masked`, paths that begin with the person's folder")
        person = person or original.split("/")[0]
        if masked in twins:
            raise bad_line(path, line, "each masked photo once")
        if person_of.setdefault(original, person) != person:
            raise bad_line(path, line, f"one person for each original, not {person_of[original]} and {person}")
        twins.add(masked)
        probes.append((original, masked, person))
    if not probes:
        raise ValueError(f"{path}: expected masked photos, found none")
    num_originals = Counter(person_of.values())
    kept = [probe for probe in probes if own_original or num_originals[probe[2]] > 1]
    if not kept:
        raise ValueError(f"{path}: expected people with two or more originals, got none among {len(num_originals)}")
    entry = {original: index for index, original in enumerate(person_of)}
    own = np.array([-1 if own_original else entry[original] for original, _, _ in kept], np.int64)
    how = "own originals compared too" if own_original else "own originals not compared"
    dropped = () if own_original else (DroppedPhotos("people with a single original", len(probes) - len(kept)),)
    return Identification(
        f"masked to unmasked ({Path(path).name}), {how}",
        tuple(masked for _, masked, _ in kept),
        tuple(person for _, _, person in kept),
        tuple(person_of),
        tuple(person_of.values()),
        own,
        dropped=dropped,
    )
