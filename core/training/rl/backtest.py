"""A strategy led through a stretch of the market: its equity, positions and trades."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from core.training.rl.bars import Floats, Times
from core.training.rl.environment import TradingEnv
from core.training.rl.market import Market
from core.training.rl.normalisation import Float32s

CAPITAL: Final = 10_000.0

Strategy = Callable[[Float32s], float]
"""From an observation, shape (15,), to the position to take."""


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """What a strategy did.

    Attributes
    ----------
    times : datetime64 array, shape (n,)
    close : float64 array, shape (n,)
    values : float64 array, shape (n,)
        Equity at each close, the starting capital first. A position that is open at the end is valued at the last
        close, without the costs of closing it.
    positions : float64 array, shape (n,)
        The position taken at each close, as a fraction of the equity; at the last one, as before it.
    fees : float64 array, shape (n,)
        Money paid at each close; 0 at the last one.
    reward : float
        Sum of the environment's rewards.
    """

    times: Times
    close: Floats
    values: Floats
    positions: Floats
    fees: Floats
    reward: float


def run(market: Market, strategy: Strategy) -> Backtest:
    """Lead a strategy once through the market, from its first close to its last.

    An account that has lost everything stays as it is to the end.
    """
    env = TradingEnv(market)
    seen, _ = env.reset()
    count = len(market)
    values, positions, fees = np.full(count, CAPITAL), np.zeros(count), np.zeros(count)
    total = 0.0
    for at in range(count - 1):
        positions[at] = position = min(max(strategy(seen), -1.0), 1.0)
        seen, reward, ruined, _, info = env.step(np.array([position]))
        total += reward
        fees[at] = info["fees"] * values[at]
        values[at + 1] = CAPITAL * info["equity"]
        if ruined:
            values[at + 1 :] = values[at + 1]
            break
    positions[-1] = positions[-2]
    return Backtest(market.times, market.close, values, positions, fees, total)


def buy_and_hold(seen: Float32s) -> float:
    """Be long with everything, from the first close on."""
    return 1.0


def flat(seen: Float32s) -> float:
    """Never hold anything."""
    return 0.0


def trades(done: Backtest) -> dict[str, Any]:
    """Cut a backtest into trades: each lasts as long as the position keeps its sign.

    The position may change meanwhile; `quantity` is its mean over the trade, in units of what is traded, taken at
    the equity and price of the entry. `pnl` is the change of the equity, so all trades add up to that of the curve
    but for rounding; `fees` are in it. Where a position turns into the opposite one, the cost is the new trade's. A
    trade that is open at the end has no exit time and price.

    Returns
    -------
    dict of str to array
        Columns entry_time, exit_time, side (long, short), quantity, entry_price, exit_price, pnl, fees.
    """
    signs = np.sign(done.positions[:-1])
    changes = np.flatnonzero(np.diff(signs)) + 1
    begins = np.concatenate(([0], changes))
    ends = np.concatenate((changes, [len(signs)]))
    held = signs[begins] != 0
    begins, ends = begins[held], ends[held]
    is_open = ends == len(signs)
    # Leaving the market costs something at the close after which nothing is held any more.
    settled = np.where(~is_open & (np.append(signs, 1.0)[ends] == 0), ends + 1, ends)
    means = np.array([np.abs(done.positions[a:b]).mean() for a, b in zip(begins, ends, strict=True)])
    paid = np.array([done.fees[a:b].sum() for a, b in zip(begins, settled, strict=True)])
    return {
        "entry_time": _texts(done.times[begins]),
        "exit_time": [
            None if still else one for still, one in zip(is_open, _texts(done.times[ends]), strict=True)
        ],
        "side": ["long" if sign > 0 else "short" for sign in signs[begins]],
        "quantity": (means * done.values[begins] / done.close[begins]).tolist(),
        "entry_price": done.close[begins].tolist(),
        "exit_price": [
            None if still else one for still, one in zip(is_open, done.close[ends].tolist(), strict=True)
        ],
        "pnl": (done.values[settled] - done.values[begins]).tolist(),
        "fees": paid.tolist(),
    }


def portfolio(done: Backtest, benchmark: Backtest) -> dict[str, Any]:
    """Return the table ``portfolio_values``: time, value, benchmark, position."""
    return {
        "time": _texts(done.times),
        "value": done.values,
        "benchmark": benchmark.values,
        "position": done.positions,
    }


def _texts(times: Times) -> list[str]:
    return [f"{one}Z" for one in np.datetime_as_string(times, unit="s")]
