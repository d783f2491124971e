"""Has a version been in Staging for long enough?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.registry.gates.rules import Gate
from core.registry.gates.types import GateResult
from core.registry.gates.wording import moment, next_minute, span, unjudged
from core.registry.types import Stage


def judge_soak(stage: Stage, since: datetime | None, hours: float, now: datetime) -> GateResult:
    """Judge the time in Staging.

    Parameters
    ----------
    stage : Stage
        Where the version stands now.
    since : datetime or None
        When it moved there, with a time zone; None where that is not known.
    hours : float
        Least time in Staging.
    now : datetime
        With a time zone.

    Returns
    -------
    GateResult
        Passed from exactly `hours` after `since`. While it only waits, `eligible_at` is that time. A `since`
        after `now` fails: one of two clocks is wrong.
    """
    asked = span(timedelta(hours=hours))
    if stage is not Stage.STAGING:
        return GateResult(
            Gate.SOAK,
            False,
            f"It is in {stage}, and must be in Staging for {asked}.",
            {"stage": str(stage), "since": None, "hours": None, "hours_asked": hours},
        )
    if since is None:
        return unjudged(Gate.SOAK, "it is not known since when the version is in Staging")
    # Two times of one zone would be subtracted by the wall clock, which jumps twice a year.
    since, now = since.astimezone(UTC), now.astimezone(UTC)
    evidence = {
        "stage": str(stage),
        "since": since.isoformat(),
        "hours": (now - since) / timedelta(hours=1),
        "hours_asked": hours,
    }
    if since > now:
        why = f"it moved to Staging on {moment(since)}, which is after now, {moment(now)}: a clock is wrong"
        return unjudged(Gate.SOAK, why, evidence)
    eligible = since + timedelta(hours=hours)
    stood = f"In Staging for {span(now - since)}"
    if now >= eligible:
        return GateResult(Gate.SOAK, True, f"{stood}; {asked} are enough.", evidence)
    reason = f"{stood} of {asked}; eligible {moment(next_minute(eligible))}."
    return GateResult(Gate.SOAK, False, reason, evidence, eligible)
