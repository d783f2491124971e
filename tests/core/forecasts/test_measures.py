"""Measures of a forecast: each against another implementation, and against its own definition in plain loops."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import groupby

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from utilsforecast import losses

from core.errors import BadInputError
from core.forecasts.measures import (
    ForecastMeasures,
    measure,
    measures_by_store,
    seasonal_scale,
    store_slices,
)
from core.forecasts.types import PREDICTIONS

NAMES = [field.name for field in fields(ForecastMeasures)]
DAY = np.timedelta64(1, "D")
NAN, INFINITY = math.nan, math.inf


@dataclass(frozen=True)
class Case:
    """A forecast in plain lists."""

    actual: Sequence[float]
    predicted: Sequence[float]
    lower: Sequence[float] | None = None
    upper: Sequence[float] | None = None
    scale: float | None = None

    @property
    def pairs(self) -> list[tuple[float, float]]:
        both = zip(self.actual, self.predicted, strict=True)
        return [(y, f) for y, f in both if math.isfinite(y) and math.isfinite(f)]

    def measured(self) -> ForecastMeasures:
        actual, predicted, lower, upper = (
            None if values is None else np.array(values, dtype=np.float64)
            for values in (self.actual, self.predicted, self.lower, self.upper)
        )
        assert actual is not None
        assert predicted is not None
        return measure(actual, predicted, lower, upper, self.scale)


def mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def mae(case: Case) -> float | None:
    return mean([abs(f - y) for y, f in case.pairs])


def rmse(case: Case) -> float | None:
    square = mean([(f - y) ** 2 for y, f in case.pairs])
    return None if square is None else math.sqrt(square)


def r2(case: Case) -> float | None:
    actuals = [y for y, _ in case.pairs]
    if len(actuals) < 2 or len(set(actuals)) < 2:
        return None
    middle = math.fsum(actuals) / len(actuals)
    missed = math.fsum((f - y) ** 2 for y, f in case.pairs)
    return 1 - missed / math.fsum((y - middle) ** 2 for y in actuals)


def smape(case: Case) -> float | None:
    return mean([0.0 if y == f == 0 else 200 * abs(f - y) / (abs(y) + abs(f)) for y, f in case.pairs])


def of_sales(case: Case, missed: Callable[[float], float]) -> float | None:
    sold = math.fsum(abs(y) for y, _ in case.pairs)
    return 100 * math.fsum(missed(f - y) for y, f in case.pairs) / sold if sold else None


def mase(case: Case) -> float | None:
    own = mae(case)
    return None if own is None or not case.scale else own / case.scale


def rmspe(case: Case) -> float | None:
    square = mean([((f - y) / y) ** 2 for y, f in case.pairs if y])
    return None if square is None else 100 * math.sqrt(square)


def coverage(case: Case) -> float | None:
    if case.lower is None or case.upper is None:
        return None
    rows = zip(case.actual, case.predicted, case.lower, case.upper, strict=True)
    whole = [row for row in rows if all(map(math.isfinite, row))]
    share = mean([float(low <= y <= high) for y, _, low, high in whole])
    return None if share is None else 100 * share


NAIVE: dict[str, Callable[[Case], float | None]] = {
    "samples": lambda case: len(case.pairs),
    "volume": lambda case: math.fsum(y for y, _ in case.pairs),
    "mae": mae,
    "rmse": rmse,
    "r2": r2,
    "smape": smape,
    "wape": lambda case: of_sales(case, abs),
    "bias": lambda case: of_sales(case, float),
    "mase": mase,
    "rmspe": rmspe,
    "coverage": coverage,
}


def same(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def differences(found: ForecastMeasures, expected: dict[str, float | None]) -> list[str]:
    return [
        f"{name}: {getattr(found, name)} is not {value}"
        for name, value in expected.items()
        if not same(getattr(found, name), value)
    ]


def as_defined(case: Case) -> dict[str, float | None]:
    return {name: definition(case) for name, definition in NAIVE.items()}


# In eighths, so that no sum is rounded and constant means constant.
EIGHTHS = st.integers(-8_000, 8_000).map(lambda whole: whole / 8)
CELLS = st.one_of(EIGHTHS, EIGHTHS, st.just(0.0), st.sampled_from([NAN, INFINITY, -INFINITY]))
SOLD = st.one_of(st.integers(0, 400).map(float), st.just(0.0))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows = draw(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), max_size=40))
    actual, predicted, lower, upper = ([row[place] for row in rows] for place in range(4))
    if draw(st.booleans()):
        actual = [actual[0]] * len(actual) if actual else actual
    intervals = draw(st.booleans())
    scale = draw(st.one_of(st.none(), st.just(0.0), st.floats(0.01, 100)))
    return Case(actual, predicted, lower if intervals else None, upper if intervals else None, scale)


def test_every_measure_has_a_definition_and_every_definition_a_measure() -> None:
    assert list(NAIVE) == NAMES
    described = re.findall(r"^    (\w+) :", ForecastMeasures.__doc__ or "", re.MULTILINE)
    assert described == NAMES


@settings(deadline=None)
@given(cases())
@example(Case([], []))
@example(Case([5.0], [4.0], [3.0], [5.0], 2.0))
@example(Case([7.0, 7.0, 7.0], [6.0, 7.0, 8.0]))
@example(Case([0.0, 0.0], [0.0, 1.0]))
@example(Case([NAN, INFINITY, 3.0], [1.0, 2.0, -INFINITY]))
@example(Case([1.0, -2.0], [1.0, NAN], [0.0, -9.0], [2.0, 9.0]))
def test_any_series_measures_as_defined(case: Case) -> None:
    assert differences(case.measured(), as_defined(case)) == []


@settings(deadline=None)
@given(st.lists(st.tuples(EIGHTHS, EIGHTHS), min_size=2, max_size=60))
def test_any_series_measures_as_scikit_learn_has_it(rows: list[tuple[float, float]]) -> None:
    actual, predicted = zip(*rows, strict=True)
    expected = {
        "mae": mean_absolute_error(actual, predicted),
        "rmse": root_mean_squared_error(actual, predicted),
        # Of actuals that never change it makes 0 or 1, where there is nothing to explain.
        "r2": r2_score(actual, predicted) if len(set(actual)) > 1 else None,
    }
    assert differences(Case(actual, predicted).measured(), expected) == []


@settings(deadline=None, max_examples=40)
@given(st.data(), st.integers(1, 8))
def test_any_series_measures_as_utilsforecast_has_it(data: st.DataObject, season: int) -> None:
    trained = data.draw(st.lists(SOLD, min_size=season + 1, max_size=40))
    rows = data.draw(st.lists(st.tuples(SOLD, EIGHTHS), min_size=1, max_size=40))
    steps = [abs(late - early) for early, late in zip(trained, trained[season:], strict=False)]
    # Without a change in the training period it divides by one; here there is no scale then.
    assume(any(steps))
    actual, predicted = zip(*rows, strict=True)
    days = np.datetime64("2024-01-01") + np.arange(len(trained) + len(rows)) * DAY
    train = pl.DataFrame({"unique_id": "a", "ds": days[: len(trained)], "y": trained})
    test = pl.DataFrame({"unique_id": "a", "ds": days[len(trained) :], "y": actual, "m": predicted})
    expected: dict[str, float | None] = {
        "mae": losses.mae(test, ["m"])["m"][0],
        "rmse": losses.rmse(test, ["m"])["m"][0],
        "smape": 200 * losses.smape(test, ["m"])["m"][0],
        "mase": losses.mase(test, ["m"], season, train)["m"][0],
    }
    scale = seasonal_scale(days[: len(trained)], np.array(trained), season * DAY)
    assert differences(Case(actual, predicted, scale=scale).measured(), expected) == []


def test_a_forecast_worked_out_by_hand() -> None:
    found = Case([10, 0, 20, 0], [12, 0, 15, 5], [9, 0, 16, -1], [13, 1, 18, 0], scale=2.0).measured()
    assert found.samples == 4
    assert found.volume == 30
    assert found.mae == 3  # (2 + 0 + 5 + 5) / 4
    assert found.rmse == pytest.approx(math.sqrt(54 / 4))
    assert found.r2 == pytest.approx(1 - 54 / 275)
    # 200 (2/22 + 0 + 5/35 + 1) / 4: nothing sold and nothing predicted is no error, a forecast of nothing is 200 %.
    assert found.smape == pytest.approx(50 * (2 / 22 + 5 / 35 + 1))
    assert found.wape == 40  # 12 of 30
    assert found.bias == pytest.approx(100 * 2 / 30)
    assert found.mase == 1.5
    assert found.rmspe == pytest.approx(100 * math.sqrt((0.2**2 + 0.25**2) / 2))
    assert found.coverage == 75


def test_bias_is_positive_where_too_much_was_predicted() -> None:
    over, under = Case([10.0, 10.0], [13.0, 11.0]).measured(), Case([10.0, 10.0], [9.0, 7.0]).measured()
    assert (over.bias, under.bias) == (20, -20)


@pytest.mark.parametrize(("actual", "predicted"), [([4.0, 9.0], [0.0, 0.0]), ([4.0, 9.0], [-1.0, -900.0])])
def test_smape_is_200_for_a_forecast_of_zero_or_of_the_wrong_sign(
    actual: list[float], predicted: list[float]
) -> None:
    assert Case(actual, predicted).measured().smape == 200


def test_what_one_period_cannot_tell_is_missing_and_not_0() -> None:
    found = Case([5.0], [4.0]).measured()
    assert (found.samples, found.mae, found.r2, found.mase, found.coverage) == (1, 1, None, None, None)
    assert "test_r2" not in found.named("test")


def test_actuals_that_never_change_leave_r2_missing() -> None:
    # A mean of 0.1 is not 0.1 in binary: a sum of squares just above 0 would make R2 minus infinity.
    assert Case([0.1] * 7, [0.1] * 6 + [0.2]).measured().r2 is None


def test_no_sales_at_all_leave_shares_of_sales_missing() -> None:
    found = Case([0.0, 0.0], [1.0, 2.0]).measured()
    assert (found.wape, found.bias, found.rmspe) == (None, None, None)
    assert (found.mae, found.volume) == (1.5, 0)


def test_without_a_single_pair_there_is_no_measure() -> None:
    assert Case([NAN, 1.0], [1.0, INFINITY], [0.0, 0.0], [9.0, 9.0], 1.0).measured() == ForecastMeasures(
        0, 0.0
    )


def test_half_an_interval_is_none() -> None:
    assert Case([1.0], [1.0], lower=[0.0]).measured().coverage is None
    assert Case([1.0, 5.0], [1.0, 5.0], [0.0, NAN], [2.0, 2.0]).measured().coverage == 100


def test_the_ends_of_an_interval_are_inside() -> None:
    assert Case([1.0, 2.0, 2.5], [1.0] * 3, [1.0] * 3, [2.0] * 3).measured().coverage == pytest.approx(
        200 / 3
    )


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1e300, 1e300)] * 4), min_size=1, max_size=20))
def test_sizes_beyond_all_sales_are_measured_without_a_warning(rows: list[tuple[float, ...]]) -> None:
    actual, predicted, lower, upper = (list(column) for column in zip(*rows, strict=True))
    found = Case(actual, predicted, lower, upper, 1e-300).measured()
    assert not any(math.isnan(value) for value in found.named("test").values())
    assert found.samples == len(rows)
    assert 0 <= (found.smape or 0) <= 200
    assert 0 <= (found.coverage or 0) <= 100
    assert found.r2 is None or found.r2 <= 1


def test_a_forecast_beyond_all_bounds_is_infinitely_bad_and_not_missing() -> None:
    found = Case([1.0, 3.0], [1e304, 1e304]).measured()
    assert (found.rmse, found.r2, found.rmspe) == (INFINITY, -INFINITY, INFINITY)
    assert found.mae == pytest.approx(1e304)
    assert found.smape == pytest.approx(200)
    assert Case([1e304, -1e304], [0.0, 0.0]).measured().r2 is None


def test_metrics_are_named_after_the_split() -> None:
    found = Case([10.0, 0.0], [12.0, 0.0]).measured()
    assert found.named("test") == {
        "test_samples": 2.0,
        "test_volume": 10.0,
        "test_mae": 1.0,
        "test_rmse": pytest.approx(math.sqrt(2)),
        "test_r2": pytest.approx(0.92),
        "test_smape": pytest.approx(100 * 2 / 22),
        "test_wape": 20.0,
        "test_bias": 20.0,
        "test_rmspe": pytest.approx(20.0),
    }
    assert all(type(value) is float for value in found.named("train").values())


# Seasonal scale


def naive_scale(by_day: dict[int, float], season: int) -> float | None:
    steps = [
        abs(value - by_day[day - season])
        for day, value in by_day.items()
        if day - season in by_day and math.isfinite(value) and math.isfinite(by_day[day - season])
    ]
    return mean(steps) or None


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 60), CELLS, max_size=50), st.integers(1, 10))
@example({}, 7)
@example({0: 1.0, 7: 1.0}, 7)
@example({0: 1.0, 6: 5.0, 13: 9.0}, 7)
def test_the_seasonal_scale_of_days_with_gaps(by_day: dict[int, float], season: int) -> None:
    days = sorted(by_day)
    times = np.datetime64("2024-02-25") + np.array(days, dtype=np.int64) * DAY
    found = seasonal_scale(times, np.array([by_day[day] for day in days], dtype=float), season * DAY)
    assert same(found, naive_scale(by_day, season))


def test_a_gap_is_never_bridged_by_the_row_a_season_of_rows_before() -> None:
    # Seven rows back from the 15th is the 7th, but seven days back is the 8th, a day without sales.
    days = [day for day in range(1, 16) if day != 8]
    times = np.array([f"2024-01-{day:02}" for day in days], dtype="datetime64[D]")
    values = np.array([100.0 if day == 7 else 10.0 for day in days])
    # Pairs: 9 to 14 with 2 to 7; only 14 and 7 differ.
    assert seasonal_scale(times, values, 7 * DAY) == pytest.approx(90 / 6)


# By store


def rows_of(stores: dict[str, list[tuple[float | None, ...]]], split: str = "test") -> pl.DataFrame:
    start = datetime(2024, 1, 1)
    rows = [
        (store, start + timedelta(days=day), split, *cells)
        for store, table in stores.items()
        for day, cells in enumerate(table)
    ]
    return pl.DataFrame(rows, schema=PREDICTIONS, orient="row")


NULLABLE = st.one_of(EIGHTHS, st.none(), st.just(NAN))


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["1", "2", "10", "ä", "b c"]),
        st.lists(st.tuples(NULLABLE, NULLABLE, NULLABLE, NULLABLE), min_size=1, max_size=8),
    ),
    st.randoms(use_true_random=False),
)
def test_stores_measured_together_are_measured_as_one_by_one(
    stores: dict[str, list[tuple[float | None, ...]]], shuffle: object
) -> None:
    rows = rows_of(stores)
    places = list(range(rows.height))
    shuffle.shuffle(places)  # type: ignore[attr-defined]
    found = measures_by_store(rows[places])
    assert found.keys() == stores.keys()
    for store, table in stores.items():
        columns = [[NAN if cell is None else cell for cell in column] for column in zip(*table, strict=True)]
        assert differences(found[store], as_defined(Case(*columns))) == []


def test_only_the_rows_of_the_split_are_measured() -> None:
    test = rows_of({"a": [(1.0, 2.0, None, None)]})
    train = rows_of({"a": [(1.0, 5.0, None, None)], "b": [(1.0, 1.0, 0.0, 2.0)]}, "train")
    both = pl.concat([train, test])
    assert {store: one.mae for store, one in measures_by_store(both).items()} == {"a": 1.0}
    trained = measures_by_store(both, "train")
    assert {store: (one.mae, one.coverage) for store, one in trained.items()} == {
        "a": (4, None),
        "b": (0, 100),
    }


def test_no_rows_are_no_stores() -> None:
    assert measures_by_store(pl.DataFrame(schema=PREDICTIONS)) == {}


def test_a_table_without_the_columns_is_refused_by_name() -> None:
    with pytest.raises(BadInputError, match=r"need the columns split, upper\.$"):
        measures_by_store(pl.DataFrame(schema=PREDICTIONS).drop("split", "upper"))


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc")).map(sorted))
def test_slices_of_stores_are_their_rows(stores: list[str]) -> None:
    found = [(store, stores[part]) for store, part in store_slices(pl.Series(stores, dtype=pl.String))]
    assert found == [(store, list(part)) for store, part in groupby(stores)]
