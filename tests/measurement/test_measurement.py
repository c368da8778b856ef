import pickle

import cv2
import numpy as np
import pytest

from keras_face.evaluation.scores import kfold_accuracy
from keras_face.measurement import GreyPixels, PhotoSource, embed_photos
from keras_face.measurement.tracks import measure_tracks, read_tracks
from keras_face.measurement.verification import measure_pairs, read_task


class Projection:
    """An embedder: a fixed random projection of the pixels; notes how many images it was given."""

    name = "projection"

    def __init__(self, image_size=(8, 8), batch_size=4):
        self.image_size, self.batch_size, self.seen = image_size, batch_size, 0
        self.matrix = np.random.default_rng(5).normal(size=(image_size[0] * image_size[1] * 3, 16))

    def __call__(self, images):
        assert images.dtype == np.uint8
        assert images.shape[1:] == (*self.image_size, 3)
        assert len(images) <= self.batch_size
        self.seen += len(images)
        return self.embed(images)

    def embed(self, images):
        vectors = (images.reshape(len(images), -1) / 255 - 0.5) @ self.matrix
        return unit(vectors).astype(np.float32)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def with_mirror(embedder, images):
    return unit(embedder.embed(images) + embedder.embed(images[:, :, ::-1]))


def pixels(number, size=(8, 8), seed=1):
    return np.random.default_rng(seed).integers(0, 256, (number, *size, 3), np.uint8)


def png(image):
    return cv2.imencode(".png", np.ascontiguousarray(image[:, :, ::-1]))[1].tobytes()


def saved(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(image))
    return path


@pytest.mark.parametrize("kind", ["paths", "text paths", "bytes", "pixels"])
@pytest.mark.parametrize("flip", [True, False])
def test_a_photo_is_embedded_with_its_mirror_image(tmp_path, kind, flip):
    images = pixels(10)
    paths = [saved(tmp_path / f"{i}.png", image) for i, image in enumerate(images)]
    photos = {"paths": paths, "text paths": [str(path) for path in paths], "bytes": [png(i) for i in images]}
    embedder = Projection()
    embeddings = embed_photos(embedder, photos.get(kind, list(images)), flip=flip)
    expected = with_mirror(embedder, images) if flip else embedder.embed(images)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, expected, atol=1e-6)
    assert embedder.seen == 10 * (1 + flip)


def test_photos_are_fitted_to_the_embedder(tmp_path):
    images = pixels(5, (8, 8))
    embedder = Projection(image_size=(8, 6))
    paths = [saved(tmp_path / f"{i}.png", image) for i, image in enumerate(images)]
    # Eight columns to six is the middle ones.
    np.testing.assert_allclose(embed_photos(embedder, paths, flip=False), embedder.embed(images[:, :, 1:7]), atol=1e-6)


def test_missing_photos_are_counted_and_named(tmp_path):
    paths = [saved(tmp_path / "a.png", pixels(1)[0]), *(tmp_path / f"no{i}.png" for i in range(5))]
    with pytest.raises(
        FileNotFoundError, match=r"5 of 6 photos are missing: .*no0\.png, .*no1\.png, .*no2\.png, \.\.\.$"
    ):
        embed_photos(Projection(), paths)


@pytest.mark.parametrize("content", [b"this is no photo", b"", png(pixels(1, (40, 40))[0])[:300]])
@pytest.mark.parametrize("kind", ["files", "bytes"])
def test_a_file_that_is_no_photo_is_named(tmp_path, content, kind):
    photos = [saved(tmp_path / f"{i}.png", image) for i, image in enumerate(pixels(7))]
    photos[5].write_bytes(content)
    name = r"5\.png"
    if kind == "bytes":
        photos, name = [photo.read_bytes() for photo in photos], "packed photo 5"
    with pytest.raises(ValueError, match=f"{name}: (neither JPEG|an empty file|damaged or cut off)"):
        embed_photos(Projection(), photos)


