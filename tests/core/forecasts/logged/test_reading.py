"""Reading the forecast of a run, wherever it lies and however it is written, from artifacts on disk."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from core.errors import ArtifactError, NotFoundError
from core.forecasts.logged.columns import ForecastColumns
from core.forecasts.logged.reading import ForecastReading, read_forecast
from core.forecasts.measures import measures_by_store
from core.forecasts.types import PREDICTIONS
from core.runs.artifacts.access import RunArtifacts
from core.runs.artifacts.locations import ArtifactLocation
from tests.core.forecasts.kit import log, tag_of

LIMIT = 1_000_000
OWN = "forecast/predictions"
DAYS = [date(2024, 1, day) for day in (1, 2, 3)]
ISO = [f"{day}T00:00:00" for day in DAYS]
FORECAST = pl.DataFrame(
    {
        "date": DAYS,
        "actual": [10.0, 20.0, None],
        "predicted": [12.0, 18.0, 15.0],
        "lower": [9.0, 15.0, None],
        "upper": [15.0, 21.0, None],
    }
)
IMPORTANCE = pl.DataFrame({"feature": ["lag 7", "month"], "importance": [0.75, 0.25]})
BY_HORIZON = pl.DataFrame({"h": [1, 2], "MAE": [1.0, 2.0], "sMAPE": [20.0, 30.0]})


class Place:
    """The artifacts of a run in a folder of the test; remembers which files were opened."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.artifacts = RunArtifacts(ArtifactLocation(path=root))
        self.opened: list[str] = []
        read = self.artifacts.read
        self.artifacts.read = lambda path, most: (self.opened.append(path), read(path, most))[1]  # type: ignore[method-assign]

    def log(self, path: str, what: pl.DataFrame | list[Any] | dict[str, Any] | bytes) -> Path:
        return log(self.root, path, what)

    def read(self, table: str | None = None, tag: str | None = None, most: int = LIMIT) -> ForecastReading:
        return read_forecast(self.artifacts, tag, store="the run's", table=table, max_bytes=most)


@pytest.fixture
def run(tmp_path: Path) -> Place:
    return Place(tmp_path)


def column(reading: ForecastReading, name: str) -> list[Any]:
    assert reading.rows.schema == PREDICTIONS
    return reading.rows[name].to_list()


def times(reading: ForecastReading) -> list[str]:
    return [time.isoformat() for time in column(reading, "time")]


def forecast(**columns: list[Any]) -> pl.DataFrame:
    return FORECAST.select("date", "actual", "predicted").with_columns(
        **{k: pl.Series(v) for k, v in columns.items()}
    )


# One table


@pytest.mark.parametrize("suffix", ["parquet", "json", "csv"])
def test_our_own_layout_needs_nothing_else(run: Place, suffix: str) -> None:
    run.log(f"{OWN}.{suffix}", FORECAST)
    reading = run.read()
    assert reading.table == f"{OWN}.{suffix}"
    assert reading.columns == ForecastColumns("date", "predicted", "actual", "lower", "upper")
    assert [file.path for file in reading.tables] == [reading.table]
    assert (reading.notes, reading.problems) == ((), ())
    assert times(reading) == ISO
    assert column(reading, "store") == ["the run's"] * 3
    assert column(reading, "split") == ["test"] * 3
    assert column(reading, "actual") == [10, 20, None]
    assert column(reading, "predicted") == [12, 18, 15]
    assert column(reading, "lower") == [9, 15, None]
    assert column(reading, "upper") == [15, 21, None]


@pytest.mark.parametrize("suffix", ["parquet", "json", "csv"])
def test_a_table_of_prophet(run: Place, suffix: str) -> None:
    frame = FORECAST.select(
        pl.col("date").alias("ds"),
        pl.col("actual").alias("y"),
        pl.col("predicted").alias("yhat"),
        pl.col("lower").alias("yhat_lower"),
        pl.col("upper").alias("yhat_upper"),
    ).with_row_index()
    run.log(f"{OWN}.{suffix}", frame)
    reading = run.read()
    assert reading.columns == ForecastColumns("ds", "yhat", "y", "yhat_lower", "yhat_upper")
    assert times(reading) == ISO
    assert column(reading, "actual") == [10, 20, None]


