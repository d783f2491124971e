"""What a pipeline comes to as a whole: the metrics of its run, and its table of stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from core.forecasts.bands import BANDS, Band
from core.forecasts.measures import measure
from core.training.stores.store_runs import StoreRecord

_TABLE_MEASURES: Final = [
    "r2",
    "smape",
    "wape",
    "mae",
    "rmse",
    "mase",
    "bias",
    "rmspe",
    "coverage",
    "volume",
    "samples",
]
# Metrics by which people compare pipelines: means over stores that have them.
_AVERAGED: Final = ("r2", "smape")


def pipeline_metrics(records: Sequence[StoreRecord], tested: pl.DataFrame | None) -> dict[str, float]:
    """Return the metrics of a pipeline's run.

    Those of the contract (counts, `success_rate` and `quality_*_pct` in percent, avg, std and best of R2 and
    sMAPE over stores), the measures of all test periods of all stores together (`test_wape`, `test_rmse` ...), and
    sMAPE and R2 as means weighted by sales.

    Parameters
    ----------
    records : sequence of StoreRecord
        All stores, in a fixed order: sums of floats depend on it.
    tested : DataFrame or None
        The test rows of all stores; None if no store has a model.
    """
    good = [record for record in records if record.failure is None]
    found: dict[str, float] = {
        "total_stores_attempted": len(records),
        "successful_models": len(good),
        "success_rate": 100.0 * len(good) / len(records),
    }
    for name in _AVERAGED:
        values = _values(good, f"test_{name}")
        if len(values):
            best = values.max() if name == "r2" else values.min()
            found |= {
                f"avg_{name}": float(values.mean()),
                f"std_{name}": float(values.std()),
                f"best_{name}": float(best),
                f"median_{name}": float(np.median(values)),
            }
    for band in BANDS:
        count = sum(record.quality == band for record in records)
        found[f"quality_{band}_count"] = count
        found[f"quality_{band}_pct"] = 100.0 * count / len(records)
    return found if tested is None else found | _pooled(tested, good)


def _pooled(tested: pl.DataFrame, records: Sequence[StoreRecord]) -> dict[str, float]:
    """Measure all stores together, and average what is each store's own by sales."""
    actual, predicted, lower, upper = (
        tested[name].fill_null(np.nan).to_numpy() for name in ("actual", "predicted", "lower", "upper")
    )
    found = measure(actual, predicted, lower, upper).named("test")
    # R2 of all stores together says how much stores differ, not how well each is forecast.
    found.pop("test_r2", None)
    volume = np.array([record.metrics.get("test_volume", 0.0) for record in records])
    for name in ("smape", "r2"):
        there = np.array([f"test_{name}" in record.metrics for record in records])
        values = np.array([record.metrics.get(f"test_{name}", 0.0) for record in records])
        weights = np.where(there, volume, 0.0)
        if weights.sum() > 0:
            found[f"weighted_{name}"] = float((values * weights).sum() / weights.sum())
    return found


def _values(records: Sequence[StoreRecord], name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([record.metrics[name] for record in records if name in record.metrics], dtype=np.float64)


def store_table(
    records: Sequence[StoreRecord], run_ids: Mapping[str, str], sparks: Mapping[str, list[float]]
) -> pl.DataFrame:
    """Return a row a store: what it is, what it is measured by, and a line of its sales."""
    rows = [
        {
            "store": record.store,
            "partner": record.partner,
            "run_id": run_ids[record.store],
            "quality": str(record.quality or Band.UNKNOWN),
            "failure": record.failure,
            **{name: record.metrics.get(f"test_{name}") for name in _TABLE_MEASURES},
            "sales": sparks.get(record.store, []),
        }
        for record in records
    ]
    schema: dict[str, pl.DataType] = {
        **dict.fromkeys(("store", "partner", "run_id", "quality", "failure"), pl.String()),
        **dict.fromkeys(_TABLE_MEASURES, pl.Float64()),
        "sales": pl.List(pl.Float64()),
    }
    return pl.DataFrame(rows, schema=schema)
