"""Axis limits that a few far values cannot stretch, and the marks of what lies beyond them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Sides = npt.NDArray[np.int8]

# An end may lie this many interquartile ranges beyond its quartile: at least, at most.
_NEAR, _FAR = 2.0, 8.0
_PADDING = 0.05
_ARROWS = {
    (-1, -1): "triangle-sw",
    (-1, 0): "triangle-left",
    (-1, 1): "triangle-nw",
    (0, -1): "triangle-down",
    (0, 1): "triangle-up",
    (1, -1): "triangle-se",
    (1, 0): "triangle-right",
    (1, 1): "triangle-ne",
}


@dataclass(frozen=True, slots=True)
class Window:
    """The values of one axis that are drawn where they are, both ends included."""

    low: float
    high: float

    @property
    def padding(self) -> float:
        """The room at either end, in which marks of values beyond stand."""
        return (self.high - self.low) * _PADDING or abs(self.high) * _PADDING or 1.0

    @property
    def limits(self) -> tuple[float, float]:
        """The range of the axis."""
        return self.low - self.padding, self.high + self.padding

    def sides(self, values: Floats) -> Sides:
        """Return -1 for values below the window, 1 above it, 0 within."""
        return np.where(values < self.low, -1, np.where(values > self.high, 1, 0)).astype(np.int8)

    def placed(self, values: Floats) -> Floats:
        """Return where values are drawn: those beyond the window stand in its padding."""
        room = self.padding / 2
        return np.clip(values, self.low - room, self.high + room)


def window(values: Floats) -> Window:
    """Return limits around most of the values.

    An end is the extreme value, unless that lies far out. Then it is the second or the 98th percentile, but
    at least two and at most eight interquartile ranges beyond the quartile, rounded outwards.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Finite, at least one.
    """
    least, q02, q25, q75, q98, greatest = np.quantile(values, [0, 0.02, 0.25, 0.75, 0.98, 1])
    spread = float(q75 - q25 or (q98 - q02) / 4 or abs(q25) / 4 or 1.0)
    low = float(np.clip(q02, q25 - _FAR * spread, q25 - _NEAR * spread))
    high = float(np.clip(q98, q75 + _NEAR * spread, q75 + _FAR * spread))
    step = 10 ** math.floor(math.log10(high - low)) / 2
    return Window(
        max(float(least), math.floor(low / step) * step), min(float(greatest), math.ceil(high / step) * step)
    )


def arrows(x_sides: Sides, y_sides: Sides, own: str) -> list[str]:
    """Return the symbol of each mark: its own, or a triangle that points to where its value lies."""
    ending = "-open" if own.endswith("-open") else ""
    pointing = {sides: symbol + ending for sides, symbol in _ARROWS.items()}
    return [pointing.get(sides, own) for sides in zip(x_sides.tolist(), y_sides.tolist(), strict=True)]
