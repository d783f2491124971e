"""From child runs to a table of stores, and from that to the figures of a pipeline and of its partners."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.forecasts.bands import BANDS, DEFAULT_THRESHOLDS, Band, band_of
from core.forecasts.measures import ForecastMeasures
from core.forecasts.pipelines import (
    Headline,
    by_partner,
    headline,
    metric_columns,
    natural_order,
    stores_of_measures,
    stores_of_runs,
    with_bands,
)
from core.forecasts.types import STORES

OURS = {
    "r2": ("test_r2",),
    "smape": ("test_smape",),
    "wape": ("test_wape",),
    "mae": ("test_mae",),
    "rmse": ("test_rmse",),
    "bias": ("test_bias",),
    "volume": ("test_volume",),
    "test_samples": ("test_samples",),
    "train_samples": ("train_samples",),
}
SEED_4 = {name: OURS[name] for name in ("r2", "smape", "mae", "rmse", "test_samples", "train_samples")}
GOOD = {
    "params.store_code": "7",
    "params.partner_code": "ADICO",
    "params.n_features": "31",
    "tags.quality": "good",
    "metrics.test_r2": 0.7,
    "metrics.test_smape": 12.0,
    "metrics.test_wape": 10.0,
    "metrics.test_mae": 5.0,
    "metrics.test_rmse": 6.0,
    "metrics.test_bias": -1.0,
    "metrics.test_volume": 500.0,
    "metrics.test_samples": 10.0,
    "metrics.train_samples": 300.0,
}


def children(*runs: dict[str, Any], columns: Sequence[str] = ()) -> pl.DataFrame:
    """Make the frame of child runs that the index gives, latest first; a run names what it differs in."""
    own = dict.fromkeys((*columns, *(key for run in runs for key in run)))
    rows = [
        {**dict.fromkeys(own), "run_id": f"run {place}", "name": "", "status": "FINISHED", **run}
        for place, run in enumerate(runs)
    ]
    schema = {key: pl.Float64 if key.startswith("metrics.") else pl.String for key in rows[0]}
    return pl.DataFrame(rows, schema=schema, orient="row")


def stores(
    *runs: dict[str, Any], metrics: dict[str, tuple[str, ...]] = OURS, scale: str | None = "0..200"
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    needed = [f"metrics.{key}" for keys in metrics.values() for key in keys]
    frame, notes = stores_of_runs(children(*runs, columns=needed), metrics, DEFAULT_THRESHOLDS, scale)
    assert frame.schema == {**STORES, "status": pl.String()}
    return frame.to_dicts(), notes


def store(*runs: dict[str, Any], **given: Any) -> dict[str, Any]:
    (found,), _ = stores(*runs, **given)
    return found


# Metrics by their names


@pytest.mark.parametrize("name", ["test_smape", "test_sMAPE", "TEST SMAPE", "test/smape", "test.sMape"])
def test_a_metric_is_known_in_any_case_and_spelling(name: str) -> None:
    assert metric_columns([name, "loss"]) == {"smape": (name,)}


def test_the_test_period_comes_before_the_plain_name_and_that_before_validation() -> None:
    known = ["eval_mae", "holdout_mae", "mae", "test_mae", "train_mae", "val_mae", "validation_mae"]
    assert metric_columns(known)["mae"] == (
        *("test_mae", "mae", "val_mae", "validation_mae", "eval_mae", "holdout_mae"),
    )
    assert metric_columns(["val_r2", "r2_score", "R2"])["r2"] == ("R2", "r2_score", "val_r2")


def test_two_spellings_of_a_metric_are_both_candidates() -> None:
    assert metric_columns(["test_sMAPE", "test_smape"])["smape"] == ("test_sMAPE", "test_smape")


def test_metrics_of_other_things_are_left_alone() -> None:
    others = ["train_mae", "mae_by_h", "avg_smape", "sharpe", "best_r2", "test_samples_per_s", "smape_std"]
    assert metric_columns(others) == {}
    assert metric_columns(()) == {}


def test_all_metrics_of_the_contract_are_known() -> None:
    logged = [f"{split}_{name}" for split in ("train", "test") for name in ForecastMeasures.__slots__]
    assert metric_columns(sorted(logged)) == {
        **{
            name: (f"test_{name}",)
            for name in ("r2", "smape", "wape", "mae", "rmse", "mase", "bias", "volume")
        },
        "test_samples": ("test_samples",),
        "train_samples": ("train_samples",),
    }


def test_a_pipeline_is_read_by_its_own_names_whatever_others_use() -> None:
    metrics = metric_columns(["mae", "smape", "test_mae", "test_smape", "val_mae"])
    plain = [{"params.store_code": code, "metrics.mae": 2.0, "metrics.smape": 30.0} for code in "ab"]
    found, _ = stores(*plain, metrics=metrics)
    assert [(row["mae"], row["smape"]) for row in found] == [(2, 30), (2, 30)]
    # One store with test_mae: then it is that for all, for measures of two periods do not compare.
    mixed = [{**plain[0], "metrics.test_mae": 9.0}, {**plain[1], "metrics.val_mae": 1.0}]
    found, _ = stores(*mixed, metrics=metrics)
    assert [(row["mae"], row["smape"]) for row in found] == [(9, 30), (None, 30)]
    # A metric that is NaN throughout tells nothing.
    found, _ = stores({**plain[0], "metrics.test_mae": math.nan}, metrics=metrics)
    assert found[0]["mae"] == 2


# Stores of child runs


def test_a_run_of_the_contract() -> None:
    assert store({**GOOD, "run_id": "a1"}) == {
        "store": "7",
        "partner": "ADICO",
        "run_id": "a1",
        "quality": "good",
        "r2": 0.7,
        "smape": 12.0,
        "wape": 10.0,
        "mae": 5.0,
        "rmse": 6.0,
        "mase": None,
        "bias": -1.0,
        "volume": 500.0,
        "test_samples": 10.0,
        "train_samples": 300.0,
        "n_features": 31.0,
        "failure": None,
        "status": "FINISHED",
    }


def test_tags_stand_in_for_params() -> None:
    tagged = {
        "tags.store_code": "8",
        "tags.partner_code": "NORTE",
        "params.store_code": None,
        "metrics.test_smape": 1.0,
    }
    found = store(tagged)
    assert (found["store"], found["partner"]) == ("8", "NORTE")
    assert store({**tagged, "params.store_code": "9"})["store"] == "9"
    assert store({**tagged, "params.store_code": ""})["store"] == "8"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Store ADICO_10922920", "ADICO_10922920"),
        ("store: 12", "12"),
        ("STORE_12", "12"),
        ("Storefront", "Storefront"),
        ("12", "12"),
        ("", "0123abcd"),
        ("  ", "0123abcd"),
        ("Store ", "0123abcd"),
    ],
)
def test_a_store_that_no_param_names_is_named_by_its_run(name: str, expected: str) -> None:
    found = store({"run_id": "0123abcd" * 4, "name": name, "metrics.test_mae": 1.0})
    assert found["store"] == expected


def test_runs_of_seed_4_have_no_volume_and_their_own_words() -> None:
    seed = {
        key: value for key, value in GOOD.items() if key.rpartition("_")[2] not in ("wape", "bias", "volume")
    }
    found = store({**seed, "tags.quality": "Excelente"}, metrics=SEED_4)
    assert (found["wape"], found["bias"], found["volume"], found["mase"]) == (None,) * 4
    assert (found["mae"], found["rmse"], found["n_features"]) == (5.0, 6.0, 31.0)
    # A word that is no band: the thresholds decide.
    assert found["quality"] == "good"


def test_a_volume_follows_from_wape_mae_and_periods() -> None:
    # WAPE 10 % and 10 periods that miss by 5: 50 of 500.
    assert store({**GOOD, "metrics.test_volume": None})["volume"] == pytest.approx(500)
    for unknown in ({"metrics.test_wape": None}, {"metrics.test_wape": 0.0}, {"metrics.test_samples": None}):
        assert store({**GOOD, "metrics.test_volume": None, **unknown})["volume"] is None
    assert store({**GOOD, "metrics.test_volume": 3.0})["volume"] == 3


@pytest.mark.parametrize(
    ("word", "band"),
    [
        ("excellent", "excellent"),
        ("GOOD", "good"),
        ("Poor", "poor"),
        ("unknown", "unknown"),
        ("magnificent", "good"),
        ("", "good"),
        (None, "good"),
        ("failed", "good"),
    ],
)
def test_the_logged_band_holds_and_another_word_leaves_it_to_the_thresholds(
    word: str | None, band: str
) -> None:
    assert store({**GOOD, "tags.quality": word})["quality"] == band


def test_numbers_that_are_none_are_missing() -> None:
    for bad in (math.nan, math.inf, -math.inf):
        found = store({**GOOD, "tags.quality": None, "metrics.test_r2": bad, "metrics.test_smape": bad})
        assert (found["r2"], found["smape"], found["quality"]) == (None, None, "unknown")
    assert store({**GOOD, "params.n_features": "many"})["n_features"] is None


# Scale of sMAPE


@pytest.mark.parametrize(("scale", "factor"), [("0..200", 1), ("0..100", 2), ("0..2", 100), ("0..1", 200)])
@pytest.mark.parametrize("value", [0.25, 1.5, 40.0])
def test_a_stated_scale_is_believed(scale: str, factor: float, value: float) -> None:
    found, notes = stores({**GOOD, "metrics.test_smape": value}, scale=scale)
    assert found[0]["smape"] == pytest.approx(factor * value)
    assert notes == ()


@pytest.mark.parametrize("scale", [None, "percent"])
@pytest.mark.parametrize(
    ("values", "expected", "taken"),
    [
        ((0.12, 2.0), (12.0, 200.0), "fractions, 0..2"),
        ((0.12, 2.001), (0.12, 2.001), "percent, 0..200"),
        ((12.0, None), (12.0, None), "percent, 0..200"),
    ],
)
def test_a_scale_that_is_not_stated_is_told_from_the_largest_value_and_noted(
    scale: str | None, values: tuple[float, ...], expected: tuple[float | None, ...], taken: str
) -> None:
    runs = [
        {"params.store_code": str(place), "metrics.test_smape": value} for place, value in enumerate(values)
    ]
    found, notes = stores(*runs, scale=scale)
    assert [row["smape"] for row in found] == [
        None if one is None else pytest.approx(one) for one in expected
    ]
    (said,) = notes
    assert f"taken as {taken}" in said
    assert "smape_scale" in said


def test_without_any_smape_there_is_nothing_to_note() -> None:
    assert stores({**GOOD, "metrics.test_smape": None}, scale=None)[1] == ()


@pytest.mark.parametrize("column", ["params.smape_scale", "tags.smape_scale"])
def test_what_a_stores_run_states_comes_before_what_the_pipeline_does(column: str) -> None:
    own = {**GOOD, column: "0..1", "metrics.test_smape": 0.25}
    found, notes = stores(own, {**GOOD, "params.store_code": "8"}, scale="0..200")
    assert [row["smape"] for row in found] == [50, 12]
    assert notes == ()
    found, notes = stores(own, {**GOOD, "params.store_code": "8"}, scale=None)
    assert [row["smape"] for row in found] == [50, 12]
    assert "taken as percent" in notes[0]


# Runs that failed, run, or come twice


@pytest.mark.parametrize(("status", "why"), [("FAILED", "its run failed"), ("KILLED", "its run was killed")])
def test_a_run_that_did_not_finish_is_a_failure_whatever_it_measured(status: str, why: str) -> None:
    found = store({**GOOD, "status": status})
    assert (found["failure"], found["quality"]) == (why, "failed")
    told = store({**GOOD, "status": status, "tags.failure": "too few rows"})
    assert (told["failure"], told["quality"]) == ("too few rows", "failed")


def test_a_run_that_finished_with_a_reason_for_failing_has_failed() -> None:
    assert store({**GOOD, "tags.failure": "constant"})["quality"] == "failed"


@pytest.mark.parametrize("status", ["RUNNING", "SCHEDULED"])
def test_a_run_that_has_not_ended_is_neither_good_nor_failed(status: str) -> None:
    runs = [
        {"params.store_code": "1", "status": status},
        GOOD,
        {"params.store_code": "9", "status": "FAILED"},
    ]
    frame, _ = stores_of_runs(
        children(*runs, columns=[f"metrics.{key}" for keys in OURS.values() for key in keys]),
        OURS,
        DEFAULT_THRESHOLDS,
        "0..200",
    )
    assert frame["quality"].to_list() == ["unknown", "good", "failed"]
    head = headline(frame)
    assert (head.attempted, head.successful, head.running, head.success_rate) == (3, 1, 1, 50)


def test_the_latest_run_of_a_store_counts_and_older_ones_are_noted() -> None:
    runs = [
        {**GOOD, "run_id": "new", "metrics.test_mae": 1.0},
        {**GOOD, "params.store_code": "8", "run_id": "other"},
        {**GOOD, "run_id": "old", "metrics.test_mae": 9.0},
        {**GOOD, "run_id": "older", "metrics.test_mae": 99.0},
    ]
    found, notes = stores(*runs)
    assert [(row["store"], row["run_id"]) for row in found] == [("7", "new"), ("8", "other")]
    assert notes == ("2 older runs of stores that have a later one in this pipeline are left out.",)


# Stores of a forecast table


def test_stores_measured_from_a_table() -> None:
    whole = ForecastMeasures(4, 30.0, 3.0, 3.7, 0.9, 8.0, 40.0, 6.7, 1.5, 22.0, 75.0)
    frame = stores_of_measures({"10": whole, "2": ForecastMeasures(0, 0.0)}, "abc", DEFAULT_THRESHOLDS)
    assert frame.schema == {**STORES, "status": pl.String()}
    unmeasured, measured = frame.to_dicts()
    assert {key: value for key, value in measured.items() if value is not None} == {
        "store": "10",
        "run_id": "abc",
        "quality": "excellent",
        "r2": 0.9,
        "smape": 8.0,
        "wape": 40.0,
        "mae": 3.0,
        "rmse": 3.7,
        "mase": 1.5,
        "bias": 6.7,
        "volume": 30.0,
        "test_samples": 4.0,
        "status": "FINISHED",
    }
    # Sales that are not known are missing, not 0.
    assert {key: value for key, value in unmeasured.items() if value is not None} == {
        "store": "2",
        "run_id": "abc",
        "quality": "unknown",
        "test_samples": 0.0,
        "status": "FINISHED",
    }


def test_no_stores_are_an_empty_table() -> None:
    frame = stores_of_measures({}, "abc", DEFAULT_THRESHOLDS)
    assert frame.schema == {**STORES, "status": pl.String()}
    head = headline(frame)
    assert (head.attempted, head.success_rate, head.wape, head.volume) == (0, None, None, None)
    assert by_partner(frame).height == 0


# Order


@pytest.mark.parametrize(
    "ordered",
    [
        ["2", "10", "100"],
        ["2", "10", "A", "B"],
        ["store 2", "store 10", "store 10b"],
        ["1_1", "1_2", "2_1", "10_3"],
        ["ADICO_9", "ADICO_10922920", "NORTE_1"],
        ["CA1-2", "CA1-10", "CA2-1"],
        ["9" * 30, "1" + "0" * 30],
        ["", "0", "7"],
    ],
)
def test_stores_are_in_the_order_people_count_in(ordered: list[str]) -> None:
    for mixed in (ordered[::-1], ordered[1:] + ordered[:1]):
        assert natural_order(pl.DataFrame({"store": mixed}))["store"].to_list() == ordered


def test_rows_stay_whole_in_any_order() -> None:
    frame = natural_order(pl.DataFrame({"store": ["10", "2"], "mae": [1.0, 2.0]}))
    assert frame.rows() == [("2", 2.0), ("10", 1.0)]


@settings(deadline=None)
@given(st.lists(st.text("0123456789ab_ é٣", max_size=6), max_size=12, unique=True))
@example(["1", "01", "a1", "a01"])
def test_any_codes_can_be_ordered_and_none_is_lost(codes: list[str]) -> None:
    frame = pl.DataFrame({"store": codes}, schema={"store": pl.String})
    assert sorted(natural_order(frame)["store"].to_list()) == sorted(codes)


# The figures of a pipeline, against plain loops


MAYBE = {
    "r2": st.floats(-2, 1),
    "smape": st.floats(0, 200),
    "wape": st.floats(0.5, 300),
    "mae": st.floats(0, 1e4),
    "rmse": st.floats(0, 1e4),
    "bias": st.floats(-100, 100),
    "volume": st.one_of(st.floats(0.01, 1e5), st.just(0.0), st.just(-5.0)),
    "test_samples": st.integers(1, 400).map(float),
}
ROW = st.fixed_dictionaries(
    {
        **{name: st.one_of(values, values, st.none()) for name, values in MAYBE.items()},
        "partner": st.sampled_from(["A", "B", None]),
        "failure": st.sampled_from([None, None, None, "too few rows"]),
        "status": st.sampled_from(["FINISHED", "FINISHED", "RUNNING"]),
    }
)
Row = dict[str, Any]


def table(rows: Sequence[Row]) -> pl.DataFrame:
    full = [{**dict.fromkeys(STORES), "store": str(place), **row} for place, row in enumerate(rows)]
    frame = pl.DataFrame(full, schema={**STORES, "status": pl.String})
    return with_bands(frame, DEFAULT_THRESHOLDS)


def average(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Average values by their weights, over those that have both."""
    known = [
        (value, weight) for value, weight in pairs if value is not None and weight is not None and weight > 0
    ]
    total = math.fsum(weight for _, weight in known)
    return math.fsum(value * weight for value, weight in known) / total if known else None


