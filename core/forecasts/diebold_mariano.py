"""Whether a new pipeline forecasts stores better or worse than an old one: Diebold and Mariano's test, a p a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from core.errors import BadInputError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MIN_PERIODS: Final = 8
"""Fewer say nothing about their own dependence, and a p-value from them would look like knowledge."""
ROUNDING: Final = 1e-9
"""Loss differentials that vary by less than this share of a store's largest loss do not vary."""
SAME_ACTUAL: Final = 1e-6
"""Two actuals of a store and time further apart than this, relative to the larger, disagree."""
TESTS: Final[dict[str, pl.DataType]] = {
    "store": pl.String(),
    "samples": pl.Int64(),
    "mean_difference": pl.Float64(),
    "statistic": pl.Float64(),
    "p_value": pl.Float64(),
    "p_adjusted": pl.Float64(),
    "disagreeing": pl.Int64(),
}
"""Columns of tests by store: a row a store, by store; fields as in `DieboldMariano`, null where undefined.

`p_adjusted` is the p-value adjusted for there being many stores; `disagreeing` counts the periods left out because
the two frames have different actuals there.
"""


class Loss(StrEnum):
    """What an error costs: its size, or its square."""

    ABSOLUTE = "absolute"
    SQUARED = "squared"


@dataclass(frozen=True, slots=True)
class DieboldMariano:
    """One test of two forecasts.

    Attributes
    ----------
    statistic : float or None
        Positive where the new forecast is the worse one; 0 where both lose the same in every period. None where
        the difference is not 0 but never varies, or `lags` leaves no period to test with (``samples - 1`` or
        more).
    p_value : float or None
        Two-sided; None as `statistic`.
    mean_difference : float
        Mean loss of the new forecast minus that of the old: positive where the new one is worse. In the unit of
        the actuals, squared with squared loss.
    samples : int
        Periods that were used.
    lags : int
        Autocovariances that the variance counts.
    """

    statistic: float | None
    p_value: float | None
    mean_difference: float
    samples: int
    lags: int


@dataclass(frozen=True, slots=True)
class _Tests:
    """One test a group, arrays of shape (groups,); NaN where something is undefined."""

    statistic: Floats
    p_value: Floats
    mean_difference: Floats
    samples: Integers
    lags: Integers


def diebold_mariano(
    actual: Floats, old: Floats, new: Floats, *, loss: Loss = Loss.ABSOLUTE, lags: int | None = None
) -> DieboldMariano | None:
    """Test that two forecasts of the same periods lose the same on average.

    With ``d_t = loss(actual_t - new_t) - loss(actual_t - old_t)`` over n periods, the statistic is ``mean(d) /
    sqrt(V / n)``: Diebold & Mariano (1995), "Comparing Predictive Accuracy", JBES 13(3). Errors over one horizon
    depend on each other, so V is the long-run variance ``c_0 + 2 * sum_{k=1}^{L} (1 - k / (L + 1)) * c_k``, c_k
    being the autocovariances of d with n in the denominator: Bartlett weights, which keep V from being negative:
    Newey & West (1987), "A Simple, Positive Semi-Definite, Heteroskedasticity and Autocorrelation Consistent
    Covariance Matrix", Econometrica 55(3). In small samples it finds differences too often, so it is multiplied
    by ``sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)`` with h = L + 1, and held against Student's t with n - 1
    degrees of freedom: Harvey, Leybourne & Newbold (1997), "Testing the Equality of Prediction Mean Squared
    Errors", International Journal of Forecasting 13(2). Their V has equal weights up to h - 1.

    Dependence that reaches further than L periods is not seen, and makes p too small.

    Parameters
    ----------
    actual, old, new : float64 arrays, shape (n,)
        By time. Periods in which one of them is NaN or infinite are left out; those around close up.
    loss : Loss
    lags : int, optional
        L; by default the cube root of n, rounded down.

    Returns
    -------
    DieboldMariano or None
        None for fewer than 8 periods, or losses too large for a float.

    Raises
    ------
    BadInputError
        For arrays of different shapes, or a negative count of lags.
    """
    if actual.ndim != 1 or not actual.shape == old.shape == new.shape:
        raise BadInputError(
            "Two forecasts can be tested on one series of actuals with a forecast each a period: "
            f"{actual.shape}, {old.shape} and {new.shape} given."
        )
    if lags is not None and lags < 0:
        raise BadInputError(f"A variance counts 0 lags or more, not {lags}: leave lags out for the default.")
    common = np.isfinite(actual) & np.isfinite(old) & np.isfinite(new)
    group = np.zeros(int(common.sum()), dtype=np.int64)
    found = _tests(actual[common], old[common], new[common], group, 1, loss, lags)
    mean, statistic, p_value = (
        None if np.isnan(values[0]) else float(values[0])
        for values in (found.mean_difference, found.statistic, found.p_value)
    )
    if mean is None:
        return None
    return DieboldMariano(statistic, p_value, mean, int(found.samples[0]), int(found.lags[0]))


