from __future__ import annotations

from typing import Any

import pytest

from core.errors import BadInputError
from core.registry.retention.configuration import ModelRule, RetentionSettings, RunRule, read_retention


def test_nothing_is_needed() -> None:
    settings = read_retention({}, "greenroom.toml")
    assert settings == RetentionSettings(automatic=True)
    assert settings.of("any") == ModelRule(30, 3)
    assert (settings.undo_days, settings.after_deployment, settings.runs) == (7, True, ())


def test_nothing_goes_by_itself_unless_the_table_is_there_and_does_not_say_otherwise() -> None:
    assert not RetentionSettings().automatic
    assert read_retention({"days": 60}, "greenroom.toml").automatic
    assert not read_retention({"automatic": False}, "greenroom.toml").automatic


def test_a_model_takes_what_it_leaves_out_from_the_rest() -> None:
    table = {"days": 60, "min_versions": 5, "models": {"ppo_usdcop": {"days": 90}}}
    settings = read_retention(table, "greenroom.toml")
    assert settings.of("ppo_usdcop") == ModelRule(90, 5)
    assert settings.of("stores") == ModelRule(60, 5)


def test_rules_for_runs() -> None:
    rule = {"experiment": "stores/daily", "filter": "metrics.smape > 40", "older_than_days": 60, "keep": 20}
    settings = read_retention({"runs": [rule]}, "greenroom.toml")
    assert settings.runs == (RunRule("stores/daily", "metrics.smape > 40", 60, 20),)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"day": 3}, "The key 'day' under retention in greenroom.toml is not known. Did you mean days?"),
        ({"days": -1}, "retention.days in greenroom.toml is -1; accepted is a number from 0 to 36500."),
        ({"min_versions": 0}, "accepted is a whole number from 1"),
        ({"after_deployment": "yes"}, "accepted is true or false"),
        ({"models": {"m": {"undo_days": 3}}}, "The key 'undo_days' under retention.models.m"),
        ({"runs": [{"experiment": "a"}]}, "older_than_days = 60"),
        ({"runs": {"experiment": "a"}}, "tables under [[retention.runs]]"),
        ([], "a table such as days = 30"),
    ],
)
def test_what_cannot_be_used_is_named(table: Any, said: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read_retention(table, "greenroom.toml")
    assert said in str(caught.value)
