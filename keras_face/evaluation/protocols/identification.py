"""Identification: probes looked up in a gallery, with or without distractors."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from keras_face.evaluation.short import Short


@dataclass(frozen=True)
class DroppedPhotos:
    """Photos or face sets that an identification protocol leaves out on purpose, and why."""

    reason: str
    num_probes: int = 0
    num_gallery: int = 0
    num_distractors: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class Identification(Short):
    """Probes and the gallery that they are looked up in.

    It is closed-set if each probe has a mate in the gallery (another entry of the same identity), else open-set.

    Attributes:
        protocol: Name that says which rule was followed.
        probes: Key of each probe: a path relative to the data, or the number of an IJB template.
        probe_identities: Who each probe is.
        gallery: Key of each entry of the gallery.
        gallery_identities: Who each is.
        distractors: Keys of further entries of the gallery, of people who are no probe.
        same_photo: int64 [probes], the entry of the gallery that shows the very photo of the probe and is therefore
            not compared with it; -1: there is none.
        one_mate_at_a_time: Whether each mate is ranked alone among the distractors (MegaFace: the rest of the gallery
            is not there), so that a probe of k mates gives k ranks; else the whole gallery is there at once.
        replaced: Probes whose own embedding gives way to that of the other photos of the same person
            (`features.replace_noisy`), as InsightFace refines MegaFace.
        dropped: What the protocol leaves out.

    Raises: ValueError if the sizes differ, probes or gallery are empty, a key comes twice in either, a distractor is in
        the gallery, or no probe has a mate.
    """

    protocol: str
    probes: tuple[str, ...]
    probe_identities: tuple[str, ...]
    gallery: tuple[str, ...]
    gallery_identities: tuple[str, ...]
    same_photo: np.ndarray
    distractors: tuple[str, ...] = ()
    one_mate_at_a_time: bool = False
    replaced: tuple[str, ...] = ()
    dropped: tuple[DroppedPhotos, ...] = ()

    def __post_init__(self):
        sizes = [len(self.probes), len(self.probe_identities), len(self.same_photo)]
        if len(set(sizes)) > 1 or not sizes[0]:
            raise ValueError(f"{self.protocol}: expected probes, each with its identity and same photo, got {sizes}")
        sizes = [len(self.gallery), len(self.gallery_identities)]
        if len(set(sizes)) > 1 or not sizes[0]:
            raise ValueError(f"{self.protocol}: expected a gallery, each entry with its identity, got {sizes}")
        for name in ("probes", "gallery", "distractors"):
            keys = getattr(self, name)
            if len(set(keys)) < len(keys):
                twice = next(key for key, count in Counter(keys).items() if count > 1)
                raise ValueError(f"{self.protocol}: expected each of the {name} once, got {twice!r} again")
        shared = set(self.gallery).intersection(self.distractors)
        if shared:
            raise ValueError(f"{self.protocol}: expected distractors that are not in the gallery, got {min(shared)!r}")
        last = max(self.same_photo)
        if last >= len(self.gallery):
            raise ValueError(
                f"{self.protocol}: expected same photos among the {len(self.gallery)} of the gallery, or -1, got {last}"
            )
        if not self.mated().any():
            raise ValueError(
                f"{self.protocol}: expected probes with a mate in the gallery, got none of {len(self.probes)}"
            )

    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the identities as numbers, int64 [probes] and int64 [gallery]; equal where they are the same."""
        number: dict[str, int] = {}
        for identity in (*self.gallery_identities, *self.probe_identities):
            number.setdefault(identity, len(number))
        probes, gallery = (
            np.array([number[identity] for identity in identities], np.int64)
            for identities in (self.probe_identities, self.gallery_identities)
        )
        return probes, gallery

    def mated(self) -> np.ndarray:
        """Returns bool [probes], whether the gallery has another entry of the probe's identity."""
        probes, gallery = self.labels()
        mates = np.bincount(gallery, minlength=probes.max() + 1)[probes]
        has_own = self.same_photo >= 0
        own = np.where(has_own, gallery[self.same_photo] == probes, False)
        return mates - own > 0

    @property
    def closed_set(self) -> bool:
        return bool(self.mated().all())

    def distinct_keys(self) -> tuple[str, ...]:
        """Returns every key once: probes, gallery, distractors."""
        return tuple(dict.fromkeys((*self.probes, *self.gallery, *self.distractors)))


def no_same_photo(num_probes: int) -> np.ndarray:
    """Returns int64 [num_probes] of -1: no photo is both a probe and in the gallery."""
    return np.full(num_probes, -1, np.int64)
