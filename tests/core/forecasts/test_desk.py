"""The desk over a fake of the index and real folders: which pipelines there are, their stores, what changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from core.errors import ArtifactError, NotFoundError
from core.forecasts.bands import DEFAULT_THRESHOLDS, Band, Threshold
from core.forecasts.changes import StoreMeasure
from core.forecasts.desk import ForecastDesk, Pipeline
from core.forecasts.diebold_mariano import diebold_mariano
from core.forecasts.pipelines import headline
from core.forecasts.types import PREDICTIONS, STORES
from core.runs.artifacts.access import RunArtifacts
from core.runs.artifacts.locations import ArtifactLocation
from tests.core.forecasts.kit import TABLES, FakeRuns, log, tag_of

FIRST = date(2024, 3, 1)
MEASURES = {"test_r2": 0.7, "test_smape": 12.0, "test_wape": 10.0, "test_mae": 5.0, "test_rmse": 6.0}


class Workbench:
    """A desk, the runs it asks for, and a folder for each run's artifacts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = FakeRuns()
        self.desk = self.with_thresholds(DEFAULT_THRESHOLDS)
        self.unreachable: set[str] = set()

    def with_thresholds(self, thresholds: Sequence[Threshold]) -> ForecastDesk:
        return ForecastDesk(self.runs, self._artifacts, thresholds, 1_000_000)

    def _artifacts(self, run_id: str) -> RunArtifacts:
        folder = self.root / run_id
        if run_id in self.unreachable:
            return RunArtifacts(ArtifactLocation(looked=("s3://gone (recorded)",)))
        folder.mkdir(exist_ok=True)
        return RunArtifacts(ArtifactLocation(path=folder))

    def log(self, run_id: str, path: str, what: Any) -> None:
        log(self.root / run_id, path, what)

    def pipeline(
        self,
        run_id: str,
        stores: dict[str, dict[str, float]],
        *,
        params: dict[str, str] | None = None,
        metrics: dict[str, float] | None = None,
        tags: dict[str, str] | None = None,
        **given: Any,
    ) -> None:
        """Log a pipeline with a child run a store."""
        tags = {"smape_scale": "0..200", **(tags or {})}
        name = f"pipeline {run_id}"
        self.runs.add(run_id, name=name, params=params, metrics=metrics, tags=tags, **given)
        for store, measures in stores.items():
            own = {"name": f"Store {store}", "params": {"store_code": store}, "metrics": measures}
            self.runs.add(f"{run_id}-{store}", parent=run_id, **own, **given)  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def predictions(stores: dict[str, Sequence[float]], *, actual: float | None = 10.0) -> pl.DataFrame:
    """Make a forecast table: the predictions of each store, day by day."""
    return pl.DataFrame(
        [
            {"date": FIRST + timedelta(days=day), "store": store, "actual": actual, "predicted": predicted}
            for store, series in stores.items()
            for day, predicted in enumerate(series)
        ],
        schema={"date": pl.Date, "store": pl.String, "actual": pl.Float64, "predicted": pl.Float64},
    )


# Which pipelines there are


def test_runs_with_stores_come_first_then_those_with_tables_then_those_with_metrics(bench: Workbench) -> None:
    bench.runs.add("measured", metrics={"sMAPE": 12.0})
    bench.runs.add("attempted", metrics={"total_stores_attempted": 3.0})
    bench.pipeline("old", {"1": MEASURES})
    bench.runs.add("table", tags={TABLES: tag_of("eval/sarimax_forecasts.csv")})
    bench.runs.add("other", metrics={"rmse": 1.0}, tags={TABLES: tag_of("trades.json")})
    bench.pipeline("new", {"1": MEASURES}, metrics={"avg_smape": 9.0})
    assert bench.desk.candidates() == ("new", "old", "table", "attempted", "measured")


