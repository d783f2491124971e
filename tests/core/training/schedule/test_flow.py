"""A retraining from its data to Staging, and what becomes of one that fails at any of its steps."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import ArtifactError, BadInputError, NotFoundError, RefusedError, SourceError
from core.registry.types import Stage
from core.training.schedule import freezing
from core.training.schedule.flow import PATIENCE
from core.training.schedule.types import Mode, Retraining, RetrainingOutcome, Step, Trigger, VerdictWord
from core.training.types import JobState
from tests.core.training.schedule.room import Room
from tests.registries import ANALYST, LEAD


def begun(room: Room, step: Step = Step.PREPARING, **schedule: Any) -> Retraining:
    """Begin a retraining, and bring it to a step."""
    room.schedule(**schedule)
    one = room.desk.retrain("m", ANALYST)
    for _ in range(8):
        one = room.desk.retraining(one.id)
        if one.step is step:
            return one
        room.desk.tick()
        if one.job_id is not None:
            room.training.end(one.job_id, JobState.FINISHED)
    raise AssertionError(f"It does not come to {step}: {one}")


def texts(one: Retraining) -> list[str]:
    return [line.text for line in one.log]


def test_from_data_to_staging(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    room.metrics[f"{101:032x}"] = {"sharpe": 1.5}
    room.schedule()
    asked = room.desk.retrain("m", ANALYST)
    assert (asked.step, asked.outcome, asked.trigger) == (Step.PREPARING, None, Trigger.MANUAL)
    one = room.tick_until_over(asked.id)
    assert (one.step, one.outcome, one.version) == (Step.DONE, RetrainingOutcome.STAGED, 3)
    assert room.stages() == {1: "Production", 2: "None", 3: "Staging"}
    assert one.verdict is not None
    assert one.verdict.word is VerdictWord.BETTER
    assert one.verdict.sentence == "Better than the champion v1: better in sharpe (1.5 against 1)."
    assert one.reason == f"v3 waits in Staging. {one.verdict.sentence}"
    tags = room.client.get_model_version("m", "3").tags
    assert tags["greenroom.validation"] == "passed"
    assert tags["greenroom.verdict"] == one.verdict.sentence
    assert room.versions_of(one.id) == [3]
    digest = hashlib.sha256(room.data().read_bytes()).hexdigest()
    assert texts(one) == [
        "Starting automated retraining of m...",
        "Step 1: Preparing training data...",
        f"Training data prepared: data {room.home / 'prices.csv'} (26 bytes, SHA-256 {digest[:12]})",
        "Step 2: Training model by rl (incremental: last 30 days, 5 epochs, going on from v1)...",
        "Job 1 is asked for",
        "Model trained: run 00000000 of job 1",
        "Step 3: Validating new model...",
        "Registered as v3, in None until it is validated",
        f"Model v3 validated successfully. {one.verdict.sentence}",
        "Step 4: Deploying new model to Staging...",
        "Deployed model version 3 to Staging",
        "Retraining complete! New model v3 waits in Staging",
    ]
    said = [record.message for record in caplog.records if record.name == "greenroom.retraining"]
    assert said == [f"m: {text}" for text in texts(one)]
    assert [one for one in room.actions() if one != "first seen"] == [
        "scheduled",
        "retraining started",
        "registered",
        "promoted",
        "retraining ended",
    ]
    ended = room.trail.events("m", action="retraining ended")[0]
    assert ended.details["outcome"] == "staged"
    assert ended.details["verdict"]["word"] == "better"
    assert [one[:2] for one in room.told] == [("retrained", "m"), ("deployed", "m")]
    room.desk.tick()
    assert room.desk.retraining(one.id) == one, "what is over is left alone"


def test_the_job_is_given_the_champion_the_days_and_a_copy_of_the_data(room: Room) -> None:
    one = begun(room, Step.TRAINING, last_days=14, epochs=3)
    room.data("changed,since\n")
    room.desk.tick()
    (job,) = room.training.asked()
    assert job["tags"] == {"greenroom.retraining": str(one.id), "greenroom.retrains": "m"}
    assert job["asked_by"] == ANALYST.name
    assert {**job["parameters"], "data": ""} == {
        "data": "",
        "last_days": "14",
        "epochs": "3",
        "warm_start": "models:/m/1",
    }
    copy = Path(job["parameters"]["data"])
    assert copy.is_relative_to(room.home / "retrainings" / str(one.id))
    (frozen,) = one.prepared.files
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == frozen.sha256
    assert copy.read_text() != room.home.joinpath("prices.csv").read_text()


@pytest.mark.parametrize(
    ("schedule", "given"),
    [
        ({"mode": Mode.FULL}, {"data"}),
        ({"entry_point": "plain"}, {"data"}),
        ({"model": "fresh"}, {"data", "last_days", "epochs"}),
    ],
)
def test_what_is_not_given(room: Room, schedule: dict[str, Any], given: set[str]) -> None:
    """Nothing in full, nothing that the entry point does not take, no champion where there is none."""
    room.schedule(**schedule)
    one = room.desk.retrain(schedule.get("model", "m"), ANALYST)
    room.tick_until_over(one.id)
    assert room.training.asked()[0]["parameters"].keys() == given


def test_the_first_version_of_a_model(room: Room) -> None:
    room.schedule("fresh")
    one = room.tick_until_over(room.desk.retrain("fresh", ANALYST).id)
    assert room.stages("fresh") == {1: "Staging"}
    assert one.verdict is not None
    assert one.verdict.word is VerdictWord.FIRST


# Failing


def break_data(room: Room) -> None:
    (room.home / "prices.csv").unlink()


def empty_data(room: Room) -> None:
    room.data("")


def forget_entry_point(room: Room) -> None:
    room.projects.entry_points.clear()


def refuse_launch(room: Room) -> None:
    room.training.trouble = RefusedError("amara acts as viewer and may not launch a training.")


def refuse_parameters(room: Room) -> None:
    room.training.trouble = BadInputError("The entry point needs packages that are not installed here.")


def ends(state: JobState, reason: str) -> Callable[[Room], None]:
    def end(room: Room) -> None:
        room.desk.tick()
        room.training.end(1, state, reason)

    return end


def no_artifact(room: Room) -> None:
    def source(_run: Any, path: str) -> Any:
        raise NotFoundError(f"The run has no artifact '{path}'. Models that it logged: none.")

    room.open(source=source)


def strict_gates(room: Room) -> None:
    room.open(gates={"*": {"smoke": False, "soak_hours": 24, "metrics": ["sharpe >= 2"]}})


def cannot_be_loaded(room: Room) -> None:
    def fetch(*_: Any) -> Any:
        raise ArtifactError("Its files are gone.")

    room.open(gates={"*": {"soak_hours": 24}}, fetch=fetch)


def stricter_gates(room: Room) -> None:
    metrics = ["sharpe >= 2"]
    room.open(gates={"*": {"smoke": False, "soak_hours": 0, "metrics": metrics, "staging": ["metrics"]}})


def archive_it(room: Room) -> None:
    room.registry.promote("m", 3, Stage.ARCHIVED, "not this one", LEAD)


def delete_it(room: Room) -> None:
    room.client.delete_model_version("m", "3")


FAILED, REFUSED, STOPPED = RetrainingOutcome.FAILED, RetrainingOutcome.REFUSED, RetrainingOutcome.STOPPED


@pytest.mark.parametrize(
    ("step", "wreck", "outcome", "reason", "line"),
    [
        (Step.PREPARING, break_data, FAILED, "there is no such file", "Preparing training data failed: "),
        (Step.PREPARING, empty_data, FAILED, "an empty file", "Preparing training data failed: "),
        (
            Step.PREPARING,
            forget_entry_point,
            FAILED,
            "no entry point 'rl'",
            "Preparing training data failed: ",
        ),
        (Step.TRAINING, refuse_launch, FAILED, "may not launch a training", "Training failed: "),
        (Step.TRAINING, refuse_parameters, FAILED, "not installed here", "Training failed: "),
        (
            Step.TRAINING,
            ends(JobState.FAILED, "It ended with 3."),
            FAILED,
            "Job 1 (m retraining 1) failed: It ended with 3.",
            "Training failed: ",
        ),
        (
            Step.TRAINING,
            ends(JobState.LOST, "Its machine went away."),
            FAILED,
            "was lost: Its",
            "Training failed: ",
        ),
        (Step.TRAINING, ends(JobState.STOPPED, "Stopped by mei."), STOPPED, "Stopped by mei.", "Stopped: "),
        (Step.VALIDATING, no_artifact, FAILED, "no artifact 'model'", "Validation failed: "),
        (
            Step.VALIDATING,
            strict_gates,
            REFUSED,
            "v3 does not pass the gates. metrics: ",
            "Validation failed: ",
        ),
        (Step.VALIDATING, cannot_be_loaded, REFUSED, "smoke: It cannot be judged: ", "Validation failed: "),
        (Step.REGISTERING, stricter_gates, REFUSED, "may not go to Staging", "Deployment failed: "),
        (Step.REGISTERING, archive_it, REFUSED, "v3 was archived before it came", "Deployment failed: "),
        (Step.REGISTERING, delete_it, FAILED, "has no version 3", "Deployment failed: "),
    ],
)
def test_whatever_fails_the_champion_stays_and_the_reason_is_shown(
    room: Room,
    caplog: pytest.LogCaptureFixture,
    step: Step,
    wreck: Callable[[Room], None],
    outcome: RetrainingOutcome,
    reason: str,
    line: str,
) -> None:
    one = begun(room, step)
    wreck(room)
    for _ in range(6):
        room.desk.tick()
        if one.job_id is None and room.training.asked() and step is not Step.TRAINING:
            room.training.end(1, JobState.FINISHED)
        room.hands.pass_by(minutes=1)
    one = room.desk.retraining(one.id)
    assert (one.outcome, one.step) == (outcome, step)
    assert reason in one.reason
    assert room.stages()[1] == "Production"
    assert "Staging" not in room.stages().values()
    assert [text.startswith(line) for text in texts(one)[-2:]] == [True, False]
    assert texts(one)[-1] == "Keeping current model active"
    assert one.log[-2].level == ("ERROR" if outcome is FAILED else "WARNING")
    assert any(one.reason in record.message for record in caplog.records)
    ended = room.trail.events("m", action="retraining ended")
    assert [(each.reason, each.details["outcome"]) for each in ended] == [(one.reason, str(outcome))]
    assert room.told == []
    # The way is free again.
    assert room.desk.retrain("m", ANALYST).is_open


def test_a_version_that_does_not_pass_says_so_to_plain_mlflow(room: Room) -> None:
    one = begun(room, Step.VALIDATING)
    strict_gates(room)
    one = room.tick_until_over(one.id)
    assert room.stages()[3] == "None"
    tag = room.client.get_model_version("m", "3").tags["greenroom.validation"]
    assert tag.startswith("failed: metrics: ")
    assert one.verdict is not None
    assert [(gate.name, gate.passed) for gate in one.verdict.gates] == [("metrics", False)]


def test_the_soak_is_waited_for_in_staging_and_not_here(room: Room) -> None:
    room.open(gates={"*": {"smoke": False, "soak_hours": 24}})
    room.schedule()
    assert room.tick_until_over(room.desk.retrain("m", ANALYST).id).outcome is RetrainingOutcome.STAGED


def test_one_that_is_stopped_while_its_data_are_copied_stays_stopped(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = begun(room)
    freeze = freezing.freeze

    def stopped_meanwhile(*given: Any) -> Any:
        room.desk.stop(one.id, LEAD)
        return freeze(*given)

    monkeypatch.setattr(freezing, "freeze", stopped_meanwhile)
    for _ in range(3):
        room.desk.tick()
    ended = room.desk.retraining(one.id)
    assert (ended.outcome, ended.step) == (STOPPED, Step.PREPARING)
    assert room.training.asked() == []


# Waiting


def test_a_tracking_store_that_does_not_answer_is_waited_for(room: Room) -> None:
    one = begun(room, Step.VALIDATING)
    room.read_trouble = SourceError("MLflow at http://mlflow does not answer.")
    for _ in range(5):
        room.desk.tick()
        room.hands.pass_by(minutes=1)
    waiting = room.desk.retraining(one.id)
    assert waiting.is_open
    troubles = [line for line in waiting.log if line.level == "WARNING"]
    assert [line.text for line in troubles] == [
        "MLflow at http://mlflow does not answer. Trying again until 2026-03-20 13:00 UTC"
    ]
    room.read_trouble = None
    assert room.tick_until_over(one.id).outcome is RetrainingOutcome.STAGED


def test_it_is_not_waited_for_longer_than_an_hour(room: Room) -> None:
    one = begun(room, Step.VALIDATING)
    room.read_trouble = SourceError("MLflow does not answer.")
    room.desk.tick()
    room.hands.pass_by(seconds=PATIENCE.total_seconds() - 1)
    room.desk.tick()
    assert room.desk.retraining(one.id).is_open
    room.hands.pass_by(minutes=1)
    room.desk.tick()
    ended = room.desk.retraining(one.id)
    assert (ended.outcome, ended.reason) == (FAILED, "MLflow does not answer.")


def test_a_launch_that_the_tracking_store_cut_off_is_made_again(room: Room) -> None:
    one = begun(room, Step.TRAINING)
    room.training.trouble = SourceError("MLflow does not answer.")
    room.desk.tick()
    assert room.desk.retraining(one.id).is_open
    room.training.trouble = None
    room.hands.pass_by(minutes=1)
    assert room.tick_until_over(one.id).outcome is RetrainingOutcome.STAGED
    assert [job["begun"] for job in room.training.asked()] == [False, True]


def test_somebody_who_is_changing_the_model_right_then_is_waited_for(room: Room) -> None:
    one = begun(room, Step.REGISTERING)
    promote, room.registry.promote = room.registry.promote, _busy  # type: ignore[method-assign]
    room.desk.tick()
    assert room.desk.retraining(one.id).is_open
    room.registry.promote = promote  # type: ignore[method-assign]
    room.hands.pass_by(minutes=1)
    assert room.tick_until_over(one.id).outcome is RetrainingOutcome.STAGED


def _busy(*_: Any) -> Any:
    raise RefusedError("Somebody else is changing m right now.")


def test_what_follows_a_deployment_may_fail_without_undoing_it(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    object.__setattr__(room.parts, "note_retraining", full)
    room.schedule()
    assert room.tick_until_over(room.desk.retrain("m", ANALYST).id).outcome is RetrainingOutcome.STAGED
    assert "No space left on device" in caplog.text


# Many at once


def test_many_workers_at_one_retraining(room: Room) -> None:
    one = begun(room)
    stop = threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        desk = room.open()
        try:
            while not stop.is_set():
                desk.tick()
        except BaseException as error:  # noqa: BLE001 - reported below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    try:
        for _ in range(3000):
            now = room.desk.retraining(one.id)
            if now.job_id is not None and now.step is Step.TRAINING:
                room.training.end(now.job_id, JobState.FINISHED)
            if not now.is_open or errors:
                break
            stop.wait(0.01)
    finally:
        stop.set()
        for each in threads:
            each.join()
    assert errors == []
    ended = room.desk.retraining(one.id)
    assert ended.outcome is RetrainingOutcome.STAGED
    assert len(room.training.asked()) == 1
    assert room.versions_of(one.id) == [3]
    assert len(texts(ended)) == len(set(texts(ended))) == 12
    assert room.actions().count("retraining ended") == 1


def test_old_copies_of_data_are_cleared_away(room: Room) -> None:
    room.schedule()
    for _ in range(5):
        room.tick_until_over(room.desk.retrain("m", ANALYST).id)
    kept = sorted(one.name for one in (room.home / "retrainings").iterdir())
    assert kept == ["3", "4", "5"]
