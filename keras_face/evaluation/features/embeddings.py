"""Named embeddings: unit vectors and the lengths they had."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from keras_face.evaluation.protocols import Identification
from keras_face.evaluation.short import Short

_SHORTEST = 1e-20  # shorter vectors have no direction in float32
_NUM_NAMED = 3  # names that an error message lists


@dataclass(frozen=True, eq=False, repr=False)
class Features(Short):
    """Embeddings by name; made by `Features.of`, which checks them.

    Attributes:
        names: Of each, a key of a protocol: a path, a track, the number of an IJB template.
        embeddings: float32 [n, embedding_size], unit length.
        norms: float32 [n], length of each vector before; a quality, with networks trained to make it one (MagFace).
        source: Where they come from, for error messages.
    """

    names: tuple[str, ...]
    embeddings: np.ndarray
    norms: np.ndarray
    source: str = "embeddings"

    @classmethod
    def of(
        cls,
        names: Iterable[str],
        vectors: np.ndarray,
        *,
        source: str = "embeddings",
        place: Callable[[int], str] | None = None,
        in_place: bool = False,
    ) -> "Features":
        """Returns the vectors at unit length.

        Args:
            names: Of each vector; a slash at the end is taken off.
            vectors: Numbers [n, embedding_size], of any length but zero.
            source: A file's name.
            place: From the index of a vector to where it is in the source; None: `row 0`, ...
            in_place: Whether float32 vectors may be overwritten, to save the memory of a copy.

        Raises: ValueError, with the place and the name, for a vector that is not finite or is zero, and a name that is
            empty or comes twice; and for names and vectors that are not as many, or none.
        """
        where = place or (lambda index: f"row {index}")
        names = tuple(name.rstrip("/") for name in names)
        if vectors.ndim != 2 or vectors.shape[0] != len(names) or not vectors.size:
            raise ValueError(
                f"{source}: expected a vector for each of {len(names)} names, got an array {vectors.shape}"
            )
        if vectors.dtype.kind not in "fiu":
            raise ValueError(f"{source}: expected vectors of numbers, got {vectors.dtype}")
        lines: dict[str, int] = {}
        for index, name in enumerate(names):
            if not name or lines.setdefault(name, index) != index:
                before = f" ({where(lines[name])} has it)" if name else ""
                raise ValueError(f"{source}, {where(index)}: expected each name once, got {name!r}{before}")
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))  # no copy in float64
        bad = np.flatnonzero(~((norms > _SHORTEST) & (norms < np.finfo(np.float32).max)))
        if bad.size:
            first = int(bad[0])
            wrong = f"norm {norms[first]:g}" if np.isfinite(vectors[first]).all() else "NaN or infinity"
            raise ValueError(
                f"{source}, {where(first)}: expected finite numbers, not all 0, for {names[first]!r}, got {wrong}"
                f"{f'; {bad.size} rows are such' if bad.size > 1 else ''}"
            )
        if in_place and vectors.dtype == np.float32 and vectors.flags.writeable:
            embeddings = vectors
        else:
            embeddings = np.array(vectors, np.float32)
        embeddings /= norms.astype(np.float32)[:, np.newaxis]
        return cls(names, embeddings, norms.astype(np.float32), source)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}

    def rows(self, names: Sequence[str]) -> np.ndarray:
        """Returns int64 [len(names)], the row of each name.

        Raises: ValueError if there is no embedding of a name; says of how many, and names the first.
        """
        missing = [name for name in dict.fromkeys(names) if name not in self._row]
        if missing:
            some = ", ".join(map(repr, missing[:_NUM_NAMED]))
            raise ValueError(
                f"{self.source}: {len(missing)} of {len(set(names))} embeddings are missing, such as {some}"
            )
        return np.fromiter((self._row[name] for name in names), np.int64, len(names))

    def take(self, names: Sequence[str]) -> "Features":
        """Returns the embeddings of these names, in their order.

        Raises: ValueError as `rows`.
        """
        rows = self.rows(names)
        return dataclasses.replace(self, names=tuple(names), embeddings=self.embeddings[rows], norms=self.norms[rows])

    def by_folder(self) -> dict[str, np.ndarray]:
        """Returns the rows, int64, of each folder: of `Name/0/17.jpg` it is `Name/0`, a track of YTF.

        Raises: ValueError if a name has no folder.
        """
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(self.names):
            folder, slash, _ = name.rpartition("/")
            if not slash:
                raise ValueError(f"{self.source}: expected names like `folder/name`, got {name!r}")
            rows.setdefault(folder, []).append(row)
        return {folder: np.array(numbers, np.int64) for folder, numbers in rows.items()}


def replace_noisy(features: Features, identification: Identification) -> Features:
    """Returns the embeddings with those of `identification.replaced` given way to their person's.

    The person's is the unit sum of the unit embeddings of the other, clean probes of the same identity; its norm is the
    mean of theirs. InsightFace refines MegaFace so, but for a noise of at most 0.001 on each number, left out here.

    Raises: ValueError if an embedding is missing, or a person has no clean probe.
    """
    if not identification.replaced:
        return features
    noisy = set(identification.replaced)
    identity = dict(zip(identification.probes, identification.probe_identities, strict=True))
    clean: dict[str, list[str]] = {}
    for name, person in identity.items():
        if name not in noisy:
            clean.setdefault(person, []).append(name)
    embeddings, norms = features.embeddings.copy(), features.norms.copy()
    for name, row in zip(identification.replaced, features.rows(identification.replaced), strict=True):
        if identity[name] not in clean:
            raise ValueError(f"{identification.protocol}: expected a clean probe of {identity[name]}, all are noisy")
        others = features.rows(clean[identity[name]])
        total = features.embeddings[others].sum(axis=0)
        embeddings[row] = total / np.linalg.norm(total)
        norms[row] = features.norms[others].mean()
    return dataclasses.replace(features, embeddings=embeddings, norms=norms)
