"""Formulas for a Sharpe ratio's luck: probabilistic and deflated ratio, and the track record it takes."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

import numpy as np

from core.errors import BadInputError

NORMAL: Final = NormalDist()


def probabilistic_sharpe(
    sharpe: float, benchmark_sharpe: float, n: int, skew: float, kurtosis: float
) -> float:
    """Probability that the true Sharpe ratio is above a benchmark's (PSR).

    ``Phi((SR - SR*) * sqrt(n - 1) / sqrt(1 - skew * SR + (kurtosis - 1) / 4 * SR**2))``, with ratios per period:
    Bailey & López de Prado (2012), "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2). Their example:
    24 months with a monthly ratio of 0.458, skew -2.448 and kurtosis 10.164 give 0.913 against 0, where normal
    returns would give 0.982.

    Returns
    -------
    float
        NaN for fewer than 2 returns, a NaN among the arguments, or moments no distribution has (the root of a
        negative number).
    """
    deviation = _deviation(sharpe, skew, kurtosis)
    if n < 2 or not deviation > 0:
        return math.nan
    return NORMAL.cdf((sharpe - benchmark_sharpe) * math.sqrt(n - 1) / deviation)


def expected_maximum_sharpe(variance_of_trials: float, trials: float) -> float:
    """Best Sharpe ratio to expect among trials without skill.

    ``sqrt(V) * ((1 - g) * z(1 - 1/N) + g * z(1 - 1/(N * e)))`` with Euler's constant g and the normal quantile z:
    Bailey & López de Prado (2014), "The Deflated Sharpe Ratio", Journal of Portfolio Management 40(5). Their
    example: 100 trials whose annual ratios have variance 1/2 give 0.1132 a day, of 250 a year. It approximates
    the maximum of many independent trials; for two it is 8 % low.

    Parameters
    ----------
    variance_of_trials : float
        Across the trials' ratios; in the same unit of time, squared, as the result.
    trials : float
        1 or more; a fraction where dependent trials are counted as fewer independent ones.

    Returns
    -------
    float
        0 for one trial; never below.

    Raises
    ------
    BadInputError
        For fewer than one trial, or a negative variance.
    """
    if trials < 1 or variance_of_trials < 0:
        raise BadInputError(
            f"Deflating takes one trial or more, and no negative variance: {trials} trials with variance "
            f"{variance_of_trials} given."
        )
    if trials == 1:
        return 0.0
    many, more = NORMAL.inv_cdf(1 - 1 / trials), NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    expected = (1 - np.euler_gamma) * many + np.euler_gamma * more
    return max(0.0, math.sqrt(variance_of_trials) * expected)


def deflated_sharpe(
    sharpe: float,
    n: int,
    skew: float,
    kurtosis: float,
    trials: float,
    variance_of_trials: float | None,
) -> float:
    """Probability that the true Sharpe ratio is above what luck gives the best of all trials (DSR).

    The probabilistic Sharpe ratio against `expected_maximum_sharpe`, with ratios per period: Bailey & López de
    Prado (2014). Their example: an annual ratio of 2.5 over 1,250 days (250 a year), skew -3, kurtosis 10, best
    of 100 trials whose annual ratios have variance 1/2: 0.9004. Of 46 trials: 0.9505; so had returns been
    normal, of 88.

    Parameters
    ----------
    variance_of_trials : float or None
        None where only their number is known: then the variance of the estimate itself stands in,
        ``(1 - skew * SR + (kurtosis - 1) / 4 * SR**2) / (n - 1)``, as if all trials had the same true ratio and
        differed by luck alone.

    Returns
    -------
    float
        With one trial the probabilistic ratio against 0. NaN as there.

    Raises
    ------
    BadInputError
        As `expected_maximum_sharpe`.
    """
    variance = variance_of_trials
    if variance is None:
        variance = estimate_variance(sharpe, n, skew, kurtosis)
    return probabilistic_sharpe(sharpe, expected_maximum_sharpe(variance, trials), n, skew, kurtosis)


def minimum_track_record_length(
    sharpe: float, benchmark_sharpe: float, skew: float, kurtosis: float, confidence: float = 0.95
) -> float:
    """Returns it takes to say with a given confidence that a Sharpe ratio is above a benchmark's (MinTRL).

    ``1 + (1 - skew * SR + (kurtosis - 1) / 4 * SR**2) * (z(confidence) / (SR - SR*))**2``, with ratios per
    period: Bailey & López de Prado (2012). Their example: to tell an annual ratio of 2 from one of 1 at 95 %,
    normal returns take 2.73 years of days (252 a year), 2.83 of weeks, 3.24 of months; months with skew -0.72
    and kurtosis 5.78 take 4.99.

    Returns
    -------
    float
        In periods, not rounded. Infinite for a ratio not above the benchmark's; NaN for moments no distribution
        has.

    Raises
    ------
    BadInputError
        For a confidence outside 0.5 to 1.
    """
    if not 0.5 < confidence < 1:
        raise BadInputError(f"A confidence lies between 0.5 and 1, not at {confidence}.")
    deviation = _deviation(sharpe, skew, kurtosis)
    if math.isnan(deviation) or math.isnan(benchmark_sharpe):
        return math.nan
    if sharpe <= benchmark_sharpe:
        return math.inf
    return 1 + (deviation * NORMAL.inv_cdf(confidence) / (sharpe - benchmark_sharpe)) ** 2


def estimate_variance(sharpe: float, n: int, skew: float, kurtosis: float) -> float:
    """Variance of an estimated Sharpe ratio: ``(1 - skew * SR + (kurtosis - 1) / 4 * SR**2) / (n - 1)``.

    Mertens (2002); Bailey & López de Prado (2012). NaN for fewer than 2 returns, or moments no distribution has.
    """
    return _deviation(sharpe, skew, kurtosis) ** 2 / (n - 1) if n > 1 else math.nan


def _deviation(sharpe: float, skew: float, kurtosis: float) -> float:
    """Standard deviation of the estimated ratio, times sqrt(n - 1)."""
    squared = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2
    return math.sqrt(squared) if squared >= 0 else math.nan
