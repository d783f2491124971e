"""The demo: what it leaves in MLflow, read with plain MLflow, and that it can be built again and again."""

import contextlib
import hashlib
import io
import json
import logging
import math
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import matplotlib.image
import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import yaml
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from sklearn.datasets import load_diabetes
from sklearn.metrics import accuracy_score, root_mean_squared_error

from core.demo import DemoReport, build_demo
from core.demo.backtest_plans import BacktestExperiment, backtest_experiments
from core.demo.data import DataVersion, load
from core.demo.experiments import demo_experiments
from core.demo.generated_sales import BREAKAGES, GENERATED_NOTE, generate_sales
from core.demo.model_plans import DIABETES_MODEL as PROGRESSION
from core.demo.model_plans import model_plans
from core.demo.plan import ExperimentPlan, ModelKind, RunPlan, SweepPlan
from core.demo.record_models import demo_settings
from core.demo.record_trainings import AGENT_MODEL, trainings_left
from core.demo.store_plans import STORES, store_experiment
from core.demo.train import Epoch, TrainingDivergedError, TrainingStoppedError, train
from core.errors import BadInputError, GreenroomError, SourceError
from core.registry.desk import RegistryDesk
from core.registry.history import reigns
from core.registry.requests import RequestState
from core.settings import Settings
from core.workspace import Workspace
from tests import registries

SALES = "store-sales"
DIABETES, SCREENING, DIGITS = "diabetes-regression", "breast-cancer-screening", "digits-recognition"
EARLY_RUNS = 5


