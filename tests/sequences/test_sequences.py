"""Videos to face sets: drawn films whose truth is known, real files, broken files, and a real clip."""

import csv
import os
from collections import Counter

import cv2
import numpy as np
import pytest

from keras_face.alignment.detector import Face
from keras_face.alignment.templates import template
from keras_face.backend import tf
from keras_face.photos.template import agreed
from keras_face.records import streams, writing
from keras_face.sequences import sheet, tracks, videos, write
from keras_face.synthetic.face import draw
from keras_face.synthetic.people import person as drawn_person
from keras_face.synthetic.people import track_conditions

WIDTH, HEIGHT, BIT = 320, 240, 8  # of a drawn frame, and of the squares in its first row that say its number
LANDMARKS = template("arcface").landmarks


class Film:
    """A drawn film, and a detector that knows where its faces are: it reads the number of a frame from its first row.

    Args:
        shots: Frames of each shot; a frame is a list of (person, left, top, size).
        unsure: Numbers of the frames whose faces have a score of 0.5.
        missed: Numbers of the frames whose faces are not found.
    """

    def __init__(self, *shots, unsure=(), missed=(), difficulty=0.3):
        self.faces = [faces for shot in shots for faces in shot]
        self.shot_of = [number for number, shot in enumerate(shots) for _ in shot]
        self.unsure, self.missed, self.difficulty = unsure, missed, difficulty
        self.looked_at: list[int] = []

    def draw(self, number: int) -> np.ndarray:
        """Returns a frame: uint8 RGB."""
        coarse = np.random.default_rng(self.shot_of[number]).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        frame = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        for person, left, top, size in self.faces[number]:
            frame[top : top + size, left : left + size] = cv2.resize(
                self.crop(person, number), (size, size), interpolation=cv2.INTER_AREA
            )
        for bit in range(16):
            frame[:BIT, bit * BIT : (bit + 1) * BIT] = 255 * (number >> bit & 1)
        return frame

    def crop(self, person: int, number: int) -> np.ndarray:
        """Returns the aligned photo of a person in a frame."""
        path = track_conditions(1, person, 0, len(self.faces), self.difficulty)
        return draw(drawn_person(1, person), path[number])

    def __call__(self, photos):
        return [self._find(photo) for photo in photos]

    def _find(self, photo: np.ndarray) -> list[Face]:
        number = sum((photo[BIT // 2, bit * BIT + BIT // 2, 0] > 127) << bit for bit in range(16))
        self.looked_at.append(int(number))
        if number in self.missed:
            return []
        score = 0.5 if number in self.unsure else 0.99
        return [
            Face(np.float32([left, top, size, size]), np.float32(LANDMARKS * size / 112 + [left, top]), score)
            for _, left, top, size in self.faces[number]
        ]

    def folder(self, path):
        """Returns the folder after writing the frames into it."""
        path.mkdir(parents=True)
        for number in range(len(self.faces)):
            cv2.imwrite(str(path / f"frame {number}.png"), cv2.cvtColor(self.draw(number), cv2.COLOR_RGB2BGR))
        return path

    def file(self, path, rate=25.0):
        """Returns the file after writing the film into it, as Motion JPEG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (WIDTH, HEIGHT))
        for number in range(len(self.faces)):
            writer.write(cv2.cvtColor(self.draw(number), cv2.COLOR_RGB2BGR))
        writer.release()
        return path


def moving(person: int, frames: int, left=20, top=40, size=90, step=2):
    """Returns a shot of one person who moves to the right."""
    return [[(person, left + step * frame, top, size)] for frame in range(frames)]


@pytest.fixture(scope="module")
def two_people() -> Film:
    """Two people side by side, then after a cut a third alone."""
    first = [[(0, 20 + 2 * frame, 40, 90), (1, 200 - 2 * frame, 120, 80)] for frame in range(14)]
    return Film(first, moving(2, 10))


@pytest.fixture(scope="module")
def movie(two_people, tmp_path_factory):
    return two_people.file(tmp_path_factory.mktemp("movie") / "movie.avi")


def extract(video, film, sampling=None, **settings) -> tuple[list[tracks.Track], Counter, list]:
    counts: Counter[str] = Counter()
    reports: list[tuple[str, str]] = []
    settings = {"min_difference": 0, "min_frames": 1, "max_frames": 0} | settings
    found = list(
        tracks.extract(
            video,
            film,
            tracks.Settings(**settings),
            sampling or videos.Sampling(),
            counts,
            lambda *r: reports.append(r),
        )
    )
    return found, counts, reports


def only_video(source) -> videos.Video:
    (video,) = videos.find(source)[0]
    return video


def decoded(image: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def who(film: Film, track: tracks.Track) -> list[int]:
    """Returns whom each photo of a track shows: the person of the frame whose drawn photo is nearest."""
    people = []
    for number, image in zip(track.frames, track.images, strict=True):
        candidates = [person for person, *_ in film.faces[number]]
        apart = [np.abs(decoded(image) - film.crop(person, number).astype(int)).mean() for person in candidates]
        assert min(apart) < 20  # grey levels: resized, and twice a JPEG; of another person twice as many
        people.append(candidates[int(np.argmin(apart))])
    return people


def read_csv(path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def read_records(path) -> dict[str, tuple[int, list[bytes]]]:
    parsed = writing.parse(list(tf.data.TFRecordDataset(writing.open_dataset(path).shards)))
    columns = zip(parsed["name"].numpy(), parsed["label"].numpy(), parsed["images"].to_list(), strict=True)
    return {name.decode(): (int(label), images) for name, label, images in columns}


def run(source, output, film, settings=None, **options):
    defaults = {"min_frames": 3, "min_difference": 0.0}
    return write.write_sequences(
        source, output, tracks.Settings(**defaults | (settings or {})), find_faces=film, progress=False, **options
    )


# Sources


def test_videos_and_folders_of_frames_are_found_in_natural_order_and_the_rest_is_named(tmp_path):
    for name in (
        "b/2.avi",
        "b/10.AVI",
        "b/notes.txt",
        "Ünï [1]/frame 10.png",
        "Ünï [1]/frame 9.png",
        "a/deep/er/x.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    found, skipped = videos.find(tmp_path)
    assert [(video.name, video.frames) for video in found] == [
        ("a/deep/er", ("x.jpg",)),
        ("b/2.avi", ()),
        ("b/10.AVI", ()),
        ("Ünï [1]", ("frame 9.png", "frame 10.png")),
    ]
    assert skipped == [("b/notes.txt", "neither a video nor a frame, by its extension")]


def test_names_are_ordered_by_their_numbers():
    names = ["x", "1", "01", "a10b2", "a9", "a10b1", "a", "A8", "10", "9", "²", "٣", ""]
    ordered = sorted(names, key=videos.natural)
    for before, after in (("9", "10"), ("A8", "a9"), ("a9", "a10b1"), ("a10b1", "a10b2"), ("a", "A8"), ("01", "1")):
        assert ordered.index(before) < ordered.index(after)


def test_links_are_followed_and_a_loop_of_them_is_named(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.png").write_bytes(b"x")
    (tmp_path / "source" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "source" / "loop").symlink_to(tmp_path / "source")
    found, skipped = videos.find(tmp_path / "source")
    assert [video.name for video in found] == ["linked"]
    assert skipped == [("loop", "the same folder as another, by a link")]


def test_a_source_without_videos_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a video file, or a folder of videos or frames"):
        videos.find(tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match=r"expected videos or folders of frames in .*, got none; 1 other files"):
        videos.find(tmp_path)


@pytest.mark.parametrize(
    "rate, wanted, seconds", [(25.0, 5.0, 4), (30000 / 1001, 1.0, 9), (24.0, 10.0, 5), (10.0, 30.0, 2)]
)
def test_frames_per_second_takes_so_many_of_each_second_evenly(rate, wanted, seconds):
    sampling = videos.Sampling(frames_per_second=wanted)
    taken = np.flatnonzero([sampling.takes(number, rate) for number in range(round(rate * seconds))])
    assert abs(len(taken) - min(wanted, rate) * seconds) <= 1
    assert taken[0] == 0
    assert set(np.diff(taken)) <= {int(np.floor(max(rate / wanted, 1))), int(np.ceil(max(rate / wanted, 1)))}


@pytest.mark.parametrize("arguments", [(0,), (1, 0.0), (1, float("nan")), (2, 5.0)])
def test_samplings_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=r"stride|frames_per_second"):
        videos.Sampling(*arguments)


def test_a_video_file_gives_all_its_frames_in_rgb(two_people, movie):
    frames = list(videos.read(only_video(movie), videos.Sampling(3), lambda *report: pytest.fail(str(report))))
    assert [number for number, _, _ in frames] == list(range(24))
    assert [number for number, _, looked_at in frames if looked_at] == list(range(0, 24, 3))
    for number, frame, _ in frames[::5]:
        assert np.abs(frame.astype(int) - two_people.draw(number)).mean() < 5
        assert np.abs(frame[..., ::-1].astype(int) - two_people.draw(number)).mean() > 20


@pytest.mark.parametrize("percent", range(0, 100, 10))
def test_a_file_that_is_cut_off_gives_what_it_holds_and_is_named(two_people, movie, tmp_path, percent):
    data = movie.read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(data[: len(data) * percent // 100])
    found, counts, reports = extract(only_video(cut), two_people)
    assert counts[tracks.FRAMES] <= 24 * percent / 100 + 1
    assert counts[tracks.FRAMES] >= 24 * percent / 100 - 3
    (name, reason), *more = reports
    assert name == "cut.avi"
    if percent == 0:
        assert reason == "an empty file"
    elif counts[tracks.FRAMES]:
        assert reason == f"damaged or cut off: {counts[tracks.FRAMES]} of 24 frames could be read, and were used"
    assert not more
    assert bool(found) == bool(counts[tracks.FRAMES])


def test_what_is_behind_a_damaged_part_is_used(two_people, movie, tmp_path):
    data = bytearray(movie.read_bytes())
    places = range(data.index(b"movi"), len(data) - 4)
    starts = [place for place in places if data[place : place + 4] == b"00dc"]  # of the frames, then of the index
    data[starts[5] + 8 : starts[8]] = bytes(starts[8] - starts[5] - 8)  # frame 5, and all of 6 and 7
    (tmp_path / "damaged.avi").write_bytes(data)
    before = len(two_people.looked_at)
    _, counts, reports = extract(only_video(tmp_path / "damaged.avi"), two_people)
    read = counts[tracks.FRAMES]
    assert reports == [("damaged.avi", f"damaged or cut off: {read} of 24 frames could be read, and were used")]
    assert {*range(5), *range(8, 24)} <= set(two_people.looked_at[before:])


def test_bytes_that_are_no_video_are_named(tmp_path, two_people):
    random = np.random.default_rng(0)
    for number in range(5):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(random.bytes(20_000))
        assert extract(only_video(path), two_people)[2] == [(path.name, "no video that FFmpeg can read, or damaged")]
    (tmp_path / "gone.avi").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.avi")
    odd = os.fsdecode(b"\xff.avi")
    (tmp_path / odd).write_bytes(b"x")
    for name, reason in (
        ("gone.avi", "cannot be read: No such file or directory"),
        ("pipe.avi", "not a file"),
        (odd, "its path is not UTF-8; rename it"),
    ):
        assert extract(videos.Video(name, tmp_path / name), two_people)[2] == [(name, reason)]


def test_odd_names_are_no_obstacle(two_people, movie, tmp_path):
    for number, name in enumerate(["é %03d [1]\n.avi", "http:/x.avi", "-i; rm *.avi"]):
        path = tmp_path / str(number) / name
        path.parent.mkdir(parents=True)
        path.write_bytes(movie.read_bytes())
    assert not run(tmp_path, tmp_path / "out", two_people).skipped
    assert {name.rpartition("/")[0] for name in read_records(tmp_path / "out")} == {
        "0/é %03d [1]\n.avi", "1/http:/x.avi", "2/-i; rm *.avi"
    }  # fmt: skip


def test_a_frame_that_cannot_be_read_is_named_and_left_out(two_people, tmp_path):
    folder = two_people.folder(tmp_path / "film")
    (folder / "frame 3.png").write_bytes(b"no picture")
    found, counts, reports = extract(only_video(folder), two_people)
    assert [name for name, _ in reports] == ["film/frame 3.png"]
    assert counts[tracks.FRAMES] == 23
    assert sorted(len(track.frames) for track in found) == [10, 13, 13]


# Tracks


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("stride", [1, 2])
def test_each_person_of_each_shot_is_a_track_of_aligned_photos(two_people, movie, tmp_path, kind, stride):
    video = only_video(movie if kind == "file" else two_people.folder(tmp_path / "film"))
    found, counts, reports = extract(video, two_people, videos.Sampling(stride))
    shown = {tuple(who(two_people, track)): tuple(track.frames) for track in found}
    first, second = tuple(range(0, 14, stride)), tuple(range(14, 24, stride))
    assert shown == {(0,) * len(first): first, (1,) * len(first): first, (2,) * len(second): second}
    assert (counts[tracks.FRAMES], counts[tracks.LOOKED_AT], reports) == (24, 24 // stride, [])
    assert counts[tracks.FACES] == sum(len(track.seen) for track in found)
    assert [track.area for track in found] == [
        pytest.approx(len(frames) * size**2) for frames, size in ((first, 90), (first, 80), (second, 90))
    ]


def test_a_cut_between_frames_that_are_left_out_is_seen(tmp_path):
    """One person in one place, and a flash of another shot in frames 5 and 6, of which none is looked at."""
    still = [[(0, 60, 60, 100)]]
    film = Film(still * 5, still * 2, still * 5)
    film.shot_of[7:] = [0] * 5
    found, _, _ = extract(only_video(film.folder(tmp_path / "film")), film, videos.Sampling(4))
    assert sorted(tuple(track.frames) for track in found) == [(0, 4), (8,)]


def test_near_duplicates_are_dropped_and_counted_and_short_tracks_after_that(tmp_path):
    film = Film(moving(0, 12, step=0))
    film.crop = lambda person, number: Film.crop(film, person, number // 4 * 4)  # three different photos
    video = only_video(film.folder(tmp_path / "film"))
    found, counts, _ = extract(video, film, min_difference=1.0)
    assert [list(track.frames) for track in found] == [[0, 4, 8]]
    assert list(found[0].seen) == list(range(12))
    assert counts[tracks.DUPLICATES] == 9
    assert [list(track.frames) for track in extract(video, film, min_difference=0)[0]] == [list(range(12))]
    assert len(extract(video, film, min_difference=1.0, min_frames=3)[0]) == 1
    found, counts, reports = extract(video, film, min_difference=1.0, min_frames=4)
    assert (found, counts[tracks.SHORT]) == ([], 1)
    assert reports == [("film", "no face could be followed for 4 different photos")]


@pytest.mark.parametrize("frames, limit", [(7, 7), (8, 7), (30, 4), (60, 2), (60, 1)])
def test_long_tracks_are_thinned_evenly_to_the_limit(tmp_path, frames, limit):
    film = Film(moving(0, frames, step=1))
    found, counts, _ = extract(only_video(film.folder(tmp_path / "film")), film, max_frames=limit)
    (track,) = found
    assert len(track.frames) == len(track.images) == limit
    assert counts[tracks.THINNED] == frames - limit
    steps = np.diff(track.frames)
    if limit > 1:
        assert track.frames[0] == 0
        assert steps.max() <= 2 * steps.min()
        assert track.frames[-1] >= frames - frames // limit
    assert len(track.seen) == frames


def test_small_and_unsure_faces_are_left_out_and_counted(tmp_path):
    film = Film([[(0, 20, 40, 90), (1, 200, 60, 39)]] * 6, unsure=[4, 5])
    found, counts, _ = extract(only_video(film.folder(tmp_path / "film")), film)
    assert [tuple(track.frames) for track in found] == [(0, 1, 2, 3)]
    assert (counts[tracks.SMALL], counts[tracks.UNSURE], counts[tracks.FACES]) == (6, 2, 12)


def test_frames_in_which_a_face_is_missed_are_bridged(tmp_path):
    film = Film(moving(0, 16), missed=[3, 4, 9, 10, 11, 12])
    video = only_video(film.folder(tmp_path / "film"))
    expected = [[0, 1, 2, 5, 6, 7, 8], [13, 14, 15]]
    assert [list(track.frames) for track in extract(video, film, max_gap=3)[0]] == expected
    assert [list(track.frames) for track in extract(video, film, max_gap=4)[0]] == [expected[0] + expected[1]]


def test_a_film_without_faces_is_named(tmp_path):
    film = Film([[]] * 4)
    assert extract(only_video(film.folder(tmp_path / "film")), film)[2] == [("film", "no face was found")]


@pytest.mark.parametrize(
    "arguments",
    [
        {"min_face_size": 0},
        {"min_score": 1.1},
        {"min_difference": -1},
        {"min_frames": 0},
        {"quality": 0},
        {"max_frames": 4},
        {"max_frames": -1},
        {"max_gap": -1},
        {"min_overlap": 0},
    ],
)
def test_settings_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} must be"):
        tracks.Settings(**arguments)


# Records and folders


@pytest.fixture
def source(two_people, movie, tmp_path):
    """Two films, one a file and one a folder, and what is none."""
    folder = tmp_path / "source"
    (folder / "Anna").mkdir(parents=True)
    (folder / "Anna" / "movie.avi").symlink_to(movie)
    two_people.folder(folder / "Bo" / "frames")
    (folder / "broken.mp4").write_bytes(b"no video")
    (folder / "readme.txt").write_text("x")
    return folder


def test_unknown_people_become_records_with_negative_labels(two_people, source, tmp_path):
    summary = run(source, tmp_path / "out", two_people)
    dataset = writing.open_dataset(tmp_path / "out")
    assert (dataset.num_identities, dataset.num_sequences, dataset.num_records) == (0, 6, 6)
    assert (dataset.num_images, dataset.image_size, dataset.template) == (2 * 38, (112, 112), "arcface")
    names = [f"{video}/{number:05d}" for video in ("Anna/movie.avi", "Bo/frames") for number in (1, 2, 3)]
    written = read_records(tmp_path / "out")
    assert {name: label for name, (label, _) in written.items()} == dict(zip(names, range(-1, -7, -1), strict=True))
    assert [len(written[name][1]) for name in names] == [14, 14, 10] * 2
    assert all(decoded(image).shape == (112, 112, 3) for _, images in written.values() for image in images)
    assert read_csv(tmp_path / "out" / "skipped.csv") == [
        ["readme.txt", "neither a video nor a frame, by its extension"],
        ["broken.mp4", "no video that FFmpeg can read, or damaged"],
    ]
    assert read_csv(tmp_path / "out" / "tracks.csv")[3:5] == [
        ["Bo/frames/00001", "Bo/frames", "1", "", "-4", "0", "13", "14"],
        ["Bo/frames/00002", "Bo/frames", "2", "", "-5", "0", "13", "14"],
    ]
    assert str(summary).startswith(
        "6 tracks of 76 photos: 0 of 0 known people, 6 of unknown ones\n"
        "from 3 videos, 48 frames, of which 48 were looked at: 76 faces, 6 tracks followed, "
    )
    assert sorted(os.listdir(tmp_path)) == ["out", "source"]


def test_of_faces_seen_together_the_largest_is_the_person_of_the_video(two_people, source, tmp_path):
    (tmp_path / "list.csv").write_text("Anna/movie.avi, Zoë\nBo/frames,Anna\n", encoding="utf-8")
    summary = run(source, tmp_path / "out", two_people, identity_list=tmp_path / "list.csv", alone=True)
    assert writing.open_dataset(tmp_path / "out").identities == ("Anna", "Zoë")
    labels = {name: label for name, (label, _) in read_records(tmp_path / "out").items()}
    # The face of 80 pixels is beside that of 90; the third track has the frames after the cut for itself.
    assert [labels[f"Anna/movie.avi/{number:05d}"] for number in (1, 2, 3)] == [1, -1, 1]
    assert [labels[f"Bo/frames/{number:05d}"] for number in (1, 2, 3)] == [0, -2, 0]
    assert (summary.counts["known"], summary.counts["unknown"], summary.counts["identities"]) == (4, 2, 2)


def test_other_shots_of_a_known_persons_video_are_dropped_unless_it_is_alone(tmp_path):
    """Two people whose tracks break in two where their faces are missed; then a shot of somebody else."""
    film = Film([[(0, 20, 40, 90), (1, 200, 120, 60)]] * 20, moving(2, 8), missed=range(5, 10))
    path = film.folder(tmp_path / "films" / "film").parent
    (tmp_path / "list.csv").write_text("film,Anna\n")
    for alone, expected in ((False, [0, -1, 0, -2]), (True, [0, -1, 0, -2, 0])):
        output = tmp_path / f"out {alone}"
        summary = run(path, output, film, identity_list=tmp_path / "list.csv", alone=alone)
        assert [label for _, (label, _) in sorted(read_records(output).items())] == expected
        assert summary.counts[tracks.UNDECIDED] == 5 - len(expected)
        assert ("1  tracks in other shots of a known person's video: dropped" in str(summary)) != alone


def test_the_folder_says_who_is_in_a_video_when_asked(two_people, source, tmp_path):
    run(source, tmp_path / "out", two_people, identities_from="folders")
    assert writing.open_dataset(tmp_path / "out").identities == ("Anna", "Bo")


def test_a_known_person_without_a_track_is_no_identity(two_people, source, tmp_path):
    (tmp_path / "list.csv").write_text("broken.mp4,Ghost\nBo/frames,Bo\n")
    run(source, tmp_path / "out", two_people, identity_list=tmp_path / "list.csv")
    assert writing.open_dataset(tmp_path / "out").identities == ("Bo",)


def test_tracks_become_folders_in_the_layout_of_ytf(two_people, source, tmp_path):
    (tmp_path / "list.csv").write_text("Bo/frames,Bo Brown\n")
    options = {
        "identity_list": tmp_path / "list.csv",
        "alone": True,
        "as_folders": True,
        "sheet": tmp_path / "sheet.png",
    }
    run(source, tmp_path / "out", two_people, {"template": template("arcface112x96"), "max_frames": 5}, **options)
    made = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").glob("*/*"))
    assert made == ["Bo Brown/0", "Bo Brown/1", *(f"unknown_{number:06d}/0" for number in range(1, 5))]
    frames = sorted((tmp_path / "out" / "Bo Brown" / "1").iterdir())
    assert [path.name for path in frames] == ["000014.jpg", "000016.jpg", "000018.jpg", "000021.jpg", "000023.jpg"]
    assert cv2.imread(str(frames[0])).shape == (112, 96, 3)
    assert agreed([frames[0].parent]) == "arcface112x96"
    assert len(read_csv(tmp_path / "out" / "skipped.csv")) == 2
    assert [row[0] for row in read_csv(tmp_path / "out" / "tracks.csv")] == [
        "unknown_000001/0", "unknown_000002/0", "unknown_000003/0", "Bo Brown/0", "unknown_000004/0", "Bo Brown/1",
    ]  # fmt: skip
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] == 5 * 96
    assert sorted(os.listdir(tmp_path)) == ["list.csv", "out", "sheet.png", "source"]


def test_a_sheet_has_a_row_for_each_track_and_says_what_it_leaves_out(two_people, source, tmp_path, monkeypatch):
    heights = []
    for rows in (100, 2):
        monkeypatch.setattr(sheet, "MAX_ROWS", rows)
        run(source, tmp_path / f"out{rows}", two_people, sheet=tmp_path / "sheet.png")
        heights.append(cv2.imread(str(tmp_path / "sheet.png")).shape[0])
    line = 18
    assert heights == [6 * (112 + line), 2 * (112 + line) + line]


def test_records_of_tracks_alone_mix_with_a_dataset_of_identities(two_people, source, tmp_path):
    run(source, tmp_path / "tracks", two_people)
    photos = [cv2.imencode(".jpg", two_people.crop(person, 0))[1].tobytes() for person in range(3)]
    sets = [writing.FaceSet([photo], label, f"photo {label}") for label, photo in enumerate(photos)]
    people = writing.write_records(
        tmp_path / "people", sets, identities=["a", "b", "c"], image_size=(112, 112), source="test"
    )
    alone = writing.open_dataset(tmp_path / "tracks")
    for order in ((people, alone), (alone, people)):
        mixture = streams.mix(order, [1.0, 1.0])
        assert (mixture.num_identities, mixture.num_sequences) == (3, 6)
        batches = streams.train_stream(mixture, batch_size=96, seed=1, image_size=(112, 112)).take(1)
        labels = np.concatenate([batch["labels"].numpy() for batch in batches])
        assert set(labels) == {-6, -5, -4, -3, -2, -1, 0, 1, 2}
        assert abs(np.mean(labels < 0) - 0.5) < 0.05
    (batch,) = streams.train_stream(
        streams.mix([alone], [None], balance=True), batch_size=24, seed=1, image_size=(112, 112), images_per_set=4
    ).take(1)
    assert (np.reshape(batch["labels"], (6, 4)) == np.reshape(batch["labels"], (6, 4))[:, :1]).all()


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "expected lines `path,identity`, got none"),
        ("Bo/frames\n", "list.csv:1: expected `path,identity`, got 'Bo/frames'"),
        ("\nBo/frames,\n", "list.csv:2: expected `path,identity`"),
        ("Bo/frames,../x\n", "expected a name that a folder can have, got '../x'"),
        ("Bo/frames,a\n./Bo/frames,b\n", "list.csv:2: expected each video once"),
        ("Bo/frames,a\nCarl,b\n", "1 videos are not in the source: Carl"),
    ],
)
def test_a_list_that_does_not_fit_is_refused_with_the_line(two_people, source, tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=r"list\.csv") as error:
        run(source, tmp_path / "out", two_people, identity_list=tmp_path / "list.csv")
    assert message in str(error.value)
    assert sorted(os.listdir(tmp_path)) == ["list.csv", "source"]


def test_options_that_contradict_each_other_are_refused_before_any_work(two_people, source, tmp_path):
    def refused(message, output="out", **options):
        with pytest.raises(ValueError, match=message):
            run(source, tmp_path / output if isinstance(output, str) else output, two_people, **options)

    looked_at = len(two_people.looked_at)
    refused("a folder of frames has no frames a second.*Bo/frames", sampling=videos.Sampling(frames_per_second=2))
    refused(
        "expected as_folders or options of records", writing.Output(tmp_path / "out", num_shards=2), as_folders=True
    )
    refused("expected identity_list or identities_from", identity_list="list.csv", identities_from="folders")
    refused("nobody is known to be alone", alone=True)
    refused("identities_from must be one of none, folders", identities_from="names")
    refused("expected a folder for the sheet", sheet=tmp_path / "nowhere" / "sheet.png")
    refused("output_dir must not exist yet", "source")
    assert len(two_people.looked_at) == looked_at
    assert os.listdir(tmp_path) == ["source"]


def test_without_any_track_nothing_is_left_but_the_reasons(two_people, tmp_path):
    (tmp_path / "a.avi").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"got none; left out: a.avi \(no video that FFmpeg can read, or damaged\)"):
        run(tmp_path / "a.avi", tmp_path / "new" / "out", two_people)
    assert [path.name for path in (tmp_path / "new").iterdir()] == []


def test_an_unknown_person_cannot_have_the_name_of_a_known_one(two_people, movie, tmp_path):
    (tmp_path / "list.csv").write_text("movie.avi,unknown_000001\n")
    with pytest.raises(ValueError, match="both a known person and the name of an unknown one"):
        run(movie, tmp_path / "out", two_people, identity_list=tmp_path / "list.csv", as_folders=True)
    assert os.listdir(tmp_path) == ["list.csv"]


# A real clip, with the real detector


def test_tracks_of_a_real_clip_show_one_person_each(real_photos, command, monkeypatch, tmp_path):
    """Three cuts: a singer; a man in profile; the singer; the audience, four of them in sight."""
    clip = real_photos / "fixtures" / "video" / "short_hamilton_clip.mp4"
    flags = ["--output_dir=out", "--frames_per_second=3", "--min_frames=2", "--min_difference=0", "--as_folders"]
    monkeypatch.chdir(tmp_path)
    done = command("tfrecords_tools.write_sequences", f"--source={clip}", *flags)
    assert done.returncode == 0, done.stderr
    assert "from 1 videos, 275 frames, of which 28 were looked at" in done.stdout
    rows = [(int(first), int(last)) for *_, first, last, _ in read_csv(tmp_path / "out" / "tracks.csv")]
    cuts = [20, 82, 211, 275]
    assert all(np.searchsorted(cuts, first, "right") == np.searchsorted(cuts, last, "right") for first, last in rows)
    assert sum(first >= 211 for first, _ in rows) >= 3
    assert any(82 <= first < 211 for first, _ in rows)
