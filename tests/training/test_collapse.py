import logging

import pytest

from keras_face.training.collapse import CollapseAlarm

MARGIN = 0.3


def numbers(loss, active, distance):
    return {"triplet": loss, "active_triplets": active, "negative_distance": distance}


def updates(steps):
    alarm = CollapseAlarm("triplet", MARGIN)
    return [alarm.update(step, numbers(*each)) for step, each in enumerate(steps, start=1)]


def test_a_run_whose_embeddings_become_one_is_warned_of_once(caplog):
    healthy = [(0.45, 0.9, 0.8)] * 20
    collapsing = [(0.3 + 0.1 * 0.8**step, 1.0, 0.8 * 0.8**step) for step in range(60)]
    with caplog.at_level(logging.WARNING, "keras_face"):
        found = updates(healthy + collapsing)
    assert not any(found[:20])
    assert all(found[-20:])
    assert found == sorted(found)
    (record,) = caplog.records
    assert "the embeddings collapse" in record.getMessage()
    assert f"step {found.index(True) + 1}:" in record.getMessage()


def test_a_network_that_recovers_and_collapses_again_is_warned_of_again(caplog):
    collapsed, healthy = [(0.3, 1.0, 0.01)] * 60, [(0.1, 0.5, 0.9)] * 60
    with caplog.at_level(logging.WARNING, "keras_face"):
        found = updates(healthy + collapsed + healthy + collapsed)
    assert [found[step] for step in (59, 119, 179, 239)] == [False, True, False, True]
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    "steps",
    [
        [(0.3, 1.0, 0.9)] * 50,  # a fresh network: positives as far as negatives, but far
        [(0.05, 0.2, 0.9 - 0.01 * step) for step in range(60)],  # it learns, embeddings come nearer
        [(0.6, 1.0, 0.9)] * 20 + [(0.6, 1.0, 0.3)] * 50,  # a loss above that of a collapse
    ],
)
def test_a_loss_near_the_margin_or_a_shrinking_distance_alone_is_no_collapse(steps, caplog):
    assert not any(updates(steps))
    assert not caplog.records
