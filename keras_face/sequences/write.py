"""Videos become face sets: records for a training, or folders of crops in the layout of YouTube Faces."""

import dataclasses
import itertools
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from keras_face import files
from keras_face.alignment.detector import Detector
from keras_face.photos import checked
from keras_face.photos.summary import Skipped, Summary
from keras_face.records import writing
from keras_face.sequences import outputs, people, tracks, videos
from keras_face.sequences.sheet import save_sheet
from keras_face.sequences.store import StoredTrack, put

IDENTITIES_FROM = ("none", "folders")
_DROPPED = (tracks.SMALL, tracks.UNSURE, tracks.SHORT, tracks.DUPLICATES, tracks.THINNED, tracks.UNDECIDED)


def write_sequences(
    source: str | os.PathLike,
    output: writing.Output | str | os.PathLike,
    settings: tracks.Settings | None = None,
    sampling: videos.Sampling | None = None,
    *,
    identity_list: str | os.PathLike | None = None,
    identities_from: str = "none",
    alone: bool = False,
    as_folders: bool = False,
    sheet: str | os.PathLike | None = None,
    find_faces: tracks.FindFaces | None = None,
    progress: bool = True,
) -> Summary:
    """Writes each track of videos as a face set, and returns the summary.

    Beside the records, or folders, `tracks.csv` says where each track is from, and `skipped.csv` what was not used and
    why. Until the output is complete its photos are in one file beside it.

    Args:
        source: A video file; or a folder, in which every video file and every folder of images is a video.
        output: Folder to make, and how.
        settings: Which faces and tracks are taken; None: the defaults.
        sampling: Which frames are looked at; None: all.
        identity_list: File of `path,identity` lines that says who is in a video, where that is known. The track with
            the largest face has the name, and the tracks of its shot that share no frame with it; those that do are
            unknown people. Those of other shots may show the person or somebody else, and are dropped.
        identities_from: "folders": the folder of the source that a video is in says who is in it; "none": nothing.
        alone: Whether known people are in all shots of their videos, alone or larger than others; nothing is dropped.
        as_folders: Whether to write `person/number/frame.jpg` instead of records, unknown people as `unknown_000001`.
        sheet: PNG file with a row of photos for each track; None: none.
        find_faces: Detector; None: MTCNN.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: The output exists, there is no video, an argument is out of range or contradicts another, the list
            does not fit the source, or there is no track at all.
        OSError: It cannot be written.
    """
    output = output if isinstance(output, writing.Output) else writing.Output(output)
    settings, sampling = settings or tracks.Settings(), sampling or videos.Sampling()
    path = writing.check_new(output)
    if as_folders and (output.num_shards or output.beam_runner or output.beam_options):
        raise ValueError("folders have neither shards nor Beam: expected as_folders or options of records, got both")
    if sheet is not None and not Path(sheet).parent.is_dir():
        raise ValueError(f"expected a folder for the sheet that exists, got {Path(sheet).parent}")
    found, skipped = videos.find(source)
    if sampling.frames_per_second is not None and (folders := [video.name for video in found if video.frames]):
        raise ValueError(f"a folder of frames has no frames a second; give a stride. Folders: {checked.some(folders)}")
    person_of = _people(found, identity_list, identities_from)
    if alone and not person_of:
        raise ValueError("nobody is known to be alone: expected identity_list or identities_from too")
    find_faces = find_faces or Detector(min_face_size=settings.min_face_size)
    counts: Counter[str] = Counter()
    with files.scratch_folder(f"{path}.tracks") as scratch:
        begin = time.perf_counter()
        with (
            open(scratch / "photos", "wb") as store,
            tqdm(desc="following faces", unit=" frames", disable=not progress) as bar,
        ):

            def report(name: str, reason: str) -> None:
                skipped.append((name, reason))

            by_video: dict[str, list[StoredTrack]] = {}
            for number, video in enumerate(found, 1):
                bar.set_postfix_str(f"video {number} of {len(found)}")
                followed = tracks.extract(video, find_faces, settings, sampling, counts, report, bar.update)
                by_video[video.name] = [put(store, video.name, track) for track in followed]
        seconds = time.perf_counter() - begin
        stored, identities = _labelled(by_video, person_of, alone, counts)
        if not stored:
            reasons = checked.some([f"{name} ({reason})" for name, reason in skipped])
            raise ValueError(f"expected at least one track in {source}, got none; left out: {reasons or 'nothing'}")
        if as_folders:
            outputs.write_folders(path, stored, identities, settings.template, skipped, progress)
        else:
            how = f"videos {source}, {_said(sampling)}, {_said(settings)}"
            outputs.write_records(output, stored, identities, settings.template, how, skipped, progress)
        if sheet is not None:
            save_sheet(sheet, stored, identities)
    return _summary(stored, len(found), len(identities), counts, skipped, seconds)


