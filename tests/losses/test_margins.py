import math

import numpy as np
import pytest

from keras_face.backend import keras, tf
from keras_face.losses.angular_margins import (
    LINEAR_SLOPE,
    CombinedMargin,
    LinearMargin,
    LogarithmMargin,
    MultipliedMargin,
    SineMargin,
)
from keras_face.losses.geometry import angle, polynomial_angle, sine
from keras_face.losses.margins import ArcMargin, CosineMargin, Margin, NoMargin

MARGINS = [
    NoMargin(),
    CosineMargin(0.35),
    ArcMargin(),
    ArcMargin(gradient="detached"),
    ArcMargin(beyond_pi="reflect"),
    ArcMargin(beyond_pi="none"),
    ArcMargin(easy=True),
    ArcMargin(margin=2.0, beyond_pi="reflect", easy=True),
    MultipliedMargin(1.0),
    MultipliedMargin(4.0),
    MultipliedMargin(1.7, gradient="detached"),
    CombinedMargin(),
    CombinedMargin(1.35, 0.5, 0.1, easy=True),
    LinearMargin(),
    SineMargin(),
    LogarithmMargin(),
]
BELOW_ONE = 1 - 2.0**-24  # the neighbours of 1 in float32
ABOVE_ONE = 1 + 2.0**-23
EDGES = np.array([-ABOVE_ONE, -1, -BELOW_ONE, 0, BELOW_ONE, 1, ABOVE_ONE])


def describe(margin: Margin) -> str:
    return f"{type(margin).__name__}-{margin.get_config()}"


