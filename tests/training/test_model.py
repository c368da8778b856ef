import functools

import numpy as np
import pytest

from keras_face import losses
from keras_face.backend import keras, tf
from keras_face.export import ServedModel, export_model, load_embedder
from keras_face.losses.teacher import TeacherOutput
from keras_face.training.latse import Reconstruction
from keras_face.training.model import FaceModel
from keras_face.training.optimizers import make_slots
from keras_face.training.teacher import Teacher

SIZE, EMBEDDING, IDENTITIES = 8, 4, 3


def small_backbone(batch_norm=False):
    layers = [keras.layers.Conv2D(5, 3, strides=2, activation="relu", input_shape=(SIZE, SIZE, 3), use_bias=True)]
    if batch_norm:
        layers.append(keras.layers.BatchNormalization())
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(EMBEDDING, dtype="float32")])


def model(optimizer=None, batch_norm=False, head="arcface", shares=(), **settings):
    keras.utils.set_random_seed(3)
    backbone = small_backbone(batch_norm)
    settings["learning_rate_factors"] = list(zip(backbone.trainable_variables, shares, strict=False))
    layers = {head: losses.get(head, num_identities=IDENTITIES, num_sequences=2, initializer="orthogonal")}
    layers["centre"] = losses.get("angular_centre", head=layers[head], scale=16.0)
    made = FaceModel(backbone, layers, {head: 1.0, "centre": 0.3}, **settings)
    made.build((None, SIZE, SIZE, 3))
    made.compile(optimizer=optimizer or keras.optimizers.SGD(0.003, 0.9))
    make_slots(made.optimizer, made.trainable_variables)
    return made


def batch(size=8, seed=0):
    generator = np.random.default_rng(seed)
    return {
        "images": tf.constant(generator.integers(0, 256, (size, SIZE, SIZE, 3)), tf.uint8),
        "labels": tf.constant(generator.integers(0, IDENTITIES, size), tf.int64),
    }


def train(made, strategy, steps=3, size=8):
    """Trains on global batches that are cut into equal shares, and returns what each step saw."""

    @tf.function
    def step(images, labels):
        seen = strategy.run(made.update, args=({"images": images, "labels": labels},))
        return {name: strategy.experimental_local_results(value)[0] for name, value in seen.items()}

    replicas = strategy.num_replicas_in_sync
    all_seen = []
    for number in range(steps):
        whole = batch(size, number)

        def share(name, whole=whole):
            return strategy.experimental_distribute_values_from_function(
                lambda context: tf.split(whole[name], replicas)[context.replica_id_in_sync_group]
            )

        all_seen.append({name: float(value) for name, value in step(share("images"), share("labels")).items()})
    return all_seen


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weight_decay": 0.01, "clip_norm": 0.5},
        {"accumulation_steps": 2, "average_decay": 0.9},
    ],
    ids=["plain", "decay and clipping", "accumulation and average"],
)
def test_two_replicas_see_and_learn_what_one_does(one_replica, two_replicas, settings):
    with one_replica.scope():
        one = model(**settings)
    with two_replicas.scope():
        two = model(**settings)
    np.testing.assert_array_equal(one.get_weights()[0], two.get_weights()[0])
    seen_by_one, seen_by_two = train(one, one_replica), train(two, two_replicas)
    for left, right in zip(seen_by_one, seen_by_two, strict=True):
        assert left.keys() == right.keys()
        for name in left:
            assert left[name] == pytest.approx(right[name], rel=1e-5), name
    for left, right in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


@pytest.mark.parametrize(
    "head", ["a_softmax", "adacos", "curricularface", "adaface", "elastic_cosface_plus", "sphereface2", "unpg"]
)
def test_heads_with_state_train_the_same_on_two_replicas_as_on_one(one_replica, two_replicas, head):
    with one_replica.scope():
        one = model(head=head, accumulation_steps=2)
    with two_replicas.scope():
        two = model(head=head, accumulation_steps=2)
    start = one.loss_layers[head].get_weights()
    seen_by_one, seen_by_two = train_step_in_order(one, one_replica), train_step_in_order(two, two_replicas)
    for name, value in seen_by_one.items():
        assert value == pytest.approx(seen_by_two[name], rel=1e-5), name
    for left, right in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)
    moved = [np.any(a != b) for a, b in zip(start, one.loss_layers[head].get_weights(), strict=True)]
    assert all(moved)


