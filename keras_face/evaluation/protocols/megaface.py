"""MegaFace's lists: probes of FaceScrub, distractors, and the noise lists by which InsightFace refines them."""

import os
from collections import Counter

import numpy as np

from keras_face import files
from keras_face.evaluation.protocols.identification import DroppedPhotos, Identification
from keras_face.evaluation.protocols.lines import bad_line, read_lines

_NOISY = ("left out", "replaced")


def read_megaface(
    probe_list: str | os.PathLike,
    distractor_list: str | os.PathLike,
    *,
    probe_noises: str | os.PathLike | None = None,
    distractor_noises: str | os.PathLike | None = None,
    noisy_probes: str = "left out",
) -> Identification:
    """Returns the protocol of MegaFace's challenge 1 from the devkit's lists.

    Each probe is looked up among all distractors and one other photo of the same person, each of these in its turn.
    Noisy distractors, which show people of FaceScrub, are left out: InsightFace moves them out of reach of all probes,
    which comes to the same.

    Args:
        probe_list: `facescrub_features_list.json`, {"path": [...], "id": [...]}.
        distractor_list: `megaface_features_list.json_1000000_1`, {"path": [...]}.
        probe_noises: InsightFace's `facescrub_noises.txt`, file names; None: none is noisy.
        distractor_noises: InsightFace's `megaface_noises.txt`, paths of the distractor list; None: none is noisy.
        noisy_probes: "left out", as probes and as mates; or "replaced", InsightFace's way: `Identification.replaced`
            says whose embeddings give way to their person's.

    Raises: ValueError if a list is no such JSON, has paths twice, or nothing is left; with the line, if a noise list
        has a bad one.
    """
    if noisy_probes not in _NOISY:
        raise ValueError(f"noisy_probes must be one of {', '.join(_NOISY)}, got {noisy_probes!r}")
    probes = _read_list(probe_list, "path", "id")
    distractors = _read_list(distractor_list, "path")
    noisy_names = read_noises(probe_noises) if probe_noises is not None else frozenset()
    noisy_paths = read_noises(distractor_noises) if distractor_noises is not None else frozenset()
    paths, identities = list(probes["path"]), list(probes["id"])
    noisy = [path.rsplit("/", 1)[-1] in noisy_names for path in paths]
    dropped = []
    if probe_noises is not None and noisy_probes == "left out":
        dropped.append(DroppedPhotos("noisy probes", sum(noisy), sum(noisy)))
        paths, identities = _kept(paths, noisy), _kept(identities, noisy)
        noisy = [False] * len(paths)
    photos_of = Counter(identities)
    alone = [photos_of[identity] < 2 for identity in identities]
    if any(alone):
        dropped.append(DroppedPhotos("probes without another photo of the person", sum(alone), sum(alone)))
        paths, identities, noisy = _kept(paths, alone), _kept(identities, alone), _kept(noisy, alone)
    if not paths:
        raise ValueError(f"{probe_list}: expected people with two or more photos, found none")
    noisy_distractor = [path in noisy_paths for path in distractors["path"]]
    if distractor_noises is not None:
        dropped.append(DroppedPhotos("noisy distractors", num_distractors=sum(noisy_distractor)))
    kept = _kept(distractors["path"], noisy_distractor)
    if not kept:
        raise ValueError(f"{distractor_list}: expected distractors, found none")
    refined = [
        name for name, given in (("probes", probe_noises), ("distractors", distractor_noises)) if given is not None
    ]
    how = f"{' and '.join(refined)} refined, noisy probes {noisy_probes}" if refined else "not refined"
    return Identification(
        f"MegaFace challenge 1, {len(kept)} distractors, {how}",
        tuple(paths),
        tuple(identities),
        tuple(paths),
        tuple(identities),
        np.arange(len(paths)),
        distractors=tuple(kept),
        one_mate_at_a_time=True,
        replaced=tuple(path for path, flag in zip(paths, noisy, strict=True) if flag),
        dropped=tuple(dropped),
    )


def read_noises(path: str | os.PathLike) -> frozenset[str]:
    """Returns the entries of a noise list of InsightFace: the line, or what is after its tab; `#` begins a comment.

    Raises: ValueError, with file and line, for a line of more than two fields.
    """
    entries = set()
    for line in read_lines(path):
        if line[1].startswith("#"):
            continue
        fields = [field.strip() for field in line[1].split("\t")]
        if len(fields) > 2 or not fields[-1]:
            raise bad_line(path, line, "`file` or `number<tab>path`")
        entries.add(fields[-1])
    return frozenset(entries)


def _read_list(path: str | os.PathLike, *keys: str) -> dict[str, list[str]]:
    """Returns the lists of strings of a JSON object; they are of one size, and paths come once."""
    content = files.read_json(path, f"JSON, {{{', '.join(keys)}: [...]}}", lambda content: content)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object with {', '.join(keys)}, got a {type(content).__name__}")
    lists = {}
    for key in keys:
        values = content.get(key)
        if not isinstance(values, list) or not values:
            raise ValueError(
                f"{path}: expected a list {key!r} in the JSON object, got {', '.join(map(str, content)) or 'nothing'}"
            )
        for index, value in enumerate(values):
            if not isinstance(value, (str, int)) or isinstance(value, bool) or value == "":
                raise ValueError(f"{path}: expected text in {key!r}, got {value!r} at index {index}")
        lists[key] = [str(value) for value in values]
    sizes = {key: len(values) for key, values in lists.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"{path}: expected lists of one size, got {sizes}")
    twice = [name for name, count in Counter(lists["path"]).items() if count > 1]
    if twice:
        raise ValueError(f"{path}: expected each path once, got {', '.join(twice[:3])} again")
    return lists


def _kept(values: list, dropped: list[bool]) -> list:
    return [value for value, flag in zip(values, dropped, strict=True) if not flag]
