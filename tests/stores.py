"""Stores for tests, written by MLflow itself: awkward names and values on purpose."""

from __future__ import annotations

import functools
import random
import shutil
import tempfile
from pathlib import Path

import mlflow.data
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag

PARAM_KEYS = ("lr", "optimizer", "batch size", "学习率", "co:lon", "a.b/c")
METRIC_KEYS = ("loss", "val_loss", "sharpe ratio", "acc", "指标")
TAG_KEYS = ("team", "model_type", "with blank", "mlflow.user")
WORDS = (
    "ppo",
    "PPO",
    "a2c",
    "0.1",
    "0.10",
    "10",
    "9",
    "",
    "x_y",
    "100%",
    "ünïcode",
    "Straße",
    "STRASSE",
    "模型",
    "it's",
    "a\\b",
    "tab\tend",
    "two\nlines",
    "<b>bold</b>",
)
NUMBERS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1e-12,
    1e300,
    -1e300,
    float("nan"),
    float("inf"),
    float("-inf"),
    2.0,
    3.0,
)
DATASETS = (("train", "training"), ("prices", "eval"), ("Prices_2024", "training"))


def fill(client: MlflowClient, runs: int = 40, seed: int = 0) -> list[str]:
    """Log runs with clashing starts, missing and repeated values; return the experiment ids."""
    pick = random.Random(seed)
    experiments = [client.create_experiment(name) for name in ("alpha", "beta with blank", "实验")]
    datasets = [
        (mlflow.data.from_numpy(np.arange(3 + place), name=name), context)
        for place, (name, context) in enumerate(DATASETS)
    ]
    ids = []
    for number in range(runs):
        run = client.create_run(
            pick.choice(experiments[:2]),
            start_time=1_700_000_000_000 + 1000 * pick.randrange(8),
            run_name=pick.choice((None, "same name", f"run {number}", "名前", "it's <b>")),
        )
        run_id = run.info.run_id
        ids.append(run_id)
        metrics = [
            Metric(key, pick.choice(NUMBERS), 1_700_000_000_000 + step, step)
            for key in METRIC_KEYS
            if pick.random() < 0.7
            for step in range(pick.randrange(1, 4))
        ]
        params = [Param(key, pick.choice(WORDS)) for key in PARAM_KEYS if pick.random() < 0.7]
        tags = [RunTag(key, pick.choice(WORDS)) for key in TAG_KEYS if pick.random() < 0.6]
        if len(ids) > 4 and pick.random() < 0.3:
            tags.append(RunTag("mlflow.parentRunId", pick.choice(ids[:4])))
        client.log_batch(run_id, metrics, params, tags)
        if pick.random() < 0.5:
            dataset, context = pick.choice(datasets)
            client.log_inputs(
                run_id,
                [DatasetInput(dataset._to_mlflow_entity(), [InputTag("mlflow.data.context", context)])],
            )
        ending = pick.random()
        if ending < 0.8:
            client.set_terminated(
                run_id,
                pick.choice(("FINISHED", "FAILED", "KILLED")),
                1_700_000_100_000 + 1000 * pick.randrange(5),
            )
        if pick.random() < 0.15:
            client.delete_run(run_id)
    return experiments


def sqlite_uri(folder: Path) -> str:
    """Return the URI of a SQLite store in a folder."""
    return f"sqlite:///{folder / 'mlflow.db'}"


def frame_of(n: int) -> pd.DataFrame:
    """Return a small table."""
    return pd.DataFrame({"actual": range(n), "predicted": range(n)})


@functools.cache
def _migrated() -> bytes:
    """Return the bytes of a store without runs: MLflow takes seconds to make its tables."""
    with tempfile.TemporaryDirectory() as folder:
        uri = sqlite_uri(Path(folder))
        MlflowClient(uri).search_experiments()
        return (Path(folder) / "mlflow.db").read_bytes()


def new_sqlite(folder: Path) -> str:
    """Make a SQLite store of today's schema without runs and return its URI."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mlflow.db").write_bytes(_migrated())
    return sqlite_uri(folder)


def add_run(client: MlflowClient, experiment_id: str = "0", **values: object) -> str:
    """Log one finished run of an hour ago; `values` are numbers (metrics) and texts (params)."""
    began = 1_700_000_000_000
    run_id = str(client.create_run(experiment_id, start_time=began, run_name="a run").info.run_id)
    metrics = [
        Metric(key, float(one), began, 0) for key, one in values.items() if isinstance(one, int | float)
    ]
    params = [Param(key, one) for key, one in values.items() if isinstance(one, str)]
    client.log_batch(run_id, metrics, params)
    client.set_terminated(run_id, end_time=began + 60_000)
    return run_id


def writable_copy(place: Path, target: Path) -> Path:
    """Copy a file or folder that may be read-only, so that the copy can be written to."""
    if place.is_dir():
        shutil.copytree(place, target, copy_function=shutil.copyfile)
        for folder in (target, *(one for one in target.rglob("*") if one.is_dir())):
            folder.chmod(0o755)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place, target)
    return target
