"""Trading rules of the demo and a simulation that charges costs; pure, on daily closes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

STARTING_CAPITAL = 100_000.0


@dataclass(frozen=True, slots=True)
class Simulation:
    """What an account did: the two tables of the backtest contract.

    Attributes
    ----------
    portfolio : DataFrame
        time, value, benchmark (value of the same capital in the instrument), position (signed units), cash.
    trades : DataFrame
        entry_time, exit_time, side, quantity, entry_price, exit_price, pnl (after fees), fees.
    """

    portfolio: pd.DataFrame
    trades: pd.DataFrame


def moving_average_signal(closes: Floats, fast: int, slow: int) -> Floats:
    """Be long while the fast moving average is above the slow one, else flat; flat until both are known."""
    signal = np.zeros(len(closes))
    signal[slow - 1 :] = _mean(closes, fast)[slow - fast :] > _mean(closes, slow)
    return signal


def momentum_signal(closes: Floats, lookback: int, short: bool) -> Floats:
    """Follow the sign of the return over `lookback` days; flat instead of short unless `short`."""
    signal = np.zeros(len(closes))
    signal[lookback:] = np.sign(closes[lookback:] / closes[:-lookback] - 1.0)
    return signal if short else np.maximum(signal, 0.0)


def with_noise(signal: Floats, probability: float, seed: int) -> Floats:
    """Turn the signal of some days into flat, as a rule that misses its data now and then would."""
    missed = np.random.default_rng(seed).random(len(signal)) < probability
    return np.where(missed, 0.0, signal)


def simulate(prices: pd.Series, signal: Floats, costs_bps: float) -> Simulation:
    """Trade a signal with all capital, one position at a time.

    The signal of a day is traded at that day's close, so that it earns from the next day on. A position
    keeps its number of units until the signal changes, and is closed on the last day. Every trade pays
    `costs_bps` of what it buys or sells.

    Parameters
    ----------
    prices : Series of float, DatetimeIndex
        Closes, positive and without gaps.
    signal : array of -1, 0 and 1, shape (n,)
    costs_bps : float
        In hundredths of a percent, a side.
    """
    closes = prices.to_numpy(dtype=np.float64)
    rate = costs_bps / 1e4
    last = len(closes) - 1
    turns = np.flatnonzero(np.diff(signal, prepend=0.0))
    turns = turns[turns < last]
    value = np.full(len(closes), STARTING_CAPITAL)
    position = np.zeros(len(closes))
    capital, rows = STARTING_CAPITAL, []
    for start, end in pairwise([*turns, last]):
        side = signal[start]
        value[start : end + 1] = capital
        if side == 0:
            continue
        # Fees come out of the capital, so that all of it is invested.
        units = capital / (closes[start] * (1 + rate))
        fees = rate * units * (closes[start] + closes[end])
        value[start:end] = capital - rate * units * closes[start]
        value[start : end + 1] += side * units * (closes[start : end + 1] - closes[start])
        pnl = side * units * (closes[end] - closes[start]) - fees
        capital += pnl
        value[end] = capital
        position[start:end] = side * units
        rows.append((start, end, "long" if side > 0 else "short", units, pnl, fees))
    times = prices.index
    portfolio = pd.DataFrame(
        {
            "time": times,
            "value": value,
            "benchmark": STARTING_CAPITAL * closes / closes[0],
            "position": position,
            "cash": value - position * closes,
        }
    )
    starts, ends = [row[0] for row in rows], [row[1] for row in rows]
    trades = pd.DataFrame(
        {
            "entry_time": times[starts],
            "exit_time": times[ends],
            "side": [row[2] for row in rows],
            "quantity": [row[3] for row in rows],
            "entry_price": closes[starts],
            "exit_price": closes[ends],
            "pnl": [row[4] for row in rows],
            "fees": [row[5] for row in rows],
        }
    )
    return Simulation(portfolio, trades)


def _mean(values: Floats, width: int) -> Floats:
    means: Floats = np.lib.stride_tricks.sliding_window_view(values, width).mean(axis=1)
    return means
