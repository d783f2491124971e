"""Which runs repeat each other with another random seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.runs.comparison.metric_direction import name_tokens
from core.runs.types import Run


@dataclass(frozen=True, slots=True)
class SeedGroup:
    """Runs, by their index, that differ in nothing but the random seed."""

    label: str
    indexes: tuple[int, ...]


def seed_groups(runs: Sequence[Run]) -> tuple[SeedGroup, ...]:
    """Group the runs of an experiment whose params are equal but for seeds.

    A seed is a param with the word `seed` or `random_state` in its name. A run without params is in no group:
    nothing says what it repeats.

    Returns
    -------
    tuple of SeedGroup
        Groups of two runs or more, in order of their first run. Labels differ, and name as many params as it
        takes to tell each group from all other runs.
    """
    found: dict[tuple[str, frozenset[tuple[str, str]]], list[int]] = {}
    for index, run in enumerate(runs):
        if run.params:
            rest = frozenset((key, value) for key, value in run.params.items() if not is_seed(key))
            found.setdefault((run.experiment_id, rest), []).append(index)
    columns = [{"experiment": experiment} | dict(rest) for experiment, rest in found]
    telling = _telling_keys(columns)
    return tuple(
        SeedGroup(_label(column, telling) or f"{len(indexes)} seeds", tuple(indexes))
        for column, indexes in zip(columns, found.values(), strict=True)
        if len(indexes) > 1
    )


def _telling_keys(columns: Sequence[Mapping[str, str]]) -> list[str]:
    """Keys that together tell all columns apart, without those that add nothing."""
    telling: list[str] = []
    for key in sorted({key for column in columns for key in column}):
        if _distinct(columns, [*telling, key]) > _distinct(columns, telling):
            telling.append(key)
    return telling


def _distinct(columns: Sequence[Mapping[str, str]], keys: Sequence[str]) -> int:
    return len({tuple(column.get(key) for key in keys) for column in columns})


def _label(column: Mapping[str, str], keys: Sequence[str]) -> str:
    return ", ".join(f"{key}={column[key]}" if key in column else f"no {key}" for key in keys)


def is_seed(param: str) -> bool:
    """Say whether a param is a random seed by its name."""
    words = name_tokens(param)
    return ("random", "state") in pairwise(words) or not {"seed", "seeds", "randomstate"}.isdisjoint(words)