def adjusted(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted for their number: of those at most x, a share of x or less is luck, as expected.

    Sorted ascending, ``min_{j >= i} p_(j) * m / j``, at most 1: Benjamini & Hochberg (1995), "Controlling the
    False Discovery Rate", JRSS B 57(1), which holds for independent and for positively dependent tests.

    Parameters
    ----------
    p_values : sequence of (float or None)
        None and NaN are no test: they are not counted in m, and give None.

    Raises
    ------
    BadInputError
        For a p-value outside 0 to 1.
    """
    from scipy.stats import false_discovery_control  # type: ignore[import-untyped]  # slow to import

    given = np.array([np.nan if p is None else p for p in p_values], dtype=np.float64)
    known = ~np.isnan(given)
    outside = given[known & ~((given >= 0) & (given <= 1))]
    if len(outside):
        raise BadInputError(f"A p-value lies between 0 and 1, not at {outside[0]}.")
    given[known] = false_discovery_control(given[known], method="bh")
    return [float(p) if is_known else None for p, is_known in zip(given, known, strict=True)]


def by_store(old: pl.DataFrame, new: pl.DataFrame, loss: Loss = Loss.ABSOLUTE) -> pl.DataFrame:
    """Test each store that two pipelines have in common, on the periods of their tests that both forecast.

    `diebold_mariano` with default lags. P-values are adjusted over all stores that have one, also those whose
    forecasts are the same.

    Parameters
    ----------
    old, new : DataFrame
        With the columns of `core.forecasts.types.PREDICTIONS`. Rows count whose split is "test" and whose actual
        and predicted are finite. A store and time whose actuals differ by more than a millionth between the two
        is left out and counted in `disagreeing`; where they differ less, the old one's actual is used.
    loss : Loss

    Returns
    -------
    DataFrame
        With the columns of `TESTS`: a row a store that is in both frames, by store. `samples` is 0 where they
        have no period in common.

    Raises
    ------
    BadInputError
        For a store that has two of the rows that count at one time.
    """
    stores = (
        old.select(pl.col("store").unique())
        .join(new.select(pl.col("store").unique()), on="store", how="inner")
        .sort("store")
        .with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("group"))
    )
    pairs = (
        _counting(old, stores, "old")
        .join(_counting(new, stores, "new"), on=["group", "time"], suffix="_new")
        .sort("group", "time")
    )
    actual, actual_new = pairs["actual"].to_numpy(), pairs["actual_new"].to_numpy()
    agree = np.abs(actual - actual_new) <= SAME_ACTUAL * np.maximum(np.abs(actual), np.abs(actual_new))
    group = pairs["group"].to_numpy()
    found = _tests(
        actual[agree],
        pairs["predicted"].to_numpy()[agree],
        pairs["predicted_new"].to_numpy()[agree],
        group[agree],
        stores.height,
        loss,
        None,
    )
    columns = {
        "store": stores["store"],
        "samples": found.samples,
        "mean_difference": found.mean_difference,
        "statistic": found.statistic,
        "p_value": found.p_value,
        "p_adjusted": adjusted(found.p_value.tolist()),
        "disagreeing": np.bincount(group[~agree], minlength=stores.height),
    }
    return pl.DataFrame(columns, schema=TESTS, nan_to_null=True)


def _counting(predictions: pl.DataFrame, stores: pl.DataFrame, which: str) -> pl.DataFrame:
    """Group, time, actual and predicted of the rows that count, of the given stores."""
    rows = (
        predictions.filter(
            pl.col("split") == "test", pl.col("actual").is_finite(), pl.col("predicted").is_finite()
        )
        .join(stores, on="store")
        .select("store", "group", "time", "actual", "predicted")
    )
    repeated = rows.filter(pl.struct("group", "time").is_duplicated())
    if not repeated.is_empty():
        store, time = repeated.select("store", "time").row(0)
        raise BadInputError(
            f"The {which} forecasts have several rows for store {store} at {time} (stores with such times: "
            f"{repeated['group'].n_unique()}). Keep one forecast a store and time."
        )
    return rows.drop("store")


def _tests(
    actual: Floats, old: Floats, new: Floats, group: Integers, groups: int, loss: Loss, lags: int | None
) -> _Tests:
    """Test each group at once; rows are finite, by group from 0, then by time."""
    from scipy.special import stdtr  # type: ignore[import-untyped]  # slow to import

    samples = np.bincount(group, minlength=groups)
    n = np.maximum(samples, 1)
    used = np.floor(np.cbrt(n) + 1e-9).astype(np.int64) if lags is None else np.full(groups, lags)
    with np.errstate(over="ignore", invalid="ignore"):
        old_loss, new_loss = _losses(actual - old, loss), _losses(actual - new, loss)
        largest = np.zeros(groups)
        np.maximum.at(largest, group, np.maximum(old_loss, new_loss))
        defined = (samples >= MIN_PERIODS) & np.isfinite(largest)
        # Shares of the largest loss, so that no square leaves the range of floats.
        scale = np.where(largest > 0, largest, 1.0)
        difference = (new_loss - old_loss) / scale[group]
    mean = np.where(defined, np.bincount(group, difference, groups) / n, np.nan)
    centred = difference - mean[group]
    long_run = variance = np.bincount(group, centred**2, groups) / n
    for lag in range(1, min(int(used.max(initial=0)), int(samples.max(initial=0)) - 1) + 1):
        together = group[lag:] == group[:-lag]
        products = (centred[lag:] * centred[:-lag])[together]
        covariance = np.bincount(group[lag:][together], products, groups) / n
        long_run = long_run + 2.0 * np.maximum(0.0, 1.0 - lag / (used + 1)) * covariance

    h = used + 1
    varies = defined & (np.sqrt(variance) > ROUNDING) & (h < n)
    same = defined & (np.sqrt(variance) <= ROUNDING) & (np.abs(mean) <= ROUNDING)
    statistic = np.where(same, 0.0, np.nan)
    correction = np.sqrt(np.where(varies, (n + 1 - 2 * h + h * (h - 1) / n) / n, 1.0))
    statistic[varies] = (correction * mean)[varies] / np.sqrt(long_run[varies] / n[varies])
    p_value = np.minimum(1.0, 2.0 * stdtr(np.maximum(n - 1, 1), -np.abs(statistic)))
    return _Tests(statistic, p_value, mean * scale, samples, used)


def _losses(errors: Floats, loss: Loss) -> Floats:
    return np.abs(errors) if loss == Loss.ABSOLUTE else errors**2
