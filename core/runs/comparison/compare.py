"""Runs side by side: what differs, which run is best, how far from the baseline, and whether it is fair."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import BadInputError
from core.runs.comparison.comparability import (
    ComparabilityIssue,
    IssueKind,
    Severity,
    ValueGroup,
    comparability_issues,
)
from core.runs.comparison.metric_direction import known_direction, parse_directions
from core.runs.comparison.recorded_values import is_finite
from core.runs.comparison.seed_groups import SeedGroup, seed_groups
from core.runs.types import Run

__all__ = [
    "ComparabilityIssue",
    "Comparison",
    "DatasetRow",
    "IssueKind",
    "MetricRow",
    "SeedGroup",
    "Severity",
    "ValueGroup",
    "ValueRow",
    "compare",
    "parse_directions",
    "seed_groups",
]

MIN_RUNS: Final = 2
MAX_RUNS: Final = 200

BOOKKEEPING_TAGS: Final = frozenset(
    {
        "greenroom.outbox",
        "mlflow.artifactLocation",
        "mlflow.log-model.history",
        "mlflow.loggedArtifacts",
        "mlflow.parentRunId",
        "mlflow.rootRunId",
        "mlflow.runColor",
        "mlflow.runName",
    }
)
"""Tags that MLflow and `core.tracking` write for themselves and that differ between any two runs.

They have their own group, so that "only what differs" shows what a person did differently. The other mlflow.*
tags stay among the tags: user, source, commit, note and entry point tell where a run comes from.
"""


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One param or tag: a value per run (None where not set) and whether they differ."""

    key: str
    values: tuple[str | None, ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One dataset by name and context: the digests that each run used, none where it did not."""

    name: str
    context: str | None
    digests: tuple[tuple[str, ...], ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric over the runs; values are as logged, no sign is ever changed.

    Attributes
    ----------
    values : tuple of (float or None), one per run
        None where the run lacks the metric; NaN where it was logged as NaN.
    best : tuple of int
        Indexes of the best runs, several in a tie. Empty when the direction is unknown, when fewer than two
        runs have a finite value, or when all of these are equal. NaN and infinity are never best: an infinite
        metric has diverged or was divided by zero.
    deltas : tuple of (float or None), one per run
        Value - baseline; None where either is missing or not finite.
    relative_deltas : tuple of (float or None), one per run
        (value - baseline) / abs(baseline), so that a plus is a rise for negative baselines too; None also
        where the baseline is 0.
    higher_is_better : bool or None
        None when nobody knows.
    differs : bool
        Whether any two runs differ; a missing value differs from a number, NaN equals NaN.
    """

    key: str
    values: tuple[float | None, ...]
    best: tuple[int, ...]
    deltas: tuple[float | None, ...]
    relative_deltas: tuple[float | None, ...]
    higher_is_better: bool | None
    differs: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side; every row has one value per run, in the order of `runs`.

    `baseline` is the index of the run that deltas refer to. `bookkeeping` holds the tags of MLflow's own.
    """

    runs: tuple[Run, ...]
    baseline: int
    params: tuple[ValueRow, ...]
    tags: tuple[ValueRow, ...]
    bookkeeping: tuple[ValueRow, ...]
    datasets: tuple[DatasetRow, ...]
    metrics: tuple[MetricRow, ...]
    comparability: tuple[ComparabilityIssue, ...]


def compare(
    runs: Sequence[Run],
    baseline: str | None = None,
    higher_is_better: Mapping[str, bool] | None = None,
) -> Comparison:
    """Lay runs side by side.

    Parameters
    ----------
    runs : sequence of Run
        2 to 200 different runs; a run given twice counts once, where it came first.
    baseline : str, optional
        Id of the run that deltas refer to; the first run when not given.
    higher_is_better : mapping of metric name to bool, optional
        Goes before the well-known names of `core.runs.comparison.metric_direction`.

    Raises
    ------
    BadInputError
        For too few or too many runs, or a baseline that is not among them.
    """
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.run_id, run)
    unique = tuple(first.values())
    if not MIN_RUNS <= len(unique) <= MAX_RUNS:
        raise BadInputError(
            f"A comparison takes {MIN_RUNS} to {MAX_RUNS} different runs, not {len(unique)}: "
            f"{'add another run' if len(unique) < MIN_RUNS else 'narrow the choice'}."
        )
    ids = list(first)
    if baseline is not None and baseline not in ids:
        raise BadInputError(
            f"The baseline {baseline} is not among the compared runs: add it, or choose one of them."
        )
    base = 0 if baseline is None else ids.index(baseline)
    tags = _value_rows([run.tags for run in unique])
    return Comparison(
        runs=unique,
        baseline=base,
        params=_value_rows([run.params for run in unique]),
        tags=tuple(row for row in tags if not _is_bookkeeping(row.key)),
        bookkeeping=tuple(row for row in tags if _is_bookkeeping(row.key)),
        datasets=_dataset_rows(unique),
        metrics=tuple(
            _metric_row(key, [run.metrics.get(key) for run in unique], base, higher_is_better or {})
            for key in _keys(run.metrics for run in unique)
        ),
        comparability=comparability_issues(unique),
    )


def _keys(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    return sorted({key for mapping in mappings for key in mapping}, key=lambda key: (key.casefold(), key))


def _value_rows(mappings: Sequence[Mapping[str, str]]) -> tuple[ValueRow, ...]:
    rows = []
    for key in _keys(mappings):
        values = tuple(mapping.get(key) for mapping in mappings)
        rows.append(ValueRow(key, values, len(set(values)) > 1))
    return tuple(rows)


def _dataset_rows(runs: Sequence[Run]) -> tuple[DatasetRow, ...]:
    names = {(dataset.name, dataset.context) for run in runs for dataset in run.datasets}
    rows = []
    for name, context in sorted(names, key=lambda pair: (pair[0], pair[1] or "")):
        digests = tuple(
            tuple(sorted({d.digest for d in run.datasets if (d.name, d.context) == (name, context)}))
            for run in runs
        )
        rows.append(DatasetRow(name, context, digests, len(set(digests)) > 1))
    return tuple(rows)


def _metric_row(
    key: str, values: Sequence[float | None], baseline: int, directions: Mapping[str, bool]
) -> MetricRow:
    finite = [value if is_finite(value) else None for value in values]
    direction = directions[key] if key in directions else known_direction(key, values)
    base = finite[baseline]
    deltas = [None if value is None or base is None else _usable(value - base) for value in finite]
    relative = [None if delta is None or not base else _usable(delta / abs(base)) for delta in deltas]
    return MetricRow(
        key=key,
        values=tuple(values),
        best=_best(finite, direction),
        deltas=tuple(deltas),
        relative_deltas=tuple(relative),
        higher_is_better=direction,
        differs=len({"NaN" if value is not None and math.isnan(value) else value for value in values}) > 1,
    )


def _best(values: Sequence[float | None], higher_is_better: bool | None) -> tuple[int, ...]:
    numbers = [value for value in values if value is not None]
    if higher_is_better is None or len(set(numbers)) < 2:
        return ()
    best: Callable[[Iterable[float]], float] = max if higher_is_better else min
    winner = best(numbers)
    return tuple(index for index, value in enumerate(values) if value == winner)


def _usable(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _is_bookkeeping(tag: str) -> bool:
    return tag in BOOKKEEPING_TAGS or tag.startswith("mlflow.databricks.")
