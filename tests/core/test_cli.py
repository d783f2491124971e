"""The command line: what it prints for people and for programs, and how it refuses."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from mlflow.entities import ViewType

from core import serving
from core.cli import cli
from core.settings import Settings
from tests import servers, stores

COMMANDS = ("experiments", "runs", "sync", "doctor", "best", "compare")
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def greenroom(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line on a home folder of this module's own, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENROOM_HOME", str(home))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    def run(*words: str | Path, uri: str | None = None) -> Result:
        place = ["--tracking-uri", uri] if uri is not None else []
        return CliRunner().invoke(cli, [*(str(word) for word in words), *place])

    return run


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def value(result: Result) -> Any:
    return json.loads(done(result), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def refusal(result: Result, code: int) -> str:
    """Return the one sentence that a refused command says."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in result.output
    assert result.stdout == ""
    said = result.stderr.strip()
    assert said.startswith("greenroom: ")
    return said.removeprefix("greenroom: ")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """A store with two runs: its URI and the ids of the runs."""
    uri = stores.new_sqlite(tmp_path_factory.mktemp("two"))
    client = MlflowClient(uri)
    experiment = client.create_experiment("prices")
    a = stores.add_run(client, experiment, rmse=2.0, acc=0.5, lr="0.1", seed="1")
    b = stores.add_run(client, experiment, rmse=1.0, acc=float("nan"), lr="0.2", seed="1")
    return uri, a, b


# What is printed


def test_experiments_as_json_are_those_of_mlflow(greenroom: Run, sqlite_store: str) -> None:
    found = value(greenroom("experiments", "--json", uri=sqlite_store))
    client = MlflowClient(sqlite_store)
    counts = {
        one.experiment_id: len(client.search_runs([one.experiment_id])) for one in client.search_experiments()
    }
    assert {one["experiment_id"]: one["runs"] for one in found} == counts
    assert all(list(one) == ["experiment_id", "name", "lifecycle_stage", "runs"] for one in found)
    assert {"alpha", "beta with blank", "实验"} < {one["name"] for one in found}


def test_experiments_as_a_table(greenroom: Run, sqlite_store: str) -> None:
    printed = done(greenroom("experiments", uri=sqlite_store))
    assert printed.split("\n")[0].split() == ["id", "name", "state", "runs"]
    assert "beta with blank" in printed
    assert "实验" in printed


