"""The parameters of a retraining: those of the schedule, and what its mode adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadInputError
from core.training.projects.parameters import checked
from core.training.projects.types import EntryPoint
from core.training.schedule.types import EPOCHS, LAST_DAYS, WARM_START, Mode, ScheduleRequest


@dataclass(frozen=True, slots=True)
class Values:
    """Parameters of an entry point: those that are `given`, and `all` with the defaults filled in."""

    given: Mapping[str, str]
    all: Mapping[str, str]


def parameters_for(
    model: str,
    request: ScheduleRequest,
    entry_point: EntryPoint,
    champion: int | None,
    folder: Path | None,
) -> Values:
    """Return the parameters that a retraining gives to its entry point.

    Parameters
    ----------
    champion : int or None
        The version in Production, which an incremental retraining goes on from.
    folder : Path or None
        The project's files.

    Raises
    ------
    BadInputError
        If the entry point does not take them, or the schedule sets what its mode sets.
    """
    added = _of_mode(model, request, entry_point, champion)
    twice = sorted({LAST_DAYS, EPOCHS, WARM_START} & request.parameters.keys())
    if twice and request.mode is Mode.INCREMENTAL:
        raise BadInputError(
            f"An incremental retraining sets {', '.join(twice)} itself: leave it out of the parameters and give "
            "the days and epochs of the schedule, or choose the mode full."
        )
    values = checked(entry_point, {**request.parameters, **added}, folder)
    given = {name: values[name] for name in (*request.parameters, *added)}
    return Values(given, values)


def _of_mode(
    model: str, request: ScheduleRequest, entry_point: EntryPoint, champion: int | None
) -> dict[str, str]:
    if request.mode is Mode.FULL:
        return {}
    offered = {LAST_DAYS: str(request.last_days), EPOCHS: str(request.epochs)}
    if champion is not None:
        offered[WARM_START] = f"models:/{model}/{champion}"
    return {name: value for name, value in offered.items() if entry_point.parameter(name) is not None}


def training_words(
    model: str, request: ScheduleRequest, entry_point: EntryPoint, champion: int | None
) -> str:
    """Say how it is trained, for the log."""
    name = f"by {entry_point.name}"
    if request.mode is Mode.FULL:
        return f"{name} (in full)"
    added = _of_mode(model, request, entry_point, champion)
    parts = []
    if LAST_DAYS in added:
        parts.append(f"last {request.last_days} days")
    if EPOCHS in added:
        parts.append(f"{request.epochs} epochs")
    if WARM_START in added:
        parts.append(f"going on from v{champion}")
    if not parts:
        return f"{name} (in full, for it takes none of {LAST_DAYS}, {EPOCHS}, {WARM_START})"
    return f"{name} (incremental: {', '.join(parts)})"
