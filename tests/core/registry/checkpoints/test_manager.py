"""Checkpoint files: what is deployed, what is refused, and a folder that follows the registry."""

from __future__ import annotations

import functools
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from core import ModelManager, clock
from core.access import Actor, Role
from core.database import open_database
from core.errors import ArtifactError, BadInputError, NotFoundError, RefusedError, SourceError
from core.registry.checkpoints import folder as files
from core.registry.checkpoints import validation
from core.registry.checkpoints.registered import CHECKPOINT_TAG
from core.registry.gates.configuration import read_gates
from core.registry.load_tests import LoadTests
from core.registry.sandbox.types import Trial
from core.registry.types import Stage
from core.settings import RegistrySettings, Settings
from core.workspace import Workspace, open_workspace
from tests import stores

torch = pytest.importorskip("torch")

NETWORK = """
import torch


class Network(torch.nn.Module):
    def __init__(self, width=3, hidden=4):
        super().__init__()
        self.hidden = torch.nn.Linear(width, hidden)
        self.last = torch.nn.Linear(hidden, 1)

    def forward(self, x):
        return self.last(torch.relu(self.hidden(x)))
"""
ENTRY = ["version", "deployed_at", "source_path", "active_path", "training_epochs", "training_loss"]
NETWORK_PATH = "greenroom_test_network:Network"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A user's class, importable from a folder of theirs."""
    folder = tmp_path_factory.mktemp("src")
    (folder / "greenroom_test_network.py").write_text(NETWORK)
    sys.path.insert(0, str(folder))
    try:
        import greenroom_test_network  # type: ignore[import-not-found]

        yield greenroom_test_network.Network
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("greenroom_test_network", None)


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Has every validation pass without a process; the real ones are tried in tests of their own."""
    tried: list[Path] = []

    def passes(file: Path, *_: Any, **__: Any) -> Trial:
        tried.append(file)
        return Trial(True, "It predicted.", "PyTorch state dict", 0.1)

    monkeypatch.setattr(validation, "try_class", passes)
    return tried


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that a test moves; it goes on by a millisecond at every look."""

    class Hands:
        time = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)

        def __call__(self) -> datetime:
            self.time += timedelta(milliseconds=1)
            return self.time

        def pass_days(self, days: float) -> None:
            self.time += timedelta(days=days)

    hands = Hands()
    monkeypatch.setattr(clock, "now", hands)
    return hands


@functools.cache
def empty_database() -> bytes:
    """Greenroom's own database, whose tables take a while to make."""
    with tempfile.TemporaryDirectory() as folder:
        open_database(None, Path(folder)).dispose()
        (file,) = Path(folder).glob("*.db")
        return file.read_bytes()


def workspace_on(folder: Path, **gates: Any) -> Workspace:
    """Open a workspace without gates but those given, as a lead."""
    if not (folder / "mlflow.db").exists():
        (folder / "home").mkdir()
        (folder / "home" / "greenroom.db").write_bytes(empty_database())
        uri = stores.new_sqlite(folder)
        MlflowClient(uri).create_experiment("rl_agent", artifact_location=str(folder / "artifacts"))
    book = read_gates({"*": {"smoke": False, "soak_hours": 0, **gates}}, "a test")
    return open_workspace(
        Settings(
            tracking_uri=stores.sqlite_uri(folder),
            home=folder / "home",
            user="jonas",
            role="lead",
            gates=book,
        )
    )


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelManager]:
    """A manager with relative folders, as the examples have them."""
    monkeypatch.chdir(tmp_path)
    workspace = workspace_on(tmp_path)
    yield ModelManager(workspace=workspace)
    workspace.close()