def train_step_in_order(made, strategy):
    """Trains one step; each part of the batch holds the same examples, however many replicas there are."""
    whole, replicas = batch(16), strategy.num_replicas_in_sync
    parts = [tf.split(value, 2) for value in (whole["images"], whole["labels"])]
    shares = [
        [tf.concat([tf.split(part, replicas)[replica] for part in values], 0) for values in parts]
        for replica in range(replicas)
    ]

    def share(position):
        return strategy.experimental_distribute_values_from_function(
            lambda context: shares[context.replica_id_in_sync_group][position]
        )

    @tf.function
    def step(images, labels):
        seen = strategy.run(made.update, args=({"images": images, "labels": labels},))
        return {name: strategy.experimental_local_results(value)[0] for name, value in seen.items()}

    return {name: float(value) for name, value in step(share(0), share(1)).items()}


def test_the_loss_is_the_weighted_sum_of_the_means_of_its_terms(one_replica):
    with one_replica.scope():
        made = model()
    (seen,) = train(made, one_replica, steps=1)
    assert seen["loss"] == pytest.approx(seen["arcface"] + 0.3 * seen["centre"], rel=1e-6)
    assert seen["centre"] == pytest.approx(16 * (1 - seen["target_cosine"]), rel=1e-5)


def test_accuracy_counts_known_identities_whose_prototype_is_nearest():
    made = model()
    whole = batch(6)
    embeddings = made(whole["images"]).numpy()
    prototypes = made.loss_layers["arcface"].prototypes.numpy()
    cosine = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)) @ (
        prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)
    ).T
    labels = np.array([0, 1, 2, 0, -1, -2])
    known = labels >= 0
    seen = made.update({"images": whole["images"], "labels": tf.constant(labels, tf.int64)})
    expected = np.mean(np.argmax(cosine, axis=1)[known] == labels[known])
    assert float(seen["accuracy"]) == pytest.approx(expected)
    assert float(seen["target_cosine"]) == pytest.approx(np.mean(cosine[known, labels[known]]), abs=1e-5)
    assert float(seen["embedding_norm"]) == pytest.approx(np.mean(np.linalg.norm(embeddings, axis=1)), rel=1e-5)


def test_weight_decay_adds_a_share_of_kernels_and_prototypes_but_not_of_biases():
    plain, decayed = model(keras.optimizers.SGD(1.0)), model(keras.optimizers.SGD(1.0), weight_decay=0.25)
    before = {v.name: v.numpy() for v in decayed.trainable_variables}
    for made in (plain, decayed):
        made.update(batch())
    for left, right in zip(plain.trainable_variables, decayed.trainable_variables, strict=True):
        share = 0.0 if "bias" in left.name else 0.25
        np.testing.assert_allclose(left.numpy() - right.numpy(), share * before[right.name], atol=1e-5)
    assert any("bias" in name for name in before)


def test_clipping_bounds_the_norm_of_the_whole_update():
    free, clipped = model(keras.optimizers.SGD(1.0)), model(keras.optimizers.SGD(1.0), clip_norm=0.5)
    before = [v.numpy() for v in clipped.trainable_variables]
    moves = []
    for made in (free, clipped):
        made.update(batch())
        moves.append(
            np.concatenate([(v.numpy() - b).ravel() for v, b in zip(made.trainable_variables, before, strict=True)])
        )
    assert np.linalg.norm(moves[0]) > 0.6
    assert np.linalg.norm(moves[1]) == pytest.approx(0.5, rel=1e-4)
    np.testing.assert_allclose(moves[1] / 0.5, moves[0] / np.linalg.norm(moves[0]), atol=1e-4)


def moves_of(**settings):
    """How far one step at rate 1 takes each variable, the network's and the losses' apart."""
    made = model(keras.optimizers.SGD(1.0), **settings)
    for variable in made.trainable_variables:
        if "bias" in variable.name:
            variable.assign(tf.fill(variable.shape, 0.5))
    own = {id(variable) for variable in made.backbone.trainable_variables}
    before = [(id(variable) in own, variable, variable.numpy()) for variable in made.trainable_variables]
    made.update(batch())
    return tuple(
        np.concatenate([(variable.numpy() - start).ravel() for owned, variable, start in before if owned == wanted])
        for wanted in (True, False)
    )