def value_and_slope(margin: Margin, cosine: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(cosine)
        value = margin(cosine)
    return value, tape.gradient(value, cosine)


def run(mode: str, function, *arguments):
    if mode == "eager":
        return function(*arguments)
    return tf.function(function, jit_compile=mode == "xla", autograph=False)(*arguments)


def slopes(margin: Margin, cosines) -> np.ndarray:
    return value_and_slope(margin, tf.constant(cosines, tf.float32))[1].numpy()


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("margin", MARGINS, ids=describe)
def test_value_and_slope_are_finite_for_every_cosine_and_one_beyond(margin, mode):
    def all_types():
        results = []
        for dtype in (tf.float32, tf.bfloat16, tf.float16):
            spacing = {tf.float32: 2.0**-23, tf.bfloat16: 2.0**-7, tf.float16: 2.0**-10}[dtype]
            cosines = [-1 - spacing, -1, -1 + spacing / 2, 0, 1 - spacing / 2, 1, 1 + spacing]
            results.append(value_and_slope(margin, tf.constant(cosines, dtype)))
        return results

    for value, slope in run(mode, all_types):
        assert value.dtype == tf.float32
        assert np.isfinite(value).all()
        assert np.isfinite(tf.cast(slope, tf.float32)).all()


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_arc_margin_is_the_cosine_of_the_widened_angle(mode):
    angles = np.linspace(0, math.pi - 0.5 - 1e-3, 300)
    cosines = np.cos(angles).astype(np.float32)
    expected = np.cos(np.arccos(cosines.astype(np.float64)) + 0.5)
    np.testing.assert_allclose(run(mode, ArcMargin(0.5), tf.constant(cosines)), expected, atol=2e-7)


def test_arc_margin_beyond_pi_has_the_published_constants():
    # cos(pi - 0.5) = -0.877583 and 0.5 sin(0.5) = 0.239713, as in margin-centre-face and InsightFace.
    at, beyond = np.nextafter(np.float32(-0.877582), np.float32(0)), np.float32(-0.877584)
    values = ArcMargin(0.5)(tf.constant([at, beyond, -1.0])).numpy()
    np.testing.assert_allclose(values, [-1.0, -0.877584 - 0.239713, -1.239713], atol=1e-6)


def test_the_reflected_branch_is_continuous_and_decreases_with_the_angle():
    cosines = np.cos(np.linspace(0.001, math.pi - 0.001, 2000)).astype(np.float32)
    values = ArcMargin(0.5, beyond_pi="reflect")(tf.constant(cosines)).numpy()
    steps = np.diff(values)
    assert (steps < 0).all()
    assert np.abs(steps).max() < 0.002  # cos changes by at most 0.0016 from one angle to the next
    np.testing.assert_allclose(values[-1], -2 - math.cos(math.acos(cosines[-1]) + 0.5), atol=1e-6)


def test_without_a_fallback_the_value_rises_again_beyond_pi():
    values = ArcMargin(0.5, beyond_pi="none")(tf.constant([-0.95, -1.0])).numpy()
    np.testing.assert_allclose(values, np.cos(np.arccos([-0.95, -1.0]) + 0.5), atol=1e-6)
    assert values[1] > values[0]


def test_easy_margin_leaves_obtuse_angles_alone():
    cosines = np.array([-0.9, -0.1, 0.1, 0.9], np.float32)
    expected = [-0.9, -0.1, *np.cos(np.arccos(cosines[2:].astype(float)) + 0.5)]
    np.testing.assert_allclose(ArcMargin(0.5, easy=True)(tf.constant(cosines)), expected, atol=1e-6)


def test_exact_slope_is_the_derivative_even_next_to_one():
    # With the cosines nearest to -1 and 1 that are not these; the expectation in float64.
    cosines = np.array([-BELOW_ONE, -0.999, -0.5, 0, 0.3, 0.99, 1 - 1e-6, BELOW_ONE], np.float32)
    angles = np.arccos(cosines.astype(np.float64))
    expected = np.sin(angles + 0.5) / np.sin(angles)
    np.testing.assert_allclose(slopes(ArcMargin(0.5, beyond_pi="none"), cosines), expected, rtol=1e-5)


def test_at_one_and_beyond_the_slope_is_that_of_the_nearest_cosine_inside():
    slope = slopes(ArcMargin(0.5, beyond_pi="none"), EDGES)
    np.testing.assert_allclose(slope[[0, 1]], slope[2], rtol=1e-5)
    np.testing.assert_allclose(slope[[5, 6]], slope[4], rtol=1e-3)
    assert slope[4] > 1000


def test_slopes_agree_with_the_measured_ones_of_arcface_torch():
    # Gradient of the loss by the cosine at angles 2.7 and 1.57 with scale 64, where the own probability is nearly 0:
    # truly +8.7 and -56.2, and -64 for both in arcface_torch, which detaches the margin.
    cosines = np.cos([2.7, 1.57])
    np.testing.assert_allclose(-64 * slopes(ArcMargin(beyond_pi="none"), cosines), [8.7, -56.2], atol=0.06)
    np.testing.assert_allclose(-64 * slopes(ArcMargin(gradient="detached"), cosines), [-64, -64])


def test_detaching_the_margin_does_not_change_the_value():
    cosines = tf.constant(np.linspace(-1, 1, 101), tf.float32)
    np.testing.assert_array_equal(ArcMargin(gradient="detached")(cosines), ArcMargin()(cosines))


@pytest.mark.parametrize("function", [angle, polynomial_angle])
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_angle_is_exact_where_float32_cosines_are(mode, function):
    inner = np.linspace(-BELOW_ONE, BELOW_ONE, 10001, dtype=np.float32)
    cosines = np.concatenate([[-1, 0, 1 - 1e-6, 1], inner, BELOW_ONE - 2.0**-24 * np.arange(1000)]).astype(np.float32)
    np.testing.assert_allclose(run(mode, function, tf.constant(cosines)), np.arccos(cosines.astype(float)), rtol=4e-7)
    np.testing.assert_allclose(run(mode, function, tf.constant([ABOVE_ONE, -ABOVE_ONE])), [0, math.pi], rtol=1e-6)


@pytest.mark.parametrize("function", [angle, polynomial_angle])
def test_the_slope_of_the_angle_is_that_of_arccos_and_finite_at_one(function):
    cosines = np.array([-0.9, 0.1, BELOW_ONE], np.float32)
    expected = -1 / np.sqrt(1 - cosines.astype(float) ** 2)
    with tf.GradientTape() as tape:
        variable = tf.Variable(np.append(cosines, [1.0, -1.0]), dtype=tf.float32)
        value = function(variable)
    slope = tape.gradient(value, variable).numpy()
    np.testing.assert_allclose(slope[:3], expected, rtol=1e-5)
    np.testing.assert_allclose(slope[3:], expected[2], rtol=1e-3)


def test_the_sine_does_not_lose_digits_near_one():
    cosine = np.float32(1 - 3e-7)
    expected = math.sqrt(1 - float(cosine) ** 2)
    np.testing.assert_allclose(sine(tf.constant(cosine)), expected, rtol=1e-6)


@pytest.mark.parametrize("margin", MARGINS, ids=describe)
def test_a_margin_comes_back_from_its_config(margin):
    again = keras.utils.deserialize_keras_object(keras.utils.serialize_keras_object(margin))
    assert type(again) is type(margin)
    assert again.get_config() == margin.get_config()
    cosines = tf.constant(np.linspace(-1, 1, 21), tf.float32)
    np.testing.assert_array_equal(again(cosines), margin(cosines))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: CosineMargin(1.0), r"margin must be a cosine in \[0, 1\), got 1.0"),
        (lambda: ArcMargin(-0.1), r"margin must be an angle in \[0, pi\) radians, got -0.1"),
        (lambda: ArcMargin(28.6), "got 28.6"),
        (lambda: ArcMargin(beyond_pi="clip"), "beyond_pi must be one of .*'reflect'.* got 'clip'"),
        (lambda: MultipliedMargin(0.5), "multiplier must be at least 1, got 0.5"),
        (lambda: CombinedMargin(angle_margin=4.0), r"angle_margin must be an angle in \[0, pi\) radians, got 4.0"),
        (lambda: LinearMargin(slope=0.0), "slope must be above 0 per radian, got 0.0"),
        (lambda: SineMargin(0.0), "factor must be above 0, got 0.0"),
        (lambda: ArcMargin(gradient="none"), "gradient must be one of .*'detached'.* got 'none'"),
    ],
)
def test_a_wrong_setting_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Facts B 2.1: angle in degrees, psi for m = 1, 2, 3, 4, and (5 cos + psi_4) / 6.
PSI = [
    (0, 1, 1, 1, 1, 1),
    (30, 0.866025, 0.5, 0, -0.5, 0.638355),
    (45, 0.707107, 0, -0.707107, -1, 0.422589),
    (60, 0.5, -0.5, -1, -1.5, 0.166667),
    (90, 0, -1, -2, -3, -0.5),
    (120, -0.5, -1.5, -3, -4.5, -1.166667),
    (150, -0.866025, -2.5, -4, -5.5, -1.638355),
    (180, -1, -3, -5, -7, -2),
]


