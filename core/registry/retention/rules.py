"""The rules of retention. Pure: from what is known of versions and runs to why each of them stays, or goes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.registry.retention.configuration import ModelRule, RunRule
from core.registry.retention.marks import BASELINE_TAG, LEGAL_HOLD_TAG, is_marked
from core.registry.types import Model, Stage, Version
from core.runs.types import Run, RunStatus


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What decides which versions of a model go.

    Attributes
    ----------
    model : Model
        Without the versions that are gone already.
    since : mapping of int to datetime
        Since when a version is in the stage in which it is now, at the latest; without those of which that is not
        known.
    target : int or None
        The version that a rollback would bring back.
    asked : mapping of int to int
        Version to a request about it that is open.
    runs : mapping of str to Run
        Those of the versions' runs that the tracking store has.
    """

    model: Model
    since: Mapping[int, datetime]
    target: int | None = None
    asked: Mapping[int, int] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VersionVerdict:
    """Why a version stays; where nothing keeps it, `reasons` is empty and `goes` says why it goes."""

    version: Version
    reasons: tuple[str, ...]
    goes: str = ""


@dataclass(frozen=True, slots=True)
class RunCase:
    """A run that matches a rule, with what may keep it.

    Attributes
    ----------
    place : int
        0 for the newest run that matches the rule, 1 for the next.
    registered : tuple of str
        Versions registered from it that are not gone, such as ``ppo_usdcop v7``.
    children : tuple of str
        Ids of its runs below it that are not deleted.
    """

    run: Run
    rule: RunRule
    place: int
    registered: tuple[str, ...] = ()
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """Why a run stays; where nothing keeps it, `reasons` is empty and `goes` says why it goes."""

    run: Run
    reasons: tuple[str, ...]
    goes: str = ""


def judge_versions(facts: ModelFacts, rule: ModelRule, at: datetime) -> tuple[VersionVerdict, ...]:
    """Say of each version of a model why it stays, or that it goes; lowest number first.

    Parameters
    ----------
    at : datetime
        The moment to which ages are counted, UTC.
    """
    latest = {one.version for one in facts.model.versions[-rule.min_versions :]}
    return tuple(_judge_version(one, facts, rule, at, one.version in latest) for one in facts.model.versions)


def _judge_version(
    one: Version, facts: ModelFacts, rule: ModelRule, at: datetime, latest: bool
) -> VersionVerdict:
    reasons, since = [], facts.since.get(one.version)
    if one.stage is Stage.PRODUCTION:
        reasons.append("it is the champion" if facts.model.champion == one else "it is in Production")
    elif one.stage is not Stage.ARCHIVED:
        reasons.append(f"it is in {one.stage}, not in Archived")
    elif since is None:
        reasons.append("since when it is in Archived is not known")
    elif at - since <= timedelta(days=rule.days):
        reasons.append(f"it is in Archived for {_days(at - since)}; it goes after {rule.days:g}")
    if latest:
        reasons.append(f"it is among the last {rule.min_versions} versions")
    if facts.target == one.version:
        reasons.append("a rollback would bring it back")
    run = facts.runs.get(one.run_id or "")
    run_tags = run.tags if run is not None else {}
    reasons += _marks({"version": one.tags, "run": run_tags}, BASELINE_TAG, "baseline")
    held = {"version": one.tags, "model": facts.model.tags, "run": run_tags}
    reasons += _marks(held, LEGAL_HOLD_TAG, "legal hold")
    if one.aliases:
        reasons.append(f"an alias points at it: {', '.join(one.aliases)}")
    if one.version in facts.asked:
        reasons.append(f"request {facts.asked[one.version]} about it is open")
    if reasons or since is None:
        return VersionVerdict(one, tuple(reasons))
    return VersionVerdict(one, (), f"in Archived for {_days(at - since)}; {rule.days:g} are kept")


def _marks(tags: Mapping[str, Mapping[str, str]], key: str, word: str) -> list[str]:
    return [f"{word}: the {what} has the tag {key}" for what, own in tags.items() if is_marked(own, key)]


def judge_runs(cases: Sequence[RunCase], at: datetime) -> tuple[RunVerdict, ...]:
    """Say of each run that a rule matches why it stays, or that it goes; in the order of the cases.

    A run that matches several rules goes where one of them lets it. A run stays with the runs below it that stay.
    """
    verdicts: dict[str, RunVerdict] = {}
    for case in cases:
        known = verdicts.get(case.run.run_id)
        if known is None or known.reasons:
            verdicts[case.run.run_id] = _judge_run(case, at)
    children = {case.run.run_id: case.children for case in cases}
    while True:
        going = {run_id for run_id, one in verdicts.items() if not one.reasons}
        held = {run_id: left for run_id in going if (left := [c for c in children[run_id] if c not in going])}
        if not held:
            return tuple(verdicts.values())
        for run_id, left in held.items():
            why = f"{len(left)} of the runs below it stay" if len(left) > 1 else "a run below it stays"
            verdicts[run_id] = RunVerdict(verdicts[run_id].run, (why,))


def _judge_run(case: RunCase, at: datetime) -> RunVerdict:
    run, rule = case.run, case.rule
    reasons = kept_for_good(run, case.registered)
    ended = run.end_time or run.start_time
    if run.status in (RunStatus.RUNNING, RunStatus.SCHEDULED):
        reasons.append(f"it is {run.status}")
    elif ended is None:
        reasons.append("when it ended is not known")
    elif at - ended <= timedelta(days=rule.older_than_days):
        reasons.append(f"it ended {_days(at - ended)} ago; it goes after {rule.older_than_days:g}")
    if case.place < rule.keep:
        reasons.append(f"it is among the newest {rule.keep} that the rule matches")
    if reasons or ended is None:
        return RunVerdict(run, tuple(reasons))
    return RunVerdict(run, (), f"ended {_days(at - ended)} ago; {rule.older_than_days:g} are kept")


def kept_for_good(run: Run, registered: Sequence[str]) -> list[str]:
    """Say what keeps a run however old it is: its versions and its tags."""
    reasons = [f"{' and '.join(registered)} came from it"] if registered else []
    reasons += _marks({"run": run.tags}, BASELINE_TAG, "baseline")
    return reasons + _marks({"run": run.tags}, LEGAL_HOLD_TAG, "legal hold")


def _days(age: timedelta) -> str:
    days = age / timedelta(days=1)
    # Rounded down: 29.9 days are not 30.
    return f"{math.floor(days):,} days" if days >= 10 else f"{math.floor(days * 10) / 10:g} days"
