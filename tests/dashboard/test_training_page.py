"""The Training page: launch, watch, stop and repeat jobs; schedules and retrainings; what retention would remove."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import clock
from core.access import Actor, Role
from core.errors import DatabaseError, RefusedError
from core.registry.retention.configuration import RetentionSettings
from core.registry.types import Stage
from core.training.desk import TrainingDesk
from core.training.jobs.heartbeat import WorkerState
from core.training.schedule.types import Mode, RetrainingOutcome, ScheduleRequest, Step, Trigger
from core.training.types import EngineKind, JobState, LaunchRequest, Progress
from core.workspace import Workspace
from core.workspace_retention import wire_retention_desk
from dashboard.widgets import retention_panel
from tests.dashboard import registries, trainings
from tests.dashboard.conftest import OpenApp, texts
from tests.dashboard.registries import AMARA, ANA, MODEL, Registry, do, everything
from tests.dashboard.trainings import FakeSchedules, Jobs

VERA = Actor("vera", Role.VIEWER)
HOSTILE = "<script>alert(1)</script> **bold** :smile: $x$ [a](http://b)"


@pytest.fixture
def registry(tmp_path: Path, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = registries.make(tmp_path, monkeypatch)
    trainings.add_project(made)
    made.add_run(sharpe=1.0)
    monkeypatch.setattr(Workspace, "live", trainings.NoFindings(), raising=False)
    return made


@pytest.fixture
def jobs(registry: Registry) -> Jobs:
    return Jobs(registry)


def open_launch(registry: Registry, by: Actor = ANA, entry: str = "fit", **more: str) -> AppTest:
    return registry.open("training", by, tab="Launch", project="team", entry=entry, **more)


def field(name: str, source: object = "", entry: str = "fit") -> str:
    return f"p:team:{entry}:{source}:{name}"


def frame(at: AppTest, column: str) -> Any:
    return next(one.value for one in at.dataframe if column in one.value.columns)


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception
    return at


# Launching


def test_an_empty_desk_says_how_to_begin_and_that_no_worker_is_alive(registry: Registry) -> None:
    at = registry.open("training", ANA)
    said = texts(at)
    assert "Nothing was launched yet" in said
    assert "greenroom train stores" in said
    assert "No worker is alive" in said and "greenroom worker" in said
    press(at, "first_launch")
    assert at.radio(key="tab").value == "Launch"


def test_the_form_has_a_field_for_each_kind_of_parameter(registry: Registry) -> None:
    at = open_launch(registry)
    assert at.text_input(key=field("data")).label == "Sales file"
    depth = at.number_input(key=field("depth"))
    assert (depth.label, depth.value, depth.min, depth.max, depth.step) == ("depth (levels)", 3, 1, 9, 1)
    assert at.number_input(key=field("rate")).value == 3e-4
    assert at.selectbox(key=field("model")).options == ["ridge", "forest"]
    assert at.toggle(key=field("shuffle")).value is False
    assert at.text_input(key=field("net")).value == "64,64"
    assert "Default: 3e-4." in at.number_input(key=field("rate")).help
    assert "Fits \\<b>curves\\</b>." in texts(at)


def test_a_form_launches_what_was_changed_and_opens_the_job(registry: Registry, jobs: Jobs) -> None:
    at = open_launch(registry)
    at.text_input(key=field("data")).set_value(str(jobs.data)).run()
    assert f"✓ {jobs.data.name}" in texts(at)
    at.number_input(key=field("depth")).set_value(5).run()
    at.selectbox(key=field("model")).set_value("forest").run()
    at.toggle(key=field("shuffle")).set_value(True).run()
    at.text_input(key=field("name")).set_value("monday").run()
    at.number_input(key=field("priority")).set_value(2).run()
    assert "Not the default: data, depth, model, shuffle" in texts(at)
    press(at, "launch")
    (job,) = jobs.desk.jobs()
    assert (job.name, job.priority, job.engine, job.state) == ("monday", 2, EngineKind.LOCAL, JobState.QUEUED)
    assert dict(job.parameters) == {
        "data": str(jobs.data),
        "depth": "5",
        "rate": "3e-4",
        "model": "forest",
        "shuffle": "True",
        "net": "64,64",
    }
    assert at.query_params["job"] == [str(job.id)] or at.query_params["job"] == str(job.id)
    assert at.radio(key="tab").value == "Jobs"
    assert f"Job {job.id} is launched: monday" in at.success[0].value
    assert f"Job {job.id}: monday" in [one.value for one in at.subheader]
    assert "0 jobs before it in the queue" in texts(at)


def test_what_is_wrong_is_said_at_its_field_and_refused(registry: Registry, jobs: Jobs) -> None:
    at = open_launch(registry)
    press(at, "launch")
    assert "data has no default: give it a value" in at.error[0].value
    at.text_input(key=field("data")).set_value("/no/such/file.csv").run()
    assert any("there is no such file or folder" in one.value for one in at.markdown)
    press(at, "launch")
    assert "there is no such file or folder" in at.error[0].value
    assert not jobs.desk.jobs()


def test_a_sweep_says_how_many_runs_it_makes_and_makes_them(registry: Registry, jobs: Jobs) -> None:
    at = open_launch(registry)
    at.text_input(key=field("data")).set_value(str(jobs.data)).run()
    at.multiselect(key=field("varied")).set_value(["depth", "net"]).run()
    assert at.number_input(key=field("depth")).disabled
    assert "Give values of depth, net" in texts(at)
    at.text_input(key=field("values:depth")).set_value("1, 2, 3, 2").run()
    at.text_input(key=field("values:net")).set_value("32,32; 64,64").run()
    assert "Makes 6 runs (3 × 2)" in texts(at)
    assert at.button(key="launch").label == "Launch 6 runs of fit"
    press(at, "launch")
    (sweep,) = jobs.desk.sweeps()
    made = jobs.desk.jobs(sweep=sweep.id)
    assert {(one.parameters["depth"], one.parameters["net"]) for one in made} == {
        (depth, net) for depth in "123" for net in ("32,32", "64,64")
    }
    assert len(frame(at, "Progress")) == 6
    assert f"Sweep {sweep.id}" in texts(at)
    assert "6 ◷ Queued" in texts(at)
    links = [str(one.proto.label) for one in at.get("page_link")]
    assert "Parent run" in links and "Compare its 6 runs" in links
    press(at, "leave_sweep")
    assert "sweep" not in at.query_params


def test_a_viewer_reads_why_not_instead_of_a_button_that_fails(registry: Registry, jobs: Jobs) -> None:
    job = jobs.launch(ANA)
    at = open_launch(registry, VERA)
    assert at.button(key="launch").disabled
    assert "vera acts as viewer and may not launch a training: that takes the role analyst" in texts(at)
    at = registry.open("training", VERA, job=str(job.id))
    for key in ("stop_job", "duplicate", "set_priority"):
        assert at.button(key=key).disabled, key
    assert "may not stop a training" in at.button(key="stop_job").help


def test_packages_that_are_missing_are_named_with_the_command_that_mends_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingDesk, "missing_for", lambda *_: 'pip install "greenroom[rl]"')
    at = open_launch(registry)
    assert 'pip install "greenroom[rl]"' in [one.value for one in at.code]


def test_engines_are_offered_where_they_are_set_up(
    registry: Registry, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_launch(registry)
    assert not [one for one in at.radio if one.label == "Where it runs"]
    monkeypatch.setattr(TrainingDesk, "engines", lambda _: (EngineKind.LOCAL, EngineKind.RAY))
    asked: list[LaunchRequest] = []

    def launch(_: TrainingDesk, request: LaunchRequest, by: Actor) -> None:
        asked.append(request)
        raise RefusedError("The cluster <b>does not answer</b>.", ("first", "second"))

    monkeypatch.setattr(TrainingDesk, "launch", launch)
    at = open_launch(registry)
    at.radio(key=field("engine")).set_value("ray").run()
    at.number_input(key=field("GPUs")).set_value(1.0).run()
    press(at, "launch")
    assert (asked[0].engine, asked[0].resources.gpus) == (EngineKind.RAY, 1.0)
    assert "The cluster \\<b>does not answer\\</b>." in at.error[0].value
    assert "- second" in at.error[0].value


def test_a_project_that_cannot_be_read_says_why(registry: Registry) -> None:
    (registry.folder / "team" / "MLproject").write_text("entry_points: [")
    at = registry.open("training", ANA, tab="Launch", project="team")
    assert "MLproject" in at.error[0].value
    assert not [one for one in at.button if one.key == "launch"]
    at = registry.open("training", ANA, tab="Launch", project="nowhere")
    assert "There is no project nowhere" in texts(at)


# Jobs


def test_the_list_shows_states_progress_and_time_left_by_page(
    registry: Registry, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        jobs.launch(ANA)
    now = clock.now()
    jobs.run(jobs.desk.job(1), Progress(3, 45, "stores", now))
    ended = jobs.run(jobs.desk.job(2))
    jobs.end(ended, JobState.FAILED, "The trainer exited with code 3.", 3)
    at = registry.open("training", ANA)
    shown = frame(at, "Progress").set_index("Job")
    assert shown["State"].to_dict() == {3: "◷ Queued", 2: "✕ Failed", 1: "● Running"}
    assert shown.loc[1, "At"].startswith("3 of 45 stores")
    assert shown.loc[1, "Progress"] == pytest.approx(3 / 45)
    assert [(one.label, one.value) for one in at.metric] == [
        ("Running", "1"),
        ("Queued", "1"),
        ("Failed in a day", "1"),
        ("Finished", "0"),
    ]
    at.radio(key="state").set_value("Failed").run()
    assert list(frame(at, "Progress")["Job"]) == [2]
    at.radio(key="state").set_value("Lost").run()
    assert "No job is lost" in texts(at)
    at = registry.open("training", ANA, state="Queued")
    assert list(frame(at, "Priority")["Job"]) == [3]
    at.selectbox(key="job:").set_value("3").run()
    assert not at.exception
    assert "Job 3: fit 3" in [one.value for one in at.subheader]


def test_a_thousand_queued_jobs_are_asked_for_by_the_page(
    registry: Registry, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = registry.workspace.training_parts.store
    with store.transaction() as connection:
        for number in range(120):
            store.add(connection, LaunchRequest("fit", name=f"job {number}", experiment="e"), {}, "ana")
    asked: list[int] = []
    real = TrainingDesk.jobs

    def counted(desk: TrainingDesk, **how: Any) -> Any:
        asked.append(how["limit"])
        return real(desk, **how)

    monkeypatch.setattr(TrainingDesk, "jobs", counted)
    at = registry.open("training", ANA, state="Queued", jobs_page="3")
    assert list(frame(at, "Priority")["Job"]) == list(range(101, 121))
    assert asked and max(asked) <= 100
    at.radio(key="state").set_value("All").run()
    assert list(frame(at, "Progress")["Job"]) == list(range(120, 70, -1))


def test_a_log_is_shown_as_text_and_pages_back(registry: Registry, jobs: Jobs) -> None:
    lines = [f"line {number} {HOSTILE}" for number in range(2_000)]
    job = jobs.run(jobs.launch(ANA), log="\n".join(lines) + "\n\x1b[31mred\x1b[0m\n")
    at = registry.open("training", ANA, job=str(job.id))
    (log,) = [one.value for one in at.code]
    assert log.rstrip().endswith("red") and "\x1b" not in log
    assert f"line 1999 {HOSTILE}" in log and len(log) <= 65_536
    assert "line 0 " not in log
    others = [*at.markdown, *at.caption, *at.error, *at.info, *at.success]
    assert not [one.value for one in others if "alert(1)" in one.value]
    for _ in range(5):
        if not any(one.key == "log_earlier" for one in at.button):
            break
        press(at, "log_earlier")
    assert at.code[0].value.startswith("line 0 ")
    press(at, "log_later")
    press(at, "log_end")
    assert at.code[0].value.rstrip().endswith("red")


def test_what_a_job_says_of_itself_is_no_markdown(registry: Registry, jobs: Jobs) -> None:
    said = Progress(1, 4, "*stores* :smile:", clock.now())
    job = jobs.run(jobs.launch(ANA, net=HOSTILE), said)
    at = registry.open("training", ANA, job=str(job.id))
    (bar,) = at.get("progress")
    assert "1 of 4 \\*stores\\* :color[:]smile:" in bar.proto.text
    failed = jobs.end(job, JobState.FAILED, HOSTILE, 3)
    at = registry.open("training", ANA, job=str(failed.id))
    assert "\\<script>" in at.error[0].value and "\\*\\*bold" in at.error[0].value
    assert "exit code 3" in texts(at)
    assert frame(at, "Parameter").set_index("Parameter").loc["net", "Value"] == HOSTILE


def test_a_queued_job_is_taken_out_and_a_running_one_is_asked_to_stop(registry: Registry, jobs: Jobs) -> None:
    first, second = jobs.launch(ANA), jobs.launch(ANA)
    at = registry.open("training", ANA, job=str(first.id))
    at = do(at, "stop_job")
    assert jobs.desk.job(first.id).state is JobState.STOPPED
    assert f"Job {first.id} is stopped" in at.success[0].value
    jobs.run(second)
    at = registry.open("training", ANA, job=str(second.id))
    assert at.button(key="stop_job").label == f"Stop job {second.id} (fit {second.id})"
    at = do(at, "stop_job")
    assert jobs.desk.job(second.id).is_stopping
    assert "ana stops it" in everything(at)
    assert not [one for one in at.button if one.key == "stop_job"]


def test_a_failed_job_is_retried_resumed_and_duplicated(registry: Registry, jobs: Jobs) -> None:
    job = jobs.end(jobs.run(jobs.launch(ANA, depth="7")), JobState.LOST, "Its machine went away.")
    at = registry.open("training", ANA, job=str(job.id))
    assert "Its machine went away" in at.error[0].value
    press(at, "retry")
    again = jobs.desk.job(job.id + 1)
    assert (again.made_from, again.parameters, again.run_id == job.run_id) == (job.id, job.parameters, False)
    assert f"Job {again.id}:" in at.subheader[0].value
    at = registry.open("training", ANA, job=str(job.id))
    press(at, "resume")
    on = jobs.desk.job(again.id + 1)
    assert (on.resumes, on.run_id) == (job.id, job.run_id)
    assert f"goes on with the run of job {job.id}" in at.success[0].value
    at = registry.open("training", ANA, job=str(job.id))
    press(at, "duplicate")
    assert at.radio(key="tab").value == "Launch"
    assert at.number_input(key=field("depth", job.id)).value == 7
    assert at.text_input(key=field("data", job.id)).value == str(jobs.data)
    at.number_input(key=field("depth", job.id)).set_value(2).run()
    press(at, "launch")
    copy = jobs.desk.jobs(limit=1)[0]
    assert (copy.made_from, copy.parameters["depth"], copy.name) == (job.id, "2", job.name)


def test_resume_is_offered_only_where_the_entry_point_says_that_it_can(
    registry: Registry, jobs: Jobs
) -> None:
    job = jobs.end(jobs.run(jobs.launch(ANA, "last_month")), JobState.FAILED, "It failed.")
    at = registry.open("training", ANA, job=str(job.id))
    assert at.button(key="resume").disabled
    assert "does not say that it can go on" in at.button(key="resume").help.replace("\\", "")


def test_a_job_that_waits_is_moved_up(registry: Registry, jobs: Jobs) -> None:
    job = jobs.launch(ANA)
    at = registry.open("training", ANA, job=str(job.id))
    assert at.button(key="set_priority").disabled
    at.number_input(key=f"priority:{job.id}:0").set_value(4).run()
    press(at, "set_priority")
    assert jobs.desk.job(job.id).priority == 4
    assert "priority +4" in texts(at)


def test_metrics_of_its_run_are_shown_with_a_curve(registry: Registry, jobs: Jobs) -> None:
    job = jobs.run(jobs.launch(ANA))
    assert job.run_id is not None
    for step in range(5):
        registry.client.log_metric(job.run_id, "reward", 1.5 * step, step=step)
    registry.client.log_metric(job.run_id, "once", 3.0)
    at = registry.open("training", ANA, job=str(job.id))
    assert {("reward", "6"), ("once", "3")} <= {(one.label, one.value) for one in at.metric}
    assert len(at.get("plotly_chart")) == 1
    assert frame(at, "Metric")["Metric"].tolist() == ["once", "reward"]


def test_an_address_that_names_no_job_says_so_and_the_list_stays(registry: Registry, jobs: Jobs) -> None:
    jobs.launch(ANA)
    at = registry.open("training", ANA, job="99")
    assert "99" in at.error[0].value
    assert len(frame(at, "Progress")) == 1
    at = registry.open("training", ANA, job="x<b>")
    assert "is no number of a job" in at.error[0].value


def test_the_worker_is_named_where_one_lives(
    registry: Registry, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.launch(ANA)
    at = registry.open("training", ANA)
    assert "1 job waits for one" in texts(at)
    state = WorkerState(True, "big<b>host", 1, clock.now() - timedelta(hours=2), 3)
    monkeypatch.setattr(TrainingDesk, "worker", lambda _: state)
    at = registry.open("training", ANA)
    assert "Worker on big\\<b>host, 3 jobs at once, since 2 h ago" in texts(at)
    assert "No worker is alive" not in texts(at)


def test_a_database_that_is_down_is_said_and_the_sections_stay(
    registry: Registry, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise DatabaseError("The database does not answer.")

    monkeypatch.setattr(TrainingDesk, "counts", down)
    at = registry.open("training", ANA)
    assert "The database does not answer" in at.error[0].value
    assert at.radio(key="tab").value == "Jobs"


def test_a_run_leads_to_its_job_and_to_training_it_again(registry: Registry, jobs: Jobs) -> None:
    job = jobs.launch(ANA)
    assert job.run_id is not None
    registry.workspace.runs.sync()
    at = registry.open("run", ANA, run=job.run_id)
    links = [str(one.proto.label) for one in at.get("page_link")]
    assert f"Job {job.id}" in links and "Train again" in links
    at = registry.open("run", ANA, run=registry.runs[0])
    assert "Train again" not in [str(one.proto.label) for one in at.get("page_link")]


# Schedules


@pytest.fixture
def schedules(registry: Registry) -> FakeSchedules:
    registry.add_version()
    registry.act_as(AMARA)
    return trainings.with_schedules(registry)


def open_schedule(registry: Registry, model: str = MODEL, **more: str) -> AppTest:
    """Open it as the lead, on the workspace that has the schedules already."""
    return registry.open("training", AMARA, tab="Schedules", model=model, **more)


def test_no_schedule_says_how_to_set_one(registry: Registry, schedules: FakeSchedules) -> None:
    at = registry.open("training", AMARA, tab="Schedules")
    assert "No model is retrained by itself yet" in texts(at)
    assert "greenroom schedule set" in texts(at)


def test_the_form_sets_a_schedule(registry: Registry, jobs: Jobs, schedules: FakeSchedules) -> None:
    at = open_schedule(registry)
    prefix = f"s:{MODEL}"
    at.selectbox(key=f"{prefix}:entry").set_value("team · fit").run()
    assert "fit has no parameter last_days, epochs or warm_start" in texts(at)
    at.text_input(key=f"{prefix}:team:fit:data").set_value(str(jobs.data)).run()
    at.number_input(key=f"{prefix}:every").set_value(1).run()
    at.time_input(key=f"{prefix}:at").set_value(time(4, 30)).run()
    at.selectbox(key=f"{prefix}:zone").set_value("America/Bogota").run()
    at.selectbox(key=f"{prefix}:mode").set_value(Mode.FULL).run()
    press(at, "set_the_schedule")
    made = schedules.schedules[MODEL]
    assert (made.project, made.entry_point, dict(made.parameters)) == (
        "team",
        "fit",
        {"data": str(jobs.data)},
    )
    assert (made.interval_days, made.time_of_day, made.zone, made.mode, made.enabled) == (
        1,
        "04:30",
        "America/Bogota",
        Mode.FULL,
        True,
    )
    assert "is retrained every day at 04:30 America/Bogota" in at.success[0].value.replace(":color[:]", ":")
    assert "2030-11-26 02:00 America/Bogota" in everything(at)


def test_incremental_sets_the_days_itself(registry: Registry, schedules: FakeSchedules) -> None:
    at = open_schedule(registry)
    prefix = f"s:{MODEL}"
    at.selectbox(key=f"{prefix}:entry").set_value("team · last_month").run()
    keys = {one.key for one in at.number_input}
    assert f"{prefix}:team:last_month:last_days" not in keys
    assert not at.number_input(key=f"{prefix}:last_days").disabled
    assert at.number_input(key=f"{prefix}:epochs").disabled
    at.selectbox(key=f"{prefix}:mode").set_value(Mode.FULL).run()
    assert f"{prefix}:team:last_month:last_days" in {one.key for one in at.number_input}


def test_a_schedule_that_cannot_be_set_says_why(registry: Registry, schedules: FakeSchedules) -> None:
    at = open_schedule(registry)
    at.selectbox(key=f"s:{MODEL}:entry").set_value("team · fit").run()
    at.text_input(key=f"s:{MODEL}:team:fit:data").set_value("/nowhere").run()
    press(at, "set_the_schedule")
    assert "cannot be launched like this" in at.error[0].value
    assert not schedules.schedules


def test_a_schedule_is_switched_run_and_removed(registry: Registry, schedules: FakeSchedules) -> None:
    schedules.set(MODEL, ScheduleRequest("fit", project="team", zone="America/Bogota"), AMARA)
    at = open_schedule(registry)
    assert "**fit** every 7 days at 02:00 America/Bogota" in texts(at).replace(":color[:]", ":")
    at = do(at, "switch_schedule")
    assert not schedules.schedules[MODEL].enabled
    assert at.button(key="switch_schedule").label == "Switch the schedule on"
    at = do(at, "retrain")
    (one,) = schedules.made
    assert (one.trigger, one.asked_by) == (Trigger.MANUAL, "amara")
    assert "● Prepare the data" in everything(at)
    assert at.button(key="retrain").disabled
    at = do(at, "stop_retraining")
    assert schedules.stopped == [one.id]
    at = do(at, "remove_schedule")
    assert MODEL not in schedules.schedules


def test_an_analyst_may_retrain_but_not_change_the_schedule(
    registry: Registry, schedules: FakeSchedules
) -> None:
    schedules.set(MODEL, ScheduleRequest("fit", project="team"), AMARA)
    registry.act_as(ANA)
    again = trainings.with_schedules(registry)
    again.schedules = schedules.schedules
    at = registry.open("training", ANA, tab="Schedules", model=MODEL)
    assert not at.button(key="retrain").disabled
    for key in ("switch_schedule", "remove_schedule", "set_the_schedule"):
        assert at.button(key=key).disabled, key
        assert "that takes the role lead" in at.button(key=key).help


def test_a_retraining_shows_its_verdict_steps_reason_and_log(
    registry: Registry, schedules: FakeSchedules
) -> None:
    schedules.set(MODEL, ScheduleRequest("fit", project="team"), AMARA)
    due = datetime(2026, 11, 17, 20, 10, tzinfo=UTC)
    schedules.add(
        step=Step.TRAINING,
        outcome=RetrainingOutcome.FAILED,
        reason=f"The job failed: {HOSTILE}",
        trigger=Trigger.MISSED,
        due_at=due,
    )
    schedules.refused()
    at = open_schedule(registry)
    said = everything(at)
    assert "▼ Worse" in said and "Worse than v5 in 1 of 2 figures" in said
    points = frame(at, "Champion").set_index("Figure")
    assert points.loc["sharpe", ["Champion", "New", "Change"]].tolist() == ["0.81", "0.62", "-0.19 worse"]
    assert points.loc["drawdown", "Change"] == "+0.1 better"
    assert "✓ Train" in said and "✕ Validate" in said and "○ Move to Staging" in said
    assert "Keeping current model active" in at.warning[-1].value
    assert "champion: Its sharpe is lower" in said
    assert any("Starting automated retraining..." in one.value for one in at.code)
    at.selectbox(key="retraining:2").set_value("1").run()
    said = everything(at)
    assert "No worker ran when it was due" in said
    assert "\\<script>" in at.error[0].value
    assert frame(at, "Outcome")["Outcome"].tolist() == ["◌ Refused", "✕ Failed"]


def test_the_table_of_schedules_says_next_and_last(registry: Registry, schedules: FakeSchedules) -> None:
    schedules.set(MODEL, ScheduleRequest("fit", project="team", zone="America/Bogota"), AMARA)
    schedules.set("demand", ScheduleRequest("fit", project="team", enabled=False), AMARA)
    schedules.refused()
    at = registry.open("training", AMARA, tab="Schedules")
    shown = frame(at, "Last retraining").set_index("Model")
    assert shown.loc[MODEL, "Next"].startswith("2030-11-26 02:00 America/Bogota")
    assert shown.loc[MODEL, "Last retraining"] == "◌ Refused just now"
    assert shown.loc["demand", "Schedule"] == "○ Off"
    assert "No worker is alive" in texts(at)


# Retention


@pytest.fixture
def old_versions(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Five archived versions and a champion; all that is archived is old enough after an instant."""
    for _ in range(6):
        registry.add_version()
    for version in range(1, 6):
        registry.move(version, Stage.ARCHIVED)
    registry.move(6, Stage.PRODUCTION)
    registry.workspace.runs.sync()
    registry.desk.look()
    settings = RetentionSettings(days=0.0, min_versions=2)
    desks: dict[int, Any] = {}

    def desk(workspace: Workspace) -> Any:
        return desks.setdefault(id(workspace), wire_retention_desk(workspace, settings))

    monkeypatch.setattr(Workspace, "retention", property(desk), raising=False)
    return registry


