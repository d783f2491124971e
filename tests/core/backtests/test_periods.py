import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.backtests.periods import monthly_returns, typical_step, window, window_trades, yearly_returns
from core.backtests.types import EquityCurve, Trades
from core.errors import BadInputError

NAN = math.nan


def curve_of(dates, values, benchmark=None, **more):
    levels = None if benchmark is None else np.array(benchmark, float)
    return EquityCurve(np.array(dates, dtype="datetime64[us]"), np.array(values, float), levels, **more)


@st.composite
def curves(draw):
    steps = draw(st.lists(st.integers(1, 200), min_size=1, max_size=60))
    values = draw(st.lists(st.floats(1, 1e6), min_size=len(steps) + 1, max_size=len(steps) + 1))
    days = np.datetime64("2019-11-20") + np.cumsum([0, *steps])
    return curve_of(days, values, values)


def naive(curve, key):
    """Growth by calendar period, step by step."""
    found = {}
    for at in range(1, len(curve)):
        period = key(curve.times[at].item())
        step = curve.values[at] / curve.values[at - 1]
        found[period] = found.get(period, 1.0) * step
    return {period: growth - 1 for period, growth in found.items()}


@settings(deadline=None)
@given(curves())
def test_months_compound_the_steps_that_end_in_them(curve):
    years, table = monthly_returns(curve)
    assert table.shape == (len(years), 12)
    expected = naive(curve, lambda time: (time.year, time.month))
    found = {
        (int(years[row]), month + 1): table[row, month]
        for row, month in zip(*np.nonzero(np.isfinite(table)), strict=True)
    }
    assert found.keys() == expected.keys()
    assert list(found.values()) == pytest.approx(list(expected.values()))
    assert np.nanprod(1 + table) == pytest.approx(curve.values[-1] / curve.values[0])


@settings(deadline=None)
@given(curves())
def test_years_compound_the_steps_that_end_in_them(curve):
    years, returns, benchmark = yearly_returns(curve)
    expected = naive(curve, lambda time: time.year)
    assert dict(zip(years.tolist(), returns.tolist(), strict=True)) == pytest.approx(
        {year: expected.get(year, NAN) for year in range(min(expected), max(expected) + 1)}, nan_ok=True
    )
    np.testing.assert_array_equal(benchmark, returns)
    assert np.array_equal(years, monthly_returns(curve)[0])


def test_the_first_month_is_measured_from_the_starting_capital():
    years, table = monthly_returns(
        curve_of(["2019-12-31", "2020-01-02", "2020-01-31", "2020-03-02"], [100, 50, 55, 66])
    )
    assert years.tolist() == [2020]  # the capital has no return of its own
    assert table[0, :3].tolist() == pytest.approx([-0.45, NAN, 0.2], nan_ok=True)
    assert np.isnan(table[0, 3:]).all()


def test_a_year_without_data_is_a_row_without_numbers():
    years, table = monthly_returns(curve_of(["2018-12-30", "2018-12-31", "2020-01-05"], [10, 11, 12]))
    assert years.tolist() == [2018, 2019, 2020]
    assert np.isnan(table[1]).all()


def test_one_point_has_no_periods():
    point = curve_of(["2020-01-01"], [100])
    years, table = monthly_returns(point)
    assert (years.shape, table.shape) == ((0,), (0, 12))
    assert [len(each) for each in yearly_returns(point)[:2]] == [0, 0]


def test_a_ruined_account_lost_all_of_its_last_month():
    _, table = monthly_returns(curve_of(["2020-01-01", "2020-01-31", "2020-02-03"], [100, 110, -11]))
    assert table[0, :2].tolist() == pytest.approx([0.1, -1.1])


def test_the_benchmark_of_a_year_goes_from_known_level_to_known_level():
    dates = ["2018-12-28", "2018-12-31", "2019-06-30", "2019-12-31", "2020-06-30", "2021-06-30"]
    years, _, benchmark = yearly_returns(curve_of(dates, [1, 2, 3, 4, 5, 6], [NAN, 10, 12, NAN, NAN, 18]))
    assert years.tolist() == [2018, 2019, 2020, 2021]
    assert benchmark.tolist() == pytest.approx([NAN, 0.2, NAN, 0.5], nan_ok=True)