@pytest.mark.parametrize("value", [0, np.nan])
def test_an_embedding_without_a_direction_names_its_photo(tmp_path, value):
    class Broken(Projection):
        def embed(self, images):
            return np.where(images[:, :1, 0, 0] == 255, value, super().embed(images)).astype(np.float32)

    images = np.minimum(pixels(6), 254)
    images[4, 0] = 255
    paths = [saved(tmp_path / f"{i}.png", image) for i, image in enumerate(images)]
    with pytest.raises(ValueError, match=r"4\.png: expected an embedding with a direction"):
        embed_photos(Broken(), paths)


def test_no_photos_at_all_are_refused():
    with pytest.raises(ValueError, match="expected photos"):
        embed_photos(Projection(), [])


def test_grey_pixels_are_the_cosine_of_the_grey_photos():
    images = pixels(2, (5, 4)).astype(np.uint8)
    a, b = (0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2] for image in images.astype(float))
    embeddings = GreyPixels((5, 4))(images)
    assert embeddings[0] @ embeddings[1] == pytest.approx(
        np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)), rel=1e-5
    )


# LFW


def people(folder, num_people=20, noise=40):
    """Writes two photos of each of some people, and pairs of ten folds: one genuine and one impostor pair each."""
    rng = np.random.default_rng(2)
    faces = rng.integers(0, 256, (num_people, 1, 8, 8, 3))
    photos = np.clip(faces + rng.normal(0, noise, (num_people, 2, 8, 8, 3)), 0, 255).astype(np.uint8)
    lines = ["10 1"]
    for fold in range(10):
        lines += [f"P{fold} 1 2", f"P{fold} 1 P{fold + 10} 2"]
    for person in range(num_people):
        for number in range(2):
            # PNG content: the decoder goes by content, and nothing is lost.
            saved(folder / f"P{person}" / f"P{person}_{number + 1:04d}.jpg", photos[person, number])
    (folder / "pairs.txt").write_text("\n".join(lines))
    return photos


def measured(embedder, data, pairs_file=None, *, flip=True):
    """Returns the result of pairs of photos."""
    return measure_pairs(PhotoSource(embedder, flip=flip), read_task(data, pairs_file)).result


def expected_similarity(embed, photos):
    embeddings = embed(photos.reshape(-1, *photos.shape[2:])).reshape(*photos.shape[:2], -1)
    pairs = [(embeddings[fold, 0], embeddings[other, 1]) for fold in range(10) for other in (fold, fold + 10)]
    return np.array([a @ b for a, b in pairs])


@pytest.mark.parametrize("noise", [40, 150])
def test_a_folder_of_photos_is_measured_by_its_pairs(tmp_path, noise):
    photos = people(tmp_path, noise=noise)
    embedder = Projection()
    result = measured(embedder, tmp_path)
    similarity = expected_similarity(lambda images: with_mirror(embedder, images), photos)
    genuine, fold = np.tile([True, False], 10), np.arange(20) // 2
    assert result.accuracy.accuracy == kfold_accuracy(similarity, genuine, fold).accuracy
    assert (result.num_genuine, result.num_impostor, result.flip, result.model) == (10, 10, True, "projection")
    # 10 impostors can show a FAR of 0.1, and no lower one.
    assert [point.tar is None for point in result.tar_at_far] == [False, True, True, True, True, True]
    if noise == 40:
        assert result.accuracy.mean == 1.0
    # P10 ... P19 have a photo in the pairs, P0 ... P9 two; each is embedded once, with its mirror image.
    assert embedder.seen == 2 * 30


