"""Take a tear sheet away: as one HTML file, or its curve and trades as CSV."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
import polars as pl
import streamlit as st

from core.backtests.catalogue import CATALOGUE
from core.backtests.drawdowns import underwater
from core.backtests.logged.reading import BacktestReading
from core.backtests.periods import monthly_returns
from core.backtests.rolling import default_window, rolling_sharpe
from core.backtests.tear_sheet import TearSheetOptions
from core.runs.types import Run
from dashboard import data
from dashboard.charts.equity import equity_figure
from dashboard.charts.rolling import rolling_figure
from dashboard.charts.underwater import underwater_figure
from dashboard.formats import percent, short_id
from dashboard.tear_sheet_html import HtmlTable, HtmlTearSheet, tear_sheet_html
from dashboard.widgets import backtest_headline
from dashboard.widgets.backtest_curves import NamedSheet, benchmark_line
from dashboard.widgets.measure_table import between, known_intervals, written


def draw(run: Run, reading: BacktestReading, named: NamedSheet, options: TearSheetOptions) -> None:
    """Draw the download buttons; a file is made when its button is pressed."""
    name = re.sub(r"[^\w-]+", "-", named.label).strip("-")[:60] or short_id(run.run_id)
    with st.container(horizontal=True):
        st.download_button(
            "Tear sheet (HTML)",
            lambda: html(run, reading, named, options).encode(),
            f"{name}.html",
            "text/html",
            key="html",
            icon=":material/download:",
            on_click="ignore",
            help="One file with everything in it; opens without a network.",
        )
        st.download_button(
            "Curve (CSV)",
            lambda: data.as_csv(curve_table(named)),
            f"{name}.csv",
            "text/csv",
            key="curve_csv",
            on_click="ignore",
        )


def curve_table(named: NamedSheet) -> pl.DataFrame:
    """Return the curve with its returns and drawdowns, as measured."""
    curve = named.sheet.curve
    extra = {"benchmark": curve.benchmark, "position": curve.position, "cash": curve.cash}
    return pl.DataFrame(
        {
            "time": curve.times,
            "value": curve.values,
            "return": np.concatenate([[np.nan], curve.returns]),
            "drawdown": underwater(curve.values),
            **{name: values for name, values in extra.items() if values is not None},
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None), pl.col("time").dt.replace_time_zone("UTC"))


def html(run: Run, reading: BacktestReading, named: NamedSheet, options: TearSheetOptions) -> str:
    """Write the tear sheet as one HTML file."""
    sheet = named.sheet
    curve, year = sheet.curve, sheet.annualisation
    benchmark = benchmark_line(curve)
    figures = [
        equity_figure(
            [named.line(curve.values)],
            log_y=False,
            rebased=True,
            title="Equity",
            y_title="Growth of 1",
            benchmark=benchmark,
        ),
        underwater_figure([named.line(underwater(curve.values))], episodes=sheet.drawdowns[:5]),
    ]
    window = min(default_window(year), len(curve) - 1)
    if window > 1:
        rolling = rolling_sharpe(curve.returns, window, year.periods_per_year, risk_free=options.risk_free)
        line = named.line_of_returns(rolling)
        figures.append(rolling_figure([line], "Sharpe ratio", f"{window:,} periods", reference=0.0))
    years, months = monthly_returns(curve)
    rate = f"Risk-free rate {percent(options.risk_free)} a year."
    return tear_sheet_html(
        HtmlTearSheet(
            title=named.label,
            facts=(
                backtest_headline.facts(named, reading),
                f"Run {run.run_id}. {rate} Written by Greenroom on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.",
            ),
            headline=[(title, value) for title, value, _ in backtest_headline.figures(named)],
            figures=figures,
            months=(years.tolist(), months),
            tables=_tables(named, options),
            notes=(*reading.problems, *reading.notes, *sheet.notes),
        )
    )


def _tables(named: NamedSheet, options: TearSheetOptions) -> list[HtmlTable]:
    sheet = named.sheet
    found = data.intervals(sheet, named.identity, options)
    known = known_intervals(found)
    rows = [
        (each.title, written(each, value), between(each, known), each.formula)
        for each in CATALOGUE
        if (value := getattr(sheet.measures, each.key)) is not None
    ]
    interval_title = f"{found.confidence:.0%} interval"
    falls = [
        (
            percent(one.depth),
            str(one.peak)[:10],
            str(one.trough)[:10],
            "not yet" if one.recovery is None else str(one.recovery)[:10],
        )
        for one in sheet.drawdowns
    ]
    return [
        HtmlTable(
            "Measures",
            ("Measure", "Value", interval_title, "What it is"),
            rows,
            numbers=("Value", interval_title),
        ),
        HtmlTable("Worst drawdowns", ("Depth", "Peak", "Trough", "Recovery"), falls, numbers=("Depth",)),
    ]
