"""Losses against those of pytorch-metric-learning, theirs in float64; skipped where it or torch is not installed."""

import math

import numpy as np
import pytest

from keras_face import losses
from keras_face.backend import tf
from keras_face.losses.sub_centres import dropped

REASON = "torch and pytorch-metric-learning are only needed for this comparison and are not installed"
torch = pytest.importorskip("torch", reason=REASON)
distances, miners, reducers, regularizers, theirs = (
    pytest.importorskip(f"pytorch_metric_learning.{module}", reason=REASON)
    for module in ("distances", "miners", "reducers", "regularizers", "losses")
)

IDENTITIES, SIZE, SCALE, SUB_CENTRES = 6, 8, 16.0, 3
HEAD = {"num_identities": IDENTITIES}
THEIR_HEAD = {"num_classes": IDENTITIES, "embedding_size": SIZE}
NO_ANNEALING = {"lambda_base": 0.0, "lambda_min": 0.0}


def values_of_ours(layer, embeddings, labels, prototypes):
    """Returns the mean loss and its gradients by the embeddings and by what the layer trains."""
    embeddings = tf.constant(embeddings)
    layer.build(embeddings.shape)
    if prototypes is not None:
        layer.weights[0].assign(prototypes)
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        value = tf.reduce_mean(layer(embeddings, tf.constant(labels)))
    gradients = tape.gradient(value, [embeddings, *layer.trainable_weights])
    return [tf.convert_to_tensor(each).numpy() for each in (value, *gradients)]


def values_of_theirs(function, embeddings, labels, prototypes):
    """Returns the value of a function of embeddings, labels and prototypes, and its gradients by the first and last."""
    arrays = [embeddings] if prototypes is None else [embeddings, prototypes]
    tensors = [torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in arrays]
    value = function(tensors[0], torch.tensor(labels), *tensors[1:])
    return [each.detach().numpy() for each in (value, *torch.autograd.grad(value, tensors))]


def assert_same(layer, function, embeddings, labels, prototypes=None):
    """Asserts one value and one gradient by embeddings, and by prototypes if they are given."""
    ours, expected = (
        values(each, embeddings, labels, prototypes)
        for values, each in ((values_of_ours, layer), (values_of_theirs, function))
    )
    assert expected[0] > 0.01
    np.testing.assert_allclose(ours[0], expected[0], rtol=1e-5)
    for gradient, expected_gradient in zip(ours[1:], expected[1:], strict=True):
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-4, atol=1e-5 * np.abs(expected_gradient).max())


# With prototypes


def batch_at_all_angles(sub_centres=1, seed=0):
    """Returns embeddings at angles from near 0 to near pi with the prototype of their label, labels and prototypes."""
    random = np.random.default_rng(seed)
    prototypes = random.normal(size=(IDENTITIES * sub_centres, SIZE))
    angles = np.linspace(0.1, math.pi - 0.1, 60)
    labels = np.arange(len(angles)) % IDENTITIES
    along = prototypes[labels * sub_centres]
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    across = random.normal(size=along.shape)
    across -= (across * along).sum(1, keepdims=True) * along
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    lengths = random.uniform(0.5, 3.0, size=(len(angles), 1))
    embeddings = lengths * (np.cos(angles)[:, np.newaxis] * along + np.sin(angles)[:, np.newaxis] * across)
    return embeddings.astype(np.float32), labels, prototypes.astype(np.float32)


def trained(make, **settings):
    """Returns the function that a loss with weights [size, identities] is of embeddings, labels and prototypes."""

    def value(embeddings, labels, prototypes):
        loss = make(**THEIR_HEAD, **settings)
        return torch.func.functional_call(loss, {"W": prototypes.T}, (embeddings, labels))

    return value


def referred(loss, miner=None):
    """Returns the function that a loss between examples is if the prototypes are what embeddings are compared with."""

    def value(embeddings, labels, prototypes):
        rows = torch.arange(len(prototypes))
        mined = miner(embeddings, labels, prototypes, rows) if miner else None
        return loss(embeddings, labels, mined, prototypes, rows)

    return value


