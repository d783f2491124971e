"""One run being logged: each call is checked, written down on disk, and sent by the sender's thread."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from core.errors import BadInputError
from core.redaction import redact
from core.tracking import active, batches, values
from core.tracking.configuration import Destination
from core.tracking.delivery import Delivery
from core.tracking.long_values import LongValues
from core.tracking.messages import tell
from core.tracking.outbox import Operation, Outbox
from core.tracking.sender import Sender, sender_for

_START_PATIENCE, _END_PATIENCE = 5.0, 10.0
_LOCAL_PATIENCE = 60.0  # a database that is made, or that another process has locked
STATUSES = ("FINISHED", "FAILED", "KILLED")


class TrackedRun:
    """A run that has been started; a context manager that ends it.

    The methods never raise because of the server, the network or the disk: what cannot be sent is kept, and what
    cannot be kept is told once. They raise BadInputError for what MLflow would refuse.

    Attributes
    ----------
    name : str
    """

    def __init__(
        self,
        destination: Destination,
        experiment: str,
        name: str | None,
        tags: Mapping[str, Any],
        parent: TrackedRun | None = None,
        parent_run_id: str | None = None,
        resume: str | None = None,
    ) -> None:
        self.name = name or str(resume)
        self.destination = destination
        self._pid = os.getpid()
        self._logging = threading.RLock()
        self._params: dict[str, str] = {}
        self._long = {kind: LongValues(kind) for kind in ("param", "tag")}
        self._lost = 0
        self._ended = False
        self._activation: active.Activation | None = None
        self._thread = threading.get_ident()
        self._sender: Sender = sender_for(destination)
        user_tags = self._long["tag"].shorten(
            {values.check_key("tag", key): one for key, one in tags.items()}
        )
        self._outbox = _new_outbox(destination.outbox)
        self._delivery: Delivery | None = None
        self._write(
            {
                "op": "run",
                "store": destination.shown,
                "experiment": experiment,
                "name": name,
                "tags": _without_passwords(active.context_tags(user_tags)),
                "parent": parent._outbox.name if parent and parent._outbox else None,
                "parent_run_id": parent_run_id or (parent.run_id if parent else None),
                "run_id": resume,
            }
        )
        self._keep_long("tag")
        if self._outbox is not None:
            self._delivery = self._sender.add(self._outbox)
            patience = _START_PATIENCE if destination.remote else _LOCAL_PATIENCE
            state = self._outbox.state
            self._sender.wait(lambda: bool(state.run_id or state.problem), patience, when_down=0)
            if state.problem and not state.run_id:
                tell(
                    f"The run '{self.name}' could not be created yet: {state.problem}. It is kept and tried again."
                )
            self._activate()

    @property
    def run_id(self) -> str | None:
        """The run's id; None while the server has not been reached."""
        return self._outbox.state.run_id if self._outbox else None

    @property
    def experiment_id(self) -> str | None:
        """The id of its experiment; None while the server has not been reached."""
        return self._outbox.state.experiment_id if self._outbox else None

    @property
    def outbox(self) -> Path | None:
        """The folder in which the run is kept until it has been sent."""
        return self._outbox.folder if self._outbox else None

    @property
    def is_open(self) -> bool:
        """Whether the run has not been ended, and belongs to this process."""
        return not self._ended and self._is_ours

    @property
    def _is_ours(self) -> bool:
        return os.getpid() == self._pid

    def __enter__(self) -> TrackedRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(status_of(error))

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log params; see `MLflowTracker.log_params`."""
        texts = {values.check_key("param", key): values.text_of(value) for key, value in params.items()}
        with self._logging:
            for key, text in texts.items():
                before = self._params.get(key, text)
                if before != text:
                    raise BadInputError(
                        f"The param '{key}' of this run is already {before[:80]!r} and cannot become "
                        f"{text[:80]!r}: params are written once. Use another key, a tag, or a nested run."
                    )
            new = {key: text for key, text in texts.items() if key not in self._params}
            if new:
                self._params.update(new)
                self._write({"op": "params", "values": self._long["param"].shorten(new)})
                self._keep_long("param")

    def log_metrics(self, metrics: Mapping[str, Any], step: Any = None) -> None:
        """Log metrics; see `MLflowTracker.log_metrics`."""
        at = values.step_of(step)
        found = []
        for key, value in metrics.items():
            name = values.check_key("metric", key)
            found.append((name, values.number_of(name, value), at))
        if found:
            self._write({"op": "metrics", "values": found})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; a tag that is there already is replaced."""
        new = {values.check_key("tag", key): value for key, value in tags.items()}
        with self._logging:
            if new:
                self._write({"op": "tags", "values": self._long["tag"].shorten(new)})
                self._keep_long("tag")

    def log_files(self, write: Callable[[Path], None]) -> None:
        """Log files: `write` puts them into a folder, as they shall lie among the run's artifacts."""
        self._payload({"op": "files"}, write)

    def log_tables(self, paths: list[str]) -> None:
        """Declare artifacts as tables, so that `mlflow.load_table` finds them."""
        self._write({"op": "tables", "paths": paths})

    def log_saved_model(
        self, write: Callable[[Path], None], name: str, kind: str, register: str | None
    ) -> None:
        """Log a model in MLflow's format that `write` saves into a folder ``model``."""
        self._payload({"op": "model", "name": name, "type": kind, "register": register}, write)

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until everything has been sent; return whether it has."""
        if self._delivery is None or not self._is_ours:
            return False
        self._activate()
        delivery = self._delivery
        end = time.monotonic() + timeout
        self._sender.wait(
            lambda: _is_sent(delivery) or time.monotonic() > end, min(timeout, _LOCAL_PATIENCE), when_down=1
        )
        return _is_sent(delivery)

    def end(self, status: str = "FINISHED") -> None:
        """End the run and wait while it is being sent; see `MLflowTracker.end_run`."""
        if status not in STATUSES:
            raise BadInputError(f"A run ends as {', '.join(STATUSES)}, not as {status!r}.")
        if not self._is_ours:
            return
        with self._logging:
            if self._ended:
                return
            self._write({"op": "end", "status": status})
            self._ended = True
        if self._activation is not None:
            self._activation.leave()
        if self._lost:
            tell(f"{self._lost} calls of the run '{self.name}' could not be kept: the disk refused them.")
        delivery = self._delivery
        if delivery is None:
            return
        # Who has been told already that the server is away need not wait for it after each run.
        when_down = _END_PATIENCE if self.run_id else 1.0
        self._sender.wait(lambda: delivery.done, _END_PATIENCE, when_down)
        self._tell_rest(delivery)

    def _tell_rest(self, delivery: Delivery) -> None:
        refused = delivery.outbox.refused()
        if refused:
            first = refused[0]
            tell(
                f"{self.destination.shown} refused {len(refused)} of what the run '{self.name}' logged, "
                f"the first because: {first['reason']} It is kept in {delivery.outbox.folder}."
            )
        if not delivery.done:
            left = batches.words(delivery.left())
            why = delivery.state.problem or self._sender.problem or "the server takes long"
            tell(
                f"Not yet sent of the run '{self.name}': {left} ({why}). It is kept in "
                f"{delivery.outbox.folder} and sent at the next start or with `greenroom sync-offline`."
            )

    def _keep_long(self, kind: str) -> None:
        content = self._long[kind].take()
        if content is not None:
            self.log_files(lambda folder: write_text(folder, f"{kind}s/long_values.json", content))

    def _activate(self) -> None:
        """Make the run MLflow's active one as soon as it exists, in the thread that started it."""
        delivery = self._delivery
        if self._activation or delivery is None or delivery.run is None or self._ended:
            return
        if threading.get_ident() == self._thread:
            self._activation = active.Activation(delivery.run)

    def _write(self, operation: Operation) -> None:
        """Write one operation down; a disk that refuses is told once and costs this call only."""
        if not self._is_ours:
            return
        if self._ended:
            raise BadInputError(f"The run '{self.name}' has ended; start another one to log more.")
        operation["t"] = time.time_ns() // 1_000_000
        try:
            if self._outbox is None:
                raise OSError("there is no folder for it")
            self._outbox.append(operation)
        except OSError as error:
            self._disk_refused(error)
            return
        if self._delivery is not None:
            self._sender.wake()
            if self._activation is None:
                self._activate()

    def _payload(self, operation: Operation, write: Callable[[Path], None]) -> None:
        if not self._is_ours:
            return
        if self._outbox is None or self._ended:
            self._write(operation)
            return
        folder = None
        try:
            name, folder = self._outbox.new_payload()
            write(folder)
        except OSError as error:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            self._disk_refused(error)
            return
        except BaseException:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        self._write({**operation, "payload": name})

    def _disk_refused(self, error: OSError) -> None:
        self._lost += 1
        if self._lost == 1:
            tell(
                f"What the run '{self.name}' logs cannot be kept in {self.destination.outbox} "
                f"({error.strerror or error}). The training goes on; make room, or set GREENROOM_HOME elsewhere."
            )


def write_text(folder: Path, path: str, content: str | bytes) -> None:
    """Write a file into a folder, at a path of its own."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.encode() if isinstance(content, str) else content)


def status_of(error: BaseException | None) -> str:
    """Return the status with which a run ends that an exception has left."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "FINISHED"
    return "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"


def _is_sent(delivery: Delivery) -> bool:
    return delivery.done or (
        delivery.state.run_id is not None
        and delivery.state.offset >= delivery.outbox.size
        and not delivery.state.aside
    )


def _new_outbox(root: Path) -> Outbox | None:
    """Make an outbox, in a temporary folder if there is no better place."""
    with suppress(OSError):
        return Outbox.create(root)
    with suppress(OSError):
        place = Path(tempfile.mkdtemp(prefix="greenroom-outbox-"))
        outbox = Outbox.create(place)
        tell(
            f"{root} cannot be written to; runs are kept in {place} until they are sent. Set GREENROOM_HOME."
        )
        return outbox
    return None


def _without_passwords(tags: dict[str, str]) -> dict[str, str]:
    return {
        key: redact(value) if key == "mlflow.source.git.repoURL" else value for key, value in tags.items()
    }
