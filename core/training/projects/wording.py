"""Words that several sentences about projects share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from core.redaction import redact

_SHOWN = 80


def hint(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" where a known name is close, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Return names with commas between, or "none"."""
    return ", ".join(names) or "none"


def shown(value: object) -> str:
    """Return a value as Python writes it, without passwords, cut where it is long."""
    text = redact(value) if isinstance(value, str) else value
    written = repr(text[: _SHOWN + 1] if isinstance(text, str | bytes) else text)
    return written if len(written) <= _SHOWN else f"{written[:_SHOWN]}..."


def what(value: object) -> str:
    """Say what a value of a YAML or TOML file is."""
    names = {dict: "a table", list: "a list", str: "a text", bool: "true or false", type(None): "empty"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)
