"""Which column is what: the names people use, what is ambiguous, and what is refused."""

from __future__ import annotations

import json

import polars as pl
import pytest

from core.backtests.logged.columns import ColumnChoice, Recognition, TableKind, recognise
from core.tables.errors import TableError

DAYS = ["2024-01-02", "2024-01-03", "2024-01-04"]
WORTH = [100.0, 101.0, 99.0]
OTHER = [100.0, 102.0, 98.0]
CHANGES = [0.01, -0.02, 0.005]


def told(path: str = "backtest/portfolio_values.json", /, **columns: object) -> Recognition:
    return recognise(pl.DataFrame(columns), path)


@pytest.mark.parametrize(
    "name", ["time", "date", "Date", "DATETIME", "timestamp", "index", "Unnamed: 0", "", "  "]
)
def test_names_of_times(name: str) -> None:
    found = recognise(pl.DataFrame({name: DAYS, "value": WORTH}), "a.csv")
    assert found.choice() == ColumnChoice(time=name, value="value")


@pytest.mark.parametrize(
    "name",
    [
        *("value", "equity", "NAV", "total_value", "Total Value", "balance", "portfolioValue"),
        *("Portfolio_Value", "equity_curve", "account_value", "net_worth", "capital"),
    ],
)
def test_names_of_values(name: str) -> None:
    assert recognise(pl.DataFrame({"date": DAYS, name: WORTH}), "a.csv").choice().value == name


@pytest.mark.parametrize("name", ["returns", "ret", "pnl_pct", "Strategy Returns", "daily_return", "return"])
def test_names_of_returns(name: str) -> None:
    choice = recognise(pl.DataFrame({"date": DAYS, name: CHANGES}), "a.csv").choice()
    assert (choice.value, choice.returns) == (None, name)


def test_everything_of_our_own_format_at_once() -> None:
    found = told(time=DAYS, value=WORTH, benchmark=OTHER, position=[1, 0, -1], cash=WORTH)
    assert found.choice() == ColumnChoice("time", "value", None, "benchmark", False, "position", "cash")
    assert found.columns == ("time", "value", "benchmark", "position", "cash")
    assert found.kind is TableKind.CURVE


def test_our_own_names_win_over_others() -> None:
    found = told(date=DAYS, time=DAYS, equity=OTHER, value=WORTH, nav=CHANGES)
    assert found.choice() == ColumnChoice("time", "value")
    assert not found.ambiguous
    assert found.values == ("value", "equity", "nav")


def test_value_wins_over_returns() -> None:
    found = told(date=DAYS, returns=CHANGES, equity=WORTH)
    assert found.choice() == ColumnChoice("date", "equity")
    assert found.returns == ("returns",)


def test_two_different_values_are_ambiguous() -> None:
    found = told(date=DAYS, portfolio_value=OTHER, equity=WORTH)
    assert found.ambiguous
    assert found.values == ("equity", "portfolio_value")
    assert found.suggestion() == ColumnChoice("date", "equity")
    with pytest.raises(TableError, match=r"equity and portfolio_value of backtest/portfolio_values.json"):
        found.choice()


def test_the_same_numbers_twice_are_not_ambiguous() -> None:
    found = told(date=DAYS, portfolio_value=[str(v) for v in WORTH], equity=WORTH)
    assert not found.ambiguous
    assert found.choice().value == "equity"


def test_returns_and_strategy_returns_are_ambiguous() -> None:
    found = told(date=DAYS, returns=CHANGES, strategy_returns=[0.0, 0.1, 0.2])
    assert found.ambiguous
    assert found.returns == ("returns", "strategy_returns")


def test_weak_names_and_empty_columns_never_compete() -> None:
    found = told(date=DAYS, capital=[1e6, 1e6, 1e6], nav=[None, None, None], equity=WORTH)
    assert found.choice().value == "equity"
    assert not found.ambiguous


