"""The verdict card: which word, which sentence, and what it rests on."""

from __future__ import annotations

import math
from typing import Any

import pytest

from core.registry.gates.rules import Gate
from core.registry.gates.types import GateResult
from core.training.schedule.types import VerdictWord
from core.training.schedule.verdict import compare

BACKTEST: dict[str, Any] = {
    "kind": "backtest",
    "sharpe_new": 1.4,
    "sharpe_old": 1.1,
    "low": 0.1,
    "high": 0.5,
    "confidence": 0.95,
    "max_drawdown_new": -0.08,
    "max_drawdown_old": -0.1,
}
FORECAST: dict[str, Any] = {
    "kind": "forecast",
    "measure": "wape",
    "improved": 5,
    "worse": 2,
    "same": 3,
    "lost": 0,
    "wape_old": 0.2,
    "wape_new": 0.15,
}


def champion_gate(evidence: dict[str, Any], **changes: Any) -> tuple[GateResult, ...]:
    return (
        GateResult(Gate.SMOKE, True, "It predicts."),
        GateResult(Gate.CHAMPION, True, "Well.", {**evidence, **changes}),
    )


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, VerdictWord.BETTER),
        ({"low": -0.5, "high": -0.01}, VerdictWord.WORSE),
        ({"low": -0.5, "high": 0.5}, VerdictWord.BETTER),  # the drawdown tells them apart
        ({"low": -0.5, "high": 0.5, "max_drawdown_new": -0.2}, VerdictWord.WORSE),
        ({"low": -0.5, "high": 0.5, "max_drawdown_new": -0.1}, VerdictWord.SAME),
        ({"low": 0.1, "high": 0.5, "max_drawdown_new": -0.2}, VerdictWord.BETTER),
        ({"low": -0.5, "high": 0.5, "max_drawdown_new": None}, VerdictWord.SAME),
        ({"low": 0.0, "high": 0.0, "max_drawdown_new": -0.1}, VerdictWord.SAME),
    ],
)
def test_a_backtest(changes: dict[str, Any], word: VerdictWord) -> None:
    assert compare(champion_gate(BACKTEST, **changes), 3, {}, {}).word is word


def test_the_sentence_says_where() -> None:
    verdict = compare(champion_gate(BACKTEST, max_drawdown_new=-0.2), 3, {}, {})
    assert verdict.sentence == (
        "Better than the champion v3: better in Sharpe ratio (1.4 against 1.1, 95 % interval of the difference 0.1 to "
        "0.5); worse in maximum drawdown (-20 % against -10 %)."
    )
    assert [gate[:2] for gate in verdict.gates] == [("smoke", True), ("champion", True)]
    worse = compare(champion_gate(BACKTEST, low=-0.4, high=-0.1, max_drawdown_new=-0.05), 3, {}, {})
    assert worse.sentence.startswith("Worse than the champion v3: worse in Sharpe ratio (")
    same = compare(champion_gate(BACKTEST, low=-0.4, high=0.1, max_drawdown_new=-0.1), 3, {}, {})
    assert same.sentence.startswith("As good as the champion v3: the same in Sharpe ratio (")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, VerdictWord.BETTER),
        ({"wape_new": 0.25}, VerdictWord.WORSE),
        ({"wape_new": 0.2001}, VerdictWord.BETTER),
        ({"wape_new": 0.2001, "lost": 4}, VerdictWord.WORSE),
        ({"wape_new": 0.2001, "lost": 3}, VerdictWord.SAME),
    ],
)
def test_forecasts(changes: dict[str, Any], word: VerdictWord) -> None:
    assert compare(champion_gate(FORECAST, **changes), 3, {}, {}).word is word


@pytest.mark.parametrize(
    ("own", "others", "word"),
    [
        ({"sharpe": 2.0}, {"sharpe": 1.0}, VerdictWord.BETTER),
        ({"rmse": 2.0}, {"rmse": 1.0}, VerdictWord.WORSE),
        ({"rmse": 1.005}, {"rmse": 1.0}, VerdictWord.SAME),
        ({"rmse": 0.0}, {"rmse": 0.0}, VerdictWord.SAME),
        ({"sharpe": 2.0, "rmse": 2.0}, {"sharpe": 1.0, "rmse": 1.0}, VerdictWord.SAME),
        ({"sharpe": 2.0, "r2": 0.9, "mae": 2.0}, {"sharpe": 1.0, "r2": 0.5, "mae": 1.0}, VerdictWord.BETTER),
        # Fitting the training data better counts for nothing where there is something else to go by.
        ({"train_r2": 0.99, "test_r2": 0.4}, {"train_r2": 0.5, "test_r2": 0.5}, VerdictWord.WORSE),
        ({"train_r2": 0.99}, {"train_r2": 0.5}, VerdictWord.BETTER),
        # Nothing here says how good the model is.
        ({"training_duration": 5.0}, {"training_duration": 1.0}, VerdictWord.UNKNOWN),
        (
            {"buy_and_hold_sharpe": 5.0, "flat_return": 0.1},
            {"buy_and_hold_sharpe": 1.0, "flat_return": 0.2},
            VerdictWord.UNKNOWN,
        ),
        ({"something": 5.0}, {"something": 1.0}, VerdictWord.UNKNOWN),
        ({"sharpe": 2.0}, {"rmse": 1.0}, VerdictWord.UNKNOWN),
        ({"sharpe": math.nan}, {"sharpe": 1.0}, VerdictWord.UNKNOWN),
        ({}, {}, VerdictWord.UNKNOWN),
    ],
)
def test_metrics_where_no_gate_has_compared_them(
    own: dict[str, float], others: dict[str, float], word: VerdictWord
) -> None:
    verdict = compare((), 3, own, others)
    assert verdict.word is word
    assert all(point.difference is not None for point in verdict.points)


def test_a_drawdown_is_read_by_its_sign() -> None:
    assert compare((), 3, {"max_drawdown": -0.1}, {"max_drawdown": -0.2}).word is VerdictWord.BETTER
    assert compare((), 3, {"max_drawdown": 0.1}, {"max_drawdown": 0.2}).word is VerdictWord.BETTER


def test_what_the_gate_could_not_judge_is_left_to_the_metrics() -> None:
    gates = champion_gate(BACKTEST, low=None, high=None, sharpe_new=None)
    assert compare(gates, 3, {"sharpe": 1.0}, {"sharpe": 2.0}).word is VerdictWord.WORSE
    assert compare((GateResult(Gate.CHAMPION, False, "No."),), 3, {}, {}).word is VerdictWord.UNKNOWN


def test_many_metrics_are_cut_with_those_first_that_differ_most() -> None:
    own = {f"r2_{one}": 0.5 + 0.05 * int(one) for one in "12345"}
    verdict = compare((), 3, own, dict.fromkeys(own, 0.5))
    assert verdict.sentence == (
        "Better than the champion v3: better in r2_5 (0.75 against 0.5), r2_4 (0.7 against 0.5), "
        "r2_3 (0.65 against 0.5) and 2 more."
    )
    assert len(verdict.points) == 5


def test_without_a_champion_it_is_the_first() -> None:
    verdict = compare((), None, {"sharpe": 1.0}, {})
    assert (verdict.word, verdict.sentence) == (VerdictWord.FIRST, "There is no champion to compare with.")
