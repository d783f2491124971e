"""Send one outbox to MLflow, a piece at a time: while the training runs, at its next start, or by command."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from core.tracking import batches
from core.tracking.configuration import Destination
from core.tracking.outbox import Operation, Outbox, State, read_state
from core.tracking.reach import LostFilesError, is_refusal, probe, reason

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_ASIDE_SECONDS = 15.0


class Delivery:
    """Delivers what an outbox holds, from where it stopped.

    Everything may be sent twice: MLflow drops a metric it has, and takes the same param, tag, file or end again.
    Only creation is not of that kind, so runs and models carry a tag by which they are found again.
    """

    def __init__(self, outbox: Outbox, destination: Destination, abandoned: bool) -> None:
        self.outbox = outbox
        self.destination = destination
        self.abandoned = abandoned
        self.sent: Counter[str] = Counter()
        self.run: Run | None = None
        self.done = False
        self._uploading = False
        self._retry_aside_at = 0.0

    @property
    def state(self) -> State:
        """How far it has come."""
        return self.outbox.state

    @property
    def has_work(self) -> bool:
        """Whether something can be sent now."""
        if self.done:
            return False
        if self.state.offset < self.outbox.size:
            return True
        if self.state.aside:
            return time.monotonic() >= self._retry_aside_at
        return self.abandoned or self.state.ended

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left that could be sent, though something may have been refused."""
        state = self.state
        return state.ended and state.offset >= self.outbox.size and not state.aside

    @property
    def is_uploading(self) -> bool:
        """Whether files are under way, which may take long without a sign of life."""
        return self._uploading

    def advance(self, client: MlflowClient) -> bool:
        """Send the next piece; return whether there was one.

        Raises whatever MLflow raises when the server cannot be reached; the piece is then sent again later.
        """
        if self.done:
            return False
        if self.state.run_id is None:
            return self._begin(client)
        items, end = batches.gather(self.outbox)
        if items:
            self._send(client, items)
            self._acknowledge(end)
            return True
        for operation, begin, end in self.outbox.read(self.state.offset):
            stored = self._perform(client, operation, begin)
            self._acknowledge(end)
            self._drop(operation, stored)
            return True
        return self._finish(client)

    def left(self) -> Counter[str]:
        """Count what has not been sent, by kind."""
        found: Counter[str] = Counter()
        for operation, _, _ in self.outbox.read(self.state.offset):
            found.update(batches.count(operation))
        for at in self.state.aside:
            found.update(batches.count(self._at(at)))
        return found

    def _acknowledge(self, offset: int) -> None:
        self.state.offset = offset
        self.state.problem = None
        self.outbox.save()

    def _at(self, offset: int) -> Operation:
        return next(operation for operation, _, _ in self.outbox.read(offset))

    def _begin(self, client: MlflowClient) -> bool:
        from core.tracking.creation import begin_run

        operation = self.outbox.first()
        if operation is None:
            if self.abandoned:
                # Its process died before it had written anything.
                self.settle()
            return False
        parent = self._parent(client, operation)
        if parent is _UNKNOWN:
            self.state.problem = "it waits for its parent run to be sent"
            return False
        run = begin_run(client, self.outbox, operation, self.destination, parent)
        self.run = run
        self.state.run_id, self.state.experiment_id = run.info.run_id, run.info.experiment_id
        _, _, end = next(self.outbox.read(0))
        self.sent["runs"] += 1
        self._acknowledge(end)
        return True

    def _parent(self, client: MlflowClient, operation: Operation) -> Any:
        if operation.get("parent_run_id") or not operation.get("parent"):
            return operation.get("parent_run_id")
        folder = self.outbox.folder.with_name(operation["parent"])
        if folder.is_dir():
            return read_state(folder).run_id or _UNKNOWN
        from core.tracking.creation import find_run

        found = find_run(client, operation["experiment"], operation["parent"])
        return found.info.run_id if found else None

    def _send(self, client: MlflowClient, items: list[batches.Item]) -> None:
        """Send items in requests of the size that MLflow takes; find those that it refuses by halving."""
        for chunk in batches.chunks(items):
            try:
                client.log_batch(str(self.state.run_id), *batches.entities(chunk))
            except Exception as error:
                if not is_refusal(error):
                    raise
                if len(chunk) == 1:
                    kind, value = chunk[0]
                    self.outbox.refuse({"op": kind, "value": value}, reason(error))
                    continue
                half = len(chunk) // 2
                self._send(client, chunk[:half])
                self._send(client, chunk[half:])
            else:
                self.sent.update(f"{kind}s" for kind, _ in chunk)

    def _perform(self, client: MlflowClient, operation: Operation, begin: int) -> bool:
        """Do one operation; return whether it was done rather than refused or put aside."""
        self._uploading = operation["op"] in ("files", "model")
        try:
            self._dispatch(client, operation)
            return True
        except Exception as error:
            if is_refusal(error):
                self.outbox.refuse(operation, reason(error))
            elif self._uploading and self._server_lives(client):
                # The artifact store is a system of its own: metrics need not wait for it.
                self.state.problem = reason(error)
                self.state.aside.append(begin)
                self._retry_aside_at = time.monotonic() + _ASIDE_SECONDS
            else:
                raise
            return False
        finally:
            self._uploading = False

    def _drop(self, operation: Operation, stored: bool) -> None:
        # Only when the state on disk says so: else a kill in between would lose the files.
        if stored and "payload" in operation:
            self.outbox.drop_payload(operation["payload"])

    def _server_lives(self, client: MlflowClient) -> bool:
        if self.destination.remote and probe(self.destination.uri) is not None:
            return False
        client.get_run(str(self.state.run_id))
        return True

    def _dispatch(self, client: MlflowClient, operation: Operation) -> None:
        run_id = str(self.state.run_id)
        if operation["op"] == "files":
            folder = self.outbox.payload(operation["payload"])
            files = [path for path in folder.rglob("*") if path.is_file()]
            if not folder.is_dir():
                raise LostFilesError(f"the kept files {folder} are gone")
            client.log_artifacts(run_id, str(folder))
            self.sent["artifacts"] += len(files)
        elif operation["op"] == "tables":
            batches.declare_tables(client, run_id, operation["paths"])
        elif operation["op"] == "model":
            from core.tracking.creation import deliver_model

            deliver_model(client, self.outbox, operation)
            self.sent["models"] += 1
        elif operation["op"] == "end":
            client.set_terminated(run_id, operation["status"], operation["t"])
            self.state.ended = True
        else:
            raise LostFilesError(f"'{operation['op']}' was written by a newer Greenroom")

    def _finish(self, client: MlflowClient) -> bool:
        progress = self._retry_aside(client)
        if not self.state.ended:
            if not self.abandoned:
                return progress
            self._end_abandoned(client)
        if self.state.aside:
            return progress
        self.settle()
        return True

    def settle(self) -> None:
        """Delete the outbox, of which all has been sent; what was refused is kept."""
        if self.outbox.refused():
            self.outbox.save()
            self.outbox.close()
        else:
            self.outbox.remove()
        self.done = True

    def _retry_aside(self, client: MlflowClient) -> bool:
        if time.monotonic() < self._retry_aside_at:
            return False
        progress = False
        for at in list(self.state.aside):
            operation = self._at(at)
            stored = self._perform(client, operation, at)
            self.state.aside.remove(at)
            self.outbox.save()
            self._drop(operation, stored)
            progress = progress or stored
        return progress

    def _end_abandoned(self, client: MlflowClient) -> None:
        """End a run whose process died: killed, when it last logged something."""
        last = max((operation["t"] for operation, _, _ in self.outbox.read(0)), default=None)
        if client.get_run(str(self.state.run_id)).info.status == "RUNNING":
            client.set_terminated(str(self.state.run_id), "KILLED", last)
        self.state.ended = True
        self.outbox.save()


_UNKNOWN = object()
