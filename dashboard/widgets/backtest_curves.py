"""Equity and drawdown of one backtest or several, and the period that is picked by dragging over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import streamlit as st

from core.backtests.drawdowns import underwater
from core.backtests.tear_sheet import TearSheet
from core.backtests.types import EquityCurve, Floats
from dashboard import data
from dashboard.charts.equity import EquityBand, equity_figure
from dashboard.charts.theme import GREY, LineStyle
from dashboard.charts.time_series import TimeLine, picked_period
from dashboard.charts.underwater import underwater_figure
from dashboard.widgets import backtest_options, promotions, tables

_TABLE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class NamedSheet:
    """The tear sheet of a run with its name and looks.

    Attributes
    ----------
    identity : str
        Tells this curve, its state and its benchmark from all others; what is cached hangs on it.
    """

    run_id: str
    label: str
    style: LineStyle
    sheet: TearSheet
    identity: str

    def line(self, values: Floats) -> TimeLine:
        """Return values at the curve's times as a line in the run's looks."""
        return TimeLine(self.label, self.style.colour, self.sheet.curve.times, values, self.style.dash)

    def line_of_returns(self, values: Floats) -> TimeLine:
        """Return a value for each return as a line: the starting point has none."""
        return self.line(np.concatenate([[np.nan], values]))


def draw(
    lines: Sequence[TimeLine],
    only: TearSheet | None,
    bands: Sequence[EquityBand] = (),
    benchmark: TimeLine | None = None,
    run_ids: Sequence[str] = (),
) -> None:
    """Draw both charts under their switches.

    Parameters
    ----------
    lines : sequence of TimeLine
        Values of the portfolios.
    only : TearSheet, optional
        Given where there is a single backtest: its trades and falls are drawn too.
    run_ids : sequence of str
        The runs that are shown; promotions of their models are marked.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        log_y = st.toggle("Log", key="log", bind="query-params")
        rebased = only is None or st.toggle(
            "Growth of 1", key="rebased", bind="query-params", help="Divides by the starting capital."
        )
        trades = only.trades if only is not None else None
        marked = (
            trades is not None and len(trades) > 0 and st.toggle("Trades", key="marks", bind="query-params")
        )
    first, last = min(one.times[0] for one in lines), max(one.times[-1] for one in lines)
    figure = equity_figure(
        lines,
        log_y=log_y,
        rebased=rebased,
        title="Equity" if only is not None else "Equity, each run from 1",
        y_title="Growth of 1" if rebased else "Value",
        trades=trades if marked else None,
        benchmark=benchmark,
        bands=bands,
        events=promotions.events_of(data.workspace(), run_ids, first, last),
    )
    # A new key for another period: the box that picked it must not be drawn on what it picked.
    key = f"equity:{first}:{last}"
    st.plotly_chart(
        figure,
        key=key,
        on_select=lambda: _pick(key),
        selection_mode="box",
        alt="Equity over time; dragging picks a period",
    )
    falls = [replace(one, values=underwater(one.values)) for one in lines]
    episodes = only.drawdowns[:5] if only is not None else ()
    st.plotly_chart(underwater_figure(falls, episodes=episodes), key="underwater", alt="Drawdown over time")
    with st.expander("Data"):
        _table(lines, falls)


def _table(lines: Sequence[TimeLine], falls: Sequence[TimeLine]) -> None:
    """Draw the end of the curves as a table; the download has all of them."""
    parts = [_points(line, fall) for line, fall in zip(lines, falls, strict=True)]
    rows = sum(part.height for part in parts)
    each = max(1, _TABLE_ROWS // len(parts))
    if rows > each * len(parts):
        st.caption(f"The last {each:,} points of each curve, of {rows:,}; the download has all.")
    shown = pl.concat([part.tail(each).reverse() for part in parts])
    st.dataframe(
        tables.arrow(shown if len(parts) > 1 else shown.drop("Run")),
        hide_index=True,
        key="curve_data",
        column_config={
            "Value": st.column_config.NumberColumn(format="localized"),
            "Drawdown": st.column_config.NumberColumn(format="percent"),
        },
    )
    st.download_button(
        "CSV",
        lambda: data.as_csv(pl.concat(parts)),
        "curves.csv",
        "text/csv",
        key="curves_csv",
        on_click="ignore",
    )


def _points(line: TimeLine, fall: TimeLine) -> pl.DataFrame:
    moments = pl.Series(line.times, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.DataFrame(
        {
            "Run": pl.repeat(line.label, len(line.times), eager=True),
            "Time (UTC)": moments,
            "Value": line.values,
            "Drawdown": fall.values,
        }
    )


def benchmark_line(curve: EquityCurve) -> TimeLine | None:
    """Return the benchmark as if the capital had been put into it when it was first known."""
    if curve.benchmark is None:
        return None
    known = np.flatnonzero(np.isfinite(curve.benchmark) & (curve.benchmark > 0))
    if not len(known):
        return None
    scaled = curve.benchmark / curve.benchmark[known[0]] * curve.values[known[0]]
    return TimeLine("benchmark", GREY, curve.times, scaled, "dash")


def _pick(key: str) -> None:
    """Keep the dragged period, unless the box was only taken away."""
    picked = picked_period(st.session_state[key]["selection"])
    if picked is not None:
        start, end = (edge.astype("datetime64[s]") for edge in picked)
        backtest_options.set_period(start, end)
