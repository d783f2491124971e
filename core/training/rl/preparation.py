"""From a file of bars to the three stretches of the market that a training needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.errors import BadInputError
from core.training.rl import normalisation
from core.training.rl.bars import Bars, read_bars, written
from core.training.rl.features import WARM_UP, market_features
from core.training.rl.market import Market, market_of
from core.training.rl.measures import returns_per_year
from core.training.rl.normalisation import NormalisationStats
from core.training.rl.options import TrainingOptions
from core.training.rl.split import Fold, walk_forward


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What is trained on.

    Attributes
    ----------
    bars : Bars
    fold : Fold
    stats : NormalisationStats
        Of the training part, or of the model that is begun with.
    train, validation, test : Market
    per_year : float
        Returns a year, of the test.
    """

    bars: Bars
    fold: Fold
    stats: NormalisationStats
    train: Market
    validation: Market
    test: Market
    per_year: float

    def params(self) -> dict[str, object]:
        """Return what is logged of it."""
        found: dict[str, object] = {"bars": len(self.bars)}
        for name, market in (("train", self.train), ("validation", self.validation), ("test", self.test)):
            found[f"{name}_start"], found[f"{name}_end"] = written(market.times[0]), written(market.times[-1])
        return found

    @property
    def seen_until(self) -> np.datetime64:
        """The last bar that learning or choosing a model looks at."""
        last: np.datetime64 = self.validation.times[-1]
        return last


def prepare(options: TrainingOptions, stats: NormalisationStats | None = None) -> Prepared:
    """Read the bars, split them, and normalise them by the training part.

    Parameters
    ----------
    stats : NormalisationStats, optional
        Those of the model that is begun with, whose observations must keep their meaning.

    Raises
    ------
    BadInputError
        If the bars, or the options that split them, cannot be used.
    """
    bars = read_bars(options.data, repair=options.repair)
    features = market_features(bars)
    start = WARM_UP
    if options.last_days is not None:
        since = bars.times[-1] - np.timedelta64(options.last_days, "D")
        start = max(start, int(np.searchsorted(bars.times, since, side="right")))
    folds = walk_forward(start, len(bars), options.validation, options.test, options.folds)
    if options.fold is not None and not 1 <= options.fold <= len(folds):
        raise BadInputError(
            f"There is no fold {options.fold} of {len(folds)}. Give one from 1 to {len(folds)}."
        )
    fold = folds[(options.fold or len(folds)) - 1]
    if stats is None:
        cut = fold.train.slice
        stats = normalisation.fit(features[cut], bars.close[cut], bars.times[cut])
    train, validation, test = (
        market_of(bars, features, part, stats, options.costs)
        for part in (fold.train, fold.validation, fold.test)
    )
    return Prepared(bars, fold, stats, train, validation, test, returns_per_year(test.times))
