"""Check the values given to an entry point, and fill in the defaults."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from core.errors import BadInputError
from core.training.projects.types import EntryPoint, Parameter, ParameterKind
from core.training.projects.wording import hint, listed, shown

# MLflow logs every parameter of a run, and takes no longer value.
MAX_LENGTH: Final = 6000
_UNUSABLE: Final = re.compile("[\0\n\r\ud800-\udfff]")
_WHOLE: Final = re.compile(r"[+-]?\d{1,300}", re.ASCII)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# How trainers write yes and no.
_PAIRS: Final = (("true", "false"), ("True", "False"), ("1", "0"), ("yes", "no"), ("on", "off"))


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the value of one parameter: a sentence that names it."""

    parameter: str
    sentence: str


def checked(entry_point: EntryPoint, given: Mapping[str, str], folder: Path | None = None) -> dict[str, str]:
    """Return a value for every parameter, in their order.

    Paths become absolute. Yes and no are written as the default writes them. A value that is the default is not held
    against range, choices and kind, as defaults such as 0 or an empty text may mean something of their own.

    Parameters
    ----------
    given : mapping of str to str
    folder : Path, optional
        The project's files: a default path that is there is taken from there. Every other path counts from the current
        folder.

    Raises
    ------
    BadInputError
        With a sentence for each value that is missing, unknown or cannot be used.
    """
    values, problems = examine(entry_point, given, folder)
    if problems:
        sentences = " ".join(one.sentence for one in problems)
        raise BadInputError(
            f"The entry point '{entry_point.name}' of the project '{entry_point.project}' cannot be launched like "
            f"this. {sentences}"
        )
    return values


def examine(
    entry_point: EntryPoint, given: Mapping[str, str], folder: Path | None = None
) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """Return the values that can be used, as `checked` does, and what is wrong with the others."""
    values: dict[str, str] = {}
    problems: list[Problem] = []
    names = [one.name for one in entry_point.parameters]
    for name in given:
        if name not in names:
            problems.append(
                Problem(
                    name,
                    f"There is no parameter {shown(name)}.{hint(name, names)} Parameters: {listed(names)}.",
                )
            )
    for parameter in entry_point.parameters:
        try:
            values[parameter.name] = _value(parameter, given.get(parameter.name), folder)
        except BadInputError as error:
            stop = "" if str(error).endswith("?") else "."
            problems.append(Problem(parameter.name, f"{parameter.name} {error}{stop}"))
    return values, tuple(problems)


def _value(parameter: Parameter, given: str | None, folder: Path | None) -> str:
    if given is None:
        if parameter.default is None:
            raise BadInputError("has no default: give it a value")
        given = parameter.default
    if not isinstance(given, str):
        raise BadInputError(f"is {shown(given)}: values are texts, so write it in quotes")
    if _UNUSABLE.search(given):
        raise BadInputError("holds a line break or a character that no argument can hold: remove it")
    value = _of_kind(parameter, given, folder)
    if len(value) > MAX_LENGTH:
        raise BadInputError(f"has {len(value):,} characters: MLflow takes {MAX_LENGTH:,} at most")
    return value


def _of_kind(parameter: Parameter, given: str, folder: Path | None) -> str:
    if parameter.kind is ParameterKind.PATH:
        return _path(given, parameter.default, folder)
    if given == parameter.default:
        return given
    if parameter.choices:
        return _choice(given, parameter.choices)
    match parameter.kind:
        case ParameterKind.INT | ParameterKind.FLOAT:
            return _number(parameter, given.strip())
        case ParameterKind.BOOL:
            return _yes_or_no(given.strip(), parameter.default)
        case ParameterKind.URI:
            if not _SCHEME.match(given):
                raise BadInputError(f"is {shown(given)}: a URI is asked for, such as s3://bucket/key")
    return given


def _choice(given: str, choices: tuple[str, ...]) -> str:
    if given not in choices:
        raise BadInputError(
            f"is {shown(given)}: accepted are {listed(choices)}.{hint(given, choices)}".rstrip(".")
        )
    return given


def _number(parameter: Parameter, given: str) -> str:
    whole = parameter.kind is ParameterKind.INT
    try:
        # float() takes 1_000 and digits of any script, which other languages do not.
        if not given.isascii() or "_" in given or (whole and not _WHOLE.fullmatch(given)):
            raise ValueError
        number = float(given)
        if not math.isfinite(number):
            raise ValueError
    except ValueError:
        kind = "a whole number" if whole else "a number such as 0.5 or 1e-3"
        raise BadInputError(f"is {shown(given)}: {kind} is asked for") from None
    low, high = parameter.minimum, parameter.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        raise BadInputError(f"is {given}: accepted is {_range(low, high)}")
    return given


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at least {low:g}" if low is not None else f"at most {high:g}"
    return f"{low:g} to {high:g}"


def _yes_or_no(given: str, default: str | None) -> str:
    style = next((pair for pair in _PAIRS if default in pair), _PAIRS[0])
    for yes, no in _PAIRS:
        if given.lower() in (yes.lower(), no.lower()):
            return style[0] if given.lower() == yes.lower() else style[1]
    raise BadInputError(f"is {shown(given)}: true or false is asked for")


def _path(given: str, default: str | None, folder: Path | None) -> str:
    if given == default == "":
        return given
    if not given:
        raise BadInputError("is empty: give it the path of a file or folder")
    if (local := _local(given)) is None:
        return given
    try:
        path = Path(local).expanduser()
        if given == default and folder is not None and (folder / path).exists():
            path = folder / path
        if not path.exists():
            raise BadInputError(f"is {shown(given)}, but there is no such file or folder: correct the path")
    except RuntimeError:
        raise BadInputError(
            f"is {shown(given)}, but there is no such user: write the path from / on"
        ) from None
    except OSError as error:
        raise BadInputError(f"is {shown(given)}, which cannot be looked at ({error.strerror})") from error
    # As MLflow does: links stay, so that what is logged is what was given.
    return os.path.normpath(path.absolute())


def _local(given: str) -> str | None:
    """Return the local path that is meant, or None for a URI of elsewhere."""
    if given[:5].lower() == "file:":
        try:
            parts = urlsplit(given)
        except ValueError:
            raise BadInputError(f"is {shown(given)}, which is no URI: correct it") from None
        return unquote(parts.path) if not parts.netloc else None
    return None if _SCHEME.match(given) else given
