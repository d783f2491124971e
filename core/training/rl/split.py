"""Walk-forward split: learn on the past, choose on what follows, and judge on what comes after that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.errors import BadInputError

LEAST_TRAIN: Final = 30
LEAST_HELD: Final = 5


@dataclass(frozen=True, slots=True)
class Part:
    """Bars from `start` to before `stop`."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def slice(self) -> slice:
        """The part of an array of bars."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, slots=True)
class Fold:
    """One split, in time order and without overlap.

    Attributes
    ----------
    train, validation, test : Part
        The validation chooses the model, so that the test, which nothing is chosen by, is held out.
    """

    train: Part
    validation: Part
    test: Part


def walk_forward(
    start: int, stop: int, validation: float = 0.15, test: float = 0.15, folds: int = 1
) -> tuple[Fold, ...]:
    """Split bars into folds whose tests follow each other and end with the last bar.

    Each fold has one test of the share `test` of all bars, before it a validation of the share `validation`, and
    learns on everything before that.

    Parameters
    ----------
    start, stop : int
        The bars to split.
    validation, test : float
        Shares of all bars, in (0, 1).
    folds : int

    Returns
    -------
    tuple of Fold
        In time order.

    Raises
    ------
    BadInputError
        If a share cannot be used, or the bars are too few: the first fold learns on 30 bars at least, and the
        others hold 5.
    """
    total = stop - start
    if not (0 < validation < 1 and 0 < test < 1 and folds >= 1):
        raise BadInputError(
            f"{folds} folds with shares of {validation} and {test} cannot be made: give shares between 0 and 1."
        )
    held, chosen = int(total * test), int(total * validation)
    learnt = total - folds * held - chosen
    if learnt < LEAST_TRAIN or min(held, chosen) < LEAST_HELD:
        raise BadInputError(
            f"{total:,} usable bars are too few for {folds} fold{'s' if folds > 1 else ''}: {max(learnt, 0):,} would "
            f"be left to learn on, {chosen:,} to validate and {held:,} to test, and {LEAST_TRAIN}, {LEAST_HELD} and "
            f"{LEAST_HELD} are needed. Give more bars, or other shares."
        )
    found = []
    for number in range(folds):
        end = stop - (folds - 1 - number) * held
        first, middle = end - held - chosen, end - held
        found.append(Fold(Part(start, first), Part(first, middle), Part(middle, end)))
    return tuple(found)
