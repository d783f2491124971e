"""The registry desk: register, judge, ask, decide, promote, roll back. Every write checks who acts."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import yaml
from sqlalchemy.engine import Engine

from core import clock
from core.access import Actor, Permission
from core.audit import AuditEvent, AuditTrail, News
from core.database import transaction
from core.errors import BadInputError, GreenroomError, NotFoundError, RefusedError
from core.registry import board, dossier, history
from core.registry.board import ModelCard
from core.registry.dossier import Dossier
from core.registry.facts import Readers, VersionFacts
from core.registry.gates.configuration import DEFAULT_BOOK, GateBook
from core.registry.gates.judging import judge
from core.registry.gates.rules import SmokeLimits
from core.registry.gates.types import GateReport
from core.registry.history import InProduction
from core.registry.load_tests import LoadTest, LoadTests
from core.registry.promotion import Fate, Order, Outcome, Promoter
from core.registry.requests import (
    OPEN,
    Request,
    Requests,
    RequestState,
    fingerprint,
    keep_dossier,
    read_dossier,
)
from core.registry.rules import Act, Plan, plan_move, plan_rollback, plan_settlement
from core.registry.sandbox.trial import try_model
from core.registry.sandbox.types import Limits
from core.registry.seen import Seen
from core.registry.types import Model, Stage, Version
from core.registry.watch import GREENROOM, RegistryWatch
from core.registry.writing import MlflowRegistry

TRUSTED_FOR: Final = timedelta(hours=24)
"""How long a load test counts when evidence is gathered for a decision."""

BARE_WEIGHTS: Final = "PyTorch state dict"
"""The kind of a load test of weights without their class; see `ModelManager.validate_model`."""

_MLMODEL_BYTES: Final = 2**20


class Trials(StrEnum):
    """Where the smoke test's answer comes from.

    RECORDED: the latest record, however old; no model is loaded. TRUSTED: a record of the last 24 hours, else a new
    trial. FRESH: a new trial.
    """

    RECORDED = "recorded"
    TRUSTED = "trusted"
    FRESH = "fresh"


@dataclass(frozen=True, slots=True)
class DeskRules:
    """What the settings say of the desk.

    Attributes
    ----------
    two_person_rule : bool
        Whoever asks for a promotion does not approve it, and Production is reached through a request alone.
    """

    two_person_rule: bool = False
    gates: GateBook = DEFAULT_BOOK


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

    # Looking

    def look(self) -> tuple[Outcome, ...]:
        """Notice what was changed outside, finish or give up what a crash left, let stale requests lapse.

        Raises
        ------
        SourceError, DatabaseError
        """
        outcomes = self.watch.notice()
        for request in self._requests.find(states=OPEN):
            why = self._why_lapsed(request)
            if why:
                self._lapse(request, why)
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

    def requests(
        self,
        model: str | None = None,
        states: tuple[RequestState, ...] | None = None,
        limit: int | None = None,
    ) -> tuple[Request, ...]:
        """Return requests, newest first."""
        return self._requests.find(model, states, limit=limit)

    def request(self, number: int) -> Request:
        """Return a request.

        Raises
        ------
        NotFoundError
        """
        return self._requests.get(number)

    def in_production_at(self, name: str, at: datetime) -> InProduction:
        """Say what was in Production at a time."""
        self.watch.model(name)
        return history.in_production_at(self.watch.events(name), at)

    def plan(self, name: str, version: int, to_stage: Stage) -> Plan:
        """Return what a promotion would do.

        Raises
        ------
        RefusedError
            If the rules of stages do not allow it.
        """
        return plan_move(self.watch.model(name), version, to_stage)

    # Judging

    def gates(self, name: str, version: int, to_stage: Stage, trials: Trials = Trials.TRUSTED) -> GateReport:
        """Judge a version on its way to a stage.

        Raises
        ------
        NotFoundError, SourceError, DatabaseError
        """
        return self._judge(self.watch.model(name), version, to_stage, trials)

    def _judge(self, model: Model, number: int, to_stage: Stage, trials: Trials) -> GateReport:
        version = model.version(number)
        champion = model.champion
        facts = VersionFacts(
            version,
            champion if champion is not None and champion.version != number else None,
            self._seen(version),
            self._readers,
            lambda limits: self._trial(version, limits, trials),
        )
        at = self._now()
        results = judge(self.rules.gates.of(model.name), str(to_stage), facts, at)
        return GateReport(model.name, number, str(to_stage), at, results)

    def load_test(self, name: str, version: int) -> LoadTest:
        """Load a version in a process of its own, ask it to predict, and record what came of it.

        Raises
        ------
        NotFoundError, ArtifactError
            If its files cannot be had.
        """
        limits = self.rules.gates.of(name).trial_limits
        return self._trial(self.watch.model(name).version(version), limits, Trials.FRESH)

    def _trial(self, version: Version, limits: SmokeLimits, trials: Trials) -> LoadTest:
        recorded = self._load_tests.latest(version.model).get(version.version)
        if recorded is not None and trials is Trials.RECORDED:
            return recorded
        if trials is Trials.RECORDED:
            raise GreenroomError("The model has not been loaded yet; judge the gates to do it")
        if recorded is not None and trials is Trials.TRUSTED and self._now() - recorded.at < TRUSTED_FOR:
            return recorded
        if recorded is not None and recorded.passed and recorded.evidence.get("kind") == BARE_WEIGHTS:
            # Their class is known to who validated them, and to nobody here.
            return recorded
        with tempfile.TemporaryDirectory(prefix="greenroom-model-") as folder:
            files = self._readers.fetch(version, Path(folder))
            asked = Limits(limits.seconds, limits.memory_mb, limits.file_mb, limits.processes)
            trial = try_model(files, asked)
            return self._load_tests.record(
                version.model, version.version, trial, self._now(), _has_signature(files)
            )

    def _seen(self, version: Version) -> Seen | None:
        return self.watch.seen().get(version.model, {}).get(version.version)

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
        self._refuse_old_schema()
        run = self._readers.run(run_id)
        source = self._readers.source(run, artifact_path)
        with self._promoter.locked(name):
            self._recovered(name)
            made = self._registry().register(name, source.uri, run.run_id, tags or {}, source.model_id)
            self._record_new(made, run.run_id, by)
        self.watch.reread(name)
        return made

    def _record_new(self, made: Version, run_id: str, by: Actor) -> None:
        news = News("registered", made.model, made.version, None, str(made.stage), details={"run_id": run_id})
        with transaction(self._engine(), "the new version is not recorded") as connection:
            self.trail.append(connection, by, news)
        self.watch.record(made.model)

    # Asking and deciding

    def ask(self, name: str, version: int, to_stage: Stage, reason: str, by: Actor) -> Request:
        """Ask for a promotion; the gates are judged, but need not pass yet."""
        by.require(Permission.REQUEST)
        reason = _needed(reason, "A request needs a reason: what is better about this version?")
        self._refuse_old_schema()
        model = self._fresh(name)
        plan = plan_move(model, version, to_stage)
        if not plan.moves:
            raise RefusedError(f"{name} v{version} is in {to_stage} already.")
        one = model.version(version)
        for request in self._requests.find(name, OPEN, version):
            if request.to_stage is to_stage:
                raise RefusedError(
                    f"{request.asked_by} has asked for {request.sentence()} already (request {request.id}, "
                    f"{request.state})."
                )
        evidence = self._gather(model, one, to_stage, Trials.TRUSTED)
        with transaction(self._engine(), "the request is not written down") as connection:
            kept = keep_dossier(connection, evidence.text, self._now())
            number = self._requests.open(
                connection,
                {
                    "model": name,
                    "version": version,
                    "to_stage": str(to_stage),
                    "reason": reason,
                    "asked_by": by.name,
                    "asked_at": clock.text(self._now()),
                    "fingerprint": fingerprint(one),
                    "dossier_hash": kept,
                },
            )
            news = News(
                "requested", name, version, str(one.stage), str(to_stage), reason, kept, {"request": number}
            )
            self.trail.append(connection, by, news)
        return self._requests.get(number)

    def evidence(self, number: int, trials: Trials = Trials.RECORDED) -> Dossier:
        """Return the evidence for a request: frozen where it was decided, else as it is now.

        Raises
        ------
        NotFoundError, SourceError, DatabaseError
        """
        request = self._requests.get(number)
        if request.state is not RequestState.WAITING:
            return self.frozen(request.dossier_hash)
        model = self.watch.model(request.model)
        return self._gather(model, model.version(request.version), request.to_stage, trials)

    def frozen(self, name: str | None) -> Dossier:
        """Return a dossier by its hash, after checking it.

        Raises
        ------
        NotFoundError, RefusedError
        """
        if name is None:
            raise NotFoundError("No evidence was kept for this.")
        return Dossier(json.loads(read_dossier(self._engine(), name)), name)

    def _gather(self, model: Model, version: Version, to_stage: Stage, trials: Trials) -> Dossier:
        report = self._judge(model, version.version, to_stage, trials)
        return dossier.build(model, version, self._seen(version), report, self._readers, self._now())

    def approve(
        self, number: int, comment: str, by: Actor, *, override: str | None = None, seen: str | None = None
    ) -> Request:
        """Approve a request; the evidence is judged again, frozen and kept.

        Parameters
        ----------
        override : str, optional
            Why the request is approved although gates do not pass.
        seen : str, optional
            `Dossier.verdict_key` of the evidence that the person saw; refused where it has changed since.
        """
        by.require(Permission.DECIDE)
        request = self._decidable(number, by)
        model = self._fresh(request.model)
        self._refuse_lapsed(request)
        evidence = self._gather(model, model.version(request.version), request.to_stage, Trials.TRUSTED)
        if seen is not None and seen != evidence.verdict_key:
            raise RefusedError(
                f"The evidence for request {number} has changed since you opened it. Look at it again, then decide."
            )
        self._check_gates(evidence, override, by)
        return self._decide(request, RequestState.APPROVED, evidence, comment, by, override)

    def reject(self, number: int, comment: str, by: Actor) -> Request:
        """Reject a request, with a comment that says why."""
        by.require(Permission.DECIDE)
        comment = _needed(comment, "A rejection needs a comment: what would have to be better?")
        request = self._decidable(number, by)
        evidence = self.evidence(number)
        return self._decide(request, RequestState.REJECTED, evidence, comment, by, None)

    def withdraw(self, number: int, by: Actor) -> Request:
        """Take a request back: who asked may, and who may decide."""
        request = self._requests.get(number)
        if by.name != request.asked_by:
            by.require(Permission.DECIDE)
        by.require(Permission.REQUEST)
        if not request.is_open:
            raise RefusedError(f"Request {number} ({request.sentence()}) is {request.state} already.")
        self._end(request, RequestState.WITHDRAWN, by, "")
        return self._requests.get(number)

    def _decidable(self, number: int, by: Actor) -> Request:
        request = self._requests.get(number)
        if request.state is not RequestState.WAITING:
            who = f" by {request.decided_by}" if request.decided_by else ""
            raise RefusedError(f"Request {number} ({request.sentence()}) is {request.state}{who} already.")
        if self.rules.two_person_rule and by.name == request.asked_by:
            raise RefusedError(
                f"{by.name} asked for {request.sentence()} and cannot decide on it, too: the two-person rule is on."
            )
        return request

    def _decide(
        self,
        request: Request,
        state: RequestState,
        evidence: Dossier,
        comment: str,
        by: Actor,
        override: str | None,
    ) -> Request:
        at = self._now()
        decision = {
            "request": request.id,
            "asked_by": request.asked_by,
            "asked_at": clock.text(request.asked_at),
            "reason": request.reason,
            "decision": str(state),
            "by": by.name,
            "role": str(by.role),
            "at": clock.text(at),
            "comment": comment,
            "override": override,
        }
        final = replace(evidence, content={**evidence.content, "decision": decision})
        details: dict[str, Any] = {"request": request.id}
        if override:
            details |= {"override": override, "overridden": list(evidence.failed_names)}
        with transaction(self._engine(), "the decision is not recorded") as connection:
            kept = keep_dossier(connection, final.text, at)
            self._requests.change(
                connection,
                request,
                state,
                dossier_hash=kept,
                decided_by=by.name,
                decided_at=clock.text(at),
                comment=comment,
                override=override,
            )
            news = News(
                str(state),
                request.model,
                request.version,
                None,
                str(request.to_stage),
                comment,
                kept,
                details,
            )
            self.trail.append(connection, by, news)
        return self._requests.get(request.id)

    def _check_gates(self, evidence: Dossier, override: str | None, by: Actor) -> None:
        """Refuse where gates did not pass and nobody who may has overridden them."""
        if evidence.passed:
            return
        if override is None:
            what = f"{evidence.content['model']} v{evidence.content['version']}"
            names = ", ".join(evidence.failed_names)
            raise RefusedError(
                f"{what} does not pass these gates: {names}. A lead may override them with a reason.",
                evidence.failed,
            )
        by.require(Permission.OVERRIDE)
        _needed(override, "An override needs a reason.")

    # Lapsing

    def _why_lapsed(self, request: Request) -> str:
        """Say why a request no longer holds; nothing where it does."""
        try:
            version = self.watch.model(request.model).version(request.version)
        except NotFoundError:
            return "the version is gone"
        if fingerprint(version) != request.fingerprint:
            return f"the version has changed: it is in {version.stage}"
        if request.state is RequestState.APPROVED:
            return self._why_outdated(request)
        return ""

    def _why_outdated(self, request: Request) -> str:
        """Say why an approval no longer holds: it compared with a champion that is none any more."""
        try:
            compared = self.frozen(request.dossier_hash).content["champion"]
        except GreenroomError as error:
            return str(error)
        champion = self.watch.model(request.model).champion
        was, now = compared and compared["version"], champion and champion.version
        if was == now:
            return ""
        before, after = f"v{was}" if was else "no champion", f"v{now}" if now else "nobody"
        return f"it was compared with {before}, and the champion is {after} now"

    def _refuse_lapsed(self, request: Request) -> None:
        why = self._why_lapsed(request)
        if why:
            self._lapse(request, why)
            raise RefusedError(f"Request {request.id} ({request.sentence()}) has lapsed: {why}. Ask again.")

    def _lapse(self, request: Request, why: str) -> None:
        try:
            self._end(request, RequestState.LAPSED, GREENROOM, why)
        except RefusedError:
            return  # Somebody else ended it first.

    def _end(self, request: Request, state: RequestState, by: Actor, why: str) -> None:
        news = News(
            str(state),
            request.model,
            request.version,
            None,
            str(request.to_stage),
            why,
            details={"request": request.id},
        )
        with transaction(self._engine(), "the request is as it was") as connection:
            self._requests.change(connection, request, state)
            self.trail.append(connection, by, news)

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
        reason = _needed(reason, "A promotion needs a reason.")
        self._refuse_old_schema()
        model = self._fresh(name)
        plan = plan_move(model, version, to_stage)
        if not plan.moves:
            return Outcome(Order(plan, by, reason), Fate.NOTHING_TO_DO, _there_already(plan))
        request = self._approved(name, version, to_stage)
        if request is not None:
            self._refuse_lapsed(request)
            evidence = self.frozen(request.dossier_hash)
            override = request.override
        else:
            if self.rules.two_person_rule and to_stage is Stage.PRODUCTION:
                raise RefusedError(
                    f"{name} v{version} has no approved request for Production, and the two-person rule is on. "
                    "Ask for it; somebody else approves."
                )
            evidence = self._gather(model, model.version(version), to_stage, Trials.TRUSTED)
            self._check_gates(evidence, override, by)
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
        reason = _needed(reason, "A rollback needs a reason.")
        self._refuse_old_schema()
        with self._promoter.locked(name):
            self._recovered(name)
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
            else:
                plan = plan_rollback(model, to_version, f"{by.name} named it")
            outcome = self._promoter.apply(Order(plan, by, reason))
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
        reason = _needed(reason, "Say why this version is the one to keep.")
        self._refuse_old_schema()
        plan = plan_settlement(self._fresh(name), keep)
        return self._carry_out(Order(plan, by, reason), lambda current: plan_settlement(current, keep))

    def _carry_out(self, order: Order, again: Callable[[Model], Plan]) -> Outcome:
        name = order.plan.model
        with self._promoter.locked(name):
            self._recovered(name)
            self.watch.record(name)
            # What the lock was waited for may have changed what the plan was made on.
            plan = again(self._registry().model(name))
            if plan != order.plan:
                raise RefusedError(
                    f'{name} has changed meanwhile: what was to be done was "{order.plan.sentence()}", and now it '
                    f'would be "{plan.sentence()}". Look at it again and decide anew.'
                )
            outcome = self._promoter.apply(order)
        self.watch.reread(name)
        return outcome

    def _approved(self, name: str, version: int, to_stage: Stage) -> Request | None:
        found = self._requests.find(name, (RequestState.APPROVED,), version)
        return next((one for one in found if one.to_stage is to_stage), None)

    def _recovered(self, name: str) -> Outcome | None:
        return self._promoter.recover(name)

    def _fresh(self, name: str) -> Model:
        self.watch.reread(name)
        return self.watch.model(name)

    def _refuse_old_schema(self) -> None:
        problem = self.watch.source().schema_problem()
        if problem is not None:
            raise RefusedError(problem)

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


def _needed(text: str, sentence: str) -> str:
    if not text.strip():
        raise BadInputError(sentence)
    return text.strip()


def _has_signature(folder: Path) -> bool | None:
    """Say whether a model's MLmodel file has a signature; None where there is no such file that can be read."""
    try:
        content = (folder / "MLmodel").read_bytes()[:_MLMODEL_BYTES]
        described = yaml.safe_load(content)
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return None
    return bool(described.get("signature")) if isinstance(described, dict) else None