def plain_softmax(embeddings, labels, prototypes):
    # Proxy-NCA is a cross-entropy of similarities. Their NormalizedSoftmaxLoss always normalises the prototypes.
    loss = theirs.ProxyNCALoss(**THEIR_HEAD, distance=distances.DotProductSimilarity(normalize_embeddings=False))
    return torch.func.functional_call(loss, {"proxies": prototypes}, (embeddings, labels))


# ArcFace: beyond pi - margin both take cosine - margin sin(margin). Their SphereFaceLoss scales by the length of the
# embedding, their LargeMarginSoftmaxLoss by that and by the length of the prototype, and neither anneals. They have
# none of the other heads; P2SGradLoss and SoftTripleLoss we have not.
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")  # their binomials
@pytest.mark.parametrize(
    ("name", "settings", "function"),
    [
        ("softmax", {}, plain_softmax),
        ("norm_softmax", {"scale": SCALE}, trained(theirs.NormalizedSoftmaxLoss, temperature=1 / SCALE)),
        ("cosface", {"scale": SCALE, "margin": 0.35}, trained(theirs.CosFaceLoss, margin=0.35, scale=SCALE)),
        (
            "arcface",
            {"scale": SCALE, "margin": 0.5},
            trained(theirs.ArcFaceLoss, margin=math.degrees(0.5), scale=SCALE),
        ),
        (
            "arcface",
            {"scale": SCALE, "margin": 1.3},
            trained(theirs.ArcFaceLoss, margin=math.degrees(1.3), scale=SCALE),
        ),
        (
            "combined",
            {"scale": SCALE, "angle_margin": 0.0, "cosine_margin": 0.2},
            trained(theirs.CosFaceLoss, margin=0.2, scale=SCALE),
        ),
        ("a_softmax", NO_ANNEALING, trained(theirs.SphereFaceLoss, margin=4)),
        ("a_softmax", NO_ANNEALING | {"multiplier": 3}, trained(theirs.SphereFaceLoss, margin=3)),
        ("l_softmax", NO_ANNEALING, trained(theirs.LargeMarginSoftmaxLoss, margin=4)),
        (
            "l_softmax",
            NO_ANNEALING | {"multiplier": 2, "scale": 0.5},
            trained(theirs.LargeMarginSoftmaxLoss, margin=2, scale=0.5),
        ),
        # Of an embedding and all prototypes, pair losses are losses of a head.
        ("class_circle", {"margin": 0.25, "scale": 64.0}, referred(theirs.CircleLoss(m=0.25, gamma=64))),
        (
            "margin_loss",
            {},
            referred(
                theirs.TripletMarginLoss(margin=2, distance=distances.CosineSimilarity()),
                miners.BatchHardMiner(distance=distances.CosineSimilarity()),
            ),
        ),
    ],
)
def test_a_head_is_theirs(name, settings, function):
    assert_same(losses.get(name, **HEAD, **settings), function, *batch_at_all_angles())


def test_subcentre_arcface_is_theirs():
    function = trained(theirs.SubCenterArcFaceLoss, margin=math.degrees(0.5), scale=SCALE, sub_centers=SUB_CENTRES)
    layer = losses.get("subcentre_arcface", **HEAD, scale=SCALE, margin=0.5, sub_centres=SUB_CENTRES)
    assert_same(layer, function, *batch_at_all_angles(SUB_CENTRES))


@pytest.mark.parametrize("degrees", [75, 50])
def test_what_is_dropped_are_their_outliers(degrees):
    embeddings, labels, prototypes = batch_at_all_angles(SUB_CENTRES)
    loss = theirs.SubCenterArcFaceLoss(**THEIR_HEAD, sub_centers=SUB_CENTRES)
    loss.W.data = torch.tensor(prototypes.T)
    expected, _ = loss.get_outliers(torch.tensor(embeddings), torch.tensor(labels), threshold=degrees)
    ours = dropped(embeddings, labels, prototypes, SUB_CENTRES, math.radians(degrees))
    assert 0 < ours.sum() < len(labels)
    np.testing.assert_array_equal(np.flatnonzero(ours), np.sort(expected.numpy()))


# They have no centre loss; but contrastive loss with the centres is one, as long as negatives cost nothing: it is a
# mean over the pairs that cost something.