def _summary(
    stored: Sequence[StoredTrack],
    num_videos: int,
    num_identities: int,
    counts: Counter[str],
    skipped: Skipped,
    seconds: float,
) -> Summary:
    """Returns what became of the videos.

    Args:
        stored: The tracks that were written.
        num_videos: Found in the source.
        num_identities: People with a name and a track.
        counts: Frames, faces and tracks on the way, and what was dropped, by the names in `tracks`.
        skipped: Name and reason of each file that was not used, or not to its end.
        seconds: That reading, finding and following took.
    """
    known, photos = sum(track.label >= 0 for track in stored), sum(len(track.frames) for track in stored)
    unknown, looked_at = len(stored) - known, counts[tracks.LOOKED_AT]
    lines = [
        f"{len(stored):,} tracks of {photos:,} photos: {known:,} of {num_identities:,} known people, "
        f"{unknown:,} of unknown ones",
        f"from {num_videos:,} videos, {counts[tracks.FRAMES]:,} frames, of which {looked_at:,} were looked at: "
        f"{counts[tracks.FACES]:,} faces, {counts[tracks.TRACKS]:,} tracks followed, "
        f"{looked_at / max(seconds, 1e-9):.1f} frames/s",
    ]
    lines += [f"{counts[name]:>9,}  {name}: dropped" for name in _DROPPED if counts[name]]
    if skipped:
        lines.append(f"{len(skipped):,} files or videos are in skipped.csv:")
    of_tracks = {"identities": num_identities, "known": known, "unknown": unknown, "photos": photos}
    return Summary("\n".join(lines), {"videos": num_videos, **of_tracks, **counts}, skipped)


def _people(
    found: Sequence[videos.Video], identity_list: str | os.PathLike | None, identities_from: str
) -> dict[str, str]:
    """Returns the person of each video where it is known, by the video's name."""
    if identities_from not in IDENTITIES_FROM:
        raise ValueError(f"identities_from must be one of {', '.join(IDENTITIES_FROM)}, got {identities_from!r}")
    if identity_list is not None:
        if identities_from != "none":
            raise ValueError(f"expected identity_list or identities_from, got {identity_list} and {identities_from!r}")
        return people.from_list(identity_list, found)
    return people.from_folders(found) if identities_from == "folders" else {}


def _labelled(
    by_video: Mapping[str, Sequence[StoredTrack]], person_of: Mapping[str, str], alone: bool, counts: Counter[str]
) -> tuple[list[StoredTrack], list[str]]:
    """Returns the tracks with their labels, and the names of the labels 0, 1, ...: people who have a track."""
    owners: list[tuple[StoredTrack, str | None]] = []
    for video, stored in by_video.items():
        person = person_of.get(video)
        own, undecided = people.of_person(stored, alone) if person is not None else (set(), set())
        counts[tracks.UNDECIDED] += len(undecided)
        decided = [track for track in stored if track.number not in undecided]
        owners += [(track, person if track.number in own else None) for track in decided]
    identities = sorted({person for _, person in owners if person is not None})
    label_of = {person: label for label, person in enumerate(identities)}
    unknown = itertools.count(1)
    labelled = [
        dataclasses.replace(track, label=-next(unknown) if person is None else label_of[person])
        for track, person in owners
    ]
    return labelled, identities


def _said(settings: tracks.Settings | videos.Sampling) -> str:
    """Returns settings as text, but for the template, which a dataset says anyway."""
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return ", ".join(f"{name}: {value}" for name, value in values.items() if name != "template" and value is not None)