def test_not_more_than_200_pipelines_are_listed(bench: Workbench) -> None:
    for number in range(150):
        bench.runs.add(f"measured {number}", metrics={"smape": 1.0})
        bench.pipeline(f"pipeline {number}", {"1": {}})
    found = bench.desk.candidates()
    assert len(found) == 200
    assert found[0] == "pipeline 149"
    assert found[199] == "measured 100"


def test_candidates_as_a_table(bench: Workbench) -> None:
    bench.pipeline("p", {"1": MEASURES}, params={"model": "ridge"}, status="RUNNING")
    bench.runs.add("m", name="by metric", metrics={"smape": 1.0})
    found = bench.desk.candidate_table()
    assert found.columns == ["run_id", "name", "status", "start_time", "experiment", "model"]
    assert found.select("run_id", "name", "status", "model").rows() == [
        ("p", "pipeline p", "RUNNING", "ridge"),
        ("m", "by metric", "FINISHED", None),
    ]


def test_without_any_run_there_is_no_candidate(bench: Workbench) -> None:
    assert bench.desk.candidates() == ()
    assert bench.desk.candidate_table().height == 0


# One pipeline


def test_a_pipeline_has_a_row_a_store_and_its_headline(bench: Workbench) -> None:
    bench.pipeline("p", {"10": MEASURES, "2": {**MEASURES, "test_r2": 0.9, "test_smape": 3.0}})
    found = bench.desk.pipeline("p")
    assert found.run.run_id == "p"
    assert found.stores.schema == {**STORES, "status": pl.String()}
    assert found.stores.select("store", "run_id", "quality", "mae").rows() == [
        ("2", "p-2", "excellent", 5.0),
        ("10", "p-10", "good", 5.0),
    ]
    assert found.headline == headline(found.stores)
    assert (found.from_table, found.notes, found.problems, found.generated) == (False, (), (), None)


def test_a_pipeline_is_found_by_the_beginning_of_its_id(bench: Workbench) -> None:
    bench.pipeline("abcdef", {})
    bench.runs.add("store", parent="abcdef", params={"store_code": "1"}, metrics=MEASURES)
    assert bench.desk.pipeline("abc").stores["store"].to_list() == ["1"]


def test_bands_follow_the_thresholds_of_the_desk(bench: Workbench) -> None:
    bench.pipeline("p", {"1": MEASURES})
    strict = bench.with_thresholds([Threshold(Band.EXCELLENT, 0.99, 1.0)])
    assert strict.pipeline("p").stores["quality"].to_list() == ["poor"]


def test_the_scale_is_the_pipelines_own_tag_or_param(bench: Workbench) -> None:
    bench.pipeline("tag", {"1": {"test_smape": 0.5}}, tags={"smape_scale": "0..1"})
    bench.pipeline(
        "param", {"1": {"test_smape": 0.5}}, tags={"smape_scale": ""}, params={"smape_scale": "0..2"}
    )
    bench.pipeline("none", {"1": {"test_smape": 0.5}}, tags={"smape_scale": ""})
    found = {run_id: bench.desk.pipeline(run_id) for run_id in ("tag", "param", "none")}
    assert [one.stores["smape"][0] for one in found.values()] == [100, 50, 50]
    assert [len(one.notes) for one in found.values()] == [0, 0, 1]


def test_what_generated_the_data_is_handed_on(bench: Workbench) -> None:
    bench.pipeline("p", {"1": MEASURES}, tags={"generated_data": "Made up by a program."})
    assert bench.desk.pipeline("p").generated == "Made up by a program."


def test_child_runs_without_a_measure_say_what_a_stores_run_logs(bench: Workbench) -> None:
    bench.pipeline("p", {"1": {"loss": 1.0}, "2": {}})
    found = bench.desk.pipeline("p")
    assert found.stores["quality"].to_list() == ["unknown", "unknown"]
    (said,) = found.problems
    assert said.startswith("None of the child runs has a measure of its forecast.")
    assert "test_mae, test_rmse, test_r2 and test_smape" in said


