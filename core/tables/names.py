"""Names: those that columns of tables go by, how one is compared with them and sorted, the words in that of a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath


def spellings(text: str) -> tuple[str, ...]:
    """Take a line of names apart: in order of preference, written as `plain` leaves them, our own name first."""
    return tuple(text.split())


TIME = spellings(
    "time date datetime timestamp index unnamed0 ts ds day dt bartime datetimeutc dates times timestamps"
)


def matching(columns: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Give the columns that go by these names, in the order of the names."""
    written = {name: plain(name) for name in columns}
    exact = [name for name in columns if name == names[0]]
    found = [column for wanted in names for column, name in written.items() if name == wanted]
    return tuple(dict.fromkeys((*exact, *found)))


def plain(name: str) -> str:
    """Leave the letters and digits of a name, in lower case, and % as pct."""
    return re.sub(r"[^a-z0-9]+", "", name.lower().replace("%", "pct"))


def first(names: Sequence[str]) -> str | None:
    """Give the preferred one of some names, if there is any."""
    return names[0] if names else None


def name_words(path: str) -> frozenset[str]:
    """Take the name of a file apart: "backtest/PortfolioValues_2024.json" has portfolio, values, 2024."""
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", PurePosixPath(path).stem)
    return frozenset(re.findall(r"[a-z]+|[0-9]+", stem.lower()))


def natural_key(text: str) -> list[str | int]:
    """Return what a text is sorted by so that 2 comes before 10: its words and its numbers, in turns."""
    # Words and digits take turns, so that like is compared with like.
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", text))]
