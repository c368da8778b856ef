"""The sheet of what the network will see."""

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_face.augmentation.augmentation import Augmentation
from keras_face.records import writing
from keras_face.records.mixture import mix
from keras_face.records.preview import write_preview

SIZE = (40, 32)


def colour(person: int) -> list[int]:
    return [20 + 60 * person, 200 - 50 * person, 120]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Four people, one photo each: one colour with a white left edge."""
    face_sets = []
    for person in range(4):
        pixels = np.full((*SIZE, 3), colour(person), np.uint8)
        pixels[:, :8] = 255
        encoded = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
        face_sets.append(writing.FaceSet([encoded], person, f"photo {person}.png"))
    path = tmp_path_factory.mktemp("preview") / "faces"
    names = ["Ann", "Bo Ångström", "a very long name " * 9, "D\nE"]
    return writing.write_records(path, face_sets, identities=names, image_size=SIZE, source="test", progress=False)


def cells(sheet: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Returns the crops of a sheet [rows, columns, height, width, 3]: 4 pixels around each."""
    height, width = SIZE
    return np.array(
        [
            [sheet[4 + row * (height + 4) :, 4 + column * (width + 4) :][:height, :width] for column in range(columns)]
            for row in range(rows)
        ]
    )


def test_a_row_is_the_plain_crop_and_then_augmented_ones(dataset, tmp_path):
    path = tmp_path / "sheet.png"
    augmentation = Augmentation(flip=0.5)
    write_preview(path, mix([dataset], [None]), augmentation, SIZE, rows=4, columns=6)
    sheet = np.asarray(Image.open(path))
    found = cells(sheet, 4, 6)
    assert sorted(map(tuple, found[:, 0, 0, -1].tolist())) == sorted(map(tuple, map(colour, range(4))))
    flips = 0
    for plain, *others in found:
        assert (plain[:, :8] == 255).all()
        for other in others:
            flipped = not np.array_equal(other, plain)
            flips += flipped
            np.testing.assert_array_equal(other, plain[:, ::-1] if flipped else plain)
    assert 2 <= flips <= 18
    beside = sheet[:, 6 * (SIZE[1] + 4) + 4 :]
    assert all((beside[4 + row * 44 :][:40] > 150).any() for row in range(4))  # something is written there


def test_a_sheet_of_random_windows_has_the_one_in_the_middle_and_then_others(dataset, tmp_path):
    path = tmp_path / "sheet.png"
    mixture, whole = mix([dataset], [None]), (SIZE[0] + 8, SIZE[1] + 8)
    write_preview(path, mixture, Augmentation(flip=0.0), SIZE, crop_from=whole, rows=4, columns=9)
    edges = (cells(np.asarray(Image.open(path)), 4, 9) == 255).all(axis=-1).sum(axis=3)[:, :, 20]  # white pixels
    assert len(set(edges[:, 0])) == 1
    assert edges.min() < edges[0, 0] < edges.max()


def test_the_same_seed_gives_the_same_sheet_and_another_one_another(dataset, tmp_path):
    pictures = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{number}.png"
        write_preview(
            path,
            mix([dataset], [None]),
            Augmentation(shift=0.2, erase=0.5),
            SIZE,
            rows=2,
            columns=3,
            seed=seed,
        )
        pictures.append(path.read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize("shape", [{"rows": 0}, {"columns": 1}])
def test_an_empty_sheet_is_refused(dataset, tmp_path, shape):
    with pytest.raises(ValueError, match="expected rows >= 1 and columns >= 2"):
        write_preview(tmp_path / "a.png", mix([dataset], [None]), Augmentation(), SIZE, **shape)


@pytest.fixture
def preview(command, monkeypatch, repository):
    monkeypatch.chdir(repository)
    return lambda *arguments: command("tfrecords_tools.preview", *arguments)


def test_the_command_takes_records_with_settings_or_a_configuration(dataset, tmp_path, preview):
    done = preview("--records", dataset.path, "--output", tmp_path / "a.png", "--rows", 3, "--columns", 2,
                   "--set", "augmentation.flip=1")  # fmt: skip
    assert done.returncode == 0, done.stderr
    for plain, flipped in cells(np.asarray(Image.open(tmp_path / "a.png")), 3, 2):
        np.testing.assert_array_equal(flipped, plain[:, ::-1])
    ini = tmp_path / "run.ini"
    ini.write_text(f"[data]\ntrain = faces\nimage_size = 40, 32\n[faces]\nrecords = {dataset.path}\n")
    done = preview("--config", ini, "--set", "augmentation.flip=0", "--output", tmp_path / "b.png", "--rows", 2)
    assert done.returncode == 0, done.stderr
    assert "2 photos of faces" in done.stdout
    for plain, *others in cells(np.asarray(Image.open(tmp_path / "b.png")), 2, 8):
        assert all(np.array_equal(plain, other) for other in others)


def test_a_mistake_is_one_line(dataset, tmp_path, preview):
    done = preview("--records", dataset.path, "--set", "augmentation.blurr=1", "--output", tmp_path / "c.png")
    assert done.returncode == 1
    error = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert "did you mean 'blur'?" in error[0]
    assert not (tmp_path / "c.png").exists()