@dataclass(frozen=True)
class Built:
    """A store that was built in two calls, the first of which was interrupted in the third experiment."""

    uri: str
    database: Path
    artifact_root: Path
    home: Path
    half_built: dict[str, dict[str, str]]
    kept_runs: frozenset[str]
    foreign_run: str
    report: DemoReport
    progress: list[tuple[str, int, int]]
    printed: str
    state_before: dict[str, object]
    state_after: dict[str, object]
    strewn: list[str]

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self.uri)

    def runs(self, experiment: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
        found = self.client.get_experiment_by_name(experiment)
        runs = self.client.search_runs([found.experiment_id], run_view_type=view, max_results=1000)
        return [run for run in runs if run.info.run_id != self.foreign_run]

    def stages(self, model: str) -> dict[int, str]:
        return registries.stages(self.client, model)

    @contextlib.contextmanager
    def desk(self) -> Iterator[RegistryDesk]:
        workspace = Workspace(Settings(tracking_uri=self.uri, home=self.home))
        yield workspace.registry
        workspace.close()

    def run(self, experiment: str, name: str) -> Run:
        return next(run for run in self.runs(experiment) if run.info.run_name == name)


def global_state() -> dict[str, object]:
    return {
        "tracking uri": mlflow.get_tracking_uri(),
        "registry uri": mlflow.get_registry_uri(),
        "active run": mlflow.active_run(),
        # MLflow's telemetry keeps a name of its own there and drops it from a thread.
        "environment": {key: value for key, value in os.environ.items() if not key.startswith("_MLFLOW")},
        "log levels": [logging.getLogger(name).level for name in ("mlflow", "alembic")],
        "pyplot": "matplotlib.pyplot" in sys.modules,
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("demo")
    empty = tmp_path_factory.mktemp("working-directory")
    database, artifact_root = folder / "mlflow.db", folder / "artifacts of the demo"
    uri = f"sqlite:///{database}"
    interrupt_at = sum(plan.size for plan in demo_experiments()[:2]) + EARLY_RUNS
    progress: list[tuple[str, int, int]] = []

    def interrupt(name: str, done: int, total: int) -> None:
        if done == interrupt_at:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(io.StringIO()) as printed:
        patch.chdir(empty)
        before = global_state()
        with pytest.raises(KeyboardInterrupt):
            build_demo(uri, artifact_root, interrupt)
        client = MlflowClient(tracking_uri=uri)
        half_built = {e.name: dict(e.tags) for e in client.search_experiments()}
        ids = {e.name: e.experiment_id for e in client.search_experiments()}
        kept = client.search_runs([ids[DIABETES], ids[SCREENING]])
        foreign = client.create_run(ids[DIGITS], run_name="mine")
        report = build_demo(uri, artifact_root, lambda *step: progress.append(step))
        after = global_state()
        strewn = [path.name for path in empty.iterdir()]
    yield Built(
        uri,
        database,
        artifact_root,
        folder,
        half_built,
        frozenset(run.info.run_id for run in kept),
        foreign.info.run_id,
        report,
        progress,
        printed.getvalue(),
        before,
        after,
        strewn,
    )


def load_table(built: Built, monkeypatch: pytest.MonkeyPatch, run: Run, path: str) -> pd.DataFrame:
    # MLflow looks for tables and for runs:/ in the global tracking store, whatever its client was given.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", built.uri)
    return built.client.load_table(run.info.experiment_id, path, run_ids=[run.info.run_id])


def outcome(run: Run) -> tuple[object, ...]:
    """Everything of a run that has to be the same in every build, NaN made comparable."""
    metrics = {key: repr(value) for key, value in run.data.metrics.items() if key != "fit_seconds"}
    return (
        run.info.run_name,
        run.info.status,
        tuple(run.data.params.items()),
        tuple(sorted(metrics.items())),
    )


def planned_runs(experiment: ExperimentPlan | BacktestExperiment) -> list[str]:
    names: list[str] = []
    for entry in experiment.entries:
        names.append(entry.name)
        if isinstance(entry, SweepPlan):
            names.extend(child.name for child in entry.children)
    return names


def test_every_experiment_holds_all_planned_runs(built: Built) -> None:
    plans = demo_experiments()
    backtests = backtest_experiments()
    assert [plan.name for plan in plans] == [DIABETES, SCREENING, DIGITS]
    shops = store_experiment(None)
    assert list(built.report.experiments) == [plan.name for plan in (*plans, *backtests, shops)]
    assert shops.size == len(built.runs(shops.name)) == 3 * (1 + STORES)
    assert sum(plan.size for plan in backtests) == 40
    for plan in (*plans, *backtests):
        names = [run.info.run_name for run in built.runs(plan.name)]
        assert Counter(names) == Counter(planned_runs(plan))
        assert len(set(names)) == len(names) == plan.size
    assert sum(plan.size for plan in plans) >= 64


def test_artifacts_lie_under_the_artifact_root(built: Built) -> None:
    run = built.run(DIGITS, "logistic C=0.3")
    files = list((built.artifact_root / DIGITS / run.info.run_id).rglob("*.*"))
    assert {file.name for file in files} >= {"predictions.parquet", "config.yaml"}


def test_every_finished_run_has_the_metrics_of_its_task(built: Built) -> None:
    expected = {
        DIABETES: {"train_rmse", "test_rmse", "test_mae", "test_r2", "fit_seconds"},
        SCREENING: {"train_accuracy", "test_accuracy", "test_f1", "test_roc_auc", "fit_seconds"},
        DIGITS: {"train_accuracy", "test_accuracy", "test_f1", "test_roc_auc", "fit_seconds"},
    }
    for experiment, keys in expected.items():
        finished = [run for run in built.runs(experiment) if run.info.status == "FINISHED"]
        for run in finished:
            assert keys <= run.data.metrics.keys(), run.info.run_name
            assert all(math.isfinite(value) for value in run.data.metrics.values()), run.info.run_name
            assert run.info.start_time <= run.info.end_time
        assert {"team", "model_type", "dataset_version", "mlflow.user"} <= finished[0].data.tags.keys()
        assert len({run.info.user_id for run in finished}) > 1
        assert sum("mlflow.note.content" in run.data.tags for run in finished) >= 1


def test_models_beat_the_baseline(built: Built) -> None:
    baseline = built.run(DIABETES, "mean of the training set").data.metrics["test_rmse"]
    assert built.run(DIABETES, "ridge alpha=1").data.metrics["test_rmse"] < 0.8 * baseline
    assert max(run.data.metrics.get("test_accuracy", 0) for run in built.runs(DIGITS)) > 0.95


def test_the_direction_of_every_metric_is_written_down(built: Built) -> None:
    for name in (DIABETES, SCREENING, DIGITS):
        tags = built.client.get_experiment_by_name(name).tags
        directions = json.loads(tags["greenroom.higher_is_better"])
        logged = {key for run in built.runs(name) for key in run.data.metrics}
        assert set(directions) == logged
        higher = {"r2", "accuracy", "f1", "roc_auc"}
        assert {key for key in directions if directions[key]} == {
            key for key in logged if key.partition("_")[2] in higher
        }


@pytest.mark.parametrize(
    ("experiment", "name", "points"),
    [
        (DIABETES, "network lr=0.002", 60),
        (SCREENING, "hist boosting lr=0.03", 60),
        (DIGITS, "MLP 64 lr=0.001", 40),
    ],
)
def test_epochs_and_stages_leave_histories(built: Built, experiment: str, name: str, points: int) -> None:
    run = built.run(experiment, name)
    for key in ("train_loss", "val_loss"):
        history = sorted(
            built.client.get_metric_history(run.info.run_id, key), key=lambda metric: metric.step
        )
        assert [metric.step for metric in history] == list(range(1, points + 1))
        times = [metric.timestamp for metric in history]
        assert times == sorted(times)
        assert run.info.start_time <= times[0] < times[-1] <= run.info.end_time
        assert history[-1].value < history[0].value
        assert history[-1].value == run.data.metrics[key]


def test_a_metric_with_a_history_has_one_value_a_step(built: Built) -> None:
    run = built.run(DIGITS, "MLP 64 lr=0.01")
    steps = Counter(m.step for m in built.client.get_metric_history(run.info.run_id, "val_accuracy"))
    assert set(steps.values()) == {1}


def test_a_sweep_repeats_the_metrics_of_its_best_child(built: Built) -> None:
    for experiment, name, metric, best in (
        (DIABETES, "boosting sweep", "val_rmse", min),
        (SCREENING, "SVC sweep", "val_accuracy", max),
    ):
        parent = built.run(experiment, name)
        children = [
            run
            for run in built.runs(experiment)
            if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
        ]
        assert len(children) == 9
        value = best(child.data.metrics[metric] for child in children)
        assert parent.data.metrics[metric] == value
        chosen = built.client.get_run(parent.data.tags["best_child_run_id"])
        assert chosen.data.metrics == parent.data.metrics
        assert all(parent.info.start_time <= child.info.start_time for child in children)
        assert all(child.info.end_time <= parent.info.end_time for child in children)


def test_seeds_of_one_configuration_differ_in_the_seed_and_the_result_only(built: Built) -> None:
    for experiment, prefix in ((DIABETES, "forest depth=6 seed="), (DIGITS, "MLP 32 seed=")):
        runs = [run for run in built.runs(experiment) if run.info.run_name.startswith(prefix)]
        assert {run.data.params["seed"] for run in runs} == {"1", "2", "3", "4", "5"}
        assert len({tuple(v for k, v in sorted(run.data.params.items()) if k != "seed") for run in runs}) == 1
        assert len({run.data.metrics["val_loss" if "MLP" in prefix else "test_rmse"] for run in runs}) == 5


def test_datasets_are_logged_with_hashes_that_anyone_can_recompute(built: Built) -> None:
    frame = load_diabetes(as_frame=True, scaled=False)
    names = list(load(DataVersion.DIABETES_V1).train.x.columns)
    rows = b"".join(np.float64(v).tobytes() for row in frame.frame.to_numpy() for v in row)
    expected = hashlib.sha256(json.dumps(names).encode() + rows).hexdigest()
    run = built.run(DIABETES, "ridge alpha=1")
    assert run.data.tags["dataset_hash_full"] == expected
    assert run.data.params["dataset_hash"] == expected[:16]

    inputs = {item.tags[0].value: item.dataset for item in run.inputs.dataset_inputs}
    assert {"training", "eval"} <= inputs.keys()
    assert {dataset.name for dataset in inputs.values()} == {"diabetes"}
    assert len({dataset.digest for dataset in inputs.values()}) == len(inputs)
    assert "blood_pressure" in inputs["training"].schema


@pytest.mark.parametrize(
    ("experiment", "first", "second"),
    [
        (DIABETES, "ridge alpha=0.1", "ridge alpha=0.1 (v2)"),
        (SCREENING, "logistic C=1 balanced", "logistic C=1 balanced (v2)"),
    ],
)
def test_two_versions_of_the_data_are_told_apart(
    built: Built, experiment: str, first: str, second: str
) -> None:
    runs = [built.run(experiment, name) for name in (first, second)]
    assert [run.data.tags["dataset_version"] for run in runs] == ["v1", "v2"]
    assert len({run.data.params["dataset_hash"] for run in runs}) == 2
    digests = [{item.dataset.digest for item in run.inputs.dataset_inputs} for run in runs]
    assert not digests[0] & digests[1]


def test_diverged_runs_failed_with_a_loss_that_is_not_finite(built: Built) -> None:
    failed = [run for run in built.runs(DIABETES) if run.info.status == "FAILED"]
    assert {run.info.run_name for run in failed} == {"network lr=0.01", "network lr=0.03"}
    for run in failed:
        history = [m.value for m in built.client.get_metric_history(run.info.run_id, "val_loss")]
        # MLflow's SQL store keeps infinity as the largest double.
        finite = [math.isfinite(value) and value < sys.float_info.max for value in history]
        assert len(finite) > 1
        assert finite[:-1] == [True] * (len(finite) - 1)
        assert finite[-1] is False
        assert "lower learning_rate" in run.data.tags["failure_reason"]
        path = built.client.download_artifacts(run.info.run_id, "traceback.txt")
        assert "TrainingDivergedError: The validation loss was" in Path(path).read_text()


def test_a_run_was_killed_before_its_last_epoch(built: Built) -> None:
    (killed,) = (
        run
        for name in (DIABETES, SCREENING, DIGITS)
        for run in built.runs(name)
        if run.info.status == "KILLED"
    )
    history = built.client.get_metric_history(killed.info.run_id, "val_loss")
    assert 20 < len(history) < int(killed.data.params["epochs"])
    assert killed.data.tags["stop_reason"] == f"Stopped by hand after epoch {len(history)} of 400."


def test_a_name_in_another_script_with_quotes_and_blanks_survives(built: Built) -> None:
    run = built.run(DIABETES, "岭回归 “夜间” – α = 0,5 'final'")
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.note.content"].startswith("夜间运行")


def test_a_json_table_gives_the_logged_measure(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    run = built.run(DIABETES, "ridge alpha=1")
    table = load_table(built, monkeypatch, run, "evaluation/predictions.json")
    rmse = root_mean_squared_error(table["actual"], table["predicted"])
    assert rmse == pytest.approx(run.data.metrics["test_rmse"], rel=1e-9)
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [
        {"path": "evaluation/predictions.json", "type": "table"}
    ]


def test_a_parquet_table_gives_the_logged_measure(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    run = built.run(DIGITS, "MLP 64 lr=0.01")
    table = load_table(built, monkeypatch, run, "evaluation/predictions.parquet")
    assert list(table.columns) == ["actual", "predicted"]
    assert accuracy_score(table["actual"], table["predicted"]) == run.data.metrics["test_accuracy"]


def test_files_of_a_run_can_be_read(built: Built, tmp_path: Path) -> None:
    run = built.run(DIABETES, "ridge alpha=0.1 (v2)")
    folder = Path(built.client.download_artifacts(run.info.run_id, "", str(tmp_path)))
    assert matplotlib.image.imread(folder / "figures" / "predictions.png").std() > 0
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["model"] == {"type": "ridge", "seed": 7, "params": {"alpha": 0.1}}
    assert config["data"]["sha256"] == run.data.tags["dataset_hash_full"]
    importance = pd.read_csv(folder / "feature_importance.csv")
    assert sorted(importance["feature"]) == sorted(config["data"]["features"])
    assert importance["importance"].is_monotonic_decreasing
    assert run.data.tags["mlflow.note.content"] in (folder / "notes.txt").read_text()


@pytest.mark.parametrize(
    ("experiment", "name", "table"),
    [
        (DIABETES, "ridge alpha=10", "evaluation/predictions.json"),
        (SCREENING, "logistic C=0.1 balanced", "evaluation/predictions.json"),
        (DIGITS, "logistic C=0.3", "evaluation/predictions.parquet"),
    ],
)
def test_logged_models_predict_what_the_table_holds(
    built: Built, monkeypatch: pytest.MonkeyPatch, experiment: str, name: str, table: str
) -> None:
    run = built.run(experiment, name)
    (output,) = run.outputs.model_outputs
    logged = built.client.get_logged_model(output.model_id)
    assert (logged.name, logged.status, logged.source_run_id) == ("model", "READY", run.info.run_id)
    measured = {metric.key: metric.value for metric in logged.metrics}
    assert measured == run.data.metrics

    expected = load_table(built, monkeypatch, run, table)
    model = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
    version = {DIABETES: DataVersion.DIABETES_V1, SCREENING: DataVersion.BREAST_CANCER_V1}.get(
        experiment, DataVersion.DIGITS_V1
    )
    np.testing.assert_allclose(model.predict(load(version).test.x), expected["predicted"])


def test_registered_models_have_versions_in_every_stage(built: Built) -> None:
    assert built.report.models == (PROGRESSION, SALES)
    assert built.report.versions == 10
    assert {one.name for one in built.client.search_registered_models()} == {
        PROGRESSION,
        SALES,
        AGENT_MODEL,
    }
    assert built.stages(PROGRESSION) == {
        1: "Archived",
        2: "Production",
        3: "Archived",
        4: "Archived",
        5: "Staging",
        6: "None",
    }
    assert built.stages(SALES) == {1: "Archived", 2: "Production", 3: "Staging", 4: "None"}
    assert registries.aliases(built.client, PROGRESSION) == {"production": 2, "staging": 5}
    assert registries.aliases(built.client, SALES) == {"production": 2, "staging": 3}
    for name in (PROGRESSION, SALES):
        found = built.client.get_registered_model(name)
        assert "greenroom.demo" in found.tags
        assert "greenroom.demo_building" not in found.tags
        assert "demo" in found.description


def test_what_is_in_production_predicts(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", built.uri)
    patients = load(DataVersion.DIABETES_V1).test
    model = mlflow.pyfunc.load_model(f"models:/{PROGRESSION}/Production")
    champion = built.run(DIABETES, "ridge alpha=10")
    error = root_mean_squared_error(patients.y, model.predict(patients.x))
    assert error == pytest.approx(champion.data.metrics["test_rmse"], rel=1e-9)

    sales = mlflow.pyfunc.load_model(f"models:/{SALES}/Production")
    names = [one.name for one in sales.metadata.get_input_schema().inputs]
    row = {name: [1.0] for name in names} | {"level": [8.0], "store": ["S001"]}
    (predicted,) = sales.predict(pd.DataFrame(row))
    assert predicted > 0


def test_requests_wait_and_were_rejected_and_a_rollback_is_recorded(built: Built) -> None:
    with built.desk() as desk:
        states = {(one.model, one.version): one.state for one in desk.requests()}
        assert states == {
            (PROGRESSION, 2): RequestState.PROMOTED,
            (PROGRESSION, 3): RequestState.PROMOTED,
            (PROGRESSION, 4): RequestState.REJECTED,
            (PROGRESSION, 5): RequestState.WAITING,
            (SALES, 2): RequestState.PROMOTED,
            (SALES, 3): RequestState.WAITING,
        }
        assert [one.version for one in reigns(desk.events(PROGRESSION))] == [1, 2, 3, 2]
        assert [one.version for one in reigns(desk.events(SALES))] == [1, 2]
        assert {one.actor for one in desk.trail.events()} == {"amara", "jonas", "mei", "lucia", "tomas"}
        assert desk.trail.verify().whole
        assert desk.look() == ()


def test_the_champion_gate_lets_one_pipeline_pass_and_not_another(built: Built) -> None:
    with built.desk() as desk:
        verdicts = {}
        for request in desk.requests(SALES):
            gates = desk.frozen(request.dossier_hash).content["gates"]["gates"]
            verdicts[request.version] = {gate["name"]: gate["passed"] for gate in gates}
    # Nothing that was dated back claims to have loaded a model.
    assert verdicts == {
        2: {"soak": True, "champion": True},
        3: {"smoke": True, "soak": True, "champion": False},
    }


def test_history_is_dated_back_in_order_and_load_tests_are_not(built: Built) -> None:
    now = datetime.now(UTC)
    with built.desk() as desk:
        events = desk.trail.events()[::-1]
        tests = {
            (name, version): test
            for name in (PROGRESSION, SALES)
            for version, test in desk.model(name).load_tests.items()
        }
    times = [event.at for event in events]
    assert times == sorted(times)
    assert now - times[0] > timedelta(weeks=5)
    assert {key: test.passed for key, test in tests.items()} == {
        (PROGRESSION, 1): True,
        (PROGRESSION, 5): True,
        (SALES, 3): True,
    }
    assert all(now - test.at < timedelta(hours=1) for test in tests.values())


def test_a_killed_build_leaves_its_mark(built: Built) -> None:
    for complete in (DIABETES, SCREENING):
        assert "greenroom.demo" in built.half_built[complete]
        assert "greenroom.demo_building" not in built.half_built[complete]
    assert "greenroom.demo" not in built.half_built[DIGITS]
    assert "greenroom.demo_building" in built.half_built[DIGITS]


def test_jobs_ran_on_the_training_desk_and_the_agent_was_retrained(built: Built) -> None:
    workspace = Workspace(demo_settings(built.uri, built.home, None))
    jobs = workspace.training.jobs()
    assert [(job.entry_point, str(job.state)) for job in jobs] == [
        ("rl", "finished"),
        ("rl", "finished"),
        ("stores", "finished"),
    ]
    assert built.report.jobs == 3
    for job in jobs:
        run = built.client.get_run(str(job.run_id))
        assert (run.info.status, run.data.tags["greenroom.job"]) == ("FINISHED", str(job.id))
    schedule = workspace.training.schedules.of(AGENT_MODEL)
    assert schedule is not None
    assert (schedule.interval_days, schedule.enabled) == (7, True)
    (retraining,) = workspace.training.schedules.retrainings(AGENT_MODEL)
    assert str(retraining.outcome) == "staged"
    assert retraining.verdict is not None
    assert built.stages(AGENT_MODEL) == {1: "Production", 2: "Staging"}
    assert trainings_left(workspace.settings) == ()
    workspace.close()


def test_what_is_half_built_is_replaced_and_the_rest_kept(built: Built) -> None:
    assert built.report.already_there is False
    assert built.report.runs == demo_experiments()[2].size + 40 + store_experiment(None).size
    complete = {run.info.run_id for name in (DIABETES, SCREENING) for run in built.runs(name)}
    assert complete == built.kept_runs
    assert len(built.runs(DIGITS, ViewType.DELETED_ONLY)) == EARLY_RUNS
    assert built.client.get_run(built.foreign_run).info.lifecycle_stage == "active"
    for name in (DIABETES, SCREENING, DIGITS):
        tags = built.client.get_experiment_by_name(name).tags
        assert "greenroom.demo" in tags
        assert "greenroom.demo_building" not in tags


def test_two_builds_give_the_same_runs(built: Built) -> None:
    abandoned = {outcome(run) for run in built.runs(DIGITS, ViewType.DELETED_ONLY)}
    assert abandoned <= {outcome(run) for run in built.runs(DIGITS)}


def test_progress_counts_to_the_end(built: Built) -> None:
    left = (demo_experiments()[2], *backtest_experiments())
    names = [name for experiment in left for name in planned_runs(experiment)]
    for pipeline in store_experiment(None).entries:
        names += [f"{pipeline.name}, store {number} of {STORES}" for number in range(1, STORES + 1)]
        names.append(pipeline.name)
    trainings = [name for name, _, _ in built.progress[-5:]]
    steps = sum(plan.size for plan in model_plans(store_experiment(None))) + len(trainings)
    expected = [(name, done, len(names) + steps) for done, name in enumerate(names, start=1)]
    assert built.progress[: len(names)] == expected
    assert [done for _, done, _ in built.progress] == list(range(1, len(names) + steps + 1))
    assert built.progress[-6][0].startswith(SALES)
    assert trainings == [
        "ridge for ten stores",
        "ppo on the S&P 500",
        "index-trader v1 in Production",
        "index-trader is retrained weekly",
        "index-trader is retrained",
    ]


def test_backtests_are_what_plain_mlflow_reads_and_the_core_measures(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    for experiment, name in (("sp500-rules", "momentum 252 long-short"), ("wti-rules", "MA 20/200")):
        run = built.run(experiment, name)
        assert run.info.status == "FINISHED"
        table = load_table(built, monkeypatch, run, "backtest/portfolio_values.json")
        returns = table["value"].pct_change().dropna()
        sharpe = returns.mean() / returns.std() * math.sqrt(252)
        assert run.data.metrics["sharpe_ratio"] == pytest.approx(sharpe, rel=1e-9)
        gained = table["value"].iloc[-1] - table["value"].iloc[0]
        trades = load_table(built, monkeypatch, run, "backtest/trades.json")
        assert trades["pnl"].sum() == pytest.approx(gained, abs=1e-3)
        assert run.data.params["costs_bps"] in ("2.0", "4.0")


def test_the_directions_of_backtest_metrics_are_written_down(built: Built) -> None:
    for plan in backtest_experiments():
        tags = built.client.get_experiment_by_name(plan.name).tags
        logged = {key for run in built.runs(plan.name) for key in run.data.metrics}
        assert set(json.loads(tags["greenroom.higher_is_better"])) == logged


def test_seeds_of_the_noisy_rule_differ_in_seed_and_result_only(built: Built) -> None:
    runs = [run for run in built.runs("sp500-rules") if "noisy" in run.info.run_name]
    assert len(runs) == 11
    assert len({tuple(v for k, v in sorted(run.data.params.items()) if k != "seed") for run in runs}) == 1
    assert len({run.data.metrics["total_return"] for run in runs}) == 11


def test_pipelines_over_generated_sales_say_so_and_beat_last_week(built: Built) -> None:
    runs = built.runs("store-sales")
    parents = {run.info.run_name: run for run in runs if "mlflow.parentRunId" not in run.data.tags}
    assert set(parents) == {pipeline.name for pipeline in store_experiment(None).entries}
    for run in parents.values():
        assert run.data.tags["generated_data"] == GENERATED_NOTE
        assert run.info.status == "FINISHED"
        assert run.data.metrics["total_stores_attempted"] == STORES
        # Two stores break so that nothing can be learned from them.
        failed = [one for one in runs if one.data.tags.get("mlflow.parentRunId") == run.info.run_id]
        failed = [one for one in failed if one.info.status == "FAILED"]
        codes = {one.data.params["store_code"] for one in failed}
        assert codes == {"S019", "S024"} <= {one.store for one in BREAKAGES}
        assert all(one.data.tags["failure"] for one in failed)
    naive = parents["last week again"].data.metrics["test_wape"]
    for name in ("a model a store", "one model for all"):
        assert parents[name].data.metrics["test_wape"] < 0.7 * naive


def test_the_generated_sales_are_kept_for_whoever_trains_on_them(built: Built) -> None:
    kept = pd.read_parquet(built.artifact_root / "generated-sales.parquet")
    assert len(kept) == generate_sales(STORES).height


def test_no_global_state_is_changed_and_nothing_printed(built: Built) -> None:
    assert built.state_after == built.state_before
    assert built.strewn == []
    assert built.printed == ""


def test_a_second_build_finds_everything_there(built: Built) -> None:
    before = [run.info.run_id for name in built.report.experiments for run in built.runs(name)]
    models = {one.name: dict(one) for one in built.client.search_registered_models()}
    with built.desk() as desk:
        events = desk.trail.count()
    progress: list[str] = []
    report = build_demo(built.uri, built.artifact_root, lambda name, done, total: progress.append(name))
    assert report.already_there is True
    assert report.runs == report.versions == 0
    assert progress == []
    assert [run.info.run_id for name in built.report.experiments for run in built.runs(name)] == before
    assert repr({one.name: dict(one) for one in built.client.search_registered_models()}) == repr(models)
    with built.desk() as desk:
        assert desk.trail.count() == events


def test_a_demo_in_the_trash_is_restored_without_its_abandoned_runs(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Jobs are Greenroom's own, and this store is another one to it.
    monkeypatch.setattr("core.demo.record_trainings.trainings_left", lambda settings: ())
    copy = tmp_path / "copy.db"
    shutil.copy(built.database, copy)
    trashed = replace(built, uri=f"sqlite:///{copy}")
    before = {run.info.run_id for run in trashed.runs(DIGITS)}
    experiment = trashed.client.get_experiment_by_name(DIGITS)
    trashed.client.delete_experiment(experiment.experiment_id)
    report = build_demo(trashed.uri, tmp_path / "artifacts")
    assert report.already_there is True
    assert trashed.client.get_experiment_by_name(DIGITS).lifecycle_stage == "active"
    assert {run.info.run_id for run in trashed.runs(DIGITS)} == before


@pytest.mark.parametrize("trashed", [False, True], ids=["active", "in the trash"])
def test_an_experiment_of_somebody_else_is_refused_and_left_alone(tmp_path: Path, trashed: bool) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    foreign = client.create_experiment(DIGITS, artifact_location=tmp_path.as_uri())
    run = client.create_run(foreign)
    if trashed:
        client.delete_experiment(foreign)
    with pytest.raises(BadInputError, match=rf"'{DIGITS}'.*Rename"):
        build_demo(uri, tmp_path / "artifacts")
    found = client.search_experiments(view_type=ViewType.ALL)
    assert {experiment.name for experiment in found} == {"Default", DIGITS}
    assert client.get_experiment(foreign).tags == {}
    stage = "deleted" if trashed else "active"
    assert client.get_experiment(foreign).lifecycle_stage == stage
    assert client.get_run(run.info.run_id).info.lifecycle_stage == stage


def test_a_second_builder_is_kept_out(built: Built) -> None:
    lock = FileLock(built.artifact_root / ".greenroom-demo.lock")
    with lock, pytest.raises(GreenroomError, match="Another process is building"):
        build_demo(built.uri, built.artifact_root)
    assert build_demo(built.uri, built.artifact_root).already_there


def test_a_store_that_mlflow_cannot_open_is_named_as_the_cause(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"tracking store answered: .*nosuchscheme"):
        build_demo("nosuchscheme://somewhere", tmp_path)


@pytest.mark.parametrize("entry", [0, 2], ids=["regression", "digits"])
def test_training_is_the_same_every_time(entry: int) -> None:
    plan = next(
        run
        for run in demo_experiments()[entry].entries
        if isinstance(run, RunPlan) and run.model is ModelKind.MLP
    )
    short = replace(plan, params={**plan.params, "epochs": 5})
    epochs: list[list[Epoch]] = [[], []]
    trained = [train(short, load(plan.data), seen.append) for seen in epochs]
    first, second = (
        {key: value for key, value in one.metrics.items() if key != "fit_seconds"} for one in trained
    )
    assert first == second
    assert [epoch.metrics for epoch in epochs[0]] == [epoch.metrics for epoch in epochs[1]]
    other = train(replace(short, seed=8), load(plan.data), lambda epoch: None)
    assert any(other.metrics[key] != first[key] for key in first)


def test_training_reports_the_epochs_before_it_diverges_or_is_stopped() -> None:
    plan = RunPlan(
        "x",
        ModelKind.MLP,
        DataVersion.DIABETES_V1,
        {"hidden_units": 4, "learning_rate": 0.03, "epochs": 50, "solver": "sgd"},
    )
    seen: list[Epoch] = []
    with pytest.raises(TrainingDivergedError):
        train(plan, load(plan.data), seen.append)
    assert 0 < len(seen) < 50
    assert not math.isfinite(seen[-1].metrics["val_loss"])

    calm = replace(plan, params={**plan.params, "learning_rate": 0.001}, stop_after=2)
    seen.clear()
    with pytest.raises(TrainingStoppedError, match="after epoch 2 of 50"):
        train(calm, load(plan.data), seen.append)
    assert [epoch.step for epoch in seen] == [1, 2]