def test_clipping_of_the_backbone_leaves_the_losses_whole_and_out_of_the_norm():
    (network, prototypes), (limited, same) = moves_of(), moves_of(clip_norm=0.5, clip_scope="backbone")
    np.testing.assert_allclose(same, prototypes, atol=1e-6)
    np.testing.assert_allclose(limited, 0.5 * network / np.linalg.norm(network), atol=1e-5)
    assert np.linalg.norm(network) > 0.6
    assert np.linalg.norm(prototypes) > 0.01


def test_numbers_of_the_gradient_are_clamped_before_its_norm_is_limited():
    network, prototypes = moves_of()
    whole = np.clip(np.concatenate([network, prototypes]), -0.01, 0.01)
    np.testing.assert_allclose(np.concatenate(moves_of(clip_value=0.01)), whole, atol=1e-6)
    found = np.concatenate(moves_of(clip_value=0.01, clip_norm=0.05))
    np.testing.assert_allclose(found, 0.05 * whole / np.linalg.norm(whole), atol=1e-6)
    assert np.linalg.norm(whole) > 0.06


def test_decay_of_all_takes_biases_too():
    (plain, _), (decayed, _) = moves_of(), moves_of(weight_decay=0.25, decay_scope="all")
    start = [np.full(v.shape, 0.5) if "bias" in v.name else v.numpy() for v in model().backbone.trainable_variables]
    np.testing.assert_allclose(plain - decayed, 0.25 * np.concatenate([v.ravel() for v in start]), atol=1e-5)


def test_an_unknown_scope_is_refused():
    with pytest.raises(ValueError, match="clip_scope all or backbone, got weights, heads"):
        model(clip_scope="heads")


def test_a_model_divides_the_pixels_by_its_own_divisor():
    made = model(pixel_divisor=64.0)
    pixels = batch()["images"].numpy().astype(np.float32)
    np.testing.assert_allclose(made(batch()["images"]), made.backbone((pixels - 127.5) / 64), atol=1e-5)


def test_accumulated_parts_give_the_gradient_of_the_whole_batch(one_replica):
    with one_replica.scope():
        whole, parts = model(), model(accumulation_steps=4)
    train(whole, one_replica)
    train(parts, one_replica)
    for left, right in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


def test_the_average_follows_the_weights_with_a_decay_that_grows_to_its_setting():
    made = model(average_decay=0.5)
    first = made.backbone.trainable_variables[0]
    expected = first.numpy()
    for step in range(10):
        made.update(batch(seed=step))
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * first.numpy()
    assert decay == 0.5
    np.testing.assert_allclose(made.averaged_weights()[0], expected, atol=1e-6)


def test_averaged_weights_keep_the_moving_statistics_of_the_network():
    made = model(average_decay=0.9, batch_norm=True)
    made.update(batch())
    statistics = [w for w in made.backbone.weights if "moving_mean" in w.name]
    index = [w is statistics[0] for w in made.backbone.weights].index(True)
    np.testing.assert_array_equal(made.averaged_weights()[index], statistics[0].numpy())
    assert np.abs(statistics[0].numpy()).max() > 0


def test_float16_scales_the_loss_and_learns_what_float32_does(one_replica):
    with one_replica.scope():
        plain = model()
        scaled = model(keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.003, 0.9)))
    assert train(plain, one_replica)[-1]["loss"] == pytest.approx(train(scaled, one_replica)[-1]["loss"], rel=1e-4)
    for left, right in zip(plain.trainable_variables, scaled.trainable_variables, strict=True):
        np.testing.assert_allclose(left.numpy(), right.numpy(), atol=1e-4)


def unbuilt(**settings):
    """A model as a user makes one: heads are built by it."""
    keras.utils.set_random_seed(3)
    head = losses.get("arcface", num_identities=IDENTITIES, num_sequences=2, scale=8.0, initializer="orthogonal")
    layers = {"arcface": head, "centre": losses.get("angular_centre", head=head, scale=16.0)}
    made = FaceModel(small_backbone(batch_norm=True), layers, {"arcface": 1.0, "centre": 0.3}, **settings)
    made.compile(optimizer=keras.optimizers.SGD(0.01, 0.9))
    return made


