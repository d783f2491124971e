"""The registry's commands: what they print, whom they let do what, and how they refuse."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient

from core import cli_promotion, cli_registry
from core.cli import cli
from core.database import open_database
from core.runs.explorer import RunExplorer
from tests import stores

Greenroom = Callable[..., Result]
COMMANDS = (*cli_registry.COMMANDS, *cli_promotion.COMMANDS)

CONFIGURATION = """
[registry]
act_for_others = {others}
two_person_rule = {two}

[gates."*"]
smoke = false
soak_hours = 0

[gates.strict]
metrics = ["sharpe >= 2", "drawdown > -0.1"]

[gates.slow]
soak_hours = 24

[gates.tried]
smoke = {{ seconds = 20 }}
"""
MODEL_KEYS = ["name", "version", "stage", "aliases", "run_id", "created", "stage_since"]
OUTCOME_KEYS = ["model", "version", "from", "to", "archived", "fate", "sentence", "event"]
OUTCOME_KEYS += ["evidence_hash", "aliases"]
REQUEST_KEYS = ["request", "model", "version", "to_stage", "state", "reason", "asked_by", "asked_at"]
REQUEST_KEYS += ["fingerprint", "dossier_hash", "decided_by", "decided_at", "comment", "override"]


class Template:
    """A store that plain MLflow has filled; tests work on copies of it."""

    def __init__(self, folder: Path) -> None:
        uri = stores.new_sqlite(folder)
        self.database = folder / "mlflow.db"
        self.client = MlflowClient(uri)
        place = self.client.create_experiment("trading", artifact_location=str(folder / "artifacts"))
        (folder / "notes.txt").write_text("no model")
        self.runs = []
        for sharpe in (1.0, 1.5, 2.5):
            run_id = stores.add_run(self.client, place, sharpe=sharpe, seed=str(sharpe))
            self.client.log_artifact(run_id, str(folder / "notes.txt"), "model")
            self.runs.append(run_id)
        for name, numbers in (("ppo", 3), ("strict", 2), ("slow", 1), ("tried", 1), ("torn", 2)):
            self.client.create_registered_model(name)
            for run_id in self.runs[:numbers]:
                source = str(folder / "artifacts" / run_id / "artifacts" / "model")
                self.client.create_model_version(name, source, run_id)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            for version in ("1", "2"):
                self.client.transition_model_version_stage("torn", version, "Production")
        self.client.set_registered_model_alias("ppo", "challenger", "2")
        # Greenroom's own database, whose tables take a while to make.
        self.home = folder / "home"
        self.home.mkdir()
        open_database(None, self.home).dispose()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("cli-registry"))


@pytest.fixture
def greenroom(template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Greenroom:
    """Runs the command line on a store of the test's own, as the lead jonas unless another one is named."""
    shutil.copyfile(template.database, tmp_path / "mlflow.db")
    shutil.copytree(template.home, tmp_path / ".greenroom")
    configure(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stores.sqlite_uri(tmp_path))

    def run(*words: str | int, user: str = "jonas", role: str = "lead") -> Result:
        monkeypatch.setenv("GREENROOM_USER", user)
        monkeypatch.setenv("GREENROOM_ROLE", role)
        return CliRunner().invoke(cli, [str(word) for word in words])

    return run


def configure(folder: Path, *, others: bool = False, two: bool = False) -> None:
    text = CONFIGURATION.format(others=str(others).lower(), two=str(two).lower())
    (folder / "greenroom.toml").write_text(text)


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def value(result: Result) -> Any:
    return json.loads(done(result))


def refusal(result: Result, code: int) -> str:
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.stdout == ""
    return result.stderr.strip().removeprefix("greenroom: ")


def bring_up(greenroom: Greenroom, *versions: int, model: str = "ppo") -> None:
    """Promote versions to Production, one after the other."""
    for version in versions:
        for stage in ("Staging", "Production"):
            done(greenroom("promote", model, version, "--to", stage, "--reason", f"v{version} is better"))


# Looking


