"""Whether the best of several runs beats the benchmark by more than the luck of many tries: Hansen's SPA test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.backtests.significance.samples import (
    MIN_RETURNS,
    compounded,
    finite_rows,
    optimal_block,
    period_starts,
    without_variance,
)
from core.backtests.types import EquityCurve, Floats, Times
from core.errors import BadInputError

MAX_PERIODS: Final = 2_500


@dataclass(frozen=True, slots=True)
class SpaResult:
    """The test's p-values; small ones say that some run is better than the benchmark.

    Attributes
    ----------
    p_lower, p_consistent, p_upper : float
        `p_consistent` is the one to read. The bounds take all runs worse than the benchmark to be as bad as they
        look, or to be as good as the benchmark (as White's reality check does). NaN where `reason` says why.
    statistic : float
        ``max(0, max_k sqrt(m) * mean_k / omega_k)``.
    best_index : int or None
        Run with the largest studentised excess, as a column of `returns`.
    best_excess : float
        Its mean return above the benchmark's, per period as given.
    block_length : int or None
        Mean length of the resampled blocks, in resampled periods.
    n : int
        Common returns that were used.
    dropped : int
        Left out, because a run or the benchmark had none.
    periods : int
        Periods that were resampled; fewer than `n` where returns were compounded.
    k : int
        Runs that were tested.
    same_as_benchmark : int
        Runs left out, because their excess return never varies.
    reason : str or None
    """

    p_lower: float
    p_consistent: float
    p_upper: float
    statistic: float
    best_index: int | None
    best_excess: float
    block_length: int | None
    n: int
    dropped: int
    periods: int
    k: int
    same_as_benchmark: int
    reason: str | None


def superior_predictive_ability(
    returns: Floats,
    benchmark_returns: Floats,
    *,
    resamples: int = 1000,
    seed: int = 0,
    block_length: int | None = None,
) -> SpaResult:
    """Test that no run has a higher mean return than the benchmark.

    Hansen (2005), "A Test for Superior Predictive Ability", JBES 23(4). With d_k the excess returns of run k over
    m periods and ``omega_k**2`` the variance of ``sqrt(m) * mean(d_k)`` under the stationary bootstrap, the
    statistic is ``T = max(0, max_k sqrt(m) * mean(d_k) / omega_k)``. A p-value is the share of resamples in which
    ``max(0, max_k sqrt(m) * (mean(d*_k) - g(mean(d_k))) / omega_k)`` is above T, where g(x) is ``max(0, x)`` for
    `p_lower`, x for `p_upper`, and for `p_consistent` x unless ``x < -omega_k * sqrt(2 * log(log(m)) / m)``, then
    0: runs that are clearly poor do not raise the bar.

    Bootstrap and comparison are those of ``arch.bootstrap.SPA``. That (8.0) compares plain means, whatever its
    `studentize` says, so the excess returns are divided by omega before they go in.

    More than 2,500 returns are compounded into at most 2,500 periods as even as can be.

    Parameters
    ----------
    returns : float64 array, shape (n, k)
        Simple returns of the runs over the same steps, as from `common_returns`.
    benchmark_returns : float64 array, shape (n,)
    resamples : int
    seed : int
        The same seed gives the same p-values.
    block_length : int, optional
        Mean length of blocks; by default the median over runs of Politis & White's (2004, corrected 2009) for
        the excess returns.

    Returns
    -------
    SpaResult
        All p-values are 1 where no run beats the benchmark in the sample. With a reason and NaN for fewer than
        20 returns, no run, or only runs whose excess never varies. Steps in which any run or the benchmark is NaN
        or infinite are left out.

    Raises
    ------
    BadInputError
        For arrays that do not fit together, or counts below 1.
    """
    if returns.ndim != 2 or benchmark_returns.shape != returns.shape[:1]:
        raise BadInputError(
            "A test of runs against a benchmark needs one row for each of its returns: "
            f"{returns.shape} and {benchmark_returns.shape} given."
        )
    if resamples < 1 or (block_length is not None and block_length < 1):
        raise BadInputError(
            f"A test needs one resample and a block of one return, or more: {resamples} and {block_length} given."
        )
    (kept, benchmark), dropped = finite_rows(returns, benchmark_returns)
    n, columns = kept.shape
    if n < MIN_RETURNS:
        return _untested(
            n, dropped, 0, f"{n} common returns are too few for the test: it takes {MIN_RETURNS}."
        )
    starts = period_starts(n, MAX_PERIODS)
    excess = compounded(kept, starts) - compounded(benchmark, starts)[:, None]
    tested = np.flatnonzero(~without_variance(excess))
    if not len(tested):
        return _untested(
            n, dropped, columns, "No run's return ever differs from the benchmark's by more or less."
        )

    block = block_length or optimal_block(excess[:, tested])
    studentised = excess[:, tested] / np.sqrt(long_run_variance(excess[:, tested], block))
    means = studentised.mean(axis=0)
    best = int(means.argmax())
    p_values = _p_values(studentised, block, resamples, seed) if means[best] > 0 else (1.0, 1.0, 1.0)
    return SpaResult(
        *p_values,
        statistic=max(0.0, math.sqrt(len(starts)) * float(means[best])),
        best_index=int(tested[best]),
        best_excess=float((kept[:, tested[best]] - benchmark).mean()),
        block_length=block,
        n=n,
        dropped=dropped,
        periods=len(starts),
        k=len(tested),
        same_as_benchmark=columns - len(tested),
        reason=None,
    )


def long_run_variance(values: Floats, block_length: float) -> Floats:
    """Variance of ``sqrt(n) * mean`` under the stationary bootstrap.

    ``c_0 + 2 * sum_i w_i * c_i`` with autocovariances c_i (n in the denominator) and ``w_i = (n - i) / n *
    (1 - q)**i + i / n * (1 - q)**(n - i)``, q = 1 / block length: Politis & Romano (1994), Lemma 1; Hansen (2005).

    Parameters
    ----------
    values : float64 array, shape (n, k)
    block_length : float

    Returns
    -------
    float64 array, shape (k,)
    """
    n = len(values)
    centred = values - values.mean(axis=0)
    spectrum = np.fft.rfft(centred, 2 * n, axis=0)
    covariances = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n, axis=0)[:n] / n
    lag, stay = np.arange(n)[:, None], 1.0 - 1.0 / block_length
    weights = (n - lag) / n * stay**lag + lag / n * stay ** (n - lag)
    weights[0] = 0.5
    return np.asarray(2.0 * (weights * covariances).sum(axis=0))


def common_returns(curves: Sequence[EquityCurve]) -> tuple[Times, Floats]:
    """Returns of runs between the times they have in common.

    A return leads from one common time to the next: what a run earned between is compounded, not lost. A run
    that was ruined stays so: it has returns of 0 at all later times of the others, and does not end the table.

    Parameters
    ----------
    curves : sequence of EquityCurve

    Returns
    -------
    times : datetime64[us] array, shape (n + 1,)
    returns : float64 array, shape (n, k)
        The i-th row leads from ``times[i]`` to ``times[i + 1]``.

    Raises
    ------
    BadInputError
        For no curve, or fewer than 21 common times.
    """
    if not curves:
        raise BadInputError("Runs can be compared on common times only when there is one: none given.")
    times = np.unique(np.concatenate([curve.times for curve in curves]))
    for curve in curves:
        ruined = (times > curve.times[-1]) & (curve.values[-1] <= 0)
        times = times[np.isin(times, curve.times) | ruined]
    if len(times) <= MIN_RETURNS:
        raise BadInputError(
            f"The {len(curves)} runs have {len(times)} times in common, too few to compare them: it takes "
            f"{MIN_RETURNS + 1}. Choose runs over the same period with the same steps."
        )
    columns = []
    for curve in curves:
        values = curve.values[np.searchsorted(curve.times, times, side="right") - 1]
        alive = values[:-1] > 0
        columns.append(np.divide(values[1:], values[:-1], out=np.ones(len(alive)), where=alive) - 1.0)
    return times, np.column_stack(columns)


def _p_values(studentised: Floats, block: int, resamples: int, seed: int) -> tuple[float, float, float]:
    from arch.bootstrap import SPA  # slow to import: it brings statsmodels

    test = SPA(np.zeros(len(studentised)), -studentised, block_size=block, reps=resamples, seed=seed)
    test.compute()
    p_values = test.pvalues
    return float(p_values["lower"]), float(p_values["consistent"]), float(p_values["upper"])


def _untested(n: int, dropped: int, same: int, reason: str) -> SpaResult:
    return SpaResult(
        math.nan, math.nan, math.nan, math.nan, None, math.nan, None, n, dropped, n, 0, same, reason
    )
