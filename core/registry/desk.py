"""The registry desk: register, judge, ask, decide, promote, roll back. Every write checks who acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy.engine import Engine

from core import clock
from core.access import Actor, Permission
from core.audit import AuditEvent, AuditTrail, News
from core.database import transaction
from core.errors import BadInputError, RefusedError
from core.registry import board, history
from core.registry.board import ModelCard
from core.registry.decisions import Decisions
from core.registry.facts import Readers
from core.registry.history import InProduction
from core.registry.judge import DeskRules, Judge, Trials, check_gates, needed
from core.registry.load_tests import LoadTests
from core.registry.promotion import Fate, Order, Outcome, Promoter
from core.registry.requests import OPEN, Requests, keep_dossier
from core.registry.rules import Act, Plan, plan_move, plan_rollback, plan_settlement
from core.registry.types import Model, Stage, Version
from core.registry.watch import RegistryWatch
from core.registry.writing import MlflowRegistry

__all__ = ["DeskRules", "RegistryDesk", "Trials"]


class RegistryDesk:
    """The use cases of one registry. Safe for many threads and many processes.

    Methods that write raise `RefusedError` where a rule, a gate or the actor's role is in the way, `NotFoundError`
    where there is no such model, version, run or request, and `SourceError` or `DatabaseError` where MLflow or
    Greenroom's database does not answer.
    """

    def __init__(
        self,
        watch: RegistryWatch,
        promoter: Promoter,
        trail: AuditTrail,
        requests: Requests,
        load_tests: LoadTests,
        registry: Callable[[], MlflowRegistry],
        readers: Readers,
        rules: DeskRules,
        engine: Callable[[], Engine],
        now: clock.Clock = clock.now,
    ) -> None:
        self.watch = watch
        self.trail = trail
        self.rules = rules
        self._promoter = promoter
        self._requests = requests
        self._load_tests = load_tests
        self._registry = registry
        self._readers = readers
        self._engine = engine
        self._now = now
        self._judge = Judge(watch, readers, load_tests, rules, engine, now)
        self._decisions = Decisions(watch, self._judge, trail, requests, rules, engine, now)
        # What judges and decides is asked of the desk, too.
        self.gates, self.load_test = self._judge.gates, self._judge.load_test
        self.frozen = self._judge.frozen
        self.requests, self.request = self._decisions.requests, self._decisions.request
        self.ask, self.evidence = self._decisions.ask, self._decisions.evidence
        self.approve, self.reject = self._decisions.approve, self._decisions.reject
        self.withdraw = self._decisions.withdraw

    # Looking

    def look(self) -> tuple[Outcome, ...]:
        """Notice what was changed outside, finish or give up what a crash left, let stale requests lapse.

        Raises
        ------
        SourceError, DatabaseError
        """
        outcomes = self.watch.notice()
        self._decisions.let_stale_lapse()
        return outcomes

    def model(self, name: str) -> ModelCard:
        """Return a model with everything that is recorded of it.

        Raises
        ------
        NotFoundError, SourceError, DatabaseError
        """
        model = self.watch.model(name)
        return board.model_card(
            model,
            self.watch.seen().get(name, {}),
            self.watch.events(name),
            self._load_tests.latest(name),
            self._requests.find(name, OPEN),
        )

    def in_production_at(self, name: str, at: datetime) -> InProduction:
        """Say what was in Production at a time, of a model that is gone, too.

        Raises
        ------
        NotFoundError
            If there neither is nor was such a model.
        """
        events = self.watch.events(name)
        if not events:
            self.watch.model(name)
        return history.in_production_at(events, at)

    def plan(self, name: str, version: int, to_stage: Stage) -> Plan:
        """Return what a promotion would do.

        Raises
        ------
        RefusedError
            If the rules of stages do not allow it.
        """
        return plan_move(self.watch.model(name), version, to_stage)

    # Registering

    def register(
        self, run_id: str, name: str, artifact_path: str, by: Actor, tags: Mapping[str, str] | None = None
    ) -> Version:
        """Make a new version from a model that a run has logged.

        Parameters
        ----------
        artifact_path : str
            The model's folder among the artifacts of the run, such as ``model``.
        tags : mapping, optional
            Of the version, set with it.
        """
        by.require(Permission.REGISTER)
        if not name.strip() or any(one in name for one in "/:"):
            raise BadInputError(f"A model cannot be registered as {name!r}: give a name without / and :.")
        self.watch.refuse_old_schema()
        run = self._readers.run(run_id)
        source = self._readers.source(run, artifact_path)
        with self._promoter.locked(name):
            self._promoter.recover(name)
            made = self._registry().register(name, source.uri, run.run_id, tags or {}, source.model_id)
            self._record_new(made, run.run_id, by)
        self.watch.reread(name)
        return made

    def _record_new(self, made: Version, run_id: str, by: Actor) -> None:
        news = News("registered", made.model, made.version, None, str(made.stage), details={"run_id": run_id})
        with transaction(self._engine(), "the new version is not recorded") as connection:
            self.trail.append(connection, by, news)
        self.watch.record(made.model)

    # Promoting and rolling back

    def promote(
        self,
        name: str,
        version: int,
        to_stage: Stage,
        reason: str,
        by: Actor,
        *,
        override: str | None = None,
    ) -> Outcome:
        """Move a version to a stage.

        Production takes an approved request, or a lead who promotes at once, which judges the gates and counts as
        approval; with the two-person rule on it takes the request.
        """
        by.require(_permission(to_stage))
        reason = needed(reason, "A promotion needs a reason.")
        self.watch.refuse_old_schema()
        model = self.watch.fresh(name)
        plan = plan_move(model, version, to_stage)
        if not plan.moves:
            return Outcome(Order(plan, by, reason), Fate.NOTHING_TO_DO, _there_already(plan))
        request = self._decisions.approved(name, version, to_stage)
        if request is not None:
            self._decisions.refuse_lapsed(request, model)
            evidence = self._judge.frozen(request.dossier_hash)
            override = request.override
        else:
            if self.rules.two_person_rule and to_stage is Stage.PRODUCTION:
                raise RefusedError(
                    f"{name} v{version} has no approved request for Production, and the two-person rule is on. "
                    "Ask for it; somebody else approves."
                )
            evidence = self._judge.gather(model, model.version(version), to_stage, Trials.TRUSTED)
            check_gates(evidence, override, by)
            if evidence.passed:
                override = None
        failed = evidence.failed_names if override else ()
        with transaction(self._engine(), "nothing was promoted") as connection:
            kept = keep_dossier(connection, evidence.text, self._now())
        order = Order(plan, by, reason, request.id if request else None, kept, override, failed)
        return self._carry_out(order, lambda current: plan_move(current, version, to_stage))

    def rollback(
        self,
        name: str,
        reason: str,
        by: Actor,
        *,
        from_version: int | None = None,
        to_version: int | None = None,
    ) -> Outcome:
        """Bring back the version that was in Production before, or a named one. No gate stands in the way.

        Parameters
        ----------
        from_version : int, optional
            The version that the person sees in Production: once it is gone from there, nothing more is done.
        """
        by.require(Permission.ROLL_BACK)
        reason = needed(reason, "A rollback needs a reason.")
        self.watch.refuse_old_schema()
        with self._promoter.locked(name):
            self._promoter.recover(name)
            self.watch.record(name)
            model = self._registry().model(name)
            events = self.watch.events(name)
            if from_version is not None and from_version not in {
                one.version for one in model.in_stage(Stage.PRODUCTION)
            }:
                return self._gone_before(model, from_version, reason, by)
            if to_version is None:
                target = history.rollback_target(model, events)
                if target is None:
                    raise RefusedError(
                        f"No other version of {name} was in Production before, so there is nothing to go back to."
                    )
                plan = plan_rollback(model, target.version, target.why)
            elif history.was_in_production(model, events, to_version):
                plan = plan_rollback(model, to_version, f"{by.name} named it")
            else:
                raise RefusedError(
                    f"{name} v{to_version} was never in Production, so it is nothing to roll back to. Promote it."
                )
            outcome = self._promoter.apply(Order(plan, by, reason), model)
        self.watch.reread(name)
        return outcome

    def _gone_before(self, model: Model, from_version: int, reason: str, by: Actor) -> Outcome:
        champion = model.champion
        now = f"v{champion.version} is" if champion else "nothing is"
        plan = Plan(
            model.name,
            Act.ROLL_BACK,
            champion.version if champion else from_version,
            Stage.PRODUCTION,
            (),
            (),
            "",
        )
        sentence = f"{model.name} v{from_version} is not in Production any more: {now}. Nothing was changed."
        return Outcome(Order(plan, by, reason), Fate.NOTHING_TO_DO, sentence)

    def settle(self, name: str, keep: int, reason: str, by: Actor) -> Outcome:
        """End a conflict: of the versions in Production keep one and archive the others."""
        by.require(Permission.PROMOTE)
        reason = needed(reason, "Say why this version is the one to keep.")
        self.watch.refuse_old_schema()
        plan = plan_settlement(self.watch.fresh(name), keep)
        return self._carry_out(Order(plan, by, reason), lambda current: plan_settlement(current, keep))

    def _carry_out(self, order: Order, again: Callable[[Model], Plan]) -> Outcome:
        name = order.plan.model
        with self._promoter.locked(name):
            self._promoter.recover(name)
            self.watch.record(name)
            if order.request is not None:
                self._decisions.refuse_unapproved(order.request)
            # What the lock was waited for may have changed what the plan was made on.
            model = self._registry().model(name)
            plan = again(model)
            if plan != order.plan:
                raise RefusedError(
                    f'{name} has changed meanwhile: what was to be done was "{order.plan.sentence()}", and now it '
                    f'would be "{plan.sentence()}". Look at it again and decide anew.'
                )
            outcome = self._promoter.apply(order, model)
        self.watch.reread(name)
        return outcome

    def close(self) -> None:
        """Give back connections."""
        self.watch.close()

    # History

    def events(self, name: str) -> tuple[AuditEvent, ...]:
        """Return the events of a model, oldest first."""
        return self.watch.events(name)


def _permission(to_stage: Stage) -> Permission:
    if to_stage is Stage.PRODUCTION:
        return Permission.PROMOTE
    return Permission.ARCHIVE if to_stage is Stage.ARCHIVED else Permission.STAGE


def _there_already(plan: Plan) -> str:
    return f"{plan.model} v{plan.version} is in {plan.to_stage} already; nothing was changed."
