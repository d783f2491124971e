"""The worker: draws tickets, has jobs started for them, and looks after what is under way."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

# Before there are threads: MLflow imports it in one of them, and half imported it breaks statements of the others.
import sqlalchemy.orm  # noqa: F401

from core.errors import GreenroomError
from core.settings import Settings
from core.training.jobs.care import JobCare
from core.training.jobs.heartbeat import only_worker
from core.training.jobs.starting import JobStarter
from core.training.jobs.store import JobStore
from core.training.jobs.tickets import TicketQueue

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
_TICKETS_SECONDS: Final = 15.0
_STANDBY_SECONDS: Final = 1.0


class Worker:
    """Runs the jobs of one tracking store on this machine.

    Parameters
    ----------
    chores : sequence of callable
        What else is looked after each second or two, in a thread of its own: schedules, live figures, retention.
    """

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        tickets: TicketQueue,
        care: JobCare,
        chores: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._settings = settings
        self._home = settings.home.resolve()
        self._store = store
        self._tickets = tickets
        self._care = care
        self._chores = chores
        self._stopping = threading.Event()
        self._news = threading.Event()
        self._broken = False
        self._starter = JobStarter(settings, store, self._recover, self._stopping, self._news)

    def run(self, on_start: Callable[[], None] = lambda: None) -> None:
        """Work until `stop`; where another worker is at it, wait until that is gone.

        Jobs that run when this ends go on, and are found again by the next worker.

        Raises
        ------
        GreenroomError
            If a part of it failed in a way that nobody has foreseen.
        """
        slots = self._settings.training.jobs_at_once
        while not self._stopping.is_set():
            with only_worker(self._home, self._store.store_key, slots) as alone:
                if alone:
                    on_start()
                    self._work(slots)
                    return
            self._stopping.wait(_STANDBY_SECONDS)

    def stop(self) -> None:
        """End the work soon."""
        self._stopping.set()

    def _work(self, slots: int) -> None:
        consumer = self._tickets.consumer(self._starter.run_waiting, slots)
        looking = [
            threading.Thread(target=self._keep_at, args=(work,), name=f"greenroom-{name}", daemon=True)
            for name, work in (("care", self._look), ("telling", self._tell), ("chores", self._do_chores))
        ]
        # What a crash left is put in order before anything new begins.
        self._recover()
        for thread in looking:
            thread.start()
        consumer.start()
        self._stopping.wait()
        self._news.set()
        consumer.stop(graceful=True)
        for thread in looking:
            thread.join(timeout=10)
        if self._broken:
            raise GreenroomError(
                "A part of the worker failed, so it ended; its log says more. Start it anew."
            )

    def _keep_at(self, work: Callable[[], None]) -> None:
        """End the whole worker where a part of it fails: one that is gone is seen, and started anew."""
        try:
            work()
        finally:
            self._broken = self._broken or not self._stopping.is_set()
            self._stopping.set()

    def _recover(self) -> None:
        _quietly(self._care.recover)

    def _look(self) -> None:
        made_up = 0.0
        while not self._stopping.is_set():
            self._recover()
            if time.monotonic() - made_up > _TICKETS_SECONDS:
                made_up = time.monotonic()
                _quietly(lambda: self._care.make_up(self._tickets))
            self._stopping.wait(_LOOK_SECONDS)

    def _tell(self) -> None:
        # A thread of its own: an MLflow that hangs keeps no job from being started, stopped or found.
        while not self._stopping.is_set():
            self._news.clear()
            for look in (self._care.tell_begun, self._care.mend_launches, self._care.tell):
                _quietly(look)
            self._news.wait(_LOOK_SECONDS)

    def _do_chores(self) -> None:
        while not self._stopping.is_set():
            for chore in self._chores:
                _quietly(chore)
            self._stopping.wait(_LOOK_SECONDS)


def _quietly(look: Callable[[], None]) -> None:
    """Do it, and say why where it cannot be done; it is tried again at the next look."""
    try:
        look()
    except GreenroomError as error:
        log.warning("%s", error)
