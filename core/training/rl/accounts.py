"""The money of agents: positions, costs and gains of many accounts at once."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from core.errors import GreenroomError
from core.training.rl.bars import Floats
from core.training.rl.normalisation import CLIP, Float32s

RUINED: Final = 1e-6
"""What is left of an account that lost all: its logarithm is a number."""
_GAIN_BARS: Final = 20.0
_TINY: Final = 1e-12


class Accounts:
    """N accounts that each hold a position as a fraction of their equity.

    A change of the position by d costs ``c |d|`` of the equity, with c fee and slippage together; then the position
    w earns ``w r``. So a bar multiplies the equity by ``(1 - c |d|) (1 + w r)``. After it the position has moved
    with the price to ``w (1 + r) / (1 + w r)``: being invested fully, or not at all, costs nothing more.

    Attributes
    ----------
    position, equity : float64 arrays, shape (N,)
        The equity begins at 1.
    """

    def __init__(self, count: int, per_turnover: float, return_scale: float) -> None:
        self._per_turnover = per_turnover
        self._gain_unit = return_scale * np.sqrt(_GAIN_BARS)
        self.position = np.zeros(count)
        self.equity = np.ones(count)
        self._opened_at = np.ones(count)

    def reset(self, which: npt.NDArray[np.int64]) -> None:
        """Begin anew with some accounts."""
        self.position[which] = 0.0
        self.equity[which] = 1.0
        self._opened_at[which] = 1.0

    def trade(self, targets: Floats, returns: Floats) -> tuple[Floats, Floats]:
        """Take positions and earn a bar's return.

        Parameters
        ----------
        targets : float64 array, shape (N,)
            In [-1, 1]; what is outside is brought there.
        returns : float64 array, shape (N,)
            Simple returns of the bar.

        Returns
        -------
        growth : float64 array, shape (N,)
            What the equity was multiplied by, 1e-6 for an account that lost everything.
        fees : float64 array, shape (N,)
            Costs as fractions of the equity before.

        Raises
        ------
        GreenroomError
            If a target is no number: the policy has diverged.
        """
        if not np.isfinite(targets).all():
            raise GreenroomError(
                "The agent's policy gives no numbers any more: it has diverged. Lower the learning rate."
            )
        targets = np.clip(targets, -1.0, 1.0)
        turned = np.sign(targets) != np.sign(self.position)
        np.copyto(self._opened_at, self.equity, where=turned)
        fees = self._per_turnover * np.abs(targets - self.position)
        earned = 1.0 + targets * returns
        growth = np.maximum((1.0 - fees) * earned, RUINED)
        self.equity = self.equity * growth
        self.position = targets * (1.0 + returns) / np.maximum(earned, _TINY)
        return growth, fees

    def write(self, observations: Float32s) -> None:
        """Write both features of the accounts into the last columns of observations, shape (N, 15).

        The position, and the gain since it was opened in units of the usual move of twenty bars; both in [-5, 5].
        """
        gain = np.where(self.position == 0.0, 0.0, (self.equity / self._opened_at - 1.0) / self._gain_unit)
        observations[:, -2] = np.clip(self.position, -CLIP, CLIP)
        observations[:, -1] = np.clip(gain, -CLIP, CLIP)

    @property
    def ruined(self) -> npt.NDArray[np.bool_]:
        """Which accounts have nothing left, shape (N,)."""
        return self.equity <= 2 * RUINED
