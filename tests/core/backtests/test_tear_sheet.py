"""From a curve to a tear sheet: the window, the annualisation of the whole curve, another run as benchmark."""

from __future__ import annotations

import numpy as np
import pytest

from core.backtests.measures import measure
from core.backtests.tear_sheet import TearSheetOptions, tear_sheet, with_benchmark
from core.backtests.types import EquityCurve, Floats, Times, Trades
from core.errors import BadInputError


def days(count: int, first: str = "2020-01-01") -> Times:
    start = np.datetime64(first, "D")
    found = np.busday_offset(start, np.arange(count), roll="forward")
    return found.astype("datetime64[us]")


def walk(seed: int, count: int) -> Floats:
    moves = np.random.default_rng(seed).normal(0, 0.01, count - 1)
    return 1000 * np.exp(np.concatenate([[0.0], np.cumsum(moves)]))


def trades_of(curve: EquityCurve, *spans: tuple[int, int]) -> Trades:
    first, last = np.array(spans).T
    return Trades(
        entry_time=curve.times[first],
        exit_time=curve.times[last],
        side=np.ones(len(spans)),
        quantity=np.ones(len(spans)),
        entry_price=curve.values[first],
        exit_price=curve.values[last],
        pnl=curve.values[last] - curve.values[first],
    )


def test_the_whole_curve_is_measured_as_it_is() -> None:
    curve = EquityCurve(days(300), walk(1, 300))
    sheet = tear_sheet(curve, None)
    assert sheet.measures == measure(curve, None, sheet.annualisation)
    assert sheet.annualisation.periods_per_year == 252
    assert sheet.drawdowns[0].depth == sheet.measures.max_drawdown


def test_a_window_takes_curve_and_trades_and_keeps_the_annualisation() -> None:
    curve = EquityCurve(days(300), walk(2, 300))
    trades = trades_of(curve, (0, 50), (60, 100), (200, 299))
    # Four days say nothing about a year; the curve they are cut from does.
    sheet = tear_sheet(curve, trades, TearSheetOptions(curve.times[58], curve.times[61]))
    assert sheet.annualisation.periods_per_year == 252
    np.testing.assert_array_equal(sheet.curve.values, curve.values[58:62])
    assert sheet.trades is not None
    assert len(sheet.trades) == 1
    assert sheet.measures.total_return == pytest.approx(curve.values[61] / curve.values[58] - 1)


def test_what_is_said_of_the_trades_is_said_of_the_whole_curve() -> None:
    curve = EquityCurve(days(300), walk(3, 300))
    whole = trades_of(curve, (0, 150), (150, 299))
    assert tear_sheet(curve, whole).notes == ()
    window = TearSheetOptions(curve.times[10], curve.times[250])
    assert tear_sheet(curve, whole, window).notes == ()
    half = trades_of(curve, (0, 150))
    assert len(tear_sheet(curve, half).notes) == 1


def test_periods_a_year_and_the_rate_can_be_set() -> None:
    curve = EquityCurve(days(300), walk(4, 300))
    plain, set_ = tear_sheet(curve, None), tear_sheet(curve, None, TearSheetOptions(periods_per_year=365))
    assert plain.measures.volatility is not None
    assert set_.measures.volatility == pytest.approx(plain.measures.volatility * np.sqrt(365 / 252))
    rated = tear_sheet(curve, None, TearSheetOptions(risk_free=0.05)).measures.sharpe
    assert rated is not None
    assert plain.measures.sharpe is not None
    assert rated < plain.measures.sharpe
    with pytest.raises(BadInputError):
        tear_sheet(curve, None, TearSheetOptions(periods_per_year=-1))


def test_an_empty_window_names_the_range_of_the_curve() -> None:
    curve = EquityCurve(days(30), walk(5, 30))
    with pytest.raises(BadInputError, match="2020-01-01"):
        tear_sheet(curve, None, TearSheetOptions(start=np.datetime64("2031-01-01", "us")))


def test_another_run_as_benchmark_stands_with_its_last_known_value() -> None:
    curve = EquityCurve(days(10), walk(6, 10), benchmark=np.ones(10))
    other = EquityCurve(curve.times[[1, 4, 8]] + np.timedelta64(1, "h"), np.array([5.0, 6.0, 7.0]))
    aligned = with_benchmark(curve, other).benchmark
    expected = [
        next((v for t, v in zip(other.times[::-1], other.values[::-1], strict=True) if t <= now), np.nan)
        if now <= other.times[-1]
        else np.nan
        for now in curve.times
    ]
    np.testing.assert_array_equal(aligned, expected)
    assert with_benchmark(curve, None).benchmark is None
