"""The tables of a pipeline: forecasts of a store, forecasts of all, a row a store."""

from __future__ import annotations

import io

import numpy as np
import polars as pl

from core.training.stores.fitting import StoreResult

SPARK_POINTS = 32


def forecast_table(result: StoreResult) -> pl.DataFrame:
    """Return the forecast of a store as it is logged: date, split, actual, predicted, lower, upper."""
    split = np.where(result.is_test, "test", "train")
    return pl.DataFrame(
        {
            "date": pl.Series(result.days.astype("datetime64[ms]")).cast(pl.Date),
            "split": pl.Series(split.tolist(), dtype=pl.String),
            **{
                name: pl.Series(getattr(result, name), dtype=pl.Float64).fill_nan(None)
                for name in ("actual", "predicted", "lower", "upper")
            },
        }
    )


def tested_rows(store: str, table: pl.DataFrame) -> pl.DataFrame:
    """Return the test rows of a store's forecast with its code in front."""
    rows = table.filter(pl.col("split") == "test").drop("split")
    return rows.select(pl.lit(store).alias("store"), *rows.columns)


def spark(table: pl.DataFrame) -> list[float]:
    """Return up to 32 means of the last year of actual sales, for a small line in a table."""
    last = table["date"].max()
    year = (
        table.filter(pl.col("date") > pl.lit(last) - pl.duration(days=364))["actual"].drop_nulls().to_numpy()
    )
    parts = np.array_split(year, min(SPARK_POINTS, len(year))) if len(year) else []
    return [float(part.mean()) for part in parts]


def as_parquet(table: pl.DataFrame) -> bytes:
    """Write a table as Parquet."""
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()


def importance_csv(importance: tuple[tuple[str, float], ...]) -> bytes:
    """Write feature importance, the columns feature and importance (shares that sum to 1)."""
    frame = pl.DataFrame(
        list(importance), schema={"feature": pl.String, "importance": pl.Float64}, orient="row"
    )
    return frame.write_csv().encode()