@pytest.mark.parametrize("metric", ["test_mae", "test_rmse", "test_r2", "test_smape", "test_wape"])
def test_a_single_measure_of_one_store_is_enough(bench: Workbench, metric: str) -> None:
    bench.pipeline("p", {"1": {metric: 0.5}, "2": {}})
    assert bench.desk.pipeline("p").problems == ()


def test_a_pipeline_whose_stores_are_gone_says_so(bench: Workbench) -> None:
    bench.pipeline("p", {}, metrics={"total_stores_attempted": 2.0})
    bench.runs.add("s", parent="p", deleted=True, params={"store_code": "1"}, metrics=MEASURES)
    found = bench.desk.pipeline("p")
    assert found.stores.height == 0
    assert found.problems == (
        "pipeline p is a pipeline without child runs: none of its stores was logged, or they were deleted.",
    )


def test_a_run_without_stores_and_tables_says_how_to_log_one(bench: Workbench) -> None:
    bench.runs.add("p", metrics={"smape": 3.0})
    found = bench.desk.pipeline("p")
    assert (found.stores.height, found.from_table, found.headline.attempted) == (0, True, 0)
    (said,) = found.problems
    assert "logged no table of predictions" in said
    assert "forecast/predictions.parquet" in said


def test_a_run_that_is_not_there_is_not_found(bench: Workbench) -> None:
    for ask in (bench.desk.pipeline, bench.desk.forecast_of_run):
        with pytest.raises(NotFoundError, match="nothing"):
            ask("nothing")


# A pipeline that is a table


def test_stores_of_a_table_are_measured(bench: Workbench) -> None:
    bench.runs.add("p", name="sarimax", metrics={"smape": 3.0})
    bench.log("p", "sarimax_forecasts.csv", predictions({"10": [12.0, 8.0], "2": [10.0, 11.0]}))
    found = bench.desk.pipeline("p")
    assert found.from_table
    assert (found.notes, found.problems) == ((), ())
    assert found.stores.select("store", "run_id", "mae", "volume", "wape", "r2").rows() == [
        ("2", "p", 0.5, 20.0, pytest.approx(5.0), None),
        ("10", "p", 2.0, 20.0, pytest.approx(20.0), None),
    ]
    assert found.headline.wape == pytest.approx(12.5)


def test_a_table_without_stores_is_that_of_the_store_the_run_names(bench: Workbench) -> None:
    table = predictions({"1": [12.0]}).drop("store")
    for run_id, given, expected in (
        ("param", {"params": {"store_code": "7"}, "name": "named"}, "7"),
        ("name", {"name": "named"}, "named"),
        ("0123456789", {}, "01234567"),
    ):
        bench.runs.add(run_id, **given)
        bench.log(run_id, "forecast/predictions.parquet", table)
        assert bench.desk.pipeline(run_id).stores["store"].to_list() == [expected]


def test_predictions_without_actuals_are_stores_that_nothing_is_known_of(bench: Workbench) -> None:
    bench.runs.add("p")
    bench.log("p", "forecast/predictions.parquet", predictions({"1": [12.0], "2": [8.0]}).drop("actual"))
    found = bench.desk.pipeline("p")
    assert found.stores.select("store", "quality", "mae", "volume").rows() == [
        ("1", "unknown", None, None),
        ("2", "unknown", None, None),
    ]
    assert found.notes == (
        "forecast/predictions.parquet has predictions without actuals: nothing can be measured yet.",
    )
    assert found.problems == ()
    assert bench.desk.forecast(found, "2").rows["predicted"].to_list() == [8]


def test_a_table_of_the_training_period_alone_is_no_forecast_to_measure(bench: Workbench) -> None:
    bench.runs.add("p")
    table = predictions({"1": [12.0]}).with_columns(split=pl.lit("train"))
    bench.log("p", "forecast/predictions.parquet", table)
    found = bench.desk.pipeline("p")
    assert found.stores.height == 0
    assert found.problems == (
        "All rows of forecast/predictions.parquet are of the training period: there is no forecast to measure.",
    )


