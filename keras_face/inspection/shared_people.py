"""People that two datasets share, whatever they are called there: by the angle between their mean embeddings."""

from collections.abc import Sequence

import numpy as np

from keras_face.export import EmbedderLike
from keras_face.inspection.angles import close_pairs, half_angles, same_person_angle, two_nearest, unit
from keras_face.inspection.embeddings import half_sums
from keras_face.inspection.findings import WARNING, Entry, Finding
from keras_face.inspection.people_checks import photos_per_person
from keras_face.inspection.photo_checks import mend
from keras_face.inspection.sources import Photos


def check_shared_people(datasets: Sequence[Photos], embedder: EmbedderLike, progress: bool = False) -> list[Finding]:
    """Returns the people of each dataset that are in a later one too, by their embeddings.

    How near two centres must be to be one person is taken from the datasets: see `angles.same_person_angle`.

    Args:
        datasets: Two or more.
        embedder: What embeds the photos.
        progress: Whether to show progress bars.
    """
    sums = [half_sums(photos, embedder, progress) for photos in datasets]
    centres = [unit(halves.sum(axis=0)) for halves in sums]
    counts = [photos_per_person(photos) for photos in datasets]
    own = np.concatenate([half_angles(halves, count) for halves, count in zip(sums, counts, strict=True)])
    others = [two_nearest(centre[np.any(centre, axis=1)]) for centre in centres]
    limit = same_person_angle(own, np.concatenate(others, axis=1))
    findings = []
    for number, first in enumerate(datasets):
        for later in range(number + 1, len(datasets)):
            pairs, angles = close_pairs(centres[number], centres[later], limit)
            nearest: dict[int, tuple[float, int]] = {}
            for (mine, theirs), away in zip(pairs.tolist(), angles.tolist(), strict=True):
                nearest[mine] = min(nearest.get(mine, (away, theirs)), (away, theirs))
            if not nearest:
                continue
            second = datasets[later]
            found = [
                Entry("", first.identities[mine], f"in {second.name} as {second.identities[theirs]}", away)
                for mine, (away, theirs) in sorted(nearest.items())
            ]
            what = (
                f"{len(found):,} people of {first.name} seem to be in {second.name} too, by their embeddings (mean "
                f"embeddings within {limit:.3f} radians): no honest measurement of the one after training on the other"
            )
            findings.append(Finding(WARNING, "shared-people", what, mend(first), found))
    return findings
