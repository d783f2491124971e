"""Does a new pipeline of forecasts hurt few stores, and all of them together no more than allowed?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from core.forecasts.changes import ChangeSummary, StoreMeasure
from core.registry.gates.rules import ForecastRule, Gate
from core.registry.gates.types import GateResult
from core.registry.gates.wording import apart, finite, percent, sentence, unjudged

ROUNDING: Final = 1e-9
"""Relative: errors that differ by less were added in another order."""


class Compared(Protocol):
    """Two pipelines side by side; see `core.forecasts.desk.PipelineChanges`."""

    @property
    def summary(self) -> ChangeSummary: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class ForecastChanges:
    """What the gate needs of two pipelines.

    Attributes
    ----------
    summary : ChangeSummary
        By the measure and with the tolerance of the rule.
    wape_old, wape_new : float or None
        Pooled over the stores that both have, as fractions of their sales; None where no store has one in both.
    notes : tuple of str
        What makes the two hard to compare.
    """

    summary: ChangeSummary
    wape_old: float | None
    wape_new: float | None
    notes: tuple[str, ...] = ()


def forecast_changes(
    compare: Callable[[StoreMeasure, float], Compared], rule: ForecastRule
) -> ForecastChanges:
    """Compare two pipelines as a rule asks for.

    Parameters
    ----------
    compare : callable
        From measure and tolerance to the changes, old pipeline first: `ForecastDesk.compare` of two pipelines.
    rule : ForecastRule
    """
    measure = StoreMeasure(rule.measure)
    found = compare(measure, rule.tolerance)
    pooled = found if measure is StoreMeasure.WAPE else compare(StoreMeasure.WAPE, 0.0)
    # Tables of stores have WAPE in percent.
    old, new = (
        None if value is None else value / 100
        for value in (pooled.summary.old_value, pooled.summary.new_value)
    )
    return ForecastChanges(found.summary, old, new, tuple(found.notes))


def judge_forecast(changes: ForecastChanges | None, rule: ForecastRule) -> GateResult:
    """Compare a pipeline with the champion's.

    Three things must hold, the last two where they are asked for: the share of stores that are worse by more than
    the tolerance, or lost, is at most `max_share_regressed`; so is their share of the volume
    (`max_volume_share_regressed`); and the pooled WAPE, the sum of all absolute errors over the sum of all sales,
    is at most ``old * (1 + max_wape_rise)``.

    Parameters
    ----------
    changes : ForecastChanges or None
        None where there is no champion.
    rule : ForecastRule

    Returns
    -------
    GateResult
        Passed without a champion. Cannot be judged where no store has the measure in both pipelines, or a share or
        the WAPE that is asked for is not known.
    """
    if changes is None:
        return GateResult(Gate.CHAMPION, True, "There is no champion to compare with.")
    summary = changes.summary
    evidence: dict[str, Any] = {
        "kind": "forecast",
        "measure": rule.measure,
        "tolerance": rule.tolerance,
        "stores": summary.stores,
        "compared": summary.compared,
        "improved": summary.improved,
        "worse": summary.worse,
        "same": summary.same,
        "lost": summary.lost,
        "gained": summary.gained,
        "share_regressed": finite(summary.share_regressed),
        "max_share_regressed": rule.max_share_regressed,
        "volume_share_regressed": finite(summary.volume_share_regressed),
        "max_volume_share_regressed": rule.max_volume_share_regressed,
        "wape_old": finite(changes.wape_old),
        "wape_new": finite(changes.wape_new),
        "max_wape_rise": rule.max_wape_rise,
        "notes": list(changes.notes),
    }
    if not summary.compared or summary.share_regressed is None:
        why = f"no store has {rule.measure} in both pipelines"
        return unjudged(Gate.CHAMPION, why, evidence)
    if rule.max_volume_share_regressed is not None and summary.volume_share_regressed is None:
        return unjudged(Gate.CHAMPION, "no store has a volume", evidence)
    if rule.max_wape_rise is not None and (changes.wape_old is None or changes.wape_new is None):
        return unjudged(Gate.CHAMPION, "no store has a WAPE in both pipelines", evidence)
    stores = f"{summary.worse + summary.lost} of {summary.compared + summary.lost} stores"
    clauses = [
        _at_most(summary.share_regressed, rule.max_share_regressed, f"{stores} are worse or lost,", "of them")
    ]
    if rule.max_volume_share_regressed is not None and summary.volume_share_regressed is not None:
        clauses.append(
            _at_most(
                summary.volume_share_regressed, rule.max_volume_share_regressed, "they have", "of the volume"
            )
        )
    if rule.max_wape_rise is not None and changes.wape_old is not None and changes.wape_new is not None:
        clauses.append(_pooled(changes.wape_old, changes.wape_new, rule.max_wape_rise))
    passed = all(holds for holds, _ in clauses)
    return GateResult(Gate.CHAMPION, passed, sentence(*(words for _, words in clauses)), evidence)


def _at_most(share: float, most: float, before: str, after: str) -> tuple[bool, str]:
    holds = share <= most + ROUNDING
    return holds, (
        f"{before} {apart(share, most, percent)} {after} "
        f"({'at most' if holds else 'more than'} {percent(most)})"
    )


def _pooled(old: float, new: float, rise: float) -> tuple[bool, str]:
    most = old * (1.0 + rise)
    holds = new <= most + ROUNDING * abs(old)
    words = f"pooled WAPE {apart(new, most, percent)} against {percent(old)}"
    return holds, f"{words} ({'at most' if holds else 'more than'} {percent(most)})"
