"""Every registered loss goes through `keras_face.testing`; a new one needs an entry in CASES, with its oracle."""

import loss_cases_heads
import loss_cases_terms
import loss_cases_triplets
import pytest

from keras_face import losses
from keras_face.testing import loss_checks

pytestmark = pytest.mark.gpu

CASES = loss_cases_heads.CASES | loss_cases_terms.CASES | loss_cases_triplets.CASES


@pytest.mark.parametrize("name", losses.names())
def test_a_registered_loss_has_an_oracle(name):
    assert CASES[name].oracle is not None


OF_LABELS = (loss_checks.check_wrong_labels, loss_checks.check_wrong_labels_under_xla)


def case_and_checks():
    for check in loss_checks.LOSS_CHECKS:
        for name, case in CASES.items():
            if check is loss_checks.check_gradients and not case.differentiable:
                continue
            if (
                check in (loss_checks.check_wrong_labels, loss_checks.check_wrong_labels_under_xla)
                and case.label_range is None
            ):
                continue
            yield pytest.param(case, check, id=f"{check.__name__.removeprefix('check_')}-{name}")


@pytest.mark.parametrize("case, check", list(case_and_checks()))
def test_a_loss_conforms(case, check):
    check(case)