@pytest.mark.parametrize(
    ("columns", "name", "is_returns"),
    [
        ({"value": WORTH, "benchmark": OTHER}, "benchmark", False),
        ({"value": WORTH, "SPY": [0.5, 0.6, 0.7]}, "SPY", False),
        ({"value": WORTH, "benchmark": CHANGES}, "benchmark", True),
        ({"value": WORTH, "benchmark_returns": [0.1, 0.1, 0.1]}, "benchmark_returns", True),
        ({"returns": CHANGES, "benchmark": [0.1, 0.1, 0.1]}, "benchmark", True),
        ({"returns": CHANGES, "buy_and_hold": OTHER}, "buy_and_hold", False),
        ({"value": WORTH, "market": ["NYSE", "NYSE", "NYSE"]}, None, False),
    ],
)
def test_a_benchmark_is_a_level_or_returns(
    columns: dict[str, object], name: str | None, is_returns: bool
) -> None:
    choice = told(date=DAYS, **columns).choice()
    assert (choice.benchmark, choice.benchmark_is_returns) == (name, is_returns)


def test_positions_as_text_do_not_keep_the_table_from_opening() -> None:
    found = told(date=DAYS, total_value=WORTH, cash=[1.0, 2.0, 3.0], positions=["{'AAPL': 10}"] * 3)
    assert found.choice() == ColumnChoice("date", "total_value", position="positions", cash="cash")


@pytest.mark.parametrize(
    ("numbers", "is_time"),
    [
        ([1_704_153_600, 1_704_240_000], True),
        ([1_704_153_600_000, 1_704_240_000_000], True),
        ([1_704_153_600_000_000, 1_704_240_000_000_000], True),
        ([1_704_153_600_000_000_000, 1_704_240_000_000_000_000], True),
        (["1704153600000", "1704240000000"], True),
        ([20240102, 20240103], True),
        ([20241399, 20240103], False),
        ([0, 1], False),
        ([0.0, 1.0], False),
        (["0", "1"], False),
    ],
)
def test_whole_numbers_are_times_by_their_size_else_steps(numbers: list[object], is_time: bool) -> None:
    found = told(time=numbers, value=[1.0, 2.0])
    assert (found.kind is TableKind.CURVE) is is_time
    if not is_time:
        with pytest.raises(TableError, match=r"'time' .*steps, not dates"):
            found.choice()


def test_an_index_of_steps_gives_way_to_dates() -> None:
    assert recognise(pl.DataFrame({"": [0, 1, 2], "date": DAYS, "value": WORTH}), "a.csv").times == ("date",)


def test_a_clock_beside_a_date_is_no_time() -> None:
    assert told(time=["09:30:00"] * 3, date=DAYS, value=WORTH).times == ("date",)


def test_a_column_of_dates_counts_under_any_name() -> None:
    frame = pl.DataFrame({"bar_end": DAYS, "value": WORTH}).with_columns(pl.col("bar_end").str.to_date())
    assert recognise(frame, "a.parquet").times == ("bar_end",)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"when": DAYS, "value": WORTH}, "no column of times; it has 'when', 'value'.*time, date"),
        ({"date": DAYS, "loss": WORTH}, "no column of values or returns; it has 'date', 'loss'.*equity"),
        ({"a": DAYS, "b": WORTH}, "no column of times, nor one of values; it has 'a', 'b'"),
        ({"date": ["one", "two", "three"], "value": WORTH}, "'date' .*no dates .*'one'"),
    ],
)
def test_what_is_missing_is_said_with_the_names_that_are_there(columns: dict[str, object], said: str) -> None:
    found = told("x/y.json", **columns)
    assert found.kind is TableKind.NEITHER
    with pytest.raises(TableError, match=said) as raised:
        found.choice()
    assert "x/y.json" in str(raised.value)


def test_a_choice_goes_through_json_and_back() -> None:
    choice = ColumnChoice("t", None, "r", "b", True, None, "c")
    assert ColumnChoice.from_dict(json.loads(json.dumps(choice.to_dict()))) == choice
    assert ColumnChoice.from_dict({"time": "t", "value": "v", "of a later version": 1}) == ColumnChoice(
        "t", "v"
    )


@pytest.mark.parametrize("broken", [{}, {"value": "v"}, {"time": 3}, {"time": "t", "value": ["v"]}])
def test_a_choice_that_is_damaged_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(TableError, match="Choose the columns again"):
        ColumnChoice.from_dict(broken)
