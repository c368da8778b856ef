"""A dataset written again without what a list drops, and with the labels that it gives; never in place."""

import os
from collections.abc import Iterator, Sequence

from keras_face.backend import tf
from keras_face.inspection.findings import DROP, LOOK, MOVE, Entry
from keras_face.photos import encoding
from keras_face.photos.files import PhotoError
from keras_face.photos.pixels import for_records, pixels_of
from keras_face.photos.summary import Summary
from keras_face.photos.template import is_drawn
from keras_face.records import writing
from keras_face.records.photos import photo_names


class _Lists:
    """What the entries say of each photo; its own entry counts before its identity's."""

    def __init__(self, entries: Sequence[Entry], info: writing.DatasetInfo):
        self.identities = info.identities
        self.photos: dict[str, Entry] = {}
        self.people: dict[str, Entry] = {}
        known = set(info.identities)
        for entry in entries:
            if entry.suggestion == LOOK:
                continue
            if not entry.name and entry.identity not in known:
                raise ValueError(f"the list names the identity {entry.identity!r}, which {info.path} does not have")
            table, key = (self.photos, entry.name) if entry.name else (self.people, entry.identity)
            before = table.setdefault(key, entry)
            if before.suggestion != entry.suggestion:
                if DROP not in (before.suggestion, entry.suggestion):
                    raise ValueError(
                        f"the lists say both {before.suggestion!r} and {entry.suggestion!r} of {key!r}; keep one"
                    )
                table[key] = before if before.suggestion == DROP else entry
        self.seen: set[str] = set()

    def target(self, name: str, label: int) -> str | int | None:
        """Returns the identity that a photo goes to, the number of its sequence (< 0), or None: it is dropped."""
        entry = self.photos.get(name)
        if entry is not None:
            self.seen.add(name)
        if label < 0:
            own: str | int = label
        elif label < len(self.identities):
            own = self.identities[label]
        elif entry is not None and entry.suggestion == DROP:
            return None
        else:
            raise ValueError(f"{name} has the label {label}, which no identity has; drop it")
        if entry is None and isinstance(own, str):
            return self._settled(own)
        if entry is None:
            return own
        if entry.suggestion == DROP:
            return None
        target = entry.suggestion.removeprefix(MOVE)
        return self._settled(target) if target != own else own

    def _settled(self, identity: str) -> str | None:
        """Returns where an identity itself goes."""
        passed = [identity]
        while (entry := self.people.get(passed[-1])) is not None:
            if entry.suggestion == DROP:
                return None
            following = entry.suggestion.removeprefix(MOVE)
            if following in passed:
                raise ValueError(f"the lists move identities in a circle: {' to '.join([*passed, following])}")
            passed.append(following)
        return passed[-1]


