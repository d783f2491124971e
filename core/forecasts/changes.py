"""What changes from one pipeline to another, store by store: who improves, who is hurt, by how much, and for sure?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import polars as pl

from core.errors import BadInputError

ROUNDING: Final = 1e-9
"""Relative changes below this come from the order in which numbers were added, and are none."""
CHANGES: Final[dict[str, pl.DataType]] = {
    "store": pl.String(),
    "partner": pl.String(),
    "run_id_old": pl.String(),
    "run_id_new": pl.String(),
    "old": pl.Float64(),
    "new": pl.Float64(),
    "change": pl.Float64(),
    "relative_change": pl.Float64(),
    "volume": pl.Float64(),
    "weight": pl.Float64(),
    "harm": pl.Float64(),
    "verdict": pl.String(),
    "quality_old": pl.String(),
    "quality_new": pl.String(),
    "mean_difference": pl.Float64(),
    "p_value": pl.Float64(),
    "p_adjusted": pl.Float64(),
    "significant": pl.Boolean(),
}
"""Columns of changes: a row a store of either pipeline, the most harmful first, null where something is not known.

- `old`, `new`: the measure, in its own unit and sign. NaN and infinity are missing.
- `change`: new - old. `relative_change`: change / abs(old), a fraction; null where old is 0.
- `partner`, `volume`: the new pipeline's, where it has none the old one's.
- `weight`: share of the volume of all stores that have both measures and a volume; null for all others. Where no
  such store has a volume above 0, all stores with both measures weigh the same. A negative volume weighs nothing.
- `harm`: weight * change, turned so that positive is worse whichever way the measure runs.
- `verdict`: a `Verdict`.
- `mean_difference`, `p_value`, `p_adjusted`: of the test, `core.forecasts.diebold_mariano.TESTS`.
- `significant`: whether `p_adjusted` is at most the level.
"""


class StoreMeasure(StrEnum):
    """A measure of a store's forecast; the value is its column in `core.forecasts.types.STORES`."""

    WAPE = "wape"
    SMAPE = "smape"
    MAE = "mae"
    RMSE = "rmse"
    R2 = "r2"

    @property
    def higher_is_better(self) -> bool:
        """Whether a store with more of it is forecast better."""
        return self is StoreMeasure.R2


class Verdict(StrEnum):
    """What became of a store.

    `LOST` had a measure in the old pipeline and has none in the new one: it failed, was not scored, or is not
    there. `GAINED` is the reverse; `UNKNOWN` has no measure in either.
    """

    IMPROVED = "improved"
    WORSE = "worse"
    SAME = "same"
    LOST = "lost"
    GAINED = "gained"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ChangeSummary:
    """All stores in a few numbers.

    Attributes
    ----------
    stores : int
        In either pipeline.
    compared : int
        With a measure in both: `improved` + `worse` + `same`.
    improved, worse, same, lost, gained : int
        Stores by verdict.
    share_regressed : float or None
        ``(worse + lost) / (improved + worse + same + lost)``: of the stores that had a measure in the old
        pipeline, the share that is worse by more than the tolerance or has no measure in the new one. Each store
        counts as one, whatever it sells and however sure the change is; stores without a measure in the old
        pipeline do not count. 0 to 1; None where no store had a measure.
    volume_share_regressed : float or None
        The same with each store's volume for its count of one; stores without a volume above 0 do not count.
        None where none has.
    significantly_worse, significantly_better : int or None
        Of the stores that are worse, those whose test is significant and finds the new forecast to lose more; of
        those that improved, to lose less. None where no store was tested.
    old_value, new_value : float or None
        Mean of the measure over the stores compared, each by its `weight`. For WAPE that is the pooled one, the
        sum of all absolute errors over the sum of all sales, provided that the volume of a store is the sum of
        its sales in the periods the measure is of. None where no store can be compared.
    change : float or None
        new_value - old_value.
    """

    stores: int
    compared: int
    improved: int
    worse: int
    same: int
    lost: int
    gained: int
    share_regressed: float | None
    volume_share_regressed: float | None
    significantly_worse: int | None
    significantly_better: int | None
    old_value: float | None
    new_value: float | None
    change: float | None


def store_changes(
    old: pl.DataFrame,
    new: pl.DataFrame,
    measure: StoreMeasure = StoreMeasure.WAPE,
    tolerance: float = 0.0,
    significance: pl.DataFrame | None = None,
    level: float = 0.05,
) -> pl.DataFrame:
    """Lay two pipelines side by side, a row a store.

    Parameters
    ----------
    old, new : DataFrame
        With the columns of `core.forecasts.types.STORES`.
    measure : StoreMeasure
    tolerance : float
        A store is worse, or improved, by more than this share of its old value: 0.05 is 5 %. Within it, the
        store is the same. Around an old value of 0 there is no tolerance.
    significance : DataFrame, optional
        As from `core.forecasts.diebold_mariano.by_store`.
    level : float
        Of `p_adjusted`, at and below which a test is significant.

    Returns
    -------
    DataFrame
        With the columns of `CHANGES`: by harm, the worst first. Those without one come last: lost stores, gained
        ones, the others.

    Raises
    ------
    BadInputError
        For a store that a frame has twice, a tolerance below 0, or a level outside 0 to 1.
    """
    if not 0 <= tolerance < math.inf:
        raise BadInputError(f"A tolerance is 0 or more, as a fraction of the old value, not {tolerance}.")
    if not 0 < level < 1:
        raise BadInputError(f"A level of significance lies between 0 and 1, not at {level}.")
    joined = _side(old, measure, "old").join(
        _side(new, measure, "new"), on="store", how="full", coalesce=True
    )
    tests = _tests(significance)
    table = (
        joined.join(tests, on="store", how="left")
        .with_columns(
            change=pl.col("new") - pl.col("old"),
            partner=pl.coalesce("partner_new", "partner_old"),
            volume=pl.coalesce("volume_new", "volume_old"),
            significant=pl.col("p_adjusted") <= level,
        )
        .with_columns(
            relative_change=pl.when(pl.col("old") != 0).then(pl.col("change") / pl.col("old").abs()),
            worsening=-pl.col("change") if measure.higher_is_better else pl.col("change"),
            weight=_weight(),
        )
        .with_columns(harm=pl.col("weight") * pl.col("worsening"), verdict=_verdict(tolerance))
    )
    unscored = (Verdict.LOST, Verdict.GAINED)
    rank = pl.col("verdict").replace_strict(unscored, range(len(unscored)), default=len(unscored))
    return table.sort(
        "harm", rank, "volume", "store", descending=[True, False, True, False], nulls_last=True
    ).select(CHANGES.keys())