FORMS = {
    "dictionaries": lambda whole: (tf.data.Dataset.from_tensor_slices(whole).batch(8), {}),
    "tuples": lambda whole: (tf.data.Dataset.from_tensor_slices((whole["images"], whole["labels"])).batch(8), {}),
    "arrays": lambda whole: (
        whole["images"].numpy(),
        {"y": whole["labels"].numpy(), "batch_size": 8},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_keras_fit_trains_it_in_every_form_and_evaluate_agrees_with_validation(form):
    made = unbuilt()
    data, how = FORMS[form](batch(16))
    shown, measured = FORMS[form](batch(12, seed=1))
    validation = (shown, measured["y"]) if how else shown
    size = 8 if how else None
    fitted = made.fit(data, epochs=6, verbose=0, validation_data=validation, validation_batch_size=size, **how).history
    assert fitted["loss"][-1] < fitted["loss"][0]
    evaluated = made.evaluate(shown, y=measured.get("y"), batch_size=size, verbose=0, return_dict=True)
    assert set(evaluated) == {"loss", "arcface", "centre", "embedding_norm", "accuracy", "target_cosine"}
    for name, value in evaluated.items():
        assert fitted[f"val_{name}"][-1] == pytest.approx(value, rel=1e-6), name


def test_evaluate_gives_the_mean_over_all_examples_that_count():
    made = unbuilt()
    whole = batch(12)
    labels = np.array([0, 1, -1, -2, 2, 0, 1, -1, 2, 2, 0, 1])
    data = tf.data.Dataset.from_tensor_slices({"images": whole["images"], "labels": labels})
    before = made.get_weights()
    found = made.evaluate(data.batch(5), verbose=0, return_dict=True)  # 5, 5 and 2, with 3, 4 and 2 known ones
    embeddings = made(whole["images"]).numpy()
    prototypes = made.loss_layers["arcface"].prototypes.numpy()
    cosines = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)) @ (
        prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)
    ).T
    known = labels >= 0
    assert found["accuracy"] == pytest.approx(np.mean(cosines[known].argmax(axis=1) == labels[known]), abs=1e-6)
    own = cosines[known, labels[known]]
    assert found["target_cosine"] == pytest.approx(own.mean(), abs=1e-5)
    assert found["centre"] == pytest.approx((16 * (1 - own)).sum() / 12, rel=1e-5)
    assert found["loss"] == pytest.approx(found["arcface"] + 0.3 * found["centre"], rel=1e-5)
    for left, right in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_fit_on_two_replicas_gives_the_numbers_of_one(one_replica, two_replicas):
    found = []
    for strategy in (one_replica, two_replicas):
        with strategy.scope():
            made = unbuilt()
        data = tf.data.Dataset.from_tensor_slices(batch(16)).batch(8)
        history = made.fit(data, epochs=1, verbose=0, validation_data=data).history
        found.append([history[name][0] for name in ("loss", "val_loss", "val_accuracy")])
    assert found[0][0] == pytest.approx(found[1][0], rel=0.05)  # batch normalisation sees a replica's share
    assert found[0][1:] == pytest.approx(found[1][1:], rel=0.2)


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
def test_a_keras_file_holds_it_whole_and_training_goes_on_from_it(tmp_path, average_decay):
    data = tf.data.Dataset.from_tensor_slices(batch(16)).batch(8)
    limits = {"clip_norm": 1.0, "clip_scope": "backbone", "clip_value": 0.5}
    decay = {"weight_decay": 0.01, "decay_scope": "all"}
    made = unbuilt(average_decay=average_decay, accumulation_steps=2, pixel_divisor=64.0, **decay, **limits)
    made.fit(data, epochs=2, verbose=0)
    made.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for left, right in zip(made.averaged_weights(), again.averaged_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    assert again.loss_layers["centre"].head is again.loss_layers["arcface"]
    assert made.evaluate(data, verbose=0) == again.evaluate(data, verbose=0)
    gone_on = [each.fit(data, epochs=1, verbose=0).history["loss"] for each in (made, again)]
    assert gone_on[0] == gone_on[1]
    for left, right in zip(made.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_callbacks_of_keras_work_with_it(tmp_path):
    made = unbuilt()
    data = tf.data.Dataset.from_tensor_slices(batch(16)).batch(8)
    best = str(tmp_path / "best.keras")
    history = made.fit(
        data,
        epochs=6,
        verbose=0,
        validation_data=data,
        callbacks=[
            # No improvement is large enough, so that the second epoch is the last, and the first one's weights return.
            keras.callbacks.EarlyStopping("val_loss", min_delta=1e9, patience=1, restore_best_weights=True),
            keras.callbacks.ModelCheckpoint(best, "val_loss", save_best_only=True),
            keras.callbacks.TensorBoard(str(tmp_path / "board")),
        ],
    ).history
    assert len(history["val_loss"]) == 2
    assert made.evaluate(data, verbose=0, return_dict=True)["loss"] == pytest.approx(history["val_loss"][0], rel=1e-6)
    again = keras.models.load_model(best).evaluate(data, verbose=0, return_dict=True)
    assert again["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-6)
    assert list((tmp_path / "board").rglob("events.out.tfevents.*"))


def test_a_clone_has_the_same_form_and_weights_of_its_own():
    made = unbuilt(average_decay=0.9)
    clone = keras.models.clone_model(made)
    assert [weight.shape for weight in clone.weights] == [weight.shape for weight in made.weights]
    assert clone.get_config() == made.get_config()
    assert clone.loss_layers["arcface"].prototypes is not made.loss_layers["arcface"].prototypes


def test_what_a_keras_file_cannot_hold_is_refused_by_name(tmp_path):
    head = losses.get("arcface", num_identities=IDENTITIES)
    made = FaceModel(small_backbone(), {"arcface": head}, {"arcface": lambda step: 1.0})
    with pytest.raises(ValueError, match=r"cannot hold this FaceModel: the weights of arcface are functions"):
        made.get_config()


@pytest.mark.parametrize(
    "data, message",
    [
        (lambda whole: (whole["images"],), "expected images with labels"),
        (lambda whole: (whole["images"], whole["labels"], tf.ones(8)), "no sample_weight"),
        (lambda whole: {"photos": whole["images"]}, r"expected a batch of `images` and `labels`, got \['photos'\]"),
    ],
)
def test_other_data_are_refused_with_what_is_expected(data, message):
    with pytest.raises(ValueError, match=message):
        unbuilt().fit(tf.data.Dataset.from_tensors(data(batch())), verbose=0)


def test_a_loss_without_a_weight_is_refused():
    with pytest.raises(ValueError, match="centre"):
        FaceModel(small_backbone(), {"centre": keras.layers.Layer()}, {})


def test_target_angles_are_those_of_known_identities():
    made = model()
    whole = batch(4)
    labels = np.array([0, -1, 2, 1])
    angles = made.target_angles(whole["images"], tf.constant(labels, tf.int64)).numpy()
    embeddings = made(whole["images"]).numpy()
    prototypes = made.loss_layers["arcface"].prototypes.numpy()
    expected = [
        np.arccos(e @ prototypes[i] / np.linalg.norm(e) / np.linalg.norm(prototypes[i]))
        for e, i in zip(embeddings, labels, strict=True)
        if i >= 0
    ]
    np.testing.assert_allclose(angles, expected, atol=1e-5)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A teacher of larger photos than the student's, which knows how to export itself."""
    keras.utils.set_random_seed(9)
    layers = [keras.layers.Conv2D(3, 3, strides=2, input_shape=(2 * SIZE, 2 * SIZE, 3)), keras.layers.Flatten()]
    served = ServedModel(keras.Sequential([*layers, keras.layers.BatchNormalization(), keras.layers.Dense(EMBEDDING)]))
    return served, export_model(served, tmp_path_factory.mktemp("teacher"), 1, {})


def taught(teacher, mask=None, weights=None, **settings):
    """A student of a head, and of each of the losses that take a teacher."""
    keras.utils.set_random_seed(3)
    head = losses.get("arcface", num_identities=IDENTITIES, scale=8.0, initializer="orthogonal")
    layers = {"arcface": head}
    layers["cosine"] = losses.get("cosine_distillation")
    layers["logit"] = losses.get("logit_distillation", head=head, scale=8.0)
    layers["relational"] = losses.get("relational_distillation")
    weights = weights or {"arcface": 1.0, "cosine": 0.5, "logit": 0.25, "relational": 2.0}
    made = FaceModel(small_backbone(), layers, weights, teacher=teacher, mask=mask, **settings)
    made.build((None, SIZE, SIZE, 3))
    made.compile(optimizer=keras.optimizers.SGD(0.01, 0.9))
    made.optimizer.build(made.trainable_variables)
    return made


PROTOTYPES = np.random.default_rng(4).normal(size=(IDENTITIES, EMBEDDING)).astype(np.float32)


def with_cosines(teacher):
    """The same teacher with prototypes, as one that is read from a run's folder has them."""

    def seen(images):
        embeddings = teacher(images).embeddings
        unit = PROTOTYPES / np.linalg.norm(PROTOTYPES, axis=1, keepdims=True)
        return TeacherOutput(embeddings, tf.matmul(embeddings, unit.T))

    return seen


def test_a_student_learns_from_a_teacher_on_two_replicas_what_it_learns_on_one(one_replica, two_replicas, exported):
    made = []
    for strategy in (one_replica, two_replicas):
        with strategy.scope():
            teacher = with_cosines(Teacher(load_embedder(exported[1]), exported[1]))
            made.append(taught(teacher, mask=functools.partial(losses.teacher_mask, top_k=2)))
    one, two = made
    seen_by_one, seen_by_two = train(one, one_replica), train(two, two_replicas)
    for left, right in zip(seen_by_one, seen_by_two, strict=True):
        for name in left:
            assert left[name] == pytest.approx(right[name], rel=1e-5), name
    for left, right in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)
    assert 0 < min(seen["teacher_mask"] for seen in seen_by_one) < 1


def test_a_teacher_gives_the_losses_the_unit_embeddings_of_the_export_for_photos_of_its_own_size(exported):
    served, folder = exported
    made = taught(with_cosines(Teacher(load_embedder(folder), folder)))
    whole = batch()
    student = made(whole["images"]).numpy()
    large = np.repeat(np.repeat(whole["images"].numpy(), 2, axis=1), 2, axis=2)  # what resizing by areas gives
    teacher = served(large)
    cosine = np.sum(student / np.linalg.norm(student, axis=1, keepdims=True) * teacher, axis=1)
    seen = made.update(whole)
    assert float(seen["cosine"]) == pytest.approx(np.mean(1 - cosine), rel=1e-5)
    expected = sum(w * float(seen[name]) for name, w in made.loss_weights.items())
    assert float(seen["loss"]) == pytest.approx(expected, rel=1e-6)


def test_a_teacher_is_neither_trained_nor_saved_and_a_restored_student_goes_on_with_it(exported, tmp_path):
    teacher = Teacher(load_embedder(exported[1]), exported[1])
    photos = tf.constant(np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3)), tf.uint8)
    before = teacher(photos).embeddings.numpy()
    made = taught(with_cosines(teacher))
    made.update(batch(seed=0))
    path = tf.train.Checkpoint(model=made).write(str(tmp_path / "student"))
    shapes = {tuple(shape) for shape in tf.train.load_checkpoint(path).get_variable_to_shape_map().values()}
    assert (3, 3, 3, 3) not in shapes  # the teacher's convolution
    assert len(made.trainable_variables) == 5
    made.update(batch(seed=1))
    again = taught(with_cosines(Teacher(load_embedder(exported[1]), exported[1])))
    tf.train.Checkpoint(model=again).read(path).assert_existing_objects_matched()
    again.update(batch(seed=1))
    for left, right in zip(made.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-7)
    np.testing.assert_array_equal(teacher(photos).embeddings, before)