def test_models_tell_their_champion(greenroom: Greenroom, template: Template) -> None:
    bring_up(greenroom, 1)
    done(greenroom("promote", "ppo", 3, "--to", "Staging", "--reason", "next"))
    found = {one["name"]: one for one in value(greenroom("models", "--json"))}
    assert list(found) == ["ppo", "slow", "strict", "torn", "tried"]
    ppo = found["ppo"]
    assert list(ppo) == [*MODEL_KEYS, "versions", "in_staging", "requests", "conflict"]
    assert (ppo["version"], ppo["stage"], ppo["aliases"]) == (1, "Production", ["production"])
    assert (ppo["run_id"], ppo["versions"], ppo["in_staging"]) == (template.runs[0], 3, [3])
    assert (ppo["requests"], ppo["conflict"]) == (0, None)
    since = datetime.fromisoformat(ppo["stage_since"])
    assert ppo["stage_since"].endswith("Z")
    assert abs((datetime.now(UTC) - since).total_seconds()) < 300
    assert [found["slow"][key] for key in MODEL_KEYS[1:]] == [None, None, [], None, None, None]


def test_a_conflict_is_said_with_the_way_out(greenroom: Greenroom) -> None:
    torn = next(one for one in value(greenroom("models", "--json")) if one["name"] == "torn")
    assert torn["version"] is None
    assert "torn has 2 versions in Production: v1 and v2." in torn["conflict"]
    assert "! torn has 2 versions in Production" in done(greenroom("models"))
    settled = value(greenroom("settle", "torn", "v2", "--reason", "left by hand", "--json"))
    assert list(settled) == OUTCOME_KEYS
    assert (settled["version"], settled["to"], settled["archived"]) == (2, "Production", [1])
    assert "Production: v2." in refusal(greenroom("settle", "torn", 1, "--reason", "no"), 1)


def test_versions_newest_first_with_who_and_why(greenroom: Greenroom, template: Template) -> None:
    bring_up(greenroom, 1)
    found = value(greenroom("versions", "ppo", "--json"))
    assert [one["version"] for one in found] == [3, 2, 1]
    assert list(found[0]) == [*MODEL_KEYS, "by", "reason", "override", "source", "status", "tags"]
    assert (found[2]["stage"], found[2]["by"], found[2]["reason"]) == (
        "Production",
        "jonas",
        "v1 is better",
    )
    assert (found[1]["aliases"], found[1]["by"], found[1]["reason"]) == (["challenger"], None, None)
    assert found[0]["source"].endswith(f"{template.runs[2]}/artifacts/model")
    lines = done(greenroom("versions", "ppo")).splitlines()
    assert lines[0].split()[:4] == ["version", "stage", "since", "by"]
    assert lines[3].split()[:2] == ["v1", "Production"]
    assert "There is no registered model 'pp'. Close to it: ppo." in refusal(greenroom("versions", "pp"), 2)


def test_what_needs_no_run_reads_none(greenroom: Greenroom, monkeypatch: pytest.MonkeyPatch) -> None:
    bring_up(greenroom, 1, 3)
    monkeypatch.setattr(RunExplorer, "sync", lambda *_, **__: pytest.fail("the runs were read"))
    for words in (
        ("models",),
        ("versions", "ppo"),
        ("requests",),
        ("history", "ppo"),
        ("audit",),
        ("rollback", "ppo", "--reason", "oops"),
        ("promote", "ppo", "2", "--to", "Staging", "--reason", "next"),
        ("promote", "ppo", "2", "--to", "Archived", "--reason", "old"),
    ):
        done(greenroom(*words))


# Registering


def test_registering_a_run_by_the_beginning_of_its_id(greenroom: Greenroom, template: Template) -> None:
    run_id = template.runs[0]
    made = value(greenroom("register", run_id[:10], "--name", "fresh", "--json", role="analyst"))
    assert list(made) == ["name", "version", "stage", "run_id", "source"]
    assert made == {**made, "name": "fresh", "version": 1, "stage": "None", "run_id": run_id}
    assert made["source"].endswith("/model")
    again = done(greenroom("register", run_id, "--name", "fresh"))
    assert again.startswith("fresh v2 is registered, in None.\n")
    absent = greenroom("register", run_id, "--name", "fresh", "--artifact-path", "absent")
    assert "has no artifact 'absent'" in refusal(absent, 2)
    assert "amara acts as viewer" in refusal(
        greenroom("register", run_id, "--name", "fresh", user="amara", role="viewer"), 1
    )


# Judging