def test_angular_centre_is_their_contrastive_loss_of_cosines():
    layer = losses.get("angular_centre", head=losses.get("norm_softmax", **HEAD), scale=1.0)
    loss = theirs.ContrastiveLoss(pos_margin=1, neg_margin=1, distance=distances.CosineSimilarity())
    assert_same(layer, referred(loss), *batch_at_all_angles())


@pytest.mark.parametrize("normalise", [False, True])
def test_centre_loss_is_half_their_contrastive_loss_of_squared_distances(normalise):
    embeddings, labels, centres = batch_at_all_angles()
    if normalise:  # theirs would normalise both
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    layer = losses.get("centre_loss", **HEAD, normalise=normalise)
    distance = distances.LpDistance(power=2, normalize_embeddings=normalise)
    contrastive = referred(theirs.ContrastiveLoss(pos_margin=0, neg_margin=0, distance=distance))
    ours, by_embeddings = values_of_ours(layer, embeddings, labels, centres)
    # No gradient moves our centres.
    expected, expected_by_embeddings, _ = values_of_theirs(contrastive, embeddings, labels, centres)
    np.testing.assert_allclose(ours, expected / 2, rtol=1e-5)
    np.testing.assert_allclose(by_embeddings, expected_by_embeddings / 2, rtol=1e-4, atol=1e-6)


# Between examples


def batch_of(labels, spread=1.0, seed=1):
    """Returns loosely clustered embeddings of different lengths in random order, and their labels."""
    random = np.random.default_rng(seed)
    labels = random.permutation(labels)
    embeddings = random.normal(size=(labels.max() + 1, SIZE))[labels] + spread * random.normal(size=(len(labels), SIZE))
    embeddings *= random.uniform(0.5, 2.0, size=(len(labels), 1))
    return embeddings.astype(np.float32), labels


FOUR_EACH = np.repeat(np.arange(IDENTITIES), 4)
UNEVEN_WITH_LONE = np.array([0] * 6 + [1] * 5 + [2] * 3 + [3] * 2 + [4] * 2 + [5])


class Angle(distances.LpDistance):
    """The angle between unit vectors; no gradient at 0, for the diagonal."""

    def compute_mat(self, query_emb, ref_emb):
        return torch.acos((query_emb @ ref_emb.T).clamp(max=1 - 1e-12))


def hardest(distance, **settings):
    """Returns their triplet loss of the hardest, a mean over the anchors with a positive and a negative, like ours."""
    loss = theirs.TripletMarginLoss(distance=distance, reducer=reducers.MeanReducer(), **settings)
    miner = miners.BatchHardMiner(distance=distance)
    return lambda embeddings, labels: loss(embeddings, labels, miner(embeddings, labels))


@pytest.mark.parametrize("labels", [FOUR_EACH, UNEVEN_WITH_LONE], ids=["even", "lone"])
@pytest.mark.parametrize(
    ("name", "settings", "function"),
    [
        ("batch_hard_triplet", {"margin": 0.3}, hardest(distances.LpDistance(), margin=0.3)),
        ("batch_hard_triplet", {"margin": 0.3, "squared": True}, hardest(distances.LpDistance(power=2), margin=0.3)),
        ("soft_margin_triplet", {}, hardest(distances.LpDistance(), margin=0, smooth_loss=True)),
        ("soft_margin_triplet", {"squared": True}, hardest(distances.LpDistance(power=2), margin=0, smooth_loss=True)),
        ("angular_triplet", {"margin": 0.35}, hardest(Angle(), margin=0.35)),
        # The mean over what costs something is their default (AvgNonZeroReducer), for triplets and for circle loss.
        ("batch_all_triplet", {"margin": 0.3}, theirs.TripletMarginLoss(margin=0.3)),
        (
            "batch_all_triplet",
            {"margin": 0.3, "squared": True},
            theirs.TripletMarginLoss(margin=0.3, distance=distances.LpDistance(power=2)),
        ),
        ("pair_circle", {"margin": 0.4, "scale": 80.0}, theirs.CircleLoss(m=0.4, gamma=80)),
        ("pair_circle", {"margin": 0.25, "scale": 256.0}, theirs.CircleLoss(m=0.25, gamma=256)),
    ],
)
def test_a_loss_between_examples_is_theirs(name, settings, function, labels):
    assert_same(losses.get(name, **settings), function, *batch_of(labels))


