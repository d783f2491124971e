"""All gates of a model on one version: asks for facts when a gate needs them, each at most once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from core.backtests.types import EquityCurve
from core.errors import GreenroomError
from core.registry.gates.champion_backtest import judge_backtest
from core.registry.gates.champion_forecast import ForecastChanges, judge_forecast
from core.registry.gates.data import judge_dataset
from core.registry.gates.reproducibility import judge_reproducible
from core.registry.gates.rules import (
    BacktestRule,
    ForecastRule,
    Gate,
    GateRules,
    SmokeLimits,
)
from core.registry.gates.soak import judge_soak
from core.registry.gates.structure import Found, judge_structure
from core.registry.gates.thresholds import judge_metrics
from core.registry.gates.types import GateResult
from core.registry.gates.wording import unjudged
from core.registry.gates.worst_seed import judge_worst_seed
from core.registry.types import Stage
from core.runs.types import Run

_T = TypeVar("_T")


class Trial(Protocol):
    """What came of loading a model and predicting with it."""

    @property
    def passed(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def evidence(self) -> Mapping[str, Any]: ...
    @property
    def structure(self) -> Found | None: ...


class GateFacts(Protocol):
    """What gates ask about one version. Each answer is asked for only when a gate needs it, and then once.

    A `GreenroomError` says why there is no answer: the gate then cannot be judged, and fails with that sentence.
    """

    def trial(self, limits: SmokeLimits) -> Trial:
        """Load the model and predict with it, within limits."""

    def run(self) -> Run | None:
        """Return the run that trained the version; None where it has none."""

    def stage(self) -> tuple[Stage, datetime | None]:
        """Return where the version stands, and since when (with a time zone) if that is known."""

    def has_signature(self) -> bool | None:
        """Return whether the model has a signature; None where that is not known."""

    def file_hash(self, path: Path) -> str:
        """Return the SHA-256 of a file in hexadecimal."""

    def curves(self) -> tuple[EquityCurve, EquityCurve | None]:
        """Return the version's equity curve and the champion's; None in its place without a champion."""

    def forecast_changes(self, rule: ForecastRule) -> ForecastChanges | None:
        """Return what changes from the champion's pipeline to this one; None without a champion."""

    def seed_runs(self) -> Sequence[Run]:
        """Return the runs that differ from the version's by the random seed alone."""


def judge(rules: GateRules, to_stage: str, facts: GateFacts, now: datetime) -> tuple[GateResult, ...]:
    """Judge every gate that applies on the way to a stage.

    Parameters
    ----------
    rules : GateRules
        Of the model.
    to_stage : str
        Such as ``Production``.
    facts : GateFacts
        About the version.
    now : datetime
        With a time zone.

    Returns
    -------
    tuple of GateResult
        In the order of `GATES`; empty where no gate applies. A gate whose facts cannot be had has failed, and
        the others are judged all the same.
    """
    asked = _Asked(rules, facts, now)
    judges: dict[Gate, Callable[[], GateResult]] = {
        Gate.SMOKE: asked.smoke,
        Gate.STRUCTURE: asked.structure,
        Gate.DATASET: asked.dataset,
        Gate.REPRODUCIBLE: asked.reproducible,
        Gate.SOAK: asked.soak,
        Gate.METRICS: asked.metrics,
        Gate.CHAMPION: asked.champion,
        Gate.WORST_SEED: asked.worst_seed,
    }
    return tuple(_judged(gate, judges[gate]) for gate in rules.names(to_stage))


def _judged(gate: Gate, judge_it: Callable[[], GateResult]) -> GateResult:
    try:
        return judge_it()
    except GreenroomError as error:
        return unjudged(gate, str(error))


class _Asked:
    """Rules and facts of one judging, with the answers that were given so far."""

    def __init__(self, rules: GateRules, facts: GateFacts, now: datetime) -> None:
        self._rules, self._facts, self._now = rules, facts, now
        self._answers: dict[str, Any] = {}

    def smoke(self) -> GateResult:
        trial = self._trial()
        return GateResult(Gate.SMOKE, trial.passed, trial.reason, trial.evidence)

    def structure(self) -> GateResult:
        expected = self._rules.structure
        if expected is None:
            raise _off(Gate.STRUCTURE)
        return judge_structure(expected, self._trial().structure)

    def dataset(self) -> GateResult:
        expected = self._rules.dataset
        if expected is None:
            raise _off(Gate.DATASET)
        return judge_dataset(expected, self._run(), self._facts.file_hash)

    def reproducible(self) -> GateResult:
        run = self._run()
        return judge_reproducible(run, None if run is None else self._facts.has_signature())

    def soak(self) -> GateResult:
        stage, since = self._facts.stage()
        return judge_soak(stage, since, self._rules.soak_hours, self._now)

    def metrics(self) -> GateResult:
        run = self._run()
        if run is None:
            return unjudged(Gate.METRICS, "the version has no run")
        return judge_metrics(self._rules.metrics, run.metrics)

    def champion(self) -> GateResult:
        rule = self._rules.champion
        if rule is None:
            raise _off(Gate.CHAMPION)
        if isinstance(rule, BacktestRule):
            return judge_backtest(*self._facts.curves(), rule)
        return judge_forecast(self._facts.forecast_changes(rule), rule)

    def worst_seed(self) -> GateResult:
        rule, own = self._rules.worst_seed, self._run()
        if rule is None:
            raise _off(Gate.WORST_SEED)
        runs = () if own is None else self._facts.seed_runs()
        return judge_worst_seed(rule, runs, own)

    def _trial(self) -> Trial:
        return self._once("trial", lambda: self._facts.trial(self._rules.trial_limits))

    def _run(self) -> Run | None:
        return self._once("run", self._facts.run)

    def _once(self, name: str, ask: Callable[[], _T]) -> _T:
        """Return the answer given before, or raise the error given before: a trial is not run twice for one."""
        if name not in self._answers:
            try:
                self._answers[name] = ask()
            except GreenroomError as error:
                self._answers[name] = error
        answer = self._answers[name]
        if isinstance(answer, GreenroomError):
            raise answer
        return answer  # type: ignore[no-any-return]


def _off(gate: Gate) -> ValueError:
    """Return an error for a gate that applies though it asks for nothing, which `GateRules.names` rules out."""
    return ValueError(f"The gate {gate} is off.")