def test_artifacts_that_cannot_be_reached_are_a_problem_and_no_error(bench: Workbench) -> None:
    bench.runs.add("p")
    bench.unreachable.add("p")
    found = bench.desk.pipeline("p")
    assert found.stores.height == 0
    (said,) = found.problems
    assert said.startswith("No forecast can be read. The artifacts cannot be found.")


def test_a_table_above_the_limit_is_a_problem(bench: Workbench) -> None:
    bench.runs.add("p")
    bench.log("p", "forecast/predictions.csv", b"x" * 1_000_001)
    (said,) = bench.desk.pipeline("p").problems
    assert "above the limit of 1.0 MB" in said


# The forecast of one store


def test_a_store_is_read_from_its_own_run(bench: Workbench) -> None:
    bench.pipeline("p", {"007": MEASURES, "8": MEASURES})
    # Its table spells the code in its own way.
    bench.log("p-007", "forecast/predictions.parquet", predictions({"7": [1.0]}))
    bench.log("p", "forecast/predictions.parquet", predictions({"007": [2.0]}))
    found = bench.desk.forecast(bench.desk.pipeline("p"), "007")
    assert found.table == "forecast/predictions.parquet"
    assert found.rows.schema == PREDICTIONS
    assert found.rows.select("store", "predicted").rows() == [("007", 1.0)]


def test_of_a_table_of_all_stores_in_a_stores_run_only_its_rows_are_given(bench: Workbench) -> None:
    bench.pipeline("p", {"7": MEASURES})
    bench.log("p-7", "forecast/predictions.parquet", predictions({"7": [1.0], "8": [2.0]}))
    assert bench.desk.forecast(bench.desk.pipeline("p"), "7").rows["predicted"].to_list() == [1]


def test_a_store_without_a_table_of_its_own_is_read_from_the_pipelines(bench: Workbench) -> None:
    bench.pipeline("p", {"7": MEASURES, "8": MEASURES, "9": MEASURES})
    bench.log("p", "forecast/predictions.parquet", predictions({"7": [1.0, 2.0], "8": [3.0]}))
    pipeline = bench.desk.pipeline("p")
    assert bench.desk.forecast(pipeline, "7").rows["predicted"].to_list() == [1, 2]
    assert bench.desk.forecast(pipeline, "8").rows["predicted"].to_list() == [3]
    missing = bench.desk.forecast(pipeline, "9")
    assert missing.rows.height == 0
    assert "logged no table of predictions" in missing.problems[0]


def test_a_store_of_a_table_is_read_from_it(bench: Workbench) -> None:
    bench.runs.add("p")
    bench.log("p", "forecast/predictions.parquet", predictions({"7": [1.0], "8": [2.0, 3.0]}))
    found = bench.desk.forecast(bench.desk.pipeline("p"), "8")
    assert found.rows.select("store", "predicted").rows() == [("8", 2.0), ("8", 3.0)]


def test_a_store_that_is_not_there_is_not_found(bench: Workbench) -> None:
    bench.pipeline("p", {"7": MEASURES})
    with pytest.raises(NotFoundError, match="pipeline p has no store '70'"):
        bench.desk.forecast(bench.desk.pipeline("p"), "70")


def test_the_table_that_a_person_chose_is_read(bench: Workbench) -> None:
    bench.runs.add("p")
    bench.log("p", "forecast/predictions.parquet", predictions({"7": [1.0]}))
    bench.log("p", "a/b.csv", predictions({"7": [5.0]}))
    assert bench.desk.forecast_of_run("p", "a/b.csv").rows["predicted"].to_list() == [5]
    with pytest.raises(NotFoundError, match=r"gone\.csv"):
        bench.desk.forecast_of_run("p", "gone.csv")