@pytest.mark.parametrize("row", PSI, ids=lambda row: f"{row[0]} degrees")
def test_multiplied_margin_has_the_published_values_of_psi(row):
    degrees, *values = row
    cosine = tf.constant(math.cos(math.radians(degrees)), tf.float32)
    for multiplier, expected in enumerate(values[:4], start=1):
        np.testing.assert_allclose(MultipliedMargin(float(multiplier))(cosine), expected, atol=2e-6)
    np.testing.assert_allclose((5 * cosine + MultipliedMargin(4.0)(cosine)) / 6, values[4], atol=1e-6)


@pytest.mark.parametrize("multiplier", [1.0, 1.7, 2.0, 3.0, 4.0])
def test_the_slope_of_psi_is_its_derivative_and_goes_to_the_square_of_the_multiplier(multiplier):
    angles = np.array([0.3, 0.9, 1.4, 2.0, 2.9])
    piece = np.floor(multiplier * angles / np.pi)
    expected = (-1) ** piece * multiplier * np.sin(multiplier * angles) / np.sin(angles)
    np.testing.assert_allclose(slopes(MultipliedMargin(multiplier), np.cos(angles)), expected, rtol=2e-4, atol=2e-4)
    # cos(m t) is close to 1 - m^2 t^2 / 2 and cos t to 1 - t^2 / 2.
    np.testing.assert_allclose(slopes(MultipliedMargin(multiplier), [BELOW_ONE, 1.0]), multiplier**2, rtol=1e-3)


