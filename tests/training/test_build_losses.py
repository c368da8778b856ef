import pytest

from keras_face import config
from keras_face.training.build_losses import build_losses, unused_losses


def build(*overrides, num_identities=7, num_sequences=2, **more):
    loaded = config.load(None, overrides)
    return build_losses(loaded.loss, loaded.losses, num_identities, num_sequences, **more)


def test_the_defaults_are_arcface_with_the_angular_centre_term_of_margin_centre_face():
    layers, weights = build()
    assert weights == {"arcface": 1.0, "angular_centre": 0.3}
    assert (layers["arcface"].margin.margin, layers["arcface"].scale, layers["angular_centre"].scale) == (
        0.5,
        64.0,
        64.0,
    )
    assert layers["angular_centre"].head is layers["arcface"]


def test_the_section_of_the_heads_name_holds_all_of_its_settings():
    layers, _ = build(
        "loss.head=cosface", "loss cosface.margin=0.2", "loss cosface.scale=20", "loss cosface.focal_gamma=2"
    )
    head = layers["cosface"]
    assert (head.margin.margin, head.scale, head.focal_gamma) == (0.2, 20.0, 2)
    assert (head.num_identities, head.num_sequences) == (7, 2)


def test_further_losses_are_added_with_their_weights():
    layers, weights = build(
        "loss angular_centre.weight=0",
        "loss sequence_agents.weight=0.04",
        "loss centre_loss.weight=1",
        "loss centre_loss.centre_rate=0.1",
    )
    assert weights == {"arcface": 1.0, "sequence_agents": 0.04, "centre_loss": 1}
    assert layers["sequence_agents"].num_centres == 9
    assert layers["centre_loss"].centre_rate == 0.1


def test_settings_of_a_loss_that_is_not_in_use_add_nothing_and_are_reported():
    overrides = ["loss.head=cosface", "loss arcface.easy=True", "loss batch_hard_triplet.margin=0.5"]
    layers, _ = build(*overrides, "loss n_pair.weight=0.1", "loss cosface.focal_gamma=1")
    assert set(layers) == {"cosface", "angular_centre", "n_pair"}
    loaded = config.load(None, [*overrides, "loss n_pair.weight=0.1", "loss cosface.focal_gamma=1"])
    assert unused_losses(loaded.loss, loaded.losses) == ["arcface", "batch_hard_triplet"]


def test_the_word_none_is_a_choice_and_prototypes_take_a_word_or_a_number():
    layers, _ = build("loss arcface.beyond_pi=none", "loss arcface.initializer=0.25")
    assert layers["arcface"].margin.beyond_pi == "none"
    assert layers["arcface"].initializer.stddev == 0.25
    layers, _ = build("loss.head=softmax", "loss softmax.initializer=0.001")
    assert layers["softmax"].initializer.stddev == 0.001


def test_annealing_counts_optimizer_steps_and_not_parts_of_a_batch():
    layers, _ = build("loss.head=a_softmax", accumulation_steps=4)
    assert layers["a_softmax"].accumulation_steps == 4


def test_losses_that_draw_have_the_seed_of_the_run_unless_given_one():
    layers, _ = build("loss.head=elastic_arcface", "loss sequence_agents.weight=1", seed=5)
    assert layers["elastic_arcface"].seed == layers["sequence_agents"].seed == 5
    layers, _ = build("loss.head=elastic_arcface", "loss elastic_arcface.seed=3", seed=5)
    assert layers["elastic_arcface"].seed == 3


@pytest.mark.parametrize(
    "overrides, parts",
    [
        (["loss.head=arcfase"], ["[loss] head", "unknown loss 'arcfase'; did you mean 'arcface'? known are none, "]),
        (["loss.head=batch_hard_triplet", "data.images_per_identity=2"], ["expected a classification loss"]),
        (
            ["loss.head=norm_softmax", "loss norm_softmax.margin=0.1"],
            ["[loss norm_softmax]", "unknown key 'margin'"],
        ),
        (["loss arcface.margin=4"], ["[loss arcface]", "radians, got 4"]),
        (["loss arcface.beyond_pie=cosine"], ["[loss arcface]: unknown key 'beyond_pie'; did you mean 'beyond_pi'?"]),
        (["loss arcface.easy=3"], ["easy: expected True or False, got 3"]),
        (
            ["loss centre_loss.weight=1", "loss centre_loss.centre_rate=fast"],
            ["[loss centre_loss]", "expected a number, got 'fast'"],
        ),
        (["loss centre_los.weight=1"], ["[loss centre_los]", "did you mean 'centre_loss'?"]),
        (["loss centre_los.centre_rate=1"], ["[loss centre_los]", "did you mean 'centre_loss'?"]),
        (["loss angular_centre.weigth=0.5"], ["[loss angular_centre]: unknown key 'weigth'; did you mean 'weight'?"]),
        (["loss arcface.num_identities=9"], ["[loss arcface]: unknown key 'num_identities'; known are weight, scale"]),
        (["loss cosface.scael=1"], ["[loss cosface]", "did you mean 'scale'?"]),
        (["loss cosine_distillation.weight=1"], ["[loss cosine_distillation]", "needs a teacher"]),
    ],
)
def test_a_mistake_is_one_line_that_names_its_place(overrides, parts):
    with pytest.raises(ValueError, match=r"\w") as raised:
        build(*overrides)
    for part in parts:
        assert part in str(raised.value)
