"""Reading the backtest of a run, whatever of it is there, from artifacts on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from core.backtests.consistency import check_trades
from core.backtests.logged.columns import ColumnChoice, TableKind
from core.backtests.logged.reading import BacktestReading, read_backtest
from core.errors import ArtifactError, NotFoundError
from core.runs.artifacts.access import RunArtifacts, open_run_artifacts
from core.runs.artifacts.locations import ArtifactLocation, StorePlace
from core.runs.sources.uris import StoreKind
from core.runs.types import Run

LIMIT = 1_000_000
DAYS = ["2024-01-02", "2024-01-03", "2024-01-04"]
CURVE = pd.DataFrame({"time": DAYS, "value": [1000.0, 1010.0, 1007.0]})
TRADES = pd.DataFrame(
    {"entry_time": DAYS[:2], "exit_time": DAYS[1:], "side": ["long", "short"], "pnl": [10.0, -3.0]}
)


class Place:
    """The artifacts of a run in a folder of the test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.artifacts = RunArtifacts(ArtifactLocation(path=root))

    def log(self, path: str, what: pd.DataFrame | dict[str, Any] | bytes) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, bytes):
            target.write_bytes(what)
        elif isinstance(what, dict):
            target.write_text(json.dumps(what))
        elif path.endswith(".json"):
            what.to_json(target, orient="split", index=False)
        elif path.endswith(".csv"):
            what.to_csv(target, index=False)
        else:
            what.to_parquet(target)
        return target

    def read(
        self,
        table: str | None = None,
        choice: ColumnChoice | None = None,
        tag: str | None = None,
        most: int = LIMIT,
    ) -> BacktestReading:
        return read_backtest(self.artifacts, tag, table=table, choice=choice, max_bytes=most)


@pytest.fixture
def run(tmp_path: Path) -> Place:
    return Place(tmp_path)


def values(reading: BacktestReading) -> list[float]:
    assert reading.curve is not None, reading.problems
    return reading.curve.values.tolist()


@pytest.mark.parametrize("suffix", ["json", "csv", "parquet"])
def test_our_own_layout_needs_nothing_else(run: Place, suffix: str) -> None:
    run.log(f"backtest/portfolio_values.{suffix}", CURVE)
    run.log(f"backtest/trades.{suffix}", TRADES)
    reading = run.read()
    assert values(reading) == [1000, 1010, 1007]
    assert reading.trades is not None
    assert reading.trades.pnl.tolist() == [10, -3]
    assert reading.curve is not None
    assert check_trades(reading.curve, reading.trades) == ()
    assert reading.table == f"backtest/portfolio_values.{suffix}"
    assert reading.trades_table == f"backtest/trades.{suffix}"
    assert reading.choice == ColumnChoice("time", "value")
    assert [file.path for file in reading.tables] == [reading.table]
    assert (reading.needs_choice, reading.notes, reading.problems) == (False, (), ())


def test_a_dated_index_as_to_csv_writes_it(run: Place) -> None:
    frame = pd.DataFrame({"returns": [0.1, -0.1]}, index=pd.to_datetime(DAYS[:2]))
    run.log("daily_returns.csv", frame.to_csv().encode())
    reading = run.read()
    np.testing.assert_allclose(values(reading), [1, 1.1, 0.99])
    assert reading.choice == ColumnChoice("", returns="returns")


def test_the_table_of_finrl_and_backtrader_opens_without_any_setting(run: Place) -> None:
    frame = pd.DataFrame(
        {"date": DAYS, "total_value": [1.0, 2.0, 3.0], "cash": 1.0, "positions": "{'AAPL': 10}"}
    )
    run.log("results/portfolio.csv", frame)
    reading = run.read()
    assert values(reading) == [1, 2, 3]
    assert not reading.needs_choice


def test_a_table_that_only_mlflow_knows_of(run: Place) -> None:
    run.log("a/b/c/d.json", CURVE.rename(columns={"value": "nav"}))
    assert run.read().curve is None
    assert values(run.read(tag='[{"path": "a/b/c/d.json", "type": "table"}]')) == [1000, 1010, 1007]


