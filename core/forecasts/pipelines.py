"""From the child runs of a pipeline to its table of stores, and from that to its headline figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from core.forecasts.bands import BANDS, Band, Threshold, band_of
from core.forecasts.measures import ForecastMeasures
from core.forecasts.types import STORES
from core.tables.names import natural_key, plain

STORE_PARAM: Final = "store_code"
PARTNER_PARAM: Final = "partner_code"
QUALITY_TAG: Final = "quality"
FAILURE_TAG: Final = "failure"
SCALE_TAG: Final = "smape_scale"
TAGS: Final = (STORE_PARAM, PARTNER_PARAM, QUALITY_TAG, FAILURE_TAG, SCALE_TAG)
PARAMS: Final = (STORE_PARAM, PARTNER_PARAM, "n_features", SCALE_TAG)
_MEASURES: Final[Mapping[str, tuple[str, ...]]] = {
    "r2": ("r2", "r2score"),
    "smape": ("smape",),
    "wape": ("wape", "wmape"),
    "mae": ("mae",),
    "rmse": ("rmse",),
    "mase": ("mase",),
    "bias": ("bias",),
    "volume": ("volume",),
    "test_samples": ("samples",),
}
_PREFIXES: Final = ("test", "", "val", "validation", "eval", "holdout")
_NOT_ENDED: Final = ("RUNNING", "SCHEDULED")
_FAILURES: Final = {"FAILED": "its run failed", "KILLED": "its run was killed"}
SCALES: Final = {"0..200": 1.0, "0..100": 2.0, "0..2": 100.0, "0..1": 200.0}
"""Scales that a sMAPE can be stated in, with what it must be multiplied by to be percent of 0..200."""


@dataclass(frozen=True, slots=True)
class Headline:
    """A pipeline in a few figures; None where it cannot be said.

    Attributes
    ----------
    attempted, successful, running : int
        Stores; `running` have a run that has not ended.
    success_rate : float or None
        Percent of the stores whose runs have ended.
    wape, bias : float or None
        Percent of all sales of the test period.
    mean_r2, median_smape, weighted_smape : float or None
        Over stores; the last weighted by sales.
    rmse, mae : float or None
        Over all periods of all stores.
    volume : float or None
        Sales of the test period.
    bands, band_volumes : mapping of Band to int, of Band to float
        Stores, and their sales where volumes are known.
    """

    attempted: int
    successful: int
    running: int
    success_rate: float | None
    wape: float | None
    bias: float | None
    mean_r2: float | None
    median_smape: float | None
    weighted_smape: float | None
    rmse: float | None
    mae: float | None
    volume: float | None
    bands: Mapping[Band, int]
    band_volumes: Mapping[Band, float]


def metric_columns(known: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return which metrics of a store's run can be which measure, by the names people use, the best name first.

    Metrics of the test period come first: ``test_smape``, then ``smape``, ``val_smape`` and so on, in any case.

    Parameters
    ----------
    known : sequence of str
        All metric names of the tracking store, those of pipelines that name theirs in other ways included.
    """
    written: dict[str, list[str]] = {}
    for key in known:
        written.setdefault(plain(key), []).append(key)
    names = {
        **{
            measure: [f"{prefix}{name}" for prefix in _PREFIXES for name in names]
            for measure, names in _MEASURES.items()
        },
        "train_samples": ["trainsamples"],
    }
    found = {
        measure: tuple(key for one in candidates for key in written.get(one, ()))
        for measure, candidates in names.items()
    }
    return {measure: keys for measure, keys in found.items() if keys}


