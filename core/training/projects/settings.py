"""The tables ``[projects.NAME]`` of greenroom.toml: which projects may be launched beside the built-in one.

[projects.demand]
source = "git@example.org:team/demand.git"   # or a folder
ref = "main"                                 # of a git address: branch, tag or commit
env_manager = "local"                        # or virtualenv, conda, uv
ray_runtime_env = { pip = ["x"] }
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from core.errors import BadInputError
from core.training.projects.types import EnvironmentManager, ProjectSetting
from core.training.projects.wording import hint, shown
from core.training.types import BUILT_IN

_KEYS: Final = ("source", "ref", "env_manager", "ray_runtime_env")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_REF: Final = re.compile(r"[\w@][\w./+@-]{0,199}", re.ASCII)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//|:)")
_SCP: Final = re.compile(r"[\w.-]+@[\w.-]+:[^\s:].*", re.ASCII)
_SCHEMES: Final = ("https", "ssh", "file")


def read_projects(value: Any, place: str) -> tuple[ProjectSetting, ...]:
    """Read the table ``[projects]``; its form is in the module's text.

    Parameters
    ----------
    value : object
        The table, or settings that were read before, which are returned as they are.
    place : str
        What the file is called, for errors.

    Raises
    ------
    BadInputError
        For an unknown key or a value that cannot be used: it names key, place and accepted values.
    """
    if isinstance(value, tuple) and all(isinstance(one, ProjectSetting) for one in value):
        return value
    if not isinstance(value, Mapping):
        raise BadInputError(f"projects in {place} must be a table of tables such as [projects.demand].")
    return tuple(_project(name, table, place) for name, table in value.items())


def is_git_address(source: str) -> bool:
    """Say whether a source is a git address, and not a folder."""
    return _SCHEME.match(source) is not None or _SCP.fullmatch(source) is not None


def _project(name: str, table: Any, place: str) -> ProjectSetting:
    key = f"projects.{name}"
    if name == BUILT_IN:
        raise BadInputError(f"{key} in {place}: '{BUILT_IN}' is the built-in project. Take another name.")
    if not _NAME.fullmatch(name):
        raise BadInputError(
            f"{key} in {place}: the name of a project has letters, digits, - and _ only, 64 at most. Take another name."
        )
    if not isinstance(table, Mapping):
        raise BadInputError(f'{key} in {place} must be a table such as source = "/path/to/project".')
    for one in table:
        if one not in _KEYS:
            raise BadInputError(
                f"The key '{key}.{one}' in {place} is not known.{hint(one, _KEYS)} Accepted: {', '.join(_KEYS)}."
            )
    if "source" not in table:
        raise BadInputError(f"{key} in {place} has no source. Name a folder or a git address.")
    source = _source(table["source"], f"{key}.source", place)
    return ProjectSetting(
        name,
        source,
        _ref(table.get("ref"), source, f"{key}.ref", place),
        _env_manager(table.get("env_manager", "local"), f"{key}.env_manager", place),
        _runtime_env(table.get("ray_runtime_env", {}), f"{key}.ray_runtime_env", place),
    )


def _source(value: Any, key: str, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadInputError(f"{key} in {place} must be a text in quotes that is not empty, not {value!r}.")
    source = value.strip()
    if source.startswith("-") or any(not one.isprintable() for one in source):
        raise BadInputError(f"{key} in {place} is {shown(source)}; accepted is a folder or a git address.")
    if (scheme := _SCHEME.match(source)) and (scheme[1] not in _SCHEMES or scheme[2] != "//"):
        raise BadInputError(
            f"{key} in {place} is {shown(source)}; accepted is a folder, or a git address that begins with https://, "
            "ssh:// or file://, or is written as user@host:path."
        )
    if is_git_address(source):
        return source
    try:
        return str(Path(source).expanduser().resolve())
    except (OSError, RuntimeError) as error:
        raise BadInputError(f"{key} in {place} is {shown(source)}, which is no folder: {error}.") from error


def _ref(value: Any, source: str, key: str, place: str) -> str | None:
    if value is None:
        return None
    if not is_git_address(source):
        raise BadInputError(f"{key} in {place} is for a git address, but the source is a folder. Remove it.")
    if not isinstance(value, str) or not _REF.fullmatch(value) or ".." in value:
        raise BadInputError(
            f"{key} in {place} is {shown(value)}; accepted is the name of a branch or tag, or a commit."
        )
    return value


def _env_manager(value: Any, key: str, place: str) -> EnvironmentManager:
    known = [one.value for one in EnvironmentManager]
    if value not in known:
        raise BadInputError(
            f"{key} in {place} is {shown(value)}; accepted are {', '.join(known)}.{hint(str(value), known)}"
        )
    return EnvironmentManager(value)


def _runtime_env(value: Any, key: str, place: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BadInputError(
            f'{key} in {place} must be a table such as {{ pip = ["x"] }}, not {shown(value)}.'
        )
    if not _is_json(value):
        raise BadInputError(
            f"{key} in {place} holds a date or time, which Ray does not take. Write it in quotes."
        )
    return dict(value)


def _is_json(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_json(one) for one in value.values())
    if isinstance(value, list):
        return all(_is_json(one) for one in value)
    return isinstance(value, str | int | float | bool)
