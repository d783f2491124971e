"""A pipeline against the champion's: who is hurt, by count and by volume, and the pooled WAPE; on real comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pytest

from core.forecasts.changes import ChangeSummary, StoreMeasure, store_changes, summarise
from core.forecasts.desk import ForecastDesk
from core.registry.gates.champion_forecast import ForecastChanges, forecast_changes, judge_forecast
from core.registry.gates.rules import ForecastRule
from core.registry.gates.types import GateResult
from tests.core.forecasts.kit import FakeRuns
from tests.core.registry.gates.kit import evidence, verdict

Stores = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Compared:
    summary: ChangeSummary
    notes: tuple[str, ...] = ("Other data.",)


def table(stores: Stores) -> pl.DataFrame:
    """Stores with wape (as a fraction; tables have it in percent), volume and smape."""
    names = list(stores)
    columns = list(zip(*(stores[name] for name in names), strict=True)) or [(), (), ()]
    numbers = dict.fromkeys(("mae", "rmse", "r2"), pl.lit(None, pl.Float64))
    percent = [None if one is None else 100 * one for one in columns[0]]
    return pl.DataFrame(
        {"store": names, "wape": percent, "volume": columns[1], "smape": columns[2]},
        schema={"store": pl.String, "wape": pl.Float64, "volume": pl.Float64, "smape": pl.Float64},
    ).with_columns(
        partner=pl.lit(None, pl.String), run_id=pl.lit("r"), quality=pl.lit(None, pl.String), **numbers
    )


def judged(old: Stores, new: Stores, rule: ForecastRule) -> GateResult:
    def compare(measure: StoreMeasure, tolerance: float) -> Compared:
        return Compared(summarise(store_changes(table(old), table(new), measure, tolerance)))

    return judge_forecast(forecast_changes(compare, rule), rule)


OLD: Stores = {"a": (0.2, 100, 20), "b": (0.2, 100, 20), "c": (0.2, 100, 20), "d": (0.2, 700, 20)}
BETTER: Stores = {**OLD, "d": (0.1, 700, 10)}
ONE_WORSE: Stores = {**BETTER, "a": (0.3, 100, 30)}
TWO_WORSE: Stores = {**ONE_WORSE, "b": (0.3, 100, 30)}
BIG_WORSE: Stores = {**OLD, "d": (0.22, 700, 22), "a": (0.0, 100, 0)}


def test_without_a_champion_it_passes_and_says_so() -> None:
    result = judge_forecast(None, ForecastRule())
    assert result.reason == "There is no champion to compare with."
    assert verdict(result) == "passed"


@pytest.mark.parametrize(
    ("new", "rule", "expected"),
    [
        (OLD, ForecastRule(), "passed"),
        (BETTER, ForecastRule(), "passed"),
        (ONE_WORSE, ForecastRule(), "passed"),
        (ONE_WORSE, ForecastRule(max_share_regressed=0.24), "failed"),
        (ONE_WORSE, ForecastRule(max_share_regressed=0.0, tolerance=0.5), "passed"),
        (TWO_WORSE, ForecastRule(), "failed"),
        (TWO_WORSE, ForecastRule(max_share_regressed=0.5), "passed"),
        (TWO_WORSE, ForecastRule(max_share_regressed=0.5, max_volume_share_regressed=0.2), "passed"),
        (TWO_WORSE, ForecastRule(max_share_regressed=0.5, max_volume_share_regressed=0.19), "failed"),
        # The big store alone: a quarter of the stores, seven tenths of the volume, and WAPE 0.174 against 0.2.
        (BIG_WORSE, ForecastRule(), "passed"),
        (BIG_WORSE, ForecastRule(max_volume_share_regressed=0.5), "failed"),
    ],
)
def test_shares_are_compared_with_what_is_allowed(new: Stores, rule: ForecastRule, expected: str) -> None:
    assert verdict(judged(OLD, new, rule)) == expected


def test_the_pooled_wape_may_rise_by_the_share_that_is_allowed_and_no_more() -> None:
    new = {**OLD, "d": (0.22, 700, 22)}
    for rise, expected in ((0.0, "failed"), (0.0699, "failed"), (0.07, "passed"), (None, "passed")):
        result = judged(OLD, new, ForecastRule(max_wape_rise=rise))
        assert verdict(result) == expected
        assert evidence(result)["wape_new"] == pytest.approx((300 * 0.2 + 700 * 0.22) / 1000)
    assert "WAPE" not in result.reason


def test_the_reason_has_the_numbers_in_it() -> None:
    result = judged(OLD, TWO_WORSE, ForecastRule(max_volume_share_regressed=0.3))
    assert result.reason == (
        "2 of 4 stores are worse or lost, 50 % of them (more than 25 %); they have 20 % of the volume (at most 30 %); "
        "pooled WAPE 15 % against 20 % (at most 20 %)."
    )
    assert evidence(result)["notes"] == ["Other data."]


def test_a_lost_store_counts_as_hurt_and_a_new_one_does_not() -> None:
    lost = {name: row for name, row in OLD.items() if name != "a"} | {"e": (9.0, 100, 200)}
    found = evidence(judged(OLD, lost, ForecastRule()))
    assert (found["lost"], found["gained"], found["share_regressed"]) == (1, 1, 0.25)
    assert verdict(judged(OLD, lost, ForecastRule(max_share_regressed=0.2))) == "failed"


def test_another_measure_decides_who_is_hurt_and_wape_stays_the_pooled_one() -> None:
    new = {**OLD, "a": (0.1, 100, 40), "b": (0.1, 100, 40)}
    result = judged(OLD, new, ForecastRule(measure="smape"))
    assert evidence(result)["worse"] == 2
    assert evidence(result)["wape_new"] == pytest.approx(0.18)
    assert verdict(result) == "failed"


def test_what_is_asked_for_and_not_known_is_not_judged() -> None:
    assert verdict(judged(OLD, {"e": (0.1, 1, 1)}, ForecastRule())) == "not judged"
    anything = ForecastRule(max_share_regressed=1.0, max_wape_rise=None)
    assert verdict(judged(OLD, {"e": (0.1, 1, 1)}, anything)) == "not judged"
    assert verdict(judged({}, {}, ForecastRule())) == "not judged"
    assert verdict(judged({}, OLD, ForecastRule())) == "not judged"
    unsold = {name: (row[0], None, row[2]) for name, row in OLD.items()}
    assert verdict(judged(unsold, unsold, ForecastRule(max_volume_share_regressed=0.5))) == "not judged"
    assert verdict(judged(unsold, unsold, ForecastRule())) == "passed", "all stores weigh the same"
    smape = {name: (None, row[1], row[2]) for name, row in OLD.items()}
    assert verdict(judged(smape, smape, ForecastRule(measure="smape"))) == "not judged"
    assert verdict(judged(smape, smape, ForecastRule(measure="smape", max_wape_rise=None))) == "passed"


def test_rounding_is_no_rise() -> None:
    summary = summarise(store_changes(table(OLD), table(OLD)))
    assert judge_forecast(ForecastChanges(summary, 0.3, 0.1 + 0.2), ForecastRule()).passed
    assert not judge_forecast(ForecastChanges(summary, 0.3, 0.300001), ForecastRule()).passed
    assert judge_forecast(ForecastChanges(summary, 0.0, 0.0), ForecastRule()).passed
    assert not judge_forecast(ForecastChanges(summary, 0.0, 0.1), ForecastRule(max_wape_rise=1.0)).passed


def test_pipelines_of_the_stores_page_are_compared() -> None:
    runs = FakeRuns()
    for name, smape in (("old", 10.0), ("new", 30.0)):
        runs.add(name, tags={"smape_scale": "percent"})
        runs.add(f"{name}-1", parent=name, params={"store_code": "s1"}, metrics={"test_smape": smape})
    desk = ForecastDesk(runs, lambda run_id: pytest.fail(run_id), (), 1)
    rule = ForecastRule(measure="smape", max_wape_rise=None)
    old, new = desk.pipeline("old"), desk.pipeline("new")
    there = forecast_changes(lambda measure, tolerance: desk.compare(old, new, measure, tolerance), rule)
    back = forecast_changes(lambda measure, tolerance: desk.compare(new, old, measure, tolerance), rule)
    assert verdict(judge_forecast(there, rule)) == "failed"
    assert verdict(judge_forecast(back, rule)) == "passed"
