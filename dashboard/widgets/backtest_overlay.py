"""Several backtests over each other: measures side by side, yearly returns, rolling Sharpe, tests of the lot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import streamlit as st

from core.backtests.periods import yearly_returns
from core.backtests.rolling import default_window, rolling_sharpe
from core.backtests.significance.seed_fan import SeedFan, seed_fan
from core.backtests.significance.superior import SpaResult
from core.backtests.tear_sheet import TearSheetOptions
from core.backtests.types import EquityCurve
from core.errors import BadInputError
from core.runs.comparison.seed_groups import seed_groups
from core.runs.types import Run
from dashboard import data
from dashboard.charts.equity import EquityBand
from dashboard.charts.rolling import rolling_figure
from dashboard.charts.time_series import TimeLine
from dashboard.formats import MISSING, count, escape_markdown, number, percent
from dashboard.widgets import backtest_curves, choices, measure_table, states, tables
from dashboard.widgets.backtest_curves import NamedSheet

# No run id: those are letters and digits.
_LOGGED = "-"


@dataclass(frozen=True, slots=True)
class _Seeds:
    """Runs that differ in their seed only: what they have in common, and their tear sheets."""

    label: str
    members: Sequence[NamedSheet]


Section = Callable[[Sequence[NamedSheet], Sequence[Run], TearSheetOptions], None]


def draw(sheets: Sequence[NamedSheet], runs: Sequence[Run], options: TearSheetOptions) -> None:
    """Draw curves and the chosen section of two runs or more; `runs` stand in the same order."""
    groups = _seeds(sheets, runs)
    lines: list[TimeLine] = [_line(one) for one in sheets]
    bands: list[EquityBand] = []
    if groups and st.toggle(
        "Seeds as band",
        key="band",
        bind="query-params",
        help="Runs that differ in their seed only: from the lowest to the highest, around their median.",
    ):
        lines, bands = _banded(sheets, groups)
    backtest_curves.draw(lines, None, bands, _shared_benchmark(sheets), [run.run_id for run in runs])
    sections: dict[str, Section] = {
        "Measures": _measures,
        "Years": _years,
        "Rolling": _rolling,
        "Significance": _significance,
    }
    chosen = choices.choose("Section", list(sections), "section")
    sections[chosen](sheets, runs, options)


def _shared_benchmark(sheets: Sequence[NamedSheet]) -> TimeLine | None:
    """Return the benchmark where all runs logged the same one."""
    first = sheets[0].sheet.curve
    for one in sheets:
        curve = one.sheet.curve
        if curve.benchmark is None or first.benchmark is None or not np.array_equal(curve.times, first.times):
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            own, other = (each / each[0] for each in (curve.benchmark, first.benchmark))
        if not np.allclose(own, other, equal_nan=True):
            return None
    return backtest_curves.benchmark_line(first)


def _measures(sheets: Sequence[NamedSheet], runs: Sequence[Run], options: TearSheetOptions) -> None:
    measure_table.several([one.label for one in sheets], [one.sheet.measures for one in sheets])


def _years(sheets: Sequence[NamedSheet], runs: Sequence[Run], options: TearSheetOptions) -> None:
    titles = [one.label for one in sheets]
    by_run = []
    for one in sheets:
        years, returns, _ = yearly_returns(one.sheet.curve)
        by_run.append(dict(zip(years.tolist(), returns.tolist(), strict=True)))
    years_seen = sorted({year for known in by_run for year in known}, reverse=True)
    frame = pl.DataFrame(
        {
            "Year": [str(year) for year in years_seen],
            **{
                title: [percent(known[year]) if year in known else MISSING for year in years_seen]
                for title, known in zip(titles, by_run, strict=True)
            },
        }
    )
    st.dataframe(
        tables.arrow(frame),
        hide_index=True,
        key="years",
        height=tables.height(frame.height, 24),
        column_config={title: st.column_config.TextColumn(alignment="right") for title in titles},
    )


def _rolling(sheets: Sequence[NamedSheet], runs: Sequence[Run], options: TearSheetOptions) -> None:
    shortest = min(len(one.sheet.curve) - 1 for one in sheets)
    if shortest < 3:
        states.empty("One of these runs has fewer than three returns: there is no window to roll.")
        return
    usual = max(2, min(shortest, *(default_window(one.sheet.annualisation) for one in sheets)))
    window = st.number_input("Window, periods", 2, shortest, usual, key=f"window:{shortest}", width=160)
    lines = []
    for one in sheets:
        curve, year = one.sheet.curve, one.sheet.annualisation.periods_per_year
        values = rolling_sharpe(curve.returns, window, year, risk_free=options.risk_free)
        lines.append(one.line_of_returns(values))
    figure = rolling_figure(lines, "Sharpe ratio", f"{window:,} periods", reference=0.0)
    st.plotly_chart(figure, key="rolling_sharpe", alt="Rolling Sharpe ratio")
    with st.expander("Data"):
        _last_values(sheets, lines)


def _last_values(sheets: Sequence[NamedSheet], lines: Sequence[TimeLine]) -> None:
    known = [line.values[np.isfinite(line.values)] for line in lines]
    frame = pl.DataFrame(
        {
            "Run": [one.label for one in sheets],
            **{
                name: [number(float(of(values))) if len(values) else MISSING for values in known]
                for name, of in (
                    ("Lowest", np.min),
                    ("Median", np.median),
                    ("Highest", np.max),
                    ("Last", lambda values: values[-1]),
                )
            },
        }
    )
    st.dataframe(tables.arrow(frame), hide_index=True, key="rolling_data")


def _significance(sheets: Sequence[NamedSheet], runs: Sequence[Run], options: TearSheetOptions) -> None:
    st.markdown("**Is the best of these runs better than the benchmark?**")
    names = {one.run_id: one.label for one in sheets}
    logged = next((pair for one in sheets if (pair := _logged_benchmark(one)) is not None), None)
    offered = [*([_LOGGED] if logged is not None else []), *names]
    choices.keep_valid("superior", offered)
    against = st.selectbox(
        "Benchmark",
        offered,
        key="superior",
        format_func=lambda one: "the benchmark that was logged" if one == _LOGGED else names[one],
        width=420,
    )
    tested = [one for one in sheets if one.run_id != against]
    chosen = {one.run_id: (one.identity, one.sheet.curve) for one in sheets}
    benchmark = logged if logged is not None and against == _LOGGED else chosen[against]
    try:
        found = data.superior([(one.identity, one.sheet.curve) for one in tested], benchmark)
    except BadInputError as error:
        states.failed(error)
    else:
        _spa(found, [names[one.run_id] for one in tested])
    for seeds in _seeds(sheets, runs):
        fan = _fan(seeds)
        if fan is not None:
            _outcomes(seeds.label, fan)


def _logged_benchmark(one: NamedSheet) -> tuple[str, EquityCurve] | None:
    """Return the benchmark of a run as a curve, with its identity."""
    curve = one.sheet.curve
    if curve.benchmark is None:
        return None
    known = np.isfinite(curve.benchmark) & (curve.benchmark > 0)
    if known.sum() < 2:
        return None
    return f"benchmark of {one.identity}", EquityCurve(curve.times[known], curve.benchmark[known])


def _spa(found: SpaResult, names: Sequence[str]) -> None:
    if found.reason:
        states.empty(f"The test cannot be made: {found.reason}")
        return
    with st.container(horizontal=True, gap="large"):
        st.metric("p-value", number(found.p_consistent), width="content", help="Hansen's consistent one.")
        st.metric(
            "Lower bound", number(found.p_lower), width="content", help="If all poor runs did not count."
        )
        st.metric(
            "Upper bound",
            number(found.p_upper),
            width="content",
            help="If all counted: White's reality check.",
        )
    best = "none" if found.best_index is None else escape_markdown(names[found.best_index])
    better = found.p_consistent < 0.05
    st.markdown(
        f"Best in the sample: **{best}**. That none of the {count(found.k, 'run')} is truly better than the benchmark "
        + ("**can be ruled out** at 5%." if better else "**cannot be ruled out** at 5%.")
    )
    st.caption(
        f"Hansen's test for superior predictive ability (2005) on {found.n:,} common returns, "
        f"blocks of {found.block_length} on average; it allows for having looked at all of them."
    )


def _seeds(sheets: Sequence[NamedSheet], runs: Sequence[Run]) -> list[_Seeds]:
    """Group the runs that differ in their seed only."""
    return [_Seeds(group.label, [sheets[at] for at in group.indexes]) for group in seed_groups(runs)]


def _fan(seeds: _Seeds) -> SeedFan | None:
    """Join the curves of a group; say why where that cannot be done."""
    try:
        return seed_fan([one.sheet.curve for one in seeds.members], [one.label for one in seeds.members])
    except BadInputError as error:
        states.failed(error)
        return None


def _outcomes(label: str, fan: SeedFan) -> None:
    st.markdown(f"**Seeds of {escape_markdown(label)}**")
    with st.container(horizontal=True, gap="large"):
        st.metric("Runs", f"{fan.n}", width="content")
        st.metric("Median return", percent(float(np.median(fan.finals)) - 1), width="content")
        st.metric("Worst", percent(float(fan.finals[fan.worst_index]) - 1), width="content")
        st.metric("Best", percent(float(fan.finals[fan.best_index]) - 1), width="content")
    st.caption(
        f"Worst: {escape_markdown(fan.labels[fan.worst_index])}, best: {escape_markdown(fan.labels[fan.best_index])}. "
        "A rule that is only good with one seed is not good."
    )


def _banded(
    sheets: Sequence[NamedSheet], groups: Sequence[_Seeds]
) -> tuple[list[TimeLine], list[EquityBand]]:
    """Make one line and a band of each group of seeds; other runs stay lines of their own."""
    lines: list[TimeLine] = []
    bands: list[EquityBand] = []
    grouped: set[str] = set()
    for seeds in groups:
        fan = _fan(seeds)
        if fan is None:
            continue
        grouped |= {one.run_id for one in seeds.members}
        style = seeds.members[0].style
        spread = "5% to 95%" if fan.quantiles else "lowest to highest"
        lines.append(
            TimeLine(f"{seeds.label} (median of {fan.n})", style.colour, fan.times, fan.median, style.dash)
        )
        bands.append(
            EquityBand(f"{spread} of {count(fan.n, 'seed')}", style.colour, fan.times, fan.low, fan.high)
        )
    alone = [_line(one) for one in sheets if one.run_id not in grouped]
    return [*lines, *alone], bands


def _line(one: NamedSheet) -> TimeLine:
    return one.line(one.sheet.curve.values)
