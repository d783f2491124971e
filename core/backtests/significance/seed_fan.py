"""How far runs that differ by their random seed alone drift apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.backtests.types import EquityCurve, Floats, Times
from core.errors import BadInputError

MIN_FOR_QUANTILES: Final = 20
MAX_TIMES: Final = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class SeedFan:
    """Growth of several runs since their common start, as a median between a low and a high curve.

    Attributes
    ----------
    times : datetime64[us] array, shape (points,)
        UTC, strictly rising.
    median, low, high : float64 array, shape (points,)
        Growth, 1 at the start. At each time on its own: no run need have followed one of these curves.
    quantiles : bool
        Whether `low` and `high` leave out 5 % of the runs each; else they are the lowest and the highest run.
    finals : float64 array, shape (n,)
        Growth of each run at the common end.
    worst_index, best_index : int
        Runs with the lowest and the highest of `finals`; the first of equals.
    labels : tuple of str
    n : int
        Runs.
    """

    times: Times
    median: Floats
    low: Floats
    high: Floats
    quantiles: bool
    finals: Floats
    worst_index: int
    best_index: int
    labels: tuple[str, ...]
    n: int


def seed_fan(curves: Sequence[EquityCurve], labels: Sequence[str]) -> SeedFan:
    """Join the equity curves of a seed group.

    The fan reaches from the latest start to the earliest end, so that every run counts at every time; a ruined
    run stays where it ended and does not cut the others short. In between are the times of all runs (union),
    each run with its last value up to there; beyond 200,000 of them, evenly chosen ones. Every run is divided by
    its value at the common start.

    Low and high are the 5 % and 95 % quantiles (linear interpolation) of 20 runs or more; of fewer, the lowest
    and the highest value.

    Parameters
    ----------
    curves : sequence of EquityCurve
    labels : sequence of str
        What each run is called, in the same order.

    Returns
    -------
    SeedFan
        Of one run: three times its curve.

    Raises
    ------
    BadInputError
        For no curve, labels that do not match, runs that share no stretch of time, or one that was ruined
        before the others began.
    """
    if not curves or len(curves) != len(labels):
        raise BadInputError(
            f"A fan needs runs, each with a label: {len(curves)} runs and {len(labels)} labels given."
        )
    start = max(curve.times[0] for curve in curves)
    surviving = [curve.times[-1] for curve in curves if curve.values[-1] > 0]
    end = min(surviving) if surviving else max(curve.times[-1] for curve in curves)
    for curve, label in zip(curves, labels, strict=True):
        if curve.values[-1] <= 0 and curve.times[-1] <= start:
            raise BadInputError(
                f"Run {label} was ruined before all others had begun: leave it out, or compare runs over the same "
                "period."
            )
    if end <= start:
        raise BadInputError(
            f"The {len(curves)} runs share no stretch of time: one starts at {start}, one ends at {end} (UTC)."
        )
    times = np.unique(np.concatenate([curve.times for curve in curves]))
    times = times[(times >= start) & (times <= end)]
    if len(times) > MAX_TIMES:
        times = times[np.linspace(0, len(times) - 1, MAX_TIMES).round().astype(np.int64)]

    growth = np.stack([_growth(curve, times) for curve in curves])
    quantiles = len(curves) >= MIN_FOR_QUANTILES
    low, high = np.quantile(growth, (0.05, 0.95) if quantiles else (0.0, 1.0), axis=0)
    return SeedFan(
        times=times,
        median=np.median(growth, axis=0),
        low=low,
        high=high,
        quantiles=quantiles,
        finals=growth[:, -1].copy(),
        worst_index=int(growth[:, -1].argmin()),
        best_index=int(growth[:, -1].argmax()),
        labels=tuple(labels),
        n=len(curves),
    )


def _growth(curve: EquityCurve, times: Times) -> Floats:
    values = curve.values[np.searchsorted(curve.times, times, side="right") - 1]
    return np.asarray(values / values[0])
