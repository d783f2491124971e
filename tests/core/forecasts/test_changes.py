"""What changes between two pipelines: verdicts, weights, harm, and the shares a promotion depends on."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInputError
from core.forecasts.changes import CHANGES, StoreMeasure, Verdict, store_changes, summarise
from core.forecasts.diebold_mariano import TESTS
from core.forecasts.types import STORES


def table(rows: dict[str, dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(
        [{**dict.fromkeys(STORES), "store": store, **values} for store, values in rows.items()], schema=STORES
    )


def wapes(values: dict[str, float | None], volume: float | None = 100.0) -> pl.DataFrame:
    return table({store: {"wape": value, "volume": volume} for store, value in values.items()})


def by_test(rows: dict[str, tuple[float | None, float | None]]) -> pl.DataFrame:
    """Mean difference and adjusted p a store."""
    return pl.DataFrame(
        [
            {**dict.fromkeys(TESTS), "store": store, "mean_difference": mean, "p_value": p, "p_adjusted": p}
            for store, (mean, p) in rows.items()
        ],
        schema=TESTS,
    )


def verdicts(changes: pl.DataFrame) -> dict[str, str]:
    return dict(changes.select("store", "verdict").iter_rows())


OLD = table(
    {
        "better": {"wape": 20.0, "volume": 250.0, "quality": "fair", "run_id": "o1", "partner": "north"},
        "worse": {"wape": 10.0, "volume": 100.0, "quality": "good", "run_id": "o2", "partner": "south"},
        "same": {"wape": 8.0, "volume": 600.0},
        "failing": {"wape": 5.0, "volume": 30.0, "run_id": "o4"},
        "closed": {"wape": 6.0, "volume": 20.0, "partner": "west"},
        "healed": {"failure": "too few sales"},
        "hopeless": {"failure": "too few sales"},
    }
)
NEW = table(
    {
        "hopeless": {"wape": math.nan, "quality": "failed"},
        "healed": {"wape": 9.0, "volume": 10.0},
        "opened": {"wape": 7.0, "volume": 40.0},
        "failing": {"failure": "diverged", "run_id": "n4"},
        "same": {"wape": 8.0, "volume": 600.0},
        "worse": {"wape": 12.0, "volume": 100.0, "quality": "fair", "run_id": "n2", "partner": "centre"},
        "better": {"wape": 15.0, "volume": 300.0, "quality": "good", "run_id": "n1"},
    }
)


def test_every_store_of_either_pipeline_has_a_verdict() -> None:
    assert verdicts(store_changes(OLD, NEW)) == {
        "better": "improved",
        "worse": "worse",
        "same": "same",
        "failing": "lost",
        "closed": "lost",
        "healed": "gained",
        "opened": "gained",
        "hopeless": "unknown",
    }


def test_the_most_harmful_comes_first_and_what_cannot_be_compared_last() -> None:
    changes = store_changes(OLD, NEW)
    assert changes.schema == CHANGES
    assert changes["store"].to_list() == [
        *("worse", "same", "better"),
        *("failing", "closed", "opened", "healed", "hopeless"),
    ]


def test_a_row_says_what_changed_where() -> None:
    first = store_changes(OLD, NEW).row(0, named=True)
    assert first == {
        "store": "worse",
        "partner": "centre",
        "run_id_old": "o2",
        "run_id_new": "n2",
        "old": 10.0,
        "new": 12.0,
        "change": 2.0,
        "relative_change": 0.2,
        "volume": 100.0,
        "weight": 0.1,
        "harm": 0.2,
        "verdict": Verdict.WORSE,
        "quality_old": "good",
        "quality_new": "fair",
        "mean_difference": None,
        "p_value": None,
        "p_adjusted": None,
        "significant": None,
    }


def test_partner_and_volume_are_the_old_ones_where_the_new_pipeline_has_none() -> None:
    rows = {row["store"]: row for row in store_changes(OLD, NEW).iter_rows(named=True)}
    assert (rows["better"]["partner"], rows["better"]["volume"]) == ("north", 300.0)
    assert (rows["closed"]["partner"], rows["closed"]["volume"]) == ("west", 20.0)
    assert (rows["failing"]["run_id_old"], rows["failing"]["run_id_new"]) == ("o4", "n4")
    assert rows["failing"]["volume"] == 30.0


def test_a_summary_counts_and_weighs() -> None:
    found = summarise(store_changes(OLD, NEW))
    assert (found.stores, found.compared) == (8, 3)
    assert (found.improved, found.worse, found.same, found.lost, found.gained) == (1, 1, 1, 2, 2)
    assert found.share_regressed == 3 / 5
    assert found.volume_share_regressed == pytest.approx((100 + 30 + 20) / (300 + 100 + 600 + 30 + 20))
    assert found.old_value == pytest.approx(0.3 * 20 + 0.1 * 10 + 0.6 * 8)
    assert found.new_value == pytest.approx(0.3 * 15 + 0.1 * 12 + 0.6 * 8)
    assert found.change == pytest.approx(-1.3)
    assert (found.significantly_worse, found.significantly_better) == (None, None)


def test_the_weighted_wape_is_the_pooled_one() -> None:
    rng = np.random.default_rng(4)
    actual = rng.gamma(5.0, 100.0, (6, 30)) * np.arange(1, 7)[:, None]
    errors = rng.normal(0, 50, (2, 6, 30))
    old, new = (
        table(
            {
                str(store): {
                    "wape": 100 * np.abs(error).sum() / sales.sum(),
                    "volume": sales.sum(),
                }
                for store, (error, sales) in enumerate(zip(side, actual, strict=True))
            }
        )
        for side in errors
    )
    found = summarise(store_changes(old, new))
    assert found.old_value == pytest.approx(100 * np.abs(errors[0]).sum() / actual.sum())
    assert found.new_value == pytest.approx(100 * np.abs(errors[1]).sum() / actual.sum())


@pytest.mark.parametrize("measure", StoreMeasure)
def test_worse_is_up_for_errors_and_down_for_r2(measure: StoreMeasure) -> None:
    old, new = (table({"1": {measure.value: value}}) for value in (0.5, 0.7))
    row = store_changes(old, new, measure).row(0, named=True)
    assert row["change"] == pytest.approx(0.2)
    assert row["relative_change"] == pytest.approx(0.4)
    assert measure.higher_is_better == (measure == StoreMeasure.R2)
    if measure.higher_is_better:
        assert (row["verdict"], row["harm"]) == ("improved", pytest.approx(-0.2))
    else:
        assert (row["verdict"], row["harm"]) == ("worse", pytest.approx(0.2))


@pytest.mark.parametrize("measure", [StoreMeasure.WAPE, StoreMeasure.R2])
def test_a_measure_below_zero_moves_the_right_way_too(measure: StoreMeasure) -> None:
    old, new = (table({"1": {measure.value: value}}) for value in (-0.5, -0.4))
    row = store_changes(old, new, measure).row(0, named=True)
    assert row["relative_change"] == pytest.approx(0.2)
    assert row["verdict"] == ("improved" if measure.higher_is_better else "worse")


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (100.0, 105.0, "same"),
        (100.0, 105.1, "worse"),
        (100.0, 95.0, "same"),
        (100.0, 94.9, "improved"),
        (0.3, 0.3 * 1.05, "same"),
        (0.0, 0.0, "same"),
        (0.0, 1e-6, "worse"),
    ],
)
def test_within_the_tolerance_a_store_is_the_same(old: float, new: float, verdict: str) -> None:
    changes = store_changes(wapes({"1": old}), wapes({"1": new}), tolerance=0.05)
    assert changes["verdict"].item() == verdict


def test_rounding_is_no_change() -> None:
    changes = store_changes(wapes({"1": 0.1 + 0.2}), wapes({"1": 0.3}))
    assert changes["verdict"].item() == Verdict.SAME


def test_a_relative_change_needs_an_old_value() -> None:
    changes = store_changes(wapes({"zero": 0.0, "none": None}), wapes({"zero": 1.0, "none": 1.0}))
    assert changes["relative_change"].to_list() == [None, None]
    assert changes["change"].to_list() == [1.0, None]


@pytest.mark.parametrize("volume", [None, 0.0, math.nan, -5.0])
def test_without_volumes_all_stores_weigh_the_same(volume: float | None) -> None:
    changes = store_changes(
        wapes({"1": 1.0, "2": 2.0, "3": 3.0, "4": 4.0}, volume), wapes({"1": 2.0, "2": 2.0, "3": 2.0}, volume)
    )
    assert dict(changes.select("store", "weight").iter_rows()) == {
        **dict.fromkeys("123", pytest.approx(1 / 3)),
        "4": None,
    }
    found = summarise(changes)
    assert (found.old_value, found.new_value) == (pytest.approx(2.0), pytest.approx(2.0))
    assert (found.share_regressed, found.volume_share_regressed) == (2 / 4, None)


def test_a_store_of_unknown_volume_has_no_weight_among_those_of_known() -> None:
    old = table({"1": {"wape": 1.0, "volume": 50.0}, "2": {"wape": 1.0}, "3": {"wape": 1.0, "volume": 0.0}})
    changes = store_changes(old, wapes({"1": 2.0, "2": 9.0, "3": 5.0}, None))
    assert changes.select("store", "weight", "harm").rows() == [
        ("1", 1.0, 1.0),
        ("3", 0.0, 0.0),
        ("2", None, None),
    ]
    found = summarise(changes)
    assert (found.compared, found.new_value, found.share_regressed) == (3, 2.0, 1.0)


def test_a_store_with_more_returned_than_sold_weighs_nothing() -> None:
    old = table({"1": {"wape": 5.0, "volume": 100.0}, "2": {"wape": 5.0, "volume": -40.0}})
    changes = store_changes(old, wapes({"1": 4.0, "2": 9.0}, None))
    assert dict(changes.select("store", "weight").iter_rows()) == {"1": 1.0, "2": 0.0}
    found = summarise(changes)
    assert (found.change, found.share_regressed, found.volume_share_regressed) == (-1.0, 0.5, 0.0)


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_missing(missing: float | None) -> None:
    changes = store_changes(
        wapes({"lost": 1.0, "gained": missing, "none": missing}),
        wapes({"lost": missing, "gained": 1.0, "none": missing}),
    )
    assert verdicts(changes) == {"lost": "lost", "gained": "gained", "none": "unknown"}
    assert changes.select("change", "relative_change", "weight", "harm").null_count().row(0) == (3,) * 4


def test_a_store_that_fails_now_is_hurt_as_one_that_is_worse() -> None:
    both = {"a": 5.0, "b": 5.0, "c": 5.0, "d": 5.0}
    hurt = summarise(store_changes(wapes(both), wapes({**both, "a": 6.0, "b": None})))
    gone = summarise(store_changes(wapes(both), wapes({"a": 6.0, "c": 5.0, "d": 5.0})))
    assert hurt.share_regressed == gone.share_regressed == 0.5
    assert hurt.volume_share_regressed == gone.volume_share_regressed == 0.5


def test_stores_that_the_old_pipeline_could_not_forecast_change_no_share() -> None:
    old, new = wapes({"a": 5.0, "b": 5.0}), wapes({"a": 6.0, "b": 5.0})
    more = wapes({"a": 6.0, "b": 5.0, "c": 90.0, "d": None})
    plain, grown = summarise(store_changes(old, new)), summarise(store_changes(old, more))
    assert plain.share_regressed == grown.share_regressed == 0.5
    assert plain.volume_share_regressed == grown.volume_share_regressed == 0.5
    assert (grown.stores, grown.gained) == (4, 1)


def test_a_test_says_which_changes_are_sure() -> None:
    old = wapes({"sure": 5.0, "unsure": 5.0, "at": 5.0, "untested": 5.0, "better": 5.0, "little": 5.0})
    new = wapes({"sure": 6.0, "unsure": 6.0, "at": 6.0, "untested": 6.0, "better": 4.0, "little": 5.1})
    tests = by_test(
        {
            "sure": (1.0, 0.01),
            "unsure": (1.0, 0.2),
            "at": (1.0, 0.05),
            "untested": (None, None),
            "better": (-1.0, 0.001),
            "little": (0.1, 0.001),
            "elsewhere": (1.0, 0.001),
        }
    )
    changes = store_changes(old, new, tolerance=0.05, significance=tests)
    assert dict(changes.select("store", "significant").iter_rows()) == {
        "sure": True,
        "unsure": False,
        "at": True,
        "untested": None,
        "better": True,
        "little": True,
    }
    found = summarise(changes)
    assert (found.worse, found.significantly_worse, found.significantly_better) == (4, 2, 1)
    strict = summarise(store_changes(old, new, significance=tests, level=0.02))
    assert (strict.worse, strict.significantly_worse) == (5, 2)


def test_a_test_that_finds_the_opposite_does_not_confirm() -> None:
    old, new = table({"1": {"r2": 0.9}}), table({"1": {"r2": 0.8}})
    changes = store_changes(old, new, StoreMeasure.R2, significance=by_test({"1": (-1.0, 0.001)}))
    found = summarise(changes)
    assert changes["significant"].item() is True
    assert (found.worse, found.significantly_worse, found.significantly_better) == (1, 0, 0)


def test_tests_that_were_not_possible_are_no_tests() -> None:
    one = wapes({"1": 5.0})
    found = summarise(store_changes(one, one, significance=by_test({"1": (None, None)})))
    assert (found.significantly_worse, found.significantly_better) == (None, None)


def test_empty_pipelines_have_an_empty_summary() -> None:
    changes = store_changes(table({}), table({}))
    assert (changes.height, changes.schema) == (0, CHANGES)
    found = summarise(changes)
    assert (found.stores, found.compared, found.lost) == (0, 0, 0)
    assert (found.share_regressed, found.volume_share_regressed) == (None, None)
    assert (found.old_value, found.new_value, found.change) == (None, None, None)


def test_a_pipeline_against_nothing_is_lost_or_gained() -> None:
    one, none = wapes({"1": 5.0}), table({})
    lost, gained = summarise(store_changes(one, none)), summarise(store_changes(none, one))
    assert (lost.lost, lost.share_regressed, lost.volume_share_regressed) == (1, 1.0, 1.0)
    assert (gained.gained, gained.share_regressed, gained.volume_share_regressed) == (1, None, None)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (0, "The old pipeline's table has several rows for one store: 7, 9"),
        (1, "The new pipeline's table has several rows for one store: 7, 9"),
        (2, "The table of tests has several rows for one store: 7, 9"),
    ],
)
def test_stores_that_come_twice_are_refused_by_name(place: int, message: str) -> None:
    frames = [wapes({"7": 1.0, "8": 1.0, "9": 1.0}) for _ in range(2)]
    frames.append(by_test(dict.fromkeys("789", (1.0, 0.5))))
    repeated = frames[place].filter(pl.col("store") != "8")
    frames[place] = pl.concat([frames[place], repeated, repeated])
    with pytest.raises(BadInputError, match=message):
        store_changes(frames[0], frames[1], significance=frames[2])


def test_of_many_stores_that_come_twice_five_are_named() -> None:
    many = wapes({str(store): 1.0 for store in range(1001, 1021)})
    with pytest.raises(BadInputError, match=r"1001, 1002, 1003, 1004, 1005 and 15 more\."):
        store_changes(pl.concat([many, many]), many)


@pytest.mark.parametrize(
    "bad", [{"tolerance": -0.1}, {"tolerance": math.nan}, {"tolerance": math.inf}, {"level": 0}, {"level": 1}]
)
def test_what_makes_no_sense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(BadInputError):
        store_changes(table({}), table({}), **bad)  # type: ignore[arg-type]


values = st.none() | st.floats(-1e6, 1e6)
pipelines = st.dictionaries(
    st.sampled_from("abcdefgh"), st.tuples(values, st.none() | st.floats(0, 1e6, width=32))
)
TURNED = {
    Verdict.IMPROVED: Verdict.WORSE,
    Verdict.WORSE: Verdict.IMPROVED,
    Verdict.LOST: Verdict.GAINED,
    Verdict.GAINED: Verdict.LOST,
}


def frame(pipeline: dict[str, tuple[float | None, float | None]], measure: StoreMeasure) -> pl.DataFrame:
    return table({store: {measure.value: value, "volume": v} for store, (value, v) in pipeline.items()})


@settings(deadline=None)
@given(pipelines, pipelines, st.sampled_from(StoreMeasure))
def test_exchanged_pipelines_turn_every_verdict(
    old: dict[str, tuple[float | None, float | None]],
    new: dict[str, tuple[float | None, float | None]],
    measure: StoreMeasure,
) -> None:
    there = verdicts(store_changes(frame(old, measure), frame(new, measure), measure))
    back = verdicts(store_changes(frame(new, measure), frame(old, measure), measure))
    assert set(there) == set(old) | set(new)
    assert back == {store: TURNED.get(Verdict(verdict), verdict) for store, verdict in there.items()}


@settings(deadline=None)
@given(pipelines, pipelines, st.sampled_from(StoreMeasure), st.floats(0, 2))
def test_counts_weights_and_harm_add_up(
    old: dict[str, tuple[float | None, float | None]],
    new: dict[str, tuple[float | None, float | None]],
    measure: StoreMeasure,
    tolerance: float,
) -> None:
    changes = store_changes(frame(old, measure), frame(new, measure), measure, tolerance)
    found = summarise(changes)
    had = [store for store, (value, _) in old.items() if value is not None]
    both = [store for store in had if new.get(store, (None, None))[0] is not None]
    assert (found.compared, found.compared + found.lost) == (len(both), len(had))
    assert found.stores == len(set(old) | set(new))
    hurt = found.worse + found.lost
    assert found.share_regressed == (hurt / len(had) if had else None)
    if found.volume_share_regressed is not None:
        assert 0 <= found.volume_share_regressed <= 1
    if both:
        assert changes["weight"].sum() == pytest.approx(1.0)
        sign = -1 if measure.higher_is_better else 1
        assert found.change == pytest.approx(sign * changes["harm"].sum(), abs=1e-6)
    harm = changes["harm"].drop_nulls().to_list()
    assert harm == sorted(harm, reverse=True)
    assert changes["harm"].head(len(harm)).null_count() == 0