def test_a_mask_keeps_an_example_from_the_network_and_from_the_prototypes():
    def teacher(images):
        return TeacherOutput(tf.zeros([tf.shape(images)[0], EMBEDDING]), tf.zeros([tf.shape(images)[0], IDENTITIES]))

    whole = batch(4)
    settings = {"weights": {"arcface": 1.0, "cosine": 0.0, "logit": 0.0, "relational": 0.0}}
    plain = taught(teacher, **settings)
    masked = taught(teacher, mask=lambda cosines, labels: tf.constant([1.0, 0.0, 1.0, 0.5]), **settings)
    starts = [variable.numpy() for variable in plain.trainable_variables]
    moves = []
    for number in range(4):  # the move of each example alone
        alone = taught(teacher, **settings)
        alone.update({name: value[number : number + 1] for name, value in whole.items()})
        moves.append([v.numpy() - start for v, start in zip(alone.trainable_variables, starts, strict=True)])
    plain.update(whole)
    seen = masked.update(whole)
    assert float(seen["teacher_mask"]) == pytest.approx(2.5 / 4)
    for index, variable in enumerate(masked.trainable_variables):
        expected = sum(share * move[index] for share, move in zip([1, 0, 1, 0.5], moves, strict=True)) / 4
        np.testing.assert_allclose(variable.numpy() - starts[index], expected, atol=1e-6)