def test_a_dry_run_is_explained_applied_and_undone(old_versions: Registry) -> None:
    registry = old_versions
    at = registry.open("training", AMARA, tab="Retention")
    goes = frame(at, "Why it goes")
    names = goes["What"].tolist()
    assert names and all(name.startswith(f"{MODEL} v") for name in names)
    assert f"{MODEL} v6" not in names
    stays = frame(at, "Why it stays").set_index("Why it stays")
    assert stays.loc["It is the champion", "Which"] == f"{MODEL} v6"
    before = {int(one.version) for one in registry.client.search_model_versions(f"name = '{MODEL}'")}
    at = do(at, "apply_retention", "tidy up")
    assert "removed" in at.success[0].value
    trash = frame(at, "Gone for good")
    assert sorted(trash["What"]) == sorted(names)
    assert trash["Why"].unique().tolist() == ["tidy up"]
    assert not [one for one in at.dataframe if "Why it goes" in one.value.columns]
    assert before == {int(one.version) for one in registry.client.search_model_versions(f"name = '{MODEL}'")}
    at.multiselect(key="trash_picked").set_value([int(trash["Entry"].iloc[0])]).run()
    at = do(at, "undo_retention", "needed")
    assert f"Back again: {trash['What'].iloc[0]}" in at.success[0].value
    assert len(frame(at, "Why it goes")) == 1


