"""The table ``[gates]`` of greenroom.toml: which gates a model must pass, and what they ask for.

Each model has a table of its own, and ``"*"`` one for every model. A model's own keys replace those of ``"*"``, key
by key; ``false`` turns a gate off. Without any table, the way to Production takes a smoke test and 24 hours in
Staging, and the way to Staging nothing::

    [gates."*"]
    smoke = true                       # or { seconds = 60, memory_mb = 4096, file_mb = 64, processes = 64 }
    soak_hours = 24                    # 0 turns it off

    [gates.ppo_usdcop]
    structure = { observation_dim = 15, action_dim = 1, layers = { "net.0.weight" = [64, 15] } }
                                       # and feature_order = ["a", "b"]
    dataset = { hash = "3f2a9c41d07be885" }    # or { file = "data/train.parquet" }
                                               # or { name = "sales", digest = "1a2b3c4d" }
    reproducible = true                # hashes agree, signature there, git tree clean
    metrics = ["sharpe >= 1", "max_drawdown > -0.2", "`val loss` < 0.1"]
    champion = { kind = "backtest", require = "not worse", drawdown_slack = 0.02 }
    worst_seed = { metric = "sharpe", at_least = 0.0 }         # or at_most
    staging = ["smoke", "structure"]   # gates that count on the way to Staging already

    [gates.stores]
    champion = { kind = "forecast", measure = "wape", max_share_regressed = 0.25, max_wape_rise = 0.0 }

Further keys of a champion: ``confidence``, ``sharpe_slack``, ``resamples``, ``risk_free`` and ``periods_per_year`` of
a backtest; ``tolerance`` and ``max_volume_share_regressed`` of a forecast. ``max_wape_rise = false`` leaves the pooled
WAPE out. Metrics are compared by ``>``, ``>=``, ``<``, ``<=``, ``=`` or ``!=``; a name may hold blanks, stand in
backticks, or begin with ``metrics.`` as in MLflow's filters. Layers that are not listed do not count. The file of a
data set is looked for from the folder in which Greenroom was started.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from core.errors import BadInputError
from core.registry.gates.champion_configuration import read_champion
from core.registry.gates.given import Given
from core.registry.gates.rules import (
    COMPARISONS,
    GATES,
    ExpectedDataset,
    ExpectedFile,
    ExpectedHash,
    ExpectedInput,
    ExpectedStructure,
    Gate,
    GateRules,
    MetricRule,
    SmokeLimits,
    WorstSeedRule,
)

EVERY_MODEL: Final = "*"
_KEYS: Final = tuple(one.name for one in fields(GateRules))
_YEAR: Final = 8760
_HASH: Final = re.compile(r"[0-9a-f]{8,128}")
_METRIC: Final = re.compile(
    r"(?:metrics\.)?(?:`([^`]+)`|([^`<>=!]*[^`<>=!\s]))\s*(>=|<=|!=|=|>|<)\s*([^\s=<>!]+)"
)
_SMOKE_FORM: Final = "true, false or a table such as { seconds = 60, memory_mb = 4096 }"
_STRUCTURE_FORM: Final = 'false or a table such as { observation_dim = 15, feature_order = ["a", "b"] }'
_DATASET_FORM: Final = 'false, { hash = "..." }, { file = "..." } or { name = "...", digest = "..." }'
_METRICS_FORM: Final = 'false or a list such as ["sharpe >= 1", "max_drawdown > -0.2"]'
_SEED_FORM: Final = (
    'false or a table such as { metric = "sharpe", at_least = 0 }, with either at_least or at_most'
)


@dataclass(frozen=True, slots=True)
class GateBook:
    """The rules of every model.

    Attributes
    ----------
    every : GateRules
        Of models without a table of their own.
    own : mapping of str to GateRules
        Of models that have one, what they leave out taken from `every`.
    """

    every: GateRules = field(default_factory=GateRules)
    own: Mapping[str, GateRules] = field(default_factory=dict)

    def of(self, model: str) -> GateRules:
        """Return the rules of a model."""
        return self.own.get(model, self.every)


DEFAULT_BOOK: Final = GateBook()


def read_gates(table: Mapping[str, Any], place: str) -> GateBook:
    """Read the table ``[gates]``; its form is in the module's text.

    Parameters
    ----------
    table : mapping
        From model name, or ``*``, to its table.
    place : str
        What the file is called, for errors.

    Raises
    ------
    BadInputError
        For an unknown key or a value that cannot be used: it names key, place and accepted values.
    """
    models = Given(table, "gates", place).entries(f'tables such as [gates."{EVERY_MODEL}"]')
    for name, given in models.items():
        if not given.is_table:
            raise BadInputError(
                f'{given.key} in {place} is no table of a model. Write gates under [gates."{EVERY_MODEL}"] for '
                "every model, or under [gates.NAME] for one."
            )
        if EVERY_MODEL in name and name != EVERY_MODEL:
            raise BadInputError(
                f'{given.key} in {place} is a pattern. Accepted: the whole name of a model, or "{EVERY_MODEL}" '
                "for every model."
            )
    every = _rules(GateRules(), models.pop(EVERY_MODEL, Given({}, "gates", place)))
    return GateBook(every, {name: _rules(every, given) for name, given in models.items()})


def _rules(base: GateRules, given: Given) -> GateRules:
    found = given.table(_KEYS, "a table of gates")
    return replace(base, **{key: _READERS[key](value) for key, value in found.items()})


def _smoke(given: Given) -> SmokeLimits | None:
    if isinstance(given.value, bool):
        return SmokeLimits() if given.value else None
    known = [one.name for one in fields(SmokeLimits)]
    found = given.table(known, _SMOKE_FORM)
    values: dict[str, Any] = {}
    for key, value in found.items():
        low, high = _LIMITS[key]
        values[key] = value.number(low, high) if key == "seconds" else value.whole(low, high)
    return SmokeLimits(**values)


_LIMITS: Final = {
    "seconds": (1, 3600),
    "memory_mb": (128, 1_048_576),
    "file_mb": (1, 1_048_576),
    "processes": (1, 65_536),
}


def _soak_hours(given: Given) -> float:
    return 0.0 if given.is_off else given.number(0, _YEAR)


def _structure(given: Given) -> ExpectedStructure | None:
    if given.is_off:
        return None
    found = given.table([one.name for one in fields(ExpectedStructure)], _STRUCTURE_FORM)
    values: dict[str, Any] = {}
    for key in ("observation_dim", "action_dim"):
        if key in found:
            values[key] = found[key].whole(1, 1_000_000_000)
    if "feature_order" in found:
        names = [one.text() for one in found["feature_order"].items('a list such as ["a", "b"]')]
        if len(set(names)) != len(names):
            found["feature_order"].refuse("a list that names each feature once")
        values["feature_order"] = tuple(names)
    if "layers" in found:
        form = 'a table such as { "net.0.weight" = [64, 15] }'
        values["layers"] = tuple(
            (name, tuple(one.whole(0, 1_000_000_000) for one in shape.items("a shape such as [64, 15]")))
            for name, shape in found["layers"].entries(form).items()
        )
    structure = ExpectedStructure(**values)
    if structure == ExpectedStructure():
        given.refuse(_STRUCTURE_FORM)
    return structure


def _dataset(given: Given) -> ExpectedDataset | None:
    if given.is_off:
        return None
    found = given.table(("hash", "file", "name", "digest"), _DATASET_FORM)
    if set(found) not in ({"hash"}, {"file"}, {"name", "digest"}):
        given.refuse(_DATASET_FORM)
    if "file" in found:
        return ExpectedFile(Path(found["file"].text()).expanduser().resolve())
    if "name" in found:
        return ExpectedInput(found["name"].text(), found["digest"].text())
    digits = found["hash"].text().lower()
    if not _HASH.fullmatch(digits):
        found["hash"].refuse("a hash of 8 hexadecimal digits or more")
    return ExpectedHash(digits)


def read_metrics(given: Given) -> tuple[MetricRule, ...]:
    """Return thresholds such as ``sharpe >= 1``."""
    return () if given.is_off else tuple(_metric(one) for one in given.items(_METRICS_FORM))


def _metric(given: Given) -> MetricRule:
    accepted = f'a text such as "sharpe >= 1": a metric, one of {" ".join(COMPARISONS)}, and a number'
    parts = _METRIC.fullmatch(given.value.strip()) if isinstance(given.value, str) else None
    if parts is None:
        given.refuse(accepted)
    quoted, plain, comparison, written = parts.groups()
    try:
        number = Given(float(written), given.key, given.place).number()
    except (ValueError, BadInputError):
        given.refuse(accepted)
    return MetricRule(quoted or plain, comparison, number)


def _worst_seed(given: Given) -> WorstSeedRule | None:
    if given.is_off:
        return None
    found = given.table(("metric", "at_least", "at_most"), _SEED_FORM)
    if "metric" not in found or len(found) != 2:
        given.refuse(_SEED_FORM)
    bounds = {key: value.number() for key, value in found.items() if key != "metric"}
    return WorstSeedRule(found["metric"].text(), **bounds)


def _staging(given: Given) -> tuple[Gate, ...]:
    if given.is_off:
        return ()
    known = [gate for gate in GATES if gate is not Gate.SOAK]
    named = {Gate(one.choice(known)) for one in given.items('a list of gates such as ["smoke"]')}
    return tuple(gate for gate in GATES if gate in named)


_READERS: Final[Mapping[str, Callable[[Given], Any]]] = {
    "smoke": _smoke,
    "soak_hours": _soak_hours,
    "structure": _structure,
    "dataset": _dataset,
    "reproducible": Given.flag,
    "metrics": read_metrics,
    "champion": read_champion,
    "worst_seed": _worst_seed,
    "staging": _staging,
}
