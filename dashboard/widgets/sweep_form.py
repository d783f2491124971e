"""Several values for some parameters: how many runs that makes."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import streamlit as st

from core.training.projects.types import EntryPoint, Parameter, ParameterKind
from dashboard.formats import count, escape_markdown
from dashboard.widgets.parameter_form import label_of


def varied_of(prefix: str) -> tuple[str, ...]:
    """Return the parameters that are varied, before the fields are drawn."""
    return tuple(st.session_state.get(f"{prefix}:varied", ()) or ())


def draw(entry: EntryPoint, prefix: str) -> dict[str, tuple[str, ...]]:
    """Draw the choice of parameters with a field each, and return the values to try."""
    names = [one.name for one in entry.parameters if one.kind is not ParameterKind.PATH]
    if not names:
        return {}
    chosen = st.multiselect(
        "Try several values of",
        names,
        key=f"{prefix}:varied",
        placeholder="A parameter, to launch a sweep",
        help="Every combination becomes a run of its own, all of them under one parent run.",
    )
    grid: dict[str, tuple[str, ...]] = {}
    for name in chosen:
        parameter = entry.parameter(name)
        if parameter is not None:
            grid[name] = _values(parameter, f"{prefix}:values:{name}")
    if grid:
        _say(grid)
    return grid


def runs_of(grid: Mapping[str, tuple[str, ...]]) -> int:
    """Return how many runs a grid makes."""
    return prod(len(values) for values in grid.values()) if grid else 1


def _values(parameter: Parameter, key: str) -> tuple[str, ...]:
    if parameter.choices:
        return tuple(st.multiselect(label_of(parameter), parameter.choices, key=key))
    default = parameter.default or ""
    text = st.text_input(
        label_of(parameter),
        key=key,
        placeholder=f"{default}, ..." if default else "1, 2, 3",
        help="With a comma between them, or a semicolon where the values hold commas.",
    )
    between = ";" if ";" in (text or "") else ","
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(between) if part.strip()))


def _say(grid: Mapping[str, tuple[str, ...]]) -> None:
    empty = [name for name, values in grid.items() if not values]
    if empty:
        st.caption(f"Give values of {escape_markdown(', '.join(empty))}.")
        return
    how = " × ".join(f"{len(values)}" for values in grid.values())
    sum_of = f" ({how})" if len(grid) > 1 else ""
    st.caption(f"Makes {count(runs_of(grid), 'run')}{sum_of} under one parent run.")
