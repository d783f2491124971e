"""Open a workspace: the one place that wires settings, tracking store, index and database together."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from core import clock
from core.access import Actor, Role
from core.errors import GreenroomError, RefusedError
from core.runs.artifacts.locations import StorePlace
from core.runs.sources.uris import StoreAddress, StoreKind, parse
from core.settings import Settings, read_settings

# A rollback from the command line must not wait until all that measures backtests and forecasts is imported: what
# a workspace holds is imported, and made, when it is first asked for.
if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from core.backtests.desk import BacktestDesk, LoggedRun
    from core.forecasts.desk import ForecastDesk
    from core.registry.desk import RegistryDesk
    from core.registry.facts import Readers
    from core.registry.monitoring.live import LiveWatch
    from core.registry.retention.desk import RetentionDesk
    from core.runs.explorer import RunExplorer
    from core.runs.keeper import Keeper
    from core.runs.saved_views import SavedViews
    from core.tokens import Tokens
    from core.training.desk import TrainingDesk
    from core.training.schedule.desk import ScheduleDesk
    from core.workspace_registry import RunsAndTables
    from core.workspace_training import TrainingParts

if TYPE_CHECKING:
    _made_once = cached_property
else:

    class _made_once(cached_property):  # noqa: N801 - used like the one it replaces
        """A cached property that is made once by however many threads; from Python 3.12 on its own is not."""

        def __init__(self, make: Any) -> None:
            super().__init__(make)
            self._making = RLock()

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            with self._making:
                # Another thread may have made it while this one waited.
                made = {} if instance is None else instance.__dict__
                return made[self.attrname] if self.attrname in made else super().__get__(instance, owner)


class Workspace:
    """One tracking store with everything Greenroom keeps about it.

    Attributes
    ----------
    address : StoreAddress
        The tracking store.
    place : StorePlace
        Where artifacts beside the store are looked for.
    runs : RunExplorer
    backtests : BacktestDesk
    forecasts : ForecastDesk
    registry : RegistryDesk
    training : TrainingDesk
    retention : RetentionDesk
    live : LiveWatch
    tokens : Tokens
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.address: StoreAddress = parse(settings.effective_tracking_uri)
        self.place: StorePlace = _place(self.address)

    @_made_once
    def runs(self) -> RunExplorer:
        """The runs and their index; nothing is read yet."""
        from core.runs.explorer import RunExplorer
        from core.runs.index.index import RunIndex
        from core.runs.sources.choose import open_source

        folder = self.settings.home / "index" / self.address.key
        return RunExplorer(
            index=RunIndex(folder, self.address.key),
            open_source=lambda: open_source(self.address, self.settings.backend_uri, folder / "view"),
            place=self.place,
            artifact_roots=self.settings.artifact_roots,
            artifact_tracking_uri=self.address.uri if self.address.kind is StoreKind.HTTP else None,
        )

    @_made_once
    def backtests(self) -> BacktestDesk:
        """The backtests that runs have logged."""
        from core.backtests.desk import BacktestDesk
        from core.backtests.logged.remembered import RememberedColumns

        return BacktestDesk(
            self._logged_run,
            self.runs.values_of_others,
            RememberedColumns(lambda: self.database, self.address.key),
            self.settings.max_table_mb * 2**20,
        )

    @_made_once
    def forecasts(self) -> ForecastDesk:
        """The forecasts that runs have logged."""
        from core.forecasts.desk import ForecastDesk
        from core.runs.nested import NestedRuns

        return ForecastDesk(
            NestedRuns(self.runs),
            lambda run_id: self.runs.artifacts(self.runs.run(run_id)),
            self.settings.quality,
            self.settings.max_table_mb * 2**20,
        )

    @_made_once
    def registry(self) -> RegistryDesk:
        """The model registry and who may change it."""
        from core.workspace_registry import wire_registry_desk

        return wire_registry_desk(
            self.settings, self.address, lambda: self.database, self._evidence, lambda: clock.now()
        )

    @_made_once
    def readers(self) -> Readers:
        """What the registry asks of runs, backtests, forecasts and artifacts, for others who ask the same."""
        from core.workspace_registry import readers

        return readers(self.settings, self.address, self._evidence)

    @property
    def _evidence(self) -> RunsAndTables:
        from core.workspace_registry import RunsAndTables

        return RunsAndTables(lambda: self.runs, lambda: self.backtests, lambda: self.forecasts)

    @property
    def training(self) -> TrainingDesk:
        """Launches trainings and looks after them."""
        return self.training_parts.desk

    @_made_once
    def training_parts(self) -> TrainingParts:
        """What the training desk and a worker share."""
        from core.workspace_training import TrainingParts

        def schedules(desk: TrainingDesk) -> ScheduleDesk:
            from core.workspace_schedule import wire_schedules

            return wire_schedules(self, desk)

        return TrainingParts(
            self.settings,
            self.address,
            lambda: self.database,
            lambda: self.registry,
            schedules,
            lambda: clock.now(),
        )

    @_made_once
    def retention(self) -> RetentionDesk:
        """Clears away old versions and runs."""
        from core.workspace_retention import wire_retention_desk

        return wire_retention_desk(self, self.settings.retention)

    @_made_once
    def live(self) -> LiveWatch:
        """Judges the live figures of what is in Production."""
        from core.workspace_retention import wire_live_watch

        return wire_live_watch(self, self.settings.watch, self.readers.measures)

    @_made_once
    def tokens(self) -> Tokens:
        """The tokens of the REST API."""
        from core.audit import AuditTrail
        from core.tokens import Tokens

        trail = AuditTrail(lambda: self.database, self.address.key, lambda: clock.now())
        return Tokens(lambda: self.database, trail, lambda: clock.now())

    def chores(self) -> tuple[Callable[[], None], ...]:
        """Return what a worker looks after besides jobs; each is called every second or two."""
        from core.chores import chores

        return chores(self)

    @_made_once
    def keeper(self) -> Keeper:
        """Keeps index and registry fresh in the background, once it is started."""
        from core.runs.keeper import Keeper

        return Keeper(self.runs, self.settings.refresh_seconds, self.registry.watch.refresh)

    @_made_once
    def database(self) -> Engine:
        """Greenroom's own database, opened when first asked for."""
        from core.database import open_database

        return open_database(self.settings.database_uri, self.settings.home)

    def saved_views(self, page: str) -> SavedViews:
        """Return the saved views of a page."""
        from core.runs.saved_views import SavedViews

        return SavedViews(self.database, self.address.key, page)

    @property
    def user(self) -> str:
        """Name of who acts."""
        return self.actor().name

    def actor(self, by: str | None = None) -> Actor:
        """Return who acts: as the settings say, else the account that runs the process, with every role.

        Parameters
        ----------
        by : str, optional
            Somebody else, in whose name this is done.

        Raises
        ------
        RefusedError
            If somebody else is named and the settings do not allow it.
        """
        name = self.settings.user or _account()
        role = Role(self.settings.role) if self.settings.role else Role.ADMIN
        if by is None or by == name:
            return Actor(name, role)
        if not self.settings.registry.act_for_others:
            raise RefusedError(
                f"{name} acts here and cannot act as {by}. Where that is wanted, set act_for_others = true under "
                "[registry] in greenroom.toml."
            )
        return Actor(by, role)

    def _logged_run(self, run_id: str) -> LoggedRun:
        from core.backtests.desk import LoggedRun

        run = self.runs.run(run_id)
        return LoggedRun(
            run.run_id, run.experiment_id, run.tags.get("mlflow.loggedArtifacts"), self.runs.artifacts(run)
        )

    def close(self) -> None:
        """Stop the background thread and give back connections."""
        made = self.__dict__
        if "keeper" in made:
            self.keeper.stop()
        if "runs" in made:
            self.runs.close()
        if "training_parts" in made:
            self.training_parts.close()
        if "registry" in made:
            self.registry.close()
        if "database" in made:
            self.database.dispose()


def open_workspace(settings: Settings | None = None, **arguments: Any) -> Workspace:
    """Open a workspace.

    Parameters
    ----------
    settings : Settings, optional
        Read from the environment and greenroom.toml when not given.
    **arguments
        Fields of `Settings`, such as ``tracking_uri``; MLFLOW_TRACKING_URI wins over them.

    Raises
    ------
    BadInputError
        If a setting cannot be used, or the home folder cannot be written to.
    """
    settings = settings or read_settings(**arguments)
    home = Path(settings.home).resolve()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GreenroomError(
            f"The home folder {home} cannot be made: {error.strerror}. Set GREENROOM_HOME to a folder you own."
        ) from error
    return Workspace(settings)


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ModuleNotFoundError):
        return "unknown"


def _place(address: StoreAddress) -> StorePlace:
    kind = "http" if address.kind is StoreKind.OTHER_SQL else address.kind.value
    return StorePlace(kind, address.folder)  # type: ignore[arg-type]
