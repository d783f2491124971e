"""Walk-forward splits: in time order, without overlap, the held-out part last."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInputError
from core.training.rl.split import Part, walk_forward


def test_one_fold_is_train_validation_test() -> None:
    (fold,) = walk_forward(100, 1100, validation=0.2, test=0.1)
    assert (fold.train, fold.validation, fold.test) == (Part(100, 800), Part(800, 1000), Part(1000, 1100))


@given(
    start=st.integers(0, 500),
    total=st.integers(300, 5000),
    validation=st.floats(0.05, 0.2),
    test=st.floats(0.05, 0.15),
    folds=st.integers(1, 3),
)
def test_folds_walk_forward_and_never_look_back_into_a_test(
    start: int, total: int, validation: float, test: float, folds: int
) -> None:
    found = walk_forward(start, start + total, validation, test, folds)
    assert len(found) == folds
    for fold in found:
        assert fold.train.start == start
        assert fold.train.stop == fold.validation.start and fold.validation.stop == fold.test.start
    # The tests follow each other without a gap, up to the last bar.
    for before, after in pairwise(found):
        assert before.test.stop == after.test.start
    assert found[-1].test.stop == start + total


@pytest.mark.parametrize("given_", [(0, 40), (100, 130)])
def test_too_few_bars_are_refused_with_what_is_needed(given_: tuple[int, int]) -> None:
    with pytest.raises(BadInputError, match=r"usable bars are too few for 1 fold: .* 30, 5 and 5 are needed"):
        walk_forward(*given_)


def test_shares_that_leave_nothing_are_refused() -> None:
    with pytest.raises(BadInputError, match="too few"):
        walk_forward(0, 1000, 0.5, 0.5)
    with pytest.raises(BadInputError, match="between 0 and 1"):
        walk_forward(0, 1000, 0.0, 0.5)
