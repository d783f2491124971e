"""A stretch of the market as an environment runs through it: prices, normalised features, costs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from core.training.rl.bars import Bars, Floats, Times
from core.training.rl.normalisation import Float32s, NormalisationStats
from core.training.rl.split import Part


@dataclass(frozen=True, slots=True)
class Costs:
    """What a change of the position costs, as fractions of the amount that is bought or sold.

    Attributes
    ----------
    fee : float
        Commission and half the spread.
    slippage : float
        How much worse than the close the price is that is got.
    """

    fee: float = 0.0
    slippage: float = 0.0

    @property
    def per_turnover(self) -> float:
        """Both together."""
        return self.fee + self.slippage


@dataclass(frozen=True, eq=False)
class Market:
    """A part of the bars.

    Attributes
    ----------
    times : datetime64[us] array, shape (n,)
    close : float64 array, shape (n,)
    features : float32 array, shape (n, 13)
        Normalised.
    costs : Costs
    return_scale : float
        The standard deviation of returns in training; rewards are counted in it.
    """

    times: Times
    close: Floats
    features: Float32s
    costs: Costs
    return_scale: float

    def __len__(self) -> int:
        return len(self.close)

    @cached_property
    def returns(self) -> Floats:
        """Simple returns, shape (n - 1,): the one at t is earned from the close of bar t to that of t + 1."""
        return self.close[1:] / self.close[:-1] - 1.0


def market_of(bars: Bars, features: Floats, part: Part, stats: NormalisationStats, costs: Costs) -> Market:
    """Cut a part out of the bars and normalise its features, of shape (n, 13) for all bars."""
    return Market(
        bars.times[part.slice],
        bars.close[part.slice],
        stats.apply(features[part.slice]),
        costs,
        stats.return_scale,
    )