def summarise(changes: pl.DataFrame) -> ChangeSummary:
    """Count verdicts and weigh changes.

    Parameters
    ----------
    changes : DataFrame
        From `store_changes`, all of its rows: the weights of a part do not sum to 1.
    """
    counts = dict(changes["verdict"].value_counts().iter_rows())
    improved, worse, same, lost, gained = (
        counts.get(verdict, 0)
        for verdict in (Verdict.IMPROVED, Verdict.WORSE, Verdict.SAME, Verdict.LOST, Verdict.GAINED)
    )
    compared = improved + worse + same
    sold = changes.filter(pl.col("old").is_not_null(), pl.col("volume") > 0)
    hurt = sold.filter(pl.col("verdict").is_in([Verdict.WORSE, Verdict.LOST]))
    weighed = changes.filter(pl.col("weight").is_not_null())
    old_value, new_value = (
        None if weighed.is_empty() else float((weighed["weight"] * weighed[side]).sum())
        for side in ("old", "new")
    )
    return ChangeSummary(
        stores=changes.height,
        compared=compared,
        improved=improved,
        worse=worse,
        same=same,
        lost=lost,
        gained=gained,
        share_regressed=_share(worse + lost, compared + lost),
        volume_share_regressed=_share(float(hurt["volume"].sum()), float(sold["volume"].sum())),
        significantly_worse=_significant(changes, Verdict.WORSE, pl.col("mean_difference") > 0),
        significantly_better=_significant(changes, Verdict.IMPROVED, pl.col("mean_difference") < 0),
        old_value=old_value,
        new_value=new_value,
        change=None if old_value is None or new_value is None else new_value - old_value,
    )


def _side(stores: pl.DataFrame, measure: StoreMeasure, side: str) -> pl.DataFrame:
    _refuse_repeated(stores, f"The {side} pipeline's table")
    return stores.select(
        "store",
        _finite(measure.value).alias(side),
        _finite("volume").alias(f"volume_{side}"),
        pl.col("partner", "run_id", "quality").cast(pl.String).name.suffix(f"_{side}"),
    )


def _tests(significance: pl.DataFrame | None) -> pl.DataFrame:
    names = ("mean_difference", "p_value", "p_adjusted")
    if significance is None:
        return pl.DataFrame(schema={"store": pl.String(), **dict.fromkeys(names, pl.Float64())})
    _refuse_repeated(significance, "The table of tests")
    return significance.select("store", *(_finite(name) for name in names))


def _refuse_repeated(table: pl.DataFrame, title: str) -> None:
    stores = table["store"]
    repeated = sorted(map(str, stores.filter(stores.is_duplicated()).unique()))
    if repeated:
        named = ", ".join(repeated[:5]) + (f" and {len(repeated) - 5} more" if len(repeated) > 5 else "")
        raise BadInputError(f"{title} has several rows for one store: {named}. Keep one row a store.")


def _finite(name: str) -> pl.Expr:
    number = pl.col(name).cast(pl.Float64)
    return pl.when(number.is_finite()).then(number).alias(name)


def _weight() -> pl.Expr:
    both = pl.col("change").is_not_null()
    volume = pl.when(both).then(pl.col("volume").clip(lower_bound=0))
    return pl.when(volume.sum() > 0).then(volume / volume.sum()).when(both).then(1 / both.sum())


def _verdict(tolerance: float) -> pl.Expr:
    old, new, worsening = pl.col("old"), pl.col("new"), pl.col("worsening")
    allowed = tolerance * old.abs() + ROUNDING * pl.max_horizontal(old.abs(), new.abs())
    return (
        pl.when(old.is_null() & new.is_null())
        .then(pl.lit(Verdict.UNKNOWN.value))
        .when(new.is_null())
        .then(pl.lit(Verdict.LOST.value))
        .when(old.is_null())
        .then(pl.lit(Verdict.GAINED.value))
        .when(worsening > allowed)
        .then(pl.lit(Verdict.WORSE.value))
        .when(worsening < -allowed)
        .then(pl.lit(Verdict.IMPROVED.value))
        .otherwise(pl.lit(Verdict.SAME.value))
    )


def _significant(changes: pl.DataFrame, verdict: Verdict, agrees: pl.Expr) -> int | None:
    tested = changes.filter(pl.col("significant").is_not_null())
    if tested.is_empty():
        return None
    return tested.filter(pl.col("significant"), pl.col("verdict") == verdict, agrees).height


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
