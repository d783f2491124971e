"""What the gates ask about a version, answered from the run index, the backtests, the forecasts and a trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.backtests.types import EquityCurve
from core.errors import GreenroomError, NotFoundError
from core.registry.gates.champion_forecast import ForecastChanges
from core.registry.gates.judging import Trial
from core.registry.gates.rules import ForecastRule, SmokeLimits
from core.registry.seen import Seen
from core.registry.types import Stage, Version
from core.runs.types import Run


@dataclass(frozen=True, slots=True)
class Source:
    """What a version is made from: a URI that the tracking store can resolve, and MLflow 3's id of the model."""

    uri: str
    model_id: str | None


@dataclass(frozen=True, slots=True)
class Readers:
    """How the registry desk reads what other parts of Greenroom know.

    Attributes
    ----------
    run : callable
        From a run id to the run, deleted ones included.
    whole : callable
        From a run to the run whose metrics speak of the whole model: of a store's run, its pipeline's.
    curve : callable
        From a run to the equity curve that it logged.
    measures : callable
        From a run to the measures of its backtest by name; None where it logged no backtest.
    forecast_changes : callable
        From the champion's run, the version's run and a rule to what changes.
    seed_runs : callable
        From a run to the runs that differ from it by the seed alone, itself included.
    source : callable
        From a run and a folder among its artifacts to what a version is made from.
    fetch : callable
        Puts a version's files into a folder and returns the folder that holds them.
    file_hash : callable
        SHA-256 of a file.

    Each raises a `GreenroomError` that says why it has no answer.
    """

    run: Callable[[str], Run]
    whole: Callable[[Run], Run]
    curve: Callable[[Run], EquityCurve]
    measures: Callable[[Run], dict[str, Any] | None]
    forecast_changes: Callable[[Run, Run, ForecastRule], ForecastChanges]
    seed_runs: Callable[[Run], Sequence[Run]]
    source: Callable[[Run, str], Source]
    fetch: Callable[[Version, Path], Path]
    file_hash: Callable[[Path], str]


class VersionFacts:
    """Facts about one version on its way up; a `core.registry.gates.judging.GateFacts`.

    Parameters
    ----------
    champion : Version or None
        Whatever else is in Production.
    try_it : callable
        Loads the version and asks it to predict, or returns what is recorded of that.
    """

    def __init__(
        self,
        version: Version,
        champion: Version | None,
        seen: Seen | None,
        readers: Readers,
        try_it: Callable[[SmokeLimits], Trial],
    ) -> None:
        self._version = version
        self._champion = champion
        self._seen = seen
        self._readers = readers
        self._try_it = try_it

    def trial(self, limits: SmokeLimits) -> Trial:
        return self._try_it(limits)

    def run(self) -> Run | None:
        return run_of(self._version, self._readers)

    def stage(self) -> tuple[Stage, datetime | None]:
        if self._seen is None or self._seen.stage is not self._version.stage:
            return self._version.stage, None
        return self._version.stage, self._seen.since

    def has_signature(self) -> bool | None:
        return self._trial_signature()

    def file_hash(self, path: Path) -> str:
        return self._readers.file_hash(path)

    def curves(self) -> tuple[EquityCurve, EquityCurve | None]:
        new = self._readers.curve(self._own_run())
        if self._champion is None:
            return new, None
        return new, self._readers.curve(self._champions_run())

    def forecast_changes(self, rule: ForecastRule) -> ForecastChanges | None:
        own = self._own_run()
        if self._champion is None:
            return None
        return self._readers.forecast_changes(self._champions_run(), own, rule)

    def seed_runs(self) -> Sequence[Run]:
        return self._readers.seed_runs(self._own_run())

    def _own_run(self) -> Run:
        run = self.run()
        if run is None:
            raise NotFoundError(f"v{self._version.version} has no run.")
        return run

    def _champions_run(self) -> Run:
        assert self._champion is not None  # noqa: S101
        run = run_of(self._champion, self._readers)
        if run is None:
            raise NotFoundError(f"The champion v{self._champion.version} has no run.")
        return run

    def _trial_signature(self) -> bool | None:
        try:
            said = self._try_it(SmokeLimits()).evidence.get("has_signature")
        except GreenroomError:
            return None
        return said if isinstance(said, bool) else None


def run_of(version: Version, readers: Readers) -> Run | None:
    """Return the run that a version was registered from; None where it has none.

    Raises
    ------
    NotFoundError
        If it was deleted.
    """
    if not version.run_id:
        return None
    try:
        run = readers.run(version.run_id)
    except NotFoundError as error:
        raise NotFoundError(
            f"The run {version.run_id[:8]} of v{version.version} is not in the tracking store."
        ) from error
    if run.lifecycle_stage == "deleted":
        raise NotFoundError(
            f"The run {version.run_id[:8]} of v{version.version} was deleted. Restore it in MLflow."
        )
    return run