def test_records_under_a_key_of_other_json(run: Place) -> None:
    records = [
        {"date": str(day), "sales": 10, "forecast": 12, "transactions": 1, "shop": 7}
        for day in reversed(DAYS)
    ]
    run.log("results/forecasts.json", {"model": "naive", "mae": 3.5, "forecasts": records})
    reading = run.read()
    assert (times(reading), column(reading, "store")) == (ISO, ["7"] * 3)
    assert (column(reading, "actual"), column(reading, "predicted")) == ([10.0] * 3, [12.0] * 3)


def test_columns_by_name_in_json_of_which_one_is_named_as_a_key(run: Place) -> None:
    run.log("forecast.json", {"predictions": [1, 2, 3], "actual": [2, 2, 2], "date": list(map(str, DAYS))})
    assert column(run.read(), "predicted") == [1, 2, 3]


def test_several_stores_come_by_store_then_time(run: Place) -> None:
    rows = [("b ", 2), ("10", 1), ("b", 1), ("2", 3), ("10", 3), ("2", 1)]
    frame = pl.DataFrame(
        {
            "unique_id": [store for store, _ in rows],
            "ds": [str(DAYS[day - 1]) for _, day in rows],
            "y": [float(place) for place in range(6)],
            "yhat": [1.0] * 6,
        }
    )
    run.log("eval/predictions.csv", frame)
    reading = run.read()
    assert column(reading, "store") == ["10", "10", "2", "2", "b", "b"]
    assert column(reading, "actual") == [1, 4, 5, 3, 2, 0]
    assert [f"2024-01-0{day}T00:00:00" for day in (1, 3, 1, 3, 1, 2)] == times(reading)


def test_rows_of_training_are_told_from_the_test_by_their_split(run: Place) -> None:
    words = [
        "train",
        "Training",
        "fit",
        "in-sample",
        "in sample",
        "test",
        "TEST",
        "holdout",
        "forecast",
        None,
    ]
    frame = pl.DataFrame(
        {
            "date": [date(2024, 1, 1) + timedelta(days=day) for day in range(10)],
            "set": words,
            "y": [1.0] * 10,
            "yhat": [2.0] * 10,
        }
    )
    run.log(f"{OWN}.parquet", frame)
    reading = run.read()
    assert column(reading, "split") == ["train"] * 5 + ["test"] * 5
    assert measures_by_store(reading.rows)["the run's"].samples == 5


def test_rows_that_come_twice_are_kept_in_their_order_and_counted(run: Place) -> None:
    twice = pl.concat([forecast(h=[1, 1, 1]), forecast(h=[2, 2, 2], predicted=[13.0, 19.0, 16.0]).head(2)])
    run.log(f"{OWN}.parquet", twice)
    reading = run.read()
    assert times(reading) == [ISO[0], ISO[0], ISO[1], ISO[1], ISO[2]]
    assert column(reading, "predicted") == [12, 13, 18, 19, 15]
    assert reading.notes == (
        f"2 rows of {OWN}.parquet for a time that their store already has; every row is measured.",
    )
    assert measures_by_store(reading.rows)["the run's"].samples == 4


def test_the_same_time_in_two_stores_or_in_both_splits_is_no_repetition(run: Place) -> None:
    frame = pl.DataFrame(
        {
            "date": [DAYS[0]] * 4,
            "store": ["a", "a", "b", "b"],
            "split": ["train", "test"] * 2,
            "y": [1.0] * 4,
            "yhat": [1.0] * 4,
        }
    )
    run.log(f"{OWN}.parquet", frame)
    assert run.read().notes == ()


# Times