def checkpoint(network: Any, path: Path, **made_with: int) -> Path:
    """Save weights, each time others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model_state_dict": network(**made_with).state_dict(), "epoch": 5}, path)
    return path


def deploy(manager: ModelManager, network: Any, name: str = "new.pt", **metadata: Any) -> str:
    """Deploy a new checkpoint and return its version as metadata.json has it."""
    assert manager.deploy_model(checkpoint(network, Path(name)), network, metadata=metadata) == (True, None)
    return str(manager.get_model_info()["current_version"])


def metadata() -> Any:
    return json.loads(Path("models/rl_agent/metadata.json").read_text())


def folders() -> tuple[list[str], list[str]]:
    """Return the checkpoints in place and in the archive."""
    place = Path("models/rl_agent")
    return tuple(sorted(one.stem for one in each.glob("*.pt")) for each in (place, place / "archive"))  # type: ignore[return-value]


# Validating, in the sandbox itself


def test_a_checkpoint_is_validated_in_its_class(manager: ModelManager, network: Any, tmp_path: Path) -> None:
    good = checkpoint(network, tmp_path / "good.pt", width=5)
    # The width of its first layer tells the input.
    assert manager.validate_model(good, NETWORK_PATH, {"width": 5}) == (True, None)


def test_weights_of_another_structure_do_not_pass(
    manager: ModelManager, network: Any, tmp_path: Path
) -> None:
    other = checkpoint(network, tmp_path / "other.pt", hidden=8)
    passed, reason = manager.validate_model(other, network, input_shape=(3,))
    assert not passed
    assert reason is not None
    assert "hidden.weight has the shape [8, 3] in the file and [4, 3] in the class" in reason


def test_without_a_class_weights_do_not_pass(manager: ModelManager, network: Any, tmp_path: Path) -> None:
    passed, reason = manager.validate_model(checkpoint(network, tmp_path / "good.pt"))
    assert not passed
    assert "without the class" in str(reason)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.pt", None, "There is no file"),
        ("empty.pt", b"", "is empty"),
        ("model.zip", b"zip", "neither .pt nor .pth"),
    ],
)
def test_what_is_no_checkpoint_is_said(
    manager: ModelManager, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    for answer in (
        manager.validate_model(tmp_path / name, NETWORK_PATH),
        manager.deploy_model(tmp_path / name, NETWORK_PATH),
    ):
        assert answer[0] is False
        assert said in str(answer[1])
    assert manager.get_current_model_path() is None


def test_a_bad_checkpoint_keeps_the_current_one(
    manager: ModelManager, network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(validation, "try_class", lambda *_, **__: Trial(True, "", None, 0.1))
        version = deploy(manager, network)
    (tmp_path / "bad.pt").write_bytes(b"\x80\x04K*.")
    deployed, reason = manager.deploy_model(tmp_path / "bad.pt", network, input_shape=(3,))
    assert not deployed
    assert reason
    assert manager.get_model_info()["current_version"] == version
    assert [one["version"] for one in manager.list_models()] == [version], "nothing was registered"
    manager.load_current_model(network)


# Deploying


def test_deploying_registers_promotes_and_puts_the_file_in_place(
    manager: ModelManager, network: Any, trials: list[Path], now: Any
) -> None:
    source = checkpoint(network, Path("new.pt"))
    known = {"training_epochs": 5, "training_loss": 0.0234, "window": [1, 2], "note": "weekly"}
    assert manager.deploy_model("new.pt", network, metadata=known) == (True, None)
    label = "checkpoint_20260302_153000"
    path = Path("models/rl_agent") / f"{label}.pt"
    assert manager.get_current_model_path() == path
    assert path.read_bytes() == source.read_bytes()
    assert metadata() == {
        "models": [
            {
                "version": "20260302_153000",
                "deployed_at": "2026-03-02T15:30:00",
                "source_path": "new.pt",
                "active_path": str(path),
                "training_epochs": 5,
                "training_loss": 0.0234,
            }
        ],
        "current_version": "20260302_153000",
        "last_retrain_time": "2026-03-02T15:30:00",
        "next_retrain_time": "2026-03-09T15:30:00",
    }
    (version,) = manager.workspace.registry.watch.model("rl_agent").versions
    assert (version.stage, version.tags[CHECKPOINT_TAG]) == (Stage.PRODUCTION, label)
    run = MlflowClient(manager.workspace.address.uri).get_run(str(version.run_id))
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"training_loss": 0.0234}
    assert run.data.params == {"training_epochs": "5", "note": "weekly"}
    assert (run.data.tags["window"], run.data.tags["mlflow.user"]) == ("[1, 2]", "jonas")
    # The validation is on record as its load test.
    assert manager.workspace.registry.model("rl_agent").load_tests[1].reason == "It predicted."


def test_the_one_before_goes_to_the_archive(
    manager: ModelManager, network: Any, trials: list[Path], now: Any
) -> None:
    first, second = deploy(manager, network), deploy(manager, network, training_loss=1)
    assert second > first, "labels are bumped where the second is taken"
    assert folders() == ([f"checkpoint_{second}"], [f"checkpoint_{first}"])
    content = metadata()
    assert content["current_version"] == second
    assert [one["active_path"] for one in content["models"]] == [
        f"models/rl_agent/archive/checkpoint_{first}.pt",
        f"models/rl_agent/checkpoint_{second}.pt",
    ]
    listed = manager.list_models()
    assert [list(one) for one in listed] == [[*ENTRY, "stage"]] * 2
    assert [(one["version"], one["stage"]) for one in listed] == [(first, "Archived"), (second, "Production")]
    assert listed[1]["training_loss"] == 1.0
    assert manager.get_model_info() == {
        "current_version": second,
        "current_path": f"models/rl_agent/checkpoint_{second}.pt",
        "total_models": 2,
        "retention_days": 30,
    }
    status = manager.status()
    assert list(status) == ["model_loaded", "model_info", "last_retrain_time", "next_retrain_time"]
    assert status["model_loaded"] is True
    assert not list(Path("models/rl_agent").glob(".incoming-*"))


def test_a_checkpoint_saved_in_place_keeps_its_name(
    manager: ModelManager, network: Any, trials: list[Path]
) -> None:
    source = checkpoint(network, Path("models/rl_agent/checkpoint_20251128_153000.pt"))
    assert manager.deploy_model(source, network) == (True, None)
    assert manager.get_current_model_path() == source
    assert metadata()["models"][0]["source_path"] == str(source)
    assert metadata()["models"][0]["active_path"] == str(source)


def test_a_gate_that_refuses_leaves_the_version_in_staging(
    network: Any, trials: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    manager = ModelManager(workspace=workspace_on(tmp_path, soak_hours=24, smoke=True))
    checkpoint(network, Path("new.pt"))
    deployed, reason = manager.deploy_model("new.pt", network)
    assert not deployed
    assert "does not pass these gates: soak." in str(reason), "the validation counts as the smoke gate's"
    assert "soak: In Staging for" in str(reason)
    assert manager.get_current_model_path() is None
    assert folders() == ([], [])
    (listed,) = manager.list_models()
    assert (listed["stage"], listed["deployed_at"], listed["active_path"]) == ("Staging", None, None)
    now.pass_days(1.5)
    assert manager.deploy_model("new.pt", network) == (True, None)
    assert [(one["version"], one["stage"]) for one in manager.list_models()] == [
        (listed["version"], "Production")
    ]
    assert metadata()["current_version"] == listed["version"]
    manager.workspace.close()


def test_a_promotion_from_elsewhere_brings_the_file(
    network: Any, trials: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    manager = ModelManager(workspace=workspace_on(tmp_path, soak_hours=24))
    assert not manager.deploy_model(checkpoint(network, Path("new.pt")), network)[0]
    now.pass_days(1.5)
    lead = Actor("mei", Role.LEAD)
    manager.workspace.registry.promote("rl_agent", 1, Stage.PRODUCTION, "soaked", lead)
    path = manager.get_current_model_path()
    assert path is not None
    assert path.read_bytes() == Path("new.pt").read_bytes()
    assert metadata()["current_version"] == manager.get_model_info()["current_version"]
    manager.workspace.close()


def test_who_may_not_promote_does_not_deploy(
    network: Any, trials: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = workspace_on(tmp_path).settings
    checkpoint(network, Path("new.pt"))
    for changed, said, versions in (
        ({"role": "viewer"}, "jonas acts as viewer and may not register a model version", 0),
        ({"role": "analyst"}, "may not promote to Production", 1),
        ({"registry": RegistrySettings(two_person_rule=True)}, "the two-person rule is on", 2),
    ):
        workspace = open_workspace(replace(settings, **changed))  # type: ignore[arg-type]
        manager = ModelManager(workspace=workspace)
        deployed, reason = manager.deploy_model("new.pt", network)
        assert not deployed
        assert said in str(reason)
        assert len(manager.list_models()) == versions
        checkpoint(network, Path("new.pt"))
        assert manager.get_current_model_path() is None
        workspace.close()


def test_a_store_that_fails_keeps_the_current_one(
    manager: ModelManager, network: Any, trials: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = deploy(manager, network)

    def full(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(MlflowClient, "log_artifact", full)
    deployed, reason = manager.deploy_model(checkpoint(network, Path("next.pt")), network)
    assert not deployed
    assert "No space left on device" in str(reason)
    assert manager.get_model_info()["current_version"] == version
    client = MlflowClient(manager.workspace.address.uri)
    experiment = client.get_experiment_by_name("rl_agent").experiment_id
    assert {one.info.status for one in client.search_runs([experiment])} == {"FINISHED", "FAILED"}


# Loading


def test_the_current_model_is_loaded_with_its_weights(
    manager: ModelManager, network: Any, trials: list[Path]
) -> None:
    with pytest.raises(BadInputError, match="give model_class"):
        manager.load_current_model()
    with pytest.raises(NotFoundError, match="No checkpoint of rl_agent is in Production"):
        manager.load_current_model(network)
    deploy(manager, network)
    saved = torch.load("new.pt", weights_only=True)["model_state_dict"]
    for loaded in (manager.load_current_model(NETWORK_PATH), manager.load_current_model()):
        assert not loaded.training
        assert all(torch.equal(saved[name], value) for name, value in loaded.state_dict().items())
    with pytest.raises(BadInputError, match="do not go into"):
        manager.load_current_model(network, {"hidden": 9})
    with pytest.raises(BadInputError, match="cannot be imported"):
        manager.load_current_model("no_such_module:Network")
    path = manager.get_current_model_path()
    assert path is not None
    path.write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        manager.load_current_model(network)
    manager.sync_files()
    manager.load_current_model(network)


def test_a_pickle_is_not_unpickled(manager: ModelManager, network: Any, trials: list[Path]) -> None:
    deploy(manager, network)
    torch.save(network(), str(manager.get_current_model_path()))
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        manager.load_current_model(network)


def test_while_mlflow_is_away_the_last_known_model_is_served(
    manager: ModelManager, network: Any, trials: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = deploy(manager, network)

    def away(_: str) -> None:
        raise SourceError("The MLflow server does not answer.")

    monkeypatch.setattr(manager.workspace.registry.watch, "model", away)
    assert manager.get_current_model_path() == Path(f"models/rl_agent/checkpoint_{version}.pt")
    assert manager.get_model_info()["current_version"] == version
    manager.load_current_model(network)


# Going back, archiving, cleaning up


def test_a_rollback_moves_the_files(
    manager: ModelManager, network: Any, trials: list[Path], now: Any
) -> None:
    assert "There is no registered model" in str(manager.rollback("x")[1])
    first = deploy(manager, network)
    deployed, reason = manager.rollback("too early")
    assert not deployed
    assert "nothing to go back to" in str(reason)
    second = deploy(manager, network)
    assert manager.rollback("orders rejected") == (True, None)
    assert folders() == ([f"checkpoint_{first}"], [f"checkpoint_{second}"])
    assert metadata()["current_version"] == first
    assert [one["stage"] for one in manager.list_models()] == ["Production", "Archived"]


def test_archiving_the_current_model_leaves_none(
    manager: ModelManager, network: Any, trials: list[Path]
) -> None:
    assert manager.archive_current_model("x") == (False, "Nothing of rl_agent is in Production.")
    version = deploy(manager, network)
    assert manager.archive_current_model("the market has changed") == (True, None)
    assert manager.get_current_model_path() is None
    assert folders() == ([], [f"checkpoint_{version}"])
    assert metadata()["current_version"] is None
    assert manager.status()["model_loaded"] is False


def test_old_files_are_removed_but_for_the_current_and_the_last_three(
    manager: ModelManager, network: Any, trials: list[Path], now: Any
) -> None:
    versions = []
    for _ in range(4):
        versions.append(deploy(manager, network))
        now.pass_days(1)
    assert manager.rollback("v4 is bad") == (True, None)
    assert manager.rollback("v3 too") == (True, None)
    assert manager.rollback("v2 too") == (True, None)
    Path("models/rl_agent/archive/notes.pt").write_text("somebody's own")
    now.pass_days(29)
    assert manager.cleanup_old_models() == []
    now.pass_days(5)
    # v1 is current, the others are the last three.
    assert manager.cleanup_old_models() == []
    fifth = deploy(manager, network)
    # It has replaced v1 just now; v2 is no longer one of the last three.
    assert folders()[1] == [f"checkpoint_{one}" for one in (versions[0], *versions[2:])] + ["notes"]
    assert [one["version"] for one in metadata()["models"]] == [versions[0], *versions[2:], fifth]
    stages = [(one["version"], one["stage"]) for one in manager.list_models()]
    assert stages == [*((one, "Archived") for one in versions), (fifth, "Production")]
    now.pass_days(31)
    removed = manager.cleanup_old_models()
    assert removed == [f"models/rl_agent/archive/checkpoint_{versions[0]}.pt"]


# After a crash


def test_files_that_a_crash_left_behind_follow(
    manager: ModelManager, network: Any, trials: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = deploy(manager, network)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files.CheckpointFolder, "activate", die)
        with pytest.raises(KeyboardInterrupt):
            manager.deploy_model(checkpoint(network, Path("next.pt")), network)
    assert folders() == ([f"checkpoint_{first}"], [])
    path = manager.get_current_model_path()
    assert path is not None
    assert path.read_bytes() == Path("next.pt").read_bytes()
    assert folders() == ([path.stem], [f"checkpoint_{first}"])
    assert metadata()["current_version"] == path.stem.removeprefix("checkpoint_")


def test_a_crash_after_registering_is_gone_on_from(
    manager: ModelManager, network: Any, trials: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    new = checkpoint(network, Path("new.pt"))
    with monkeypatch.context() as patch:
        patch.setattr(LoadTests, "record", die)
        with pytest.raises(KeyboardInterrupt):
            manager.deploy_model(new, network)
    manager.sync_files()
    (version,) = manager.workspace.registry.watch.model("rl_agent").versions
    assert files.is_label(version.tags[CHECKPOINT_TAG])
    assert version.stage is Stage.NONE
    assert manager.deploy_model(new, network) == (True, None)
    assert [(one["version"], one["stage"]) for one in manager.list_models()] == [
        (files.version_name(version.tags[CHECKPOINT_TAG]), "Production")
    ]


def test_a_version_that_was_registered_by_hand_is_known_by_its_run(
    manager: ModelManager, network: Any, trials: list[Path]
) -> None:
    deploy(manager, network)
    client = MlflowClient(manager.workspace.address.uri)
    first = client.get_model_version("rl_agent", "1")
    client.create_model_version("rl_agent", first.source, first.run_id)
    manager.sync_files()
    assert [one["stage"] for one in manager.list_models()] == ["Production", "None"]
    assert len({one["version"] for one in manager.list_models()}) == 1


def test_metadata_is_made_again(manager: ModelManager, network: Any, trials: list[Path]) -> None:
    deploy(manager, network, training_epochs=7)
    before = metadata()
    Path("models/rl_agent/metadata.json").write_text("{ torn")
    manager.sync_files()
    after = metadata()
    assert (after["models"], after["current_version"]) == (before["models"], before["current_version"])


def test_another_folder_gets_the_file_from_mlflow(
    manager: ModelManager, network: Any, trials: list[Path]
) -> None:
    deploy(manager, network)
    server = ModelManager(model_dir="server", workspace=manager.workspace)
    path = server.get_current_model_path()
    assert path is not None
    assert path.parent == Path("server")
    assert path.read_bytes() == Path("new.pt").read_bytes()
    path.unlink()
    shutil.rmtree("artifacts")
    with pytest.raises((NotFoundError, ArtifactError)):
        server.get_current_model_path()


def test_two_versions_in_production_change_no_file(
    manager: ModelManager, network: Any, trials: list[Path], now: Any
) -> None:
    first = deploy(manager, network)
    second = deploy(manager, network)
    uri = manager.workspace.address.uri
    with pytest.warns(FutureWarning):
        MlflowClient(uri).transition_model_version_stage("rl_agent", "1", "Production")
    assert manager.get_current_model_path() == Path(f"models/rl_agent/checkpoint_{second}.pt")
    with pytest.raises(RefusedError, match="2 versions in Production"):
        manager.sync_files()
    deployed, reason = manager.deploy_model(checkpoint(network, Path("next.pt")), network)
    assert not deployed
    assert "2 versions in Production" in str(reason)
    assert folders() == ([f"checkpoint_{second}"], [f"checkpoint_{first}"])


# Settings


def test_what_cannot_be_a_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="retention_days"):
        ModelManager(retention_days=-1)
    manager = ModelManager(model_dir=tmp_path, archive_dir=tmp_path / "old")
    manager.close()


def test_a_workspace_of_its_own(
    network: Any, trials: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "greenroom.toml").write_text('[gates."*"]\nsoak_hours = 0\n')
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stores.new_sqlite(tmp_path / "store"))
    manager = ModelManager("weekly", model_dir="models/weekly", archive_dir="old")
    monkeypatch.setattr(
        MlflowClient, "create_experiment", _with_location(MlflowClient.create_experiment, tmp_path)
    )
    for name in ("one.pt", "two.pt"):
        assert manager.deploy_model(checkpoint(network, Path(name)), network) == (True, None)
    assert [one["stage"] for one in manager.list_models()] == ["Archived", "Production"]
    assert len(list((tmp_path / "old").glob("checkpoint_*.pt"))) == 1
    manager.close()


def _with_location(create: Any, folder: Path) -> Any:
    """Keep artifacts out of the folder that tests are started in."""
    return lambda client, name, _=None: create(client, name, str(folder / "artifacts"))
