from __future__ import annotations

from typing import Any

import pytest

from core.errors import BadInputError
from core.registry.gates.rules import MetricRule
from core.registry.monitoring.configuration import Policy, WatchRules, read_watch


def test_a_model_is_watched_as_the_file_says() -> None:
    table = {"thresholds": ["sharpe >= 0.5", "max_drawdown > -0.15"], "policy": "rollback", "min_periods": 5}
    book = read_watch({"ppo_usdcop": table}, "greenroom.toml")
    thresholds = (MetricRule("sharpe", ">=", 0.5), MetricRule("max_drawdown", ">", -0.15))
    assert book.of("ppo_usdcop") == WatchRules(thresholds, Policy.ROLLBACK, 5)
    assert book.of("stores") is None


def test_warning_is_the_default() -> None:
    rules = read_watch({"m": {"thresholds": ["sharpe > 0"]}}, "greenroom.toml").of("m")
    assert rules is not None
    assert (rules.policy, rules.min_periods) == (Policy.WARN, 20)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"thresholds": ["sharpe"]}, "watch.m.thresholds[1] in greenroom.toml is 'sharpe'"),
        ({"thresholds": []}, 'accepted is a table such as thresholds = ["sharpe >= 0.5"]'),
        ({"policy": "warn"}, 'accepted is a table such as thresholds = ["sharpe >= 0.5"]'),
        ({"thresholds": ["a > 1"], "policy": "rollbak"}, "Did you mean rollback?"),
        ({"thresholds": ["a > 1"], "min_period": 3}, "Did you mean min_periods?"),
        ({"thresholds": ["a > 1"], "min_periods": -3}, "accepted is a whole number from 0"),
        (3, "accepted is a table"),
    ],
)
def test_what_cannot_be_used_is_named(table: Any, said: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read_watch({"m": table}, "greenroom.toml")
    assert said in str(caught.value)