def band(row: Row) -> Band:
    return Band.FAILED if row["failure"] else band_of(row["r2"], row["smape"])


def pooled_wape(good: Sequence[Row]) -> float | None:
    """All absolute errors over all sales, where the errors of every store can be told; else weighted by sales."""
    sold = [row for row in good if row["mae"] is not None and (row["volume"] or 0) > 0]
    if not sold:
        return None
    if any(row["test_samples"] is None for row in sold):
        return average([(row["wape"], row["volume"]) for row in sold])
    missed = math.fsum(row["mae"] * row["test_samples"] for row in sold)
    return 100 * missed / math.fsum(row["volume"] for row in sold)


def expected_headline(rows: Sequence[Row]) -> Headline:
    ended = [row for row in rows if row["status"] != "RUNNING"]
    good = [row for row in ended if not row["failure"]]
    r2s = [row["r2"] for row in good if row["r2"] is not None]
    smapes = sorted(row["smape"] for row in good if row["smape"] is not None)
    middle = len(smapes) // 2
    sold = math.fsum(max(row["volume"] or 0.0, 0.0) for row in good)
    squares = average(
        [(None if row["rmse"] is None else row["rmse"] ** 2, row["test_samples"]) for row in good]
    )
    return Headline(
        attempted=len(rows),
        successful=len(good),
        running=len(rows) - len(ended),
        success_rate=100 * len(good) / len(ended) if ended else None,
        wape=pooled_wape(good) if sold else None,
        bias=average([(row["bias"], row["volume"]) for row in good]) if sold else None,
        mean_r2=math.fsum(r2s) / len(r2s) if r2s else None,
        median_smape=(smapes[middle] + smapes[-middle - 1]) / 2 if smapes else None,
        weighted_smape=average([(row["smape"], row["volume"]) for row in good]) if sold else None,
        rmse=None if squares is None else math.sqrt(squares),
        mae=average([(row["mae"], row["test_samples"]) for row in good]),
        volume=sold or None,
        bands={one: sum(band(row) == one for row in rows) for one in BANDS},
        band_volumes={
            one: math.fsum(row["volume"] or 0.0 for row in rows if band(row) == one) for one in BANDS
        }
        if sold
        else {},
    )


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in expected)
    return bool(found == expected)


