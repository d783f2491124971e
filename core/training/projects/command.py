"""From an entry point's template and values to an argument list; no value is ever parsed by a shell."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from typing import Final

from core.errors import BadInputError
from core.training.projects.shell import reads_values_as_code, with_references
from core.training.projects.template import Part, Placeholder, check_names, parse
from core.training.projects.types import EntryPoint
from core.training.projects.wording import shown

# Marks a value's place while the template is split into words. No text of a process can hold it.
_MARK: Final = "\0"
_SHELL: Final = re.compile(r"[|&;<>()$`*?\[\]~#!{}\n\r]")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*\+?=")
# What bash does itself when a command begins so; a program of the name may not exist.
_ITS_OWN: Final = """
. : alias bg builtin case cd command coproc declare dirs disown enable eval exec exit export fg for function getopts
hash if jobs let local mapfile popd pushd read readarray readonly return select set shift shopt source time times trap
type typeset ulimit umask unalias unset until wait while
"""
_BUILTINS: Final = frozenset(_ITS_OWN.split())
_LAST_BREAK: Final = re.compile(r"(?<!\\)\n\s*\Z")
_PYTHONS: Final = ("python", "python3")
_LEADING_PYTHON: Final = re.compile(r"(?:python3?)(?=\s|$)")
# What no reading of a shell takes for more than a word.
_PLAIN_WORD: Final = re.compile(r"[\w@%+:,./-]*", re.ASCII)


def argument_list(
    entry_point: EntryPoint, values: Mapping[str, str], python: str = sys.executable
) -> tuple[str, ...]:
    """Return the arguments that start an entry point.

    A template without shell syntax is split into words as a shell would, and the values put into them. One with shell
    syntax is run by ``bash -c``, with the values as arguments that the script refers to. Values that belong to
    no parameter are appended as ``--key value``, as MLflow does.

    Parameters
    ----------
    values : mapping of str to str
        A value for each parameter, as `checked` returns them.
    python : str
        What a leading ``python`` or ``python3`` stands for. Any further one is looked for in PATH, so that its folder
        should come first there.

    Raises
    ------
    BadInputError
        If the command cannot be read, a value is missing or cannot be handed to a process, or the template makes
        a shell parse a value that is more than a plain word.
    """
    names = tuple(one.name for one in entry_point.parameters)
    extra = tuple(text for key in values if key not in names for text in (f"--{key}", values[key]))
    try:
        parts = _stripped(parse(entry_point.command))
        check_names(parts, names)
        used = {part.name: _value(part.name, values) for part in parts if isinstance(part, Placeholder)}
        _check_texts((entry_point.command, *used.values(), *extra))
        template = "".join(part if isinstance(part, str) else _MARK for part in parts)
        if reads_values_as_code(template):
            _check_plain(used)
        if not template.strip():
            raise BadInputError("it is empty")
        if _needs_bash(template):
            return _by_bash(parts, used, extra, python)
        return (*_words(parts, template, used, python), *extra)
    except BadInputError as error:
        raise BadInputError(
            f"The command of the entry point '{entry_point.name}' of the project '{entry_point.project}' cannot be "
            f"used: {error}."
        ) from error


def _words(parts: tuple[Part, ...], template: str, used: Mapping[str, str], python: str) -> tuple[str, ...]:
    try:
        tokens = shlex.split(template)
    except ValueError as error:
        raise BadInputError(f"a quote in it is not closed ({error})") from error
    values = iter(used[part.name] for part in parts if isinstance(part, Placeholder))
    if tokens[0] in _PYTHONS:
        tokens[0] = python
    pieces = (re.split(f"({_MARK})", token) for token in tokens)
    return tuple("".join(next(values) if one == _MARK else one for one in token) for token in pieces)


def _by_bash(
    parts: tuple[Part, ...], used: Mapping[str, str], extra: tuple[str, ...], python: str
) -> tuple[str, ...]:
    variables = {name: f"_greenroom_{number}" for number, name in enumerate(used, 1)}
    script = with_references(parts, variables)
    handed = [(variables[name], value) for name, value in used.items()]
    if _LEADING_PYTHON.match(script):
        script = _LEADING_PYTHON.sub('"${_greenroom_python}"', script, count=1)
        handed.append(("_greenroom_python", python))
    for number, text in enumerate(extra, 1):
        script += f' "${{_greenroom_extra_{number}}}"'
        handed.append((f"_greenroom_extra_{number}", text))
    # Named variables, because functions, `set --` and `shift` of the template change the numbered ones; and without
    # arguments left, because the template would have none with MLflow, either.
    taken = " ".join(f"{name}=${{{number}}}" for number, (name, _) in enumerate(handed, 1))
    return (
        "bash",
        "-c",
        f"{taken}; set --; {script}" if taken else script,
        "greenroom",
        *(one for _, one in handed),
    )


def _needs_bash(template: str) -> bool:
    if _SHELL.search(template):
        return True
    first = template.split(maxsplit=1)[0]
    return first in _BUILTINS or _ASSIGNMENT.match(first) is not None


def _stripped(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    # A block text of YAML ends with a line break, which would cut what is appended from the command.
    if parts and isinstance(parts[-1], str):
        return (*parts[:-1], _LAST_BREAK.sub("", parts[-1]))
    return parts


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise BadInputError(f"the parameter '{name}' has no value. Give it one")
    return values[name]


def _check_texts(texts: tuple[str, ...]) -> None:
    for text in texts:
        if "\0" in text or any("\ud800" <= one <= "\udfff" for one in text):
            raise BadInputError(f"{shown(text)} holds a character that no argument can hold. Remove it")


def _check_plain(used: Mapping[str, str]) -> None:
    for name, value in used.items():
        if not _PLAIN_WORD.fullmatch(value):
            raise BadInputError(
                f"it makes a shell parse values (eval, sh -c, (( )), [[ ]] and the like), and the value of '{name}' is "
                f"more than a plain word: {shown(value)}. Give another value, or have the command rewritten so that "
                f"{{{name}}} is an argument"
            )
