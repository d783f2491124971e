"""A form made from an entry point's parameters: each kind has its field, and says at once what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import streamlit as st

from core.training.projects.parameters import examine
from core.training.projects.types import EntryPoint, Parameter, ParameterKind
from dashboard import data
from dashboard.formats import escape_markdown
from dashboard.widgets import parameter_file

_COLUMNS: Final = 4
_YES: Final = ("true", "1", "yes", "on")
_NUMBERS: Final = (ParameterKind.INT, ParameterKind.FLOAT)
# What a browser counts exactly.
_LARGEST_WHOLE: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Filled:
    """What somebody has filled in.

    Attributes
    ----------
    values : mapping of str to str
        Those that are not the default.
    problems : mapping of str to str
        What is wrong, by parameter; a value that is not given yet is none.
    """

    values: Mapping[str, str]
    problems: Mapping[str, str]


def draw(entry: EntryPoint, given: Mapping[str, str], prefix: str, *, varied: Collection[str] = ()) -> Filled:
    """Draw the fields, those that must be filled in and files first.

    Parameters
    ----------
    given : mapping of str to str
        What the fields begin with, where that is not the default.
    prefix : str
        Of the widgets' keys: another prefix begins anew.
    varied : collection of str
        Parameters that a sweep gives their values.
    """
    wide = [one for one in entry.parameters if one.kind is ParameterKind.PATH or one.default is None]
    narrow = sorted(
        (one for one in entry.parameters if one not in wide), key=lambda one: one.kind is ParameterKind.BOOL
    )
    values: dict[str, str] = {}
    places = {}
    for one in wide:
        with st.container(gap="xxsmall"):
            _take(values, entry, one, given, prefix, varied)
            places[one.name] = st.empty()
    for first in range(0, len(narrow), _COLUMNS):
        for column, one in zip(st.columns(_COLUMNS), narrow[first : first + _COLUMNS], strict=False):
            with column.container(gap="xxsmall"):
                _take(values, entry, one, given, prefix, varied)
                places[one.name] = st.empty()
    problems = _problems(entry, values, varied)
    for name, sentence in problems.items():
        places[name].markdown(f":red[✕ {escape_markdown(sentence)}]")
    return Filled(values, problems)


def _take(
    values: dict[str, str],
    entry: EntryPoint,
    parameter: Parameter,
    given: Mapping[str, str],
    prefix: str,
    varied: Collection[str],
) -> None:
    """Draw a field and note its value, where it is not the default."""
    start = given.get(parameter.name, parameter.default)
    value = _field(entry, parameter, start, f"{prefix}:{parameter.name}", parameter.name in varied)
    if parameter.name in varied:
        return
    if value != (parameter.default or ""):
        values[parameter.name] = value


def _field(entry: EntryPoint, parameter: Parameter, start: str | None, key: str, disabled: bool) -> str:
    label, help = label_of(parameter), _help(parameter)
    text = start or ""
    if parameter.choices:
        return _choice(parameter, text, label, help, key, disabled)
    if parameter.kind is ParameterKind.BOOL:
        return _toggle(text, label, help, key, disabled)
    if parameter.kind in _NUMBERS and (number := _number_of(parameter, start)) is not None:
        return _number(parameter, start, number, label, help, key, disabled)
    if parameter.kind is ParameterKind.PATH:
        before = data.workspace().training.used_before(entry, parameter.name)
        return parameter_file.draw(label, text, help, key, disabled, before)
    placeholder = "Must be given" if parameter.default is None else None
    return (
        st.text_input(label, text, key=key, help=help, disabled=disabled, placeholder=placeholder) or ""
    ).strip()


def label_of(parameter: Parameter) -> str:
    """Return a field's name with its unit, for Markdown."""
    unit = f" ({parameter.unit})" if parameter.unit else ""
    return escape_markdown(f"{parameter.label or parameter.name}{unit}")


def _help(parameter: Parameter) -> str:
    default = "" if not parameter.default else f"Default: {parameter.default}."
    needed = "Must be given." if parameter.default is None else ""
    told = parameter.help.strip()
    parts = (told if not told or told.endswith((".", "?", "!")) else f"{told}.", default, needed)
    name = f"{parameter.name}: " if parameter.label else ""
    return escape_markdown(name + " ".join(part for part in parts if part))


def _choice(parameter: Parameter, text: str, label: str, help: str, key: str, disabled: bool) -> str:
    options = list(parameter.choices)
    if text and text not in options:
        options = [text, *options]
    index = options.index(text) if text in options else None
    return st.selectbox(label, options, index=index, key=key, help=help, disabled=disabled) or ""


def _toggle(text: str, label: str, help: str, key: str, disabled: bool) -> str:
    on = text.strip().lower() in _YES
    chosen = st.toggle(label, on, key=key, help=help, disabled=disabled)
    # The spelling that was there stays, for a project may read no other.
    return text if chosen == on else str(chosen).lower()


def _number_of(parameter: Parameter, start: str | None) -> float | int | None:
    """Return the number that a field begins with; NaN for an empty one, None where a text field must do."""
    if not start:
        return math.nan if start is None else None
    try:
        number = int(start) if parameter.kind is ParameterKind.INT else float(start)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) <= _LARGEST_WHOLE else None


def _number(
    parameter: Parameter,
    start: str | None,
    number: float | int,
    label: str,
    help: str,
    key: str,
    disabled: bool,
) -> str:
    low, high = parameter.minimum, parameter.maximum
    begin = None if math.isnan(number) else number
    # A default may mean something of its own and lie outside the range.
    if begin is not None:
        low = None if low is None else min(low, begin)
        high = None if high is None else max(high, begin)
    placeholder = "Must be given" if parameter.default is None else None
    chosen: float | int | None
    if parameter.kind is ParameterKind.INT:
        chosen = st.number_input(
            label,
            None if low is None else math.ceil(low),
            None if high is None else math.floor(high),
            None if begin is None else int(begin),
            1,
            "%d",
            key=key,
            help=help,
            disabled=disabled,
            placeholder=placeholder,
        )
    else:
        chosen = st.number_input(
            label,
            None if low is None else float(low),
            None if high is None else float(high),
            None if begin is None else float(begin),
            _step(begin),
            "%g",
            key=key,
            help=help,
            disabled=disabled,
            placeholder=placeholder,
        )
    if chosen is None:
        return ""
    # As it was written: 3e-4 is not logged as 0.0003.
    return start if start is not None and chosen == begin else repr(chosen)


def _step(number: float | None) -> float:
    return 0.1 if not number else 10.0 ** math.floor(math.log10(abs(number)))


def _problems(entry: EntryPoint, values: Mapping[str, str], varied: Collection[str]) -> dict[str, str]:
    """Return what is wrong with the values that are given."""
    _, found = examine(entry, values)
    return {
        one.parameter: one.sentence
        for one in found
        if one.parameter in values and one.parameter not in varied
    }
