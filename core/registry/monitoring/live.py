"""Look at the live figures of what is in Production; warn, ask or roll back where they break a threshold.

A finding is written down as open before anything is done about it, and closed in the transaction that records the
event. Whoever comes next after a crash takes up what is open; what was done already is recognised by the run that the
rollback or the request names, so that nothing is done twice.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy.engine import Engine

from core import clock
from core.access import Actor, Role
from core.audit import AuditEvent, News
from core.database import transaction
from core.errors import ArtifactError, BadInputError, NotFoundError, RefusedError
from core.registry.desk import RegistryDesk
from core.registry.monitoring.configuration import Policy, WatchBook, WatchRules
from core.registry.monitoring.findings import OPEN, Finding, Findings
from core.registry.monitoring.judging import Verdict, judge_live
from core.registry.promotion import Fate
from core.registry.requests import Request
from core.registry.retention.marks import is_gone
from core.registry.types import Model, Stage
from core.runs.types import Run, RunStatus

log = logging.getLogger(__name__)

LIVE_TAG: Final = "greenroom.live_of"
"""Tag of a run with the live figures of a version; its value is ``NAME/VERSION``."""

WATCH: Final = Actor("greenroom watch", Role.LEAD)
"""Who acts where the policy of a model says so."""

DEGRADED: Final = "degraded"
_NAMED: Final = re.compile(r"(?P<model>[^/]+)/[vV]?(?P<version>[1-9]\d{0,8})")


class LiveWatch:
    """The watch of one registry. Safe for many processes.

    Parameters
    ----------
    runs : callable
        Returns the runs that have the tag `LIVE_TAG` and are not deleted, oldest first.
    measures : callable
        From a run to the measures of its backtest by name; None where it logged no backtest.
    """

    def __init__(
        self,
        desk: RegistryDesk,
        runs: Callable[[], Sequence[Run]],
        measures: Callable[[Run], Mapping[str, Any] | None],
        findings: Findings,
        book: WatchBook,
        engine: Callable[[], Engine],
        now: clock.Clock = clock.now,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.findings = findings
        self.book = book
        self._desk = desk
        self._runs = runs
        self._measures = measures
        self._engine = engine
        self._now = now
        self._step = on_step
        self._told: set[str] = set()

    def look(self, now: datetime | None = None) -> tuple[Finding, ...]:
        """Act upon what was left open, judge runs that are new, and act upon those, too.

        Parameters
        ----------
        now : datetime, optional
            When it is, UTC; by the clock where it is not given.

        Returns
        -------
        tuple of Finding
            What was recorded or closed by this look.

        Raises
        ------
        SourceError, DatabaseError
            If MLflow or Greenroom's database does not answer; what is open then is taken up by the next look.
        """
        at = now or self._now()
        if not self.book.own:
            return ()
        found = [self._act(one, at) for one in self.findings.find(state=OPEN)]
        known = self.findings.known()
        for run in self._runs():
            named = self._named(run)
            if named is None or run.status != RunStatus.FINISHED or (run.run_id, *named) in known:
                continue
            rules = self.book.of(named[0])
            finding = self._judge(run, *named, rules, at) if rules is not None else None
            if finding is not None:
                found.append(self._act(finding, at) if finding.state == OPEN else finding)
        return tuple(found)

    def _named(self, run: Run) -> tuple[str, int] | None:
        text = run.tags.get(LIVE_TAG, "").strip()
        named = _NAMED.fullmatch(text)
        if named is None:
            if run.run_id not in self._told:
                self._told.add(run.run_id)
                log.warning("The tag %s of the run %s names no version such as name/7.", LIVE_TAG, run.run_id)
            return None
        return named["model"], int(named["version"])

    def _judge(self, run: Run, name: str, version: int, rules: WatchRules, at: datetime) -> Finding | None:
        judgement = judge_live(rules, run.metrics, self._measured(run))
        nothing = self._why_not(name, version)
        if not nothing and judgement.verdict is not Verdict.BROKEN:
            nothing = judgement.sentence if judgement.verdict is Verdict.NOT_JUDGED else "thresholds are kept"
        self._step("before the finding")
        made = self.findings.record(
            name, version, (run.run_id, run.name), judgement, rules.policy, at, nothing
        )
        self._step("after the finding")
        return made

    def _measured(self, run: Run) -> Mapping[str, Any] | None:
        try:
            return self._measures(run)
        except (ArtifactError, BadInputError) as error:
            log.warning(
                "The backtest of the run %s cannot be read, so its metrics count: %s", run.run_id, error
            )
            return None

    def _why_not(self, name: str, version: int) -> str:
        """Say why nothing is to be done about a version; nothing where it is in Production."""
        try:
            one = self._desk.watch.fresh(name).version(version)
        except NotFoundError:
            return "there is no such version"
        return "" if one.stage is Stage.PRODUCTION else f"it is in {one.stage}, not in Production"

    # Acting

    def _act(self, finding: Finding, at: datetime) -> Finding:
        done = self._done_already(finding)
        why_not = "" if done else self._why_not(finding.model, finding.version)
        if done:
            act = done
        elif why_not:
            act = f"nothing: {why_not} any more"
        elif finding.policy is Policy.ROLLBACK:
            act = self._roll_back(finding)
        elif finding.policy is Policy.REQUEST:
            act = self._ask(finding)
        else:
            act = "warned"
        self._step("after the act")
        details = {
            "finding": finding.id,
            "run_id": finding.run_id,
            "run": finding.findings["run"],
            "policy": str(finding.policy),
            "thresholds": finding.findings["thresholds"],
            "act": act,
        }
        with transaction(
            self._engine(), "what was done about live figures is not recorded yet"
        ) as connection:
            if self.findings.close(connection, finding, act, at) and not why_not:
                news = News(
                    DEGRADED, finding.model, finding.version, reason=finding.sentence, details=details
                )
                self._desk.trail.append(connection, WATCH, news)
            self._step("before the record is committed")
        self._step("after the record")
        return self.findings.get(finding.id)

    def _done_already(self, finding: Finding) -> str:
        """Say what an earlier look did about a finding before it died; nothing where it did nothing."""
        if finding.policy is Policy.ROLLBACK:
            for event in self._rollbacks(finding):
                if finding.run_id in event.reason:
                    return f"rolled back to v{event.version} (event {event.seq})"
        if finding.policy is Policy.REQUEST:
            asked = self._asked(finding)
            if asked is not None:
                return f"asked for {asked.sentence()} (request {asked.id})"
        return ""

    def _rollbacks(self, finding: Finding) -> list[AuditEvent]:
        """Return the watch's own rollbacks from a version."""
        return [
            event
            for event in self._desk.events(finding.model)
            if event.action == "rolled back"
            and event.actor == WATCH.name
            and any(version == finding.version for version, *_ in event.details.get("moves", []))
            and event.version != finding.version
        ]

    def _roll_back(self, finding: Finding) -> str:
        earlier = self._rollbacks(finding)
        if earlier:
            return (
                f"warned only: v{finding.version} was rolled back by itself before (event {earlier[-1].seq}), and "
                "somebody has put it back"
            )
        try:
            outcome = self._desk.rollback(
                finding.model, _reason(finding), WATCH, from_version=finding.version
            )
        except (RefusedError, NotFoundError) as error:
            return f"not rolled back: {error}"
        if outcome.fate is Fate.NOTHING_TO_DO:
            return f"nothing: {outcome.sentence}"
        event = f" (event {outcome.event.seq})" if outcome.event is not None else ""
        return f"rolled back to v{outcome.order.plan.version}{event}"

    def _ask(self, finding: Finding) -> str:
        model = self._desk.watch.fresh(finding.model)
        for version in _waiting(model):
            if not self._desk.gates(model.name, version, Stage.PRODUCTION).passed:
                continue
            try:
                asked = self._desk.ask(model.name, version, Stage.PRODUCTION, _reason(finding), WATCH)
            except RefusedError as error:
                return f"not asked: {error}"
            return f"asked for {asked.sentence()} (request {asked.id})"
        return "warned only: no version in Staging passes its gates"

    def _asked(self, finding: Finding) -> Request | None:
        found = self._desk.requests(finding.model)
        return next(
            (one for one in found if one.asked_by == WATCH.name and finding.run_id in one.reason), None
        )


def _waiting(model: Model) -> list[int]:
    return [one.version for one in reversed(model.in_stage(Stage.STAGING)) if not is_gone(one)]


def _reason(finding: Finding) -> str:
    run = finding.findings["run"]
    name = f"{run}, {finding.run_id}" if run else finding.run_id
    return f"Live figures of v{finding.version} (run {name}): {finding.sentence}"