def test_all_forecasts_are_the_test_rows_of_the_pipelines_table(bench: Workbench) -> None:
    bench.pipeline("p", {"7": MEASURES})
    pipeline = bench.desk.pipeline("p")
    assert bench.desk.all_forecasts(pipeline).height == 0
    split = pl.Series("split", ["train", "test", "test"])
    table = predictions({"7": [1.0, 2.0], "8": [3.0]}).with_columns(split)
    bench.log("p", "forecast/predictions.parquet", table)
    found = bench.desk.all_forecasts(pipeline)
    assert found.schema == PREDICTIONS
    assert found["predicted"].to_list() == [2, 3]


# Lines and importance


def test_sparks_are_those_that_the_pipeline_logged(bench: Workbench) -> None:
    lines = pl.DataFrame({"store": ["1", "2"], "sales": [[1.0, 2.0], None]})
    path = "forecast/stores.parquet"
    bench.pipeline("p", {"1": MEASURES}, tags={TABLES: tag_of(path)})
    bench.pipeline("q", {"1": MEASURES})
    for run_id in "pq":
        bench.log(run_id, path, lines)
    assert bench.desk.sparks(bench.desk.pipeline("p")) == {"1": [1, 2], "2": []}
    assert bench.desk.sparks(bench.desk.pipeline("q")) == {}, "not looked for where it is not listed"
    for other in (lines.drop("sales"), lines.with_columns(sales=1.0), b"damaged"):
        bench.log("p", path, other)
        assert bench.desk.sparks(bench.desk.pipeline("p")) == {}


def test_sparks_of_a_table_are_its_last_32_actuals(bench: Workbench) -> None:
    bench.runs.add("p")
    table = predictions({"1": [0.0] * 40, "2": [0.0]})
    table = table.with_columns(
        actual=pl.when(pl.col("store") == "1").then(pl.int_range(pl.len()).cast(pl.Float64))
    )
    bench.log("p", "forecast/predictions.parquet", table)
    found = bench.desk.sparks(bench.desk.pipeline("p"))
    assert found == {"1": [float(day) for day in range(8, 40)], "2": []}


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
@pytest.mark.parametrize("index", [(), ("index",), ("Unnamed: 0",)])
def test_importance_is_the_largest_first(bench: Workbench, suffix: str, index: tuple[str, ...]) -> None:
    bench.runs.add("p")
    columns: dict[str, list[Any]] = {
        **{name: [0, 1, 2, 3] for name in index},
        "feature": ["lag 7", "month", "price", None],
        "importance": [0.25, 0.75, None, 0.1],
    }
    bench.log("p", f"feature_importance.{suffix}", pl.DataFrame(columns))
    assert bench.desk.importance("p") == (("month", 0.75), ("lag 7", 0.25))


def test_importance_that_is_no_number_is_left_out(bench: Workbench) -> None:
    bench.runs.add("p")
    frame = pl.DataFrame({"feature": ["a", "b", "c"], "gain": [1.0, float("nan"), 2.0]})
    bench.log("p", "feature_importance.parquet", frame)
    assert bench.desk.importance("p") == (("c", 2.0), ("a", 1.0))


def test_without_importance_there_is_none(bench: Workbench) -> None:
    bench.runs.add("p")
    assert bench.desk.importance("p") == ()
    bench.log("p", "feature_importance.csv", pl.DataFrame({"feature": ["a"], "importance": ["large"]}))
    assert bench.desk.importance("p") == ()


# History


def history(bench: Workbench, run_id: str, store: str = "1") -> pl.DataFrame:
    return bench.desk.history(bench.desk.pipeline(run_id), store)