def test_deleted_experiments_are_listed_on_demand(greenroom: Run, tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    client = MlflowClient(uri)
    client.delete_experiment(client.create_experiment("old"))
    assert [one["name"] for one in value(greenroom("experiments", "--json", uri=uri))] == ["Default"]
    found = value(greenroom("experiments", "--all", "--json", uri=uri))
    assert [(one["name"], one["lifecycle_stage"]) for one in found] == [
        ("Default", "active"),
        ("old", "deleted"),
    ]


def test_runs_as_json_are_those_of_mlflow_in_its_order(greenroom: Run, sqlite_store: str) -> None:
    found = value(greenroom("runs", "--json", "--limit", "0", uri=sqlite_store))
    client = MlflowClient(sqlite_store)
    ids = [one.experiment_id for one in client.search_experiments()]
    expected = client.search_runs(ids)
    assert found["total"] == len(expected)
    assert [one["run_id"] for one in found["runs"]] == [one.info.run_id for one in expected]
    assert any(None in one["metrics"].values() for one in found["runs"]), "NaN and infinity are null"
    for one, run in zip(found["runs"], expected, strict=True):
        wanted = {"run_id", "experiment_id", "run_name", "status", "start_time", "end_time", "user"}
        assert wanted | {"parent_run_id", "params", "metrics", "tags"} <= one.keys()
        assert (one["run_name"], one["status"]) == (run.info.run_name, run.info.status)
        assert one["params"] == run.data.params
        assert one["tags"] == run.data.tags
        assert one["metrics"].keys() == run.data.metrics.keys()
        assert one["parent_run_id"] == run.data.tags.get("mlflow.parentRunId")


def test_times_are_iso_8601_utc_to_the_millisecond(greenroom: Run, two: tuple[str, str, str]) -> None:
    run = value(greenroom("runs", "--json", uri=two[0]))["runs"][0]
    assert run["start_time"] == "2023-11-14T22:13:20.000Z"
    assert datetime.fromisoformat(run["end_time"]) == datetime(2023, 11, 14, 22, 14, 20, tzinfo=UTC)


def test_a_run_that_is_not_over_has_no_end(greenroom: Run, tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    MlflowClient(uri).create_run("0")
    (run,) = value(greenroom("runs", "--json", uri=uri))["runs"]
    assert (run["status"], run["end_time"]) == ("RUNNING", None)


def test_runs_as_a_table(greenroom: Run, two: tuple[str, str, str]) -> None:
    uri, _, b = two
    lines = done(greenroom("runs", "--order-by", "metrics.rmse", uri=uri)).splitlines()
    assert lines[0].split() == ["run", "name", "status", "started", "user", "metrics.acc", "metrics.rmse"]
    assert lines[1].startswith(f"{b[:8]}  a run  FINISHED")
    assert lines[1].split()[-2:] == ["NaN", "1"]
    assert lines[2].split()[-2:] == ["0.5", "2"]
    assert lines[3] == "1 to 2 of 2 runs"


def test_chosen_columns(greenroom: Run, two: tuple[str, str, str]) -> None:
    lines = done(greenroom("runs", "--columns", "params.lr, tags.nothing", uri=two[0])).splitlines()
    assert lines[0].split()[5:] == ["params.lr", "tags.nothing"]
    assert sorted(line.split()[-2:] for line in lines[1:3]) == [["0.1", "–"], ["0.2", "–"]]


@pytest.mark.parametrize("column", ["rmse", "metrics.", "attributes.status"])
def test_a_column_that_is_none_is_refused(greenroom: Run, two: tuple[str, str, str], column: str) -> None:
    said = refusal(greenroom("runs", "--columns", column, uri=two[0]), 2)
    assert f"'{column}' is not of the form metrics.NAME, params.NAME, tags.NAME" in said


def test_limit_and_offset_page_through_all_matches(greenroom: Run, sqlite_store: str) -> None:
    everything = value(greenroom("runs", "--json", "--limit", "0", uri=sqlite_store))["runs"]
    paged = []
    for offset in range(0, len(everything) + 7, 7):
        page = value(greenroom("runs", "--json", "--limit", "7", "--offset", str(offset), uri=sqlite_store))
        assert page["total"] == len(everything)
        paged += page["runs"]
    assert paged == everything


def test_the_last_line_says_which_part_is_shown(greenroom: Run, two: tuple[str, str, str]) -> None:
    assert done(greenroom("runs", "--limit", "1", "--offset", "1", uri=two[0])).endswith("2 to 2 of 2 runs\n")
    nothing = done(greenroom("runs", "--filter", "metrics.rmse > 9", uri=two[0]))
    assert nothing.endswith("No run matches.\n")


def test_order_by_may_be_repeated(greenroom: Run, sqlite_store: str) -> None:
    terms = ["params.optimizer DESC", "metrics.loss ASC"]
    words = [word for term in terms for word in ("--order-by", term)]
    found = value(greenroom("runs", "--json", "--limit", "0", *words, uri=sqlite_store))["runs"]
    client = MlflowClient(sqlite_store)
    ids = [one.experiment_id for one in client.search_experiments()]
    expected = client.search_runs(ids, order_by=terms)
    assert [one["run_id"] for one in found] == [one.info.run_id for one in expected]


@pytest.mark.parametrize(
    ("view", "wanted"),
    [("active", ViewType.ACTIVE_ONLY), ("deleted", ViewType.DELETED_ONLY), ("all", ViewType.ALL)],
)
def test_a_filter_within_a_view_and_an_experiment(
    greenroom: Run, sqlite_store: str, view: str, wanted: int
) -> None:
    text = "params.lr != 'ppo' AND attributes.status = 'FINISHED'"
    words = ("runs", "--json", "-e", "alpha", "--filter", text, "--view", view)
    found = value(greenroom(*words, uri=sqlite_store))["runs"]
    client = MlflowClient(sqlite_store)
    experiment = client.get_experiment_by_name("alpha")
    expected = client.search_runs([experiment.experiment_id], text, wanted)
    assert [one["run_id"] for one in found] == [one.info.run_id for one in expected]


def test_an_experiment_by_name_and_by_id_is_the_same(greenroom: Run, sqlite_store: str) -> None:
    experiment_id = MlflowClient(sqlite_store).get_experiment_by_name("beta with blank").experiment_id
    by_name = value(greenroom("runs", "--json", "-e", "beta with blank", uri=sqlite_store))
    assert by_name["total"] > 0
    assert by_name == value(greenroom("runs", "--json", "-e", experiment_id, uri=sqlite_store))


def test_exports_hold_all_matches_and_every_key(greenroom: Run, sqlite_store: str, tmp_path: Path) -> None:
    files = {"--csv": tmp_path / "runs.csv", "--parquet": tmp_path / "runs.parquet"}
    words = [str(word) for pair in files.items() for word in pair]
    printed = done(greenroom("runs", "--limit", "1", *words, uri=sqlite_store))
    found = value(greenroom("runs", "--json", "--limit", "0", uri=sqlite_store))["runs"]
    assert printed == "".join(f"{len(found)} runs written to {path}\n" for path in files.values())
    frames = [pl.read_csv(files["--csv"], infer_schema=False), pl.read_parquet(files["--parquet"])]
    for frame in frames:
        assert frame["run_id"].to_list() == [one["run_id"] for one in found]
        for table in ("params", "metrics", "tags"):
            keys = {key for one in found for key in one[table]}
            assert {name for name in frame.columns if name.startswith(f"{table}.")} == {
                f"{table}.{key}" for key in keys
            }
        assert frame["params.学习率"].to_list() == [one["params"].get("学习率") for one in found]
    assert frames[1]["start_time"].dtype == pl.Datetime("ms", "UTC")


@pytest.mark.parametrize("option", ["--csv", "--parquet"])
def test_an_export_that_cannot_be_written_is_refused(
    greenroom: Run, two: tuple[str, str, str], tmp_path: Path, option: str
) -> None:
    path = tmp_path / "absent" / "runs"
    assert refusal(greenroom("runs", option, path, uri=two[0]), 2).startswith(f"{path} cannot be written")


def test_compare_as_json(greenroom: Run, two: tuple[str, str, str]) -> None:
    uri, a, b = two
    found = value(greenroom("compare", a, b[:8], "--baseline", b, "--json", uri=uri))
    assert {"runs", "params", "metrics", "comparability"} < found.keys()
    assert [one["run_id"] for one in found["runs"]] == [a, b]
    assert found["baseline"] == b
    params = {row["key"]: row for row in found["params"]}
    assert params["lr"] == {"key": "lr", "values": ["0.1", "0.2"], "differs": True}
    assert params["seed"]["differs"] is False
    metrics = {row["key"]: row for row in found["metrics"]}
    assert metrics["rmse"]["values"] == [2.0, 1.0]
    assert metrics["rmse"]["best"] == [b]
    assert metrics["rmse"]["deltas"][0] == 1.0
    assert metrics["acc"]["values"] == [0.5, None]
    assert all({"kind", "severity", "message"} == issue.keys() for issue in found["comparability"])


def test_compare_as_a_table_shows_what_differs(greenroom: Run, two: tuple[str, str, str]) -> None:
    uri, a, b = two
    printed = done(greenroom("compare", a, b, uri=uri))
    assert f"a run ({a[:8]})" in printed.splitlines()[0]
    assert "param lr" in printed
    assert "1 ★" in printed
    assert "param seed" not in printed
    assert "param seed" in done(greenroom("compare", a, b, "--all", uri=uri))


def test_best(greenroom: Run, two: tuple[str, str, str]) -> None:
    uri, a, b = two
    assert value(greenroom("best", "--metric", "rmse", "--json", uri=uri))["run_id"] == b
    assert value(greenroom("best", "--metric", "rmse", "--mode", "max", "--json", uri=uri))["run_id"] == a
    assert value(greenroom("best", "--metric", "acc", "--json", uri=uri))["run_id"] == a, "NaN is never best"
    printed = done(greenroom("best", "--metric", "rmse", "-e", "prices", uri=uri))
    assert printed.startswith(f"a run ({b})  rmse = 1\n")
    assert ["lr", "0.2"] in [line.split() for line in printed.splitlines()]


def test_best_of_a_metric_that_is_not_there_or_of_no_known_direction(
    greenroom: Run, two: tuple[str, str, str]
) -> None:
    assert "No run has a value of the metric 'loss'" in refusal(
        greenroom("best", "--metric", "loss", uri=two[0]), 2
    )
    assert "--mode max or --mode min" in refusal(greenroom("best", "--metric", "zzz", uri=two[0]), 2)


def test_sync_as_json_and_as_a_sentence(greenroom: Run, tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    client = MlflowClient(uri)
    stores.add_run(client)
    first = value(greenroom("sync", "--json", uri=uri))
    keys = ["generation", "full", "changed", "gone", "runs", "seconds", "problems"]
    assert list(first) == keys
    assert [first[key] for key in keys if key not in ("seconds", "generation")] == [True, 1, 0, 1, []]
    assert done(greenroom("sync", uri=uri)).startswith("The index holds 1 runs; nothing new (")
    stores.add_run(client)
    assert done(greenroom("sync", uri=uri)).startswith("The index holds 2 runs; 1 runs read anew (")
    assert value(greenroom("sync", "--rebuild", "--json", uri=uri))["full"] is True
    assert value(greenroom("sync", "--full", "--json", uri=uri))["changed"] == 0


def test_doctor_as_json_and_as_lines(greenroom: Run, two: tuple[str, str, str]) -> None:
    found = value(greenroom("doctor", "--json", uri=two[0]))
    assert all(list(one) == ["name", "verdict", "finding", "advice"] for one in found)
    assert {one["name"]: one["verdict"] for one in found}["Tracking store"] == "ok"
    printed = done(greenroom("doctor", uri=two[0]))
    assert f"✓ Tracking store: {two[0]}" in printed.splitlines()


# Which store is read


def test_the_command_line_wins_over_the_environment(
    greenroom: Run, two: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = stores.new_sqlite(tmp_path / "other")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", other)
    monkeypatch.setenv("GREENROOM_BACKEND_URI", other)
    assert value(greenroom("runs", "--json"))["total"] == 0
    assert value(greenroom("runs", "--json", uri=two[0]))["total"] == 2


def test_host_and_port_of_the_command_line_win_over_the_environment(
    greenroom: Run, two: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Settings] = []
    monkeypatch.setattr(serving, "serve", lambda settings, browser, worker: served.append(settings))
    monkeypatch.setenv("GREENROOM_PORT", "9000")
    monkeypatch.setenv("GREENROOM_HOST", "127.0.0.2")
    done(greenroom("up", "--port", "9001", uri=two[0]))
    assert (served[0].host, served[0].port, served[0].tracking_uri) == ("127.0.0.2", 9001, two[0])


# What is refused


def test_a_bad_setting_is_refused_by_every_command(greenroom: Run, tmp_path: Path) -> None:
    (tmp_path / "greenroom.toml").write_text("prot = 1")
    for command in ("experiments", "runs", "sync", "doctor", "up"):
        assert "Did you mean port?" in refusal(greenroom(command), 2)


def test_what_click_refuses_exits_with_2(greenroom: Run) -> None:
    for words in (
        ("nothing",),
        ("runs", "--limit", "-1"),
        ("runs", "--view", "x"),
        ("compare",),
        ("best",),
        ("best", "--metric", "a", "--mode", "up"),
    ):
        result = greenroom(*words)
        assert result.exit_code == 2
        assert "Error: " in result.stderr


def test_every_command_has_help_with_an_example(greenroom: Run) -> None:
    for command in (*COMMANDS, "up", "demo"):
        assert f"greenroom {command}" in done(greenroom(command, "--help")).split("Options:")[0]


@pytest.mark.parametrize("uri", ["redis://h/0", "sqlite://", "", "  "])
def test_a_tracking_uri_that_cannot_be_used_is_bad_input(greenroom: Run, uri: str) -> None:
    assert "racking" in refusal(greenroom("runs", uri=uri), 2)


def words_of(command: str) -> tuple[str, ...]:
    return {"best": ("best", "--metric", "loss"), "compare": ("compare", "a", "b")}.get(command, (command,))


@pytest.mark.parametrize("command", ["experiments", "runs", "sync", "best", "compare"])
def test_an_absent_file_exits_with_1(greenroom: Run, tmp_path: Path, command: str) -> None:
    said = refusal(greenroom(*words_of(command), uri=f"sqlite:///{tmp_path}/absent.db"), 1)
    assert said.startswith(f"There is no file {tmp_path}/absent.db.")
    assert not (tmp_path / "absent.db").exists()


def test_doctor_shows_a_store_that_is_away_and_exits_with_1(greenroom: Run, tmp_path: Path) -> None:
    result = greenroom("doctor", uri=f"sqlite:///{tmp_path}/absent.db")
    assert result.exit_code == 1
    assert "✕ Tracking store: " in result.stdout
    assert "There is no file" in result.stdout


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a letter to a friend", "is no SQLite database"),
        (b"", "is empty"),
        (b"SQLite format 3\x00" + b"\xff" * 4096, "could not be read"),
    ],
)
def test_a_file_that_is_no_database_exits_with_1(
    greenroom: Run, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(content)
    said = refusal(greenroom("runs", uri=f"sqlite:///{path}"), 1)
    assert str(path) in said
    assert reason in said
    assert path.read_bytes() == content


def test_a_database_of_something_else_exits_with_1(greenroom: Run, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table letters (text)")
    said = refusal(greenroom("runs", uri=f"sqlite:///{path}"), 1)
    assert str(path) in said


def test_an_absent_folder_exits_with_1_and_is_not_made(greenroom: Run, tmp_path: Path) -> None:
    said = refusal(greenroom("runs", uri=str(tmp_path / "mlruns")), 1)
    assert f"The folder {tmp_path}/mlruns cannot be read" in said
    assert not (tmp_path / "mlruns").exists()


def test_a_server_that_is_not_there_exits_with_1(greenroom: Run) -> None:
    uri = f"http://127.0.0.1:{servers.free_port()}"
    said = refusal(greenroom("runs", uri=uri), 1)
    assert f"The MLflow server {uri} does not answer" in said
    assert len(said.splitlines()) == 1


@pytest.fixture
def refusing_server() -> Iterator[str]:
    """A server that knows nobody."""

    class Refuses(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://ana:hushhush@127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_wrong_credentials_exit_with_1_and_are_not_repeated(greenroom: Run, refusing_server: str) -> None:
    result = greenroom("runs", uri=refusing_server)
    said = refusal(result, 1)
    assert "refuses these credentials" in said
    assert "MLFLOW_TRACKING_PASSWORD" in said
    assert "hushhush" not in result.output


@pytest.mark.parametrize("password", ["hushhush", "hush/hush", "hush#hush", "hush[hush", "hush%2Fhush"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_password_is_never_printed(greenroom: Run, home: Path, command: str, password: str) -> None:
    result = greenroom(*words_of(command), uri=f"postgresql://user:{password}@127.0.0.1:1/x")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert "user:***@127.0.0.1:1/x" in result.output
    assert "hush" not in result.output
    assert not any(b"hush" in file.read_bytes() for file in home.rglob("state.json"))


def test_an_empty_store_is_no_mistake(greenroom: Run, tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    assert value(greenroom("runs", "--json", uri=uri)) == {"total": 0, "runs": []}
    assert done(greenroom("runs", uri=uri)).endswith("No run matches.\n")
    assert value(greenroom("experiments", "--json", uri=uri))[0]["runs"] == 0
    assert "holds 0 runs" in done(greenroom("sync", uri=uri))
    assert "No run has" in refusal(greenroom("best", "--metric", "loss", uri=uri), 2)
    assert "✓ Run index: 0 runs" in done(greenroom("doctor", uri=uri))


def test_a_broken_run_of_a_file_store_hides_no_other(greenroom: Run, tmp_path: Path) -> None:
    uri = (tmp_path / "mlruns").as_uri()
    client = MlflowClient(uri)
    experiment = client.create_experiment("a")
    good, bad = (stores.add_run(client, experiment, loss=1.0) for _ in range(2))
    (tmp_path / "mlruns" / experiment / bad / "meta.yaml").write_text("{ not: [yaml")
    found = value(greenroom("runs", "--json", uri=uri))
    assert [one["run_id"] for one in found["runs"]] == [good]
    (problem,) = value(greenroom("sync", "--full", "--json", uri=uri))["problems"]
    assert bad in problem
    assert "! Run " in done(greenroom("sync", uri=uri))


@pytest.mark.parametrize(
    ("text", "under"),
    [
        ("params.lr = 'a' AND metrics.loss >> 3", "metrics.loss >> 3"),
        ("banana", "banana"),
        ("tags.`实验` = '模型' AND nonsense", "nonsense"),
        ("tags.a = 'x'\nAND nonsense", "nonsense"),
    ],
)
def test_a_mistake_in_a_filter_is_marked(
    greenroom: Run, two: tuple[str, str, str], text: str, under: str
) -> None:
    result = greenroom("runs", "--filter", text, uri=two[0])
    assert refusal(result, 2)
    line, mark = result.stderr.splitlines()[-2:]
    assert mark.strip() == "^"
    wide = sum(1 for letter in text[: text.index(under)] if ord(letter) > 0x2E80)
    assert line.index(under) + wide == mark.index("^")


def test_a_mistake_in_order_by_is_marked(greenroom: Run, two: tuple[str, str, str]) -> None:
    result = greenroom("runs", "--order-by", "nonsense.a", uri=two[0])
    assert refusal(result, 2)
    assert result.stderr.splitlines()[-2:] == ["  nonsense.a", "  ^"]


def test_an_unknown_run_is_bad_input(greenroom: Run, two: tuple[str, str, str]) -> None:
    uri, a, _ = two
    for unknown in ("zzzz", "f" * 32):
        assert unknown in refusal(greenroom("compare", a, unknown, uri=uri), 2)
        assert unknown in refusal(greenroom("compare", a, "--baseline", unknown, uri=uri), 2)


def test_an_unknown_experiment_comes_with_what_is_close(greenroom: Run, two: tuple[str, str, str]) -> None:
    said = refusal(greenroom("runs", "-e", "price", uri=two[0]), 2)
    assert said == (
        "There is no experiment 'price'. Close to it: prices. `greenroom experiments` lists them all."
    )
    assert "Close" not in refusal(greenroom("best", "--metric", "rmse", "-e", "zzz", uri=two[0]), 2)


NAMES = ("模型 一", 'it\'s "so"', "<b>bold</b>", "[bold red]x[/]", "[/broken]", ":smile:", "100% \\[x]")


def test_names_are_printed_as_they_are(greenroom: Run, tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    client = MlflowClient(uri)
    ids = []
    for name in NAMES:
        experiment = client.create_experiment(f"e {name}")
        run = client.create_run(experiment, run_name=name)
        client.log_param(run.info.run_id, "p", name)
        client.log_metric(run.info.run_id, "m", 1.5)
        ids.append(run.info.run_id)
    experiments = done(greenroom("experiments", uri=uri))
    runs = done(greenroom("runs", "--columns", "metrics.m,params.p,tags.[red]", uri=uri))
    compared = done(greenroom("compare", *ids[:4], uri=uri))
    assert "tags.[red]" in runs.splitlines()[0]
    for number, (name, run_id) in enumerate(zip(NAMES, ids, strict=True)):
        assert f"e {name}" in experiments
        assert runs.count(name) >= 2
        if number < 4:
            assert f"{name} ({run_id[:8]})" in compared
            assert compared.count(name) >= 2
        found = value(greenroom("runs", "--json", "-e", f"e {name}", uri=uri))
        assert [one["run_name"] for one in found["runs"]] == [name]
        best = done(greenroom("best", "--metric", "m", "--mode", "max", "-e", f"e {name}", uri=uri))
        assert best.startswith(f"{name} ({run_id})  m = 1.5\n")


def test_an_unknown_name_in_brackets_is_repeated_as_it_is(greenroom: Run, two: tuple[str, str, str]) -> None:
    assert "'[bold]x[/]'" in refusal(greenroom("runs", "-e", "[bold]x[/]", uri=two[0]), 2)


def test_a_run_without_a_name_is_shown(greenroom: Run, tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    run_id = stores.add_run(MlflowClient(uri), loss=1.0)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection, connection:
        connection.execute("update runs set name = null")
        connection.execute("delete from tags where key = 'mlflow.runName'")
    (run,) = value(greenroom("runs", "--json", uri=uri))["runs"]
    assert (run["run_id"], run["run_name"]) == (run_id, "")
    assert run_id[:8] in done(greenroom("runs", uri=uri))
    assert done(greenroom("best", "--metric", "loss", uri=uri)).startswith(f"– ({run_id})")


def test_a_taken_port_is_refused(greenroom: Run, two: tuple[str, str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal(greenroom("up", "--port", str(port), uri=two[0]), 2)
    assert said.startswith(f"Port {port} of 127.0.0.1 cannot be used: ")
    assert "--port" in said


def test_a_port_out_of_range_is_refused(greenroom: Run, two: tuple[str, str, str]) -> None:
    said = refusal(greenroom("up", "--port", "70000", uri=two[0]), 2)
    assert said == "port in the command line is 70000; accepted is a whole number from 1 to 65535."


# When the store goes away


@pytest.mark.parametrize("state_is_lost", [False, True])
def test_a_store_that_went_away_is_shown_from_the_index(
    greenroom: Run, home: Path, tmp_path: Path, state_is_lost: bool
) -> None:
    uri = stores.new_sqlite(tmp_path)
    run_id = stores.add_run(MlflowClient(uri), loss=1.0)
    before = value(greenroom("runs", "--json", uri=uri))
    (tmp_path / "mlflow.db").unlink()
    if state_is_lost:
        for file in home.rglob("state.json"):
            file.unlink()
    result = greenroom("runs", "--json", uri=uri)
    assert value(result) == before
    problem, note = result.stderr.splitlines()
    assert problem.startswith(f"greenroom: There is no file {tmp_path}/mlflow.db")
    assert note.startswith("Shown is ")
    assert note.endswith("." if state_is_lost else " UTC.")
    for words in (("experiments",), ("best", "--metric", "loss"), ("compare", run_id, run_id[:8])):
        result = greenroom(*words, uri=uri)
        assert "Shown is " in result.stderr
    assert refusal(greenroom("sync", uri=uri), 1)
    assert greenroom("doctor", uri=uri).exit_code == 1
