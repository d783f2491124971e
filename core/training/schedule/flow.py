"""A retraining from its data to Staging: a state machine whose state is its row in the database.

PREPARING -> TRAINING -> VALIDATING -> REGISTERING -> DONE. Whoever comes along takes it a step on; see `steps` for
what each does. A tracking store that does not answer is waited for, a refusal of the registry is tried a few times
more (somebody may be changing the model right then), and everything else that goes wrong ends the retraining.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.engine import Engine

from core import clock
from core.errors import ArtifactError, DatabaseError, GreenroomError, RefusedError, SourceError
from core.registry.locks import model_lock
from core.training.schedule.recording import Recorder
from core.training.schedule.steps import Steps
from core.training.schedule.store import Store
from core.training.schedule.types import Retraining, RetrainingOutcome, Step

PATIENCE: Final = timedelta(hours=1)
"""How long a retraining waits for a tracking store that does not answer."""

PAUSE: Final = timedelta(seconds=30)
"""How long it waits before it tries a step again."""

TRIES: Final = 3
"""How often it tries a step that is refused."""


class Flow:
    """Takes retrainings on, a step at a time."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        store_key: str,
        store: Store,
        steps: Steps,
        recorder: Recorder,
        now: clock.Clock,
    ) -> None:
        self._engine = engine
        self._store_key = store_key
        self._store = store
        self._steps = steps
        self._recorder = recorder
        self._now = now
        self._not_before: dict[int, datetime] = {}

    def advance(self, number: int) -> None:
        """Take a retraining one step on, if nobody else is at it.

        Raises
        ------
        DatabaseError
            If Greenroom's database does not answer; the step is then taken again.
        """
        now = self._now()
        if now < self._not_before.get(number, now):
            return
        with ExitStack() as stack:
            try:
                # A lock of its own, for registering and promoting take the model's; no model has a / in its name.
                name = f"retraining/{number}"
                stack.enter_context(model_lock(self._engine(), self._store_key, name, wait_seconds=0.0))
            except RefusedError:
                return
            one = self._store.retraining(number)
            if one.is_open:
                self._not_before.pop(number, None)
                self._advance(one)

    def _advance(self, one: Retraining) -> None:
        try:
            self._try(one)
        except SourceError as error:
            since = one.prepared.waiting_since
            if since is not None and self._now() - since >= PATIENCE:
                self._recorder.end(one, RetrainingOutcome.FAILED, _words(error))
                return
            self._not_before[one.id] = self._now() + PAUSE
            if since is None:
                until = f"{self._now() + PATIENCE:%Y-%m-%d %H:%M} UTC"
                text = f"{_words(error)} Trying again until {until}"
                self._recorder.trouble(one, text, waiting_since=self._now())

    def _try(self, one: Retraining) -> None:
        try:
            self._steps.take(one)
        except (DatabaseError, SourceError):
            raise
        except (RefusedError, ArtifactError) as error:
            self._refused(one, error)
        except GreenroomError as error:
            self._recorder.end(one, RetrainingOutcome.FAILED, _words(error))

    def _refused(self, one: Retraining, error: GreenroomError) -> None:
        tries = one.prepared.tries + 1
        if one.step in (Step.VALIDATING, Step.REGISTERING) and tries < TRIES:
            self._not_before[one.id] = self._now() + PAUSE
            self._recorder.trouble(one, f"{_words(error)} Trying again", tries=tries)
        elif one.step is Step.REGISTERING:
            self._steps.give_up_staging(one, _words(error))
        else:
            self._recorder.end(one, RetrainingOutcome.FAILED, _words(error))


def _words(error: GreenroomError) -> str:
    """Return what an error says, the reasons of a refusal included."""
    reasons = [one for one in getattr(error, "reasons", ()) if one != str(error)]
    return " ".join([str(error), *reasons])
