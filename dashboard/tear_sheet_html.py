"""A tear sheet as one HTML file that opens anywhere, without a network and without Greenroom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import isnan

import plotly.graph_objects as go
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from core.backtests.types import Floats
from dashboard.charts.period_returns import MONTHS

# The file may show what it holds and fetch nothing; images are for Plotly's own "download as PNG".
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2321; --soft: #5d6663; --line: #dfe4e1; --page: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ecea; --soft: #a3ada9; --line: #37403c; --page: #131715; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px; max-width: 1180px; background: var(--page); color: var(--ink);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 22px; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 16px; margin: 28px 0 8px; }
p { margin: 4px 0; color: var(--soft); overflow-wrap: anywhere; }
dl { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 16px 0; }
dt { color: var(--soft); font-size: 12px; } dd { margin: 0; font-size: 22px; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } .wide table { min-width: 640px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 8px; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } .n { text-align: right; white-space: nowrap; }
.months td, .months th { text-align: right; padding: 3px 6px; }
@media print { body { max-width: none; padding: 0; } }
"""


@dataclass(frozen=True, slots=True)
class HtmlTable:
    """A titled table; the columns named in `numbers` are right-aligned."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class HtmlTearSheet:
    """Everything that the file shows, as plain texts; all of it is escaped here.

    Attributes
    ----------
    figures : sequence of Figure
        Time series, drawn by the Plotly that is put into the file.
    months : tuple of (years, matrix)
        Returns of each month as fractions, shape (years, 12); NaN where there is none.
    """

    title: str
    facts: Sequence[str]
    headline: Sequence[tuple[str, str]]
    figures: Sequence[go.Figure]
    months: tuple[Sequence[int], Floats]
    tables: Sequence[HtmlTable]
    notes: Sequence[str]


def tear_sheet_html(sheet: HtmlTearSheet) -> str:
    """Write the file."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(sheet.title)}</title><style>{_STYLE}</style>",
        f"<script>{get_plotlyjs()}</script></head><body>",
        f"<h1>{escape(sheet.title)}</h1>",
        *(f"<p>{escape(fact)}</p>" for fact in sheet.facts),
        "<dl>",
        *(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in sheet.headline),
        "</dl>",
        *(_figure(figure) for figure in sheet.figures),
        _months(*sheet.months),
        *(_table(table) for table in sheet.tables),
    ]
    if sheet.notes:
        notes = "".join(f"<li>{escape(note)}</li>" for note in sheet.notes)
        parts.append(f"<h2>Notes</h2><ul>{notes}</ul>")
    return "\n".join([*parts, "</body></html>\n"])


def _figure(figure: go.Figure) -> str:
    drawn = go.Figure(figure).update_layout(
        template="none", dragmode="zoom", font={"color": "#767676", "family": "system-ui, sans-serif"}
    )
    config = {"responsive": True, "displaylogo": False}
    html: str = to_html(drawn, full_html=False, include_plotlyjs=False, config=config, default_width="100%")
    return html


def _table(table: HtmlTable) -> str:
    kind: Callable[[str], str] = lambda column: ' class="n"' if column in table.numbers else ""  # noqa: E731
    head = "".join(f"<th{kind(column)}>{escape(column)}</th>" for column in table.columns)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{kind(column)}>{escape(cell)}</td>" for column, cell in zip(table.columns, row, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    return (
        f'<h2>{escape(table.title)}</h2><div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _months(years: Sequence[int], matrix: Floats) -> str:
    if not len(years):
        return ""
    head = "".join(f"<th>{name}</th>" for name in ("Year", *MONTHS, "Total"))
    largest = max((abs(float(value)) for value in matrix.flat if not isnan(value)), default=0.0) or 1.0
    rows = []
    for year, row in zip(years, matrix, strict=True):
        known = [float(value) for value in row if not isnan(value)]
        total = 1.0
        for value in known:
            total *= 1 + value
        cells = "".join(_month(float(value), largest) for value in row)
        rows.append(f"<tr><th>{int(year)}</th>{cells}<td><b>{total - 1:.1%}</b></td></tr>")
    return (
        '<h2>Monthly returns</h2><div class="wide"><table class="months">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _month(value: float, largest: float) -> str:
    if isnan(value):
        return "<td>–</td>"
    # Blue for gains, orange for losses, as in the chart; the ink stays legible on the faint ground.
    colour = "0, 114, 178" if value >= 0 else "213, 94, 0"
    return f'<td style="background: rgba({colour}, {0.45 * abs(value) / largest:.2f})">{value:.1%}</td>'