@settings(deadline=None)
@given(st.lists(ROW, max_size=12))
@example([])
def test_the_headline_is_what_plain_loops_give(rows: list[Row]) -> None:
    found, expected = headline(table(rows)), expected_headline(rows)
    different = [
        f"{name}: {getattr(found, name)} is not {getattr(expected, name)}"
        for name in Headline.__slots__
        if not same(getattr(found, name), getattr(expected, name))
    ]
    assert different == []


def test_a_headline_worked_out_by_hand() -> None:
    big = {
        "mae": 10.0,
        "rmse": 12.0,
        "r2": 0.9,
        "smape": 8.0,
        "bias": 2.0,
        "volume": 900.0,
        "test_samples": 9.0,
    }
    small = {
        "mae": 4.0,
        "rmse": 5.0,
        "r2": 0.1,
        "smape": 60.0,
        "bias": -8.0,
        "volume": 100.0,
        "test_samples": 3.0,
    }
    rows = [{**dict.fromkeys(MAYBE), **row, "failure": None, "status": "FINISHED"} for row in (big, small)]
    gone = {**dict.fromkeys(MAYBE), "failure": "too few rows", "status": "FAILED"}
    found = headline(table([*rows, gone]))
    assert (found.attempted, found.successful, found.running) == (3, 2, 0)
    assert found.success_rate == pytest.approx(200 / 3)
    assert found.wape == pytest.approx(100 * (90 + 12) / 1000)
    assert found.bias == pytest.approx((900 * 2 - 100 * 8) / 1000)
    assert (found.mean_r2, found.median_smape) == (pytest.approx(0.5), 34)
    assert found.weighted_smape == pytest.approx((900 * 8 + 100 * 60) / 1000)
    assert found.rmse == pytest.approx(math.sqrt((9 * 144 + 3 * 25) / 12))
    assert found.mae == pytest.approx((90 + 12) / 12)
    assert found.volume == 1000
    assert {one: number for one, number in found.bands.items() if number} == {
        Band.EXCELLENT: 1,
        Band.POOR: 1,
        Band.FAILED: 1,
    }
    assert (found.band_volumes[Band.EXCELLENT], found.band_volumes[Band.FAILED]) == (900, 0)


