"""How many returns make a year: read from the time stamps, and snapped to the convention of the trade."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from core.backtests.types import Annualisation, Times
from core.errors import BadInputError

BUSINESS_DAYS: Final = "business days"
EVERY_DAY: Final = "every day"
INTRADAY: Final = "intraday, as counted"
IRREGULAR: Final = "irregular, as counted"
AS_SET: Final = "as set"
DEFAULT: Final = 252.0
"""Returns a year where the time stamps span no time."""

_YEAR = 365.25
_DAY = 86_400e6
_INTRADAY_BELOW = 0.75
"""Days between two points; daily points that are logged some hours early or late stay above."""
_DAILY_UP_TO = 1.5
_CONVENTIONS: Final = (
    # name, returns a year, shortest and longest typical step in days
    ("weekly", 52.0, 5.0, 9.0),
    ("monthly", 12.0, 26.0, 35.0),
    ("quarterly", 4.0, 84.0, 100.0),
    ("yearly", 1.0, 350.0, 380.0),
)
_GAP = 5.0
"""A step longer than so many usual ones is a gap, not a rhythm."""
_GAPS_ALLOWED = 0.1
_SPARSER_ALLOWED = 1.5

_Steps = npt.NDArray[np.float64]


def annualise(times: Times, override: float | None = None) -> Annualisation:
    """Find how many returns make a year.

    - Typical (median) step under 18 hours: intraday. The year has the bars that were counted: the returns over
      the elapsed years of 365.25 days. Nights, weekends and holidays are so taken as the data have them; a
      stretch shorter than a week, without its share of them, counts too many (`override` helps).
    - Typical step of a day: 365 where the curve has both Saturdays and Sundays, each at least half as often as
      an even week would (so that a Monday in Tokyo, still Sunday in UTC, does not count); else 252, steps
      then being measured in business days.
    - 5 to 9 days: 52; 26 to 35 days: 12; 84 to 100 days: 4; 350 to 380 days: 1.
    - Anything else is irregular and taken as counted. So is a rhythm that does not hold: more than a tenth of
      the steps longer than five usual ones, or, without these, over 1.5 times too few returns a year for it.

    Parameters
    ----------
    times : datetime64 array, shape (n + 1,)
        Strictly rising, UTC, as in `EquityCurve`: n returns lie between them.
    override : float, optional
        Returns a year as a person set them.

    Returns
    -------
    Annualisation
        252 business days, with `counted` NaN, for fewer than two points.

    Raises
    ------
    BadInputError
        For an override that is not a finite number above zero.
    """
    steps = np.diff(times).astype("timedelta64[us]").astype(np.float64) / _DAY
    elapsed = float(steps.sum()) / _YEAR
    counted = len(steps) / elapsed if elapsed > 0 else math.nan
    if override is not None:
        if not (math.isfinite(override) and override > 0):
            raise BadInputError(
                f"{override} returns a year cannot be used: give a number above zero, for example 252."
            )
        return Annualisation(float(override), AS_SET, counted)
    if math.isnan(counted):
        return Annualisation(DEFAULT, BUSINESS_DAYS, counted)
    if np.median(steps) < _INTRADAY_BELOW:
        return Annualisation(counted, INTRADAY, counted)
    return _daily(times, steps, counted) or _longer(steps, counted)


def _daily(times: Times, steps: _Steps, counted: float) -> Annualisation | None:
    dates = times.astype("datetime64[D]")
    weekdays = np.bincount((dates.astype(np.int64) + 3) % 7, minlength=7)  # 1970-01-01 was a Thursday
    if weekdays[5:].min() >= len(times) / 14:
        name, per_year, days, year = EVERY_DAY, 365.0, steps, _YEAR
    else:
        days = np.busday_count(dates[:-1], dates[1:]).astype(np.float64)
        name, per_year, year = BUSINESS_DAYS, 252.0, _YEAR * 5 / 7
    # Calendar days count too: points logged around midnight UTC have some dates twice and skip others.
    if np.median(days) != 1 and not _INTRADAY_BELOW <= np.median(steps) <= _DAILY_UP_TO:
        return None
    return Annualisation(per_year, name, counted) if _keeps(days, 1.0, year, per_year) else None


def _longer(steps: _Steps, counted: float) -> Annualisation:
    typical = float(np.median(steps))
    for name, per_year, shortest, longest in _CONVENTIONS:
        if shortest <= typical <= longest and _keeps(steps, typical, _YEAR, per_year):
            return Annualisation(per_year, name, counted)
    return Annualisation(counted, IRREGULAR, counted)


def _keeps(steps: _Steps, typical: float, year: float, per_year: float) -> bool:
    """Whether the steps keep the rhythm; `steps`, `typical` and `year` share a unit."""
    usual = steps[steps <= _GAP * typical]
    if len(usual) < (1 - _GAPS_ALLOWED) * len(steps):
        return False
    return bool(per_year <= _SPARSER_ALLOWED * year / usual.mean()) if usual.any() else True