def test_what_was_not_promised_does_not_go(old_versions: Registry) -> None:
    registry = old_versions
    at = registry.open("training", AMARA, tab="Retention")
    victim = int(frame(at, "Why it goes")["What"].tolist()[0].rpartition("v")[2])
    registry.client.set_model_version_tag(MODEL, str(victim), "greenroom.legal_hold", "court")
    at = do(at, "apply_retention", "tidy up")
    assert "not what was promised" in at.error[0].value
    assert not registry.workspace.retention.trash()
    press(at, "look_again")
    assert not at.error
    assert f"{MODEL} v{victim}" not in frame(at, "Why it goes")["What"].tolist()


def test_an_analyst_sees_the_dry_run_and_why_it_takes_a_lead(old_versions: Registry) -> None:
    at = old_versions.open("training", ANA, tab="Retention")
    assert len(frame(at, "Why it goes"))
    assert at.button(key="apply_retention").disabled
    assert "that takes the role lead" in at.button(key="apply_retention").help


def test_reasons_are_grouped_whatever_their_ages_and_names() -> None:
    from core.registry.retention.plan import Kind, Staying, Subject

    def stay(version: int, *reasons: str) -> Staying:
        return Staying(Subject(Kind.VERSION, f"m v{version}", "m", version), reasons)

    stays = [
        stay(1, "it is in Archived for 3 days; it goes after 30", "an alias points at it: a"),
        stay(2, "it is in Archived for 9 days; it goes after 30"),
        stay(3, "it is the champion"),
    ]
    assert retention_panel.grouped(stays) == [
        ("it is in Archived", ["m v1", "m v2"]),
        ("an alias points at it", ["m v1"]),
        ("it is the champion", ["m v3"]),
    ]


