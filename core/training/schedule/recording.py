"""What a retraining's row says of it: gone on, in trouble, or over; each change with its lines of the log."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Final

from core import clock
from core.audit import AuditTrail, News
from core.training.schedule import rows
from core.training.schedule.store import Store
from core.training.schedule.types import (
    LogLine,
    Prepared,
    Retraining,
    RetrainingOutcome,
    Step,
    Verdict,
)

log = logging.getLogger("greenroom.retraining")

_FAILED: Final = {
    Step.PREPARING: "Preparing training data failed",
    Step.TRAINING: "Training failed",
    Step.VALIDATING: "Validation failed",
    Step.REGISTERING: "Deployment failed",
}


class Recorder:
    """Writes what becomes of retrainings. Every change is made only where the row is at the step that was read."""

    def __init__(self, store: Store, trail: AuditTrail, now: clock.Clock) -> None:
        self._store = store
        self._trail = trail
        self._now = now

    def go_on(
        self,
        one: Retraining,
        step: Step,
        texts: tuple[str, ...],
        prepared: Prepared | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        """Begin the next step."""
        kept = replace(prepared or one.prepared, tries=0, waiting_since=None)
        values = {"step": str(step), "prepared": rows.prepared_text(kept)}
        if verdict is not None:
            values["verdict"] = rows.verdict_text(verdict)
        self.write(one, texts, **values)

    def write(self, one: Retraining, texts: tuple[str, ...], level: str = "INFO", **values: Any) -> bool:
        """Change the row within its step; False where somebody else has taken it on or ended it meanwhile."""
        lines = self.lines(level, *texts)
        with self._store.transaction() as connection:
            written = self._store.change(connection, one, lines, **values)
        if written:
            tell(one.model, lines)
        return written

    def trouble(self, one: Retraining, text: str, **changes: Any) -> None:
        """Note why the step has to be tried again."""
        # The step may have written to the row before it met with trouble.
        one = self._store.retraining(one.id)
        self.write(one, (text,), "WARNING", prepared=rows.prepared_text(replace(one.prepared, **changes)))

    def end(
        self, one: Retraining, outcome: RetrainingOutcome, reason: str, verdict: Verdict | None = None
    ) -> bool:
        """End a retraining, audited; False where somebody else has taken it on or ended it meanwhile."""
        staged = outcome is RetrainingOutcome.STAGED
        lines = self._last_lines(one, outcome, reason)
        values: dict[str, Any] = {
            "outcome": str(outcome),
            "reason": reason,
            "ended_at": clock.text(self._now()),
            "step": str(Step.DONE if staged else one.step),
        }
        details: dict[str, Any] = {
            "retraining": one.id,
            "outcome": str(outcome),
            "trigger": str(one.trigger),
            "at": str(one.step),
            "job": one.job_id,
        }
        if verdict is not None:
            values["verdict"] = rows.verdict_text(verdict)
            details["verdict"] = {"word": str(verdict.word), "sentence": verdict.sentence}
        news = News("retraining ended", one.model, one.version, reason=reason, details=details)
        with self._store.transaction() as connection:
            self._trail.lock(connection)
            if not self._store.change(connection, one, lines, **values):
                return False
            self._trail.append(connection, one.actor, news)
        tell(one.model, lines)
        return True

    def _last_lines(self, one: Retraining, outcome: RetrainingOutcome, reason: str) -> tuple[LogLine, ...]:
        if outcome is RetrainingOutcome.STAGED:
            return self.lines(
                "INFO",
                f"Deployed model version {one.version} to Staging",
                f"Retraining complete! New model v{one.version} waits in Staging",
            )
        level = "ERROR" if outcome is RetrainingOutcome.FAILED else "WARNING"
        what = "Stopped" if outcome is RetrainingOutcome.STOPPED else _FAILED[one.step]
        return (*self.lines(level, f"{what}: {reason}"), *self.lines("INFO", "Keeping current model active"))

    def lines(self, level: str, *texts: str) -> tuple[LogLine, ...]:
        """Return lines of the log, written now."""
        return tuple(LogLine(self._now(), level, text) for text in texts)


def tell(model: str, lines: tuple[LogLine, ...]) -> None:
    """Write lines to the log of the process, too."""
    for line in lines:
        log.log(logging.getLevelNamesMapping()[line.level], "%s: %s", model, line.text)