def test_a_benchmark_that_is_never_known_has_no_years():
    assert yearly_returns(curve_of(["2018-12-28", "2019-01-02"], [1, 2]))[2] is None
    _, _, benchmark = yearly_returns(curve_of(["2018-12-28", "2019-01-02"], [1, 2], [NAN, NAN]))
    assert benchmark.tolist() == pytest.approx([NAN], nan_ok=True)


WEEK = curve_of(
    [f"2024-01-0{day}T12:00" for day in range(1, 8)], range(10, 17), range(7), cash=np.arange(7.0)
)


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [
        (None, None, range(10, 17)),
        ("2024-01-02T12:00", "2024-01-04T12:00", [11, 12, 13]),
        ("2024-01-02T12:00:01", "2024-01-04T11:59:59.999999", None),
        ("2024-01-02", "2024-01-04", [11, 12, 13]),
        ("2024-01-02T00:00", "2024-01-04T00:00", [11, 12]),
        ("2024-01", "2024-01", range(10, 17)),
        ("2023-01-01", "2024-01-02", [10, 11]),
        ("2024-01-06", None, [15, 16]),
        ("NaT", "2024-01-02", [10, 11]),
    ],
)
def test_a_window_includes_both_ends_and_a_date_means_all_of_it(start, end, kept):
    low, high = (None if edge is None else np.datetime64(edge) for edge in (start, end))
    if kept is None:
        with pytest.raises(BadInputError, match="holds 1 of the 7 points"):
            window(WEEK, low, high)
        return
    cut = window(WEEK, low, high)
    assert cut.values.tolist() == list(kept)
    assert (cut.values - 10).tolist() == cut.benchmark.tolist() == cut.cash.tolist()
    assert cut.position is None
    assert len(cut.times) == len(cut.values)


@pytest.mark.parametrize(
    ("start", "end"), [("2024-01-07", None), ("2025-01-01", None), ("2024-01-06", "2024-01-02")]
)
def test_too_small_a_window_says_where_the_curve_runs(start, end):
    with pytest.raises(BadInputError, match="from 2024-01-01T12:00:00 to 2024-01-07T12:00:00"):
        window(WEEK, np.datetime64(start), None if end is None else np.datetime64(end))


def test_the_last_microsecond_of_a_date_belongs_to_it():
    dates = ["2024-01-01", "2024-01-02T23:59:59.999999", "2024-01-03"]
    assert len(window(curve_of(dates, [1, 2, 3]), None, np.datetime64("2024-01-02"))) == 2


def test_a_window_that_ends_before_it_starts_holds_nothing():
    with pytest.raises(BadInputError, match="holds 0 of the 7"):
        window(WEEK, np.datetime64("2024-01-06"), np.datetime64("2024-01-02"))


def test_a_curve_without_points_has_no_window():
    with pytest.raises(BadInputError, match="no points"):
        window(curve_of([], []))


@pytest.mark.parametrize("fees", [None, np.arange(4.0)])
def test_trades_count_in_the_window_in_which_they_were_entered(fees):
    entry = np.array(
        ["2024-01-01T12:00", "2024-01-02T23:59", "2024-01-03T00:00", "NaT"], dtype="datetime64[us]"
    )
    trades = Trades(entry, entry + np.timedelta64(9, "D"), *(np.arange(4.0) for _ in range(5)), fees=fees)
    cut = window_trades(trades, np.datetime64("2024-01-02"), np.datetime64("2024-01-02"))
    assert cut.pnl.tolist() == [1.0]
    assert len(cut.exit_time) == len(cut.side) == len(cut.entry_price) == 1
    assert (cut.fees is None) == (fees is None)
    assert window_trades(trades, np.datetime64("2024-01-02")).pnl.tolist() == [1.0, 2.0]
    assert window_trades(trades, None, np.datetime64("2024-01-02")).pnl.tolist() == [0.0, 1.0]
    assert window_trades(trades, entry[0], entry[1]).pnl.tolist() == [0.0, 1.0]
    assert len(window_trades(trades)) == 4


def test_the_typical_step_is_the_median():
    assert typical_step(WEEK.times) == np.timedelta64(1, "D")
    assert typical_step(WEEK.times[[0, 1, 2, 6]]) == np.timedelta64(1, "D")
    assert typical_step(WEEK.times[[0, 2]]) == np.timedelta64(2, "D")
    assert typical_step(WEEK.times[:1]) is None
