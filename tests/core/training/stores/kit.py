"""Sales to train on, pipelines in this process and in others, and what they logged, read back by MLflow alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import polars as pl
from mlflow import MlflowClient
from mlflow.entities import Run

from core.demo.generated_sales import generate_sales
from core.training.stores.features import Design, build_design
from core.training.stores.fitting import Recipe, StoreTask
from core.training.stores.models import ModelKind
from core.training.stores.pipeline import PipelineOptions, PipelineReport, run_pipeline
from core.training.stores.sales import Sales, read_sales

REPOSITORY = Path(__file__).resolve().parents[4]
TABLE = "forecast/predictions.parquet"
NAMES = ("mlflow.parentRunId", "mlflow.runName")
# Of the checkout, in which somebody may work while the tests run.
CHECKOUT = ("git_commit_sha", "git_dirty", "mlflow.source.git.commit", "reproducibility_verified")
# Trees of the one model, instead of GLOBAL_ROUNDS.
ROUNDS = 40
KINDS = tuple(ModelKind)
OF_A_STORE = tuple(kind for kind in ModelKind if kind is not ModelKind.GLOBAL)


def csv(path: Path, frame: pl.DataFrame) -> Path:
    """Write sales as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_csv(path)
    return path


def read(path: Path, text: str, **options: Any) -> Sales:
    """Write a text into a file and read it as sales."""
    path.write_text(text, encoding="utf-8")
    return read_sales(path, **options)


def usual(stores: int = 3, days: int = 260, seed: int = 20) -> pl.DataFrame:
    """Generated daily sales."""
    return generate_sales(stores, days, seed)


def weekly(stores: int = 2, weeks: int = 130, seed: int = 3) -> pl.DataFrame:
    """Weekly sales with a yearly season, on Fridays, of the columns store, week, sales and promo."""
    rng = np.random.default_rng(seed)
    first = date(2022, 1, 7)
    parts = []
    for number in range(1, stores + 1):
        at = np.arange(weeks)
        promo = rng.integers(0, 2, weeks)
        level = 6 + number + 0.3 * np.sin(2 * np.pi * at / 52) + 0.1 * promo
        parts.append(
            pl.DataFrame(
                {
                    "store": [number] * weeks,
                    "week": [first + timedelta(weeks=int(week)) for week in at],
                    "sales": np.exp(level + rng.normal(0, 0.05, weeks)).round(2),
                    "promo": promo,
                }
            )
        )
    return pl.concat(parts)


def recipe(design: Design, sales: Sales, kind: ModelKind, **changes: Any) -> Recipe:
    """What a pipeline would make of a design."""
    values: dict[str, Any] = {
        "kind": kind,
        "features": design.features,
        "period": np.timedelta64(sales.frequency.days, "D"),
        "season": sales.frequency.season_length,
        "cutoff": np.datetime64(design.cutoff, "D"),
        "horizon": design.horizon,
        "min_samples": 30,
        "interval": 0.8,
        "seed": 1,
    }
    return Recipe(**(values | changes))


def tasks(design: Design) -> list[StoreTask]:
    """The stores of a design."""
    return [
        StoreTask(
            str(part["store"][0]),
            part["date"].to_numpy().astype("datetime64[D]"),
            part["sales"].to_numpy().astype(np.float64),
            part.select(design.features).fill_null(np.nan).to_numpy().astype(np.float32),
        )
        for part in design.frame.partition_by("store", maintain_order=True)
    ]


def task_of(
    frame: pl.DataFrame, folder: Path, kind: ModelKind = ModelKind.RIDGE, horizon: int = 14, **changes: Any
) -> tuple[StoreTask, Recipe]:
    """The only store of a frame, and the recipe for it."""
    sales = read_sales(csv(folder / "task.csv", frame))
    design = build_design(sales, horizon)
    (task,) = tasks(design)
    return task, recipe(design, sales, kind, **changes)


def train(client: MlflowClient, data: Path, **options: Any) -> PipelineReport:
    """Run a pipeline in this process, one store after the other, with artifacts beside the data."""
    place = (data.parent / "artifacts").as_uri()
    return run_pipeline(PipelineOptions(**({"data": data, "jobs": 1} | options)), client, place)


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that finds the project, and `python` as the one that runs the tests."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "PATH": path, **more}


def command(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the trainer as people do, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "core.training.stores", *arguments],
        capture_output=True,
        text=True,
        env=environment(**more),
        timeout=60,
        check=False,
    )


@dataclass(frozen=True)
class Logged:
    """What a run holds; tables as text of their cells, so that equal means equal to the last bit."""

    name: str
    status: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    files: tuple[str, ...]
    tables: Mapping[str, str] = field(repr=False)


def children(client: MlflowClient, run: Run) -> list[Run]:
    """The active runs of the stores of a pipeline."""
    wanted = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    return list(client.search_runs([run.info.experiment_id], wanted, max_results=1000))


def artifacts_of(client: MlflowClient, run_id: str) -> Path:
    """The folder of a run's artifacts; those behind a server are fetched."""
    place = client.get_run(run_id).info.artifact_uri
    assert place is not None
    if place.startswith("file://"):
        return Path(url2pathname(urlsplit(place).path))
    return Path(client.download_artifacts(run_id, ""))


def files_of(client: MlflowClient, run_id: str) -> list[str]:
    """Every artifact of a run."""
    place = artifacts_of(client, run_id)
    return sorted(one.relative_to(place).as_posix() for one in place.rglob("*") if one.is_file())


def table_of(client: MlflowClient, run_id: str, path: str = TABLE) -> pl.DataFrame:
    """A table that a run logged."""
    return pl.read_parquet(artifacts_of(client, run_id) / path)


def cells(frame: pl.DataFrame) -> str:
    """Every cell of a frame with all its digits: the same for the same cells in the same order, and only then."""
    return repr((frame.schema, frame.to_dict(as_series=False)))


def logged(client: MlflowClient, run: Run) -> Logged:
    """Read a run back."""
    place = artifacts_of(client, run.info.run_id)
    files = [one for one in sorted(place.rglob("*")) if one.is_file()]
    names = [one.relative_to(place).as_posix() for one in files]
    # The ids of two pipelines differ, whatever else is the same.
    found = {
        name: cells(pl.read_parquet(one).drop("run_id", strict=False))
        for name, one in zip(names, files, strict=True)
        if name.endswith(".parquet")
    }
    return Logged(
        run.info.run_name or "",
        run.info.status,
        {key: value for key, value in run.data.params.items() if key not in CHECKOUT},
        run.data.metrics,
        {key: value for key, value in run.data.tags.items() if key not in (*NAMES, *CHECKOUT)},
        tuple(names),
        found,
    )


def pipeline_of(client: MlflowClient, run_id: str) -> tuple[Logged, dict[str, Logged]]:
    """A pipeline and its stores by code; no store comes twice."""
    run = client.get_run(run_id)
    stores = children(client, run)
    codes = [one.data.tags["store_code"] for one in stores]
    assert len(codes) == len(set(codes)), "a store has two runs"
    return logged(client, run), {code: logged(client, one) for code, one in zip(codes, stores, strict=True)}


def one_sentence(done: subprocess.CompletedProcess[str], code: int) -> str:
    """What a command that failed said: no traceback, only lines of its own."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("stores: ")]
    assert len(said) == 1, done.stderr
    return said[0].removeprefix("stores: ")