def test_gates_that_fail_give_1_and_their_reasons(greenroom: Greenroom) -> None:
    result = greenroom("gates", "strict", "v1", "--to", "production", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert list(found) == ["model", "version", "to_stage", "passed", "judged_at", "gates"]
    assert (found["to_stage"], found["passed"]) == ("Production", False)
    (gate,) = found["gates"]
    assert list(gate) == ["name", "passed", "reason", "evidence", "eligible_at"]
    assert gate["name"] == "metrics"
    assert "sharpe" in gate["reason"]
    text = greenroom("gates", "strict", 1)
    assert text.exit_code == 1
    assert text.stdout.splitlines()[0] == "strict v1 to Production: 1 of 1 gates not passed"
    assert text.stdout.splitlines()[1].startswith("✕ metrics: ")


def test_gates_that_only_wait_say_until_when(greenroom: Greenroom) -> None:
    done(greenroom("promote", "slow", 1, "--to", "Staging", "--reason", "soak"))
    result = greenroom("gates", "slow", "staging", "--json")
    assert result.exit_code == 1
    (gate,) = json.loads(result.stdout)["gates"]
    hours = (datetime.fromisoformat(gate["eligible_at"]) - datetime.now(UTC)).total_seconds() / 3600
    assert 23.9 < hours <= 24


def test_gates_where_there_are_none(greenroom: Greenroom) -> None:
    assert done(greenroom("gates", "ppo", 1)) == "ppo v1 to Production: no gate stands in the way.\n"
    assert value(greenroom("gates", "ppo", "challenger", "--json"))["version"] == 2


def test_a_load_test_is_kept_and_judged_by(greenroom: Greenroom) -> None:
    before = greenroom("gates", "tried", 1, "--recorded")
    assert before.exit_code == 1
    assert "has not been loaded yet" in before.stdout
    tested = greenroom("load-test", "tried", 1, "--json")
    assert tested.exit_code == 1
    found = json.loads(tested.stdout)
    assert list(found) == ["model", "version", "passed", "reason", "at", "evidence", "structure"]
    assert (found["model"], found["version"], found["passed"]) == ("tried", 1, False)
    after = json.loads(greenroom("gates", "tried", 1, "--recorded", "--json").stdout)
    assert after["gates"][0]["reason"] == found["reason"]


# Naming a version


def test_a_version_by_number_alias_or_stage(greenroom: Greenroom) -> None:
    done(greenroom("promote", "ppo", 2, "--to", "staging", "--reason", "next"))
    for name in ("2", "v2", "V2", "challenger", "@challenger", "Challenger", "staging"):
        planned = value(greenroom("promote", "ppo", name, "--to", "PRODUCTION", "--dry-run", "--json"))
        assert (planned["version"], planned["fate"]) == (2, "planned"), name


def test_a_version_that_is_none_is_bad_input(greenroom: Greenroom) -> None:
    for name, said in (
        ("9", "has no version 9"),
        ("0", "has no version '0'"),
        ("production", "its aliases: challenger (v2)"),
        ("none", "'none' means several versions of ppo: v1 and v2 and v3"),
    ):
        assert said in refusal(greenroom("promote", "ppo", name, "--to", "Staging", "--dry-run"), 2)


# Promoting and rolling back


def test_a_promotion_archives_the_champion(greenroom: Greenroom) -> None:
    bring_up(greenroom, 1)
    done(greenroom("promote", "ppo", 2, "--to", "Staging", "--reason", "next"))
    plan = done(greenroom("promote", "ppo", 2, "--to", "Production", "--dry-run"))
    assert plan.splitlines()[0].startswith("Promote ppo v2 to Production; v1 goes to Archived")
    assert plan.splitlines()[1:] == ["  v2: Staging -> Production", "  v1: Production -> Archived"]
    made = value(greenroom("promote", "ppo", 2, "--to", "production", "--reason", "better", "--json"))
    assert list(made) == OUTCOME_KEYS
    assert [made[key] for key in OUTCOME_KEYS[:6]] == ["ppo", 2, "Staging", "Production", [1], "done"]
    assert len(made["evidence_hash"]) == 64
    assert "alias production: v1 -> v2" in made["aliases"]
    events = [json.loads(line) for line in done(greenroom("audit", "--json")).splitlines()]
    assert events[-1]["seq"] == made["event"]
    again = value(greenroom("promote", "ppo", 2, "--to", "Production", "--reason", "again", "--json"))
    assert (again["fate"], again["event"]) == ("nothing to do", None)


def test_a_dry_run_changes_nothing(greenroom: Greenroom) -> None:
    planned = value(greenroom("promote", "ppo", 1, "--to", "Staging", "--dry-run", "--json", role="viewer"))
    assert list(planned) == OUTCOME_KEYS
    assert value(greenroom("history", "ppo", "--json"))["events"] == []


def test_what_is_no_promotion_is_refused(greenroom: Greenroom) -> None:
    for words, code, said in (
        (("1", "--to", "Production", "--reason", "x"), 1, "has to pass through Staging"),
        (("1", "--to", "Staging"), 2, "A promotion needs a reason."),
        (("1", "--to", "Stage", "--reason", "x"), 2, "'Stage' is not one of"),
        (("1", "--reason", "x"), 2, "Missing option '--to'"),
    ):
        assert said in refusal(greenroom("promote", "ppo", *words), code)
    stays = greenroom("promote", "ppo", 1, "--to", "None", "--reason", "x")
    assert "in None already; nothing was changed" in done(stays)
    done(greenroom("promote", "ppo", 1, "--to", "Staging", "--reason", "x"))
    back = greenroom("promote", "ppo", 1, "--to", "None", "--reason", "x")
    assert "no version goes back to None" in refusal(back, 1)


def test_gates_in_the_way_are_named_one_a_line_and_can_be_overridden(greenroom: Greenroom) -> None:
    done(greenroom("promote", "strict", 1, "--to", "Staging", "--reason", "x"))
    lines = refusal(greenroom("promote", "strict", 1, "--to", "Production", "--reason", "x"), 1).splitlines()
    assert lines[0].startswith("strict v1 does not pass these gates: metrics.")
    assert lines[1].startswith("  metrics: ")
    words = ("promote", "strict", 1, "--to", "Production", "--reason", "x", "--override", "market is shut")
    done(greenroom(*words))
    (champion,) = (one for one in value(greenroom("versions", "strict", "--json")) if one["version"] == 1)
    assert champion["override"] == "market is shut"


def test_a_rollback_brings_back_the_one_before(greenroom: Greenroom) -> None:
    bring_up(greenroom, 1, 2, 3)
    back = value(greenroom("rollback", "ppo", "--reason", "orders rejected", "--json"))
    assert list(back) == OUTCOME_KEYS
    assert (back["version"], back["archived"], back["fate"]) == (2, [3], "done")
    late = done(greenroom("rollback", "ppo", "--from", "v3", "--reason", "orders rejected"))
    assert late == "ppo v3 is not in Production any more: v2 is. Nothing was changed.\n"
    assert value(greenroom("rollback", "ppo", "--to", 3, "--reason", "was fine", "--json"))["version"] == 3


def test_a_rollback_with_nothing_to_go_back_to(greenroom: Greenroom) -> None:
    bring_up(greenroom, 1)
    assert "nothing to go back to" in refusal(greenroom("rollback", "ppo", "--reason", "x"), 1)
    assert "Missing option '--reason'" in refusal(greenroom("rollback", "ppo"), 2)


# Who acts


def test_roles_decide_and_name_the_role_that_would_do(greenroom: Greenroom) -> None:
    done(greenroom("promote", "ppo", 1, "--to", "Staging", "--reason", "x", user="amara", role="analyst"))
    said = refusal(
        greenroom("promote", "ppo", 1, "--to", "Production", "--reason", "x", user="amara", role="analyst"), 1
    )
    assert said == "amara acts as analyst and may not promote to Production: that takes the role lead."


def test_acting_for_others_takes_a_setting(greenroom: Greenroom, tmp_path: Path) -> None:
    words = ("promote", "ppo", 1, "--to", "Staging", "--reason", "x", "--by", "mei")
    assert "jonas acts here and cannot act as mei" in refusal(greenroom(*words), 1)
    configure(tmp_path, others=True)
    done(greenroom(*words))
    assert value(greenroom("versions", "ppo", "--json"))[2]["by"] == "mei"


# Requests


def test_a_request_from_asking_to_promotion(greenroom: Greenroom, tmp_path: Path) -> None:
    configure(tmp_path, two=True)
    done(greenroom("promote", "ppo", 1, "--to", "Staging", "--reason", "x"))
    direct = greenroom("promote", "ppo", 1, "--to", "Production", "--reason", "x")
    assert "two-person rule" in refusal(direct, 1)
    asked = value(greenroom("request", "ppo", 1, "--to", "production", "--reason", "Sharpe 1.0", "--json"))
    assert list(asked) == REQUEST_KEYS
    assert (asked["state"], asked["asked_by"], asked["to_stage"]) == ("waiting", "jonas", "Production")
    assert asked["asked_at"].endswith("Z")
    assert value(greenroom("models", "--json"))[0]["requests"] == 1
    number = asked["request"]
    assert "cannot decide on it" in refusal(greenroom("approve", number, "--comment", "fine"), 1)
    approved = greenroom("approve", number, "--comment", "fine", user="mei")
    assert done(approved).splitlines() == [
        f"Request {number}: ppo v1 to Production, asked by jonas, is approved, decided by mei.",
        "Carry it out with: greenroom promote ppo 1 --to Production --reason ...",
    ]
    assert [one["state"] for one in value(greenroom("requests", "ppo", "--json"))] == ["approved"]
    done(greenroom("promote", "ppo", 1, "--to", "Production", "--reason", "as approved"))
    assert value(greenroom("requests", "--json")) == []
    (over,) = value(greenroom("requests", "--all", "--json"))
    assert (list(over), over["state"]) == (REQUEST_KEYS, "promoted")


def test_rejecting_and_withdrawing(greenroom: Greenroom) -> None:
    words = ("request", "ppo", 1, "--to", "Staging", "--reason", "x")
    done(greenroom(*words))
    again = refusal(greenroom(*words), 1)
    assert "jonas has asked for ppo v1 to Staging already" in again
    assert "--comment" in refusal(greenroom("reject", 1), 2)
    assert value(greenroom("reject", 1, "--comment", "no", "--json", user="mei"))["state"] == "rejected"
    assert "is rejected already" in refusal(greenroom("withdraw", 1), 1)
    done(greenroom(*words))
    assert value(greenroom("withdraw", 2, "--json"))["state"] == "withdrawn"
    assert "There is no request 9" in refusal(greenroom("approve", 9), 2)
    assert "There is no registered model 'pp'" in refusal(greenroom("requests", "pp"), 2)


def test_an_approval_against_the_gates_takes_an_override(greenroom: Greenroom) -> None:
    done(greenroom("promote", "strict", 1, "--to", "Staging", "--reason", "x"))
    done(greenroom("request", "strict", 1, "--to", "Production", "--reason", "x"))
    said = refusal(greenroom("approve", 1, "--comment", "c"), 1).splitlines()
    assert [line.partition(":")[0] for line in said] == ["strict v1 does not pass these gates", "  metrics"]
    approved = value(greenroom("approve", 1, "--comment", "c", "--override", "known", "--json"))
    assert approved["override"] == "known"


# What happened


def test_history_has_events_and_reigns(greenroom: Greenroom) -> None:
    bring_up(greenroom, 1, 2)
    found = value(greenroom("history", "ppo", "--json"))
    assert list(found) == ["model", "events", "reigns"]
    assert [one["action"] for one in found["events"]] == ["promoted"] * 4
    assert list(found["reigns"][0]) == ["version", "start", "end", "how", "by", "reason", "exact"]
    first, second = found["reigns"]
    assert (first["version"], first["by"], first["exact"]) == (1, "jonas", True)
    assert (second["version"], second["end"]) == (2, None)
    assert first["end"] == second["start"]
    assert "v2" in done(greenroom("history", "ppo")).splitlines()[2]


def test_what_was_in_production_at_a_time(greenroom: Greenroom) -> None:
    bring_up(greenroom, 1)
    before = value(greenroom("history", "ppo", "--at", "2020-02-29", "--json"))
    assert list(before) == ["at", "versions", "known", "sentence"]
    assert (before["at"], before["versions"], before["known"]) == ("2020-02-29T23:59:59.000Z", [], False)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert value(greenroom("history", "ppo", "--at", today, "--json"))["versions"] == [1]
    noon = value(greenroom("history", "ppo", "--at", "2999-01-01T12:00+02:00", "--json"))
    assert (noon["at"], noon["versions"]) == ("2999-01-01T10:00:00.000Z", [1])
    assert "by jonas" in done(greenroom("history", "ppo", "--at", "2999-01-01T10:00"))


def test_a_time_that_is_none_is_bad_input(greenroom: Greenroom) -> None:
    for at in ("yesterday", "2026-02-30", "", "0001-01-01T00:00+14:00"):
        assert "is no date. Write 2024-05-31" in refusal(greenroom("history", "ppo", "--at", at), 2)


def test_what_was_changed_outside_is_noticed(greenroom: Greenroom, tmp_path: Path) -> None:
    bring_up(greenroom, 1)
    client = MlflowClient(stores.sqlite_uri(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage("ppo", "2", "Production", archive_existing_versions=True)
    found = value(greenroom("history", "ppo", "--json"))
    assert [one["action"] for one in found["events"][2:]] == ["changed outside"] * 2
    assert [(one["version"], one["exact"]) for one in found["reigns"]] == [(1, True), (2, False)]


def test_what_is_recorded_is_shown_while_mlflow_is_away(greenroom: Greenroom, tmp_path: Path) -> None:
    bring_up(greenroom, 1)
    (tmp_path / "mlflow.db").unlink()
    shown = greenroom("history", "ppo", "--at", "2999-01-01", "--json")
    assert value(shown)["versions"] == [1]
    assert "Shown is what was recorded before." in shown.stderr
    assert value(greenroom("requests", "--json")) == []
    assert len(done(greenroom("audit", "--model", "ppo")).splitlines()) == 3
    refusal(greenroom("models"), 1)
    assert not (tmp_path / "mlflow.db").exists()


def test_the_audit_trail_by_model_and_action(greenroom: Greenroom) -> None:
    bring_up(greenroom, 1)
    done(greenroom("rollback", "torn", "--to", 1, "--reason", "x"))
    chain = [json.loads(line) for line in done(greenroom("audit", "--json")).splitlines()]
    assert [one["seq"] for one in chain] == list(range(1, len(chain) + 1))
    assert {"hash", "previous_hash", "actor", "role", "details"} < set(chain[0])
    ours = [json.loads(line) for line in done(greenroom("audit", "--model", "ppo", "--json")).splitlines()]
    assert [one["model"] for one in ours] == ["ppo", "ppo"]
    assert ours[0]["seq"] > ours[1]["seq"]
    rolled = done(greenroom("audit", "--action", "rolled back")).splitlines()
    assert rolled[0].split()[:3] == ["event", "at", "(UTC)"]
    assert len(rolled) == 2
    limited = done(greenroom("audit", "--limit", 1)).splitlines()
    assert limited[-1] == f"The latest 1 of {len(chain)} events; --limit 0 gives all."
    assert done(greenroom("audit", "--model", "nobody")) == "No event matches.\n"


def test_a_broken_chain_is_found(greenroom: Greenroom, tmp_path: Path) -> None:
    bring_up(greenroom, 1)
    whole = value(greenroom("audit", "--verify", "--json"))
    assert list(whole) == ["whole", "events", "broken_at", "reason", "head"]
    assert (whole["whole"], whole["broken_at"]) == (True, None)
    assert len(whole["head"]) == 64
    (database,) = (tmp_path / ".greenroom").glob("*.db")
    with closing(sqlite3.connect(database)) as connection, connection:
        for (trigger,) in connection.execute(
            "select name from sqlite_master where type = 'trigger'"
        ).fetchall():
            connection.execute(f"drop trigger {trigger}")
        connection.execute("update audit_events set reason = 'another' where seq = 2")
    broken = greenroom("audit", "--verify")
    assert broken.exit_code == 1
    assert broken.stdout.startswith("✕ Event 2 (promoted ppo, ")
    assert json.loads(greenroom("audit", "--verify", "--json").stdout)["broken_at"] == 2
    assert "leave --model" in refusal(greenroom("audit", "--verify", "--model", "ppo"), 2)


# Help


@pytest.mark.parametrize("name", [one.name for one in COMMANDS])
def test_help_has_an_example_and_the_keys(name: str) -> None:
    shown = done(CliRunner().invoke(cli, [name, "--help"]))
    assert f"greenroom {name} " in shown.partition("Example")[2] or name == "models"
    assert "JSON: " in shown
    assert "--tracking-uri" in shown


# Waiting for nothing


@pytest.mark.parametrize(
    ("words", "more"), [(["history", "ppo"], ["mlflow", "alembic"]), (["--help"], ["numpy"])]
)
def test_a_command_imports_what_it_needs(greenroom: Greenroom, words: list[str], more: list[str]) -> None:
    unwanted = {
        "core.backtests.desk",
        "core.forecasts.desk",
        "core.runs.explorer",
        "core.runs.index.index",
        *more,
    }
    script = (
        "import sys\nfrom core.cli import main\n"
        f"sys.argv = {['greenroom', *words]!r}\n"
        "try:\n    main()\n"
        f"finally:\n    print(sorted({unwanted!r} & sys.modules.keys()), file=sys.stderr)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stderr) == (0, "[]\n")
