import logging
import os
import pickle

import cv2
import numpy as np
import pytest

from keras_face.alignment.templates import template
from keras_face.alignment.transform import align
from keras_face.backend import keras
from keras_face.evaluation.features import Features, write_features, write_scores
from keras_face.evaluation.pooling import Pooling
from keras_face.evaluation.protocols import Pairs, read_pairs
from keras_face.evaluation.scores import kfold_accuracy, mean_subtracted
from keras_face.export import ServedModel, export_model, load_embedder, write_thresholds
from keras_face.measurement import FeatureSource, GreyPixels, PhotoSource, embed_photos
from keras_face.measurement.cache import EmbeddingCache
from keras_face.measurement.embedders import model_hash
from keras_face.measurement.photos import LooseCrop, content_hash, embed
from keras_face.measurement.pooling import PoolingRule, qualities_of, read_qualities
from keras_face.measurement.tracks import measure_again, measure_tracks, read_tracks
from keras_face.measurement.verification import Task, measure_pairs, measure_scores, named_task, read_task, save_plots


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def saved(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[:, :, ::-1])
    return path


def pixels(number, size=(8, 8), seed=1):
    return np.random.default_rng(seed).integers(0, 256, (number, *size, 3), np.uint8)


def network(seed):
    keras.utils.set_random_seed(seed)
    photo = keras.Input((8, 8, 3))
    return ServedModel(
        keras.Model(photo, keras.layers.Dense(16, use_bias=False)(keras.layers.Flatten()(photo))), batch_size=4
    )


@pytest.fixture(scope="module")
def served():
    return network(3)


@pytest.fixture(scope="module")
def model_path(served, tmp_path_factory):
    return export_model(served, tmp_path_factory.mktemp("model"), 7, {})


@pytest.fixture
def photos(tmp_path):
    return [saved(tmp_path / "photos" / f"{number}.png", image) for number, image in enumerate(pixels(10))]