def test_of_several_curves_the_best_is_read_and_the_others_offered(run: Place) -> None:
    run.log("backtest/portfolio_values.json", CURVE)
    run.log("backtest/trades.json", TRADES)
    run.log("validation/portfolio_values.json", CURVE.assign(value=[5.0, 6.0, 7.0]))
    run.log("validation/trades.json", TRADES.head(1))
    reading = run.read()
    paths = ["backtest/portfolio_values.json", "validation/portfolio_values.json"]
    assert [file.path for file in reading.tables] == paths
    assert reading.table == paths[0]
    other = run.read(paths[1])
    assert values(other) == [5, 6, 7]
    assert other.trades_table == "validation/trades.json"
    assert [file.path for file in other.tables] == paths


def test_trades_of_another_curve_are_never_taken(run: Place) -> None:
    run.log("backtest/portfolio_values.json", CURVE)
    run.log("validation/portfolio_values.json", CURVE)
    run.log("validation/trades.json", TRADES)
    assert run.read().trades is None
    run.log("trades.csv", TRADES.head(1))
    assert run.read().trades_table == "trades.csv"


def test_a_table_that_is_no_curve_makes_room_for_the_next(run: Place) -> None:
    run.log("portfolio_weights.csv", pd.DataFrame({"asset": ["A"], "weight": [1.0]}))
    run.log("portfolio_config.json", {"cash": 1})
    run.log("returns.csv", CURVE)
    reading = run.read()
    assert reading.table == "returns.csv"
    assert values(reading) == [1000, 1010, 1007]
    assert reading.problems == ()


def test_a_damaged_table_with_a_name_of_its_own_is_reported_and_passed_over(run: Place) -> None:
    run.log("equity.json", b'{"columns": ["time"')
    run.log("nav.csv", CURVE)
    reading = run.read()
    assert reading.table == "nav.csv"
    assert "equity.json is cut off" in reading.problems[0]


def test_nothing_stands_in_for_a_broken_portfolio_values(run: Place) -> None:
    run.log("validation/portfolio_values.json", CURVE)
    run.log("equity.csv", CURVE)
    run.log("backtest/trades.json", TRADES)
    run.log("backtest/portfolio_values.json", b'{"columns": ["time", "value"], "data": [["2024-01-02", 1')
    reading = run.read()
    assert reading.curve is None
    assert len(reading.problems) == 1
    assert "cut off in the middle" in reading.problems[0]
    assert len(reading.tables) == 3
    run.log("backtest/portfolio_values.csv", CURVE)
    assert run.read().table == "backtest/portfolio_values.csv"


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({"time": [0, 1], "value": [1.0, 2.0]}), "steps, not dates"),
        (pd.DataFrame({"when": DAYS, "value": 1.0}), "no column of times"),
        (pd.DataFrame({"time": DAYS, "value": ["1", "x", "2"]}), "row 2: 'x'"),
        (CURVE.head(0), "no rows"),
    ],
)
def test_what_is_wrong_with_portfolio_values_is_the_one_problem(
    run: Place, frame: pd.DataFrame, said: str
) -> None:
    run.log("backtest/portfolio_values.csv", frame)
    run.log("equity.csv", CURVE)
    reading = run.read()
    assert reading.curve is None
    assert len(reading.problems) == 1
    assert said in reading.problems[0]


def test_broken_trades_leave_the_curve(run: Place) -> None:
    run.log("backtest/portfolio_values.json", CURVE)
    run.log("backtest/trades.json", TRADES.to_json(orient="split").encode()[:-20])
    reading = run.read()
    assert values(reading) == [1000, 1010, 1007]
    assert reading.trades is None
    assert "No trades: " in reading.problems[0]
    assert "cut off" in reading.problems[0]


def test_an_empty_table_of_trades_says_that_none_was_made(run: Place) -> None:
    run.log("backtest/portfolio_values.json", CURVE)
    run.log("backtest/trades.json", TRADES.head(0))
    reading = run.read()
    assert reading.trades is not None
    assert len(reading.trades) == 0
    assert "none was made" in reading.notes[0]
    assert reading.problems == ()


AMBIGUOUS = pd.DataFrame({"date": DAYS, "equity": [1.0, 2.0, 3.0], "portfolio_value": [4.0, 5.0, 6.0]})


