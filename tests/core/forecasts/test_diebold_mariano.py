"""Diebold and Mariano's test: against loops and statsmodels, under the null and off it, one store and many."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.tsa.stattools import diebold_mariano_test

from core.errors import BadInputError
from core.forecasts.diebold_mariano import MIN_PERIODS, TESTS, Loss, adjusted, by_store, diebold_mariano
from core.forecasts.types import PREDICTIONS

START = datetime(2015, 6, 19)
ACTUAL, OLD, NEW = (np.random.default_rng(5).gamma(9.0, 700.0, (3, 42)) * 0.2) + 5000.0
LOSSES = {Loss.ABSOLUTE: abs, Loss.SQUARED: lambda error: error * error}


def by_loops(
    actual: list[float], old: list[float], new: list[float], loss: Loss, lags: int
) -> tuple[float, float, float]:
    """Mean difference, statistic and p as the papers write them, in plain Python."""
    cost, n, h = LOSSES[loss], len(actual), lags + 1
    d = [cost(a - y) - cost(a - x) for a, x, y in zip(actual, old, new, strict=True)]
    mean = sum(d) / n
    variance = sum((value - mean) ** 2 for value in d) / n
    for lag in range(1, lags + 1):
        covariance = sum((d[t] - mean) * (d[t - lag] - mean) for t in range(lag, n)) / n
        variance += 2 * (1 - lag / (lags + 1)) * covariance
    statistic = mean / math.sqrt(variance / n) * math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    return mean, statistic, 2 * float(stats.t.sf(abs(statistic), n - 1))


def predictions(
    forecasts: dict[str, np.ndarray],
    actuals: dict[str, np.ndarray] | np.ndarray = ACTUAL,
    split: str = "test",
    start: datetime = START,
) -> pl.DataFrame:
    rows = [
        {
            **dict.fromkeys(PREDICTIONS),
            "store": store,
            "time": start + timedelta(days=day),
            "split": split,
            "actual": float(actual),
            "predicted": float(predicted),
        }
        for store, values in forecasts.items()
        for day, (actual, predicted) in enumerate(
            zip(actuals[store] if isinstance(actuals, dict) else actuals, values, strict=True)
        )
    ]
    return pl.DataFrame(rows, schema=PREDICTIONS)


@pytest.mark.parametrize("loss", Loss)
@pytest.mark.parametrize("lags", [0, 1, 3, 13, 40])
def test_the_formula_equals_plain_loops(loss: Loss, lags: int) -> None:
    found = diebold_mariano(ACTUAL, OLD, NEW, loss=loss, lags=lags)
    assert found is not None
    mean, statistic, p_value = by_loops(ACTUAL.tolist(), OLD.tolist(), NEW.tolist(), loss, lags)
    assert (found.samples, found.lags) == (42, lags)
    assert found.mean_difference == pytest.approx(mean, rel=1e-10)
    assert found.statistic == pytest.approx(statistic, rel=1e-8)
    assert found.p_value == pytest.approx(p_value, rel=1e-8)


@pytest.mark.parametrize("lags", [0, 3, 13])
def test_the_variance_is_that_of_a_regression_on_a_constant_with_robust_errors(lags: int) -> None:
    difference = np.abs(ACTUAL - NEW) - np.abs(ACTUAL - OLD)
    fitted = sm.OLS(difference, np.ones(42)).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False}
    )
    h = lags + 1
    correction = math.sqrt((42 + 1 - 2 * h + h * (h - 1) / 42) / 42)
    found = diebold_mariano(ACTUAL, OLD, NEW, lags=lags)
    assert found is not None
    assert found.mean_difference == pytest.approx(fitted.params[0], rel=1e-10)
    assert found.statistic == pytest.approx(correction * fitted.tvalues[0], rel=1e-8)


@pytest.mark.parametrize(("loss", "criterion"), [(Loss.ABSOLUTE, "mae"), (Loss.SQUARED, "mse")])
@pytest.mark.parametrize("lags", [0, 3, 13])
def test_statsmodels_finds_the_same(loss: Loss, criterion: str, lags: int) -> None:
    theirs = diebold_mariano_test(
        ACTUAL, NEW, OLD, lags=lags, criterion=criterion, harvey_adj=True, horizon=lags + 1
    )
    ours = diebold_mariano(ACTUAL, OLD, NEW, loss=loss, lags=lags)
    assert ours is not None
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-8)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-8)


@pytest.mark.parametrize(("n", "lags"), [(8, 2), (26, 2), (27, 3), (42, 3), (63, 3), (64, 4), (1000, 10)])
def test_lags_are_the_cube_root_also_where_floats_fall_short_of_it(n: int, lags: int) -> None:
    actual, old, new = np.random.default_rng(1).normal(size=(3, n))
    found = diebold_mariano(actual, old, new)
    assert found is not None and found.lags == lags


forecasts = st.integers(MIN_PERIODS, 60).flatmap(
    lambda n: st.tuples(
        *(st.lists(st.floats(-1e4, 1e4, width=32), min_size=n, max_size=n).map(np.array) for _ in range(3))
    )
)


@settings(deadline=None)
@given(forecasts, st.sampled_from(Loss), st.integers(0, 6))
def test_exchanged_forecasts_change_the_sign_alone(
    series: tuple[np.ndarray, np.ndarray, np.ndarray], loss: Loss, lags: int
) -> None:
    actual, old, new = series
    there, back = (diebold_mariano(actual, *pair, loss=loss, lags=lags) for pair in ((old, new), (new, old)))
    assert there is not None and back is not None
    assert there.mean_difference == pytest.approx(-back.mean_difference, rel=1e-12, abs=1e-300)
    assert there.p_value == back.p_value
    assert there.statistic is None if back.statistic is None else there.statistic == -back.statistic
    assert there.p_value is None or 0 <= there.p_value <= 1


@pytest.mark.parametrize("unit", [1e-200, 1e-3, 1e100])
def test_the_unit_of_the_actuals_does_not_matter(unit: float) -> None:
    plain = diebold_mariano(ACTUAL, OLD, NEW)
    other = diebold_mariano(ACTUAL * unit, OLD * unit, NEW * unit)
    assert plain is not None and other is not None
    assert other.statistic == pytest.approx(plain.statistic, rel=1e-9)
    assert other.mean_difference == pytest.approx(plain.mean_difference * unit, rel=1e-9)


def by_chance(kind: str, stores: int = 2000, n: int = 42, extra: float = 0.0) -> pl.Series:
    """P-values of stores whose two forecasts err alike, but for the extra error of the new one."""
    errors = np.random.default_rng(11).standard_normal((2, stores, n + 50))
    if kind == "dependent":
        for day in range(1, n + 50):
            errors[:, :, day] += 0.4 * errors[:, :, day - 1]
    old, new = errors[:, :, 50:]
    actual = np.full((stores, n), 100.0)

    def frame(values: np.ndarray) -> pl.DataFrame:
        names = np.repeat(np.arange(stores), n).astype(str)
        return pl.DataFrame(
            {
                "store": names,
                "time": [START + timedelta(days=day) for day in range(n)] * stores,
                "split": ["test"] * (stores * n),
                "actual": actual.ravel(),
                "predicted": (actual + values).ravel(),
            }
        )

    return by_store(frame(old), frame(new * (1 + extra)))["p_value"]


@pytest.mark.parametrize(("kind", "most"), [("independent", 0.07), ("dependent", 0.085)])
def test_forecasts_that_are_alike_are_told_apart_about_as_often_as_promised(kind: str, most: float) -> None:
    p_values = by_chance(kind)
    assert 0.035 < float((p_values < 0.05).mean()) < most
    assert 0.4 < float(p_values.mean()) < 0.55


def test_dependence_that_is_not_counted_makes_luck_look_like_skill() -> None:
    actual, old, new = np.zeros(42), *np.random.default_rng(11).standard_normal((2, 2000, 92))
    for day in range(1, 92):
        old[:, day] += 0.6 * old[:, day - 1]
        new[:, day] += 0.6 * new[:, day - 1]

    def found(lags: int | None) -> float:
        tests = [
            diebold_mariano(actual, x[50:], y[50:], lags=lags)
            for x, y in zip(old[:500], new[:500], strict=True)
        ]
        return float(np.mean([test.p_value < 0.05 for test in tests]))

    assert found(None) < 0.75 * found(0)


def test_a_forecast_that_is_worse_is_found_out() -> None:
    assert float((by_chance("independent", 500, extra=0.5) < 0.05).mean()) > 0.5
    assert float((by_chance("independent", 500, extra=1.0) < 0.05).mean()) > 0.95


@pytest.mark.parametrize("loss", Loss)
def test_positive_means_that_the_new_forecast_is_worse(loss: Loss) -> None:
    noise = np.random.default_rng(2).normal(0, 100, 42)
    found = diebold_mariano(ACTUAL, ACTUAL + noise, ACTUAL + 3 * noise, loss=loss)
    assert found is not None and found.statistic is not None and found.p_value is not None
    assert found.mean_difference > 0 and found.statistic > 0 and found.p_value < 0.01


@pytest.mark.parametrize("loss", Loss)
@pytest.mark.parametrize("noise", [0.0, 1e-13])
def test_forecasts_that_are_the_same_do_not_differ(loss: Loss, noise: float) -> None:
    same = OLD * (1 + noise * np.sign(NEW - OLD))
    found = diebold_mariano(ACTUAL, OLD, same, loss=loss)
    assert found is not None
    assert (found.statistic, found.p_value, found.samples) == (0.0, 1.0, 42)
    assert found.mean_difference == pytest.approx(0.0, abs=1e-4)
    assert found.mean_difference == 0.0 or noise


def test_perfect_forecasts_do_not_differ() -> None:
    found = diebold_mariano(ACTUAL, ACTUAL, ACTUAL)
    assert found is not None and (found.mean_difference, found.statistic, found.p_value) == (0.0, 0.0, 1.0)


def test_a_difference_that_never_varies_has_no_standard_error() -> None:
    found = diebold_mariano(ACTUAL, ACTUAL + 1.0, ACTUAL + 3.0)
    assert found is not None
    assert found.mean_difference == pytest.approx(2.0)
    assert (found.statistic, found.p_value) == (None, None)


def test_lags_that_leave_no_period_give_no_test() -> None:
    below, above = (diebold_mariano(ACTUAL, OLD, NEW, lags=lags) for lags in (40, 41))
    assert below is not None and below.p_value is not None
    assert above is not None and (above.statistic, above.p_value) == (None, None)
    assert above.mean_difference == below.mean_difference


def test_too_few_periods_give_none() -> None:
    assert diebold_mariano(ACTUAL[:8], OLD[:8], NEW[:8]) is not None
    assert diebold_mariano(ACTUAL[:7], OLD[:7], NEW[:7]) is None
    assert diebold_mariano(ACTUAL[:0], OLD[:0], NEW[:0]) is None


def test_losses_beyond_floats_give_none() -> None:
    far = np.where(np.arange(42) == 3, 1e200, NEW)
    assert diebold_mariano(ACTUAL, OLD, far, loss=Loss.SQUARED) is None
    assert diebold_mariano(ACTUAL, OLD, far) is not None


def test_periods_that_lack_a_number_are_left_out() -> None:
    actual, old, new = ACTUAL.copy(), OLD.copy(), NEW.copy()
    actual[3], old[5], new[41] = math.nan, math.inf, math.nan
    kept = np.delete(np.arange(42), [3, 5, 41])
    assert diebold_mariano(actual, old, new) == diebold_mariano(ACTUAL[kept], OLD[kept], NEW[kept])


@pytest.mark.parametrize(
    "call",
    [
        lambda: diebold_mariano(ACTUAL, OLD[1:], NEW),
        lambda: diebold_mariano(ACTUAL[:, None], OLD[:, None], NEW[:, None]),
        lambda: diebold_mariano(ACTUAL, OLD, NEW, lags=-1),
        lambda: adjusted([0.5, 1.5]),
        lambda: adjusted([math.inf]),
    ],
)
def test_what_makes_no_sense_is_refused(call: object) -> None:
    with pytest.raises(BadInputError):
        call()  # type: ignore[operator]


@settings(deadline=None)
@given(st.lists(st.none() | st.just(math.nan) | st.floats(0, 1), max_size=30))
def test_adjusted_p_values_are_those_of_statsmodels_and_none_stays_none(
    p_values: list[float | None],
) -> None:
    found = adjusted(p_values)
    known = [p for p in p_values if p is not None and not math.isnan(p)]
    expected = iter(multipletests(known, method="fdr_bh")[1].tolist() if known else [])
    assert len(found) == len(p_values)
    for given_p, adjusted_p in zip(p_values, found, strict=True):
        if given_p is None or math.isnan(given_p):
            assert adjusted_p is None
        else:
            assert adjusted_p == pytest.approx(next(expected), rel=1e-12, abs=1e-300)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdefg"), st.integers(0, 70), max_size=6),
    st.sampled_from(Loss),
    st.integers(0, 2**32 - 1),
)
def test_all_stores_at_once_are_as_one_by_one(sizes: dict[str, int], loss: Loss, seed: int) -> None:
    rng = np.random.default_rng(seed)
    actual = {store: rng.gamma(9.0, 700.0, n) for store, n in sizes.items()}
    old, new = (
        {store: values + rng.normal(0, 300, len(values)) for store, values in actual.items()}
        for _ in range(2)
    )
    shuffled = (
        predictions(forecasts, actual).sample(fraction=1, shuffle=True, seed=seed)
        for seed, forecasts in enumerate((old, new))
    )
    found = by_store(*shuffled, loss)
    assert found.schema == TESTS
    assert found["store"].to_list() == sorted(store for store, n in sizes.items() if n)
    for row in found.iter_rows(named=True):
        alone = diebold_mariano(
            *(series[row["store"]] for series in (actual, old, new)),
            loss=loss,
        )
        assert row["samples"] == sizes[row["store"]]
        if alone is None:
            assert row["samples"] < MIN_PERIODS
            assert (row["mean_difference"], row["statistic"], row["p_value"]) == (None, None, None)
        else:
            assert row["mean_difference"] == pytest.approx(alone.mean_difference, rel=1e-9)
            assert row["statistic"] == pytest.approx(alone.statistic, rel=1e-9)
            assert row["p_value"] == pytest.approx(alone.p_value, rel=1e-9)
    assert found["p_adjusted"].to_list() == adjusted(found["p_value"].to_list())


def test_stores_of_one_pipeline_alone_are_left_out() -> None:
    found = by_store(predictions({"1": OLD, "2": OLD}), predictions({"2": NEW, "3": NEW}))
    assert found["store"].to_list() == ["2"]


def test_only_rows_of_the_test_that_both_forecast_count() -> None:
    old, new = predictions({"1": OLD}), predictions({"1": NEW})
    gappy = new.with_columns(
        predicted=pl.when(pl.int_range(pl.len()) == 4).then(None).otherwise("predicted"),
        actual=pl.when(pl.int_range(pl.len()) == 9).then(math.nan).otherwise("actual"),
    )
    trained = predictions({"1": NEW * 9}, split="train", start=START - timedelta(days=42))
    later = predictions({"1": NEW * 9}, start=START + timedelta(days=42))
    kept = np.delete(np.arange(42), [4, 9])
    found = by_store(pl.concat([trained, old]), pl.concat([trained, gappy, later])).row(0, named=True)
    alone = diebold_mariano(ACTUAL[kept], OLD[kept], NEW[kept])
    assert alone is not None
    assert (found["samples"], found["disagreeing"]) == (40, 0)
    assert found["statistic"] == pytest.approx(alone.statistic, rel=1e-12)


def test_periods_with_different_actuals_are_counted_and_left_out() -> None:
    revised = ACTUAL.copy()
    revised[[2, 30]] *= 1 + 2e-6
    revised[7] *= 1 + 5e-7
    revised[8] = np.float32(revised[8])
    kept = np.delete(np.arange(42), [2, 30])
    found = by_store(predictions({"1": OLD, "2": OLD}), predictions({"1": NEW, "2": NEW}, revised))
    alone = diebold_mariano(ACTUAL[kept], OLD[kept], NEW[kept])
    assert alone is not None
    assert found["disagreeing"].to_list() == [2, 2]
    assert found["samples"].to_list() == [40, 40]
    assert found["statistic"].to_list() == pytest.approx([alone.statistic] * 2, rel=1e-12)


def test_a_closed_day_agrees_and_a_changed_sign_does_not() -> None:
    actual, revised = ACTUAL.copy(), ACTUAL.copy()
    actual[0] = revised[0] = 0.0
    actual[1], revised[1] = 0.0, 1e-9
    revised[2] = -actual[2]
    found = by_store(predictions({"1": OLD}, actual), predictions({"1": NEW}, revised))
    assert (found["disagreeing"].item(), found["samples"].item()) == (2, 40)


def test_stores_without_common_periods_have_no_test() -> None:
    later = predictions({"1": NEW, "2": NEW}, start=START + timedelta(days=42))
    found = by_store(predictions({"1": OLD, "2": OLD}), later)
    assert found["samples"].to_list() == [0, 0]
    assert (
        found.select("mean_difference", "statistic", "p_value", "p_adjusted").null_count().row(0) == (2,) * 4
    )


def test_empty_forecasts_give_an_empty_table() -> None:
    empty = predictions({})
    for old, new in ((empty, empty), (empty, predictions({"1": NEW})), (predictions({"1": OLD}), empty)):
        found = by_store(old, new)
        assert (found.height, found.schema) == (0, TESTS)


def test_two_forecasts_for_one_time_are_refused_by_name() -> None:
    once = predictions({"7": OLD, "8": OLD})
    twice = pl.concat([once, once.filter(pl.col("store") == "7").head(1)])
    with pytest.raises(
        BadInputError, match=r"new forecasts have several rows for store 7 at 2015-06-19.*times: 1"
    ):
        by_store(once, twice)
    with pytest.raises(BadInputError, match="old forecasts"):
        by_store(twice, once)
