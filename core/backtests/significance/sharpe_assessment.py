"""Whether a run's Sharpe ratio can be told from luck, and from that of the best of many tries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.backtests.significance.samples import without_variance
from core.backtests.significance.sharpe import (
    deflated_sharpe,
    estimate_variance,
    expected_maximum_sharpe,
    minimum_track_record_length,
    probabilistic_sharpe,
)
from core.backtests.types import Floats
from core.errors import BadInputError

MIN_RETURNS: Final = 3
"""A skew needs that many; whether they are enough is what the probabilities say."""


@dataclass(frozen=True, slots=True)
class SharpeSignificance:
    """How far a Sharpe ratio stands out from zero, and from the best of as many tries without skill.

    Ratios are per period, not annualised.

    Attributes
    ----------
    sharpe, skew, kurtosis : float
        Of the returns; kurtosis is 3 for a normal distribution. NaN where `reason` says why.
    n : int
        Returns that were used.
    dropped : int
        Missing returns.
    probabilistic : float
        Probability that the true ratio is above 0.
    trials : int
        Runs tried, this one included.
    trial_variance : float or None
        Variance of their ratios; None where it is not known and the estimate's own stands in for it.
    expected_maximum : float
        Best ratio to expect of that many trials without skill.
    deflated : float
        Probability that the true ratio is above `expected_maximum`.
    minimum_track_record : float
        Returns it takes to tell the ratio from 0 at `confidence`; infinite for a ratio of 0 or less.
    minimum_track_record_years : float
    confidence : float
    reason : str or None
        Why nothing can be said.
    """

    sharpe: float
    skew: float
    kurtosis: float
    n: int
    dropped: int
    probabilistic: float
    trials: int
    trial_variance: float | None
    expected_maximum: float
    deflated: float
    minimum_track_record: float
    minimum_track_record_years: float
    confidence: float
    reason: str | None


def assess_sharpe(
    returns: Floats,
    periods_per_year: float,
    trial_sharpes: Floats | None = None,
    *,
    trials: int | None = None,
    confidence: float = 0.95,
) -> SharpeSignificance:
    """Test a run's Sharpe ratio against zero, and against the number of runs it was chosen from.

    The ratio is ``mean / std`` with n - 1 in the variance; skew and kurtosis are the plain moments. All tests
    take returns that do not depend on each other; trends in them make the probabilities too high.

    Parameters
    ----------
    returns : float64 array, shape (n,)
        Simple returns; NaN and infinity are left out and counted.
    periods_per_year : float
        For the track record in years.
    trial_sharpes : float64 array, shape (others,), optional
        Ratios per period of the other runs that were tried, over periods of the same length. NaN is no trial: a
        run without a ratio could not have been chosen.
    trials : int, optional
        Runs tried, this one included, where more were tried than have a ratio. Known ratios still give the
        variance.
    confidence : float
        Of the minimum track record.

    Returns
    -------
    SharpeSignificance
        With a reason and NaN for fewer than 3 returns or returns that do not vary.

    Raises
    ------
    BadInputError
        For fewer `trials` than are known, periods a year that are not above 0, or a confidence outside 0.5 to 1.
    """
    others = np.zeros(0) if trial_sharpes is None else np.asarray(trial_sharpes, dtype=np.float64)
    others = others[np.isfinite(others)]
    tried = 1 + len(others) if trials is None else trials
    if tried < 1 + len(others) or not periods_per_year > 0:
        raise BadInputError(
            f"A Sharpe ratio cannot be judged as one of {tried} trials, with {len(others)} others known and "
            f"{periods_per_year} periods a year."
        )
    kept = returns[np.isfinite(returns)]
    sharpe, skew, kurtosis, reason = _moments(kept)
    n, known = len(kept), np.append(others, sharpe)
    variance = float(known.var(ddof=1)) if len(known) > 1 and reason is None else None
    stand_in = estimate_variance(sharpe, n, skew, kurtosis) if variance is None else variance
    length = minimum_track_record_length(sharpe, 0.0, skew, kurtosis, confidence)
    return SharpeSignificance(
        sharpe=sharpe,
        skew=skew,
        kurtosis=kurtosis,
        n=n,
        dropped=len(returns) - n,
        probabilistic=probabilistic_sharpe(sharpe, 0.0, n, skew, kurtosis),
        trials=tried,
        trial_variance=variance,
        expected_maximum=math.nan if reason else expected_maximum_sharpe(stand_in, tried),
        deflated=math.nan if reason else deflated_sharpe(sharpe, n, skew, kurtosis, tried, variance),
        minimum_track_record=length,
        minimum_track_record_years=length / periods_per_year,
        confidence=confidence,
        reason=reason,
    )


def _moments(returns: Floats) -> tuple[float, float, float, str | None]:
    n = len(returns)
    if n < MIN_RETURNS:
        return (
            math.nan,
            math.nan,
            math.nan,
            f"{n} returns are too few for a Sharpe ratio's test: it takes {MIN_RETURNS}.",
        )
    if without_variance(returns):
        return math.nan, math.nan, math.nan, f"All {n} returns are the same: there is no Sharpe ratio."
    deviations = returns - returns.mean()
    spread = deviations.std()
    skew, kurtosis = ((deviations / spread) ** 3).mean(), ((deviations / spread) ** 4).mean()
    return float(returns.mean() / returns.std(ddof=1)), float(skew), float(kurtosis), None