def test_a_person_chooses_where_two_columns_could_be_meant(run: Place) -> None:
    run.log("backtest/portfolio_values.csv", AMBIGUOUS)
    run.log("equity.csv", CURVE)
    reading = run.read()
    assert reading.needs_choice
    assert reading.curve is None
    assert reading.table == "backtest/portfolio_values.csv"
    assert reading.recognition is not None
    assert reading.recognition.values == ("equity", "portfolio_value")
    assert reading.recognition.columns == ("date", "equity", "portfolio_value")
    assert reading.choice == ColumnChoice("date", "equity")
    assert "equity and portfolio_value" in reading.problems[0]
    chosen = run.read(reading.table, ColumnChoice("date", "portfolio_value"))
    assert values(chosen) == [4, 5, 6]
    assert (chosen.needs_choice, chosen.problems) == (False, ())


def test_a_choice_opens_a_table_with_names_of_its_own(run: Place) -> None:
    frame = pd.DataFrame({"date": DAYS, "agent": [1.0, 2.0, 3.0]})
    run.log("backtest/portfolio_values.csv", frame)
    reading = run.read()
    assert reading.needs_choice
    assert reading.recognition is not None
    assert reading.recognition.kind is TableKind.NEITHER
    assert reading.recognition.numeric == ("agent",)
    assert values(run.read(choice=ColumnChoice("date", "agent"))) == [1, 2, 3]


def test_a_choice_for_other_columns_is_left_out_with_a_note(run: Place) -> None:
    run.log("backtest/portfolio_values.csv", CURVE)
    reading = run.read(choice=ColumnChoice("date", "worth"))
    assert values(reading) == [1000, 1010, 1007]
    assert "not in this table" in reading.notes[0]


def test_a_table_of_two_gigabytes_is_never_opened(run: Place) -> None:
    large = run.log("backtest/portfolio_values.csv", b"")
    with large.open("r+b") as file:
        file.truncate(2_000_000_000)
    opened: list[str] = []
    read = run.artifacts.read
    run.artifacts.read = lambda path, most: (opened.append(path), read(path, most))[1]  # type: ignore[method-assign]
    reading = run.read(most=50_000_000)
    assert reading.curve is None
    assert reading.problems == (
        "The table backtest/portfolio_values.csv has 2.0 GB, above the limit of 50.0 MB; nothing of it was read. "
        "Log fewer rows, or Parquet instead of text.",
    )
    assert opened == []


def test_the_limit_itself_is_allowed(run: Place) -> None:
    size = run.log("backtest/portfolio_values.csv", CURVE).stat().st_size
    assert run.read(most=size).curve is not None
    assert run.read(most=size - 1).curve is None


def test_a_run_without_a_curve_says_what_it_has_and_how_to_log_one(run: Place) -> None:
    run.log("feature_importance.csv", pd.DataFrame({"feature": ["a"], "gain": [1.0]}))
    run.log("plots/equity.png", b"\x89PNG")
    run.log("notes.txt", b"hello")
    reading = run.read()
    assert (reading.curve, reading.table, reading.needs_choice) == (None, None, False)
    (said,) = reading.problems
    assert "MLflowLogger.log_backtest_results" in said
    assert "feature_importance.csv, plots/equity.png" in said
    assert "notes.txt" not in said


def test_why_a_table_with_a_telling_name_was_not_taken_is_said(run: Place) -> None:
    run.log("equity.csv", pd.DataFrame({"step": [0, 1], "equity": [1.0, 2.0]}))
    reading = run.read()
    assert "equity.csv has no column of times" in reading.problems[0]
    assert "No equity curve" in reading.problems[1]


RECORDS = CURVE.to_dict("records")


@pytest.mark.parametrize(
    "part",
    [
        {"portfolio_values": RECORDS},
        {"portfolio_values": {"columns": ["time", "value"], "data": CURVE.to_numpy().tolist()}},
        {"portfolio_values": CURVE.to_dict("list")},
        {"portfolio_values": dict(zip(DAYS, CURVE["value"], strict=True))},
        {"equity_curve": CURVE["value"].tolist(), "dates": DAYS},
    ],
)
def test_results_hold_curve_and_trades_where_no_table_does(run: Place, part: dict[str, Any]) -> None:
    run.log("backtest/results.json", {"sharpe": 1.5, **part, "trades": TRADES.to_dict("records")})
    for reading in (run.read(), run.read("backtest/results.json")):
        assert values(reading) == [1000, 1010, 1007]
        assert reading.trades is not None
        assert reading.trades.pnl.tolist() == [10, -3]
        assert reading.table == reading.trades_table == "backtest/results.json"
        assert [file.path for file in reading.tables] == ["backtest/results.json"]
        assert reading.problems == ()


