"""The retention desk: plan, remove, bring back, purge. Every write checks who acts, and is audited."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from core.access import Actor, Permission
from core.errors import BadInputError, NotFoundError, RefusedError
from core.registry.judge import needed
from core.registry.promotion import Promoter
from core.registry.retention.configuration import RetentionSettings
from core.registry.retention.disposal import Disposal, Parts, lock_of
from core.registry.retention.marks import LEGAL_HOLD_TAG, is_marked
from core.registry.retention.plan import Going, Kind, RetentionPlan, Subject, difference
from core.registry.retention.trash import IN_TRASH, UNFINISHED, TrashEntry, TrashState
from core.registry.types import Version
from core.registry.watch import GREENROOM
from core.runs.types import Run

_AGAIN = "Look at it again, then decide anew."


@dataclass(frozen=True, slots=True)
class CleanUp:
    """What one round of retention did.

    Attributes
    ----------
    plan : RetentionPlan
    retired : tuple of TrashEntry
        What it removed, all that the plan promised.
    purged : tuple of TrashEntry
        What it removed for good, or kept after all, of earlier rounds.
    """

    plan: RetentionPlan
    retired: tuple[TrashEntry, ...]
    purged: tuple[TrashEntry, ...]


class RetentionDesk:
    """The use cases of retention. Safe for many threads and many processes.

    Methods that write raise `RefusedError` where a rule or the actor's role is in the way, `NotFoundError` where there
    is no such model or entry, and `SourceError` or `DatabaseError` where MLflow or Greenroom's database does not
    answer; what was begun then is finished or given up by the next look.
    """

    def __init__(self, parts: Parts, promoter: Promoter, settings: RetentionSettings) -> None:
        self.settings = settings
        self._parts = parts
        self._promoter = promoter
        self._disposal = Disposal(parts)

    # Looking

    def plan(self, model: str | None = None) -> RetentionPlan:
        """Say what would go, what stays and why, and how many bytes come free. Changes nothing.

        Parameters
        ----------
        model : str, optional
            This model alone, and no runs.

        Raises
        ------
        NotFoundError, SourceError, DatabaseError
        """
        at = self._parts.now()
        if model is None:
            return self._parts.planner.everything(at)
        return self._parts.planner.of_model(self._parts.watch.model(model), at)

    def trash(self, model: str | None = None, *, closed: bool = False) -> tuple[TrashEntry, ...]:
        """Return what is in the trash, newest first; what has left it, too, if asked for."""
        return self._parts.trash.find(None if closed else IN_TRASH, model)

    def due(self) -> tuple[TrashEntry, ...]:
        """Return what can be brought back no longer and waits to be purged, oldest first."""
        now = self._parts.now()
        waiting = self._parts.trash.find((TrashState.DELETED,))
        return tuple(one for one in reversed(waiting) if one.purge_after <= now)

    # Removing

    def apply(self, plan: RetentionPlan, by: Actor, reason: str) -> tuple[TrashEntry, ...]:
        """Remove exactly what a plan promised; it can be brought back until the undo window is over.

        Raises
        ------
        RefusedError
            If something else would go now. Nothing has gone then, unless the registry changed while it was being
            done: the reasons say what has.
        """
        by.require(Permission.RETAIN)
        reason = needed(reason, "Removing versions and runs needs a reason.")
        self._parts.watch.refuse_old_schema()
        self.recover()
        self._read_again([one.subject for one in plan.goes])
        self._refuse_changed(plan.goes, self._again(plan).goes, ())
        done: list[TrashEntry] = []
        for name in dict.fromkeys(lock_of(one.subject) for one in plan.goes):
            promised = tuple(one for one in plan.goes if lock_of(one.subject) == name)
            with self._promoter.locked(name):
                if promised[0].subject.kind is Kind.VERSION:
                    self._retire_versions(name, promised, plan, by, reason, done)
                else:
                    self._retire_runs(promised, plan, by, reason, done)
        return tuple(done)

    def _read_again(self, subjects: Sequence[Subject]) -> None:
        self._parts.watch.refresh()
        self._parts.runs.sync()
        for one in subjects:
            if one.run_id:
                # A tag that was set on a run which ended long ago is found by asking for that run alone.
                self._parts.runs.refresh(one.run_id)

    def _again(self, plan: RetentionPlan) -> RetentionPlan:
        if plan.model is None:
            return self._parts.planner.everything(plan.made_at)
        return self._parts.planner.of_model(self._parts.watch.fresh(plan.model), plan.made_at)

    def _retire_versions(
        self,
        name: str,
        promised: tuple[Going, ...],
        plan: RetentionPlan,
        by: Actor,
        reason: str,
        done: list[TrashEntry],
    ) -> None:
        self._promoter.recover(name)
        self._parts.watch.record(name)
        model = self._parts.watch.fresh(name)
        self._refuse_changed(promised, self._parts.planner.of_model(model, plan.made_at).goes, done)
        for going in promised:
            assert going.subject.version is not None  # noqa: S101
            self._retire(going, model.version(going.subject.version), by, reason, done)

    def _retire_runs(
        self,
        promised: tuple[Going, ...],
        plan: RetentionPlan,
        by: Actor,
        reason: str,
        done: list[TrashEntry],
    ) -> None:
        now, _ = self._parts.planner.of_runs(self._parts.watch.models(), plan.made_at)
        self._refuse_changed(promised, now, done)
        for going in promised:
            run = self._parts.runs.run(going.subject.run_id or "")
            if run is None:
                raise RefusedError(f"{going.subject.name} is not there any more. {_AGAIN}", _said(done))
            self._retire(going, run, by, reason, done)

    def _retire(
        self, going: Going, content: Version | Run, by: Actor, reason: str, done: list[TrashEntry]
    ) -> None:
        self._refuse_held(going, done)
        window = timedelta(days=self.settings.undo_days)
        done.append(self._disposal.retire(going, content, by, reason, window))

    def _refuse_held(self, going: Going, done: Sequence[TrashEntry]) -> None:
        """Ask MLflow itself about the run: a hold that was set a second ago is not in the index yet."""
        if not going.subject.run_id:
            return
        try:
            state = self._parts.remover().run(going.subject.run_id)
        except NotFoundError:
            return
        if is_marked(state.tags, LEGAL_HOLD_TAG):
            raise RefusedError(
                f"The run of {going.subject.name} is on legal hold meanwhile. {_AGAIN}", _said(done)
            )
        if going.subject.kind is Kind.RUN and state.deleted:
            raise RefusedError(f"{going.subject.name} was deleted meanwhile. {_AGAIN}", _said(done))

    @staticmethod
    def _refuse_changed(
        promised: tuple[Going, ...], now: tuple[Going, ...], done: Sequence[TrashEntry]
    ) -> None:
        changes = difference(promised, now)
        if changes:
            raise RefusedError(
                f"What would go now is not what was promised. {_AGAIN}", (*changes, *_said(done))
            )

    # Bringing back

    def undo(self, numbers: Sequence[int], by: Actor, reason: str) -> tuple[TrashEntry, ...]:
        """Bring back what was removed.

        Parameters
        ----------
        numbers : sequence of int
            Entries of the trash; if one of them cannot be brought back, none is.
        """
        by.require(Permission.RETAIN)
        reason = needed(reason, "Bringing back needs a reason.")
        if not numbers:
            raise BadInputError("Say what to bring back: `greenroom retention trash` lists the numbers.")
        self._parts.watch.refuse_old_schema()
        self.recover()
        entries = [self._parts.trash.get(number) for number in dict.fromkeys(numbers)]
        for entry in entries:
            _refuse_closed(entry)
        done = []
        for entry in entries:
            with self._promoter.locked(lock_of(entry.subject)):
                current = self._parts.trash.get(entry.id)
                _refuse_closed(current)
                done.append(self._disposal.restore(current, by, reason))
        return tuple(done)

    # Purging

    def purge(self, by: Actor = GREENROOM) -> tuple[TrashEntry, ...]:
        """Remove for good what can be brought back no longer; return what became of each.

        A version is deleted in MLflow, and files that nothing else uses are removed. A run stays in MLflow's trash
        without its files; only ``mlflow gc`` removes it. What must stay after all is brought back instead.
        """
        by.require(Permission.RETAIN)
        self._parts.watch.refuse_old_schema()
        self.recover()
        waiting = self.due()
        if not waiting:
            return ()
        self._read_again([one.subject for one in waiting])
        done = []
        # Versions first: a run waits for those that came from it.
        for entry in sorted(waiting, key=lambda one: (one.subject.kind is Kind.RUN, one.id)):
            with self._promoter.locked(lock_of(entry.subject)):
                current = self._parts.trash.get(entry.id)
                if current.state is TrashState.DELETED:
                    if current.subject.model is not None:
                        self._promoter.recover(current.subject.model)
                    done.append(self._disposal.purge(current, by))
        return tuple(done)

    # By itself

    def recover(self) -> tuple[TrashEntry, ...]:
        """Finish or give up what a crash left, each once; what somebody is at right now is left alone."""
        done: list[TrashEntry] = []
        unfinished = self._parts.trash.find(UNFINISHED)
        if unfinished:
            self._parts.watch.refresh()
        for entry in reversed(unfinished):
            with ExitStack() as held:
                try:
                    held.enter_context(self._promoter.locked(lock_of(entry.subject), wait_seconds=0.0))
                except RefusedError:
                    continue
                current = self._parts.trash.get(entry.id)
                if current.state in UNFINISHED:
                    done.append(self._disposal.recover(current))
        return tuple(done)

    def clean_up(self, model: str | None = None, by: Actor = GREENROOM, reason: str = "") -> CleanUp:
        """Make a plan and carry it out, and purge what is due: on schedule, and after each deployment.

        Parameters
        ----------
        model : str, optional
            This model alone, and no runs; what is due is purged of all.
        """
        by.require(Permission.RETAIN)
        self._parts.watch.notice()
        self._parts.runs.sync()
        plan = self.plan(model)
        retired = self.apply(plan, by, reason or "older than the settings keep") if plan.goes else ()
        return CleanUp(plan, retired, self.purge(by))

    def after_deployment(self, model: str) -> CleanUp | None:
        """Clean a model up after a version of it was deployed, where the settings say so."""
        if not self.settings.after_deployment:
            return None
        return self.clean_up(model, reason="older than the settings keep, after a deployment")


def _refuse_closed(entry: TrashEntry) -> None:
    if entry.state is TrashState.DELETED:
        return
    at = f" since {entry.closed_at:%Y-%m-%d %H:%M} UTC" if entry.closed_at else ""
    raise RefusedError(
        f"Entry {entry.id} of the trash ({entry.subject.name}) is {entry.state}{at}, so it cannot be brought back. "
        f"{entry.note}".rstrip()
    )


def _said(done: Sequence[TrashEntry]) -> tuple[str, ...]:
    if not done:
        return ()
    return (f"Removed before that, and in the trash: {', '.join(one.subject.name for one in done)}",)