def test_times_with_a_zone_become_utc(run: Place) -> None:
    bogota = timezone(timedelta(hours=-5))
    stamps = [datetime(2024, 1, 1, 22, tzinfo=bogota), datetime(2024, 1, 1, 23, 30, tzinfo=bogota)]
    expected = ["2024-01-02T03:00:00", "2024-01-02T04:30:00"]
    cells = {"actual": [1.0, 2.0], "predicted": [1.0, 2.0]}
    run.log("a/forecast.parquet", pl.DataFrame({"date": [one.astimezone(UTC) for one in stamps], **cells}))
    assert times(run.read()) == expected
    zoned = pl.Series([one.astimezone(UTC) for one in stamps]).dt.convert_time_zone("America/Bogota")
    run.log("a/forecast.parquet", pl.DataFrame({"date": zoned, **cells}))
    assert times(run.read()) == expected
    run.log("a/forecast.parquet", b"")
    run.log("a/forecast.csv", pl.DataFrame({"date": [one.isoformat() for one in stamps], **cells}))
    assert times(run.read("a/forecast.csv")) == expected


@pytest.mark.parametrize(
    "cells",
    [
        ["20240101", "20240102", "20240103"],
        [20240101, 20240102, 20240103],
        [1704067200, 1704153600, 1704240000],
        [1704067200000, 1704153600000, 1704240000000],
        ["01.01.2024", "02.01.2024", "03.01.2024"],
        ["2024-01-01 00:00", "2024-01-02 00:00", "2024-01-03 00:00"],
    ],
)
def test_dates_are_read_as_people_write_them(run: Place, cells: list[Any]) -> None:
    run.log(f"{OWN}.csv", forecast(date=cells))
    assert times(run.read()) == ISO


def test_a_date_that_can_be_read_twice_is_noted(run: Place) -> None:
    run.log(f"{OWN}.csv", forecast(date=["01/02/2024", "01/03/2024", "01/04/2024"]))
    reading = run.read()
    assert times(reading)[0] == "2024-01-02T00:00:00"
    assert "month/day/year" in reading.notes[0]


def test_rows_without_a_date_or_a_store_are_left_out_and_counted(run: Place) -> None:
    frame = pl.DataFrame(
        {
            "date": ["2024-01-01", None, "2024-01-02", "2024-01-03"],
            "store": ["a", "a", None, "b"],
            "y": [1.0] * 4,
            "yhat": [1.0] * 4,
        }
    )
    run.log(f"{OWN}.csv", frame)
    reading = run.read()
    assert column(reading, "store") == ["a", "b"]
    assert reading.notes == ("2 rows without a date or a store left out.",)


def test_a_table_without_any_date_is_a_problem(run: Place) -> None:
    run.log(f"{OWN}.parquet", forecast(date=[None, None, None]).with_columns(pl.col("date").cast(pl.Date)))
    assert run.read().problems == (f"No row of {OWN}.parquet has a date. Log the table again.",)


def test_steps_instead_of_dates_are_a_problem(run: Place) -> None:
    run.log(f"{OWN}.csv", forecast(date=[0, 1, 2]))
    (said,) = run.read().problems
    assert f"{OWN}.csv counts steps, not dates" in said


# What cannot be measured


def test_predictions_without_actuals_are_read_and_say_that_nothing_can_be_measured(run: Place) -> None:
    run.log(f"{OWN}.parquet", FORECAST.drop("actual"))
    reading = run.read()
    assert column(reading, "actual") == [None] * 3
    assert column(reading, "predicted") == [12, 18, 15]
    assert reading.problems == ()
    assert reading.notes == (f"{OWN}.parquet has predictions without actuals: nothing can be measured yet.",)
    assert measures_by_store(reading.rows)["the run's"].samples == 0


@pytest.mark.parametrize("suffix", ["parquet", "json", "csv"])
def test_an_empty_column_of_actuals_says_so_too(run: Place, suffix: str) -> None:
    run.log(f"{OWN}.{suffix}", forecast(actual=[None] * 3).rename({"actual": "y"}))
    (said,) = run.read().notes
    assert said == f"The column y of {OWN}.{suffix} is empty: nothing can be measured yet."


def test_numbers_in_words_and_signs(run: Place) -> None:
    run.log(f"{OWN}.csv", b"date;y;yhat\n2024-01-01;1.234,5;12,5\n2024-01-02;n/a;-\n2024-01-03;7,0;inf\n")
    reading = run.read()
    assert column(reading, "actual") == [1234.5, None, 7]
    assert column(reading, "predicted") == [12.5, None, None]


