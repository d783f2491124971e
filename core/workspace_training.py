"""Wire the training desk, and the worker that does what it asks for, to the other parts of a workspace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from core import clock
from core.audit import AuditTrail
from core.registry.desk import RegistryDesk
from core.runs.sources.uris import StoreAddress
from core.settings import Settings
from core.training.desk import TrainingDesk
from core.training.jobs.store import JobStore
from core.training.jobs.sweep_store import SweepStore
from core.training.jobs.tickets import TicketQueue
from core.training.projects.catalogue import Projects

# A page that lists jobs waits for none of these, nor for the MLflow that they import.
if TYPE_CHECKING:
    import subprocess

    from sqlalchemy.engine import Engine

    from core.training.jobs.runs import JobRuns
    from core.training.jobs.worker import Worker
    from core.training.schedule.desk import ScheduleDesk


class TrainingParts:
    """What desk and worker of one tracking store share, each made when it is first asked for."""

    def __init__(
        self,
        settings: Settings,
        address: StoreAddress,
        engine: Callable[[], Engine],
        registry: Callable[[], RegistryDesk],
        schedules: Callable[[TrainingDesk], ScheduleDesk],
        now: clock.Clock,
    ) -> None:
        self._settings = settings
        self._home = settings.home.resolve()
        self._registry = registry
        self._now = now
        self.store = JobStore(engine, address.key, now)
        self._sweeps = SweepStore(engine, address.key, now)
        self.tickets = cache(lambda: TicketQueue(self._home, settings.training.queue_uri, address.key))
        self.runs = cache(self._open_runs)
        self.desk = TrainingDesk(
            self.store,
            self._sweeps,
            Projects(settings.projects, self._home),
            self.runs,
            self.tickets,
            AuditTrail(engine, address.key, now),
            self._refuse_old_schema,
            schedules,
            settings.training,
            self._home,
            now,
        )
        self._engine = engine
        self._address = address

    def worker(self, chores: Sequence[Callable[[], None]] = ()) -> Worker:
        """Return a worker; `chores` are what else it looks after."""
        from core.training.jobs.care import JobCare
        from core.training.jobs.runner_process import start_runner
        from core.training.jobs.worker import Worker

        def follow(job_id: int) -> subprocess.Popen[bytes]:
            return start_runner(self._settings, self._address.key, job_id, again=True)

        make_run = self.desk.make_missing_run
        care = JobCare(self.store, self._sweeps, self.runs(), self._home, follow, make_run, self._now)
        return Worker(self._settings, self.store, self.tickets(), care, chores)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Run jobs and retrainings in this process as long as this lasts."""
        worker = self.worker((lambda: self.desk.schedules.tick(),))
        thread = threading.Thread(target=worker.run, name="greenroom-worker", daemon=True)
        thread.start()
        try:
            yield
        finally:
            worker.stop()
            thread.join(timeout=30)

    def tidy(self) -> None:
        """Clear away files of jobs that are long over."""
        from core.training.jobs.tidying import tidy

        tidy(self.store, self._home, self._settings.training.keep_days, self._now)

    def close(self) -> None:
        """Give back connections."""
        if self.tickets.cache_info().currsize:
            self.tickets().close()

    def _refuse_old_schema(self) -> None:
        if is_new_store(self._settings, self._address):
            return  # the first training makes it
        self._registry().watch.refuse_old_schema()

    def _open_runs(self) -> JobRuns:
        from core.tracking.configuration import destination
        from core.training.jobs.runs import JobRuns

        return JobRuns(destination(self._settings))


def is_new_store(settings: Settings, address: StoreAddress) -> bool:
    """Say whether the tracking store is the embedded one, and still to be made."""
    return settings.is_embedded and address.path is not None and not address.path.exists()