def test_without_flip_the_mirror_image_is_left_out(tmp_path):
    photos = people(tmp_path, noise=150)
    embedder = Projection()
    result = measured(embedder, tmp_path, flip=False)
    similarity = expected_similarity(embedder.embed, photos)
    expected = kfold_accuracy(similarity, np.tile([True, False], 10), np.arange(20) // 2)
    np.testing.assert_allclose(result.accuracy.thresholds, expected.thresholds, atol=1e-6)
    assert "no mirror image" in result.photos
    assert embedder.seen == 30


def test_one_photo_everywhere_scores_a_half(tmp_path):
    photos = people(tmp_path)
    for file in tmp_path.rglob("*.jpg"):
        saved(file, photos[0, 0])
    assert measured(Projection(), tmp_path).accuracy.mean == 0.5


def test_packed_pairs_measure_as_the_folder_they_were_packed_from(tmp_path):
    photos = people(tmp_path, noise=150)
    order = [(fold, 0, other, 1) for fold in range(10) for other in (fold, fold + 10)]
    pairs = [[photos[a, i], photos[b, j]] for a, i, b, j in order]
    content = [png(image) for pair in pairs for image in pair], [True, False] * 10
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(content))
    (tmp_path / "lfw.np").write_bytes(pickle.dumps((pairs[0::2], pairs[1::2])))
    folder = measured(Projection(), tmp_path)
    for name in ("lfw.bin", "lfw.np"):
        embedder = Projection()
        packed = measured(embedder, tmp_path / name)
        assert packed.accuracy.accuracy == folder.accuracy.accuracy
        np.testing.assert_allclose(packed.accuracy.thresholds, folder.accuracy.thresholds, atol=1e-6)
        assert packed.protocol.startswith(name)
        assert embedder.seen == 2 * 30