def test_a_decoder_learns_from_photos_that_the_mask_keeps_from_the_network():
    def teacher(images):
        return TeacherOutput(tf.zeros([tf.shape(images)[0], EMBEDDING]), tf.zeros([tf.shape(images)[0], IDENTITIES]))

    def moves(mask):
        keras.utils.set_random_seed(3)
        decoder = keras.Sequential(
            [keras.layers.Dense(SIZE**2 * 3, input_shape=(EMBEDDING,)), keras.layers.Reshape((SIZE, SIZE, 3))]
        )
        layers, weights = {"reconstruction": Reconstruction(decoder)}, {"reconstruction": 1.0}
        made = FaceModel(small_backbone(), layers, weights, teacher=teacher, mask=mask)
        made.build((None, SIZE, SIZE, 3))
        made.compile(optimizer=keras.optimizers.SGD(1.0))
        starts = [variable.numpy() for variable in made.trainable_variables]
        made.update(batch(4))
        return [variable.numpy() - start for variable, start in zip(made.trainable_variables, starts, strict=True)]

    plain, refused = moves(None), moves(lambda cosines, labels: tf.zeros([4]))
    for number, (free, masked) in enumerate(zip(plain, refused, strict=True)):
        np.testing.assert_allclose(masked, free if number >= 4 else np.zeros_like(free), atol=1e-7)
        assert np.abs(free).max() > 1e-6
    assert len(plain) == 6


