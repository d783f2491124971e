from __future__ import annotations

import math
from typing import Any

import pytest

from core.registry.gates.rules import MetricRule
from core.registry.monitoring.configuration import WatchRules
from core.registry.monitoring.judging import Verdict, judge_live

RULES = WatchRules((MetricRule("sharpe", ">=", 0.5), MetricRule("max_drawdown", ">", -0.15)))


@pytest.mark.parametrize(
    ("metrics", "measures", "verdict"),
    [
        ({"sharpe": 0.6, "max_drawdown": -0.1}, None, Verdict.KEPT),
        ({"sharpe": 0.4, "max_drawdown": -0.1}, None, Verdict.BROKEN),
        ({"sharpe": 0.4}, None, Verdict.BROKEN),
        ({"sharpe": 0.6}, None, Verdict.NOT_JUDGED),
        ({"sharpe": math.nan, "max_drawdown": -0.1}, None, Verdict.NOT_JUDGED),
        ({"sharpe": -math.inf, "max_drawdown": -0.1}, None, Verdict.NOT_JUDGED),
        ({}, None, Verdict.NOT_JUDGED),
        ({"sharpe": 0.4, "periods": 19}, None, Verdict.NOT_JUDGED),
        ({"sharpe": 0.4, "periods": 20}, None, Verdict.BROKEN),
        ({"sharpe": 0.4}, {"periods": 19, "sharpe": 0.4}, Verdict.NOT_JUDGED),
        # What is measured from the logged table wins over what the run says of itself.
        ({"sharpe": 9.0, "max_drawdown": -0.1}, {"periods": 90, "sharpe": 0.1}, Verdict.BROKEN),
        ({"sharpe": 0.6}, {"max_drawdown": None, "start": "2026"}, Verdict.NOT_JUDGED),
    ],
)
def test_verdicts(metrics: dict[str, float], measures: dict[str, Any] | None, verdict: Verdict) -> None:
    assert judge_live(RULES, metrics, measures).verdict is verdict


def test_what_is_broken_is_said_with_its_value() -> None:
    found = judge_live(RULES, {"sharpe": 0.4, "max_drawdown": -0.2, "periods": 60}, None)
    assert "sharpe is 0.4, >= 0.5 is asked for" in found.sentence
    assert "max_drawdown is -0.2" in found.sentence
    assert found.periods == 60
    assert [one["value"] for one in found.thresholds] == [0.4, -0.2]
