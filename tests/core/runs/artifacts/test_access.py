"""Listing and reading artifacts: as MLflow does it, never outside the root, never larger than asked for."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import botocore.exceptions
import mlflow
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from core.errors import ArtifactError, GreenroomError, NotFoundError
from core.runs.artifacts.access import RunArtifacts, model_folders, open_run_artifacts
from core.runs.artifacts.entries import path_parts, size_in_words
from core.runs.artifacts.local import LocalArtifacts
from core.runs.artifacts.locations import ArtifactLocation, StorePlace, locate_run
from core.runs.artifacts.previews import TablePreview, preview
from core.runs.artifacts.remote import RemoteArtifacts
from core.runs.sources.uris import StoreKind
from core.runs.types import LoggedModel, Run
from tests import servers, stores

RUN = "9825f88eaf5f4f739b7f3944e38f55ec"
posix = pytest.mark.skipif(os.name == "nt", reason="needs what only POSIX file systems have")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / RUN / "artifacts"
    (folder / "plots" / "deep er").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_bytes(b"hello")
    (folder / "A.csv").write_bytes(b"a,b\n1,2\n")
    (folder / "plots" / "équity & co.png").write_bytes(b"\x89PNG")
    (folder / "plots" / "deep er" / "50%.json").write_bytes(b"{}")
    (folder / ".artifact.uploading.x").write_bytes(b"half")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "password.txt").write_bytes(b"hunter2")
    return folder


def opened(folder: Path) -> RunArtifacts:
    return RunArtifacts(ArtifactLocation(path=folder))


@pytest.mark.parametrize("path", ["", "plots", "plots/deep er", "empty"])
def test_lists_what_mlflow_lists(root: Path, path: str) -> None:
    theirs = LocalArtifactRepository(root.as_uri()).list_artifacts(path)
    ours = LocalArtifacts(root).list(path)
    assert {(each.path, each.is_dir, each.size) for each in ours} == {
        (each.path, each.is_dir, each.file_size) for each in theirs
    }
    assert len(theirs) == ours.total


def test_folders_come_first_with_sizes_and_times(root: Path) -> None:
    os.utime(root / "A.csv", (1_700_000_000, 1_700_000_000))
    entries = opened(root).list()
    assert [each.path for each in entries] == ["empty", "plots", "A.csv", "notes.txt"]
    assert [each.size for each in entries] == [None, None, 8, 5]
    changed = entries[2].modified
    assert changed is not None
    assert changed.isoformat() == "2023-11-14T22:13:20+00:00"
    assert all(each.readable for each in entries)


def test_reads_stats_and_streams(root: Path) -> None:
    artifacts = opened(root)
    assert artifacts.read("notes.txt", 5) == b"hello"
    assert artifacts.stat("plots/deep er/50%.json").size == 2
    assert artifacts.stat("plots/").path == "plots"
    assert artifacts.stat("").is_dir
    with artifacts.open_stream("notes.txt") as file:
        assert file.read(2) == b"he"
    assert list(artifacts.chunks("notes.txt", 2)) == [b"he", b"ll", b"o"]
    assert artifacts.head("notes.txt", 2) == (b"he", True)
    assert artifacts.head("notes.txt", 5) == (b"hello", False)


def test_looking_changes_nothing(root: Path) -> None:
    def state() -> list[tuple[str, str, int]]:
        return [
            (str(path), hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for path in sorted(root.rglob("*"))
            if path.is_file()
        ]

    before = state()
    artifacts = opened(root)
    for entry in (*artifacts.list(), *artifacts.list("plots"), *artifacts.list("plots/deep er")):
        if not entry.is_dir:
            artifacts.read(entry.path, 100)
            list(artifacts.chunks(entry.path))
    assert state() == before


ESCAPES = [
    "../secret/password.txt", "plots/../../../secret/password.txt", "..", "/etc/passwd", "//host/x", "\\\\host\\x",
    "..\\secret", "plots\\x", "C:/Windows", "c:x", "a/C:", "notes.txt\0.png", "%2e%2e/secret", "%252e%252e/secret",
    "%2fetc/passwd", "..%2fsecret", "..%5csecret", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("path", ESCAPES)
def test_paths_that_could_leave_the_root_are_refused(root: Path, path: str) -> None:
    artifacts = opened(root)
    for action in (artifacts.list, artifacts.stat, artifacts.chunks, lambda p: artifacts.read(p, 9)):
        with pytest.raises(ArtifactError, match="is refused: it"):
            action(path)


@given(st.text(st.characters(codec=None) | st.sampled_from("./\\:%2eEfF5cC\0"), max_size=30))
def test_an_accepted_path_stays_below_its_root(path: str) -> None:
    try:
        parts = path_parts(path)
    except ArtifactError:
        return
    root = "/root/of/artifacts"
    assert os.path.normpath("/".join((root, *parts))).startswith(root)
    assert not set(parts) & {"", ".", ".."}


@posix
def test_links_that_leave_the_root_are_listed_as_unreadable_and_never_opened(root: Path) -> None:
    secret = root.parents[1] / "secret"
    (root / "file link").symlink_to(secret / "password.txt")
    (root / "folder link").symlink_to(secret)
    (root / "dead link").symlink_to(root / "nothing")
    (root / "circle").symlink_to(root / "circle")
    (root / "good link").symlink_to(root / "notes.txt")
    (root / "good folder").symlink_to(root / "plots")
    artifacts = opened(root)
    listed = {each.path: each for each in artifacts.list()}
    assert listed["file link"].note == listed["folder link"].note == "a link that leaves the artifact folder"
    assert not listed["file link"].is_dir
    assert listed["file link"].size is None
    assert not listed["dead link"].readable
    assert not listed["circle"].readable
    for path in ("file link", "folder link", "folder link/password.txt", "circle"):
        with pytest.raises(ArtifactError):
            artifacts.read(path, 100)
    with pytest.raises(ArtifactError, match="a link that leaves"):
        artifacts.list("folder link")
    with pytest.raises(NotFoundError):
        artifacts.read("dead link", 100)
    assert listed["good folder"].is_dir
    assert artifacts.read("good link", 100) == b"hello"
    assert artifacts.list("good folder")[0].path == "good folder/deep er"


@posix
def test_special_files_are_never_opened(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(root)  # the address of a socket holds a hundred characters only
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
    artifacts = opened(root)
    notes = {each.path: each.note for each in artifacts.list()}
    assert notes["pipe"] == notes["socket"] == "neither a file nor a folder"
    for path in ("pipe", "socket"):
        with pytest.raises(ArtifactError, match="neither a file nor a folder"):
            artifacts.read(path, 10)  # opening a fifo would wait for a writer


@posix
def test_a_file_that_is_replaced_while_it_is_opened_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = root.parents[1] / "secret"
    really_open = os.open

    def swap_then_open(path: Path, flags: int) -> int:
        (root / "plots").rename(root / "moved")
        (root / "plots").symlink_to(secret)
        return really_open(path, flags)

    (root / "plots" / "password.txt").write_text("mine")
    monkeypatch.setattr("core.runs.artifacts.local.os.open", swap_then_open)
    with pytest.raises(ArtifactError, match="is refused: it is a link that leaves"):
        opened(root).read("plots/password.txt", 100)


@posix
def test_another_file_under_the_name_just_opened_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_open = os.open

    def open_then_swap(path: Path, flags: int) -> int:
        descriptor = really_open(path, flags)
        (root / "notes.txt").unlink()
        (root / "notes.txt").write_text("other")
        return descriptor

    monkeypatch.setattr("core.runs.artifacts.local.os.open", open_then_swap)
    with pytest.raises(ArtifactError, match="was replaced while it was opened"):
        opened(root).read("notes.txt", 100)


@posix
def test_names_that_are_no_text_or_hold_backslashes_are_listed_but_not_read(root: Path) -> None:
    try:
        (root / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    (root / "a\\b").write_bytes(b"x")
    refused = [each for each in opened(root).list() if not each.readable]
    assert [each.path for each in refused] == ["a\\b", "caf?.txt"]
    assert all(each.path.encode() for each in refused)


def test_two_gigabytes_are_refused_by_size_without_being_read(root: Path) -> None:
    huge = root / "huge.csv"
    huge.touch()
    os.truncate(huge, 2_100_000_000)
    artifacts = opened(root)
    with pytest.raises(ArtifactError, match=r"huge.csv is 2.1 GB, above the limit of 20.0 MB"):
        artifacts.read("huge.csv", 20_000_000)
    assert artifacts.head("huge.csv", 10) == (bytes(10), True)
    assert len(next(artifacts.chunks("huge.csv"))) == 1024 * 1024


def test_a_file_that_grows_while_it_is_read_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def grown(*_: object, **__: object) -> Iterator[io.BytesIO]:
        yield io.BytesIO(bytes(20))

    monkeypatch.setattr(LocalArtifacts, "open_stream", grown)
    with pytest.raises(ArtifactError, match="above the limit of 10 bytes"):
        opened(root).read("notes.txt", 10)


def test_a_folder_of_5000_entries_shows_the_first_and_counts_the_rest(root: Path) -> None:
    many = root / "many"
    many.mkdir()
    for number in range(4_999):
        (many / f"{number:05}.txt").touch()
    (many / "zz").mkdir()
    listed = opened(root).list("many")
    assert len(listed) == 1_000
    assert (listed.total, listed.left_out) == (5_000, 4_000)
    assert listed[0].path == "many/zz"
    assert listed.notes == ("The first 1,000 of 5,000 entries are shown, 4,000 are not.",)
    assert len(opened(root).list("many", limit=10_000)) == 5_000


def test_missing_files_and_folders_in_the_wrong_place_are_told_apart(root: Path) -> None:
    artifacts = opened(root)
    for path in ("nothing", "notes.txt/below", "plots/nothing"):
        with pytest.raises(NotFoundError, match="There is no artifact"):
            artifacts.stat(path)
    with pytest.raises(ArtifactError, match="is a file"):
        artifacts.list("notes.txt")
    for path in ("plots", ""):
        with pytest.raises(ArtifactError, match="is a folder"):
            artifacts.read(path, 10)
    with pytest.raises(ArtifactError, match="is a folder"):
        artifacts.chunks("plots")
    with pytest.raises(NotFoundError):
        artifacts.chunks("nothing")


def test_artifacts_that_are_gone_are_said_to_be(root: Path) -> None:
    artifacts = opened(root)
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(ArtifactError, match="gone or cannot be entered"):
        artifacts.list()
    lost = RunArtifacts(locate_run(f"file:///C:/x/{RUN}/artifacts", RUN, "1", StorePlace(StoreKind.HTTP), {}))
    for action in (lost.list, lambda: lost.read("a", 1)):
        with pytest.raises(ArtifactError, match=r"cannot be found\. Looked at: C:/x/"):
            action()


def test_a_run_that_logged_nothing_has_an_empty_listing_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "mlruns" / "1").mkdir(parents=True)
    place = StorePlace(StoreKind.SQLITE, tmp_path)
    listed = RunArtifacts(locate_run(f"mlruns/1/{RUN}/artifacts", RUN, "1", place, {})).list()
    assert listed.total == 0
    assert "most likely none were logged" in listed.notes[0]


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said(root: Path) -> None:
    (root / "notes.txt").chmod(0)
    with pytest.raises(ArtifactError, match="cannot be opened: Permission denied"):
        opened(root).read("notes.txt", 10)


def test_sizes_in_words() -> None:
    assert [size_in_words(size) for size in (0, 999, 1_000, 2_147_483_648, 5 * 10**13)] == [
        "0 bytes", "999 bytes", "1.0 kB", "2.1 GB", "50.0 TB",
    ]  # fmt: skip


@pytest.fixture
def with_model(root: Path, tmp_path: Path) -> RunArtifacts:
    model = tmp_path / "models" / "m-1" / "artifacts"
    (model / "metadata").mkdir(parents=True)
    (model / "MLmodel").write_bytes(b"flavors: {}\n")
    (model / "metadata" / "x.txt").write_bytes(b"meta")
    return RunArtifacts(
        ArtifactLocation(path=root),
        models={"model": ArtifactLocation(path=model), "lost": ArtifactLocation(looked=("x",))},
    )


def test_logged_models_are_folders_of_the_run(with_model: RunArtifacts) -> None:
    top = {each.path: each for each in with_model.list()}
    assert top["model"].is_dir
    assert top["model"].readable
    assert top["lost"].note == "its files cannot be found"
    assert [each.path for each in with_model.list("model")] == ["model/metadata", "model/MLmodel"]
    assert with_model.list("model/metadata")[0].path == "model/metadata/x.txt"
    assert with_model.read("model/metadata/x.txt", 10) == b"meta"
    assert with_model.stat("model").is_dir
    assert with_model.stat("model").path == "model"
    assert with_model.stat("model/MLmodel").path == "model/MLmodel"
    with pytest.raises(NotFoundError):
        with_model.read("model/nothing", 10)
    with pytest.raises(NotFoundError):
        with_model.list("lost")
    with pytest.raises(ArtifactError, match="refused"):
        with_model.read("model/../../secret", 10)


def test_a_run_folder_of_the_same_name_is_merged_and_the_model_wins(
    with_model: RunArtifacts, root: Path
) -> None:
    (root / "model").mkdir()
    (root / "model" / "MLmodel").write_bytes(b"of the run")
    (root / "model" / "estimator.html").write_bytes(b"<p>")
    assert [each.path for each in with_model.list() if each.path == "model"] == ["model"]
    assert [each.path for each in with_model.list("model")] == [
        "model/metadata", "model/MLmodel", "model/estimator.html",
    ]  # fmt: skip
    assert with_model.read("model/MLmodel", 20) == b"flavors: {}\n"
    assert with_model.read("model/estimator.html", 20) == b"<p>"


def test_models_are_shown_though_the_run_itself_has_no_artifacts(
    tmp_path: Path, with_model: RunArtifacts
) -> None:
    model = ArtifactLocation(path=tmp_path / "models" / "m-1" / "artifacts")
    alone = RunArtifacts(ArtifactLocation(looked=("nowhere",)), models={"model": model})
    listed = alone.list()
    assert [each.path for each in listed] == ["model"]
    assert "cannot be found" in listed.notes[0]
    assert alone.read("model/MLmodel", 20) == b"flavors: {}\n"


def test_models_of_one_name_keep_apart_and_hostile_names_become_ids() -> None:
    models = [LoggedModel(f"m-{n}", name, "") for n, name in enumerate(("model", "model", "../x", "", "C:"))]
    assert list(model_folders(models)) == ["model", "model (m-1)", "m-2", "m-3", "m-4"]


class Bucket:
    """A repository that answers from a dict, or raises what it is told to."""

    def __init__(self, files: dict[str, bytes], error: Exception | None = None) -> None:
        self.files, self.error = files, error
        self.sizes: dict[str, int | None] = {name: len(data) for name, data in files.items()}
        self.downloaded: list[str] = []

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        if self.error:
            raise self.error
        prefix = f"{path}/" if path else ""
        below = [name for name in self.files if name.startswith(prefix)]
        folders = {prefix + name[len(prefix) :].split("/")[0] for name in below if "/" in name[len(prefix) :]}
        files = [FileInfo(name, False, self.sizes[name]) for name in below if "/" not in name[len(prefix) :]]
        return [*files, *(FileInfo(name, True, None) for name in folders)]

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        self.downloaded.append(artifact_path)
        assert dst_path is not None
        target = Path(dst_path) / artifact_path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.files[artifact_path])
        return str(target)


def test_a_bucket_is_listed_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    bucket = Bucket({"a.txt": b"hello", "plots/b.png": b"12", "plots/deep/c": b""})
    store = RemoteArtifacts("s3://bucket/x", None, bucket)
    assert [each.path for each in store.list()] == ["plots", "a.txt"]
    assert [each.path for each in store.list("plots")] == ["plots/deep", "plots/b.png"]
    with store.open_stream("plots/b.png", max_bytes=2) as file:
        assert file.read() == b"12"
        inside = list(tmp_path.iterdir())
        assert len(inside) == 1
        assert os.name == "nt" or inside[0].stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotFoundError):
        store.list("nothing")
    with pytest.raises(ArtifactError, match="is a file"):
        store.list("a.txt")


def test_the_size_is_checked_before_any_download() -> None:
    bucket = Bucket({"big": b"12345", "unknown": b"1", "liar": b"12345"})
    bucket.sizes |= {"unknown": None, "liar": 1}
    store = RemoteArtifacts("s3://bucket/x", None, bucket)
    for name, words in (("big", "above the limit"), ("unknown", "size of the artifact unknown is not told")):
        with pytest.raises(ArtifactError, match=words), store.open_stream(name, max_bytes=2):
            pass
    assert bucket.downloaded == []
    with pytest.raises(ArtifactError, match="above the limit"), store.open_stream("liar", max_bytes=2):
        pass
    with store.open_stream("unknown") as file:
        assert file.read() == b"1"


def test_hostile_names_in_a_bucket_are_listed_as_unreadable_and_not_downloaded() -> None:
    class Hostile(Bucket):
        def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
            return [FileInfo(name, False, 1) for name in ("../x", "/etc/passwd", "a\\b", "ok")]

    bucket = Hostile({"ok": b"1"})
    store = RemoteArtifacts("s3://bucket/x", None, bucket)
    assert [each.readable for each in store.list()] == [False, False, False, True]
    with pytest.raises(ArtifactError), store.open_stream("etc/passwd"):
        pass
    assert bucket.downloaded == []


def http_error(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("https://ann:hunter2@host/?X-Amz-Signature=hunter2", response=response)


def aws_error(code: str) -> Exception:
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": "hunter2"}}, "ListObjects")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (http_error(401), "access was refused"),
        (http_error(403), "access was refused"),
        (http_error(404), "it is not there"),
        (http_error(503), "the error 503"),
        (requests.ConnectionError("hunter2"), "cannot be reached"),
        (requests.Timeout("hunter2"), "cannot be reached"),
        (aws_error("AccessDenied"), "access was refused"),
        (aws_error("NoSuchBucket"), "it is not there"),
        (botocore.exceptions.NoCredentialsError(), "no credentials"),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="https://hunter2"), "cannot be reached"),
        (ModuleNotFoundError("hunter2", name="google.cloud"), "google.cloud is not installed"),
        (MlflowException("hunter2"), "it failed"),
        (OSError("hunter2"), "it failed"),
        (ValueError("hunter2"), "it failed"),
        (KeyError("hunter2"), "it failed"),
    ],
)
def test_every_failure_of_a_store_becomes_one_clear_sentence_without_secrets(
    error: Exception, words: str
) -> None:
    store = RemoteArtifacts("https://ann:hunter2@host/1/artifacts?sig=hunter2", None, Bucket({}, error))
    with pytest.raises(ArtifactError, match=words) as caught:
        store.list()
    assert "https://host/1/artifacts" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_our_own_mistakes_are_not_dressed_up_as_failures_of_the_store() -> None:
    with pytest.raises(ZeroDivisionError):
        RemoteArtifacts("s3://b", None, Bucket({}, ZeroDivisionError())).list()


def test_a_foreign_host_is_not_asked() -> None:
    evil = ArtifactLocation(uri=f"https://evil.example/api/2.0/mlflow-artifacts/artifacts/1/{RUN}/artifacts")
    with pytest.raises(ArtifactError, match=r"names a host other than the tracking server"):
        RunArtifacts(evil, tracking_uri="http://127.0.0.1:1").list()


def test_a_server_that_is_down_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    down = RunArtifacts(
        ArtifactLocation(uri=f"mlflow-artifacts:/1/{RUN}/artifacts"),
        tracking_uri=f"http://127.0.0.1:{servers.free_port()}",
    )
    with pytest.raises(ArtifactError, match=r"could not list the artifacts at .* cannot be reached"):
        down.list()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's own server application, which serves artifacts itself; in a thread, as its process starts slowly."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what MLflow imports
        patch.setenv("_MLFLOW_SERVER_FILE_STORE", stores.sqlite_uri(folder))
        patch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "mlflow-artifacts:/")
        patch.setenv("_MLFLOW_SERVER_SERVE_ARTIFACTS", "true")
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        patch.setenv("_MLFLOW_SERVER_ARTIFACT_DESTINATION", str(folder / "kept"))
        from mlflow.server import app
        from werkzeug.serving import make_server

        running = make_server("127.0.0.1", 0, app, threaded=True)
        thread = Thread(target=running.serve_forever)
        thread.start()
        uri = f"http://127.0.0.1:{running.server_port}"
        patch.setenv("MLFLOW_TRACKING_URI", uri)  # MLflow looks up logged models there, whatever the client's
        yield uri
        running.shutdown()
        thread.join()
        running.server_close()
        # The server has set the tracking URI of this process, which tests that come later would ask.
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def test_a_real_server_lists_the_same_through_mlflow_and_greenroom(
    server: str, root: Path, tmp_path: Path
) -> None:
    client = MlflowClient(server)
    run_id = client.create_run("0").info.run_id
    (root / "nothing in it.txt").touch()
    (root / ".artifact.uploading.x").unlink()
    client.log_artifacts(run_id, str(root))
    model = client.create_logged_model("0", "model", source_run_id=run_id)
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "MLmodel").write_bytes(b"flavors: {}\n")
    client.log_model_artifacts(model.model_id, str(tmp_path / "m"))
    info = client.get_run(run_id).info
    assert info.artifact_uri.startswith("mlflow-artifacts:/")
    run = Run(run_id, "0", "", "FINISHED", None, None, "", "active", info.artifact_uri, None)
    logged = LoggedModel(model.model_id, model.name, model.artifact_location)
    artifacts = open_run_artifacts(run, StorePlace(StoreKind.HTTP), {}, tracking_uri=server, models=[logged])
    for path in ("", "plots", "plots/deep er", "model"):
        theirs = {(each.path, each.is_dir, each.file_size) for each in client.list_artifacts(run_id, path)}
        ours = {(each.path, each.is_dir, each.size) for each in artifacts.list(path)}
        assert ours == theirs | ({("model", True, None)} if path == "" else set())
    assert artifacts.read("notes.txt", 5) == b"hello"
    assert artifacts.read("nothing in it.txt", 5) == b""
    assert artifacts.read("plots/équity & co.png", 5) == b"\x89PNG"
    assert artifacts.read("model/MLmodel", 50) == b"flavors: {}\n"
    assert b"".join(artifacts.chunks("A.csv", 3)) == b"a,b\n1,2\n"
    with pytest.raises(ArtifactError, match="above the limit"):
        artifacts.read("notes.txt", 4)
    for path in ("nothing", "plots/nothing", "model/nothing"):
        with pytest.raises(NotFoundError):
            artifacts.read(path, 9)


def test_the_forecasts_of_a_real_store_are_read_as_tables(shared_data: Path) -> None:
    root = shared_data / "mlflow" / "coffee_forecast_filestore"
    run_folder = next(root.glob("*/*/artifacts/sarimax_forecasts.csv")).parents[1]
    experiment = run_folder.parent.name
    uri = f"file:///Users/raortega/mlruns/{experiment}/{run_folder.name}/artifacts"
    run = Run(run_folder.name, experiment, "", "FINISHED", None, None, "", "active", uri, None)
    artifacts = open_run_artifacts(run, StorePlace(StoreKind.FILE, root), {})
    assert "sarimax_forecasts.csv" in [each.path for each in artifacts.list()]
    shown = preview("sarimax_forecasts.csv", artifacts.read("sarimax_forecasts.csv", 20_000_000), False)
    assert isinstance(shown, TablePreview)
    assert {"date", "product", "h", "y", "yhat"} <= set(shown.frame.columns)


def test_every_error_is_one_of_ours() -> None:
    assert issubclass(ArtifactError, GreenroomError)
    assert issubclass(NotFoundError, GreenroomError)