@pytest.mark.parametrize("settings", [(1.0, 0.5, 0.0), (1.0, 0.0, 0.35), (2.0, 0.3, 0.0), (1.35, 0.5, 0.2), (1, 0, 0)])
def test_all_three_combined_margins_count(settings):
    angles = np.linspace(0.01, (math.pi - settings[1]) / settings[0] - 0.01, 50)
    expected = np.cos(settings[0] * angles + settings[1]) - settings[2]
    np.testing.assert_allclose(CombinedMargin(*settings)(tf.constant(np.cos(angles))), expected, atol=2e-6)


def test_the_combined_margin_with_one_angle_margin_is_the_reflected_arc_margin():
    cosines = tf.constant(np.linspace(-1, 1, 401), tf.float32)
    combined, arc = CombinedMargin(1.0, 0.5, 0.0), ArcMargin(0.5, beyond_pi="reflect")
    np.testing.assert_allclose(combined(cosines), arc(cosines), atol=1e-6)


def test_linear_phi_has_huyas_values():
    # Facts B 3.3, by degrees.
    angles = np.radians([0, 30, 60, 90, 120, 180])
    expected = [0.877583, 0.418388, -0.040806, -0.5, -0.959194, -1.877583]
    np.testing.assert_allclose(LinearMargin()(tf.constant(np.cos(angles))), expected, atol=1e-6)


# Facts B 3.3: strictly decreasing, smallest and largest gap cos - phi, share of [0, pi] above the cosine.
HUYA = [
    (LinearMargin(), True, 0.1224, 0.8776, 0),
    (LinearMargin(0.6, 0.7), True, 0.3422, 0.6569, 0),
    (LinearMargin(0.5), True, 0.5, 1.2552, 0),
    (LinearMargin(math.cos(math.pi / 4), LINEAR_SLOPE), True, 0.2929, 1.0481, 0),
    (SineMargin(), True, 0, 1.125, 0),
    (LinearMargin(1 - 0.9 / math.pi, 2 / math.pi), True, 0.076, 0.497, 0),
    (LinearMargin(1.0, 2 / math.pi), True, -0.2105, 0.2105, 0.5),
    (LogarithmMargin(), True, -0.6101, 0.2969, 0.529),
    (ArcMargin(0.5, beyond_pi="none"), False, -0.1224, 0.4948, 0.08),
    (CosineMargin(0.35), True, 0.35, 0.35, 0),
    (MultipliedMargin(4.0), True, 0, 6, 0),
]


@pytest.mark.parametrize("margin, decreasing, smallest, largest, above", HUYA, ids=lambda value: None)
def test_huyas_two_principles_hold_where_the_table_says_so(margin, decreasing, smallest, largest, above):
    found = margin.principles()
    assert found.decreasing == decreasing
    assert found.penalises == (above == 0)
    np.testing.assert_allclose(found[2:4], [smallest, largest], atol=6e-5)
    np.testing.assert_allclose(found.share_above, above, atol=6e-4)


def test_arcfaces_fallbacks_beyond_pi_mend_both_principles():
    assert ArcMargin(0.5, beyond_pi="reflect").principles()[:2] == (True, True)
    assert ArcMargin(0.5).principles()[:2] == (True, True)