# Partners


@settings(deadline=None)
@given(
    st.lists(
        ROW.map(lambda row: {**row, "status": "FINISHED", "volume": abs(row["volume"] or 0)}), max_size=12
    )
)
def test_partners_are_summed_up_as_plain_loops_do(rows: list[Row]) -> None:
    found = {row["partner"]: row for row in by_partner(table(rows)).to_dicts()}
    named = [{**row, "partner": row["partner"] or "–"} for row in rows]
    assert found.keys() == {row["partner"] for row in named}
    total = math.fsum(row["volume"] for row in rows)
    for partner, summed in found.items():
        own = [row for row in named if row["partner"] == partner]
        good = [row for row in own if not row["failure"]]
        sold = math.fsum(row["volume"] for row in good)
        weights = [row["volume"] if sold else 1.0 for row in good]
        expected = {
            "partner": partner,
            "stores": len(own),
            "failed": len(own) - len(good),
            "share": 100 * sold / total if total else None,
            "wape": pooled_wape(good) if sold else None,
            **{
                name: average([(row[name], weight) for row, weight in zip(good, weights, strict=True)])
                for name in ("smape", "r2")
            },
            "good": 100 * sum(band(row) in (Band.EXCELLENT, Band.GOOD) for row in own) / len(own),
        }
        assert same(summed, expected), (summed, expected)