def stores_of_runs(
    children: pl.DataFrame,
    metrics: Mapping[str, Sequence[str]],
    thresholds: Sequence[Threshold],
    scale: str | None,
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Make the table of stores from the child runs of a pipeline.

    Parameters
    ----------
    children : DataFrame
        run_id, name, status, start_time, and where there are such: ``params.*`` of `PARAMS`, ``tags.*`` of
        `TAGS`, ``metrics.*`` named in `metrics`; latest first.
    metrics : mapping
        From `metric_columns`; the first that any of the children has is taken.
    thresholds : sequence of Threshold
        For stores without a band of their own.
    scale : str or None
        Scale of sMAPE that the pipeline states, such as "0..200"; what a store's run states comes before it.

    Returns
    -------
    DataFrame
        With the columns of `STORES` and `status`, by store.
    tuple of str
        What was assumed.
    """
    notes: list[str] = []
    told = _text(children, STORE_PARAM).is_not_null()
    if told.any() and not told.all():
        others = int((~told).sum())
        notes.append(f"{others:,} child {'run' if others == 1 else 'runs'} without a store_code left out.")
        children = children.filter(told)
    text = {name: _text(children, name) for name in dict.fromkeys((*TAGS, *PARAMS))}
    store = text[STORE_PARAM].fill_null(_named(children))
    frame = pl.DataFrame(
        [
            store.alias("store"),
            text[PARTNER_PARAM].alias("partner"),
            children["run_id"],
            text[QUALITY_TAG].str.to_lowercase().alias("quality"),
            *(_measured(children, metrics.get(name, ()), name) for name in (*_MEASURES, "train_samples")),
            text["n_features"].cast(pl.Float64, strict=False).alias("n_features"),
            text[FAILURE_TAG].alias("failure"),
            children["status"],
            text[SCALE_TAG] if scale is None else text[SCALE_TAG].fill_null(scale),
        ]
    )
    frame = _told_apart(frame)
    twice = frame.height - frame["store"].n_unique()
    if twice:
        notes.append(f"{twice:,} older runs of stores that have a later one in this pipeline are left out.")
        frame = frame.unique("store", keep="first", maintain_order=True)
    frame = _with_scale(frame, notes)
    frame = _with_volume(frame)
    ending = pl.col("status").replace_strict(_FAILURES, default=None, return_dtype=pl.String)
    frame = frame.with_columns(pl.col("failure").fill_null(ending))
    frame = with_bands(frame, thresholds)
    return natural_order(frame.select(*STORES, "status")), tuple(notes)


def _told_apart(frame: pl.DataFrame) -> pl.DataFrame:
    """Put the partner before the code of stores of different partners that share a code."""
    shared = pl.col("partner").n_unique().over("store") > 1
    both = pl.concat_str("partner", pl.lit("_"), "store")
    return frame.with_columns(
        pl.when(shared & pl.col("partner").is_not_null()).then(both).otherwise("store").alias("store")
    )


def measures_of_runs(
    children: pl.DataFrame, metrics: Mapping[str, Sequence[str]], scales: pl.Series
) -> pl.DataFrame:
    """Return the measures of runs of different pipelines, each by the first of its names that the run has.

    Parameters
    ----------
    scales : Series of String
        Scale of sMAPE that the pipeline of each run states; what the run itself states comes before it.

    Returns
    -------
    DataFrame
        A column for each measure, sMAPE in percent of 0..200 where its scale is known, and `scaled`: whether it is.
    """
    found = children.select(
        pl.coalesce(
            *(_finite_values(f"metrics.{key}") for key in metrics.get(name, ())), pl.lit(None, pl.Float64)
        ).alias(name)
        for name in _MEASURES
    )
    stated = _text(children, SCALE_TAG).fill_null(scales.cast(pl.String))
    factor = stated.replace_strict(SCALES, default=None, return_dtype=pl.Float64)
    return found.with_columns(pl.col("smape") * factor, factor.is_not_null().alias("scaled"))


def _finite_values(column: str) -> pl.Expr:
    return pl.when(pl.col(column).is_finite()).then(pl.col(column).cast(pl.Float64))


def stores_of_measures(
    measured: Mapping[str, ForecastMeasures], run_id: str, thresholds: Sequence[Threshold]
) -> pl.DataFrame:
    """Make the table of stores from what a forecast table was measured by; columns of `STORES` and `status`."""
    rows = [
        {
            "store": store,
            "run_id": run_id,
            **{name: getattr(one, name) for name in ("r2", "smape", "wape", "mae", "rmse", "mase", "bias")},
            "volume": one.volume if one.samples else None,
            "test_samples": float(one.samples),
            "status": "FINISHED",
        }
        for store, one in measured.items()
    ]
    frame = pl.DataFrame(rows, schema={**STORES, "status": pl.String})
    return natural_order(with_bands(frame, thresholds))


def with_bands(frame: pl.DataFrame, thresholds: Sequence[Threshold]) -> pl.DataFrame:
    """Give every store a band: failed where it failed, else the one that was logged, else by the thresholds."""
    logged = set(BANDS)
    bands = [
        Band.FAILED
        if failure is not None
        else quality
        if quality in logged and quality != Band.FAILED
        else band_of(r2, smape, thresholds)
        for quality, failure, r2, smape in frame.select("quality", "failure", "r2", "smape").iter_rows()
    ]
    return frame.with_columns(pl.Series("quality", [str(band) for band in bands], dtype=pl.String))


def natural_order(frame: pl.DataFrame) -> pl.DataFrame:
    """Sort by store, 2 before 10."""
    keys = [natural_key(store) for store in frame["store"]]
    return frame[sorted(range(frame.height), key=keys.__getitem__)]


def headline(stores: pl.DataFrame) -> Headline:
    """Sum a pipeline up."""
    ended = stores.filter(~pl.col("status").is_in(_NOT_ENDED))
    good = ended.filter(pl.col("failure").is_null())
    volume = good["volume"].fill_null(0.0).clip(lower_bound=0.0)
    known = volume.sum() > 0
    return Headline(
        attempted=stores.height,
        successful=good.height,
        running=stores.height - ended.height,
        success_rate=100.0 * good.height / ended.height if ended.height else None,
        wape=_pooled_wape(good) if known else None,
        bias=_weighted(good["bias"], volume) if known else None,
        mean_r2=_finite(good["r2"].mean()),
        median_smape=_finite(good["smape"].median()),
        weighted_smape=_weighted(good["smape"], volume) if known else None,
        rmse=_root_mean_square(good),
        mae=_mean_over_periods(good),
        volume=float(volume.sum()) if known else None,
        bands={band: int((stores["quality"] == band).sum()) for band in BANDS},
        band_volumes=_band_volumes(stores) if known else {},
    )


def by_partner(stores: pl.DataFrame) -> pl.DataFrame:
    """Sum the stores of each partner up: partner, stores, failed, share (of sales), wape, smape, r2, good.

    `good` is the share of stores in the two best bands. Shares and wape are in percent; smape and r2 are means
    weighted by sales, plain means where no volume is known.
    """
    rows = []
    total = float(stores["volume"].fill_null(0.0).sum())
    for (partner,), part in stores.with_columns(pl.col("partner").fill_null("–")).group_by(
        "partner", maintain_order=True
    ):
        good = part.filter(pl.col("failure").is_null())
        volume = good["volume"].fill_null(0.0)
        weights = volume if volume.sum() > 0 else pl.Series([1.0] * good.height, dtype=pl.Float64)
        rows.append(
            {
                "partner": partner,
                "stores": part.height,
                "failed": part.height - good.height,
                "share": 100.0 * float(volume.sum()) / total if total > 0 else None,
                "wape": _pooled_wape(good) if volume.sum() > 0 else None,
                "smape": _weighted(good["smape"], weights),
                "r2": _weighted(good["r2"], weights),
                "good": 100.0 * int(part["quality"].is_in(["excellent", "good"]).sum()) / part.height,
            }
        )
    schema = {
        "partner": pl.String,
        "stores": pl.Int64,
        "failed": pl.Int64,
        **dict.fromkeys(("share", "wape", "smape", "r2", "good"), pl.Float64),
    }
    return pl.DataFrame(rows, schema=schema).sort("share", "stores", descending=True, nulls_last=True)


def _text(children: pl.DataFrame, name: str) -> pl.Series:
    """Return a param, else the tag of the same name."""
    found = pl.Series(name, [None] * children.height, dtype=pl.String)
    for column in (f"params.{name}", f"tags.{name}"):
        if column in children.columns:
            values = children[column].cast(pl.String)
            found = found.fill_null(values.set(values == "", None))
    return found


def _named(children: pl.DataFrame) -> pl.Series:
    """Take the name of a run that does not say which store it is of, without the word Store in front."""
    names = children["name"].fill_null("").str.replace(r"(?i)^store[\s_:-]+", "").str.strip_chars()
    return pl.select(
        pl.when(names == "").then(children["run_id"].str.slice(0, 8)).otherwise(names).alias("store")
    ).to_series()


def _measured(children: pl.DataFrame, keys: Sequence[str], name: str) -> pl.Series:
    """Return the first of some metrics that any of the runs has."""
    for key in keys:
        values = children[f"metrics.{key}"].cast(pl.Float64)
        values = values.set(~values.is_finite().fill_null(value=False), None)
        if values.null_count() < len(values):
            return values.alias(name)
    return pl.Series(name, [None] * children.height, dtype=pl.Float64)


def _with_scale(frame: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Bring sMAPE to percent, 0..200, and say how where its scale is not stated."""
    factor = frame[SCALE_TAG].replace_strict(SCALES, default=None, return_dtype=pl.Float64)
    largest = frame["smape"].filter(factor.is_null()).max()
    if isinstance(largest, int | float):
        guessed = 100.0 if largest <= 2 else 1.0
        factor = factor.fill_null(guessed)
        taken = "fractions, 0..2" if guessed > 1 else "percent, 0..200"
        notes.append(
            f"The pipeline does not state the scale of its sMAPE; it was taken as {taken}. "
            f"The tag {SCALE_TAG} states it."
        )
    return frame.with_columns(pl.col("smape") * factor)


def _with_volume(frame: pl.DataFrame) -> pl.DataFrame:
    """Work out a volume that was not logged from WAPE, MAE and the number of periods."""
    derived = 100.0 * pl.col("mae") * pl.col("test_samples") / pl.col("wape")
    usable = pl.when(derived.is_finite()).then(derived)
    return frame.with_columns(pl.col("volume").fill_null(usable))


def _pooled_wape(stores: pl.DataFrame) -> float | None:
    """Return the absolute errors of all periods over all sales, in percent."""
    there = stores.filter(pl.col("mae").is_not_null() & (pl.col("volume") > 0))
    if not there.height:
        return None
    mae, samples, volume = (_floats(there[name]) for name in ("mae", "test_samples", "volume"))
    if np.isnan(samples).any():
        return _weighted(there["wape"], there["volume"])
    return 100.0 * float((mae * samples).sum() / volume.sum())


def _root_mean_square(stores: pl.DataFrame) -> float | None:
    there = stores.filter(pl.col("rmse").is_not_null() & (pl.col("test_samples") > 0))
    if not there.height:
        return None
    rmse, samples = _floats(there["rmse"]), _floats(there["test_samples"])
    return float(np.sqrt((np.square(rmse) * samples).sum() / samples.sum()))


def _mean_over_periods(stores: pl.DataFrame) -> float | None:
    return _weighted(stores["mae"], stores["test_samples"].fill_null(0.0))


def _weighted(values: pl.Series, weights: pl.Series) -> float | None:
    x, w = _floats(values), _floats(weights)
    there = np.isfinite(x) & (w > 0)
    return float((x[there] * w[there]).sum() / w[there].sum()) if there.any() else None


def _band_volumes(stores: pl.DataFrame) -> dict[Band, float]:
    volume = _floats(stores["volume"].fill_null(0.0))
    bands = stores["quality"].to_numpy()
    return {band: float(volume[bands == band].sum()) for band in BANDS}


def _floats(values: pl.Series) -> npt.NDArray[np.float64]:
    return values.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None
