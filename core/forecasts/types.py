"""The columns of the two tables of the forecasts feature: forecasts, and stores."""

from __future__ import annotations

from typing import Final

import polars as pl

PREDICTIONS: Final[dict[str, pl.DataType]] = {
    "store": pl.String(),
    "time": pl.Datetime("us"),
    "split": pl.String(),
    "actual": pl.Float64(),
    "predicted": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
}
"""Columns of forecasts: a row a store and time (UTC, without a zone), by store, then time.

`split` is "train" or "test"; `actual` is null where it is not known yet, `predicted` where nothing was predicted,
`lower` and `upper` where there is no interval.
"""

STORES: Final[dict[str, pl.DataType]] = {
    "store": pl.String(),
    "partner": pl.String(),
    "run_id": pl.String(),
    "quality": pl.String(),
    "r2": pl.Float64(),
    "smape": pl.Float64(),
    "wape": pl.Float64(),
    "mae": pl.Float64(),
    "rmse": pl.Float64(),
    "mase": pl.Float64(),
    "bias": pl.Float64(),
    "volume": pl.Float64(),
    "test_samples": pl.Float64(),
    "train_samples": pl.Float64(),
    "n_features": pl.Float64(),
    "failure": pl.String(),
}
"""Columns of a pipeline's stores: a row a store, null where something is not known.

Measures are those of the test period. `smape` (0..200), `wape` and `bias` are in percent; `volume` is the sum of
actual sales; `quality` is a `core.forecasts.bands.Band`; `failure` says why a store has no model.
"""
