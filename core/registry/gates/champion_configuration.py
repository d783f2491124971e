"""The key ``champion`` of a model's gates: against what, and by how much, a new version is compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from core.registry.gates.given import Given
from core.registry.gates.rules import FORECAST_MEASURES, BacktestRule, ForecastRule, Require

_FORM: Final = 'false or a table with kind = "backtest" or kind = "forecast"'
_BACKTEST: Final[Mapping[str, tuple[float, float]]] = {
    "confidence": (0.5, 0.9999),
    "sharpe_slack": (0.0, 100.0),
    "drawdown_slack": (0.0, 1.0),
    "risk_free": (-0.5, 10.0),
    "periods_per_year": (0.01, 100_000_000.0),
}
_FORECAST: Final[Mapping[str, tuple[float, float]]] = {
    "tolerance": (0.0, 100.0),
    "max_share_regressed": (0.0, 1.0),
    "max_volume_share_regressed": (0.0, 1.0),
    "max_wape_rise": (0.0, 100.0),
}
_MAY_BE_OFF: Final = ("max_volume_share_regressed", "max_wape_rise")


def read_champion(given: Given) -> BacktestRule | ForecastRule | None:
    """Read the rule; None where it is off.

    Raises
    ------
    BadInputError
        For an unknown kind or key, or a value that cannot be used.
    """
    if given.is_off:
        return None
    entries = given.entries(_FORM)
    if "kind" not in entries:
        given.refuse(_FORM)
    if entries["kind"].choice(("backtest", "forecast")) == "forecast":
        return _forecast(given)
    return _backtest(given)


def _backtest(given: Given) -> BacktestRule:
    found = given.table(("kind", "require", "resamples", *_BACKTEST), _FORM)
    values: dict[str, Any] = {key: found[key].number(*_BACKTEST[key]) for key in _BACKTEST if key in found}
    if "require" in found:
        values["require"] = Require(found["require"].choice(list(Require)))
    if "resamples" in found:
        values["resamples"] = found["resamples"].whole(100, 100_000)
    return BacktestRule(**values)


def _forecast(given: Given) -> ForecastRule:
    found = given.table(("kind", "measure", *_FORECAST), _FORM)
    values: dict[str, Any] = {}
    for key in _FORECAST:
        if key in found:
            off = found[key].is_off and key in _MAY_BE_OFF
            values[key] = None if off else found[key].number(*_FORECAST[key])
    if "measure" in found:
        values["measure"] = found["measure"].choice(FORECAST_MEASURES)
    return ForecastRule(**values)
