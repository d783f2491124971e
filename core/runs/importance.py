"""Which params move a metric: permutation importance of a random forest, with rank correlations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from core.errors import BadInputError
from core.runs.comparison.recorded_values import as_number, is_finite, is_recorded

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

MIN_RUNS: Final = 10
MAX_LEVELS: Final = 30
"""Most values of a categorical param that are told apart; the rarer ones count as one."""
LOW_R2: Final = 0.1

Floats: TypeAlias = npt.NDArray[np.float64]


class ParamKind(StrEnum):
    """How the values of a param were read."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


@dataclass(frozen=True, slots=True)
class ImportanceRow:
    """One param.

    Attributes
    ----------
    importance : float
        Share of all importance, 0 to 1; the rows sum to 1 unless no param has any.
    correlation : float or None
        Spearman's rank correlation with the metric, -1 to 1; None for categorical params.
    n_values, missing : int
        Different values, and runs without one, among the runs that were used.
    """

    param: str
    importance: float
    correlation: float | None
    kind: ParamKind
    n_values: int
    missing: int


@dataclass(frozen=True, slots=True)
class Importance:
    """Params by falling importance, and how far to trust them.

    Attributes
    ----------
    n_runs : int
        Runs that were used.
    r2_oob : float or None
        Share of the variance of the metric's ranks that the forest explains in runs that the predicting trees
        have not seen (out of bag); None when there was no param to learn from.
    warnings : tuple of str
        Sentences to show beside the rows.
    """

    rows: tuple[ImportanceRow, ...]
    n_runs: int
    r2_oob: float | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """One param as the forest sees it: `codes`, shape (runs,), with -1 for missing."""

    param: str
    kind: ParamKind
    codes: npt.NDArray[np.float32]
    n_values: int
    missing: int


def param_importance(
    params: Mapping[str, Sequence[str | None]],
    metric: Sequence[float | None],
    seed: int = 0,
    max_runs: int = 5000,
) -> Importance:
    """Estimate how much each param moves a metric.

    A random forest learns the metric from the params. A param's importance is the mean rise of a tree's
    squared error on its out-of-bag runs when the param's values are shuffled among them (Breiman 2001,
    "Random Forests", section 10), cut off at 0 and divided by the sum. Unlike impurity importance it does
    not favour params with many values. Params that always move together share their importance.

    The metric is replaced by its ranks, so that a few diverged runs do not decide everything, and importance
    is the same for a loss and its logarithm. Numbers are replaced by ranks too, which a tree cannot tell from
    the numbers. Categories are coded by falling frequency.

    Parameters
    ----------
    params : mapping of param name to values, one per run
        Numeric where all present values are numbers. What `is_recorded` refuses, such as None and "None", is
        missing, which the forest may treat as a value of its own.
    metric : sequence of (float or None), one per run
        Runs without a finite value are left out.
    seed : int
        Same seed, same result.
    max_runs : int
        Of more runs than these, a random sample is used, and a warning says so.

    Returns
    -------
    Importance

    Raises
    ------
    BadInputError
        For columns of different length, fewer than 10 usable runs, or a metric that is the same in all runs.
    """
    usable = _usable_runs(params, metric, max_runs)
    rng = np.random.default_rng(seed)
    warnings = []
    if len(usable) > max_runs:
        warnings.append(f"A random sample of {max_runs:,} of {len(usable):,} runs was used.")
        usable = np.sort(rng.choice(usable, max_runs, replace=False))
    target = np.array([metric[i] for i in usable], dtype=np.float64)
    if np.all(target == target[0]):
        raise BadInputError(
            f"The metric is {target[0]:g} in all {len(target)} runs: there is nothing to explain."
        )

    columns = [_column(param, [params[param][i] for i in usable]) for param in sorted(params)]
    varying = [column for column in columns if np.any(column.codes != column.codes[0])]
    constant = [column.param for column in columns if column not in varying]
    if constant:
        warnings.append(f"Left out, the same in every run: {', '.join(constant)}.")
    for column in varying:
        if column.kind is ParamKind.CATEGORICAL and column.n_values > MAX_LEVELS:
            warnings.append(
                f"{column.param} has {column.n_values:,} different values: "
                f"only the {MAX_LEVELS} most frequent are told apart."
            )
    if not varying:
        warnings.append("No param varies between these runs: there is nothing to rank.")
        return Importance((), len(target), None, tuple(warnings))

    ranks = _ranks(target)
    shares, r2 = _forest_importance(np.column_stack([c.codes for c in varying]), ranks, rng)
    if r2 < LOW_R2:
        warnings.append(
            f"The params explain little of this metric (R² {r2:.2f} on unseen runs): "
            "do not trust the ranking."
        )
    rows = [
        ImportanceRow(c.param, float(share), _correlation(c, target), c.kind, c.n_values, c.missing)
        for c, share in zip(varying, shares, strict=True)
    ]
    return Importance(
        tuple(sorted(rows, key=lambda row: (-row.importance, row.param))), len(target), r2, tuple(warnings)
    )


