"""Where artifacts are found, and what is refused: URIs of other machines, copied stores, hostile records."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from core.runs.artifacts.locations import (
    ArtifactLocation,
    StorePlace,
    locate_model,
    locate_run,
    propose_artifact_roots,
    remote_refusal,
)
from core.runs.artifacts.uris import parse_uri, redacted
from core.runs.sources.uris import StoreKind
from core.runs.types import LoggedModel

RUN = "9825f88eaf5f4f739b7f3944e38f55ec"
MODEL = "m-0123456789abcdef0123456789abcdef"
HTTP = StorePlace(StoreKind.HTTP)
posix = pytest.mark.skipif(os.name == "nt", reason="paths of a POSIX system")


def sqlite(path: Path) -> StorePlace:
    return StorePlace(StoreKind.SQLITE, path)


def files(path: Path) -> StorePlace:
    return StorePlace(StoreKind.FILE, path)


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def locate(uri: str, place: StorePlace = HTTP, roots: dict[str, str] | None = None) -> ArtifactLocation:
    return locate_run(uri, RUN, "1", place, roots or {})


@pytest.mark.parametrize(
    ("uri", "head", "parts"),
    [
        ("file:///C:/a/b", "C:", ("a", "b")),
        ("C:\\a\\b", "C:", ("a", "b")),
        ("c:/a//b/", "C:", ("a", "b")),
        ("file://C:/a/b", "C:", ("a", "b")),
        ("file:///C:/MILI%20PC/b", "C:", ("MILI PC", "b")),
        ("file:///C:/MILI PC/b", "C:", ("MILI PC", "b")),
        ("file:///Users/x/b", "/", ("Users", "x", "b")),
        ("file://localhost/Users/x", "/", ("Users", "x")),
        ("file:/Users/x", "/", ("Users", "x")),
        ("/home/x/b", "/", ("home", "x", "b")),
        ("./mlruns/1", "", ("mlruns", "1")),
        (".\\mlruns\\1", "", ("mlruns", "1")),
        ("file://other/share/b", "//other", ("share", "b")),
        ("\\\\other\\share\\b", "//other", ("share", "b")),
        ("s3://bucket/a/b", "s3://bucket", ("a", "b")),
        ("mlflow-artifacts:/1/b", "mlflow-artifacts:", ("1", "b")),
        ("mlflow-artifacts://host:5000/1", "mlflow-artifacts://host:5000", ("1",)),
    ],
)
def test_a_uri_of_any_system_is_split_into_the_same_parts(
    uri: str, head: str, parts: tuple[str, ...]
) -> None:
    parsed = parse_uri(uri)
    assert (parsed.head, parsed.parts) == (head, parts)


def test_a_recorded_folder_that_exists_is_taken(tmp_path: Path) -> None:
    recorded = folder(tmp_path / "1" / RUN / "artifacts")
    for uri in (str(recorded), recorded.as_uri()):
        found = locate(uri)
        assert found.path == recorded
        assert "as recorded" in found.how


@posix
@pytest.mark.parametrize("written", ["with blank", "with%20blank", "hundred%"])
def test_blanks_and_percent_signs_are_found_whether_encoded_or_not(tmp_path: Path, written: str) -> None:
    recorded = folder(tmp_path / written.replace("%20", " ") / RUN / "artifacts")
    assert locate(f"file://{tmp_path}/{written}/{RUN}/artifacts").path == recorded


@posix
def test_a_folder_that_really_has_a_percent_code_in_its_name_is_found(tmp_path: Path) -> None:
    recorded = folder(tmp_path / "a%20b" / RUN / "artifacts")
    assert locate(str(recorded)).path == recorded


def test_a_relative_uri_belongs_to_the_folder_of_the_database_not_to_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = Path("mlruns", "1", RUN, "artifacts")
    here, there = folder(tmp_path / "here" / tail), folder(tmp_path / "there" / tail)
    monkeypatch.chdir(tmp_path / "there")
    assert locate(f"./mlruns/1/{RUN}/artifacts", sqlite(tmp_path / "here")).path == here
    assert not locate(f"./mlruns/1/{RUN}/artifacts", HTTP).found
    assert there.is_dir()


@pytest.mark.parametrize("trash", [(), (".trash",)])
def test_beside_meta_yaml_also_for_deleted_experiments(tmp_path: Path, trash: tuple[str, ...]) -> None:
    beside = folder(tmp_path.joinpath(*trash, "1", RUN, "artifacts"))
    found = locate(f"file:///C:/Users/MILI PC/mlruns/1/{RUN}/artifacts", files(tmp_path))
    assert found.path == beside
    assert any("of another machine" in each for each in found.looked)


@pytest.mark.parametrize("below", ["", "mlruns", "mlartifacts", "artifacts"])
@pytest.mark.parametrize(
    "uri", [f"file:///C:/proj/mlruns/1/{RUN}/artifacts", f"mlflow-artifacts:/1/{RUN}/artifacts"]
)
def test_beside_the_database(tmp_path: Path, below: str, uri: str) -> None:
    beside = folder(tmp_path / below / "1" / RUN / "artifacts")
    assert locate(uri, sqlite(tmp_path)).path == beside


def test_an_experiment_folder_with_a_name_of_its_own_is_found_beside_the_database(tmp_path: Path) -> None:
    beside = folder(tmp_path / "fx_models" / RUN / "artifacts")
    assert locate(f"file:///D:/old/fx_models/{RUN}/artifacts", sqlite(tmp_path)).path == beside


def test_the_artifacts_a_server_kept_win_over_the_empty_folder_of_its_file_store(tmp_path: Path) -> None:
    empty = folder(tmp_path / "mlruns" / "1" / RUN / "artifacts")
    kept = folder(tmp_path / "mlartifacts" / "1" / RUN / "artifacts")
    uri, place = f"mlflow-artifacts:/1/{RUN}/artifacts", files(tmp_path / "mlruns")
    assert locate(uri, place).path == empty
    (kept / "model.txt").write_text("x")
    assert locate(uri, place).path == kept


@pytest.mark.parametrize(
    "scheme", ["s3://b", "gs://b", "wasbs://c@a.blob.core.windows.net", "https://host/x"]
)
def test_remote_uris_are_remote_on_every_store(tmp_path: Path, scheme: str) -> None:
    folder(tmp_path / "1" / RUN / "artifacts")  # a file store makes it, and leaves it empty
    uri = f"{scheme}/1/{RUN}/artifacts"
    for place in (HTTP, sqlite(tmp_path), files(tmp_path)):
        found = locate(uri, place)
        assert (found.uri, found.path) == (uri, None)


def test_served_artifacts_are_remote_only_through_a_server() -> None:
    uri = f"mlflow-artifacts:/1/{RUN}/artifacts"
    assert locate(uri, HTTP).uri == uri
    gone = locate(uri, StorePlace(StoreKind.POSTGRESQL))
    assert not gone.found
    assert "needs the MLflow server" in gone.problem


@pytest.mark.parametrize(
    "old", ["file:///c:/users/MILI%20PC/MLRUNS", "C:\\Users\\mili pc\\mlruns\\", "C:/Users/MILI PC/mlruns"]
)
def test_a_mapped_windows_root_is_compared_without_case_and_notation(tmp_path: Path, old: str) -> None:
    moved = folder(tmp_path / "moved" / "1" / RUN / "artifacts")
    found = locate(f"file:///C:/Users/MILI PC/mlruns/1/{RUN}/artifacts", HTTP, {old: str(tmp_path / "moved")})
    assert found.path == moved
    assert found.mapped
    assert "mapped" in found.how


def test_posix_roots_differ_by_case_and_end_at_a_folder(tmp_path: Path) -> None:
    folder(tmp_path / "1" / RUN / "artifacts")
    uri = f"/home/ann/mlruns/1/{RUN}/artifacts"
    assert locate(uri, HTTP, {"/home/ann/mlruns": str(tmp_path)}).found
    assert not locate(uri, HTTP, {"/home/Ann/mlruns": str(tmp_path)}).found
    assert not locate(uri, HTTP, {"/home/ann/mlr": str(tmp_path)}).found


def test_the_longest_mapped_root_wins_and_beats_the_recorded_place(tmp_path: Path) -> None:
    recorded = folder(tmp_path / "old" / "1" / RUN / "artifacts")
    short = folder(tmp_path / "short" / "1" / RUN / "artifacts")
    long = folder(tmp_path / "long" / RUN / "artifacts")
    roots = {str(tmp_path / "old"): str(tmp_path / "short")}
    assert locate(str(recorded), HTTP, roots).path == short
    roots[str(tmp_path / "old" / "1")] = str(tmp_path / "long")
    assert locate(str(recorded), HTTP, roots).path == long


def test_a_root_can_be_mapped_to_a_bucket_and_a_served_root_to_a_folder(tmp_path: Path) -> None:
    moved = folder(tmp_path / "1" / RUN / "artifacts")
    served = locate(f"mlflow-artifacts:/1/{RUN}/artifacts", HTTP, {"mlflow-artifacts:/": str(tmp_path)})
    assert served.path == moved
    bucket = locate(f"/mnt/art/1/{RUN}/artifacts", HTTP, {"/mnt/art": "s3://new/"})
    assert bucket.uri == f"s3://new/1/{RUN}/artifacts"


def test_a_mapped_root_accepts_a_layout_of_its_own_but_nothing_outside_it(tmp_path: Path) -> None:
    moved = folder(tmp_path / "new" / "flat")
    secret = folder(tmp_path / "secret")
    (tmp_path / "new" / "link").symlink_to(secret)
    roots = {"/old": str(tmp_path / "new")}
    assert locate("/old/flat", HTTP, roots).path == moved
    assert not locate("/old/../secret", HTTP, roots).found
    assert not locate("file:///old/%2e%2e/secret", HTTP, roots).found
    assert not locate("/old/../secret", HTTP, {"/old": "s3://bucket/public"}).found
    linked = locate("/old/link", HTTP, roots)
    assert not linked.found
    assert "a link leads out" in linked.problem


def test_a_mapped_root_that_is_relative_or_missing_is_said(tmp_path: Path) -> None:
    uri = f"/old/1/{RUN}/artifacts"
    assert "not an absolute path" in locate(uri, HTTP, {"/old": "new"}).problem
    assert "(mapped; not there)" in locate(uri, HTTP, {"/old": str(tmp_path / "new")}).problem


@posix
@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc",
        "/etc",
        "file:///",
        "/",
        "../../../etc",
        "s3://company-secrets/",
        "file:///etc/artifacts",
        "",
        ".",
    ],
)
@pytest.mark.parametrize("kind", list(StoreKind))
def test_a_hostile_uri_does_not_make_a_folder_browsable(tmp_path: Path, uri: str, kind: StoreKind) -> None:
    found = locate(uri, StorePlace(kind, tmp_path))
    assert not found.found
    assert f"refused, as it does not end in {RUN}/artifacts" in found.problem


@pytest.mark.parametrize(
    ("run_id", "experiment_id"), [("..", "1"), ("", "1"), (RUN, ".."), (RUN, "/etc"), ("a/b", "1")]
)
def test_hostile_ids_reach_nothing(tmp_path: Path, run_id: str, experiment_id: str) -> None:
    folder(tmp_path / "artifacts")
    folder(tmp_path / "1" / "artifacts")
    assert not locate_run("x", run_id, experiment_id, files(tmp_path), {}).found
    assert not locate_run(f"/etc/{run_id}/artifacts\0", RUN, "1", files(tmp_path), {}).found


def test_a_link_in_place_of_the_artifacts_folder_is_refused(tmp_path: Path) -> None:
    secret = folder(tmp_path / "secret")
    run = folder(tmp_path / "1" / RUN)
    (run / "artifacts").symlink_to(secret)
    for place in (HTTP, files(tmp_path)):
        found = locate(str(run / "artifacts"), place)
        assert not found.found
        assert "refused, as it leads to a folder not named" in found.problem


def test_a_whole_store_may_be_a_link_to_a_larger_disk(tmp_path: Path) -> None:
    folder(tmp_path / "disk" / "1" / RUN / "artifacts")
    (tmp_path / "mlruns").symlink_to(tmp_path / "disk")
    uri = str(tmp_path / "mlruns" / "1" / RUN / "artifacts")
    assert locate(uri, files(tmp_path / "mlruns")).path == Path(uri)


def test_nothing_found_tells_every_place_and_what_to_do(tmp_path: Path) -> None:
    gone = locate(f"file:///C:/p/mlruns/1/{RUN}/artifacts", sqlite(tmp_path))
    assert not gone.found
    assert not gone.none_logged
    for below in ("mlruns", "mlartifacts", "artifacts"):
        assert str(tmp_path / below / "1" / RUN) in gone.problem
    assert "artifact_roots" in gone.problem
    assert "greenroom doctor" in gone.problem


def test_a_run_that_logged_nothing_is_told_from_one_whose_artifacts_are_gone(tmp_path: Path) -> None:
    uri = f"./mlruns/1/{RUN}/artifacts"
    assert not locate(uri, sqlite(tmp_path)).none_logged
    folder(tmp_path / "mlruns")
    never = locate(uri, sqlite(tmp_path))
    assert never.none_logged
    assert "most likely none were logged" in never.problem


@pytest.mark.parametrize("kind", [StoreKind.FILE, StoreKind.SQLITE])
def test_a_logged_model_is_found_beside_the_store(tmp_path: Path, kind: StoreKind) -> None:
    beside = folder(tmp_path / "1" / "models" / MODEL / "artifacts")
    model = LoggedModel(MODEL, "model", f"file:///C:/p/mlruns/1/models/{MODEL}/artifacts")
    assert locate_model(model, "1", StorePlace(kind, tmp_path), {}).path == beside
    recorded = LoggedModel(MODEL, "model", str(beside))
    assert locate_model(recorded, "1", HTTP, {}).path == beside
    hostile = LoggedModel(MODEL, "model", f"/etc/{MODEL}/artifacts")
    assert "refused" in locate_model(hostile, "1", HTTP, {}).problem


def test_proposes_the_root_above_the_experiments(tmp_path: Path) -> None:
    runs = [f"{number:032x}" for number in range(6)]
    for number, run in enumerate(runs):
        folder(tmp_path / "backup" / "store" / str(number % 2) / run / "artifacts")
    place = sqlite(folder(tmp_path / "db"))
    uris = [f"file:///C:/Users/x/mlruns/{n % 2}/{run}/artifacts" for n, run in enumerate(runs)]
    assert propose_artifact_roots(uris, place) == {}  # two levels below a sibling is out of reach
    place = sqlite(tmp_path / "backup")
    assert not locate_run(uris[0], runs[0], "0", place, {}).found
    proposed = propose_artifact_roots(uris, place)
    assert proposed == {"C:/Users/x/mlruns": str(tmp_path / "backup" / "store")}
    for number, (uri, run) in enumerate(zip(uris, runs, strict=True)):
        assert locate_run(uri, run, str(number % 2), place, proposed).found


def test_proposes_one_root_each_for_runs_of_two_machines_and_none_for_the_lost(tmp_path: Path) -> None:
    first, second, lost = (f"{number:032x}" for number in range(3))
    folder(tmp_path / "a" / "1" / first / "artifacts")
    folder(tmp_path / "b" / "2" / second / "artifacts")
    uris = [
        f"file:///C:/x/mlruns/1/{first}/artifacts",
        f"/home/y/mlruns/2/{second}/artifacts",
        f"/home/y/mlruns/2/{lost}/artifacts",
        "file:///etc",
    ]
    assert propose_artifact_roots(uris, sqlite(tmp_path)) == {
        "C:/x/mlruns": str(tmp_path / "a"),
        "/home/y/mlruns": str(tmp_path / "b"),
    }
    assert propose_artifact_roots(uris, HTTP) == {}


@pytest.mark.parametrize(
    ("uri", "refused"),
    [
        ("s3://bucket/x", False),
        ("mlflow-artifacts:/1/x", False),
        ("mlflow-artifacts://mlflow.corp:5000/1/x", False),
        ("http://mlflow.corp:5000/api/2.0/mlflow-artifacts/artifacts/1", False),
        ("abfss://fs@account.dfs.core.windows.net/1", False),
        ("https://mlflow.corp:5000/api/2.0/mlflow-artifacts/artifacts/1", False),
        ("http://mlflow.corp:8080/x", True),
        ("http://evil.example/api/2.0/mlflow-artifacts/artifacts/1", True),
        ("mlflow-artifacts://evil.example:5000/1", True),
        ("http://mlflow.corp:5000@evil.example/x", True),
        ("http://evil.example\\@mlflow.corp:5000/x", True),
        ("abfss://fs@account.dfs.core.windows.net.evil.example/1", True),
        ("abfss://fs@evil.example/1", True),
        ("ftp://evil.example/1", True),
        ("r2://bucket@evil.example/1", True),
        ("http://[broken/1", True),
        ("http://mlflow.corp:99999/1", True),
    ],
)
def test_credentials_are_shown_to_the_tracking_server_and_the_providers_only(uri: str, refused: bool) -> None:
    tracking = "http://user:pw@mlflow.corp:5000"
    assert bool(remote_refusal(ArtifactLocation(uri=uri), tracking)) == refused
    assert remote_refusal(ArtifactLocation(uri=uri, mapped=True), tracking) == ""


def test_passwords_are_in_no_message_and_no_repr() -> None:
    uri = f"https://ann:hunter2@host/1/{RUN}/artifacts?X-Amz-Signature=abc"
    assert redacted(uri) == f"https://host/1/{RUN}/artifacts"
    assert redacted("abfss://container@account.dfs.core.windows.net/x").startswith("abfss://container@")
    found = locate(f"https://ann:hunter2@host/1/{RUN}/artifacts")
    assert found.uri is not None
    refused = locate("https://ann:hunter2@host/1")
    words = repr(found) + found.how + refused.problem + remote_refusal(found, "http://other")
    assert "host" in words
    assert "hunter2" not in words


@pytest.mark.parametrize("store", ["coffee_forecast_filestore", "forexrisk/mlruns"])
def test_real_stores_of_other_machines_are_read_beside_their_meta_yaml(shared_data: Path, store: str) -> None:
    root, found, missing = shared_data / "mlflow" / store, 0, []
    for meta in sorted(root.glob("*/*/meta.yaml")):
        run = yaml.safe_load(meta.read_text())
        location = locate_run(run["artifact_uri"], run["run_id"], run["experiment_id"], files(root), {})
        beside = meta.parent / "artifacts"
        if beside.is_dir():
            assert location.path == beside
            found += 1
        else:
            missing.append(location)
    assert found >= 14
    assert not any(location.found for location in missing)


def test_a_real_windows_uri_with_a_blank_is_mapped(shared_data: Path, tmp_path: Path) -> None:
    meta = sorted((shared_data / "mlflow" / "rl_trading_sb3_filestore").glob("*/*/meta.yaml"))[0]
    run = yaml.safe_load(meta.read_text())
    assert " " in run["artifact_uri"]
    moved = folder(tmp_path / run["experiment_id"] / run["run_id"] / "artifacts")
    roots = propose_artifact_roots([run["artifact_uri"]], sqlite(tmp_path.parent))
    assert roots == {"C:/Users/MILI PC/Documents/rl_trading_agent/results/mlruns": str(tmp_path)}
    found = locate_run(run["artifact_uri"], run["run_id"], run["experiment_id"], HTTP, roots)
    assert found.path == moved
