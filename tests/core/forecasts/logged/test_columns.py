"""Which column of a forecast table is what, by the names people use."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import polars as pl
import pytest

from core.forecasts.logged.columns import (
    ACTUAL,
    LOWER,
    PREDICTED,
    SPLIT,
    STORE,
    UPPER,
    ForecastColumns,
    find_columns,
)
from core.tables.errors import TableError

DATES = ["2024-01-01", "2024-01-02", "2024-01-03"]
NUMBERS = [1.0, 2.0, 3.0]
WORDS = ["a", "b", "c"]


def found(*numbers: str, dates: str = "date", **others: list[Any]) -> ForecastColumns:
    """Find the columns of a table with columns of numbers, one of dates and others."""
    columns: dict[str, Any] = {dates: DATES, **others, **dict.fromkeys(numbers, NUMBERS)}
    return find_columns(pl.DataFrame(columns), "forecast/predictions.csv")


def test_our_own_names_need_no_others() -> None:
    columns = found("actual", "predicted", "lower", "upper", store=WORDS, split=["train", "test", "test"])
    assert columns == ForecastColumns("date", "predicted", "actual", "lower", "upper", "store", "split")


@pytest.mark.parametrize(
    "name", ["predicted", "yhat", "y_hat", "Prediction", "FORECAST", "y_pred", "p50", "fitted"]
)
def test_names_of_predictions(name: str) -> None:
    assert found("actual", name) == ForecastColumns("date", name, "actual")


@pytest.mark.parametrize(
    "name", ["actual", "y", "Y_true", "sales", "Transactions", "actual sales", "demand", "units", "target"]
)
def test_names_of_actuals(name: str) -> None:
    assert found("yhat", name) == ForecastColumns("date", "yhat", name)


@pytest.mark.parametrize(
    "name", ["date", "ds", "Date", "time", "timestamp", "datetime", "week", "fecha", "day"]
)
def test_names_of_times(name: str) -> None:
    assert found("y", "yhat", dates=name) == ForecastColumns(name, "yhat", "y")


@pytest.mark.parametrize(
    "name",
    ["store", "store_code", "unique_id", "Store ID", "store_nbr", "product", "sku", "series", "tienda"],
)
@pytest.mark.parametrize("cells", [WORDS, [1, 2, 3]])
def test_names_of_stores(name: str, cells: list[Any]) -> None:
    assert found("y", "yhat", **{name: cells}).store == name


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ("lower", "upper"),
        ("yhat_lower", "yhat_upper"),
        ("lo", "hi"),
        ("lower bound", "upper bound"),
        ("p10", "p90"),
        ("yhat_p10", "yhat_p90"),
        ("predicted_p05", "predicted_p95"),
        ("q_05", "q_95"),
        ("lo-80", "hi-80"),
        ("yhat-lo-95", "yhat-hi-95"),
        ("AutoARIMA-lo-90", "AutoARIMA-hi-90"),
    ],
)
def test_names_of_an_interval(lower: str, upper: str) -> None:
    assert found("y", "yhat", upper, lower) == ForecastColumns("date", "yhat", "y", lower, upper)


def test_the_outermost_of_several_intervals_is_taken() -> None:
    columns = found("yhat", "p25", "p05", "p95", "p75", "p50")
    assert (columns.lower, columns.upper) == ("p05", "p95")
    nixtla = found("yhat", "yhat-lo-80", "yhat-lo-95", "yhat-hi-95", "yhat-hi-80")
    assert (nixtla.lower, nixtla.upper) == ("yhat-lo-95", "yhat-hi-95")
    # An interval of 80 % goes from the 10 % quantile to the 90 % one.
    mixed = found("yhat", "lo-80", "p08", "p12", "hi-80", "p88", "p92")
    assert (mixed.lower, mixed.upper) == ("p08", "p92")


def test_a_named_interval_wins_over_quantiles() -> None:
    columns = found("yhat", "p01", "p99", "lower", "upper")
    assert (columns.lower, columns.upper) == ("lower", "upper")


@pytest.mark.parametrize(
    "names", [("lower",), ("p90",), ("lo-80",), ("p10", "p25"), ("p90", "p75"), ("p50", "p90")]
)
def test_half_an_interval_is_none(names: tuple[str, ...]) -> None:
    columns = found("predicted", "actual", *names)
    assert (columns.lower, columns.upper) == (None, None)


def test_the_preferred_of_several_names_is_taken() -> None:
    columns = found("fitted", "sales", "yhat", "y", "p10", "p90", product=WORDS, store=WORDS)
    assert columns == ForecastColumns("date", "yhat", "y", "p10", "p90", "store")
    assert found("predicted", "Predicted", "yhat").predicted == "predicted"


def test_one_column_is_never_two_things() -> None:
    columns = found("p50", "p10", "p90", "y")
    assert columns == ForecastColumns("date", "p50", "y", "p10", "p90")
    named = [name for names in (ACTUAL, PREDICTED, LOWER, UPPER, STORE, SPLIT) for name in names]
    assert len(named) == len(set(named))


def test_a_column_of_dates_counts_under_any_name() -> None:
    frame = pl.DataFrame({"when": [date(2024, 1, 1)], "y": [1.0], "yhat": [2.0]})
    assert find_columns(frame, "a.parquet").time == "when"
    stamped = pl.DataFrame({"bis": [datetime(2024, 1, 1)], "yhat": [2.0]})
    assert find_columns(stamped, "a.parquet").time == "bis"


@pytest.mark.parametrize("index", ["index", "Unnamed: 0", ""])
@pytest.mark.parametrize("dates", ["ds", "day", "date", "ts"])
def test_an_index_that_counts_rows_gives_way_to_dates(index: str, dates: str) -> None:
    assert found("y", "yhat", dates=dates, **{index: [0, 1, 2]}).time == dates


def test_a_dated_index_is_the_time() -> None:
    assert found("y", "yhat", dates="").time == ""
    assert found("y", "yhat", dates="index", h=[1, 2, 3]).time == "index"


def test_steps_are_taken_where_nothing_else_is_there_so_that_they_can_be_named() -> None:
    assert find_columns(pl.DataFrame({"time": [0, 1], "yhat": [1.0, 2.0]}), "a.csv").time == "time"


def test_numbers_written_as_text_are_numbers_and_words_are_not() -> None:
    frame = pl.DataFrame({"date": DATES, "forecast": ["1,5", "2,5", None], "actual": ["high", "low", "low"]})
    assert find_columns(frame, "a.csv") == ForecastColumns("date", "forecast")


def test_a_column_without_a_value_still_has_its_name() -> None:
    frame = pl.DataFrame({"ds": DATES, "y": [None] * 3, "yhat": NUMBERS})
    assert find_columns(frame, "a.json").actual == "y"
    as_text = frame.with_columns(pl.col("y").cast(pl.String))
    assert find_columns(as_text, "a.csv").actual == "y"


@pytest.mark.parametrize("name", ["split", "Set", "part"])
def test_a_split_is_in_words(name: str) -> None:
    assert found("y", "yhat", **{name: ["train", "test", "test"]}).split == name
    assert found("y", "yhat", **{name: [1, 2, 3]}).split is None


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"h": [1, 2], "MAE": [1.0, 2.0], "sMAPE": [3.0, 4.0]}),
        pl.DataFrame({"feature": ["a", "b"], "importance": [0.5, 0.5]}),
        pl.DataFrame({"date": DATES, "y": NUMBERS}),
        pl.DataFrame({"date": DATES, "predicted": WORDS}),
    ],
)
def test_a_table_of_something_else_is_refused_with_what_it_has(frame: pl.DataFrame) -> None:
    with pytest.raises(TableError) as refused:
        find_columns(frame, "results/table.csv")
    said = str(refused.value)
    assert "results/table.csv has no column of predictions" in said
    assert "predicted, yhat, prediction or forecast" in said
    assert all(repr(name) in said for name in frame.columns)


def test_predictions_without_dates_are_refused_with_the_names_that_are_accepted() -> None:
    frame = pl.DataFrame({"row": [1, 2], "y": [1.0, 2.0], "prediction": [1.0, 2.0]})
    with pytest.raises(TableError) as refused:
        find_columns(frame, "eval/predictions.json")
    assert "eval/predictions.json has predictions but no column of dates" in str(refused.value)
    for name in ("date", "ds", "time", "timestamp"):
        assert name in str(refused.value).rpartition("Accepted")[2]
        assert found("yhat", dates=name).time == name


def test_a_wide_table_is_refused_in_a_line_that_can_be_read() -> None:
    frame = pl.DataFrame({f"column {number}": [1.0] for number in range(100)})
    with pytest.raises(TableError) as refused:
        find_columns(frame, "wide.csv")
    assert "'column 19'" in str(refused.value)
    assert "'column 20'" not in str(refused.value)
