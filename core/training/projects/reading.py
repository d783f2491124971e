"""Read an MLproject file: what MLflow reads in it, and what Greenroom's form asks beyond.

MLflow ignores keys that it does not know. Of a parameter, Greenroom reads ``help``, ``label``, ``unit``, ``min``,
``max`` and ``choices``; of an entry point, ``help`` and ``resumes``.
"""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any, Final, NoReturn

from core.errors import BadInputError
from core.training.projects.mlproject_file import find_file, read_table
from core.training.projects.template import check_names, parse
from core.training.projects.types import EntryPoint, Parameter, ParameterKind, Project
from core.training.projects.wording import shown, what

_ENVIRONMENTS: Final = ("docker_env", "python_env", "conda_env")
_DEFAULT_FILES: Final = (("python_env", "python_env.yaml"), ("conda_env", "conda.yaml"))
_KINDS: Final = {
    **{one.value: one for one in ParameterKind},
    "integer": ParameterKind.INT,
    "number": ParameterKind.FLOAT,
    "boolean": ParameterKind.BOOL,
}
_Scalar = str | int | float | bool | datetime.date


def read_project(name: str, folder: Path, place: str | None = None, commit: str | None = None) -> Project:
    """Read the project in a folder.

    Parameters
    ----------
    name : str
        What Greenroom calls it; the name in the file is not read.
    folder : Path
    place : str, optional
        Where it comes from, for people; the folder if not given.
    commit : str, optional

    Raises
    ------
    NotFoundError
        If there is no such folder.
    BadInputError
        If its MLproject file cannot be read, or asks for what Greenroom does not run.
    """
    path = find_file(name, folder)
    shown_place = place or str(folder)
    if path is None:
        note = (
            "Without an MLproject file, it lists no entry point. MLflow would run any .py or .sh file of it; write an "
            "MLproject file that names those to launch here."
        )
        return Project(name, shown_place, folder, (), _default_environment(folder), note, commit)
    reader = _Reader(name, folder, f"The project '{name}': {path}")
    table = read_table(reader.whose, folder, path)
    entry_points = reader.entry_points(table)
    environment = reader.environment(table)
    note = "" if entry_points else f"{path.name} lists no entry point."
    return Project(name, shown_place, folder, entry_points, environment, note, commit)


def _default_environment(folder: Path) -> str:
    return next((f"{key}: {file}" for key, file in _DEFAULT_FILES if (folder / file).exists()), "")


