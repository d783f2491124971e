"""Stores of the generated sales that break on purpose: which, how, and what it does to their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class _Broken(IntEnum):
    """Numbers of the stores that break: every fifth from 4."""

    REFURBISHED = 4
    COMPETITOR = 9
    OPENED_LATE = 14
    JUST_OPENED = 19
    STUCK_TILL = 24
    INTERMITTENT = 29
    FLAGSHIP = 34


# Days are those of the calendar, counted back from its last one, which has 0 to go.
_CLOSES, _REOPENS, _REOPENED_LEVEL = 200, 158, 1.45
_COMPETITOR_DAYS, _COMPETITOR_LEVEL = 56, 0.6
_LATE_DAYS, _JUST_DAYS = 120, 12
_ZERO_SHARE = 0.7
_FLAGSHIP_LEVEL = 150_000.0
_HIGHEST_NOISE = 0.1


@dataclass(frozen=True, slots=True)
class Breakage:
    """What is wrong with one store, in words for people."""

    store: str
    what: str


def store_code(number: int) -> str:
    """Return the code of a store by its number, from 1: "S001"."""
    return f"S{number:03d}"


BREAKAGES: Final = (
    Breakage(
        store_code(_Broken.REFURBISHED),
        "closed for six weeks of refurbishment, 200 days before the end; sells 45 % more since",
    ),
    Breakage(
        store_code(_Broken.COMPETITOR), "a competitor opened next door: 40 % less in the last eight weeks"
    ),
    Breakage(store_code(_Broken.OPENED_LATE), "opened 120 days before the end: a short history"),
    Breakage(store_code(_Broken.JUST_OPENED), "opened 12 days before the end: too few rows to train on"),
    Breakage(store_code(_Broken.STUCK_TILL), "its till is stuck: the same sales every day"),
    Breakage(store_code(_Broken.INTERMITTENT), "a showroom: sells nothing on seven days in ten"),
    Breakage(store_code(_Broken.FLAGSHIP), "the flagship: sells about thirty times what a usual store does"),
)
"""The stores that break, whatever the seed. Where fewer stores are generated, those of higher numbers are missing."""


def level_of(number: int, drawn: float) -> float:
    """Return the level of a store, euros a day: as drawn, but for the flagship."""
    return _FLAGSHIP_LEVEL if number == _Broken.FLAGSHIP else drawn


def noise_of(number: int, drawn: float) -> float:
    """Return the noise of a store: as drawn, but at most 0.1 where a store breaks, for the break to be seen."""
    return min(drawn, _HIGHEST_NOISE) if number in tuple(_Broken) else drawn


def level_left(number: int, to_go: Ints) -> Floats:
    """Return the share of its level that a store sells at, on days with `to_go` days to the end."""
    level = np.ones(len(to_go))
    if number == _Broken.REFURBISHED:
        level[to_go < _REOPENS] = _REOPENED_LEVEL
    elif number == _Broken.COMPETITOR:
        level[to_go < _COMPETITOR_DAYS] = _COMPETITOR_LEVEL
    return level


def in_business(number: int, to_go: Ints) -> Bools:
    """Return whether a store is in business, on days with `to_go` days to the end."""
    if number == _Broken.REFURBISHED:
        return (to_go >= _CLOSES) | (to_go < _REOPENS)
    if number == _Broken.OPENED_LATE:
        return to_go < _LATE_DAYS
    if number == _Broken.JUST_OPENED:
        return to_go < _JUST_DAYS
    return np.ones(len(to_go), dtype=np.bool_)


def rung_up(number: int, sales: Floats, level: float, rng: np.random.Generator) -> Floats:
    """Return what the till says of sales, while people come as ever."""
    if number == _Broken.STUCK_TILL:
        return np.full(len(sales), level)
    if number == _Broken.INTERMITTENT:
        return np.where(rng.random(len(sales)) < _ZERO_SHARE, 0.0, sales)
    return sales
