"""A value of greenroom.toml with its key and place, so that a refusal can name them and what is accepted."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from core.errors import BadInputError

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was read, its key from the top of the file, and what the file is called."""

    value: Any
    key: str
    place: str

    def refuse(self, accepted: str) -> NoReturn:
        """Raise an error that names what is accepted."""
        raise BadInputError(f"{self.key} in {self.place} is {self.value!r}; accepted is {accepted}.")

    @property
    def is_off(self) -> bool:
        """Whether the value is ``false``."""
        return self.value is False

    @property
    def is_table(self) -> bool:
        """Whether the value is a table."""
        return isinstance(self.value, Mapping)

    def entries(self, form: str) -> dict[str, Given]:
        """Return the values of a table, whatever their keys; `form` is an example of what is accepted."""
        if not isinstance(self.value, Mapping):
            self.refuse(form)
        return {
            name: Given(value, f"{self.key}.{_as_key(name)}", self.place)
            for name, value in self.value.items()
        }

    def table(self, accepted: Iterable[str], form: str) -> dict[str, Given]:
        """Return the values of a table that has no other than the accepted keys."""
        found, known = self.entries(form), list(accepted)
        for name in found:
            if name not in known:
                raise BadInputError(
                    f"The key '{name}' under {self.key} in {self.place} is not known.{_hint(name, known)} "
                    f"Accepted: {', '.join(known)}."
                )
        return found

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            self.refuse("true or false")
        return self.value

    def number(self, low: float = -math.inf, high: float = math.inf) -> float:
        """Return a finite number within bounds, both included."""
        if not _is_number(self.value) or not low <= self.value <= high:
            self.refuse(f"a number{_within(low, high)}")
        return float(self.value)

    def whole(self, low: int, high: int) -> int:
        """Return a whole number within bounds, both included."""
        if not _is_number(self.value) or self.value != int(self.value) or not low <= self.value <= high:
            self.refuse(f"a whole number{_within(low, high)}")
        return int(self.value)

    def text(self) -> str:
        """Return a text that is not empty, without blanks around it."""
        if not isinstance(self.value, str) or not self.value.strip():
            self.refuse("a text in quotes that is not empty")
        return self.value.strip()

    def choice(self, accepted: Iterable[str]) -> str:
        """Return one of the accepted texts."""
        known = list(accepted)
        if self.value not in known:
            named = ", ".join(f'"{one}"' for one in known)
            raise BadInputError(
                f"{self.key} in {self.place} is {self.value!r}.{_hint(str(self.value), known)} Accepted: {named}."
            )
        return str(self.value)

    def items(self, form: str) -> list[Given]:
        """Return the values of a list; `form` is an example of what is accepted."""
        if not isinstance(self.value, list | tuple):
            self.refuse(form)
        return [
            Given(value, f"{self.key}[{index}]", self.place)
            for index, value in enumerate(self.value, start=1)
        ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _within(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    return f" of {low:g} or more" if math.isinf(high) else f" from {low:g} to {high:g}"


def _as_key(name: str) -> str:
    return name if _BARE.fullmatch(name) else f'"{name}"'


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""
