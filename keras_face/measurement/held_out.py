"""The people who were held out of a training, as a test set: their photos are read from the records."""

from collections.abc import Sequence

import numpy as np

from keras_face.evaluation.protocols import held_out_pairs
from keras_face.measurement.verification import Task
from keras_face.records.held_out import HeldOut
from keras_face.records.photos import RecordPhotos


def held_out_task(held_out: Sequence[HeldOut]) -> Task:
    """Returns pairs of the people who are held out, see `evaluation.protocols.held_out_pairs`.

    The keys are the photos' names in their records, after the section's name where there are several datasets. A name
    that two datasets have is one person's, but for numbers, which are others in each.

    Raises: ValueError if there are too few people, or photos of one person, for pairs.
    """
    held_out = [one for one in held_out if len(one.labels)]
    named = len(held_out) > 1
    people: dict[str, list[str]] = {}
    places: dict[str, tuple[RecordPhotos, int]] = {}
    for one in held_out:
        photos = RecordPhotos(one.dataset.path)
        start = f"{one.section}/" if named else ""
        person_of = {
            label: start + name if name.isdecimal() else name
            for label, name in zip(one.labels.tolist(), one.names, strict=True)
        }
        for number in np.flatnonzero(np.isin(photos.labels, one.labels)).tolist():
            key = start + photos.photo_name(number)
            people.setdefault(person_of[int(photos.labels[number])], []).append(key)
            places[key] = photos, number
    data = ", ".join(one.section for one in held_out)
    pairs = held_out_pairs({person: sorted(keys) for person, keys in people.items()}, data)

    def locate(key: str) -> bytes:
        photos, number = places[key]
        return photos.read(number)

    return Task(", ".join(str(one.dataset.path) for one in held_out), pairs, locate)
