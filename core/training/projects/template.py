"""Take a command's template apart: texts, and placeholders as MLflow's `str.format` reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import Formatter
from typing import TypeAlias

from core.errors import BadInputError
from core.training.projects.wording import hint, listed, shown


@dataclass(frozen=True, slots=True)
class Placeholder:
    """``{name}`` in a template."""

    name: str


Part: TypeAlias = str | Placeholder


def parse(template: str) -> tuple[Part, ...]:
    """Take a template apart; ``{{`` and ``}}`` in it become braces.

    Raises
    ------
    BadInputError
        For braces that do not close, and for placeholders that are more than a name. The sentence begins small, so
        that the caller says whose command it is.
    """
    parts: list[Part] = []
    try:
        for text, name, form, conversion in Formatter().parse(template):
            if text:
                parts.append(text)
            if name is None:
                continue
            if not name or name.isdigit() or form or conversion or any(mark in name for mark in ".["):
                written = "{" + name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
                raise BadInputError(
                    f"the placeholder {shown(written + '}')} is no name of a parameter. Write {{NAME}} for a "
                    "parameter's value, and {{ and }} doubled for braces that are meant"
                )
            parts.append(Placeholder(name))
    except ValueError as error:
        raise BadInputError(
            f"its braces cannot be read ({error}). Write {{{{ and }}}} doubled for braces that are meant"
        ) from error
    return tuple(_joined(parts))


def check_names(parts: tuple[Part, ...], known: tuple[str, ...]) -> None:
    """Refuse placeholders that no parameter stands behind.

    Raises
    ------
    BadInputError
    """
    for part in parts:
        if isinstance(part, Placeholder) and part.name not in known:
            raise BadInputError(
                f"it has the placeholder {{{part.name}}}, but there is no such parameter."
                f"{hint(part.name, known)} Parameters: {listed(known)}"
            )


def _joined(parts: list[Part]) -> Iterator[Part]:
    # `{{` ends a text, so that neighbours would be read apart: `$` from the brace that follows it.
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        if text:
            yield text
        text = ""
        yield part
    if text:
        yield text
