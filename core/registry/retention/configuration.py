"""The table ``[retention]`` of greenroom.toml: what is old enough to go, and how long it can be brought back.

Without the table nothing goes by itself; who asks is shown versions that are archived for 30 days, which can be brought
back for 7 more, and no run::

    [retention]
    automatic = true             # the default where the table is there: look every day, and after each deployment
    days = 30                    # in Archived
    min_versions = 3             # the latest so many of a model stay
    undo_days = 7
    after_deployment = true      # look after each deployment, too

    [retention.models.ppo_usdcop]
    days = 90                    # and min_versions

    [[retention.runs]]
    experiment = "stores/daily"
    filter = "metrics.smape > 40"     # MLflow's own syntax; all runs where it is left out
    older_than_days = 60
    keep = 20                    # the newest so many that match stay
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from core.registry.gates.given import Given

_YEARS: Final = 36_500
_FORM: Final = "a table such as days = 30"
_MODEL_KEYS: Final = ("days", "min_versions")
_RUN_KEYS: Final = ("experiment", "filter", "older_than_days", "keep")
_RUN_FORM: Final = 'a table such as experiment = "stores/daily", older_than_days = 60'


@dataclass(frozen=True, slots=True)
class ModelRule:
    """When versions of a model go.

    Attributes
    ----------
    days : float
        How long a version stays in Archived, at least.
    min_versions : int
        How many of the latest stay, by version number, whatever their stage.
    """

    days: float = 30.0
    min_versions: int = 3


@dataclass(frozen=True, slots=True)
class RunRule:
    """Which runs go.

    Attributes
    ----------
    experiment : str
        Name or id.
    filter : str
        In MLflow's grammar; "" takes every run.
    older_than_days : float
        Since the run's end; of one that has none, since its start.
    keep : int
        How many of the newest that match stay.
    """

    experiment: str
    filter: str = ""
    older_than_days: float = 30.0
    keep: int = 0


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """The table ``[retention]``.

    Attributes
    ----------
    days : float
    min_versions : int
        Of models without a table of their own; see `ModelRule`.
    models : mapping of str to ModelRule
        Of models that have one, what they leave out taken from these two.
    undo_days : float
        How long what went can be brought back.
    after_deployment : bool
        Whether a model is cleaned up after each deployment.
    automatic : bool
        Whether what is old enough goes by itself; so where the table is there and does not say otherwise.
    """

    days: float = 30.0
    min_versions: int = 3
    models: Mapping[str, ModelRule] = field(default_factory=dict)
    runs: tuple[RunRule, ...] = ()
    undo_days: float = 7.0
    after_deployment: bool = True
    automatic: bool = False

    def of(self, model: str) -> ModelRule:
        """Return the rule of a model."""
        return self.models.get(model) or ModelRule(self.days, self.min_versions)


def read_retention(value: Any, place: str) -> RetentionSettings:
    """Read the table ``[retention]``; its form is in the module's text.

    Parameters
    ----------
    value : any
        What stands under ``retention``.
    place : str
        What the file is called, for errors.

    Raises
    ------
    BadInputError
        For an unknown key or a value that cannot be used: it names key, place and accepted values.
    """
    found = Given(value, "retention", place).table(
        (*_MODEL_KEYS, "undo_days", "after_deployment", "automatic", "models", "runs"), _FORM
    )
    every = _model_rule(ModelRule(), {key: found[key] for key in _MODEL_KEYS if key in found})
    values: dict[str, Any] = {"days": every.days, "min_versions": every.min_versions, "automatic": True}
    if "automatic" in found:
        values["automatic"] = found["automatic"].flag()
    if "undo_days" in found:
        values["undo_days"] = found["undo_days"].number(0, _YEARS)
    if "after_deployment" in found:
        values["after_deployment"] = found["after_deployment"].flag()
    if "models" in found:
        form = "tables such as [retention.models.ppo_usdcop]"
        values["models"] = {
            name: _model_rule(every, given.table(_MODEL_KEYS, _FORM))
            for name, given in found["models"].entries(form).items()
        }
    if "runs" in found:
        values["runs"] = tuple(
            _run_rule(one) for one in found["runs"].items("tables under [[retention.runs]]")
        )
    return RetentionSettings(**values)


def _model_rule(base: ModelRule, found: Mapping[str, Given]) -> ModelRule:
    values: dict[str, Any] = {}
    if "days" in found:
        values["days"] = found["days"].number(0, _YEARS)
    if "min_versions" in found:
        # None at all would let a rollback find nothing.
        values["min_versions"] = found["min_versions"].whole(1, 1_000_000)
    return replace(base, **values)


def _run_rule(given: Given) -> RunRule:
    found = given.table(_RUN_KEYS, _RUN_FORM)
    if "experiment" not in found or "older_than_days" not in found:
        given.refuse(_RUN_FORM)
    values: dict[str, Any] = {
        "experiment": found["experiment"].text(),
        "older_than_days": found["older_than_days"].number(0, _YEARS),
    }
    if "filter" in found:
        values["filter"] = found["filter"].text()
    if "keep" in found:
        values["keep"] = found["keep"].whole(0, 1_000_000_000)
    return RunRule(**values)
