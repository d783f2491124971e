"""The registry as it is now, kept in memory until it changes, and what was changed in it outside Greenroom."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import RLock
from typing import Final

from sqlalchemy.engine import Connection, Engine

from core import clock
from core.access import Actor, Role
from core.audit import AuditEvent, AuditTrail, News
from core.database import transaction
from core.errors import NotFoundError, RefusedError
from core.registry import history, seen
from core.registry.promotion import Outcome, Promoter
from core.registry.reading.base import RegistrySource
from core.registry.retention.trash import being_purged
from core.registry.seen import How, Seen, SeenVersions
from core.registry.types import Model, Stage
from core.schema import audit_head

GREENROOM: Final = Actor("greenroom", Role.ADMIN)
"""Who records what nobody did here: changes made outside, requests that lapse."""

_MANY: Final = 5
_OTHERWISE: Final = "what was seen of the registry can be neither read nor written"


class RegistryWatch:
    """Reads the registry of one tracking store. Safe for many threads.

    Parameters
    ----------
    open_source : callable
        Opens the registry for reading.
    trust_seconds : float
        How long a state is shown where the store has no cheap way to say whether it changed.
    """

    def __init__(
        self,
        open_source: Callable[[], RegistrySource],
        engine: Callable[[], Engine],
        store_key: str,
        trail: AuditTrail,
        promoter: Promoter,
        now: clock.Clock = clock.now,
        trust_seconds: float = 30.0,
    ) -> None:
        self._open_source = open_source
        self._engine = engine
        self._store_key = store_key
        self._trail = trail
        self._promoter = promoter
        self._now = now
        self._trust_seconds = trust_seconds
        self._guard = RLock()
        self._source: RegistrySource | None = None
        self._background: RegistrySource | None = None
        self._models: dict[str, Model] | None = None
        self._mark: str | None = None
        self._read_at = 0.0
        self._generation = 0
        self._noticed = -1
        self._seen: dict[str, dict[int, Seen]] | None = None
        self._seen_at = -1

    def source(self) -> RegistrySource:
        """Return the source, opened at the first call."""
        with self._guard:
            if self._source is None:
                self._source = self._open_source()
            return self._source

    def models(self) -> Mapping[str, Model]:
        """Return all models by name, read again only where something may have changed.

        Raises
        ------
        SourceError
            If the registry cannot be read.
        """
        with self._guard:
            source = self.source()
            mark = source.fingerprint()
            fresh = mark == self._mark if mark else time.monotonic() - self._read_at < self._trust_seconds
            if self._models is None or not fresh:
                self._take({one.name: one for one in source.models()}, mark)
            assert self._models is not None  # noqa: S101
            return self._models

    @property
    def generation(self) -> int:
        """A number that grows with every change that was read."""
        return self._generation

    def model(self, name: str) -> Model:
        """Return a model from memory.

        Raises
        ------
        NotFoundError, SourceError
        """
        found = self.models().get(name)
        if found is not None:
            return found
        with self._guard:
            return self.source().model(name)

    def reread(self, name: str) -> None:
        """Read one model again, after it was changed, where models are kept in memory."""
        with self._guard:
            if self._models is None:
                return
            models = dict(self._models)
            try:
                models[name] = self.source().model(name)
            except NotFoundError:
                models.pop(name, None)
            # Others may have changed, too: the mark stays, so that the next look finds out.
            self._take(dict(sorted(models.items())), self._mark, self._read_at)

    def fresh(self, name: str) -> Model:
        """Return a model, read just now.

        Raises
        ------
        NotFoundError, SourceError
        """
        with self._guard:
            return self.source().model(name)

    def refuse_old_schema(self) -> None:
        """Do nothing where MLflow can write without changing the schema of the store.

        Raises
        ------
        RefusedError
            Where it cannot, with what to do.
        """
        with self._guard:
            problem = self.source().schema_problem()
        if problem is not None:
            raise RefusedError(problem)

    def refresh(self) -> None:
        """Read everything again where the store cannot say whether it changed; for the background."""
        with self._guard:
            if self._models is None or self.source().fingerprint() is not None:
                return
        # A source of its own: pages go on while a slow server answers.
        if self._background is None:
            self._background = self._open_source()
        models = {one.name: one for one in self._background.models()}
        with self._guard:
            self._take(models, None)

    def _take(self, models: dict[str, Model], mark: str | None, read_at: float | None = None) -> None:
        if models != self._models:
            self._generation += 1
        self._models, self._mark = models, mark
        self._read_at = time.monotonic() if read_at is None else read_at

    def seen(self) -> Mapping[str, SeenVersions]:
        """Return since when each version is in its stage, as recorded.

        Raises
        ------
        DatabaseError
        """
        with self._guard:
            with transaction(self._engine(), _OTHERWISE) as connection:
                at = int(connection.execute(audit_head.select()).one().seq)
                if self._seen is None or at != self._seen_at:
                    self._seen, self._seen_at = seen.all_seen(connection, self._store_key), at
            return self._seen

    def notice(self) -> tuple[Outcome, ...]:
        """Record what was changed outside, and finish or give up what a crash left.

        Models that somebody is changing right now are left for the next time.

        Raises
        ------
        SourceError, DatabaseError
        """
        outcomes = []
        for name in self._promoter.unfinished():
            try:
                with self._promoter.locked(name, wait_seconds=0.0):
                    outcome = self._promoter.recover(name)
            except RefusedError:
                continue
            if outcome is not None:
                outcomes.append(outcome)
                self.reread(name)
        models = self.models()
        if self._generation != self._noticed:
            done = True
            self._record_unseen(models)
            known = self.seen()
            for name in sorted(models.keys() | known.keys()):
                done = self._notice_model(name, models.get(name), known.get(name, {})) and done
            if done:
                self._noticed = self._generation
        return tuple(outcomes)

    def _record_unseen(self, models: Mapping[str, Model]) -> None:
        """Record all models that were never seen, in one transaction.

        Whoever changes a model records it first, so what is read here of a model that nobody has recorded was not
        changed by Greenroom.
        """
        known = self.seen()
        unseen = [model for name, model in models.items() if name not in known and model.versions]
        if len(unseen) < _MANY:
            return
        with transaction(self._engine(), _OTHERWISE) as connection:
            # The lock of the chain, so that what another process has recorded meanwhile is seen here.
            self._trail.lock(connection)
            recorded = seen.all_seen(connection, self._store_key)
            for model in unseen:
                if model.name not in recorded:
                    self._record_first(connection, model)
        with self._guard:
            self._seen = None

    def _notice_model(self, name: str, model: Model | None, known: SeenVersions) -> bool:
        """Record what differs from what was seen of a model; False where that has to wait."""
        if model is not None and not _differs(model, known):
            return True
        try:
            with self._promoter.locked(name, wait_seconds=0.0):
                self.record(name)
                return True
        except RefusedError:
            return False

    def record(self, name: str) -> None:
        """Record what was changed of a model outside; the caller holds its lock.

        Raises
        ------
        SourceError, DatabaseError
        """
        # Read again, now that nobody is at it: what differed may have been a promotion under way.
        with self._guard:
            try:
                model: Model | None = self.source().model(name)
            except NotFoundError:
                model = None
        with transaction(self._engine(), _OTHERWISE) as connection:
            known = seen.seen_of(connection, self._store_key, name)
            if model is None:
                self._record_gone(connection, name, known)
            elif not known:
                self._record_first(connection, model)
            else:
                self._record_changes(connection, model, known)
        with self._guard:
            # A version that is new and in None leaves no event by which the change could be told.
            self._seen = None

    def _record_first(self, connection: Connection, model: Model) -> None:
        since = {one.version: seen.entered(one) for one in model.versions}
        seen.note_new(connection, self._store_key, model.versions, How.FIRST_SEEN)
        if any(one.stage is not Stage.NONE for one in model.versions):
            details = history.stages_first_seen(model, since)
            news = News(history.FIRST_SEEN, model.name, details=details)
            self._trail.append(connection, GREENROOM, news)

    def _record_changes(self, connection: Connection, model: Model, known: SeenVersions) -> None:
        # Retention's own deletions are no news from outside; where it died over one, its own look records that.
        ours = being_purged(connection, self._store_key, model.name)
        found = seen.outside_changes(model, known, self._now())
        changes = [one for one in found if one.to_stage is not None or one.version not in ours]
        for change in changes:
            action = history.OUTSIDE if change.to_stage is not None else history.DELETED_OUTSIDE
            news = News(
                action,
                model.name,
                change.version,
                str(change.from_stage) if change.from_stage else None,
                str(change.to_stage) if change.to_stage else None,
                details={"happened": clock.text(change.at)},
            )
            self._trail.append(connection, GREENROOM, news)
            if change.to_stage is None:
                seen.forget(connection, self._store_key, model.name, change.version)
            else:
                one = Seen(change.to_stage, change.at, How.OUTSIDE)
                seen.note(connection, self._store_key, model.name, change.version, one)
        noted = {change.version for change in changes}
        new = [one for one in model.versions if one.version not in known and one.version not in noted]
        seen.note_new(connection, self._store_key, new, How.OUTSIDE)

    def _record_gone(self, connection: Connection, name: str, known: SeenVersions) -> None:
        for version, one in known.items():
            if one.stage is not Stage.NONE:
                details = {
                    "happened": clock.text(self._now()),
                    "why": "the model is gone or has another name",
                }
                news = News(history.DELETED_OUTSIDE, name, version, str(one.stage), None, details=details)
                self._trail.append(connection, GREENROOM, news)
            seen.forget(connection, self._store_key, name, version)

    def events(self, model: str) -> tuple[AuditEvent, ...]:
        """Return the events of a model, oldest first.

        Raises
        ------
        DatabaseError
        """
        return tuple(reversed(self._trail.events(model)))

    def close(self) -> None:
        """Give back the source's connections."""
        with self._guard:
            for source in (self._source, self._background):
                if source is not None:
                    source.close()
            self._source = self._background = None


def _differs(model: Model, known: SeenVersions) -> bool:
    if len(known) != len(model.versions):
        return True
    return any(
        (was := known.get(one.version)) is None or was.stage is not one.stage for one in model.versions
    )
