"""Whether runs may be compared at all: same data, backtest window, costs and code, and all finished.

What is looked at, as param or tag (names are split into words, so `testStart` is `test_start`):

- data: `dataset_hash`, `dataset_hash_full`; else the digests of MLflow datasets of context training or none
- window: the names in `WINDOW_KEYS`, and `window` itself unless it is a number (a look-back is no period)
- costs: params with one of `COST_WORDS` in the name
- code: `mlflow.source.git.commit`, `git_commit_sha`
- status: anything but FINISHED

A short hash equals the long one that it begins; 0.001 equals 1e-3; 2024-01-01 equals 2024-01-01T00:00:00Z.
Other code is a note, not a warning: comparing versions of the code is often the purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final, TypeAlias

from core.runs.comparison.metric_direction import name_tokens
from core.runs.comparison.recorded_values import (
    as_number,
    canonical,
    is_recorded,
    merge_short_hashes,
    shorten,
)
from core.runs.types import Run, RunStatus

DATASET_KEYS: Final = ("dataset_hash", "dataset_hash_full")
TRAINING_CONTEXTS: Final = frozenset({None, "", "train", "training"})
CODE_KEYS: Final = ("mlflow.source.git.commit", "git_commit_sha")
COST_WORDS: Final = frozenset(
    {"cost", "costs", "commission", "commissions", "fee", "fees", "slippage", "spread", "spreads"}
)
WINDOW_KEYS: Final = frozenset(
    {"start_date", "end_date", "date_range"}
    | {f"{what}_{edge}" for what, edge in product(("backtest", "test", "eval"), ("start", "end"))}
    | {f"{what}_{edge}_date" for what, edge in product(("backtest", "test", "eval"), ("start", "end"))}
    | {f"{what}_{word}" for what, word in product(("backtest", "test", "eval"), ("window", "period"))}
)

_Label: TypeAlias = Callable[[Sequence[int]], str]
_SHOWN: Final = 3


class IssueKind(StrEnum):
    """What stands in the way of a comparison."""

    DATASET = "dataset"
    WINDOW = "window"
    COSTS = "costs"
    STATUS = "status"
    CODE = "code"


class Severity(StrEnum):
    """A warning makes the metrics incomparable; a note is something to know."""

    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class ValueGroup:
    """Runs, by their index, that share a value; None is the group that does not record it."""

    value: str | None
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ComparabilityIssue:
    """One reason to be careful, in a sentence, with the groups of runs that it sets apart."""

    kind: IssueKind
    severity: Severity
    message: str
    groups: tuple[ValueGroup, ...]


_NOUNS: Final = {
    IssueKind.DATASET: ("data", "are"),
    IssueKind.WINDOW: ("backtest window", "is"),
    IssueKind.COSTS: ("costs", "are"),
    IssueKind.CODE: ("code", "is"),
}


def comparability_issues(runs: Sequence[Run]) -> tuple[ComparabilityIssue, ...]:
    """List what makes runs hard to compare, warnings first; empty when nothing speaks against it."""
    label = _labeller(runs)
    windows = [_named(run, _window_key, tags=True) for run in runs]
    costs = [_named(run, _cost_key, tags=False) for run in runs]
    issues = [
        *_dataset(runs, label),
        *_named_values(IssueKind.WINDOW, windows, label),
        *_named_values(IssueKind.COSTS, costs, label),
        *_status(runs, label),
        *_code(runs, label),
    ]
    return tuple(sorted(issues, key=lambda issue: issue.severity is Severity.NOTE))


def _dataset(runs: Sequence[Run], label: _Label) -> Iterator[ComparabilityIssue]:
    kind = IssueKind.DATASET
    hashes, digests = _hashes(runs, DATASET_KEYS), [_training_digests(run) for run in runs]
    for name, column in (("dataset_hash", hashes), ("dataset digest", digests)):
        groups = _groups(column)
        if len(groups) > 1:
            yield _differing(kind, [_spread(name, groups, label)], groups)
            break
    if all(hashes) or all(digests):
        return
    if any(hashes) or any(digests):
        name, column = ("dataset_hash", hashes) if any(hashes) else ("dataset digest", digests)
        yield _missing(kind, [name], [value is None for value in column], label)
    else:
        yield _missing(kind, ["dataset_hash"], [True] * len(runs), label)


def _code(runs: Sequence[Run], label: _Label) -> Iterator[ComparabilityIssue]:
    column = _hashes(runs, CODE_KEYS)
    groups = _groups(column)
    if len(groups) > 1:
        yield _differing(IssueKind.CODE, [_spread("git commit", groups, label)], groups)
    if any(column) and not all(column):
        yield _missing(IssueKind.CODE, ["git commit"], [value is None for value in column], label)


def _status(runs: Sequence[Run], label: _Label) -> Iterator[ComparabilityIssue]:
    groups = _groups([run.status for run in runs])
    unfinished = [group for group in groups if group.value != RunStatus.FINISHED]
    if unfinished:
        listed = ", ".join(f"{label(group.indexes)} {group.value}" for group in unfinished)
        message = f"Not finished: {listed}; metrics may be incomplete."
        yield ComparabilityIssue(IssueKind.STATUS, Severity.WARNING, message, groups)


def _named_values(
    kind: IssueKind, facts: Sequence[Mapping[str, str]], label: _Label
) -> Iterator[ComparabilityIssue]:
    """Compare values that go by several names, such as commission and slippage, name by name."""
    keys = sorted(set().union(*facts))
    differing = [key for key in keys if len({fact[key] for fact in facts if key in fact}) > 1]
    if differing:
        spreads = [_spread(key, _groups([fact.get(key) for fact in facts]), label) for key in differing]
        joined = [", ".join(f"{key}={fact[key]}" for key in differing if key in fact) for fact in facts]
        yield _differing(kind, spreads, _groups([value or None for value in joined]))
    partial = [key for key in keys if any(key not in fact for fact in facts)]
    if partial:
        yield _missing(kind, partial, [any(key not in fact for key in partial) for fact in facts], label)


def _differing(kind: IssueKind, spreads: Sequence[str], groups: tuple[ValueGroup, ...]) -> ComparabilityIssue:
    severity = Severity.NOTE if kind is IssueKind.CODE else Severity.WARNING
    more = f"; and {len(spreads) - _SHOWN} more" if len(spreads) > _SHOWN else ""
    message = f"Not the same {_NOUNS[kind][0]}: {'; '.join(spreads[:_SHOWN])}{more}."
    return ComparabilityIssue(kind, severity, message, groups)


def _missing(
    kind: IssueKind, names: Sequence[str], lacking: Sequence[bool], label: _Label
) -> ComparabilityIssue:
    indexes = tuple(index for index, lacks in enumerate(lacking) if lacks)
    more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    wanted = _listed([*names[:_SHOWN], *more], "or")
    runs = "any run" if all(lacking) else label(indexes)
    noun, verb = _NOUNS[kind]
    message = f"No {wanted} in {runs}: whether the {noun} {verb} the same cannot be told."
    return ComparabilityIssue(kind, Severity.NOTE, message, (ValueGroup(None, indexes),))


def _spread(name: str, groups: Sequence[ValueGroup], label: _Label) -> str:
    shown = [f"{shorten(group.value or '')} in {label(group.indexes)}" for group in groups[:_SHOWN]]
    rest = len(groups) - _SHOWN
    return f"{name} is {', '.join(shown)}" + (f" and {rest} more values" if rest > 0 else "")


def _groups(column: Sequence[str | None]) -> tuple[ValueGroup, ...]:
    """Group runs by value, in order of appearance; runs without a value are left out."""
    found: dict[str, list[int]] = {}
    for index, value in enumerate(column):
        if value is not None:
            found.setdefault(value, []).append(index)
    return tuple(ValueGroup(value, tuple(indexes)) for value, indexes in found.items())


def _named(run: Run, wanted: Callable[[str, str], bool], *, tags: bool) -> dict[str, str]:
    """Params (and tags) whose name and value are wanted, by normalised name; a param goes before a tag."""
    facts: dict[str, str] = {}
    for source in (run.params, run.tags if tags else {}):
        for key, value in sorted(source.items()):
            name = "_".join(name_tokens(key))
            if wanted(name, value) and is_recorded(value):
                facts.setdefault(name, canonical(value))
    return facts


def _window_key(name: str, value: str) -> bool:
    return name in WINDOW_KEYS or (name == "window" and as_number(value) is None)


def _cost_key(name: str, value: str) -> bool:
    return not COST_WORDS.isdisjoint(name.split("_"))


def _hashes(runs: Sequence[Run], keys: Sequence[str]) -> list[str | None]:
    """One hash a run: from the first key that every run has, else from the first that the run has."""
    table = [[_fact(run, key) for run in runs] for key in keys]
    complete = next((column for column in table if all(column)), None)
    column = complete or [next((value for value in row if value), None) for row in zip(*table, strict=True)]
    return merge_short_hashes(column)


def _training_digests(run: Run) -> str | None:
    digests = {dataset.digest for dataset in run.datasets if dataset.context in TRAINING_CONTEXTS}
    return " + ".join(sorted(digest for digest in digests if digest)) or None


def _fact(run: Run, key: str) -> str | None:
    return next((v.strip() for v in (run.params.get(key), run.tags.get(key)) if is_recorded(v)), None)


def _labeller(runs: Sequence[Run]) -> _Label:
    names = [run.name or run.run_id[:8] for run in runs]
    unique = [
        name if names.count(name) == 1 else f"{name} ({run.run_id[:8]})"
        for name, run in zip(names, runs, strict=True)
    ]

    def label(indexes: Sequence[int]) -> str:
        if len(indexes) > _SHOWN:
            return f"{len(indexes)} runs"
        return _listed([unique[index] for index in indexes])

    return label


def _listed(names: Sequence[str], joiner: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {joiner} {names[-1]}"