def _usable_runs(
    params: Mapping[str, Sequence[str | None]], metric: Sequence[float | None], max_runs: int
) -> npt.NDArray[np.int64]:
    for param, values in params.items():
        if len(values) != len(metric):
            raise BadInputError(f"The param {param} has {len(values)} values for {len(metric)} runs.")
    usable = [i for i, value in enumerate(metric) if is_finite(value)]
    if min(len(usable), max_runs) < MIN_RUNS:
        raise BadInputError(
            f"Importance needs {MIN_RUNS} runs or more with a finite value of the metric, "
            f"not {min(len(usable), max_runs)}: widen the filter or choose another metric."
        )
    return np.array(usable, dtype=np.int64)


def _forest_importance(
    features: npt.NDArray[np.float32], target: Floats, rng: np.random.Generator
) -> tuple[Floats, float]:
    """Importance shares, shape (features,), and R2, both out of bag."""
    forest = _fit(features, target, seed=int(rng.integers(2**31)))
    rise = np.zeros(features.shape[1])
    predicted, votes = np.zeros(len(target)), np.zeros(len(target))
    for tree, in_bag in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        unseen = np.ones(len(target), dtype=np.bool_)
        unseen[in_bag] = False
        if not unseen.any():
            continue
        x, y = features[unseen], target[unseen]
        guess = tree.tree_.predict(x)[:, 0]
        predicted[unseen] += guess
        votes[unseen] += 1
        error = np.mean((y - guess) ** 2)
        for used in np.unique(tree.tree_.feature[tree.tree_.feature >= 0]):
            original = x[:, used].copy()
            x[:, used] = rng.permutation(original)
            rise[used] += np.mean((y - tree.tree_.predict(x)[:, 0]) ** 2) - error
            x[:, used] = original
    seen = votes > 0
    y = target[seen]
    r2 = 1 - float(np.sum((y - predicted[seen] / votes[seen]) ** 2) / np.sum((y - y.mean()) ** 2))
    gain = np.maximum(rise, 0)
    return (gain / gain.sum() if gain.sum() > 0 else gain), r2


def _fit(features: npt.NDArray[np.float32], target: Floats, seed: int) -> RandomForestRegressor:
    # Imported late: a page that shows no importance should not wait a second for scikit-learn.
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        n_estimators=64,
        max_samples=min(1.0, 1500 / len(target)),
        min_samples_leaf=max(1, len(target) // 1000),
        max_features=0.5,
        bootstrap=True,
        random_state=seed,
        n_jobs=2,
    )
    return forest.fit(features, target)


def _column(param: str, values: Sequence[str | None]) -> _Column:
    known = [value.strip() for value in values if is_recorded(value)]
    present = np.array([is_recorded(value) for value in values], dtype=np.bool_)
    numbers = [as_number(text) for text in known]
    codes = np.full(len(values), -1, dtype=np.float32)
    if None not in numbers:
        different, dense = np.unique(np.array(numbers, dtype=np.float64), return_inverse=True)
        codes[present] = dense
        return _Column(param, ParamKind.NUMERIC, codes, len(different), len(values) - len(known))
    counts = Counter(known)
    levels = sorted(counts, key=lambda level: (-counts[level], level))
    code = {level: min(index, MAX_LEVELS) for index, level in enumerate(levels)}
    codes[present] = [code[text] for text in known]
    return _Column(param, ParamKind.CATEGORICAL, codes, len(levels), len(values) - len(known))


def _correlation(column: _Column, metric: Floats) -> float | None:
    """Spearman's correlation: Pearson's of the ranks, over the runs that have the param."""
    present = column.codes >= 0
    if column.kind is ParamKind.CATEGORICAL or column.n_values < 2 or len(set(metric[present])) < 2:
        return None
    return float(np.corrcoef(_ranks(column.codes[present]), _ranks(metric[present]))[0, 1])


def _ranks(values: npt.NDArray[Any]) -> Floats:
    """Ranks from 0 to 1; equal values get the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(middle[inverse] / (len(values) - 1), dtype=np.float64)