def test_cells_that_are_no_numbers_are_a_problem_with_their_rows(run: Place) -> None:
    run.log(f"{OWN}.csv", forecast(actual=["10", "much", "20"]))
    (said,) = run.read().problems
    assert "row 2: 'much'" in said


# Which table


def test_the_table_of_the_contract_is_found_without_a_look_at_the_folders(run: Place) -> None:
    run.log(f"{OWN}.parquet", FORECAST)
    listed: list[str] = []
    run.artifacts.list = lambda path="", **_: listed.append(path)  # type: ignore[assignment,method-assign]
    reading = run.read(tag=tag_of("forecast/stores.parquet", f"{OWN}.parquet"))
    assert reading.table == f"{OWN}.parquet"
    assert (listed, run.opened) == ([], [f"{OWN}.parquet"])
    assert [file.path for file in reading.tables] == [f"{OWN}.parquet"]


@pytest.mark.parametrize("tag", [None, tag_of("a/predictions.parquet"), tag_of(f"{OWN}.csv"), "{broken"])
def test_the_table_of_the_contract_comes_before_all_others(run: Place, tag: str | None) -> None:
    for path in ("predictions.csv", "a/predictions.parquet", "forecast/a_predictions.parquet"):
        run.log(path, forecast(predicted=[0.0] * 3))
    run.log(f"{OWN}.json", FORECAST)
    reading = run.read(tag=tag)
    assert reading.table == f"{OWN}.json"
    assert column(reading, "predicted") == [12, 18, 15]


@pytest.mark.parametrize(
    "path",
    [
        "sarimax_forecasts.csv",
        "predictions.json",
        "Predictions_2024.parquet",
        "forecast/test.csv",
        "evaluation/yhat.csv",
        "results/fold/predicted.parquet",
        "plots/forecast.json",
        "test/table.csv",
    ],
)
def test_other_names_and_folders_are_found(run: Place, path: str) -> None:
    run.log("feature_importance.csv", IMPORTANCE)
    run.log("metrics_by_h.csv", BY_HORIZON)
    run.log(path, FORECAST)
    reading = run.read()
    assert reading.table == path
    assert reading.problems == ()


def test_of_one_table_in_several_formats_parquet_is_read(run: Place) -> None:
    for suffix in ("csv", "json", "parquet"):
        run.log(f"eval/predictions.{suffix}", FORECAST)
    assert run.read().table == "eval/predictions.parquet"
    assert [file.path for file in run.read().tables] == [
        f"eval/predictions.{suffix}" for suffix in ("parquet", "json", "csv")
    ]


def test_a_table_that_only_mlflow_knows_of(run: Place) -> None:
    run.log("a/b/c/d.json", FORECAST)
    assert run.read().table is None
    assert run.read(tag=tag_of("a/b/c/d.json")).table == "a/b/c/d.json"


def test_tables_of_other_things_are_passed_over_without_a_word(run: Place) -> None:
    run.log("forecast/forecast_metrics.csv", BY_HORIZON)
    run.log("forecast/importance.json", IMPORTANCE)
    run.log("forecast/forecasts.json", {"mae": 3.5})
    run.log("forecast/zz.csv", FORECAST)
    reading = run.read()
    assert reading.table == "forecast/zz.csv"
    assert (reading.notes, reading.problems) == ((), ())
    assert [file.path for file in reading.tables] == [
        *(
            "forecast/forecasts.json",
            "forecast/zz.csv",
            "forecast/forecast_metrics.csv",
            "forecast/importance.json",
        )
    ]


def test_forecasts_of_the_training_period_and_summaries_come_last(run: Place) -> None:
    run.log("train_predictions.csv", forecast(predicted=[0.0] * 3))
    run.log("predictions_summary.csv", forecast(predicted=[0.0] * 3))
    run.log("yhat.csv", FORECAST)
    assert run.read().table == "yhat.csv"


def test_a_run_without_a_table_says_how_to_log_one(run: Place) -> None:
    run.log("feature_importance.csv", IMPORTANCE)
    run.log("metrics_by_h.csv", BY_HORIZON)
    reading = run.read()
    assert reading.rows.schema == PREDICTIONS
    assert (reading.rows.height, reading.table, reading.columns, reading.tables) == (0, None, None, ())
    assert reading.problems == (
        "No forecast can be read: the run logged no table of predictions. Log one as "
        "forecast/predictions.parquet with the columns date, actual and predicted.",
    )


