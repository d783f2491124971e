"""Check what is asked of a schedule, before it is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from core.errors import BadInputError
from core.training.schedule import times
from core.training.schedule.parts import Projects
from core.training.schedule.preparing import parameters_for
from core.training.schedule.types import ScheduleRequest

_RANGES: Final = {"interval_days": (1, 366), "last_days": (1, 36_600), "epochs": (1, 1_000_000)}
_YEARS: Final = (1970, 2200)
_LONGEST_NAME: Final = 256


def checked_request(model: str, request: ScheduleRequest, projects: Projects) -> ScheduleRequest:
    """Return a request that can be kept: its paths are absolute.

    Raises
    ------
    BadInputError
        With a sentence for each thing that cannot be used.
    NotFoundError
        If there is no such project or entry point.
    """
    problems = _problems(model, request)
    if problems:
        raise BadInputError(" ".join(problems))
    entry_point = projects.entry_point(request.project, request.entry_point)
    folder = projects.folder(request.project)
    # Whether there is a champion to go on from is seen when it trains.
    values = parameters_for(model, request, entry_point, None, folder)
    parameters = {name: values.all[name] for name in request.parameters}
    return replace(request, parameters=parameters, artifact_path=request.artifact_path.strip("/"))


def _problems(model: str, request: ScheduleRequest) -> list[str]:
    found = []
    if not model.strip() or len(model) > _LONGEST_NAME or any(one in model for one in "/:"):
        found.append(f"No model can have the name {model!r}: give one without / and :.")
    for name, (low, high) in _RANGES.items():
        value = getattr(request, name)
        if not low <= value <= high:
            found.append(f"{name} is {value}; accepted is a whole number from {low:,} to {high:,}.")
    if not request.artifact_path.strip("/ "):
        found.append("The artifact path is empty: name the model's folder among the run's artifacts.")
    for read, value in ((times.read_zone, request.zone), (times.read_time, request.time_of_day)):
        try:
            read(value)
        except BadInputError as error:
            found.append(str(error))
    first = request.first_day
    if first is not None and not _YEARS[0] <= first.year <= _YEARS[1]:
        found.append(f"The first day is {first}; accepted are the years {_YEARS[0]} to {_YEARS[1]}.")
    return found