class _Reader:
    """Reads the parsed file of one project; its errors name both."""

    def __init__(self, project: str, folder: Path, whose: str) -> None:
        self.whose = whose
        self._project = project
        self._folder = folder

    def refuse(self, sentence: str) -> NoReturn:
        raise BadInputError(f"{self.whose}: {sentence} Correct the file.")

    def environment(self, table: dict[Any, Any]) -> str:
        named = [key for key in _ENVIRONMENTS if key in table]
        if len(named) > 1:
            self.refuse(f"it names {' and '.join(named)}, but a project has one environment.")
        if "databricks_spark_job" in table and table["databricks_spark_job"] is not None:
            self.refuse("it is a job for Databricks, which Greenroom does not launch.")
        value = table[named[0]] if named else None
        if not value:
            return _default_environment(self._folder)
        if named[0] == "docker_env":
            if not isinstance(value, dict) or not isinstance(value.get("image"), str):
                self.refuse("docker_env must be a table with an image.")
            return f"docker_env: {value['image']}"
        if not isinstance(value, str):
            self.refuse(f"{named[0]} must be the name of a file, not {what(value)}.")
        try:
            there = (self._folder / value).exists()
        except (OSError, ValueError):
            there = False
        if not there:
            self.refuse(f"it names the {named[0]} {shown(value)}, but there is no such file.")
        return f"{named[0]}: {value}"

    def entry_points(self, table: dict[Any, Any]) -> tuple[EntryPoint, ...]:
        listed = table.get("entry_points", {})
        if not isinstance(listed, dict):
            self.refuse(f"entry_points must be a table of name: entry point, not {what(listed)}.")
        return tuple(self._entry_point(str(name), value) for name, value in listed.items())

    def _entry_point(self, name: str, value: Any) -> EntryPoint:
        whose = f"the entry point {shown(name)}"
        if not isinstance(value, dict):
            self.refuse(f"{whose} must be a table with the key command, not {what(value)}.")
        given = value.get("parameters", {})
        if not isinstance(given, dict):
            self.refuse(f"the parameters of {whose} must be a table of name: type, not {what(given)}.")
        parameters = tuple(
            self._parameter(str(key), one, f"the parameter {shown(str(key))} of {whose}")
            for key, one in given.items()
        )
        command = value.get("command")
        if not isinstance(command, str) or not command.strip():
            self.refuse(f"the command of {whose} must be a text, not {what(command)}.")
        if "\0" in command:
            self.refuse(f"the command of {whose} holds a NUL character.")
        try:
            check_names(parse(command), tuple(one.name for one in parameters))
        except BadInputError as error:
            self.refuse(f"the command of {whose} cannot be used: {error}.")
        resumes = value.get("resumes", False)
        if not isinstance(resumes, bool):
            self.refuse(f"resumes of {whose} must be true or false, not {what(resumes)}.")
        return EntryPoint(self._project, name, self._text(value, "help", whose), parameters, command, resumes)

    def _parameter(self, name: str, value: Any, whose: str) -> Parameter:
        if isinstance(value, str):
            return Parameter(name, self._kind(value, (), whose))
        if not isinstance(value, dict):
            self.refuse(f"{whose} must be a type, or a table with type and default, not {what(value)}.")
        choices = self._choices(value.get("choices"), whose)
        low, high = self._number(value, "min", whose), self._number(value, "max", whose)
        if low is not None and high is not None and low > high:
            self.refuse(f"{whose} has a min of {low:g} above its max of {high:g}.")
        return Parameter(
            name=name,
            kind=self._kind(value.get("type", "string"), choices, whose),
            default=self._default(value.get("default"), whose),
            help=self._text(value, "help", whose),
            choices=choices,
            minimum=low,
            maximum=high,
            unit=self._text(value, "unit", whose),
            label=self._text(value, "label", whose),
        )

    def _kind(self, written: Any, choices: tuple[str, ...], whose: str) -> ParameterKind:
        # MLflow takes any word for a type, and hands over what it does not know as it is.
        kind = _KINDS.get(written, ParameterKind.STRING) if isinstance(written, str) else ParameterKind.STRING
        if kind is ParameterKind.CHOICE and not choices:
            self.refuse(f"{whose} has the type choice, but no list of choices.")
        return ParameterKind.CHOICE if choices else kind

    def _default(self, value: Any, whose: str) -> str | None:
        if value is None:
            return None
        if not isinstance(value, _Scalar):
            self.refuse(f"the default of {whose} must be a text or a number, not {what(value)}.")
        return self._as_text(value, f"the default of {whose}")

    def _choices(self, value: Any, whose: str) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list) or not value or not all(isinstance(one, _Scalar) for one in value):
            self.refuse(f"the choices of {whose} must be a list of texts or numbers that is not empty.")
        return tuple(self._as_text(one, f"a choice of {whose}") for one in value)

    def _as_text(self, value: object, which: str) -> str:
        try:
            return str(value)
        except ValueError:
            # Python writes no whole number of more than 4,300 digits.
            self.refuse(f"{which} is too long a number.")

    def _number(self, table: dict[Any, Any], key: str, whose: str) -> float | None:
        value = table.get(key)
        if value is None:
            return None
        try:
            # YAML 1.1 reads 1e-5 as a text.
            number = (
                float(value)
                if isinstance(value, str | int | float) and not isinstance(value, bool)
                else math.nan
            )
        except (ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            self.refuse(f"{key} of {whose} must be a number, not {shown(value)}.")
        return number

    def _text(self, table: dict[Any, Any], key: str, whose: str) -> str:
        value = table.get(key)
        if value is not None and not isinstance(value, str):
            self.refuse(f"{key} of {whose} must be a text, not {what(value)}.")
        return value.strip() if value else ""