@pytest.mark.parametrize("labels", [FOUR_EACH, UNEVEN_WITH_LONE], ids=["even", "lone"])
@pytest.mark.parametrize("mining_margin", [0.1, 0.0])
def test_multi_similarity_is_theirs_with_their_miner(mining_margin, labels):
    loss, miner = theirs.MultiSimilarityLoss(alpha=2, beta=50, base=0.5), miners.MultiSimilarityMiner(mining_margin)
    counting = (np.bincount(labels)[labels] > 1).mean()  # their mean counts an anchor without a positive, as 0

    def function(embeddings, labels):
        return loss(embeddings, labels, miner(embeddings, labels)) / counting

    layer = losses.get("multi_similarity", mining_margin=mining_margin)
    assert_same(layer, function, *batch_of(labels, spread=0.7))


# On pairs. With more images of a label, both take one positive and one negative of each label, but others: theirs are
# of one pair of each label, ours make every image an anchor.

PAIRS = np.tile(np.arange(5), 2)


def pairs(spread=1.0):
    """Returns embeddings of which the first half and the second are the two of each pair, and labels."""
    embeddings, labels = batch_of(PAIRS, spread)
    order = np.argsort(labels, kind="stable").reshape(-1, 2).T.ravel()
    return embeddings[order], labels[order]


def both_ways(loss):
    """Returns the mean of their loss with the first of each pair as anchors, and with the second."""

    def value(embeddings, labels):
        return (loss(embeddings, labels) + loss(embeddings.flip(0), labels.flip(0))) / 2

    return value


@pytest.mark.parametrize("l2_weight", [0.0, 0.02])
def test_n_pair_is_theirs_both_ways(l2_weight):
    loss = theirs.NPairsLoss(
        distance=distances.DotProductSimilarity(normalize_embeddings=False),
        # A quarter of the squares of both of a pair is half of the mean square.
        embedding_regularizer=regularizers.LpRegularizer(power=2),
        embedding_reg_weight=l2_weight / 2,
    )
    assert_same(losses.get("n_pair", l2_weight=l2_weight), both_ways(loss), *pairs())


def test_relative_distance_is_their_n_pairs_loss_of_distances_both_ways():
    loss = theirs.NPairsLoss(distance=distances.LpDistance())
    assert_same(losses.get("relative_distance"), both_ways(loss), *pairs())


def test_hardnet_without_swap_is_their_hardest_triplet():
    function = hardest(distances.LpDistance(), margin=0.8)
    assert_same(losses.get("hardnet", margin=0.8, anchor_swap=False), function, *pairs())


def test_hardnet_is_the_larger_of_the_hardest_triplets_of_a_pair():
    # Their own `swap` looks from the positive only at the anchor's nearest negative, not at its own.
    loss = theirs.TripletMarginLoss(margin=0.8, reducer=reducers.DoNothingReducer())
    miner = miners.BatchHardMiner()

    def function(embeddings, labels):
        costs = loss(embeddings, labels, miner(embeddings, labels))["loss"]["losses"]
        return torch.maximum(costs, costs.roll(len(costs) // 2)).mean()

    assert_same(losses.get("hardnet", margin=0.8), function, *pairs())


@pytest.mark.parametrize("squared", [False, True])
def test_semi_hard_is_theirs_where_all_pairs_have_a_semi_hard_negative(squared):
    # Theirs drops a pair that has none, ours takes the farthest; and theirs knows one positive of an anchor.
    distance = distances.LpDistance(power=2 if squared else 1)
    loss = theirs.TripletMarginLoss(margin=1.5, distance=distance, reducer=reducers.MeanReducer())
    miner = miners.BatchEasyHardMiner(pos_strategy="hard", neg_strategy="semihard", distance=distance)

    def function(embeddings, labels):
        mined = miner(embeddings, labels)
        assert len(mined[0]) == len(labels)
        return loss(embeddings, labels, mined)

    assert_same(losses.get("semi_hard_triplet", margin=1.5, squared=squared), function, *pairs(spread=0.5))
