"""Ask for a promotion, and decide on it: requests, approvals, rejections, and why a request lapses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Engine

from core import clock
from core.access import Actor, Permission
from core.audit import AuditTrail, News
from core.database import transaction
from core.errors import GreenroomError, NotFoundError, RefusedError
from core.registry.dossier import Dossier
from core.registry.judge import DeskRules, Judge, Trials, check_gates, needed
from core.registry.requests import (
    OPEN,
    Request,
    Requests,
    RequestState,
    fingerprint,
    keep_dossier,
)
from core.registry.rules import plan_move
from core.registry.types import Model, Stage
from core.registry.watch import GREENROOM, RegistryWatch


class Decisions:
    """The requests of one registry and what is decided on them."""

    def __init__(
        self,
        watch: RegistryWatch,
        judge: Judge,
        trail: AuditTrail,
        requests: Requests,
        rules: DeskRules,
        engine: Callable[[], Engine],
        now: clock.Clock,
    ) -> None:
        self._watch = watch
        self._judge = judge
        self._trail = trail
        self._requests = requests
        self._rules = rules
        self._engine = engine
        self._now = now

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

    def ask(self, name: str, version: int, to_stage: Stage, reason: str, by: Actor) -> Request:
        """Ask for a promotion; the gates are judged, but need not pass yet."""
        by.require(Permission.REQUEST)
        reason = needed(reason, "A request needs a reason: what is better about this version?")
        self._watch.refuse_old_schema()
        model = self._watch.fresh(name)
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
        evidence = self._judge.gather(model, one, to_stage, Trials.TRUSTED)
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
            self._trail.append(connection, by, news)
        return self._requests.get(number)

    def evidence(self, number: int, trials: Trials = Trials.RECORDED) -> Dossier:
        """Return the evidence for a request: frozen where it was decided, else as it is now.

        Raises
        ------
        NotFoundError, SourceError, DatabaseError
        """
        request = self._requests.get(number)
        if request.state is not RequestState.WAITING:
            return self._judge.frozen(request.dossier_hash)
        model = self._watch.model(request.model)
        return self._judge.gather(model, model.version(request.version), request.to_stage, trials)

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
        model = self._watch.fresh(request.model)
        self.refuse_lapsed(request, model)
        evidence = self._judge.gather(model, model.version(request.version), request.to_stage, Trials.TRUSTED)
        if seen is not None and seen != evidence.verdict_key:
            raise RefusedError(
                f"The evidence for request {number} has changed since you opened it. Look at it again, then decide."
            )
        check_gates(evidence, override, by)
        return self._decide(request, RequestState.APPROVED, evidence, comment, by, override)

    def reject(self, number: int, comment: str, by: Actor) -> Request:
        """Reject a request, with a comment that says why."""
        by.require(Permission.DECIDE)
        comment = needed(comment, "A rejection needs a comment: what would have to be better?")
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

    def approved(self, name: str, version: int, to_stage: Stage) -> Request | None:
        """Return the approved request for a version on its way to a stage, if there is one."""
        found = self._requests.find(name, (RequestState.APPROVED,), version)
        return next((one for one in found if one.to_stage is to_stage), None)

    def refuse_unapproved(self, number: int) -> None:
        """Do nothing where a request is approved.

        Raises
        ------
        RefusedError
            Where it is not any more.
        """
        request = self._requests.get(number)
        if request.state is not RequestState.APPROVED:
            raise RefusedError(f"Request {number} ({request.sentence()}) is {request.state} meanwhile.")

    def _decidable(self, number: int, by: Actor) -> Request:
        request = self._requests.get(number)
        if request.state is not RequestState.WAITING:
            who = f" by {request.decided_by}" if request.decided_by else ""
            raise RefusedError(f"Request {number} ({request.sentence()}) is {request.state}{who} already.")
        if self._rules.two_person_rule and by.name == request.asked_by:
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
            self._trail.append(connection, by, news)
        return self._requests.get(request.id)

    # Lapsing

    def let_stale_lapse(self) -> None:
        """End the open requests that no longer hold.

        Raises
        ------
        SourceError, DatabaseError
        """
        for request in self._requests.find(states=OPEN):
            why = self._why_lapsed(request, self._watch.models().get(request.model))
            if why:
                self._lapse(request, why)

    def _why_lapsed(self, request: Request, model: Model | None) -> str:
        """Say why a request no longer holds; nothing where it does."""
        if model is None:
            return "the model is gone"
        try:
            version = model.version(request.version)
        except NotFoundError:
            return "the version is gone"
        if fingerprint(version) != request.fingerprint:
            return f"the version has changed: it is in {version.stage}"
        if request.state is RequestState.APPROVED:
            return self._why_outdated(request, model)
        return ""

    def _why_outdated(self, request: Request, model: Model) -> str:
        """Say why an approval no longer holds: it compared with a champion that is none any more."""
        try:
            compared = self._judge.frozen(request.dossier_hash).content["champion"]
        except GreenroomError as error:
            return str(error)
        champion = model.champion
        was, now = compared and compared["version"], champion and champion.version
        if was == now:
            return ""
        before, after = f"v{was}" if was else "no champion", f"v{now}" if now else "nobody"
        return f"it was compared with {before}, and the champion is {after} now"

    def refuse_lapsed(self, request: Request, model: Model) -> None:
        """Do nothing where a request still holds for a model as it is now.

        Raises
        ------
        RefusedError
            Where it does not; it lapses then.
        """
        why = self._why_lapsed(request, model)
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
            self._trail.append(connection, by, news)
