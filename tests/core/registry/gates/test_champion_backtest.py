"""A backtest against the champion's: the common window, both ways of asking, and drawdowns."""

from __future__ import annotations

import numpy as np
import pytest

from core.backtests.types import EquityCurve
from core.registry.gates.champion_backtest import judge_backtest
from core.registry.gates.rules import BacktestRule, Require
from tests.core.registry.gates.kit import a_curve, evidence, verdict

NOISE = np.random.default_rng(1).normal(0.0, 0.01, 1000)
CHAMPION = a_curve(NOISE + 0.0002)
LOOSE = BacktestRule(resamples=200, drawdown_slack=1.0)
SURE = BacktestRule(require=Require.BETTER, resamples=200, drawdown_slack=1.0)


def test_without_a_champion_it_passes_and_says_so() -> None:
    result = judge_backtest(CHAMPION, None, BacktestRule())
    assert result.reason == "There is no champion to compare with."
    assert verdict(result) == "passed"


def test_a_backtest_against_itself_is_not_worse_and_not_better() -> None:
    assert (
        verdict(judge_backtest(CHAMPION, CHAMPION, BacktestRule(resamples=200, drawdown_slack=0))) == "passed"
    )
    result = judge_backtest(CHAMPION, CHAMPION, SURE)
    assert verdict(result) == "failed"
    assert "not surely above 0" in result.reason


def test_leverage_that_only_rounds_is_not_worse() -> None:
    levered = a_curve(3.0 * CHAMPION.returns)
    result = judge_backtest(levered, CHAMPION, LOOSE)
    assert abs(evidence(result)["sharpe_difference"]) < 1e-9
    assert verdict(result) == "passed"


def test_a_little_better_is_not_worse_and_not_surely_better_but_a_lot_is() -> None:
    other = np.random.default_rng(2).normal(0, 0.01, 1000)
    for edge, verdicts in ((0.0005, ["passed", "failed"]), (0.003, ["passed", "passed"])):
        new = a_curve(other - other.mean() + NOISE.mean() + 0.0002 + edge)
        assert [verdict(judge_backtest(new, CHAMPION, rule)) for rule in (LOOSE, SURE)] == verdicts


def test_worse_is_forgiven_only_where_it_is_sure_that_it_is_not_worse_by_more_than_the_slack() -> None:
    new = a_curve(NOISE + 0.0002 - 0.00005 + np.random.default_rng(3).normal(0, 0.0005, 1000))
    strict = judge_backtest(new, CHAMPION, LOOSE)
    low = evidence(strict)["low"]
    assert evidence(strict)["sharpe_difference"] < 0
    assert verdict(strict) == "failed"
    assert "which is worse" in strict.reason
    for slack, expected in ((-low + 0.01, "passed"), (-low - 0.01, "failed")):
        rule = BacktestRule(resamples=200, drawdown_slack=1.0, sharpe_slack=slack)
        assert verdict(judge_backtest(new, CHAMPION, rule)) == expected


@pytest.mark.parametrize(("slack", "expected"), [(0.0999, "failed"), (0.1, "passed")])
def test_a_drawdown_may_be_deeper_by_the_slack_and_no_more(slack: float, expected: str) -> None:
    up = np.tile([0.012, 0.008], 30)
    old, new = up.copy(), up + 0.004
    old[30], new[30] = -0.2, -0.3
    # The new one has the higher ratio all the same.
    new[31:] += 0.02
    rule = BacktestRule(resamples=100, drawdown_slack=slack)
    result = judge_backtest(a_curve(new), a_curve(old), rule)
    assert evidence(result)["max_drawdown_new"] == pytest.approx(-0.3)
    assert evidence(result)["max_drawdown_old"] == pytest.approx(-0.2)
    assert evidence(result)["sharpe_difference"] > 0
    assert verdict(result) == expected
    assert ("deeper by more than" in result.reason) is (expected == "failed")


def test_a_loss_in_the_first_step_is_a_drawdown() -> None:
    returns = np.r_[-0.5, np.tile([0.01, 0.02], 20)]
    result = judge_backtest(a_curve(returns), a_curve(np.r_[0.01, returns[1:]]), BacktestRule(resamples=100))
    assert evidence(result)["max_drawdown_new"] == pytest.approx(-0.5)
    assert verdict(result) == "failed"


def test_only_the_time_that_both_have_counts() -> None:
    early, common, late = NOISE[:200] - 0.05, NOISE[200:600], NOISE[600:] + 0.05
    old = a_curve(np.r_[early, common], "2019-06-15")
    new = a_curve(np.r_[common + 0.001, late], "2020-01-01")
    found = evidence(judge_backtest(new, old, LOOSE))
    assert (found["start"], found["end"]) == ("2020-01-01T00:00:00+00:00", "2021-02-04T00:00:00+00:00")
    assert (found["n"], found["new_points"], found["old_points"]) == (400, len(new), len(old))
    alone = evidence(judge_backtest(a_curve(common + 0.001), a_curve(common), LOOSE))
    for key in ("sharpe_new", "sharpe_old", "low", "high", "max_drawdown_new", "max_drawdown_old"):
        assert found[key] == pytest.approx(alone[key])
    assert found["sharpe_new"] < 5, "what came after would have raised it"


def test_a_weekly_champion_is_compared_week_by_week() -> None:
    daily = a_curve(np.r_[NOISE[:700]])
    weekly = EquityCurve(daily.times[::7], daily.values[::7])
    result = judge_backtest(daily, weekly, LOOSE)
    found = evidence(result)
    assert (found["n"], found["periods_per_year"]) == (100, 52)
    assert found["sharpe_new"] == found["sharpe_old"]
    assert verdict(result) == "passed"


def test_returns_a_year_and_the_riskless_rate_can_be_set() -> None:
    rule = BacktestRule(resamples=100, drawdown_slack=1, periods_per_year=100, risk_free=0.5)
    found = evidence(judge_backtest(CHAMPION, CHAMPION, rule))
    assert (found["periods_per_year"], found["risk_free"]) == (100, 0.5)
    assert found["sharpe_new"] < evidence(judge_backtest(CHAMPION, CHAMPION, LOOSE))["sharpe_new"]


@pytest.mark.parametrize("returns", [NOISE[:19], np.full(100, 0.001)])
def test_too_little_in_common_or_nothing_that_varies_is_not_judged(returns: np.ndarray) -> None:
    assert verdict(judge_backtest(a_curve(returns), CHAMPION, LOOSE)) == "not judged"


def test_twenty_returns_in_common_are_enough_and_none_are_not() -> None:
    assert verdict(judge_backtest(a_curve(NOISE[:20] + 0.01), CHAMPION, LOOSE)) == "passed"
    assert verdict(judge_backtest(a_curve(NOISE[:50], "1999-01-01"), CHAMPION, LOOSE)) == "not judged"


def test_a_ruined_version_fails() -> None:
    ruined = a_curve(np.r_[NOISE[:100], -1.0])
    result = judge_backtest(ruined, CHAMPION, BacktestRule(resamples=200))
    assert evidence(result)["max_drawdown_new"] == -1
    assert verdict(result) == "failed"
