"""What a person sets on the Backtests page: period, risk-free rate, periods a year; all kept in the URL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import numpy as np
import streamlit as st

from core.backtests.periods import bounds
from core.backtests.tear_sheet import TearSheetOptions
from core.backtests.types import EquityCurve
from core.errors import BadInputError
from dashboard.widgets import states

FROM, TO = "from", "to"
_RATE, _PERIODS, _PERIOD = "rf", "ppy", "period"


def draw(curves: list[EquityCurve], more: Callable[[], None] | None = None) -> TearSheetOptions:
    """Draw the options for these curves and return what they say; `more` draws what stands beside the period."""
    first = min(curve.times[0] for curve in curves)
    last = max(curve.times[-1] for curve in curves)
    start, end = _asked(FROM), _asked(TO)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _period(first, last, start, end)
        if more is not None:
            more()
        with st.popover("Settings", icon=":material/tune:"):
            rate = st.number_input(
                "Risk-free rate, % a year",
                -50.0,
                1000.0,
                0.0,
                0.25,
                key=_RATE,
                bind="query-params",
                help="Subtracted, per period, in Sharpe, Sortino, Omega and alpha.",
            )
            periods = st.number_input(
                "Periods a year",
                min_value=0.0,
                value=0.0,
                step=1.0,
                format="%.6g",
                key=_PERIODS,
                bind="query-params",
                help="0 takes it from the time stamps; what was taken stands under the headline.",
            )
    return TearSheetOptions(start, end, periods or None, rate / 100)


def set_period(start: np.datetime64 | None, end: np.datetime64 | None) -> None:
    """Keep a period in the URL; None opens that side."""
    for name, value in ((FROM, start), (TO, end)):
        if value is not None:
            st.query_params[name] = str(value)
        elif name in st.query_params:
            del st.query_params[name]
    # The next run draws the widget anew, with the new period.
    st.session_state["period_turn"] = st.session_state.get("period_turn", 0) + 1


def _asked(name: str) -> np.datetime64 | None:
    text = st.query_params.get(name, "").strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        states.failed(
            BadInputError(f"'{text}' in the address is no date. Write {name}=2020-01-31, or choose a period.")
        )
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    is_date = len(text) == len("2020-01-31")
    asked = np.datetime64(moment, "D" if is_date else "us")
    first, last = bounds(asked, asked)
    return last if name == TO else first


def _period(
    first: np.datetime64, last: np.datetime64, start: np.datetime64 | None, end: np.datetime64 | None
) -> None:
    low, high = _day(first), _day(last)
    shown = (_within(start, low, low, high), _within(end, high, low, high))
    key = f"{_PERIOD}:{st.session_state.get('period_turn', 0)}:{low}:{high}"
    st.date_input(
        "Period",
        (min(shown), max(shown)),
        min_value=low,
        max_value=high,
        key=key,
        format="YYYY-MM-DD",
        on_change=lambda: _keep(key, low, high),
        width=240,
        help="Or drag over the equity chart.",
    )
    st.button(
        "Whole period",
        key="whole_period",
        disabled=start is None and end is None,
        on_click=lambda: set_period(None, None),
    )


def _keep(key: str, low: date, high: date) -> None:
    chosen = st.session_state[key]
    if len(chosen) == 2:
        start, end = chosen
        set_period(
            np.datetime64(start, "D") if start > low else None,
            np.datetime64(end, "D") if end < high else None,
        )


def _within(asked: np.datetime64 | None, otherwise: date, low: date, high: date) -> date:
    return otherwise if asked is None else min(max(_day(asked), low), high)


def _day(moment: np.datetime64) -> date:
    day: date = moment.astype("datetime64[D]").item()
    return day
