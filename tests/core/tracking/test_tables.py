"""Tables of backtests, in every shape that people hold them."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest

from core.errors import BadInputError
from core.tracking import MLflowLogger
from core.tracking.tables import dump, table

TIMES = pd.date_range("2024-03-30 23:00", periods=3, freq="h")
EXPECTED = {
    "columns": ["time", "value"],
    "data": [["2024-03-30T23:00:00", 1.5], ["2024-03-31T00:00:00", None], ["2024-03-31T01:00:00", 3.0]],
}
VALUES = [1.5, math.nan, 3.0]


@pytest.mark.parametrize(
    "data",
    [
        [{"time": at, "value": value} for at, value in zip(TIMES, VALUES, strict=True)],
        [{"time": at.to_pydatetime(), "value": np.float64(v)} for at, v in zip(TIMES, VALUES, strict=True)],
        {"time": TIMES.to_numpy(), "value": np.array(VALUES)},
        {"time": TIMES, "value": VALUES},
        pd.DataFrame({"time": TIMES, "value": VALUES}),
        pd.DataFrame({"value": VALUES}, index=TIMES),
        pd.DataFrame({"value": pd.array([1.5, None, 3.0], "Float64")}, index=TIMES.rename("time")),
        pd.Series(VALUES, index=TIMES),
        pl.DataFrame({"time": TIMES.to_numpy(), "value": [1.5, None, 3.0]}),
    ],
    ids=range(9),
)
def test_every_shape_gives_the_same_table(data: object) -> None:
    assert json.loads(table("portfolio_values", data).split()) == EXPECTED


def test_times_with_a_zone_keep_their_offset() -> None:
    times = pd.date_range("2024-03-31 00:30", periods=3, freq="h", tz="Europe/Berlin")
    expected = ["2024-03-31T00:30:00+01:00", "2024-03-31T01:30:00+01:00", "2024-03-31T03:30:00+02:00"]
    for data in (pd.Series([1, 2, 3], index=times), {"time": list(times), "value": [1, 2, 3]}):
        assert [row["time"] for row in table("x", data).records()] == expected
    west = pd.Series(pd.to_datetime(["2024-01-01", None]).tz_localize("America/St_Johns"))
    assert table("x", west).values == (["2024-01-01T00:00:00-03:30", None],)


def test_values_of_any_type_are_written() -> None:
    class Side(Enum):
        LONG = "long"

    row = {
        "side": Side.LONG,
        "date": date(2024, 1, 2),
        "utc": datetime(2024, 1, 2, tzinfo=UTC),
        "fine": np.datetime64("2024-01-02T00:00:00.123456789"),
        "held": timedelta(hours=1, minutes=30),
        "price": Decimal("1.25"),
        "quantity": np.int64(3),
        "hit": np.bool_(True),
        "gone": pd.NaT,
        "missing": pd.NA,
        "ratio": math.inf,
        "path": Path("a/b"),
        "big": 2**70,
        "tags": {"b", "a"},
        "vector": np.array([1.0, math.nan]),
    }
    (read,) = json.loads(dump(table("trades", [row]).records()))
    assert read == {
        "side": "long",
        "date": "2024-01-02",
        "utc": "2024-01-02T00:00:00+00:00",
        "fine": "2024-01-02T00:00:00.123456789",
        "held": "P0DT1H30M0S",
        "price": 1.25,
        "quantity": 3,
        "hit": True,
        "gone": None,
        "missing": None,
        "ratio": None,
        "path": "a/b",
        "big": 2**70,
        "tags": ["a", "b"],
        "vector": [1.0, None],
    }


def test_odd_tables() -> None:
    assert table("x", []).columns == ()
    assert json.loads(table("x", [1, 2.5]).split()) == {"columns": ["value"], "data": [[1], [2.5]]}
    assert table("x", [{"a": 1}, {"b": 2}]).values == ([1, None], [None, 2])
    assert table("x", {"a": 1, "b": "y"}).records() == [{"a": 1, "b": "y"}]
    grouped = pd.DataFrame({"v": [1]}, index=pd.MultiIndex.from_tuples([("a", 1)], names=["symbol", None]))
    assert table("x", grouped).columns == ("symbol", "v")
    assert table("x", pd.DataFrame({"a": pd.Categorical(["u", None])})).values == (["u", None],)
    with pytest.raises(BadInputError, match="'trades' differ in length"):
        table("trades", {"a": [1, 2], "b": [1]})
    for bad in ("text", 5, [[1, 2]], [{"a": 1}, 2], np.zeros((2, 2)), {"a": [1], "b": 2}):
        with pytest.raises(BadInputError, match="'trades' must be a list of dicts"):
            table("trades", bad)


def test_a_backtest_is_read_back_with_plain_mlflow(store: str) -> None:
    trades = pd.DataFrame(
        {"entry_time": TIMES, "pnl": [1.0, -2.0, 0.1 + 0.2], "side": ["long", "short", "long"]}
    )
    results = {
        "trades": trades,
        "portfolio_values": pd.Series([1.0, 2.0, 3.0], index=TIMES),
        "metrics": {"sharpe": np.float64(1.5), "label": "x", "bad%": 2, "nan": math.nan, "flag": True},
        "monthly": pd.DataFrame({"r": [0.1]}),
        "config": {"costs": {"bps": np.int64(2)}},
    }
    logger = MLflowLogger("backtests", store)
    with logger.start_run():
        mlflow.log_table({"a": [1]}, "other.json")
        logger.log_backtest_results(results, "bt")
    read = mlflow.load_table("bt/trades.json", [logger.run_id])
    read["entry_time"] = pd.to_datetime(read["entry_time"])
    pd.testing.assert_frame_equal(read, trades, check_dtype=False)
    values = mlflow.load_table("bt/portfolio_values.json", [logger.run_id])
    assert values.columns.tolist() == ["time", "value"] and values["value"].tolist() == [1.0, 2.0, 3.0]
    run = mlflow.get_run(logger.run_id)
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [
        {"path": path, "type": "table"}
        for path in ("other.json", "bt/trades.json", "bt/portfolio_values.json")
    ]
    assert set(run.data.metrics) == {"sharpe", "nan"}
    full = mlflow.artifacts.load_dict(f"runs:/{logger.run_id}/bt/results.json")
    assert full["metrics"] == {"sharpe": 1.5, "label": "x", "bad%": 2, "nan": None, "flag": True}
    assert full["trades"][1] == {"entry_time": "2024-03-31T00:00:00", "pnl": -2.0, "side": "short"}
    assert full["monthly"] == [0.1] and full["config"] == {"costs": {"bps": 2}}


def test_columns_that_are_series_over_time_keep_their_values_and_times() -> None:
    days = pd.date_range("2020-01-01", periods=3, name="Date")
    value = pd.Series([1.0, 2.0, 3.0], index=days)
    texts = ["2020-01-01T00:00:00", "2020-01-02T00:00:00", "2020-01-03T00:00:00"]
    expected = {"time": texts, "value": [1.0, 2.0, 3.0]}
    for data in (
        {"time": days, "value": value},
        {"time": days, "value": value.to_numpy()},
        pd.DataFrame({"time": days, "value": value.to_numpy()}, index=days),
    ):
        found = table("portfolio_values", data)
        assert dict(zip(found.columns, found.values, strict=True)) == expected
    indexed = table("portfolio_values", {"value": value, "benchmark": value * 2})
    assert dict(zip(indexed.columns, indexed.values, strict=True)) == {
        "Date": texts,
        "value": [1.0, 2.0, 3.0],
        "benchmark": [2.0, 4.0, 6.0],
    }