def rewrite(
    path: str | os.PathLike,
    entries: Sequence[Entry],
    output: writing.Output | str | os.PathLike,
    swap_channels: bool = False,
    progress: bool = True,
) -> Summary:
    """Writes a dataset again as the entries say, and returns the summary; the first one stays as it is.

    Photos that are sideways for the training, in records of old, are turned (`pixels.for_records`). Photos of a record
    that go to one identity stay together. Identities without photos vanish; new ones come last.

    Args:
        path: Folder of the dataset.
        entries: What to drop and what to move.
        output: Folder to make.
        swap_channels: Exchange red and blue in all photos, which encodes them again (JPEG of quality 98, or PNG).
        progress: Whether to show a progress bar.

    Raises: ValueError if the entries name photos or identities that the dataset does not have, contradict each other,
        or leave nothing; if a photo to encode again is damaged; see `writing.write_records`.
    """
    writing.check_new(output)
    info = writing.open_dataset(path)
    lists = _Lists(entries, info)
    skipped: list[tuple[str, str]] = []
    present: set[str | int] = set()
    moved = total = 0
    for name, label, num_images in _outline(info):
        targets = [lists.target(photo, label) for photo in photo_names(name, num_images)]
        own = info.identities[label] if 0 <= label < info.num_identities else label
        for photo, target in zip(photo_names(name, num_images), targets, strict=True):
            if target is None:
                entry = lists.photos.get(photo) or lists.people.get(str(own))
                skipped.append((photo, entry.finding if entry is not None else f"identity of {own} dropped"))
        moved += sum(target is not None and target != own for target in targets)
        present |= {target for target in targets if target is not None}
        total += len({target for target in targets if target is not None})
    if unknown := sorted(set(lists.photos) - lists.seen):
        some = ", ".join(unknown[:3])
        raise ValueError(f"the list names {len(unknown)} photos that {info.path} does not have: {some}")
    if not present:
        raise ValueError(f"the list drops every photo of {info.path}")
    old = [identity for identity in info.identities if identity in present]
    new = sorted(str(target) for target in present if not isinstance(target, int) and target not in set(old))
    numbers: dict[str | int, int] = {identity: number for number, identity in enumerate([*old, *new])}
    sequences = sorted((target for target in present if isinstance(target, int)), reverse=True)
    numbers |= {sequence: -1 - number for number, sequence in enumerate(sequences)}
    how = f"{info.path} without {len(skipped)} photos, {moved} given another label"
    written = writing.write_records(
        output,
        _face_sets(info, lists, numbers, swap_channels),
        identities=[*old, *new],
        image_size=info.image_size,
        source=how + (", red and blue exchanged" if swap_channels else "") + f"; which was made of {info.source}",
        template=info.template,
        drawn=is_drawn(info.path),
        skipped=skipped,
        total=total,
        progress=progress,
    )
    counts = {
        "people": written.num_identities,
        "photos": written.num_images,
        "dropped": len(skipped),
        "moved": moved,
    }
    told = (
        f"{written.path}: {written.num_identities:,} people, {written.num_images:,} photos; {len(skipped):,} photos "
        f"dropped, {moved:,} given another label"
    )
    return Summary(told, counts)


def _records(info: writing.DatasetInfo) -> Iterator[tuple[str, int, list[bytes]]]:
    batches = tf.data.TFRecordDataset(info.shards).batch(256).map(writing.parse).prefetch(1)
    try:
        for batch in batches:
            names = [name.decode(errors="surrogateescape") for name in batch["name"].numpy()]
            yield from zip(names, batch["label"].numpy().tolist(), batch["images"].to_list(), strict=True)
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(f"{info.path}: a record is damaged on disk; write the dataset again") from error


def _outline(info: writing.DatasetInfo) -> Iterator[tuple[str, int, int]]:
    for name, label, contents in _records(info):
        yield name, label, len(contents)


def _face_sets(
    info: writing.DatasetInfo, lists: _Lists, numbers: dict[str | int, int], swap_channels: bool
) -> Iterator[writing.FaceSet]:
    for name, label, contents in _records(info):
        photos = photo_names(name, len(contents))
        by_target: dict[str | int, list[tuple[str, bytes]]] = {}
        for photo, content in zip(photos, contents, strict=True):
            target = lists.target(photo, label)
            if target is not None:
                content = _swapped(photo, content) if swap_channels else _upright(content, info.image_size)
                by_target.setdefault(target, []).append((photo, content))
        for target, members in by_target.items():
            whole = len(members) == len(contents)
            joined = name if whole else "|".join(photo for photo, _ in members)
            yield writing.FaceSet([content for _, content in members], numbers[target], joined)


def _upright(content: bytes, image_size: tuple[int, int]) -> bytes:
    """Returns a photo as records of today hold it; as it is, if that would have another size, or it is damaged."""
    try:
        upright = for_records(content)
        return upright if upright is content or pixels_of(upright).shape[:2] == image_size else content
    except PhotoError:
        return content


def _swapped(name: str, content: bytes) -> bytes:
    try:
        pixels = pixels_of(content)
    except PhotoError:
        raise ValueError(f"{name} is damaged, so its red and blue cannot be exchanged; drop it") from None
    png = content.startswith(b"\x89PNG")
    swapped = pixels[..., ::-1]
    return encoding.png(swapped) if png else encoding.jpeg(swapped, encoding.AGAIN)