def measured_pairs(number=10, folds=5):
    """Returns pairs of photos 0 ... 9: neighbours are genuine, the others impostor."""
    left = tuple(f"{index}.png" for index in range(number))
    right = tuple(f"{(index ^ 1) if index % 4 < 2 else (index + 3) % number}.png" for index in range(number))
    genuine = np.arange(number) % 4 < 2
    return Pairs("drawn pairs", left, right, genuine, np.arange(number) * folds // number)


# Photos


def test_a_flip_keeps_the_direction_of_the_sum_and_the_mean_of_the_norms(served, photos):
    images = pixels(10)
    vectors = [np.array([served.module.embed(np.stack([image[:, ::-1] if flip else image]))["embedding"][0]
                         for image in images]) for flip in (False, True)]  # fmt: skip
    norms = [[float(served.module.embed(np.stack([image[:, ::-1] if flip else image]))["norm"][0]) for image in images]
             for flip in (False, True)]  # fmt: skip
    found = embed(served, photos)
    np.testing.assert_allclose(found.embeddings, unit(vectors[0] + vectors[1]), atol=1e-6)
    np.testing.assert_allclose(found.norms, np.mean(norms, axis=0), rtol=1e-5)


def test_photos_that_tensorflow_does_not_decode_are_read_alike(photos, tmp_path):
    images = pixels(10)
    others = [saved(tmp_path / "others" / f"{number}.{suffix}", image)
              for number, (image, suffix) in enumerate(zip(images, 5 * ["bmp", "tiff"], strict=True))]  # fmt: skip
    embedder = GreyPixels((8, 8))
    np.testing.assert_array_equal(embed_photos(embedder, others), embed_photos(embedder, photos))
    mixed = [*photos[:5], *others[5:]]
    np.testing.assert_array_equal(embed_photos(embedder, mixed), embed_photos(embedder, photos))


def test_a_damaged_photo_among_others_is_named(photos, tmp_path):
    others = [saved(tmp_path / f"{number}.bmp", image) for number, image in enumerate(pixels(6))]
    others[4].write_bytes(b"BM" + bytes(60))
    with pytest.raises(ValueError, match=r"4\.bmp: "):
        embed_photos(GreyPixels((8, 8)), others)
    with pytest.raises(FileNotFoundError, match=r"1 of 11 photos are missing: .*none\.png$"):
        content_hash([*photos, tmp_path / "none.png"])


def test_loose_crops_are_aligned_by_their_landmarks(tmp_path):
    whole = cv2.resize(pixels(1, (12, 12))[0], (160, 160), interpolation=cv2.INTER_CUBIC)
    path = saved(tmp_path / "loose.png", whole)
    face = template("arcface")
    points = face.landmarks * 0.9 + (20, 15)
    crop = LooseCrop(path, tuple(map(tuple, points.tolist())), face)
    embedder = GreyPixels((112, 112))
    expected = embedder(align(whole, points, face)[np.newaxis])
    np.testing.assert_allclose(embed_photos(embedder, [crop], flip=False), expected, atol=1e-6)
    moved = LooseCrop(path, tuple(map(tuple, (points + 1).tolist())), face)
    narrow = LooseCrop(path, crop.landmarks, template("arcface112x96"))
    assert len({content_hash([each]) for each in (crop, moved, narrow, path)}) == 4


def test_the_hash_of_photos_is_of_their_content_and_order(photos, tmp_path):
    copies = [photo.rename(tmp_path / f"renamed{photo.name}") for photo in photos]
    assert content_hash(copies) == content_hash([copy.read_bytes() for copy in copies])
    assert content_hash(copies[::-1]) != content_hash(copies)
    assert content_hash(copies[:-1]) != content_hash(copies)
    images = pixels(3)
    assert content_hash(list(images)) != content_hash([images[0], images[1], images[2] ^ 1])


# The cache


class Counted:
    """Counts the photos that reach a model."""

    def __init__(self, source):
        self.seen = 0
        signature = source.embedder.signature
        object.__setattr__(source.embedder, "signature", lambda images: self._called(signature, images))

    def _called(self, signature, images):
        self.seen += len(images)
        return signature(images=images)


def cached(model_path, folder, **settings):
    source = PhotoSource(load_embedder(model_path, 4), cache=EmbeddingCache(folder), **settings)
    return source, Counted(source)


def keys_of(photos):
    return [photo.name for photo in photos], lambda key: photos[0].parent / key


def test_embeddings_are_found_again_by_content_and_never_by_name(model_path, photos, tmp_path):
    folder = tmp_path / "cache"
    source, first = cached(model_path, folder)
    before = source(*keys_of(photos))
    assert first.seen == 20
    renamed = [photo.rename(photo.with_name(f"x{photo.name}")) for photo in photos]
    source, again = cached(model_path, folder)
    after = source(*keys_of(renamed))
    assert again.seen == 0
    np.testing.assert_array_equal(after.features.embeddings, before.features.embeddings)
    np.testing.assert_array_equal(after.features.norms, before.features.norms)
    assert after.data_hash == before.data_hash
    assert after.features.names == tuple(photo.name for photo in renamed)
    # Another photo under a known name.
    saved(renamed[3], pixels(1, seed=9)[0])
    changed = source(*keys_of(renamed))
    assert again.seen == 20
    assert changed.data_hash != before.data_hash
    assert np.abs(changed.features.embeddings - before.features.embeddings).max(axis=1).astype(bool).tolist() == [
        number == 3 for number in range(10)
    ]


def test_another_model_flip_or_size_has_another_entry(model_path, photos, tmp_path):
    folder = tmp_path / "cache"
    cached(model_path, folder)[0](*keys_of(photos))
    source, without = cached(model_path, folder, flip=False)
    source(*keys_of(photos))
    assert without.seen == 10
    # The same folder name, other weights.
    other = tmp_path / "other" / "7"
    export_model(network(4), tmp_path / "other", 7, {})
    source, others = cached(other, folder)
    source(*keys_of(photos))
    assert others.seen == 20
    assert len(os.listdir(folder)) == 3
    cache = EmbeddingCache(folder)
    assert len({cache.key("m", "d", flip, size) for flip in (True, False) for size in ((8, 8), (8, 9))}) == 4


def test_thresholds_and_versions_of_a_model_are_not_its_content(tmp_path):
    model = export_model(network(5), tmp_path, 1, {"template": "arcface"})
    before = model_hash(load_embedder(model))
    write_thresholds(model, {"LFW": {"best_accuracy": 0.3}})
    embedder = load_embedder(model)
    assert model_hash(embedder) == before
    assert embedder.facts["thresholds"] == {"LFW": {"best_accuracy": 0.3}}
    # The graph is written with other names each time.
    again = load_embedder(export_model(network(5), tmp_path, 2, {"template": "arcface", "loss": "cosface"}))
    assert model_hash(again) == before
    for other, name in ((network(6), "arcface"), (network(5), "mtcnn")):
        assert model_hash(load_embedder(export_model(other, tmp_path, 3, {"template": name}))) != before
    [weights] = (model / "variables").glob("*.data*")
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    with pytest.raises(ValueError, match="expected a whole SavedModel"):
        load_embedder(model)
    assert model_hash(GreyPixels()) is None


@pytest.mark.parametrize("damage", ["cut", "flipped bits", "text", "another entry", "another shape"])
def test_a_damaged_entry_is_computed_again(model_path, photos, tmp_path, damage, caplog):
    folder = tmp_path / "cache"
    source, _ = cached(model_path, folder)
    before = source(*keys_of(photos))
    [entry] = folder.iterdir()
    content = bytearray(entry.read_bytes())
    if damage == "cut":
        entry.write_bytes(content[: len(content) // 2])
    elif damage == "text":
        entry.write_text("embeddings")
    elif damage == "flipped bits":
        arrays = dict(np.load(entry))
        arrays["embeddings"][2, 3] += 1e-3
        np.savez(entry, **arrays)
    elif damage == "another entry":
        source(*keys_of(photos[:-1]))
        [other] = set(folder.iterdir()) - {entry}
        other.rename(entry)
    else:
        np.savez(entry, embeddings=np.zeros((3, 16), np.float32), norms=np.zeros(3, np.float32), checksum="")
    again, counted = cached(model_path, folder)
    with caplog.at_level(logging.WARNING, "keras_face"):
        after = again(*keys_of(photos))
    assert counted.seen == 20
    assert "computing again" in caplog.text
    np.testing.assert_array_equal(after.features.embeddings, before.features.embeddings)
    assert EmbeddingCache(folder).get(entry.stem, 10) is not None  # mended


def test_only_exported_models_are_cached(photos, tmp_path):
    source = PhotoSource(GreyPixels((8, 8)), cache=EmbeddingCache(tmp_path / "cache"))
    source(*keys_of(photos))
    assert not (tmp_path / "cache").exists()


# Features and similarities


def test_features_measure_as_the_photos_they_are_of(model_path, photos, tmp_path):
    pairs = measured_pairs()
    task = Task("photos", pairs, lambda key: photos[0].parent / key)
    source = PhotoSource(load_embedder(model_path))
    by_photos = measure_pairs(source, task).result
    features = source(*keys_of(photos)).features
    write_features(tmp_path / "features.npz", features)
    by_features = measure_pairs(FeatureSource(features), task).result
    assert by_features.accuracy.accuracy == by_photos.accuracy.accuracy
    assert by_features.auc == by_photos.auc
    assert (by_features.model_hash, by_features.flip) == (None, None)
    assert by_photos.model_hash == model_hash(source.embedder)
    assert by_photos.data_hash == content_hash([photos[0].parent / key for key in pairs.distinct_keys()])
    assert by_features.data_hash != by_photos.data_hash
    assert by_features.photos == "embeddings as given"


def test_features_that_lack_a_photo_are_refused():
    features = Features.of([f"{number}.png" for number in range(8)], np.eye(8), source="some.npz")
    with pytest.raises(ValueError, match=r"some\.npz: 2 of 10 embeddings are missing, such as '9\.png', '8\.png'"):
        measure_pairs(FeatureSource(features), Task("x", measured_pairs(), lambda key: key))


def test_the_mean_of_the_other_folds_is_taken_off_raw_embeddings():
    random = np.random.default_rng(0)
    vectors = random.normal(2, 1, (10, 4)) * random.uniform(1, 9, (10, 1))
    features = Features.of([f"{number}.png" for number in range(10)], vectors)
    pairs = measured_pairs()
    sides = [vectors[[int(key[0]) for key in side]] for side in (pairs.left, pairs.right)]
    expected = kfold_accuracy(mean_subtracted(*sides, pairs.fold), pairs.genuine, pairs.fold)
    task = Task("x", pairs, lambda key: key)
    result = measure_pairs(FeatureSource(features), task, subtract_mean=True).result
    np.testing.assert_allclose(result.accuracy.thresholds, expected.thresholds, atol=1e-5)
    assert result.auc == measure_pairs(FeatureSource(features), task).result.auc
    assert "mean of the other folds taken off" in result.photos


def test_similarities_measure_as_they_were_written(tmp_path):
    random = np.random.default_rng(1)
    pairs = measured_pairs(40, 4)
    similarity = random.normal(pairs.genuine * 0.5, 0.3)
    write_scores(tmp_path / "scores.csv", pairs, similarity)
    alone, of_pairs = measure_scores(tmp_path / "scores.csv"), measure_scores(tmp_path / "scores.csv", pairs)
    assert alone.result.accuracy == of_pairs.result.accuracy == kfold_accuracy(similarity, pairs.genuine, pairs.fold)
    assert of_pairs.result.protocol == "drawn pairs"
    assert "folds of the file" in alone.result.protocol
    lines = [f"{1 - value} {int(same)}" for value, same in zip(similarity, pairs.genuine, strict=True)]
    (tmp_path / "distances.txt").write_text("\n".join(lines))
    distances = measure_scores(tmp_path / "distances.txt", pairs, distances=True)
    assert distances.result.accuracy.accuracy == alone.result.accuracy.accuracy
    assert "the sign changed" in distances.result.photos


def test_similarities_of_other_pairs_are_refused(tmp_path):
    pairs = measured_pairs(40, 4)
    write_scores(tmp_path / "scores.csv", pairs, np.linspace(0, 1, 40))
    fewer = Pairs("fewer", pairs.left[:20], pairs.right[:20], pairs.genuine[:20], pairs.fold[:20])
    with pytest.raises(ValueError, match=r"scores\.csv: expected the 20 pairs of fewer in their order, got 40"):
        measure_scores(tmp_path / "scores.csv", fewer)
    renamed = Pairs("renamed", (*pairs.left[:7], "other", *pairs.left[8:]), pairs.right, pairs.genuine, pairs.fold)
    with pytest.raises(ValueError, match=r"pair 7 is of 7\.png instead of other"):
        measure_scores(tmp_path / "scores.csv", renamed)


def test_a_task_needs_photos_or_pairs(tmp_path, photos):
    with pytest.raises(ValueError, match="expected a pairs file where there are no photos"):
        read_task(None)
    (tmp_path / "pairs.txt").write_text("\n".join(f"{i % 2},{i}.png,{(i * 3) % 10}.png" for i in range(20)))
    task = read_task(None, tmp_path / "pairs.txt")
    np.testing.assert_array_equal(task.pairs.genuine, read_pairs(tmp_path / "pairs.txt").genuine)
    with pytest.raises(ValueError, match=r"3\.png: there are no photos"):
        task.locate("3.png")


def test_keys_of_packed_sets_begin_with_their_name(tmp_path):
    images = [cv2.imencode(".png", image)[1].tobytes() for image in pixels(40)]
    (tmp_path / "a.bin").write_bytes(pickle.dumps((images, [True, False] * 10)))
    task = named_task(read_task(tmp_path / "a.bin"))
    assert task.pairs.left[:3] == ("a/0", "a/2", "a/4")
    assert task.locate("a/5") == images[5]


def test_plots_are_written_with_and_without_folds(tmp_path):
    random = np.random.default_rng(1)
    for name, folds in (("folds", 4), ("whole", 1)):
        pairs = measured_pairs(40, folds)
        write_scores(tmp_path / "scores.csv", pairs, random.normal(pairs.genuine * 0.5, 0.3))
        measured = measure_scores(tmp_path / "scores.csv", pairs)
        save_plots(measured, tmp_path / "plots", name)
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {
        f"{name}_{kind}.png" for name in ("folds", "whole") for kind in ("roc", "histogram")
    }


# Tracks and how they are pooled


@pytest.fixture
def tracks(tmp_path):
    """Returns frames' embeddings of eight tracks by name, with norms, and a splits file."""
    random = np.random.default_rng(4)
    people = random.normal(0, 1, (4, 6))
    vectors = {
        f"{name}/{number}/{frame}.jpg": random.uniform(1, 5) * unit(people[person] + random.normal(0, 0.8, 6))
        for person, name in enumerate("ABCD")
        for number in range(2)
        for frame in range(3 + (person + number) % 3)
    }
    rows = [(f"{a}/0", f"{b}/1", int(a == b)) for a, b in ("AA", "AB", "BB", "BC", "CC", "CD", "DD", "DA")]
    splits = tmp_path / "splits.txt"
    splits.write_text("\n".join(f"{i // 2 + 1}, {i}, {a}, {b}, {same}" for i, (a, b, same) in enumerate(rows)))
    return vectors, rows, splits


def similarity_of(vectors, rows, pool):
    pooled = {track: pool(np.array([v for key, v in vectors.items() if key.startswith(f"{track}/")]))
              for track in {key.rsplit("/", 1)[0] for key in vectors}}  # fmt: skip
    return np.array([unit(pooled[a]) @ unit(pooled[b]) for a, b, _ in rows])


def by_norm(best):
    return lambda frames: unit(frames[np.argsort(-np.linalg.norm(frames, axis=1))[:best]]).mean(axis=0)


@pytest.mark.parametrize(
    "rule, pool, said",
    [
        (PoolingRule(), lambda frames: unit(frames).mean(axis=0), "unit(mean of unit embeddings)"),
        (PoolingRule(Pooling("norm")), lambda frames: frames.mean(axis=0), "weighs each by its norm"),
        (PoolingRule(Pooling(best=2)), by_norm(2), "best 2 of a face set"),
    ],
)
def test_a_track_is_pooled_as_the_rule_says(tracks, rule, pool, said):
    vectors, rows, splits = tracks
    source = FeatureSource(Features.of(vectors, np.array(list(vectors.values()))))
    [measured] = measure_tracks(source, read_tracks(splits), None, pooling=rule)
    np.testing.assert_allclose(measured.similarity, similarity_of(vectors, rows, pool), atol=1e-6)
    assert said in measured.result.photos


def test_tracks_are_weighed_by_a_file_of_qualities(tracks, tmp_path):
    vectors, rows, splits = tracks
    quality = {key: index % 5 for index, key in enumerate(vectors)}
    (tmp_path / "quality.txt").write_text("\n".join(f"{key} {value}" for key, value in quality.items()))
    weighed = {key: unit(value) * quality[key] for key, value in vectors.items()}
    source = FeatureSource(Features.of(vectors, np.array(list(vectors.values()))))
    settings = {"pooling": PoolingRule(Pooling("quality")), "quality_file": tmp_path / "quality.txt"}
    [measured] = measure_tracks(source, read_tracks(splits), None, **settings)
    expected = similarity_of(weighed, rows, lambda frames: frames.sum(axis=0))
    np.testing.assert_allclose(measured.similarity, expected, atol=1e-6)
    with pytest.raises(ValueError, match="has no use for a quality file"):
        measure_tracks(source, read_tracks(splits), None, quality_file=tmp_path / "quality.txt")
    (tmp_path / "quality.txt").write_text("A/0/0.jpg 1\n")
    with pytest.raises(ValueError, match=r"quality\.txt: \d+ of \d+ photos have no quality, such as A/0/1\.jpg"):
        measure_tracks(source, read_tracks(splits), None, **settings)


def test_tracks_can_be_compared_frame_by_frame(tracks):
    vectors, rows, splits = tracks
    source = FeatureSource(Features.of(vectors, np.array(list(vectors.values()))))
    [measured] = measure_tracks(source, read_tracks(splits), None, pooling=PoolingRule(set_score="max"))
    frames = {track: unit(np.array([v for key, v in vectors.items() if key.startswith(f"{track}/")]))
              for row in rows for track in row[:2]}  # fmt: skip
    np.testing.assert_allclose(measured.similarity, [(frames[a] @ frames[b].T).max() for a, b, _ in rows], atol=1e-6)
    assert "set to set, highest cosine of two photos" in measured.result.photos
    with pytest.raises(ValueError, match="expected no pooling where photos are compared one by one"):
        PoolingRule(Pooling("norm"), "max")


def test_norms_that_say_nothing_cannot_weigh(tracks):
    vectors, _, splits = tracks
    source = FeatureSource(Features.of(vectors, unit(np.array(list(vectors.values()))), source="some.npz"))
    for rule in (PoolingRule(Pooling("norm")), PoolingRule(Pooling(best=2))):
        with pytest.raises(ValueError, match=r"some\.npz: .*expected embeddings of different lengths"):
            measure_tracks(source, read_tracks(splits), None, pooling=rule)


def test_a_track_may_have_one_embedding_already(tracks):
    vectors, rows, splits = tracks
    pooled = {track: np.sum([v for key, v in vectors.items() if key.startswith(f"{track}/")], axis=0)
              for row in rows for track in row[:2]}  # fmt: skip
    source = FeatureSource(Features.of(pooled, np.array(list(pooled.values()))))
    [measured] = measure_tracks(source, read_tracks(splits), None)
    np.testing.assert_allclose(measured.similarity, similarity_of(vectors, rows, lambda f: f.sum(axis=0)), atol=1e-6)
    lacking = {key: value for key, value in pooled.items() if key != "B/0"}
    source = FeatureSource(Features.of(lacking, np.array(list(lacking.values())), source="some.npz"))
    with pytest.raises(FileNotFoundError, match=r"1 of 8 tracks have no embeddings in some\.npz: B/0"):
        measure_tracks(source, read_tracks(splits), None)


def test_corrected_pairs_are_measured_by_the_similarities_of_all(tracks, tmp_path):
    vectors, _, splits = tracks
    (tmp_path / "wrong.txt").write_text("D/1\n")
    text = splits.read_text() + "".join(f"\n{fold}, 9{fold}, A/0, C/{fold % 2}, 0" for fold in range(1, 5))
    splits.write_text(text + "".join(f"\n{fold}, 8{fold}, B/0, B/1, 1" for fold in range(1, 5)))
    source = FeatureSource(Features.of(vectors, np.array(list(vectors.values()))))
    raw, corrected = measure_tracks(source, read_tracks(splits, tmp_path / "wrong.txt"), None)
    again = measure_again(raw, corrected.pairs)
    assert again.result == corrected.result
    with pytest.raises(ValueError, match="expected a similarity of C/0 and D/1"):
        measure_again(corrected, raw.pairs)


def test_bad_qualities_are_refused_by_their_line(tmp_path):
    path = tmp_path / "quality.txt"
    path.write_text("a b.jpg 0.5\nc.jpg,2\n")
    assert read_qualities(path) == {"a b.jpg": 0.5, "c.jpg": 2.0}
    np.testing.assert_array_equal(qualities_of(["c.jpg", "a b.jpg"], read_qualities(path), "q"), [2.0, 0.5])
    for text, line in (("a 1\nb nan", 2), ("a 1\na 2", 2), ("a", 1), ("a 1\nb x", 2)):
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"quality\.txt, line {line}: expected `path quality`"):
            read_qualities(path)
    path.write_text("")
    with pytest.raises(ValueError, match="the file is empty"):
        read_qualities(path)
