import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.backtests.measures import measure
from core.backtests.types import Annualisation, EquityCurve, Trades
from tests.core.backtests.oracles import NAIVE, Case, same

NAN = math.nan
NAMES = ("trades", "long_trades", "short_trades", "win_rate", "payoff_ratio", "profit_factor", "expectancy",
         "average_holding_days", "exposure", "turnover", "costs", "costs_of_capital")  # fmt: skip
YEAR = Annualisation(252.0, "business days", NAN)
MISSING = st.just(NAN)


def curve_of(values, position=None):
    times = np.datetime64("2020-01-01", "us") + np.arange(len(values)) * np.timedelta64(1, "D")
    return EquityCurve(times, np.array(values, float), position=position)


def moment(day):
    if day is None:
        return np.datetime64("NaT", "us")
    return np.datetime64("2020-01-01", "us") + np.timedelta64(round(day * 24), "h").astype("timedelta64[us]")


def trades_of(*rows, fees=None):
    """Rows of entry and exit (days after the start), side, quantity, entry price, exit price, pnl."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    return Trades(
        *(np.array([moment(day) for day in column], dtype="datetime64[us]") for column in columns[:2]),
        *(np.array(column, dtype=float) for column in columns[2:]),
        fees=None if fees is None else np.array(fees, dtype=float),
    )


def of(curve, trades, per_year=252.0):
    found = measure(curve, trades, Annualisation(per_year, "as set", NAN))
    return {name: getattr(found, name) for name in NAMES}


@st.composite
def tables(draw):
    days = st.integers(-50, 600).map(lambda hours: hours / 24) | st.none()
    prices = st.integers(1, 200).map(float) | MISSING
    row = st.tuples(
        days, days, st.sampled_from([1.0, -1.0, NAN]), st.integers(0, 9).map(float) | MISSING,
        prices, prices, st.integers(-20, 20).map(float) | MISSING,
    )  # fmt: skip
    rows = [one for one in draw(st.lists(row, max_size=15)) if None in one[:2] or one[0] <= one[1]]
    fee = st.integers(0, 5).map(float) | MISSING
    fees = draw(st.none() | st.lists(fee, min_size=len(rows), max_size=len(rows)))
    values = [100.0, *draw(st.lists(st.integers(50, 150).map(float), max_size=20))]
    position = draw(
        st.none()
        | st.lists(st.sampled_from([0.0, 1.0, -2.0, NAN]), min_size=len(values), max_size=len(values))
    )
    curve = curve_of(values, None if position is None else np.array(position))
    return Case(curve, draw(st.none() | st.just(trades_of(*rows, fees=fees))), 252.0)


@settings(deadline=None)
@given(tables())
def test_any_table_measures_as_defined(case):
    found = of(case.curve, case.trades)
    for name in NAMES:
        expected = NAIVE[name](case)
        assert same(found[name], expected), f"{name}: {found[name]} is not {expected}"


FOUR = (
    (1, 3, 1, 10, 10.0, 12.0, 20.0),
    (2, 4, -1, 5, 20.0, 22.0, -10.0),
    (6, 7, 1, 1, 30.0, 30.0, 0.0),
    (8, None, 1, 2, 40.0, NAN, 99.0),
)


def test_four_trades_by_hand():
    found = of(curve_of([1000.0] * 11), trades_of(*FOUR, fees=[1, 2, 3, NAN]))
    assert found == {
        "trades": 3,
        "long_trades": 2,
        "short_trades": 1,
        "win_rate": pytest.approx(1 / 3),
        "payoff_ratio": pytest.approx(2.0),
        "profit_factor": pytest.approx(2.0),
        "expectancy": pytest.approx(10 / 3),
        "average_holding_days": pytest.approx(5 / 3),
        "exposure": pytest.approx((3 + 1 + 2) / 10),
        # 100 + 120, 100 + 110, 30 + 30, 80: 570 of 1000 in 10 of 252 steps
        "turnover": pytest.approx(0.57 * 252 / 10),
        "costs": 6.0,
        "costs_of_capital": pytest.approx(0.006),
    }


def test_small_capital_and_small_results_are_measured_as_large_ones():
    curve = curve_of([0.5, 0.25])
    trades = trades_of((0, 0.5, 1, 1, 0.1, 0.2, 0.5), (0, 1, 1, 1, 0.1, 0.2, -0.25), fees=[0.125, 0.125])
    found = of(curve, trades)
    assert (found["payoff_ratio"], found["profit_factor"], found["win_rate"]) == (2.0, 2.0, 0.5)
    assert (found["costs"], found["costs_of_capital"], found["exposure"]) == (0.25, 0.5, 1.0)
    assert found["turnover"] == pytest.approx(0.6 / 0.375 * 252)


def test_costs_are_no_share_of_nothing():
    found = of(curve_of([0.0]), trades_of((0, 1, 1, 1, 1, 1, 1.0), fees=[1.0]))
    assert (found["costs"], found["costs_of_capital"]) == (1.0, None)


def test_no_table_measures_nothing():
    assert set(of(curve_of([100, 101, 99]), None).values()) == {None}


def test_an_empty_table_has_no_trades_and_no_exposure():
    found = of(curve_of([100, 101, 99]), trades_of())
    assert {name: value for name, value in found.items() if value is not None} == {
        "trades": 0, "long_trades": 0, "short_trades": 0, "exposure": 0.0, "turnover": 0.0,
    }  # fmt: skip


def test_trades_without_a_profit_or_loss_are_counted_but_not_won():
    found = of(curve_of([100, 101, 99]), trades_of((0, 1, 1, 1, 10, 11, NAN), (0, 1, 1, 1, 10, 11, NAN)))
    assert found["trades"] == 2
    assert (found["win_rate"], found["payoff_ratio"], found["profit_factor"], found["expectancy"]) == (
        None,
    ) * 4


def test_open_trades_are_not_counted_in_the_win_rate():
    found = of(curve_of([100, 101, 99]), trades_of((0, 1, 1, 1, 10, 9, -1.0), (0, None, 1, 1, 10, NAN, 5.0)))
    assert (found["trades"], found["win_rate"], found["expectancy"]) == (1, 0.0, -1.0)


def test_open_trades_alone_are_no_trades():
    found = of(curve_of([100.0] * 5), trades_of((1, None, 1, 1, 10, NAN, NAN)))
    assert (found["trades"], found["win_rate"], found["exposure"]) == (0, None, 0.75)


def test_a_table_without_exit_times_counts_what_has_a_result():
    found = of(curve_of([100.0] * 5), trades_of((1, None, 1, 1, 10, 11, 1.0), (2, None, 1, 1, 10, 9, -1.0)))
    assert (found["trades"], found["win_rate"]) == (2, 0.5)
    assert (found["exposure"], found["average_holding_days"]) == (None, None)


def test_winners_only_have_no_profit_factor():
    found = of(curve_of([100, 101]), trades_of((0, 1, 1, 1, 10, 11, 1.0)))
    assert (found["win_rate"], found["profit_factor"], found["payoff_ratio"]) == (1.0, None, None)


def test_losers_only_have_a_profit_factor_of_zero():
    found = of(curve_of([100, 99]), trades_of((0, 1, 1, 1, 10, 9, -1.0)))
    assert (found["win_rate"], found["profit_factor"], found["payoff_ratio"]) == (0.0, 0.0, None)


def test_sides_that_are_not_known_are_not_counted_as_none():
    found = of(curve_of([100, 99]), trades_of((0, 1, NAN, 1, 10, 9, -1.0)))
    assert (found["trades"], found["long_trades"], found["short_trades"]) == (1, None, None)


def test_exposure_goes_by_the_clock_over_a_weekend():
    friday = np.array(["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"], dtype="datetime64[us]")
    curve = EquityCurve(friday, np.array([100.0, 101, 102, 101]), position=np.array([0.0, -2.0, 0.0, 5.0]))
    assert of(curve, None)["exposure"] == pytest.approx(3 / 5)
    assert of(curve, trades_of())["exposure"] == pytest.approx(3 / 5)  # the position is the better witness


def test_trades_outside_the_curve_do_not_expose_it():
    curve = curve_of([100.0] * 5)
    outside = trades_of((-9, -2, 1, 1, 1, 1, 0.0), (7, 9, 1, 1, 1, 1, 0.0))
    assert of(curve, outside)["exposure"] == 0.0
    assert of(curve, trades_of((-9, 9, 1, 1, 1, 1, 0.0)))["exposure"] == 1.0


def test_a_hundred_overlapping_trades_are_one_stretch():
    rows = [(1 + at / 100, 2 + at / 100, 1, 1, 1, 1, 0.0) for at in range(0, 100, 5)]
    last = max(math.floor(row[1] * 24 + 0.5) for row in rows) / 24
    found = of(curve_of([100.0] * 5), trades_of(*reversed(rows)))["exposure"]
    assert found == pytest.approx((last - 1) / 4)


@pytest.mark.parametrize("values", [[0.0], [100.0, -300.0]])
def test_a_ruined_account_has_no_turnover(values):
    assert of(curve_of(values), trades_of((0, 1, 1, 1, 10, 11, 1.0)))["turnover"] is None


def test_amounts_of_trades_say_nothing_about_a_curve_compounded_from_returns():
    trades = trades_of((0, 5, 1, 100, 10, 11, 100), fees=[2])
    money = curve_of([1.0, 1.1, 1.2])
    returns = EquityCurve(money.times, money.values, from_returns=True)
    assert of(money, trades)["turnover"] is not None
    assert of(money, trades)["costs_of_capital"] == 2
    found = of(returns, trades)
    assert (found["turnover"], found["costs_of_capital"], found["costs"]) == (None, None, 2)
