"""The table ``[watch]`` of greenroom.toml: what live figures must keep, and what is done where they do not.

A run that was logged with the tag ``greenroom.live_of = "NAME/VERSION"`` tells how that version does in Production::

    [watch.ppo_usdcop]
    thresholds = ["sharpe >= 0.5", "max_drawdown > -0.15"]    # as the key metrics of [gates]
    policy = "warn"          # or "request": ask for the newest version in Staging that passes its gates
                             # or "rollback": bring back the version that was in Production before
    min_periods = 20         # a run that says it has fewer observations is not judged
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from core.registry.gates.configuration import read_metrics
from core.registry.gates.given import Given
from core.registry.gates.rules import MetricRule

_KEYS: Final = ("thresholds", "policy", "min_periods")
_FORM: Final = 'a table such as thresholds = ["sharpe >= 0.5"]'


class Policy(StrEnum):
    """What is done when live figures do not keep a threshold."""

    WARN = "warn"
    REQUEST = "request"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class WatchRules:
    """How one model is watched.

    Attributes
    ----------
    thresholds : tuple of MetricRule
        All of which must hold.
    min_periods : int
        A run with fewer observations is not judged, if it says how many it has.
    """

    thresholds: tuple[MetricRule, ...]
    policy: Policy = Policy.WARN
    min_periods: int = 20


@dataclass(frozen=True, slots=True)
class WatchBook:
    """The rules of every model that is watched."""

    own: Mapping[str, WatchRules] = field(default_factory=dict)

    def of(self, model: str) -> WatchRules | None:
        """Return the rules of a model; None where it is not watched."""
        return self.own.get(model)


def read_watch(value: Any, place: str) -> WatchBook:
    """Read the table ``[watch]``; its form is in the module's text.

    Parameters
    ----------
    value : any
        What stands under ``watch``.
    place : str
        What the file is called, for errors.

    Raises
    ------
    BadInputError
        For an unknown key or a value that cannot be used: it names key, place and accepted values.
    """
    models = Given(value, "watch", place).entries("tables such as [watch.ppo_usdcop]")
    return WatchBook({name: _rules(given) for name, given in models.items()})


def _rules(given: Given) -> WatchRules:
    found = given.table(_KEYS, _FORM)
    thresholds = read_metrics(found["thresholds"]) if "thresholds" in found else ()
    if not thresholds:
        given.refuse(_FORM)
    values: dict[str, Any] = {}
    if "policy" in found:
        values["policy"] = Policy(found["policy"].choice(list(Policy)))
    if "min_periods" in found:
        values["min_periods"] = found["min_periods"].whole(0, 1_000_000_000)
    return WatchRules(thresholds, **values)