def test_partners_come_by_their_share_of_sales_then_by_their_number_of_stores() -> None:
    rows = [
        {"partner": partner, "volume": volume, "failure": None, "status": "FINISHED"}
        for partner, volume in (
            ("small", 1.0),
            ("large", 5.0),
            ("large", 4.0),
            ("none", 0.0),
            (None, 0.0),
            (None, 0.0),
        )
    ]
    found = by_partner(table(rows))
    assert found["partner"].to_list() == ["large", "small", "–", "none"]
    assert found["share"].to_list() == [90, 10, 0, 0]
    assert found.columns == ["partner", "stores", "failed", "share", "wape", "smape", "r2", "good"]


def test_partners_that_share_a_code_keep_both_their_stores() -> None:
    found, notes = stores(
        {"params.store_code": "7", "params.partner_code": "ADICO", "metrics.test_mae": 1.0},
        {"params.store_code": "7", "params.partner_code": "BETA", "metrics.test_mae": 2.0},
        {"params.store_code": "8", "params.partner_code": "BETA", "metrics.test_mae": 3.0},
    )
    assert {row["store"]: row["mae"] for row in found} == {"ADICO_7": 1.0, "BETA_7": 2.0, "8": 3.0}
    assert not any("older" in note for note in notes)


def test_children_that_are_no_stores_are_left_out_where_others_are() -> None:
    found, notes = stores(
        {"params.store_code": "7", "metrics.test_mae": 1.0},
        {"name": "preprocessing", "metrics.test_mae": 9.0},
    )
    assert [row["store"] for row in found] == ["7"]
    assert any("1 child run without a store_code left out" in note for note in notes)
