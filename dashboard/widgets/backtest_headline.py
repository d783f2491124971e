"""The first lines of a tear sheet: headline figures, and what they were measured on."""

from __future__ import annotations

import streamlit as st

from core.backtests.catalogue import BY_KEY
from core.backtests.logged.reading import BacktestReading
from dashboard.formats import count, escape_markdown, number
from dashboard.widgets.backtest_curves import NamedSheet
from dashboard.widgets.measure_table import written

HEADLINE = ("total_return", "cagr", "volatility", "sharpe", "max_drawdown", "calmar", "win_rate", "alpha")


def figures(named: NamedSheet) -> list[tuple[str, str, str]]:
    """Return title, value and definition of the headline measures that are defined."""
    found = []
    for key in HEADLINE:
        value = getattr(named.sheet.measures, key)
        if value is not None:
            found.append((BY_KEY[key].title, written(BY_KEY[key], value), BY_KEY[key].formula))
    return found


def facts(named: NamedSheet, reading: BacktestReading) -> str:
    """Say in one line what was measured."""
    curve, year = named.sheet.curve, named.sheet.annualisation
    trades = "" if named.sheet.trades is None else f" · {count(len(named.sheet.trades), 'trade')}"
    return (
        f"{str(curve.times[0])[:10]} to {str(curve.times[-1])[:10]} · {count(len(curve) - 1, 'period')} · "
        f"{number(year.periods_per_year)} a year ({year.convention}){trades} · {reading.table}"
    )


def draw(named: NamedSheet, reading: BacktestReading) -> None:
    """Draw both."""
    with st.container(horizontal=True, gap="medium"):
        for title, value, formula in figures(named):
            st.metric(title, value, width="content", help=escape_markdown(formula))
    st.caption(escape_markdown(facts(named, reading)))
