"""What a forecast is measured by, by other people's implementations: scikit-learn, utilsforecast, plain numpy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from utilsforecast import losses

BANDS = ("excellent", "good", "fair", "poor", "unknown", "failed")


def measures_of(table: pl.DataFrame, step: int, season: int) -> dict[str, float]:
    """All metrics of a store's run from its table of predictions; periods of `step` days, `season` of them a season."""
    found: dict[str, float] = {}
    for split in ("train", "test"):
        rows = table.filter(pl.col("split") == split)
        found |= {f"{split}_{name}": value for name, value in _of_rows(rows).items()}
    past = table.filter(pl.col("split") == "train")
    scale = _seasonal_error(past, step, season)
    if scale:
        found |= {f"{split}_mase": found[f"{split}_mae"] / scale for split in ("train", "test")}
    return found


def _of_rows(rows: pl.DataFrame) -> dict[str, float]:
    both = rows.drop_nulls(["actual", "predicted"]).select(
        pl.lit("s").alias("unique_id"),
        "date",
        y="actual",
        f="predicted",
        **{"f-lo-80": "lower", "f-hi-80": "upper"},
    )
    y, f = both["y"].to_numpy(), both["f"].to_numpy()

    def by_nixtla(measure: str, **more: int) -> float:
        return float(getattr(losses, measure)(both, ["f"], **more)["f"][0])

    found = {
        "samples": float(len(y)),
        "volume": float(np.sum(y)),
        "mae": float(mean_absolute_error(y, f)),
        "rmse": float(root_mean_squared_error(y, f)),
        "smape": 200 * by_nixtla("smape"),
        "wape": 100 * by_nixtla("nd"),
        "bias": 100 * by_nixtla("bias") * len(y) / float(np.sum(y)),
        "rmspe": 100 * float(np.sqrt(np.mean([((a - b) / a) ** 2 for a, b in zip(y, f, strict=True) if a]))),
    }
    if len(set(y.tolist())) > 1:
        found["r2"] = float(r2_score(y, f))
    if both["f-lo-80"].null_count() == 0:
        found["coverage"] = 100 * by_nixtla("coverage", level=80)
    return found


def _seasonal_error(past: pl.DataFrame, step: int, season: int) -> float:
    """MAE of the seasonal naive forecast inside the training period, on a grid without gaps, by Nixtla's MASE."""
    first, last = past["date"].min(), past["date"].max()
    grid = pl.select(pl.date_range(pl.lit(first), pl.lit(last), f"{step}d").alias("ds"))
    past = grid.join(past.select(ds="date", y="actual"), on="ds", how="left").with_columns(
        unique_id=pl.lit("s")
    )
    one_off = pl.DataFrame({"unique_id": ["s"], "y": [0.0], "f": [1.0]})
    mase = losses.mase(one_off, ["f"], season, past)["f"][0]
    return 1 / float(mase)


def band_of(metrics: Mapping[str, float]) -> str:
    """The band of DEFAULT_THRESHOLDS, written out."""
    r2, smape = metrics.get("test_r2"), metrics.get("test_smape")
    if r2 is None or smape is None:
        return "unknown"
    for band, least, most in (("excellent", 0.8, 10), ("good", 0.6, 20), ("fair", 0.3, 35)):
        if r2 >= least and smape <= most:
            return band
    return "poor"


def pipeline_of(
    stores: Mapping[str, tuple[Mapping[str, float], str]], tables: Mapping[str, pl.DataFrame]
) -> dict[str, float]:
    """All metrics of a pipeline from metrics and quality of its stores, and the tables of those that have one."""
    good = [metrics for metrics, quality in stores.values() if quality != "failed"]
    found = {
        "total_stores_attempted": float(len(stores)),
        "stores_done": float(len(stores)),
        "successful_models": float(len(good)),
        "success_rate": 100 * len(good) / len(stores),
    }
    for band in BANDS:
        count = [quality for _, quality in stores.values()].count(band)
        found |= {f"quality_{band}_count": float(count), f"quality_{band}_pct": 100 * count / len(stores)}
    for name, best in (("r2", max), ("smape", min)):
        values = [metrics[f"test_{name}"] for metrics in good if f"test_{name}" in metrics]
        volumes = [metrics["test_volume"] for metrics in good if f"test_{name}" in metrics]
        if values:
            found |= {
                f"avg_{name}": float(np.mean(values)),
                f"std_{name}": float(np.std(values)),
                f"median_{name}": float(np.median(values)),
                f"best_{name}": best(values),
                f"weighted_{name}": float(np.average(values, weights=volumes)),
            }
    if tables:
        together = pl.concat([table.filter(pl.col("split") == "test") for table in tables.values()])
        pooled = _of_rows(together)
        if "coverage" not in pooled:
            pooled |= {
                name: value
                for name, value in _of_rows(together.drop_nulls("lower")).items()
                if name == "coverage"
            }
        found |= {f"test_{name}": value for name, value in pooled.items() if name != "r2"}
    return found
