"""Wire retention and the watch of live figures to the registry desk, the run index and the artifacts of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from core import clock
from core.errors import BadInputError, NotFoundError
from core.registry.monitoring.findings import Findings
from core.registry.monitoring.live import LIVE_TAG, LiveWatch
from core.registry.promotion import Promoter
from core.registry.requests import Requests
from core.registry.retention.desk import RetentionDesk
from core.registry.retention.disposal import Parts
from core.registry.retention.files import RetentionFiles
from core.registry.retention.planning import Planner, RunReaders
from core.registry.retention.trash import Trash
from core.registry.retention.writing import MlflowRemover
from core.registry.writing import MlflowRegistry
from core.runs.filters import quote_key
from core.runs.sources.uris import StoreKind

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from core.registry.monitoring.configuration import WatchBook
    from core.registry.retention.configuration import RetentionSettings, RunRule
    from core.runs.explorer import RunExplorer
    from core.runs.types import LoggedModel, Run
    from core.workspace import Workspace

_NEWEST_FIRST: Final = ("attributes.start_time DESC",)


def wire_retention_desk(
    workspace: Workspace, settings: RetentionSettings, on_step: Callable[[str], None] = lambda _: None
) -> RetentionDesk:
    """Build the retention desk of a workspace; MLflow is not asked yet.

    Parameters
    ----------
    on_step : callable
        Told the name of each step before it is made; tests let a process die there.
    """
    address, desk = workspace.address, workspace.registry

    def engine() -> Engine:
        return workspace.database

    def now() -> datetime:
        return clock.now()

    runs = _Runs(lambda: workspace.runs).readers()
    served = address.uri if address.kind is StoreKind.HTTP else None
    files = RetentionFiles(workspace.place, workspace.settings.artifact_roots, served)
    parts = Parts(
        watch=desk.watch,
        trash=Trash(engine, address.key),
        planner=Planner(desk.watch, Requests(engine, address.key), runs, files, settings),
        runs=runs,
        files=files,
        trail=desk.trail,
        remover=cache(lambda: MlflowRemover(address)),
        engine=engine,
        store_key=address.key,
        now=now,
        on_step=on_step,
    )
    promoter = Promoter(engine, address.key, cache(lambda: MlflowRegistry(address)), desk.trail, now)
    return RetentionDesk(parts, promoter, settings)


def wire_live_watch(
    workspace: Workspace,
    book: WatchBook,
    measures: Callable[[Run], Mapping[str, Any] | None],
    on_step: Callable[[str], None] = lambda _: None,
) -> LiveWatch:
    """Build the watch of live figures of a workspace; nothing is read yet.

    Parameters
    ----------
    measures : callable
        `Readers.measures` of the registry desk.
    """
    runs = _Runs(lambda: workspace.runs)
    return LiveWatch(
        workspace.registry,
        runs.with_live_figures,
        measures,
        Findings(lambda: workspace.database, workspace.address.key),
        book,
        lambda: workspace.database,
        lambda: clock.now(),
        on_step,
    )


class _Runs:
    """What retention and the watch ask of the run index."""

    def __init__(self, explorer: Callable[[], RunExplorer]) -> None:
        self._open = explorer

    def readers(self) -> RunReaders:
        return RunReaders(self._run, self._matching, self._children, self._models, self._sync, self._refresh)

    def _run(self, run_id: str) -> Run | None:
        explorer = self._open()
        for again in (False, True):
            try:
                # It may be younger than the index; where nothing was ever read, all of it is.
                if again:
                    self._refresh(run_id)
                return explorer.run(run_id)
            except NotFoundError:
                continue
        return None

    def _matching(self, rule: RunRule) -> Sequence[Run]:
        from core.runs.explorer import RunsRequest

        explorer = self._open()
        try:
            found = explorer.find(RunsRequest((rule.experiment,), rule.filter, _NEWEST_FIRST))
        except BadInputError as error:
            raise BadInputError(f"A rule under [[retention.runs]] cannot be followed: {error}") from error
        return explorer.runs(found.run_ids)

    def _children(self) -> Mapping[str, Sequence[str]]:
        from core.runs.index.snapshot import PARENT_TAG

        snapshot = self._open().snapshot()
        frame = snapshot.frame.select(
            "run_id", "lifecycle_stage", snapshot.column("tags", PARENT_TAG).alias("parent")
        )
        below = frame.filter(pl.col("lifecycle_stage") == "active", pl.col("parent").is_not_null())
        found: dict[str, list[str]] = {}
        for run_id, _, parent in below.iter_rows():
            found.setdefault(parent, []).append(run_id)
        return found

    def _models(self, run_id: str) -> Sequence[LoggedModel]:
        return self._open().logged_models(run_id)

    def _sync(self) -> None:
        self._open().sync()

    def _refresh(self, run_id: str) -> None:
        self._open().refresh_run(run_id)

    def with_live_figures(self) -> Sequence[Run]:
        """Return the runs that say how a version does, oldest first."""
        from core.runs.explorer import RunsRequest

        explorer = self._open()
        text = f"tags.{quote_key(LIVE_TAG)} != ''"
        return explorer.runs(
            explorer.find(RunsRequest(filter=text, order_by=("attributes.start_time ASC",))).run_ids
        )