def test_tables_win_over_results(run: Place) -> None:
    run.log("backtest/results.json", {"portfolio_values": [{"time": DAYS[0], "value": 1.0}], "trades": []})
    run.log("backtest/portfolio_values.json", CURVE)
    run.log("backtest/trades.json", TRADES)
    reading = run.read()
    assert values(reading) == [1000, 1010, 1007]
    assert reading.trades_table == "backtest/trades.json"
    assert [file.path for file in reading.tables] == ["backtest/portfolio_values.json"]


def test_results_without_dates_say_so(run: Place) -> None:
    run.log("backtest/results.json", {"portfolio_values": [1.0, 2.0], "sharpe": 1})
    assert "portfolio_values without a date for each value" in run.read().problems[0]


def test_results_of_measures_alone_are_no_problem(run: Place) -> None:
    run.log("backtest/results.json", {"sharpe": 1.5})
    run.log("backtest/portfolio_values.json", CURVE)
    reading = run.read()
    assert (reading.trades, reading.notes, reading.problems) == (None, (), ())


def test_a_table_that_is_not_there_is_not_found(run: Place) -> None:
    run.log("backtest/portfolio_values.json", CURVE)
    with pytest.raises(NotFoundError, match=r"gone\.json"):
        run.read("gone.json")
    with pytest.raises(ArtifactError, match="refused"):
        run.read("../../secret.json")


def test_a_table_that_mlflow_still_lists_but_is_gone_makes_room(run: Place) -> None:
    run.log("nav.csv", CURVE)
    tag = '[{"path": "equity.json", "type": "table"}, {"path": "../portfolio.json", "type": "table"}]'
    reading = run.read(tag=tag)
    assert reading.table == "nav.csv"
    assert len(reading.problems) == 2


def test_a_table_of_trades_chosen_as_the_curve_is_refused_in_words(run: Place) -> None:
    run.log("backtest/portfolio_values.json", CURVE)
    run.log("backtest/trades.json", TRADES)
    reading = run.read("backtest/trades.json")
    assert reading.curve is None
    assert reading.problems == ("The table backtest/trades.json holds trades, no curve.",)


def test_trading_runs_of_a_real_store_that_logged_no_curve(shared_data: Path) -> None:
    root = shared_data / "mlflow" / "rl_trading_sb3_filestore"
    folders = [path.parent for path in root.glob("*/*/meta.yaml")]
    assert folders
    for folder in folders:
        meta = yaml.safe_load((folder / "meta.yaml").read_text())
        known = (meta["run_id"], meta["experiment_id"], "", "FINISHED", None, None, "", "active")
        elsewhere = open_run_artifacts(
            Run(*known, meta["artifact_uri"], None), StorePlace(StoreKind.FILE, root), {}
        )
        with pytest.raises(ArtifactError, match="of another machine"):
            read_backtest(elsewhere, None, max_bytes=LIMIT)
        (said,) = Place(folder).read().problems
        assert "It has no tables and no images." in said
        assert "log_backtest_results" in said


def test_real_artifacts_of_other_kinds_of_runs_hold_no_backtest(shared_data: Path) -> None:
    folders = [path for path in (shared_data / "mlflow").rglob("artifacts") if path.is_dir()][:100]
    assert folders
    for folder in folders:
        reading = Place(folder).read(most=50_000_000)
        assert (reading.curve, reading.needs_choice) == (None, False), folder
        assert "No equity curve was found" in reading.problems[-1]


def test_a_real_table_of_prices_is_no_curve_until_somebody_says_so(shared_data: Path) -> None:
    found = sorted((shared_data / "mlflow" / "forexrisk").rglob("artifacts/forex_rates.csv"))
    artifacts = RunArtifacts(ArtifactLocation(path=found[0].parent))
    reading = read_backtest(artifacts, None, max_bytes=50_000_000)
    assert reading.curve is None
    assert "forex_rates.csv" in reading.problems[-1]