def test_the_history_of_a_store_is_over_pipelines_of_the_same_experiment_and_data(bench: Workbench) -> None:
    data = {"data": "sales.csv"}
    for run_id, given in (
        ("first", {"params": data}),
        ("other data", {"params": {"data": "others.csv"}}),
        ("elsewhere", {"params": data, "experiment": "2"}),
        ("unnamed data", {}),
        ("gone", {"params": data, "deleted": True}),
        ("last", {"params": data}),
    ):
        bench.pipeline(run_id, {"1": {"test_mae": float(len(run_id))}, "2": {"test_mae": 99.0}}, **given)
    found = history(bench, "last")
    assert found.columns == ["time", "pipeline", "name", "run_id", "r2", "smape", "wape", "mae", "rmse"]
    assert found.select("pipeline", "name", "run_id", "mae", "r2").rows() == [
        ("first", "pipeline first", "first-1", 5.0, None),
        ("unnamed data", "pipeline unnamed data", "unnamed data-1", 12.0, None),
        ("last", "pipeline last", "last-1", 4.0, None),
    ]
    assert found["time"].is_sorted()
    assert found["time"].to_list() == [bench.runs.run(run_id).start_time for run_id in found["run_id"]]


def test_a_deleted_pipeline_is_no_history_though_its_stores_are_still_there(bench: Workbench) -> None:
    bench.pipeline("p", {"1": MEASURES})
    bench.runs.add("gone", deleted=True)
    bench.runs.add("left behind", parent="gone", params={"store_code": "1"}, metrics=MEASURES)
    bench.runs.add("orphan", parent="f" * 32, params={"store_code": "1"}, metrics=MEASURES)
    bench.runs.add("alone", params={"store_code": "1"}, metrics=MEASURES)
    assert history(bench, "p")["pipeline"].to_list() == ["p"]


def test_every_pipeline_of_a_history_has_smape_on_the_same_scale(bench: Workbench) -> None:
    bench.pipeline("percent", {"1": {"test_smape": 40.0}})
    bench.pipeline("half", {"1": {"test_smape": 20.0}}, tags={"smape_scale": "0..100"})
    bench.pipeline("fraction", {"1": {"test_smape": 0.4}, "2": {"test_smape": 1.9}}, tags={"smape_scale": ""})
    # Below 2, but percent, as its other store tells.
    bench.pipeline(
        "percent too", {"1": {"test_smape": 1.5}, "2": {"test_smape": 30.0}}, tags={"smape_scale": ""}
    )
    assert history(bench, "percent")["smape"].to_list() == [40, 40, pytest.approx(40), 1.5]


def test_what_a_stores_run_states_comes_first_in_its_history_too(bench: Workbench) -> None:
    bench.pipeline("p", {"1": {"test_smape": 40.0}})
    own = {"params": {"store_code": "1", "smape_scale": "0..1"}, "metrics": {"test_smape": 0.25}}
    bench.runs.add("again", parent="p", **own)  # type: ignore[arg-type]
    assert history(bench, "p")["smape"].to_list() == [50]


