"""Send what trainings have left behind: `greenroom sync-offline`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.redaction import redact
from core.settings import Settings
from core.tracking.configuration import Destination, destination
from core.tracking.delivery import Delivery
from core.tracking.outbox import Outbox, folders
from core.tracking.reach import probe, reason
from core.tracking.sender import new_client


class OutboxState(StrEnum):
    """What became of an outbox."""

    SENT = "sent"
    LEFT = "left"
    REFUSED = "refused"
    RUNNING = "running"
    OTHER_STORE = "other store"


@dataclass(frozen=True, slots=True)
class OutboxReport:
    """What was sent of one run, and what is left.

    Attributes
    ----------
    sent, left : mapping of str to int
        How many runs, params, metrics, tags, artifacts, models and ends.
    refused : tuple of str
        Why the server refused entries; these are kept, and not tried again.
    reason : str or None
        Why something is left.
    """

    folder: Path
    store: str
    experiment: str
    run_name: str
    run_id: str | None
    state: OutboxState
    sent: Mapping[str, int]
    left: Mapping[str, int]
    refused: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def is_left(self) -> bool:
        """Whether something of it is still here, other than what a running training sends by itself."""
        return self.state not in (OutboxState.SENT, OutboxState.RUNNING)


def sync_offline(
    settings: Settings, on_progress: Callable[[str], None] | None = None
) -> tuple[OutboxReport, ...]:
    """Send everything that is kept for a store.

    Parameters
    ----------
    settings : Settings
        Their store is sent to; what is kept for another one is only named.
    on_progress : callable, optional
        Called with the name of the run that is being sent.

    Returns
    -------
    tuple of OutboxReport
        Oldest first.
    """
    place = destination(settings)
    found = folders(place.outbox)
    client: Any = None
    why: str | None = None
    reports = []
    for folder in found:
        outbox = Outbox.take_over(folder)
        if outbox is None:
            if folder.is_dir():
                reports.append(_report(None, folder, OutboxState.RUNNING, "its training is running"))
            continue
        delivery = Delivery(outbox, place, abandoned=True)
        operation = outbox.first()
        try:
            if operation is not None and operation["store"] != place.shown:
                text = f"it belongs to {redact(operation['store'])}; name that with --tracking-uri"
                reports.append(_report(delivery, folder, OutboxState.OTHER_STORE, text))
                continue
            if delivery.is_settled:
                delivery.settle()
            elif why is None:
                if on_progress is not None and operation is not None:
                    on_progress(str(operation["name"]))
                client = client or _connect(place)
                why = client if isinstance(client, str) else _send(delivery, client, place)
                if isinstance(client, str):
                    client = None
            if operation is not None:
                reports.append(_outcome(delivery, operation, folder, why))
        finally:
            if not delivery.done:
                outbox.close()
    return tuple(reports)


def _connect(place: Destination) -> Any:
    """Return a client, or why there is none."""
    why = probe(place.uri, 5) if place.remote else None
    if why is not None:
        return f"the tracking server {place.shown} cannot be reached: {why}"
    try:
        return new_client(place)
    except Exception as error:  # noqa: BLE001
        # A database that cannot be opened raises what its driver likes.
        return f"{place.shown} cannot be opened: {reason(error)}"


def _send(delivery: Delivery, client: Any, place: Destination) -> str | None:
    """Send an outbox to its end; return why the server is gone, if it is."""
    try:
        while delivery.advance(client):
            pass
    except Exception as error:  # noqa: BLE001
        # MLflow, drivers and artifact stores raise what they like: it is said, and the rest goes on.
        delivery.state.problem = reason(error)
        why = probe(place.uri, 5) if place.remote else None
        return f"the tracking server {place.shown} cannot be reached: {why}" if why else None
    return None


def _outcome(delivery: Delivery, operation: dict[str, Any], folder: Path, why: str | None) -> OutboxReport:
    if delivery.done:
        refused = delivery.outbox.refused()
        return _report(
            delivery, folder, OutboxState.REFUSED if refused else OutboxState.SENT, None, operation
        )
    return _report(delivery, folder, OutboxState.LEFT, why or delivery.state.problem, operation)


def _report(
    delivery: Delivery | None,
    folder: Path,
    state: OutboxState,
    why: str | None,
    operation: dict[str, Any] | None = None,
) -> OutboxReport:
    outbox = delivery.outbox if delivery else Outbox.peek(folder)
    operation = operation or outbox.first() or {}
    # A removed outbox has no journal any more, hence the operation that was read before.
    left: Counter[str] = Counter()
    if delivery is not None and state in (OutboxState.LEFT, OutboxState.OTHER_STORE):
        left = delivery.left()
    return OutboxReport(
        folder=folder,
        store=str(operation.get("store", "")),
        experiment=str(operation.get("experiment", "")),
        run_name=str(operation.get("name", "")),
        run_id=outbox.state.run_id,
        state=state,
        sent=dict(delivery.sent) if delivery else {},
        left=dict(left),
        refused=tuple(one["reason"] for one in outbox.refused()),
        reason=why,
    )
