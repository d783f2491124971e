"""The thread that sends what a training logs, and waits out a server that is down."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.tracking.configuration import Destination
from core.tracking.delivery import Delivery
from core.tracking.messages import tell
from core.tracking.outbox import Outbox, folders
from core.tracking.reach import probe, reason

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LINGER = 0.25  # what is logged within this time goes in one request
_IDLE = 5.0  # after so long without an answer a server is asked whether it is still there
_LONGEST_PAUSE = 30.0
_SILENCE = 20.0
_SLOW = 2.0
_UPLOAD_PATIENCE = 15 * 60.0

_senders: dict[tuple[int, str, str, str], Sender] = {}
_registering = threading.Lock()


def sender_for(destination: Destination) -> Sender:
    """Return this process's sender to a store."""
    # A forked child has the parent's table but not its threads, hence the process id.
    key = (os.getpid(), destination.key, destination.uri, str(destination.outbox))
    with _registering:
        if key not in _senders:
            _senders[key] = Sender(destination)
        return _senders[key]


class Sender:
    """Sends the outboxes of one store, one piece after the other.

    Attributes
    ----------
    problem : str or None
        Why the server cannot be reached, while it cannot.
    """

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.problem: str | None = None
        self._problem_at = 0.0
        self._told = False
        self._condition = threading.Condition()
        self._deliveries: list[Delivery] = []
        self._pauses: dict[str, tuple[float, float]] = {}
        self._urgent = False
        self._progress = 0
        self._pause = 1.0
        self._answered_at = self._looked_at = -_IDLE
        self._current: Delivery | None = None
        self._current_since = 0.0
        self._client: MlflowClient | None = None
        self._thread: threading.Thread | None = None

    def add(self, outbox: Outbox) -> Delivery:
        """Send an outbox from now on."""
        delivery = Delivery(outbox, self.destination, abandoned=False)
        with self._condition:
            self._deliveries.append(delivery)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="greenroom-sender", daemon=True)
                self._thread.start()
        self.wake(urgent=True)
        return delivery

    def wake(self, urgent: bool = False) -> None:
        """Say that there is something to send."""
        with self._condition:
            self._urgent = self._urgent or urgent
            self._condition.notify_all()
        current = self._current
        if current is not None and not self._told and not current.is_uploading:
            silent = time.monotonic() - self._current_since
            if silent > _SILENCE:
                self._tell_down(f"no answer for {silent:.0f} s")

    def wait(self, until: Callable[[], bool], patience: float, when_down: float) -> bool:
        """Wait for something to be sent.

        Parameters
        ----------
        until : callable
            Whether it has been.
        patience : float
            Seconds without any progress after which to give up.
        when_down : float
            The same from the moment on that the server is known not to answer.
        """
        start = mark_at = time.monotonic()
        mark = self._progress
        self.wake(urgent=True)
        with self._condition:
            while not until():
                now = time.monotonic()
                if self._progress != mark:
                    mark, mark_at = self._progress, now
                down = self.problem is not None and self._problem_at >= start
                if now - mark_at >= (when_down if down else patience) and not self._is_uploading(now):
                    return until()
                self._condition.wait(0.05 if now - start < 2 else 0.25)
                self._look_after_silence()
        return True

    def _look_after_silence(self) -> None:
        """Find out why a call takes long: MLflow repeats it for minutes before it says that nobody answers."""
        busy = self._current is not None and time.monotonic() - self._current_since > _SLOW
        if busy and self.destination.remote and time.monotonic() - self._looked_at > _SLOW:
            why = probe(self.destination.uri)
            self._looked_at = time.monotonic()
            if why is not None and self._current is not None:
                self._down(why)

    def _is_uploading(self, now: float) -> bool:
        """Whether a large file is on its way to a server that is there."""
        current = self._current
        if current is None or not current.is_uploading or now - self._current_since > _UPLOAD_PATIENCE:
            return False
        return not self.destination.remote or probe(self.destination.uri) is None

    def _run(self) -> None:
        self._take_over()
        while True:
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001
                # Were this thread to end, nothing would be sent any more.
                self._down(reason(error))
                time.sleep(self._pause)

    def _turn(self) -> None:
        """Wait for something to send, and send a piece of each run that has something."""
        with self._condition:
            if not any(self._is_due(one) for one in self._deliveries):
                self._urgent = False
                self._condition.wait(1.0 if any(one.has_work for one in self._deliveries) else 10.0)
            if not self._urgent:
                self._condition.wait_for(lambda: self._urgent, _LINGER)
            due = [one for one in self._deliveries if self._is_due(one)]
        if not due:
            return
        if self._is_reachable():
            for delivery in due:
                self._advance(delivery)
            return
        with self._condition:
            self._urgent = False
            self._condition.wait_for(lambda: self._urgent, self._pause)
            # Who asks urgently is answered soon, but does not make us ask without a break.
            self._condition.wait(0.2)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _is_due(self, delivery: Delivery) -> bool:
        if not delivery.has_work:
            return False
        due_at, _ = self._pauses.get(delivery.outbox.name, (0.0, 0.0))
        return self._urgent or time.monotonic() >= due_at

    def _is_reachable(self) -> bool:
        if not self.destination.remote:
            return True
        if self.problem is None and time.monotonic() - self._answered_at < _IDLE:
            return True
        why = probe(self.destination.uri)
        if why is None:
            self._answered()
            return True
        self._down(why)
        return False

    def _answered(self) -> None:
        self._answered_at = time.monotonic()
        self._pause = 1.0
        if self.problem is not None:
            self.problem = None
            if self._told:
                self._told = False
                tell(f"{self.destination.shown} answers again; what was kept is being sent.")

    def _down(self, why: str) -> None:
        with self._condition:
            self.problem, self._problem_at = why, time.monotonic()
            self._condition.notify_all()
        self._tell_down(why)

    def _tell_down(self, why: str) -> None:
        if not self._told:
            self._told = True
            tell(
                f"The tracking server {self.destination.shown} cannot be reached ({why}). The training goes on: "
                f"everything is kept in {self.destination.outbox} and sent when the server answers, "
                "at the next start, or with `greenroom sync-offline`."
            )

    def _advance(self, delivery: Delivery) -> None:
        """Send one piece; whatever goes wrong is noted and tried again, since a thread has nobody to raise to."""
        self._current, self._current_since = delivery, time.monotonic()
        try:
            if self._client is None:
                self._client = new_client(self.destination)
            moved = delivery.advance(self._client)
        except Exception as error:  # noqa: BLE001
            self._stumbled(delivery, error)
            return
        finally:
            self._current = None
        self._answered()
        with self._condition:
            if moved:
                self._progress += 1
                self._pauses.pop(delivery.outbox.name, None)
            elif delivery.has_work:
                self._urgent = False
                self._pauses[delivery.outbox.name] = (time.monotonic() + 1.0, 1.0)
            if delivery.done:
                self._deliveries.remove(delivery)
            self._condition.notify_all()

    def _stumbled(self, delivery: Delivery, error: Exception) -> None:
        why = probe(self.destination.uri) if self.destination.remote else None
        if why is not None:
            self._down(why)
            return
        _, pause = self._pauses.get(delivery.outbox.name, (0.0, 0.5))
        with self._condition:
            delivery.state.problem = reason(error)
            self._pauses[delivery.outbox.name] = (
                time.monotonic() + pause,
                min(2 * pause, _LONGEST_PAUSE),
            )
            self._urgent = False
            self._condition.notify_all()
            self._condition.wait(0.1)

    def _take_over(self) -> None:
        """Take on what trainings have left that are gone."""
        for folder in folders(self.destination.outbox):
            try:
                self._take(folder)
            except (OSError, ValueError, KeyError, TypeError) as error:
                tell(f"{folder} cannot be read and is left as it is: {reason(error)}")

    def _take(self, folder: Path) -> None:
        outbox = Outbox.take_over(folder)
        if outbox is None:
            return
        delivery = Delivery(outbox, self.destination, abandoned=True)
        operation = outbox.first()
        if delivery.is_settled:
            delivery.settle()
        elif operation and operation["store"] != self.destination.shown:
            outbox.close()
        else:
            with self._condition:
                self._deliveries.append(delivery)


def new_client(destination: Destination) -> MlflowClient:
    """Return a client of a store; the embedded store is made here if it is not there yet."""
    from mlflow import MlflowClient

    if destination.artifact_root is not None:
        destination.outbox.parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=destination.uri)
