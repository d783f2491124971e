"""How features are brought to one scale: statistics of the training part alone, kept as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.errors import BadInputError
from core.training.rl.bars import written
from core.training.rl.features import MARKET_FEATURES

CLIP: Final = 5.0
"""Largest absolute value of an observation."""
_CONSTANT: Final = 1e-12

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NormalisationStats:
    """Statistics of the market's features.

    Attributes
    ----------
    features : tuple of str
    mean, scale : tuple of float
        Of each feature; the scale is the standard deviation (ddof 0), 1 for a feature that does not vary.
    return_scale : float
        Standard deviation of the simple returns from bar to bar (ddof 0): the unit of rewards and open gains.
    first, last : str
        Times of the first and last bar that they were taken from, ISO 8601 in UTC.
    rows : int
    """

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    return_scale: float
    first: str
    last: str
    rows: int

    def apply(self, features: npt.NDArray[np.float64]) -> Float32s:
        """Normalise features of shape (n, 13), clipped to [-5, 5]; NaN stays."""
        normal = (features - np.asarray(self.mean)) / np.asarray(self.scale)
        return np.asarray(np.clip(normal, -CLIP, CLIP), dtype=np.float32)

    def to_json(self) -> str:
        """Return the statistics as the text of ``norm_stats.json``."""
        return json.dumps({**asdict(self), "clip": CLIP}, indent=1)


def fit(
    features: npt.NDArray[np.float64], close: npt.NDArray[np.float64], times: npt.NDArray[np.datetime64]
) -> NormalisationStats:
    """Take the statistics of a part.

    Parameters
    ----------
    features : float64 array, shape (n, 13)
        Without NaN.
    close : float64 array, shape (n,)
    times : datetime64 array, shape (n,)
    """
    scale = features.std(axis=0)
    returns = close[1:] / close[:-1] - 1.0
    spread = float(returns.std())
    return NormalisationStats(
        MARKET_FEATURES,
        tuple(features.mean(axis=0).tolist()),
        tuple(np.where(scale > _CONSTANT, scale, 1.0).tolist()),
        spread if spread > _CONSTANT else 1.0,
        written(times[0]),
        written(times[-1]),
        len(features),
    )


def read_stats(path: Path) -> NormalisationStats:
    """Read what `NormalisationStats.to_json` wrote.

    Raises
    ------
    BadInputError
        If the file is no such JSON, or is about other features.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        stats = NormalisationStats(
            tuple(found["features"]),
            tuple(map(float, found["mean"])),
            tuple(map(float, found["scale"])),
            float(found["return_scale"]),
            str(found["first"]),
            str(found["last"]),
            int(found["rows"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{path.name} holds no normalisation statistics ({error}).") from error
    numbers = np.array((*stats.mean, *stats.scale, stats.return_scale))
    fits = len(stats.mean) == len(stats.scale) == len(MARKET_FEATURES)
    if stats.features != MARKET_FEATURES or not fits or not np.isfinite(numbers).all() or 0 in stats.scale:
        raise BadInputError(
            f"{path.name} is about other features than {', '.join(MARKET_FEATURES)}: such "
            "a model cannot be begun with."
        )
    return stats
