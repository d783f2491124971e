"""Pages say what a person needs, on good stores and bad ones."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType

from tests import servers, stores
from tests.dashboard.conftest import OpenApp, texts

PAGES = (
    *("overview", "runs", "run", "compare", "backtests", "health"),
    *("registry", "approvals", "training", "audit"),
)


def _store(folder: Path) -> str:
    """Write a small store whose runs are easy to tell apart."""
    uri = stores.new_sqlite(folder)
    client = MlflowClient(uri)
    experiment = client.create_experiment("shops", artifact_location=str(folder / "artifacts"))
    ids = []
    for number in range(12):
        run = client.create_run(
            experiment, start_time=1_700_000_000_000 + 1000 * number, run_name=f"run {number:02d}"
        )
        ids.append(run.info.run_id)
        losses = [
            Metric("loss", value, 1_700_000_000_000, step)
            for step, value in enumerate((9.0 - number, 5.0, 1.0 + number))
        ]
        tags = [RunTag("team", "alpha" if number % 2 else "beta")]
        if number in (1, 2):
            tags.append(RunTag("mlflow.parentRunId", ids[0]))
        client.log_batch(ids[-1], losses, [Param("model", "ridge" if number < 4 else "forest")], tags)
        client.set_terminated(ids[-1], "FAILED" if number == 11 else "FINISHED")
    client.log_text(ids[0], "kept", "kept.txt")
    return uri


@pytest.fixture
def store(tmp_path: Path) -> str:
    return _store(tmp_path)


def ids_of(uri: str) -> list[str]:
    """Return run ids, oldest first."""
    client = MlflowClient(uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    return [run.info.run_id for run in client.search_runs(experiments, order_by=["start_time ASC"])]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("kind", ["sqlite_store", "file_store"])
def test_every_page_draws_awkward_names_and_values(
    open_app: OpenApp, kind: str, page: str, request: pytest.FixtureRequest
) -> None:
    uri = request.getfixturevalue(kind)
    client = MlflowClient(uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    ids = [run.info.run_id for run in client.search_runs(experiments, max_results=20)]
    query = {"run": {"run": ids[0]}, "compare": {"runs": ",".join(ids)}}.get(page, {})
    at = open_app(uri, page, **query)
    assert not at.exception
    assert not [one.value for one in at.error]


@pytest.mark.parametrize("section", ["Params", "Artifacts", "Data and hashes", "Children", "Tags"])
def test_every_section_of_a_run_draws(open_app: OpenApp, store: str, section: str) -> None:
    at = open_app(store, "run", run=ids_of(store)[0], section=section)
    assert not at.exception
    assert not [one.value for one in at.error]


@pytest.mark.parametrize("chart", ["Scatter", "Parallel coordinates", "Distribution", "Importance"])
def test_every_chart_draws(open_app: OpenApp, store: str, chart: str) -> None:
    at = open_app(store, "runs", show="Charts", chart=chart)
    assert not at.exception
    assert not [one.value for one in at.error]


def test_table_shows_what_mlflow_finds(open_app: OpenApp, store: str) -> None:
    at = open_app(store, "runs", q="params.model = 'ridge'", sort="metrics.loss", desc="false")
    names = [name.strip() for name in at.dataframe[0].value["Name"]]
    assert names == ["run 00", "run 01", "run 02", "run 03"]
    assert "**4 runs**" in texts(at)


def test_metrics_can_be_shown_and_sorted_by_their_minimum(open_app: OpenApp, store: str) -> None:
    at = open_app(store, "runs", sort="metrics.loss", point="Min", desc="false")
    shown = at.dataframe[0].value
    client = MlflowClient(store)
    lowest = {
        run_id: min(point.value for point in client.get_metric_history(run_id, "loss"))
        for run_id in ids_of(store)
    }
    assert list(shown["metrics.loss"]) == sorted(lowest.values())


def test_facet_writes_into_the_filter_and_out_of_it(open_app: OpenApp, store: str) -> None:
    at = open_app(store, "runs")
    status = next(one for one in at.radio if one.label == "Status")
    assert [option.split("·")[-1].strip() for option in status.options] == ["12", "11", "1"]
    status.set_value("FAILED").run()
    assert at.text_input(key="q").value == "attributes.status = 'FAILED'"
    assert "**1 run**" in texts(at)
    next(one for one in at.radio if one.label == "Status").set_value("\x00any").run()
    assert at.text_input(key="q").value == ""


def test_selected_runs_can_be_compared_and_one_pinned_as_baseline(open_app: OpenApp, store: str) -> None:
    ids = ids_of(store)
    at = open_app(store, "runs")
    assert at.button(key="compare").disabled
    at.multiselect(key="picked").set_value([ids[3]]).run()
    at.button(key="pin").click().run()
    assert at.query_params["base"] == ids[3]
    assert at.dataframe[0].value["Name"].iloc[0].endswith("run 03")
    assert at.dataframe[0].value["Δ metrics.loss"].iloc[0] == 0
    at.multiselect(key="picked").set_value(ids[:3]).run()
    at.button(key="compare").click().run()
    assert not at.exception
    assert {"Metric", "run 00", "run 01", "run 02"} <= {
        name.removeprefix("◆ ") for name in at.dataframe[0].value
    }


def test_nested_runs_fold_and_keep_the_order(open_app: OpenApp, store: str) -> None:
    at = open_app(store, "runs", nested="true", sort="metrics.loss", desc="false")
    names = list(at.dataframe[0].value["Name"])
    assert len(names) == 10
    assert names[0].strip() == "▸ run 00  (2)"
    at.button(key="fold_all").click().run()
    names = [name.strip() for name in at.dataframe[0].value["Name"]]
    assert names[:3] == ["▾ run 00  (2)", "└ run 01", "└ run 02"]


def test_saved_view_comes_back_with_all_its_choices(open_app: OpenApp, store: str) -> None:
    at = open_app(store, "runs", q="params.model = 'ridge'", sort="metrics.loss", desc="false")
    at.text_input(key="runs_view_name").set_value("Ridge, best first").run()
    at.button(key="runs_view_save").click().run()
    other = open_app(store, "runs")
    assert "**12 runs**" in texts(other)
    assert other.selectbox(key="runs_view").options == ["Ridge, best first"]
    other.button(key="runs_view_open").click().run()
    assert not other.exception
    assert other.text_input(key="q").value == "params.model = 'ridge'"
    assert [name.strip() for name in other.dataframe[0].value["Name"]] == [
        "run 00",
        "run 01",
        "run 02",
        "run 03",
    ]


def test_edit_of_an_old_run_is_seen_on_its_page_at_once(open_app: OpenApp, store: str) -> None:
    first = ids_of(store)[0]
    open_app(store, "runs")
    MlflowClient(store).set_tag(first, "team", "gamma")
    at = open_app(store, "run", run=first, section="Tags")
    assert "gamma" in list(at.dataframe[0].value["Value"])


def test_mistake_in_a_filter_is_marked_and_the_page_lives(open_app: OpenApp, store: str) -> None:
    at = open_app(store, "runs", q="metrics.loss > 1 AND params.model ~ 'x'")
    assert not at.exception
    assert "at character 22" in at.error[0].value
    assert at.code[0].value.splitlines()[1].index("^") == 21
    at.text_input(key="q").set_value("metrics.loss > 1").run()
    assert not [one.value for one in at.error]


@pytest.mark.parametrize(
    ("page", "query", "said"),
    [
        ("run", {"run": "0" * 32}, "There is no run"),
        ("compare", {"runs": "nonsense,alsonot"}, "There is no run"),
        ("runs", {"exp": "no such experiment"}, "There is no experiment"),
        ("runs", {"base": "0" * 32}, "There is no run"),
    ],
)
def test_unknown_things_in_the_address_are_named(
    open_app: OpenApp, store: str, page: str, query: dict[str, str], said: str
) -> None:
    at = open_app(store, page, **query)
    assert not at.exception
    assert said in texts(at)


def test_names_are_shown_to_the_letter(open_app: OpenApp, tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    client = MlflowClient(uri)
    name = "模型 'a' \"b\" <b>bold</b> **star** :red[no] [x](http://y)"
    experiment = client.create_experiment("**实验** <i>x</i>", artifact_location=str(tmp_path / "artifacts"))
    run = client.create_run(experiment, run_name=name)
    client.log_metric(run.info.run_id, "loss", 1.0)
    at = open_app(uri, "runs")
    assert list(at.dataframe[0].value["Name"]) == [name]
    at = open_app(uri, "run", run=run.info.run_id)
    heading = at.subheader[0].value
    assert "<b>" not in heading or r"\<b" in heading
    assert "**star**" not in heading
    assert ":red[" not in heading


def test_empty_store_says_what_to_do(open_app: OpenApp, tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    MlflowClient(uri).search_experiments()
    for page in PAGES:
        at = open_app(uri, page)
        assert not at.exception, page
    assert "holds no runs yet" in texts(open_app(uri, "runs"))


def test_without_any_store_the_demo_is_offered(open_app: OpenApp) -> None:
    at = open_app(None, "runs")
    assert not at.exception
    assert "greenroom demo" in texts(at)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://127.0.0.1:{port}", "does not answer"),
        ("sqlite:///{folder}/text.db", "is no SQLite database"),
        ("sqlite:///{folder}/absent.db", "There is no file"),
        ("postgresql://someone:hushhush@127.0.0.1:{port}/mlflow", "could not be read"),
        ("redis://localhost", "cannot read"),
    ],
)
def test_store_that_cannot_be_read_is_explained_and_health_stays_alive(
    open_app: OpenApp, tmp_path: Path, uri: str, said: str
) -> None:
    (tmp_path / "text.db").write_text("this is a text, long enough to be read")
    address = uri.format(port=servers.free_port(), folder=tmp_path)
    at = open_app(address, "runs")
    assert not at.exception
    assert said in texts(at)
    assert "hushhush" not in texts(at)
    if not address.startswith("redis"):
        health = open_app(address, "health")
        assert not health.exception
        assert said in texts(health)


def test_store_that_goes_away_leaves_browsing_alive_and_is_found_again(
    open_app: OpenApp, store: str, tmp_path: Path
) -> None:
    at = open_app(store, "runs")
    database = tmp_path / "mlflow.db"
    shutil.move(database, tmp_path / "elsewhere.db")
    _wait(at, "Stale since")
    at.text_input(key="q").set_value("params.model = 'ridge'").run()
    assert not at.exception
    assert "**4 runs**" in texts(at)
    assert "Stale since" in texts(at)
    shutil.move(tmp_path / "elsewhere.db", database)
    _wait(at, "Stale since", gone=True)
    assert not at.exception


def _wait(at: object, text: str, *, gone: bool = False) -> None:
    end = time.monotonic() + 20
    while (text in texts(at)) == gone:  # type: ignore[arg-type]
        assert time.monotonic() < end, texts(at)  # type: ignore[arg-type]
        time.sleep(0.3)
        at.run()  # type: ignore[attr-defined]


def test_new_deleted_and_restored_runs_follow_within_five_seconds(open_app: OpenApp, store: str) -> None:
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("shops")
    at = open_app(store, "runs")
    run = client.create_run(experiment.experiment_id, run_name="new one")
    assert _seconds_until(at, "**13 runs**") < 5
    client.set_terminated(run.info.run_id)
    client.delete_run(run.info.run_id)
    assert _seconds_until(at, "**12 runs**") < 5
    client.restore_run(run.info.run_id)
    assert _seconds_until(at, "**13 runs**") < 5
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "active"
    assert len(client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)) == 13


def _seconds_until(at: object, text: str) -> float:
    began = time.monotonic()
    while text not in texts(at):  # type: ignore[arg-type]
        assert time.monotonic() - began < 20
        time.sleep(0.1)
        at.run()  # type: ignore[attr-defined]
    return time.monotonic() - began


def test_artifacts_that_are_gone_are_explained(open_app: OpenApp, store: str, tmp_path: Path) -> None:
    run_id = ids_of(store)[-1]
    MlflowClient(store).log_text(run_id, "hello", "note.txt")
    at = open_app(store, "run", run=run_id, section="Artifacts", path="note.txt")
    assert "hello" in texts(at)
    shutil.rmtree(tmp_path / "artifacts")
    at = open_app(store, "run", run=run_id, section="Artifacts")
    assert not at.exception
    assert at.error or at.info


def test_runs_of_a_thousand_metrics_stay_usable(open_app: OpenApp, tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    client = MlflowClient(uri)
    experiment = client.create_experiment("wide", artifact_location=str(tmp_path / "artifacts"))
    for _ in range(3):
        run = client.create_run(experiment)
        metrics = [Metric(f"metric_{number:04d}", float(number), 0, 0) for number in range(1000)]
        client.log_batch(run.info.run_id, metrics=metrics)
    at = open_app(uri, "runs")
    assert len(at.dataframe[0].value.columns) < 20
    assert len(at.multiselect(key="metrics").options) == 1000
    at = open_app(uri, "runs", metrics="metric_0999")
    assert list(at.dataframe[0].value["metrics.metric_0999"]) == [999.0] * 3
