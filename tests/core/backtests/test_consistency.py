"""Trades against the curve: money and times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.backtests.consistency import check_trades
from core.backtests.logged.trade_tables import no_trades
from core.backtests.types import EquityCurve, Trades


def curve(*values: float, first: str = "2024-01-01", step: str = "D") -> EquityCurve:
    start = np.datetime64(first, "us")
    times = start + np.arange(len(values)) * np.timedelta64(1, step).astype("timedelta64[us]")  # type: ignore[call-overload]
    return EquityCurve(times, np.array(values, float))


def trades(
    *pnl: float, entry: str | list[str] = "2024-01-01", leave: str | list[str] = "2024-01-02"
) -> Trades:
    count = len(pnl)
    nothing = np.full(count, np.nan)
    entries = np.broadcast_to(np.array(entry, "datetime64[us]"), count)
    exits = np.broadcast_to(np.array(leave, "datetime64[us]"), count)
    return Trades(entries, exits, nothing, nothing, nothing, nothing, np.array(pnl, float))


def test_profits_that_explain_the_equity_say_nothing() -> None:
    assert check_trades(curve(1000, 1005, 1010), trades(7, 3)) == ()


def test_a_difference_is_said_in_money_and_percent() -> None:
    (said,) = check_trades(curve(1000, 1010), trades(20, -5.5))
    assert (
        "made +14.50 in all, the equity changed by +10.00: they differ by 4.50 (0.45% of the starting" in said
    )
    assert "deposits" in said


@given(st.floats(10, 1e6), st.floats(-0.02, 0.02))
def test_the_tolerance_is_a_thousandth_of_the_starting_capital(start: float, share: float) -> None:
    said = check_trades(curve(start, start), trades(start * share))
    if abs(abs(share) - 0.001) > 1e-9 and start * 0.001 > 0.005:
        assert bool(said) is (abs(share) > 0.001)


def test_rounding_to_cents_over_many_trades_is_no_difference() -> None:
    assert check_trades(curve(10, 10), trades(*[0.0049] * 100)) == ()
    assert check_trades(curve(10, 10), trades(*[0.0051] * 100)) != ()


def test_trades_without_a_profit_are_counted_as_a_reason() -> None:
    (said,) = check_trades(curve(1000, 1010), trades(20, np.nan, np.nan))
    assert "the 2 trades without a profit" in said
    assert check_trades(curve(1000, 1010), trades(np.nan)) == (
        "No trade has a profit, so trades and curve cannot be compared in money.",
    )


def test_a_curve_of_returns_is_not_compared_in_money() -> None:
    (said,) = check_trades(curve(1, 1.1), trades(5000))
    assert "starts at 1" in said
    assert "differ" not in said


def test_trades_outside_the_curve_are_counted() -> None:
    found = check_trades(
        curve(100, 100, 100),
        trades(
            0,
            0,
            0,
            0,
            entry=["2023-12-01", "2024-01-01", "2024-01-02", "NaT"],
            leave=["2024-01-02"] * 2 + ["2024-02-01", "NaT"],
        ),
    )
    assert found == ("2 of 4 trades lie outside the curve's time, 2024-01-01 to 2024-01-03.",)


@pytest.mark.parametrize(("leave", "outside"), [("2024-01-02T15:00", False), ("2024-01-03T00:01", True)])
def test_a_date_stands_for_its_whole_day(leave: str, outside: bool) -> None:
    assert bool(check_trades(curve(100, 100), trades(0, leave=leave))) is outside


@pytest.mark.parametrize(("leave", "outside"), [("2024-01-01T12:00", False), ("2024-01-01T12:02", True)])
def test_bars_of_a_minute_have_a_minute_of_slack(leave: str, outside: bool) -> None:
    minutes = curve(100, 100, first="2024-01-01T11:58", step="m")
    assert bool(check_trades(minutes, trades(0, entry="2024-01-01T11:57", leave=leave))) is outside


def test_one_point_and_no_trades_are_no_reason_to_fail() -> None:
    assert check_trades(curve(100), trades(0, leave="2024-01-01T05:00")) == ()
    assert check_trades(curve(100, 200), no_trades()) == ()
    assert check_trades(curve(-5), trades(3)) != ()
