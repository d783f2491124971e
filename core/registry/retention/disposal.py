"""Remove, bring back and purge one thing at a time, so that a crash at any moment leaves nothing half-done.

What is about to be done is written into the trash, MLflow is asked, and one transaction of Greenroom's database records
the event and where the entry stands. Whoever comes next after a crash finds an entry that ends in -ing. A removal is
finished if MLflow has made it, and given up if not; bringing back and purging are finished. The caller holds the lock
of the model, or of the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from sqlalchemy.engine import Engine

from core import clock
from core.access import Actor, Role
from core.audit import AuditTrail, News
from core.database import transaction
from core.errors import ArtifactError, NotFoundError, RefusedError
from core.registry import seen
from core.registry.promotion import Fate
from core.registry.retention.files import RetentionFiles, Size
from core.registry.retention.marks import DELETED_TAG
from core.registry.retention.places import FilePlace
from core.registry.retention.plan import Going, Kind, Subject
from core.registry.retention.planning import OwnFiles, Planner, RunReaders
from core.registry.retention.records import full_record
from core.registry.retention.rules import kept_for_good
from core.registry.retention.trash import Trash, TrashEntry, TrashState
from core.registry.retention.writing import Remover, RunState
from core.registry.types import Model, Version
from core.registry.watch import RegistryWatch
from core.runs.types import Run

RETIRED: Final = "retired"
RESTORED: Final = "restored"
PURGED: Final = "purged"
KEPT: Final = "kept"
_RUNS_LOCK: Final = "the old runs"
_NOT_THERE: Final = "it is not in MLflow any more"
_NOTHING_CHANGED: Final = "given up after an interruption: MLflow had not changed anything yet"


@dataclass(frozen=True, slots=True)
class Parts:
    """What removing is made of."""

    watch: RegistryWatch
    trash: Trash
    planner: Planner
    runs: RunReaders
    files: RetentionFiles
    trail: AuditTrail
    remover: Callable[[], Remover]
    engine: Callable[[], Engine]
    store_key: str
    now: clock.Clock
    on_step: Callable[[str], None]


def lock_of(subject: Subject) -> str:
    """Return the name of the lock: the model's, or one for all runs."""
    return subject.model if subject.model is not None else _RUNS_LOCK


