"""The verdict card: is a new version better than the champion, the same or worse, and where? Pure.

Where both have a backtest or a forecast, what they did over the time that they have in common decides, as the
champion gate measures it. Otherwise the metrics that both runs logged do, as far as it is known of them whether
a higher value is better; where the two were made with different data, the card says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from core.registry.gates.rules import Gate
from core.registry.gates.types import GateResult
from core.registry.gates.wording import number, percent
from core.runs.comparison.metric_direction import is_clockwork, known_direction, name_tokens
from core.training.schedule.types import GateVerdict, Verdict, VerdictPoint, VerdictWord

SAME: Final = 0.01
"""Two values that differ by less than this share of the larger one count as the same."""

_ON_TRAINING_DATA: Final = frozenset({"train", "training", "fit", "insample"})
_OF_SOMETHING_ELSE: Final = frozenset({"benchmark", "baseline", "buy", "hold", "flat", "naive", "champion"})
_DRAWDOWN: Final = "maximum drawdown"
_WAPE: Final = "pooled WAPE"
_FRACTIONS: Final = (_DRAWDOWN, _WAPE)
_NAMED: Final = 3


def compare(
    gates: Sequence[GateResult],
    champion: int | None,
    own: Mapping[str, float],
    others: Mapping[str, float],
    measured: Mapping[str, Any] = MappingProxyType({}),
    same_data: bool | None = None,
) -> Verdict:
    """Compare a new version with the champion.

    Of a backtest the Sharpe ratio decides: it is better or worse where the whole interval around the difference is on
    one side of zero. Of forecasts the WAPE pooled over all stores decides; values less than 1 % apart are the same.
    Where these are the same, so do the other figures: better where some are and none is worse, and the other way
    round. Of metrics the majority decides; those of the training data count only where there are no others.

    Parameters
    ----------
    gates : sequence of GateResult
        What the gates said of the new version; the evidence of ``champion`` is used before `measured`.
    champion : int or None
        The version in Production; None where there is none.
    own, others : mapping of str to float
        Metrics of the new version's run, and of the champion's.
    measured : mapping
        Evidence as the champion gate gives it, of a model that has no such gate.
    same_data : bool or None
        Whether the metrics of the two come from the same data.

    Returns
    -------
    Verdict
        FIRST without a champion, UNKNOWN where the two have no figure in common.
    """
    said = tuple(GateVerdict(str(one.name), one.passed, one.reason) for one in gates)
    if champion is None:
        return Verdict(VerdictWord.FIRST, "There is no champion to compare with.", (), said)
    evidence = next((one.evidence for one in gates if one.name == Gate.CHAMPION), measured)
    points = _backtest(evidence) if evidence.get("kind") == "backtest" else _forecast(evidence)
    if points:
        word = _by_first(points)
        return Verdict(word, _sentence(word, champion, points), points, said)
    points = _metrics(own, others)
    word = _by_majority(points) if points else VerdictWord.UNKNOWN
    warning = " The two were measured on different data." if points and same_data is False else ""
    return Verdict(word, _sentence(word, champion, points) + warning, points, said)


def _backtest(evidence: Mapping[str, Any]) -> tuple[VerdictPoint, ...]:
    names = ("sharpe_new", "sharpe_old", "low", "high", "max_drawdown_new", "max_drawdown_old")
    new, old, low, high, fall, old_fall = (_known(evidence.get(name)) for name in names)
    if new is None or old is None or low is None or high is None:
        return ()
    detail = f"{percent(evidence['confidence'])} interval of the difference {number(low)} to {number(high)}"
    sharpe = VerdictPoint("Sharpe ratio", old, new, new - old, _sure(low, high), detail)
    if fall is None or old_fall is None:
        return (sharpe,)
    return sharpe, _point(_DRAWDOWN, old_fall, fall, higher_is_better=True)


def _sure(low: float, high: float) -> bool | None:
    if low > 0:
        return True
    return False if high < 0 else None


def _forecast(evidence: Mapping[str, Any]) -> tuple[VerdictPoint, ...]:
    old, new = _known(evidence.get("wape_old")), _known(evidence.get("wape_new"))
    if old is None or new is None:
        return ()
    wape = _point(_WAPE, old, new, higher_is_better=False)
    better, worse = evidence["improved"], evidence["worse"] + evidence["lost"]
    detail = f"{better} better, {worse} worse or lost, {evidence['same']} the same, by {evidence['measure']}"
    stores = better > worse if better != worse else None
    return wape, VerdictPoint("stores", None, None, None, stores, detail)


def _metrics(own: Mapping[str, float], others: Mapping[str, float]) -> tuple[VerdictPoint, ...]:
    """Return a point for each metric that says how good a model is, those that differ most first."""
    names = [
        name
        for name in sorted(own.keys() & others.keys())
        if not is_clockwork(name) and _OF_SOMETHING_ELSE.isdisjoint(name_tokens(name))
    ]
    held_out = [name for name in names if _ON_TRAINING_DATA.isdisjoint(name_tokens(name))]
    points = _judged(held_out, own, others) or _judged(names, own, others)
    return tuple(sorted(points, key=lambda one: (one.better is None, -_apart(one))))


def _judged(
    names: Sequence[str], own: Mapping[str, float], others: Mapping[str, float]
) -> list[VerdictPoint]:
    found = []
    for name in names:
        new, old = _known(own[name]), _known(others[name])
        if new is None or old is None:
            continue
        higher = known_direction(name, (old, new))
        if higher is not None:
            found.append(_point(name, old, new, higher_is_better=higher))
    return found


def _point(name: str, old: float, new: float, *, higher_is_better: bool) -> VerdictPoint:
    difference = new - old
    same = not difference or abs(difference) < SAME * max(abs(old), abs(new))
    better = None if same else (difference > 0) == higher_is_better
    return VerdictPoint(name, old, new, difference, better)


def _apart(point: VerdictPoint) -> float:
    old, new = point.champion or 0.0, point.challenger or 0.0
    return abs(new - old) / (max(abs(old), abs(new)) or 1.0)


def _by_first(points: Sequence[VerdictPoint]) -> VerdictWord:
    first, *others = points
    if first.better is not None:
        return VerdictWord.BETTER if first.better else VerdictWord.WORSE
    said = {one.better for one in others} - {None}
    if said == {True}:
        return VerdictWord.BETTER
    return VerdictWord.WORSE if said == {False} else VerdictWord.SAME


def _by_majority(points: Sequence[VerdictPoint]) -> VerdictWord:
    balance = sum(1 if one.better else -1 for one in points if one.better is not None)
    if not balance:
        return VerdictWord.SAME
    return VerdictWord.BETTER if balance > 0 else VerdictWord.WORSE


def _sentence(word: VerdictWord, champion: int, points: Sequence[VerdictPoint]) -> str:
    if word is VerdictWord.UNKNOWN:
        return f"Nothing is known of both this version and the champion v{champion} that could be compared."
    heads = {
        VerdictWord.BETTER: f"Better than the champion v{champion}",
        VerdictWord.SAME: f"As good as the champion v{champion}",
        VerdictWord.WORSE: f"Worse than the champion v{champion}",
    }
    better = _listed("better in", [one for one in points if one.better is True])
    worse = _listed("worse in", [one for one in points if one.better is False])
    parts = (worse, better) if word is VerdictWord.WORSE else (better, worse)
    where = "; ".join(part for part in parts if part) or _listed("the same in", points)
    return f"{heads[word]}: {where}."


def _listed(verb: str, points: Sequence[VerdictPoint]) -> str:
    if not points:
        return ""
    shown = [f"{one.name} ({_values(one)})" for one in points[:_NAMED]]
    more = f" and {len(points) - _NAMED} more" if len(points) > _NAMED else ""
    return f"{verb} {', '.join(shown)}{more}"


def _values(point: VerdictPoint) -> str:
    if point.champion is None or point.challenger is None:
        return point.detail
    write = percent if point.name in _FRACTIONS else number
    values = f"{write(point.challenger)} against {write(point.champion)}"
    return f"{values}, {point.detail}" if point.detail else values


def _known(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