def test_tables_that_hold_no_forecast_say_why_each_was_not_taken(run: Place) -> None:
    run.log("results/metrics.csv", BY_HORIZON)
    run.log("predictions.csv", FORECAST.drop("date"))
    reading = run.read()
    assert reading.table is None
    assert "predictions.csv has predictions but no column of dates" in reading.problems[0]
    assert "results/metrics.csv has no column of predictions" in reading.problems[1]


@pytest.mark.parametrize(
    ("suffix", "content", "said"),
    [
        ("json", b'{"columns": ["date"', "is cut off in the middle"),
        ("parquet", b"PAR1 and no more", "is no readable Parquet file"),
        ("csv", b"", "is empty"),
        ("csv", "fecha,yhat\n2024-01-01,1\xe9".encode("latin-1"), "is not in UTF-8"),
    ],
)
def test_a_damaged_table_is_a_problem(run: Place, suffix: str, content: bytes, said: str) -> None:
    run.log(f"{OWN}.{suffix}", content)
    reading = run.read(tag=tag_of(f"{OWN}.{suffix}"))
    assert reading.table is None
    (problem,) = reading.problems
    assert f"{OWN}.{suffix}" in problem
    assert said in problem


def test_a_damaged_table_stays_a_problem_where_another_stands_in(run: Place) -> None:
    run.log(f"{OWN}.json", b'{"columns": ["date"')
    run.log("eval/predictions.csv", FORECAST)
    reading = run.read()
    assert reading.table == "eval/predictions.csv"
    assert column(reading, "predicted") == [12, 18, 15]
    (problem,) = reading.problems
    assert f"{OWN}.json is cut off" in problem


def test_a_table_that_mlflow_still_lists_but_is_gone_makes_room(run: Place) -> None:
    run.log("predictions.csv", FORECAST)
    reading = run.read(tag=tag_of(f"{OWN}.parquet"))
    assert reading.table == "predictions.csv"
    assert f"{OWN}.parquet" in reading.problems[0]


def test_a_table_that_is_too_large_is_never_opened(run: Place) -> None:
    large = run.log(f"{OWN}.csv", b"")
    with large.open("r+b") as file:
        file.truncate(2_000_000_000)
    reading = run.read(most=50_000_000)
    assert reading.table is None
    assert run.opened == []
    (said,) = reading.problems
    assert "2.0 GB, above the limit of 50.0 MB" in said


def test_the_limit_itself_is_allowed(run: Place) -> None:
    size = run.log(f"{OWN}.csv", FORECAST).stat().st_size
    assert run.read(most=size).table == f"{OWN}.csv"
    assert run.read(most=size - 1).table is None


def test_not_more_than_six_tables_are_opened_and_that_is_said(run: Place) -> None:
    for number in range(7):
        run.log(f"forecast_{number}.csv", BY_HORIZON)
    reading = run.read()
    assert len(run.opened) == 6
    assert len(reading.problems) == 7
    assert "Only 6 of 7 tables were opened" in reading.problems[-1]


# The table that a person chose


def test_the_chosen_table_is_read_and_no_other(run: Place) -> None:
    run.log(f"{OWN}.parquet", FORECAST)
    run.log("validation/other.csv", forecast(predicted=[1.0, 2.0, 3.0]))
    run.log("metrics_by_h.csv", BY_HORIZON)
    reading = run.read("validation/other.csv")
    assert column(reading, "predicted") == [1, 2, 3]
    assert [file.path for file in reading.tables] == ["validation/other.csv"]
    refused = run.read("metrics_by_h.csv")
    assert refused.table is None
    assert "no column of predictions" in refused.problems[0]
    assert [file.path for file in refused.tables] == ["metrics_by_h.csv"]


def test_a_chosen_table_that_is_not_there_is_not_found(run: Place) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.json"):
        run.read("gone.json")
    with pytest.raises(ArtifactError, match="refused"):
        run.read("../../secret.json")