class Disposal:
    """Removes, brings back and purges."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._trash = parts.trash
        self._step = parts.on_step
        self._now = parts.now

    # Removing

    def retire(
        self, going: Going, content: Version | Run, by: Actor, reason: str, undo_for: timedelta
    ) -> TrashEntry:
        """Remove something so that it can be brought back."""
        subject, at = going.subject, self._now()
        record = {
            "name": content.name if isinstance(content, Run) else subject.name,
            "content": full_record(content),
            "why": going.reason,
            "files": going.files,
            "by": [by.name, str(by.role)],
        }
        self._step("before the intent")
        entry = self._trash.open(
            subject,
            size=going.bytes,
            record=record,
            reason=reason,
            by=by.name,
            at=at,
            purge_after=at + undo_for,
        )
        self._step("after the intent")
        remover = self._parts.remover()
        if subject.kind is Kind.RUN:
            remover.delete_run(_run_id(subject))
        else:
            remover.mark(*_name(subject), entry.mark)
        self._step("after MLflow")
        return self._retired(entry, by, Fate.DONE)

    def _retired(self, entry: TrashEntry, by: Actor, fate: Fate) -> TrashEntry:
        details = {
            "bytes": entry.bytes,
            "why": entry.record["why"],
            "undo_until": clock.text(entry.purge_after),
        }
        return self._record(entry, TrashState.DELETED, RETIRED, by, entry.reason, fate, details)

    # Bringing back

    def restore(self, entry: TrashEntry, by: Actor, reason: str) -> TrashEntry:
        """Bring something back.

        Raises
        ------
        RefusedError
            If MLflow does not have it any more, or somebody else has been at it.
        """
        if not self._is_there(entry):
            lost = self._lost(entry, by, reason)
            raise RefusedError(f"{entry.subject.name} cannot be brought back: {lost.note}.")
        more = {"restoring": {"by": [by.name, str(by.role)], "reason": reason}}
        begun = self._trash.begin(entry, TrashState.RESTORING, **more)
        if begun is None:
            raise RefusedError(f"Somebody else has been at {entry.subject.name}. Look at the trash again.")
        self._step("after the intent")
        return self._restored(begun, Fate.DONE)

    def _restored(self, entry: TrashEntry, fate: Fate) -> TrashEntry:
        asked = entry.record["restoring"]
        if not self._is_there(entry):
            return self._lost(entry, _actor(asked["by"]), asked["reason"])
        self._bring_back(entry)
        self._step("after MLflow")
        return self._record(
            entry, TrashState.RESTORED, RESTORED, _actor(asked["by"]), asked["reason"], fate, {}
        )

    def _lost(self, entry: TrashEntry, by: Actor, reason: str) -> TrashEntry:
        return self._record(
            entry, TrashState.KEPT, KEPT, by, reason, Fate.DONE, {"why": _NOT_THERE}, note=_NOT_THERE
        )

    def _bring_back(self, entry: TrashEntry) -> None:
        """Undo in MLflow what removing did there, if it is still so."""
        subject, remover = entry.subject, self._parts.remover()
        if subject.kind is Kind.RUN:
            state = self._run_state(subject)
            if state is not None and state.deleted:
                remover.restore_run(_run_id(subject))
        else:
            one = self._version(subject)[1]
            if one is not None and one.tags.get(DELETED_TAG) == entry.mark:
                remover.unmark(*_name(subject))

    # Purging

    def purge(self, entry: TrashEntry, by: Actor) -> TrashEntry:
        """Remove something for good; what must stay after all is brought back, with the reason."""
        if entry.subject.kind is Kind.RUN:
            why = self._why_run_is_kept(entry)
            own = self._files_of_run(entry) if not why else OwnFiles((), ())
        else:
            model, one = self._version(entry.subject)
            why = self._why_version_is_kept(entry, model, one)
            own = OwnFiles((), ()) if why or one is None else self._parts.planner.own_files(one)
        if why:
            return self._keep(entry, why, by)
        size = sum((self._parts.files.measure(place) for place in own.places), Size())
        begun = self._trash.begin(
            entry,
            TrashState.PURGING,
            purging={
                "by": [by.name, str(by.role)],
                "places": [place.to_json() for place in own.places],
                "left": list(own.left),
                "bytes": size.bytes,
                "files": size.files,
            },
        )
        if begun is None:
            return self._trash.get(entry.id)
        self._step("after the intent")
        return self._carry_on(begun, Fate.DONE)

    def _files_of_run(self, entry: TrashEntry) -> OwnFiles:
        run = self._parts.runs.run(_run_id(entry.subject))
        if run is None:
            return OwnFiles((), ("the run is not in the index any more, so its files are not looked for",))
        return self._parts.planner.own_files_of_run(run)

    def _carry_on(self, entry: TrashEntry, fate: Fate) -> TrashEntry:
        """Purge what is written down; all of it can be done twice."""
        purging = entry.record["purging"]
        by, left = _actor(purging["by"]), list(purging["left"])
        if entry.subject.kind is Kind.VERSION:
            remover = self._parts.remover()
            # A process that died here has done it.
            with suppress(NotFoundError):
                remover.delete_version(*_name(entry.subject))
            self._parts.watch.reread(_name(entry.subject)[0])
            self._step("after MLflow")
        try:
            for place in map(FilePlace.from_json, purging["places"]):
                left += self._remove(place)
                self._step("after some files")
        except ArtifactError as error:
            # It stays begun: the next look tries again.
            self._trash.annotate(entry, str(error))
            return self._trash.get(entry.id)
        note = _freed(purging["bytes"], purging["files"], left)
        if entry.subject.kind is Kind.RUN:
            note += " The run itself stays in MLflow's trash; `mlflow gc` removes it."
        details = {"bytes": purging["bytes"], "files": purging["files"], "left": left}
        return self._record(entry, TrashState.PURGED, PURGED, by, entry.reason, fate, details, note=note)

    def _remove(self, place: FilePlace) -> list[str]:
        """Remove files unless somebody uses them by now; say which are left."""
        user = self._parts.planner.user_of(place)
        if user:
            return [f"its files stay: {user}"]
        self._parts.files.remove(place)
        self._step("after the files")
        if place.model is not None and not place.path:
            self._parts.remover().forget_model(place.model.model_id)
        return []

    def _keep(self, entry: TrashEntry, why: str, by: Actor) -> TrashEntry:
        self._bring_back(entry)
        return self._record(entry, TrashState.KEPT, KEPT, by, why, Fate.DONE, {"why": why}, note=why)

    def _why_version_is_kept(self, entry: TrashEntry, model: Model | None, one: Version | None) -> str:
        if model is None or one is None:
            return _NOT_THERE
        if one.tags.get(DELETED_TAG) != entry.mark:
            return "its mark was taken away or changed in MLflow"
        return "; ".join(self._parts.planner.why_stays(model, one.version, self._now()))

    def _why_run_is_kept(self, entry: TrashEntry) -> str:
        run_id, state = _run_id(entry.subject), self._run_state(entry.subject)
        if state is None:
            return _NOT_THERE
        if not state.deleted:
            return "it was restored in MLflow"
        self._parts.runs.refresh(run_id)
        run = self._parts.runs.run(run_id)
        registered = self._parts.planner.registered(self._parts.watch.models()).get(run_id, ())
        reasons = kept_for_good(replace(run, tags=state.tags), registered) if run is not None else []
        below = self._parts.runs.children().get(run_id, ())
        if below:
            reasons.append(f"{len(below)} runs below it are not deleted")
        return "; ".join(reasons)

    # After a crash

    def recover(self, entry: TrashEntry) -> TrashEntry:
        """Finish or give up what a process that died has begun."""
        if entry.state is TrashState.OPENING:
            by = _actor(entry.record["by"])
            if self._was_removed(entry):
                return self._retired(entry, by, Fate.FINISHED_LATER)
            details = {"why": _NOTHING_CHANGED}
            return self._record(
                entry,
                TrashState.KEPT,
                str(Fate.UNDONE),
                by,
                entry.reason,
                Fate.DONE,
                details,
                _NOTHING_CHANGED,
            )
        if entry.state is TrashState.RESTORING:
            return self._restored(entry, Fate.FINISHED_LATER)
        if entry.state is TrashState.PURGING:
            if entry.subject.kind is Kind.RUN:
                why = self._why_run_is_kept(entry)
            else:
                model, one = self._version(entry.subject)
                # Where it is deleted, what is left to do are its files.
                why = self._why_version_is_kept(entry, model, one) if one is not None else ""
            if why:
                return self._keep(entry, why, _actor(entry.record["purging"]["by"]))
            return self._carry_on(entry, Fate.FINISHED_LATER)
        return entry

    def _was_removed(self, entry: TrashEntry) -> bool:
        if entry.subject.kind is Kind.RUN:
            state = self._run_state(entry.subject)
            return state is not None and state.deleted
        one = self._version(entry.subject)[1]
        return one is not None and one.tags.get(DELETED_TAG) == entry.mark

    # What they share

    def _record(
        self,
        entry: TrashEntry,
        state: TrashState,
        action: str,
        by: Actor,
        reason: str,
        fate: Fate,
        details: Mapping[str, Any],
        note: str = "",
    ) -> TrashEntry:
        subject, said = entry.subject, {"trash": entry.id, **details}
        if subject.kind is Kind.RUN:
            said |= {"run_id": subject.run_id, "run": subject.name}
        if fate is not Fate.DONE:
            said["fate"] = str(fate)
        closed = None if state is TrashState.DELETED else clock.text(self._now())
        with transaction(
            self._parts.engine(), f"what was done to {subject.name} is not recorded yet"
        ) as connection:
            if self._trash.move(connection, entry, state, closed_at=closed, note=note):
                news = News(action, subject.model, subject.version, reason=reason, details=said)
                self._parts.trail.append(connection, by, news)
                if state is TrashState.PURGED and subject.kind is Kind.VERSION:
                    seen.forget(connection, self._parts.store_key, *_name(subject))
            self._step("before the record is committed")
        self._step("after the record")
        if subject.model is not None:
            self._parts.watch.reread(subject.model)
        else:
            self._parts.runs.refresh(_run_id(subject))
        return self._trash.get(entry.id)

    def _is_there(self, entry: TrashEntry) -> bool:
        if entry.subject.kind is Kind.RUN:
            return self._run_state(entry.subject) is not None
        return self._version(entry.subject)[1] is not None

    def _version(self, subject: Subject) -> tuple[Model | None, Version | None]:
        name, number = _name(subject)
        try:
            model = self._parts.watch.fresh(name)
        except NotFoundError:
            return None, None
        return model, next((one for one in model.versions if one.version == number), None)

    def _run_state(self, subject: Subject) -> RunState | None:
        try:
            return self._parts.remover().run(_run_id(subject))
        except NotFoundError:
            return None


def _name(subject: Subject) -> tuple[str, int]:
    assert subject.model is not None and subject.version is not None  # noqa: S101
    return subject.model, subject.version


def _run_id(subject: Subject) -> str:
    assert subject.run_id is not None  # noqa: S101
    return subject.run_id


def _actor(value: list[str]) -> Actor:
    return Actor(value[0], Role(value[1]))


def _freed(size: int, files: int, left: list[str]) -> str:
    done = f"{files:,} files with {size:,} bytes were removed."
    return f"{done} {'; '.join(dict.fromkeys(left))}." if left else done