def test_data_that_cannot_be_measured_is_refused(tmp_path):
    people(tmp_path)
    (tmp_path / "lfw.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="expected no pairs file beside packed pairs, got p"):
        measured(Projection(), tmp_path / "lfw.bin", "p")
    with pytest.raises(FileNotFoundError, match="expected a folder of photos"):
        measured(Projection(), tmp_path / "nothing")
    (tmp_path / "P3" / "P3_0002.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 30 photos are missing: .*P3_0002\.jpg$"):
        measured(Projection(), tmp_path)
    (tmp_path / "pairs.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"pairs\.txt"):
        measured(Projection(), tmp_path)


def test_a_real_bin_of_one_polarity_is_refused(real_photos):
    with pytest.raises(ValueError, match="expected genuine and impostor pairs, got 10 and 0"):
        measured(Projection(), real_photos / "fixtures" / "small_lfw.bin")


def test_grey_pixels_recognise_somewhat_on_real_photos(real_photos):
    folder = real_photos / "lfw"
    result = measured(GreyPixels((28, 28)), folder / "aligned112", folder / "protocol" / "pairsDevTest.txt", flip=False)
    assert (result.num_genuine, result.num_impostor) == (500, 500)
    assert 0.6 < result.accuracy.mean < 0.75
    assert result.tar_at_far[1].tar is not None
    assert result.tar_at_far[2].tar is None  # 500 impostors cannot show 1e-3


# YTF


def tracks(folder):
    """Writes tracks of 3 to 5 frames of four people and a splits file; a sixth column corrects one label."""
    rng = np.random.default_rng(4)
    faces = rng.integers(0, 256, (4, 8, 8, 3))
    frames = {}
    for person, name in enumerate("ABCD"):
        for number in range(2):
            images = np.clip(faces[person] + rng.normal(0, 20, (3 + (person + number) % 3, 8, 8, 3)), 0, 255).astype(
                np.uint8
            )
            frames[f"{name}/{number}"] = images
            for index, image in enumerate(images):
                saved(folder / name / str(number) / f"{index}{('.jpg', '.PNG', '.jpeg')[index % 3]}", image)
            (folder / name / str(number) / "notes.txt").write_text("no frame")
    rows = [("A/0", "A/1", 1, 1), ("A/0", "B/0", 0, 0), ("B/0", "B/1", 1, 1), ("B/0", "C/0", 0, 0)]
    rows += [("C/0", "C/1", 1, 1), ("C/1", "D/1", 0, 0), ("D/0", "D/1", 1, 1), ("D/0", "A/1", 0, 0)]
    rows += [("A/1", "B/1", 1, 0), ("C/1", "B/1", 0, 0)]
    lines = [
        f"{i // 2 + 1}, {i}, {a}, {b}, {original}, {corrected}" for i, (a, b, original, corrected) in enumerate(rows)
    ]
    splits = folder / "splits.txt"
    splits.write_text("\n".join(["split, pair, first, second, same, corrected", *lines]))
    return frames, rows, splits


def track_similarity(embed, frames, rows):
    pooled = {track: unit(embed(images).astype(float).mean(0, keepdims=True))[0] for track, images in frames.items()}
    return np.array([pooled[a] @ pooled[b] for a, b, *_ in rows])


def measured_tracks(embedder, folder, splits, error_file=None, *, flip=True, max_frames=0):
    """Returns the results of pairs of tracks: raw, and corrected where that differs."""
    source = PhotoSource(embedder, flip=flip)
    found = measure_tracks(source, read_tracks(splits, error_file), folder, max_frames=max_frames)
    return [each.result for each in found]


def test_tracks_are_compared_by_the_mean_of_their_frames_raw_and_corrected(tmp_path):
    frames, rows, splits = tracks(tmp_path)
    (tmp_path / "ytf-error.txt").write_text("D/1\n")
    embedder = Projection()
    in_raw, in_corrected = measured_tracks(embedder, tmp_path, splits, tmp_path / "ytf-error.txt")
    assert embedder.seen == 2 * sum(map(len, frames.values()))
    similarity = track_similarity(lambda images: with_mirror(embedder, images), frames, rows)
    fold = np.arange(10) // 2
    raw = kfold_accuracy(similarity, np.array([row[2] == 1 for row in rows]), fold)
    np.testing.assert_allclose(in_raw.accuracy.thresholds, raw.thresholds, atol=1e-6)
    assert in_raw.accuracy.accuracy == raw.accuracy
    assert raw.mean < 1
    kept = [i for i, row in enumerate(rows) if "D/1" not in row]
    corrected = kfold_accuracy(similarity[kept], np.array([rows[i][3] == 1 for i in kept]), fold[kept])
    assert in_corrected.accuracy.accuracy == corrected.accuracy == (1.0,) * 5
    assert [(row.num_genuine, row.num_impostor) for row in (in_raw, in_corrected)] == [(5, 5), (3, 5)]
    assert [(dropped.num_genuine, dropped.num_impostor) for dropped in in_corrected.dropped] == [(1, 1)]


def test_frames_of_a_track_are_taken_evenly(tmp_path):
    frames, rows, splits = tracks(tmp_path)
    embedder = Projection()
    result = measured_tracks(embedder, tmp_path, splits, flip=False, max_frames=2)[0]
    assert embedder.seen == 2 * 8
    # Of 3, 4 and 5 frames, those in the middle of the first and of the second half.
    chosen = {3: [0, 2], 4: [1, 3], 5: [1, 3]}
    few = {track: images[chosen[len(images)]] for track, images in frames.items()}
    expected = kfold_accuracy(
        track_similarity(embedder.embed, few, rows), np.array([row[2] == 1 for row in rows]), np.arange(10) // 2
    )
    np.testing.assert_allclose(result.accuracy.thresholds, expected.thresholds, atol=1e-6)
    assert "at most 2 frames" in result.photos


def test_splits_without_corrections_have_one_row(tmp_path):
    _, rows, splits = tracks(tmp_path)
    splits.write_text("\n".join(f"{i // 2 + 1} {i} {a} {b} {same}" for i, (a, b, same, _) in enumerate(rows)))
    assert len(measured_tracks(Projection(), tmp_path, splits)) == 1


def test_tracks_without_frames_are_counted_and_named(tmp_path):
    _, _, splits = tracks(tmp_path)
    for file in (tmp_path / "A" / "1").glob("[0-9]*"):
        file.unlink()
    (tmp_path / "C" / "0").rename(tmp_path / "C" / "7")
    with pytest.raises(FileNotFoundError, match=r"2 of 8 tracks have no frames .* in .*: A/1, C/0$"):
        measured_tracks(Projection(), tmp_path, splits)
