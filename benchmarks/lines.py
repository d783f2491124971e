"""What is printed: one line a figure, with its limit and what another took for the same, and a table at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

_WIDTH = 160


@dataclass(frozen=True, slots=True)
class Line:
    """One figure.

    Attributes
    ----------
    subject : str
        The store, such as "100,000 runs".
    figure : float
        Greenroom's, in `unit`: "s" (seconds), "bytes", "times" or "share" (0 to 1).
    taken : str
        Which of how many measurements the figure is.
    limit : float, optional
        What the figure should not exceed.
    other : float, optional
        The figure of what would be used instead, of the same run, in `unit`.
    least_ratio : float, optional
        How many times faster than that Greenroom should at least be.
    instead : str
        What would be used instead.
    """

    subject: str
    what: str
    figure: float
    unit: str = "s"
    taken: str = ""
    limit: float | None = None
    other: float | None = None
    least_ratio: float | None = None
    instead: str = "MLflow"

    @property
    def ratio(self) -> float | None:
        """The other's figure divided by Greenroom's."""
        return None if self.other is None else self.other / self.figure

    @property
    def holds(self) -> bool | None:
        """Whether the limit is kept; None without one."""
        if self.limit is not None:
            return self.figure <= self.limit
        if self.least_ratio is not None and self.ratio is not None:
            return self.ratio >= self.least_ratio
        return None

    def cells(self) -> tuple[str, ...]:
        """Return the line as text, one cell a column of the table."""
        limit = "–"
        if self.limit is not None:
            limit = f"≤ {shown(self.limit, self.unit)}"
        elif self.least_ratio is not None:
            limit = f"≥ {self.least_ratio:g} × faster"
        return (
            self.subject,
            self.what,
            shown(self.figure, self.unit),
            self.taken,
            limit,
            "–" if self.other is None else f"{self.instead} {shown(self.other, self.unit)}",
            "–" if self.ratio is None else f"{shown_ratio(self.ratio)} ×",
            {True: "holds", False: "MISSED", None: "–"}[self.holds],
        )


def shown_ratio(ratio: float) -> str:
    """Return how many times faster, for people; two significant digits where it is slower."""
    return f"{ratio:,.1f}" if ratio >= 1 else f"{ratio:.2g}"


def shown(value: float, unit: str) -> str:
    """Return a figure for people, with three significant digits."""
    if unit == "bytes":
        return f"{value / 1e6:,.0f} MB" if value >= 1e7 else f"{value / 1e3:,.0f} kB"
    if unit == "share":
        return f"{value:.1%}"
    if unit == "times":
        return f"{value:.1f} ×"
    if value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g} s"


@dataclass
class Report:
    """Collects lines; each is printed when it is known."""

    lines: list[Line] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Print one line."""
        self.lines.append(line)
        subject, what, figure, taken, limit, other, ratio, holds = line.cells()
        parts = [f"{holds:6}", f"{subject}: {what}: {figure}" + (f" ({taken})" if taken else "")]
        if limit != "–":
            parts.append(f"limit {limit}")
        if other != "–":
            parts.append(f"{other}, {ratio}")
        print("  ".join(parts), flush=True)

    def table(self) -> None:
        """Print all lines once more."""
        table = Table(title="Greenroom and what would be used instead, measured in one run")
        for name in ("Store", "What"):
            table.add_column(name, overflow="fold")
        table.add_column("Greenroom", justify="right", no_wrap=True)
        table.add_column("Taken", overflow="fold")
        for name in ("Limit", "Instead", "Ratio"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        for line in self.lines:
            table.add_row(*line.cells())
        Console(width=_WIDTH).print(table)
        judged = [line.holds for line in self.lines if line.holds is not None]
        print(f"{sum(judged)} of {len(judged)} limits hold.")

    def save(self, path: Path, machine: Mapping[str, object]) -> None:
        """Write all lines as JSON; times in seconds, sizes in bytes."""
        lines = [{**asdict(line), "ratio": line.ratio, "holds": line.holds} for line in self.lines]
        path.write_text(json.dumps({"machine": machine, "lines": lines}, indent=2, ensure_ascii=False) + "\n")