def test_where_scales_are_stated_only_the_runs_of_the_store_are_looked_at(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in ("p", "q"):
        bench.pipeline(run_id, {"1": {"test_smape": 40.0}, "2": MEASURES})
    pipeline = bench.desk.pipeline("p")
    monkeypatch.delattr(FakeRuns, "children")
    assert bench.desk.history(pipeline, "1")["smape"].to_list() == [40, 40]


def test_a_measure_that_is_no_number_is_missing_in_the_history(bench: Workbench) -> None:
    bench.pipeline("p", {"1": {"test_mae": float("nan"), "test_rmse": float("inf"), "test_r2": 0.5}})
    assert history(bench, "p").select("mae", "rmse", "r2").rows() == [(None, None, 0.5)]


def test_a_pipeline_that_names_its_metrics_otherwise_is_in_the_history(bench: Workbench) -> None:
    bench.pipeline("p", {"1": {"mae": 3.0}})
    bench.pipeline("q", {"1": {"test_mae": 4.0}})
    assert history(bench, "p")["mae"].to_list() == [3, 4]


def test_of_a_store_that_a_pipeline_ran_twice_the_later_run_is_its_history(bench: Workbench) -> None:
    bench.pipeline("p", {"1": {"test_mae": 3.0}})
    bench.runs.add("again", parent="p", params={"store_code": "1"}, metrics={"test_mae": 4.0})
    assert history(bench, "p").select("run_id", "mae").rows() == [("again", 4.0)]


@pytest.mark.parametrize("store", ["no such store", 'it\'s "7"'])
def test_a_store_without_a_history_has_an_empty_table_of_the_same_columns(
    bench: Workbench, store: str
) -> None:
    bench.pipeline("p", {"1": MEASURES})
    found = history(bench, "p", store)
    assert found.height == 0
    assert found.schema == history(bench, "p").schema


# Two pipelines


def compared(bench: Workbench, old: str, new: str, **given: Any) -> Any:
    pipelines: list[Pipeline] = [bench.desk.pipeline(run_id) for run_id in (old, new)]
    forecasts = tuple(bench.desk.all_forecasts(one) for one in pipelines)
    return bench.desk.compare(*pipelines, forecasts=forecasts, **given)


def test_what_changes_is_said_store_by_store(bench: Workbench) -> None:
    bench.pipeline("old", {"1": {**MEASURES}, "2": {**MEASURES}, "3": MEASURES})
    bench.pipeline("new", {"1": {**MEASURES, "test_wape": 8.0}, "2": {**MEASURES, "test_wape": 10.4}})
    found = compared(bench, "old", "new")
    assert (found.old.run_id, found.new.run_id, found.notes) == ("old", "new", ())
    verdicts = dict(found.changes.select("store", "verdict").iter_rows())
    assert verdicts == {"1": "improved", "2": "worse", "3": "lost"}
    assert found.summary.significantly_worse is None
    lenient = compared(bench, "old", "new", tolerance=0.05)
    assert dict(lenient.changes.select("store", "verdict").iter_rows())["2"] == "same"
    by_mae = compared(bench, "old", "new", measure=StoreMeasure.MAE)
    assert set(by_mae.changes["verdict"]) == {"same", "lost"}


NOISE = np.random.default_rng(7).normal(0, 1, 40)


def two_forecasts(bench: Workbench, new_actual: float | None = 10.0) -> None:
    bench.pipeline("old", {"1": {**MEASURES, "test_rmse": 1.0}})
    bench.pipeline("new", {"1": {**MEASURES, "test_wape": 30.0, "test_rmse": 3.0}})
    bench.log("old", "forecast/predictions.parquet", predictions({"1": (10 + NOISE).tolist()}))
    new = predictions({"1": (10 + 3 * NOISE[::-1]).tolist()}, actual=new_actual)
    bench.log("new", "forecast/predictions.parquet", new)


@pytest.mark.parametrize(
    ("measure", "loss"),
    [
        (StoreMeasure.WAPE, "absolute"),
        (StoreMeasure.SMAPE, "absolute"),
        (StoreMeasure.MAE, "absolute"),
        (StoreMeasure.RMSE, "squared"),
        (StoreMeasure.R2, "squared"),
    ],
)
def test_changes_are_tested_with_the_loss_that_suits_the_measure(
    bench: Workbench, measure: StoreMeasure, loss: str
) -> None:
    two_forecasts(bench)
    row = compared(bench, "old", "new", measure=measure).changes.row(0, named=True)
    expected = diebold_mariano(np.full(40, 10.0), 10 + NOISE, 10 + 3 * NOISE[::-1], loss=loss)  # type: ignore[arg-type]
    assert expected is not None
    assert row["mean_difference"] == pytest.approx(expected.mean_difference)
    assert row["p_value"] == pytest.approx(expected.p_value)
    assert row["p_value"] < 0.05


def test_a_change_beyond_chance_is_counted(bench: Workbench) -> None:
    two_forecasts(bench)
    found = compared(bench, "old", "new")
    assert (found.summary.significantly_worse, found.summary.significantly_better) == (1, 0)
    assert found.changes["significant"].to_list() == [True]


def test_without_the_forecasts_of_both_nothing_is_tested(bench: Workbench) -> None:
    two_forecasts(bench)
    (bench.root / "old" / "forecast" / "predictions.parquet").unlink()
    found = compared(bench, "old", "new")
    assert found.summary.significantly_worse is None
    assert found.changes["p_value"].to_list() == [None]
    pipelines = [bench.desk.pipeline(one) for one in ("old", "new")]
    assert_frame_equal(bench.desk.compare(*pipelines).changes, found.changes)


def test_periods_with_several_forecasts_and_of_training_do_not_disturb_the_test(bench: Workbench) -> None:
    two_forecasts(bench)
    expected = compared(bench, "old", "new").changes
    pipelines = [bench.desk.pipeline(one) for one in ("old", "new")]
    old, new = (bench.desk.all_forecasts(one) for one in pipelines)
    earlier = old.with_columns(predicted=pl.lit(999.0))
    trained = old.with_columns(split=pl.lit("train"))
    found = bench.desk.compare(*pipelines, forecasts=(pl.concat([earlier, old, trained]), new))
    assert_frame_equal(found.changes, expected)


def test_periods_whose_sales_differ_are_counted_in_a_note(bench: Workbench) -> None:
    two_forecasts(bench, new_actual=11.0)
    found = compared(bench, "old", "new")
    assert found.notes == (
        "40 periods have other actual sales in one pipeline than in the other; the test leaves them out.",
    )


def test_what_makes_two_pipelines_hard_to_compare_is_said(bench: Workbench) -> None:
    own = {
        "dataset_hash": "aaaa",
        "cutoff": "2024-01-01",
        "horizon": "28",
        "frequency": "daily",
        "model": "ridge",
    }
    other = {
        "dataset_hash": "bbbb",
        "cutoff": "2024-02-01",
        "horizon": "7",
        "frequency": "weekly",
        "model": "lgbm",
    }
    for run_id, params in (("a", own), ("b", own), ("c", other), ("d", {"cutoff": "2024-02-01"}), ("e", {})):
        bench.pipeline(run_id, {"1": MEASURES}, params=params)
    assert compared(bench, "a", "b").notes == ()
    assert compared(bench, "a", "e").notes == ()
    assert compared(bench, "a", "d").notes == ("Another test period: cutoff was 2024-01-01, now 2024-02-01.",)
    assert compared(bench, "a", "c").notes == (
        "Other data: dataset_hash was aaaa, now bbbb.",
        "Another test period: cutoff was 2024-01-01, now 2024-02-01.",
        "Another horizon: horizon was 28, now 7.",
        "Another frequency: frequency was daily, now weekly.",
    )


def test_an_old_pipeline_that_has_nothing_to_compare_with_says_why(bench: Workbench) -> None:
    bench.runs.add("old", name="naive")
    bench.pipeline("new", {"1": MEASURES})
    found = compared(bench, "old", "new")
    assert found.summary.gained == 1
    (said,) = found.notes
    assert said.startswith("The old pipeline: No forecast can be read")


def test_artifacts_of_importance_that_cannot_be_reached_are_none(bench: Workbench) -> None:
    bench.runs.add("p")
    bench.unreachable.add("p")
    assert bench.desk.importance("p") == ()
    with pytest.raises(ArtifactError):
        bench._artifacts("p").stat("feature_importance.csv")


# What a pipeline says of how it was made


def test_what_a_project_came_to_is_its_tag_and_quotes_say_nothing(bench: Workbench) -> None:
    asked = {"horizon": "0", "sales_column": "''", "data": "/data/sales.csv", "model": "ridge"}
    bench.pipeline(
        "p",
        {"1": MEASURES},
        params=asked,
        tags={"horizon": "42", "data": "sales.csv", "smape_scale": "0..200"},
    )
    found = bench.desk.pipeline("p")
    assert [found.told(key) for key in ("horizon", "data", "model")] == ["42", "sales.csv", "ridge"]
    assert found.told("sales_column") is None
    assert found.told("no such key") is None
    bench.pipeline("q", {"1": MEASURES}, params={"data": "sales.csv", "horizon": "42"})
    assert history(bench, "p")["pipeline"].to_list() == ["p", "q"]
    assert bench.desk.compare(found, bench.desk.pipeline("q")).notes == ()