def test_a_loss_that_needs_a_teacher_is_refused_without_one():
    with pytest.raises(ValueError, match=r"teacher for .*cosine"):
        taught(None)


def test_the_weight_of_a_loss_can_be_a_function_of_the_step():
    weights = {"arcface": 1.0, "cosine": lambda step: 0.5 * tf.cast(step, tf.float32), "logit": 0.0, "relational": 0.0}

    def teacher(images):
        return TeacherOutput(tf.ones([tf.shape(images)[0], EMBEDDING]), tf.zeros([tf.shape(images)[0], IDENTITIES]))

    made = taught(teacher, weights=weights)
    for step in range(3):
        seen = made.update(batch(seed=step))
        assert float(seen["loss"]) == pytest.approx(float(seen["arcface"] + 0.5 * step * seen["cosine"]), rel=1e-6)


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize(
    "optimizer",
    [lambda: keras.optimizers.SGD(0.01, 0.9), lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1)],
    ids=["sgd", "adamw"],
)
def test_a_variable_with_a_share_of_the_learning_rate_moves_that_share_of_its_way(
    optimizer, replicas, one_replica, two_replicas
):
    strategy = (one_replica, two_replicas)[replicas - 1]
    with strategy.scope():
        plain, slowed = model(optimizer()), model(optimizer(), shares=[0.25, 0.0, 1.0])
    start = [variable.numpy() for variable in plain.trainable_variables]
    for made in (plain, slowed):
        train(made, strategy, steps=1)
    moved = [variable.numpy() - before for variable, before in zip(plain.trainable_variables, start, strict=True)]
    for variable, before, move, share in zip(
        slowed.trainable_variables, start, moved, [0.25, 0.0, 1.0, 1.0, 1.0], strict=True
    ):
        np.testing.assert_allclose(variable.numpy() - before, share * move, atol=1e-6)
        assert np.any(move != 0)


def test_hardest_triplets_report_how_many_are_active_and_the_distances():
    keras.utils.set_random_seed(3)
    layer = losses.get("batch_hard_triplet", margin=0.02)
    made = FaceModel(small_backbone(), {"triplet": layer}, {"triplet": 1.0})
    made.build((None, SIZE, SIZE, 3))
    made.compile(optimizer=keras.optimizers.SGD(0.0))
    images = batch(8)["images"].numpy()
    images[1] = images[0]
    labels = np.array([0, 0, 1, 1, 2, 2, 3, -1])  # the last two have no positive
    vectors = made(tf.constant(images)).numpy()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    positive = [apart[i, i ^ 1] for i in range(6)]
    negative = [min(apart[i, j] for j in range(8) if labels[j] != labels[i]) for i in range(6)]
    active = np.mean(np.subtract(positive, negative) + 0.02 > 0)
    assert 0 < active < 1
    seen = made.update({"images": tf.constant(images), "labels": tf.constant(labels, tf.int64)})
    assert float(seen["active_triplets"]) == pytest.approx(active)
    assert float(seen["positive_distance"]) == pytest.approx(np.mean(positive), rel=1e-4)
    assert float(seen["negative_distance"]) == pytest.approx(np.mean(negative), rel=1e-4)
