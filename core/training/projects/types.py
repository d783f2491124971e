"""Values of a project: its entry points, their parameters, and the table that names it in greenroom.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class ParameterKind(StrEnum):
    """What the value of a parameter is; values are texts whatever the kind."""

    STRING = "string"
    FLOAT = "float"
    INT = "int"
    BOOL = "bool"
    CHOICE = "choice"
    PATH = "path"
    URI = "uri"


class EnvironmentManager(StrEnum):
    """What makes the environment that a project runs in, as MLflow names it; local: the one Greenroom runs in."""

    LOCAL = "local"
    VIRTUALENV = "virtualenv"
    CONDA = "conda"
    UV = "uv"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an entry point.

    Attributes
    ----------
    default : str or None
        None where a value must be given.
    help, label, unit : str
        For the form; empty where the project says nothing.
    choices : tuple of str
        Accepted values; empty where any is.
    minimum, maximum : float or None
        Smallest and largest accepted number.
    """

    name: str
    kind: ParameterKind = ParameterKind.STRING
    default: str | None = None
    help: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """What can be launched.

    Attributes
    ----------
    project : str
        Name of the project it belongs to.
    command : str
        Template as the file has it: ``{name}`` stands for a parameter's value, ``{{`` and ``}}`` for braces.
    resumes : bool
        Whether it goes on where it stopped when it is started again with the same run.
    """

    project: str
    name: str
    help: str
    parameters: tuple[Parameter, ...]
    command: str
    resumes: bool = False

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of this name, or None."""
        return next((one for one in self.parameters if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Project:
    """A project that can be read.

    Attributes
    ----------
    place : str
        Where it comes from, for people: a folder, or a git address without its password.
    folder : Path or None
        Where its files are; None for a git project that was never fetched.
    environment : str
        The environment it asks for, as ``python_env: python_env.yaml``; empty if none.
    note : str
        What there is to say about it, such as why it lists no entry point.
    commit : str or None
        Of a git project: the commit that `folder` holds.
    """

    name: str
    place: str
    folder: Path | None
    entry_points: tuple[EntryPoint, ...]
    environment: str = ""
    note: str = ""
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class BrokenProject:
    """A project that cannot be read, and the sentence that says why."""

    name: str
    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProjectSetting:
    """A table ``[projects.NAME]``.

    Attributes
    ----------
    source : str
        Absolute folder, or git address.
    ref : str or None
        Branch, tag or commit of a git address; None: its default branch.
    env_manager : EnvironmentManager
    ray_runtime_env : mapping
        What Ray is told to make ready, as its Jobs API takes it.
    """

    name: str
    source: str
    ref: str | None = None
    env_manager: EnvironmentManager = EnvironmentManager.LOCAL
    ray_runtime_env: Mapping[str, Any] = field(default_factory=dict)
