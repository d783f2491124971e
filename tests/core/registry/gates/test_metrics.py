"""Thresholds of metrics and the worst of all seeds: edges, missing values, and what MLflow stores for infinity."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.registry.gates.rules import COMPARISONS, MetricRule, WorstSeedRule
from core.registry.gates.thresholds import judge_metrics
from core.registry.gates.types import GateResult
from core.registry.gates.worst_seed import judge_worst_seed
from tests.core.registry.gates.kit import a_run, evidence, verdict

SHARPE, FALL = MetricRule("sharpe", ">=", 1.0), MetricRule("max_drawdown", ">", -0.2)
UNUSABLE = [math.nan, math.inf, -math.inf, sys.float_info.max, -sys.float_info.max]


@pytest.mark.parametrize(
    ("comparison", "below", "at", "above"),
    [
        (">", False, False, True),
        (">=", False, True, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        ("=", False, True, False),
        ("!=", True, False, True),
    ],
)
def test_each_comparison_holds_where_it_says(comparison: str, below: bool, at: bool, above: bool) -> None:
    rule = MetricRule("m", comparison, 0.3)
    judged = [judge_metrics([rule], {"m": v}) for v in (math.nextafter(0.3, 0), 0.3, math.nextafter(0.3, 1))]
    assert [one.passed for one in judged] == [below, at, above]
    assert all(verdict(one) in ("passed", "failed") for one in judged)


def test_all_must_hold_and_those_that_do_not_are_named() -> None:
    good = judge_metrics([SHARPE, FALL], {"sharpe": 1.25, "max_drawdown": -0.1})
    assert good.reason == "Kept: sharpe is 1.25 (>= 1); max_drawdown is -0.1 (> -0.2)."
    assert verdict(good) == "passed"
    bad = judge_metrics([SHARPE, FALL], {"sharpe": 0.8, "max_drawdown": -0.1})
    assert bad.reason == "Not kept: sharpe is 0.8, >= 1 is asked for."
    assert [one["passed"] for one in evidence(bad)["metrics"]] == [False, True]
    both = judge_metrics([SHARPE, FALL], {"max_drawdown": -0.2})
    assert (
        both.reason
        == "Not kept: sharpe was not logged, >= 1 is asked for; max_drawdown is -0.2, > -0.2 is asked for."
    )


def test_a_value_just_below_is_not_written_as_if_it_were_enough() -> None:
    assert (
        judge_metrics([SHARPE], {"sharpe": 0.99999999}).reason
        == "Not kept: sharpe is 0.99999999, >= 1 is asked for."
    )


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("value", UNUSABLE)
def test_what_is_no_finite_number_never_holds(comparison: str, value: float) -> None:
    result = judge_metrics([MetricRule("m", comparison, 1.0)], {"m": value})
    assert verdict(result) == "failed"
    assert evidence(result)["metrics"][0]["passed"] is False


def seeds(*values: float | None, least: float | None = 0.5, most: float | None = None) -> GateResult:
    runs = [
        a_run(f"{n}" * 32, name=f"seed {n}", metrics={} if value is None else {"sharpe": value})
        for n, value in enumerate(values)
    ]
    return judge_worst_seed(WorstSeedRule("sharpe", least, most), runs, runs[0])


def test_the_worst_seed_decides_and_is_named() -> None:
    result = seeds(1.5, 0.4, 2.0)
    assert result.reason == (
        "The worst of 3 seeds, seed 1 (11111111), has sharpe 0.4; at least 0.5 is asked for."
    )
    assert verdict(result) == "failed"
    assert evidence(result)["worst"] == "1" * 32
    assert verdict(seeds(1.5, 0.5, 2.0)) == "passed"
    assert verdict(seeds(0.2, 0.5, least=None, most=0.5)) == "passed"
    high = seeds(0.2, 0.6, least=None, most=0.5)
    assert verdict(high) == "failed"
    assert "seed 1" in high.reason
    assert "at most 0.5" in high.reason


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9), st.floats(-1e6, 1e6))
def test_it_passes_where_every_seed_would(values: list[float], bound: float) -> None:
    assert seeds(*values, least=bound).passed is all(value >= bound for value in values)
    assert seeds(*values, least=None, most=bound).passed is all(value <= bound for value in values)


def test_one_seed_or_no_run_is_not_judged() -> None:
    assert verdict(seeds(1.5)) == "not judged"
    assert verdict(judge_worst_seed(WorstSeedRule("sharpe", 0.5), [a_run()], None)) == "not judged"
    run = a_run(metrics={"sharpe": 1.0})
    assert verdict(judge_worst_seed(WorstSeedRule("sharpe", 0.5), [run, run], run)) == "not judged", (
        "a run twice"
    )


def test_the_versions_own_run_counts_though_it_is_not_among_the_others() -> None:
    own, other = a_run("a" * 32, metrics={"sharpe": 0.1}), a_run("b" * 32, metrics={"sharpe": 1.0})
    assert not judge_worst_seed(WorstSeedRule("sharpe", 0.5), [other], own).passed


@pytest.mark.parametrize("value", [None, *UNUSABLE])
def test_a_seed_without_a_usable_value_fails_and_none_with_one_is_not_judged(value: float | None) -> None:
    result = seeds(1.5, value, 2.0)
    assert verdict(result) == "failed"
    assert "seed 1" in result.reason
    assert verdict(seeds(value, value)) == "not judged"


def test_a_run_without_a_name_is_called_by_its_id() -> None:
    runs = [a_run("c" * 32, name="", metrics={"sharpe": 0.0}), a_run("d" * 32, metrics={"sharpe": 1.0})]
    assert "cccccccc, has" in judge_worst_seed(WorstSeedRule("sharpe", 0.5), runs, runs[1]).reason
