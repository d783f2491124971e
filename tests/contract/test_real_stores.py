"""Real stores, of MLflow 1.26 to 2.21: `greenroom` answers what MLflow itself answers on a copy."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from core.cli import cli
from core.runs.filters import equals, quote_key
from tests import plain, stores

PLACES = (
    "zoomcamp_mlflow126/mlflow.db",
    "zoomcamp_mlflow126/homework.db",
    "forexrisk/mlruns.db",
    "forexrisk/mlruns",
    "vivix_registry_filestore",
    "rl_trading_sb3_filestore",
    "coffee_forecast_filestore",
)
WITH_DELETED_RUNS = {
    "zoomcamp_mlflow126/mlflow.db",
    "zoomcamp_mlflow126/homework.db",
    "vivix_registry_filestore",
}


@dataclass(frozen=True)
class RealStore:
    """The original, read by Greenroom, and a copy, read by MLflow, which may change it."""

    original: str
    client: MlflowClient
    home: Path
    common: dict[str, tuple[str, Any]]

    def greenroom(self, *arguments: str) -> Any:
        result = CliRunner(env={"GREENROOM_HOME": str(self.home)}).invoke(
            cli, [*arguments, "--tracking-uri", self.original, "--json"], catch_exceptions=False
        )
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def mlflow(self, text: str = "", order: str | None = None, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
        ids = [one.experiment_id for one in self.client.search_experiments()]
        return list(
            self.client.search_runs(
                ids, text, run_view_type=view, order_by=[order] if order else None, max_results=10_000
            )
        )


def most_common(runs: list[Run]) -> dict[str, tuple[str, Any]]:
    """Choose what to filter by: the metric, param and tag that most runs have, with a telling value."""
    found: dict[str, tuple[str, Any]] = {}
    for table in ("metrics", "params", "tags"):
        counts = Counter(key for run in runs for key in getattr(run.data, table))
        if table == "tags":
            counts = Counter({key: n for key, n in counts.items() if not key.startswith("mlflow.")}) or counts
        key = min(counts, key=lambda one: (-counts[one], one))
        values = [getattr(run.data, table)[key] for run in runs if key in getattr(run.data, table)]
        found[table] = (key, median(values) if table == "metrics" else Counter(values).most_common(1)[0][0])
    return found


@pytest.fixture(scope="module", params=PLACES)
def real(
    request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealStore]:
    original = shared_data / "mlflow" / request.param
    folder = tmp_path_factory.mktemp("real")
    copy = stores.writable_copy(original, folder / "copy" / original.name)
    scheme = "sqlite:///{}" if original.is_file() else "file://{}"
    client = MlflowClient(scheme.format(copy))
    before, beside = plain.hashes(original), sorted(original.parent.iterdir())
    common = most_common(plain.mlflow_runs(client, ViewType.ACTIVE_ONLY))
    yield RealStore(scheme.format(original), client, folder / "greenroom", common)
    assert plain.hashes(original) == before
    assert sorted(original.parent.iterdir()) == beside


def as_json(run: Run) -> dict[str, Any]:
    """Return a run of MLflow as the JSON contract has it."""
    info, data = run.info, run.data
    return {
        "run_id": info.run_id,
        "experiment_id": info.experiment_id,
        "run_name": info.run_name or "",
        "status": info.status,
        "lifecycle_stage": info.lifecycle_stage,
        "start_time": _iso(info.start_time),
        "end_time": _iso(info.end_time),
        "user": info.user_id or "",
        "parent_run_id": data.tags.get("mlflow.parentRunId"),
        "params": data.params,
        "metrics": {key: value if math.isfinite(value) else None for key, value in data.metrics.items()},
        "tags": data.tags,
        "datasets": [
            {
                "name": one.dataset.name,
                "digest": one.dataset.digest,
                "context": next((tag.value for tag in one.tags if tag.key == plain.CONTEXT_TAG), None),
            }
            for one in run.inputs.dataset_inputs
        ],
    }


def _iso(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def same(ours: Any, theirs: list[Run]) -> None:
    assert [one["run_id"] for one in ours["runs"]] == [run.info.run_id for run in theirs]
    assert ours["total"] == len(theirs)
    assert ours["runs"] == [as_json(run) for run in theirs]


def test_experiments(real: RealStore) -> None:
    runs = Counter(run.info.experiment_id for run in real.mlflow())
    theirs = [
        {
            "experiment_id": one.experiment_id,
            "name": one.name,
            "lifecycle_stage": one.lifecycle_stage,
            "runs": runs[one.experiment_id],
        }
        for one in sorted(real.client.search_experiments(), key=lambda one: int(one.experiment_id))
    ]
    assert real.greenroom("experiments") == theirs


def test_all_runs(real: RealStore) -> None:
    theirs = real.mlflow()
    assert theirs
    same(real.greenroom("runs", "--limit", "0"), theirs)


def test_deleted_runs(real: RealStore, request: pytest.FixtureRequest) -> None:
    theirs = real.mlflow(view=ViewType.DELETED_ONLY)
    assert bool(theirs) == (request.node.callspec.params["real"] in WITH_DELETED_RUNS)
    same(real.greenroom("runs", "--limit", "0", "--view", "deleted"), theirs)
    every = real.mlflow(view=ViewType.ALL)
    same(real.greenroom("runs", "--limit", "0", "--view", "all"), every)


def filters_on(real: RealStore) -> list[str]:
    metric, middle = real.common["metrics"]
    param, value = real.common["params"]
    tag, text = real.common["tags"]
    metric, param, tag = quote_key(metric), quote_key(param), quote_key(tag)
    return [
        f"metrics.{metric} > {middle}",
        f"metrics.{metric} <= {middle}",
        str(equals(f"params.{param}", value)),
        f"params.{param} != 'no such value'",
        str(equals(f"tags.{tag}", text)),
        f"tags.{tag} ILIKE '%{text[:1]}%' AND metrics.{metric} >= {middle}",
        f"params.{param} IS NULL",
        "attributes.status = 'FAILED'",
    ]


def test_filters(real: RealStore) -> None:
    sizes = []
    for text in filters_on(real):
        theirs = real.mlflow(text)
        same(real.greenroom("runs", "--limit", "0", "--filter", text), theirs)
        sizes.append(len(theirs))
    assert max(sizes) > 0, "the filters matched nothing: they compare nothing"


def test_orders(real: RealStore) -> None:
    orders = []
    for table in ("metrics", "params", "tags"):
        key = quote_key(real.common[table][0])
        orders += [f"{table}.{key} ASC", f"{table}.{key} DESC"]
    for order in (*orders, "attributes.start_time ASC", "attributes.end_time DESC"):
        same(real.greenroom("runs", "--limit", "0", "--order-by", order), real.mlflow(order=order))


def test_a_page_out_of_the_middle(real: RealStore) -> None:
    theirs = real.mlflow()
    found = real.greenroom("runs", "--limit", "3", "--offset", "2")
    assert found["total"] == len(theirs)
    assert [one["run_id"] for one in found["runs"]] == [run.info.run_id for run in theirs[2:5]]
