"""Is a version's backtest no worse than the champion's, over the time that both have?"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from core.backtests.annualisation import annualise
from core.backtests.drawdowns import underwater
from core.backtests.significance.superior import common_returns
from core.backtests.types import EquityCurve, Floats
from core.errors import GreenroomError
from core.registry.gates.rules import BacktestRule, Gate, Require
from core.registry.gates.sharpe_difference import SharpeDifference, sharpe_difference
from core.registry.gates.types import GateResult
from core.registry.gates.wording import apart, finite, number, percent, sentence, unjudged

ROUNDING: Final = 1e-9
"""Ratios and drawdowns that differ by less differ by the order in which numbers were added."""


def judge_backtest(new: EquityCurve, old: EquityCurve | None, rule: BacktestRule) -> GateResult:
    """Compare a backtest with the champion's.

    Both are measured between the times they have in common, return by return; a return across times that only
    one has is compounded. Two things must hold.

    1. The annual Sharpe ratio. Let d be the new ratio minus the champion's, and [low, high] the two-sided interval
       of `rule.confidence` around it (see `sharpe_difference`). ``not worse``, the default, asks for ``d >= 0``,
       or ``low > -sharpe_slack``: in the sample it is no worse, or it is sure that it is not worse by more than the
       slack. ``better`` asks for ``low > 0``: it is sure that it is better, which takes years: at 95 % and with T
       years of returns, low is about ``d - 1.96 * sqrt(2 * (1 - correlation) / T)``, so that d = 0.5 takes 31 years
       of two strategies that move apart, and 3 years at a correlation of 0.9.
    2. The maximum drawdown, a fraction of zero or less on the common times: ``new >= old - drawdown_slack``.

    Parameters
    ----------
    new, old : EquityCurve
        `old` is the champion's; None where there is no champion.
    rule : BacktestRule

    Returns
    -------
    GateResult
        Passed without a champion. Cannot be judged with fewer than 20 common returns, or returns that never vary.
    """
    if old is None:
        return GateResult(Gate.CHAMPION, True, "There is no champion to compare with.")
    try:
        times, returns = common_returns((new, old))
        per_year = annualise(times, rule.periods_per_year).periods_per_year
    except GreenroomError as error:
        return unjudged(Gate.CHAMPION, str(error), {"kind": "backtest"})
    found = sharpe_difference(
        returns, per_year, confidence=rule.confidence, resamples=rule.resamples, risk_free=rule.risk_free
    )
    new_fall, old_fall = (_max_drawdown(column) for column in returns.T)
    evidence: dict[str, Any] = {
        "kind": "backtest",
        "require": str(rule.require),
        "sharpe_new": finite(found.new),
        "sharpe_old": finite(found.old),
        "sharpe_difference": finite(found.difference),
        "low": finite(found.low),
        "high": finite(found.high),
        "confidence": rule.confidence,
        "sharpe_slack": rule.sharpe_slack,
        "risk_free": rule.risk_free,
        "max_drawdown_new": finite(new_fall),
        "max_drawdown_old": finite(old_fall),
        "drawdown_slack": rule.drawdown_slack,
        "start": _iso(times[0]),
        "end": _iso(times[-1]),
        "n": found.n,
        "new_points": len(new),
        "old_points": len(old),
        "periods_per_year": per_year,
        "periods": found.periods,
        "resamples": rule.resamples,
        "block_length": found.block_length,
    }
    if found.reason is not None:
        return unjudged(Gate.CHAMPION, found.reason, evidence)
    deep = not new_fall >= old_fall - rule.drawdown_slack - ROUNDING
    fall = f"maximum drawdown {percent(new_fall)} against {percent(old_fall)}"
    if deep:
        fall += f", deeper by more than {percent(rule.drawdown_slack)}"
    reason = sentence(_words(found, rule), fall)
    return GateResult(Gate.CHAMPION, _is_good_enough(found, rule) and not deep, reason, evidence)


def _is_good_enough(found: SharpeDifference, rule: BacktestRule) -> bool:
    if rule.require is Require.BETTER:
        return found.low > ROUNDING
    rounding = ROUNDING * max(1.0, abs(found.old))
    return found.difference >= -rounding or found.low > -rule.sharpe_slack


def _words(found: SharpeDifference, rule: BacktestRule) -> str:
    between = (
        f"Sharpe ratio {apart(found.new, found.old)} against {number(found.old)} of the champion, "
        f"a difference of {number(found.difference)} ({percent(rule.confidence)} interval {number(found.low)} "
        f"to {number(found.high)})"
    )
    if _is_good_enough(found, rule):
        return between
    if rule.require is Require.BETTER:
        return f"{between}, which is not surely above 0"
    return f"{between}, which is worse" + (
        f" and may be by more than {number(rule.sharpe_slack)}" if rule.sharpe_slack else ""
    )


def _max_drawdown(returns: Floats) -> float:
    """Deepest fall from a peak as a fraction, the start included."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(underwater(np.concatenate(([1.0], np.cumprod(1.0 + returns)))).min())


def _iso(time: np.datetime64) -> str:
    return f"{time.astype('datetime64[s]')}+00:00"