# Overview


def test_the_overview_shows_jobs_retraining_and_degraded_figures(
    registry: Registry, jobs: Jobs, schedules: FakeSchedules, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = registry.open("overview", AMARA)
    assert "**Jobs**" not in texts(at) and "**Retraining**" not in texts(at)
    registry.promote(1)
    jobs.run(jobs.launch(AMARA), Progress(3, 45, "stores", clock.now()))
    jobs.end(jobs.run(jobs.launch(AMARA)), JobState.FAILED, f"No room {HOSTILE}", 1)
    schedules.set(MODEL, ScheduleRequest("fit", project="team"), AMARA)
    schedules.refused()
    finding = _Finding(MODEL, 1, registry.runs[0])
    stale = _Finding(MODEL, 7, registry.runs[0])
    monkeypatch.setattr(Workspace, "live", trainings.NoFindings([finding, stale]), raising=False)
    at = registry.open("overview", AMARA)
    said = everything(at)
    assert "1 running, 0 queued" in said
    assert "● Running" in said and "3 of 45 stores" in said
    assert "✕ Failed" in said and "\\<script>" in said and " <script>" not in said
    shown = frame(at, "Against the champion").set_index("Model")
    assert shown.loc[MODEL, "Last retraining"] == "◌ Refused just now"
    assert shown.loc[MODEL, "Against the champion"] == "▼ Worse"
    warned = [one.value for one in at.warning if "got worse" in one.value]
    assert len(warned) == 1 and f"{MODEL} v1" in warned[0] and "sharpe is 0.2" in warned[0]


class _Finding:
    """What live figures of a version say, as the watch keeps it."""

    passed, act, sentence = False, "warned", "sharpe is 0.2, but >= 0.5 is asked for."

    def __init__(self, model: str, version: int, run_id: str) -> None:
        self.model, self.version, self.run_id = model, version, run_id
        self.at = clock.now()
