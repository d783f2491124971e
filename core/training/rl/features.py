"""What an agent sees: thirteen features of the market, made of past prices alone, and two of its own account."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import lfilter  # type: ignore[import-untyped]

from core.errors import BadInputError
from core.training.rl.bars import Bars, Floats, Times, is_intraday

MARKET_FEATURES: Final = (
    "return_1",
    "return_5",
    "return_20",
    "return_60",
    "volatility_20",
    "volatility_ratio",
    "rsi_14",
    "macd",
    "macd_histogram",
    "mean_distance_20",
    "mean_distance_100",
    "drawdown_100",
    "clock",
)
ACCOUNT_FEATURES: Final = ("position", "open_gain")
FEATURE_ORDER: Final = (*MARKET_FEATURES, *ACCOUNT_FEATURES)
"""The elements of an observation, in order."""
WARM_UP: Final = 100
"""Bars before the first one that has all features."""
_QUIET: Final = 1e-8
_DAY: Final = np.timedelta64(1, "D")


def market_features(bars: Bars) -> npt.NDArray[np.float64]:
    """Compute the market's features, of each bar from prices up to its close.

    With r the log return of a bar, c its close, and EMA(k) the exponential mean with weight 2 / (k + 1):

    - return_h: log(c[t] / c[t - h]).
    - volatility_20: standard deviation of the last 20 r (ddof 1); volatility_ratio: log of it over that of 100.
    - rsi_14: (U - D) / (U + D), with U and D Wilder's means (weight 1 / 14) of rises and falls of the close (Wilder,
      New Concepts in Technical Trading Systems, 1978, whose RSI is 50 (1 + rsi_14)); 0 where nothing moved.
    - macd: (EMA(12) - EMA(26)) / c of the close; macd_histogram: macd less its EMA(9) (Appel).
    - mean_distance_k: log(c / mean of the last k closes); drawdown_100: c / highest of the last 100 closes - 1.
    - clock: of intraday bars the time of the day in UTC, of others the day of the week, in [0, 1).

    Parameters
    ----------
    bars : Bars

    Returns
    -------
    float64 array, shape (n, 13)
        In the order of `MARKET_FEATURES`. The first 100 rows are NaN.

    Raises
    ------
    BadInputError
        If there are no more bars than the warm-up takes.
    """
    if len(bars) <= WARM_UP:
        raise BadInputError(
            f"{bars.name} has {len(bars):,} bars; the first {WARM_UP} are needed before the first decision. Give more."
        )
    close = bars.close
    logs = np.log(close)
    returns = np.diff(logs, prepend=logs[0])
    short, long = _deviation(returns, 20), _deviation(returns, 100)
    macd = (_mean(close, 2 / 13) - _mean(close, 2 / 27)) / close
    columns = (
        *(_change(logs, bars_back) for bars_back in (1, 5, 20, 60)),
        short,
        np.log((short + _QUIET) / (long + _QUIET)),
        _relative_strength(close),
        macd,
        macd - _mean(macd, 2 / 10),
        np.log(close / _windows(close, 20, np.mean)),
        np.log(close / _windows(close, 100, np.mean)),
        close / _windows(close, 100, np.max) - 1.0,
        _clock(bars.times),
    )
    table = np.stack(columns, axis=1)
    table[:WARM_UP] = np.nan
    return table


def _change(logs: Floats, bars_back: int) -> Floats:
    change = np.full(len(logs), np.nan)
    change[bars_back:] = logs[bars_back:] - logs[:-bars_back]
    return change


def _windows(values: Floats, length: int, function: Any) -> Floats:
    # Each window on its own: sums that roll on would carry rounding from one bar to all later ones.
    found = np.full(len(values), np.nan)
    found[length - 1 :] = function(sliding_window_view(values, length), axis=1)
    return found


def _deviation(values: Floats, length: int) -> Floats:
    return _windows(values, length, lambda windows, axis: np.std(windows, axis=axis, ddof=1))


def _mean(values: Floats, weight: float) -> Floats:
    """Exponential mean that begins with the first value."""
    mean, _ = lfilter([weight], [1.0, weight - 1.0], values, zi=[(1.0 - weight) * values[0]])
    return np.asarray(mean, dtype=np.float64)


def _relative_strength(close: Floats) -> Floats:
    moves = np.diff(close, prepend=close[0])
    up, down = _mean(np.maximum(moves, 0.0), 1 / 14), _mean(np.maximum(-moves, 0.0), 1 / 14)
    both = up + down
    return np.divide(up - down, both, out=np.zeros(len(close)), where=both > 0)


def _clock(times: Times) -> Floats:
    if is_intraday(times):
        return np.asarray((times - times.astype("datetime64[D]")) / _DAY, dtype=np.float64)
    # 1970-01-01 was a Thursday; Monday is 0.
    return ((times.astype("datetime64[D]").astype(np.int64) + 3) % 7) / 7.0
