"""The sections under the curves of one backtest: measures, returns, rolling, drawdowns, trades, significance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import streamlit as st

from core.backtests.measures import Measures, measure
from core.backtests.periods import monthly_returns, yearly_returns
from core.backtests.returns_measures import per_step
from core.backtests.rolling import default_window, rolling_beta, rolling_sharpe, rolling_volatility
from core.backtests.significance.sharpe_assessment import assess_sharpe
from core.backtests.tear_sheet import TearSheet, TearSheetOptions
from core.backtests.types import EquityCurve, Floats, Times
from dashboard import data
from dashboard.charts.period_returns import MONTHS, monthly_heatmap, yearly_bars
from dashboard.charts.return_distribution import ReturnSample, return_distribution
from dashboard.charts.rolling import rolling_figure
from dashboard.formats import MISSING, count, escape_markdown, number, percent
from dashboard.widgets import choices, measure_table, states, tables
from dashboard.widgets.backtest_curves import NamedSheet


def draw(named: NamedSheet, options: TearSheetOptions) -> None:
    """Draw the chosen section."""
    sections: dict[str, Callable[[NamedSheet, TearSheetOptions], None]] = {
        "Measures": _measures,
        "Returns": _returns,
        "Rolling": _rolling,
        "Drawdowns": _drawdowns,
        "Trades": _trades,
        "Significance": _significance,
    }
    chosen = choices.choose("Section", list(sections), "section")
    sections[chosen](named, options)


def benchmark_measures(sheet: TearSheet, options: TearSheetOptions) -> Measures | None:
    """Measure the benchmark as if it were a backtest of its own, where it is known throughout."""
    level = sheet.curve.benchmark
    if level is None or len(level) < 2 or not np.isfinite(level).all() or (level <= 0).any():
        return None
    alone = EquityCurve(sheet.curve.times, level)
    return measure(alone, None, sheet.annualisation, risk_free=options.risk_free)


def _measures(named: NamedSheet, options: TearSheetOptions) -> None:
    found = data.intervals(named.sheet, named.identity, options)
    known = measure_table.known_intervals(found)
    measure_table.one(named.sheet.measures, benchmark_measures(named.sheet, options), known, found.confidence)
    if found.reason:
        st.caption(f"No intervals: {found.reason}")
    else:
        coarser = f", compounded into {found.periods:,} periods" if found.periods < found.n else ""
        st.caption(
            f"Intervals: stationary bootstrap, {found.resamples:,} resamples of {found.n:,} returns{coarser}, "
            f"blocks of {found.block_length} on average."
        )


def _returns(named: NamedSheet, options: TearSheetOptions) -> None:
    curve, measures = named.sheet.curve, named.sheet.measures
    years, months = monthly_returns(curve)
    if not len(years):
        states.empty("One point has no return: there is nothing to draw.")
        return
    st.altair_chart(monthly_heatmap(years.tolist(), months), key="months")
    year_numbers, yearly, benchmark = yearly_returns(curve)
    left, right = st.columns(2)
    with left:
        st.altair_chart(
            yearly_bars(
                year_numbers.tolist(), yearly, benchmark, label=named.label, colour=named.style.colour
            ),
            key="years",
        )
    with right:
        st.altair_chart(
            return_distribution(
                [ReturnSample(named.label, named.style.colour, curve.returns)],
                var=measures.value_at_risk,
                expected_shortfall=measures.expected_shortfall,
            ),
            key="distribution",
        )
    with st.expander("Data"):
        frame = pl.DataFrame(
            {
                "Year": [str(year) for year in years],
                **{name: [_share(value) for value in months[:, at]] for at, name in enumerate(MONTHS)},
                "Total": [_share(value) for value in yearly],
                **({} if benchmark is None else {"Benchmark": [_share(value) for value in benchmark]}),
            }
        )
        right_aligned = {name: st.column_config.TextColumn(alignment="right") for name in frame.columns[1:]}
        st.dataframe(tables.arrow(frame), hide_index=True, key="months_data", column_config=right_aligned)


def _rolling(named: NamedSheet, options: TearSheetOptions) -> None:
    curve, year = named.sheet.curve, named.sheet.annualisation
    periods = len(curve) - 1
    if periods < 3:
        states.empty("Fewer than three returns: there is no window to roll.")
        return
    usual = min(default_window(year), periods)
    window = st.number_input(
        "Window, periods",
        2,
        periods,
        max(2, usual),
        key=f"window:{periods}",
        width=160,
        help="How many returns each point looks back on.",
    )
    words = f"{window:,} periods"
    rate = options.risk_free
    sharpe = rolling_sharpe(curve.returns, window, year.periods_per_year, risk_free=rate)
    volatility = rolling_volatility(curve.returns, window, year.periods_per_year)
    st.plotly_chart(
        rolling_figure([named.line_of_returns(sharpe)], "Sharpe ratio", words, reference=0.0),
        key="rolling_sharpe",
    )
    st.plotly_chart(
        rolling_figure([named.line_of_returns(volatility)], "volatility, a year", words, unit="percent"),
        key="rolling_volatility",
    )
    columns = {"Sharpe ratio": sharpe, "Volatility": volatility}
    benchmark = curve.benchmark_returns
    if benchmark is not None:
        beta = rolling_beta(curve.returns, benchmark, window)
        columns["Beta"] = beta
        st.plotly_chart(
            rolling_figure([named.line_of_returns(beta)], "beta to the benchmark", words, reference=1.0),
            key="rolling_beta",
        )
    _series(curve.times[1:], columns, "rolling")


def _series(times: Times, columns: dict[str, Floats], key: str) -> None:
    with st.expander("Data"):
        frame = (
            pl.DataFrame({"Time (UTC)": times, **columns})
            .drop_nulls()
            .filter(~pl.all_horizontal([pl.col(name).is_nan() for name in columns]))
        )
        tables.with_download(frame, key, "rows", last=True)


def _drawdowns(named: NamedSheet, options: TearSheetOptions) -> None:
    falls = named.sheet.drawdowns
    if not falls:
        states.empty("This curve never stood below an earlier value.")
        return
    frame = pl.DataFrame(
        {
            "Depth": [percent(one.depth) for one in falls],
            "Peak": [_day(one.peak) for one in falls],
            "Trough": [_day(one.trough) for one in falls],
            "Recovery": ["not yet" if one.recovery is None else _day(one.recovery) for one in falls],
            "To trough": [_days(one.trough - one.peak) for one in falls],
            "To recovery": [
                MISSING if one.recovery is None else _days(one.recovery - one.trough) for one in falls
            ],
            "Under water": [
                _days((named.sheet.curve.times[-1] if one.recovery is None else one.recovery) - one.peak)
                for one in falls
            ],
        }
    )
    right = ("Depth", "To trough", "To recovery", "Under water")
    st.dataframe(
        tables.arrow(frame),
        hide_index=True,
        key="drawdowns",
        column_config={name: st.column_config.TextColumn(alignment="right") for name in right},
    )


def _trades(named: NamedSheet, options: TearSheetOptions) -> None:
    trades = named.sheet.trades
    if trades is None:
        states.empty("This run logged no trades. A table backtest/trades is shown here.")
        return
    if not len(trades):
        states.empty("No trade was entered in this period.")
        return
    sides = {1.0: "▲ long", -1.0: "▼ short"}
    frame = pl.DataFrame(
        {
            "Entry": pl.Series(trades.entry_time, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "Exit": pl.Series(trades.exit_time, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC"),
            "Side": [sides.get(float(side), MISSING) for side in trades.side],
            "Quantity": trades.quantity,
            "Entry price": trades.entry_price,
            "Exit price": trades.exit_price,
            "Profit or loss": trades.pnl,
            **({} if trades.fees is None else {"Fees": trades.fees}),
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None))
    numbers = [name for name, kind in frame.schema.items() if kind == pl.Float64]
    tables.with_download(
        frame,
        "trades",
        "trades",
        height=tables.height(frame.height, 20),
        placeholder=MISSING,
        column_config={
            **{
                name: st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", timezone="UTC")
                for name in ("Entry", "Exit")
            },
            **{name: st.column_config.NumberColumn(format="localized") for name in numbers},
        },
    )


def _significance(named: NamedSheet, options: TearSheetOptions) -> None:
    sheet = named.sheet
    year = sheet.annualisation.periods_per_year
    trials = data.workspace().backtests.trials(named.run_id)
    excess = sheet.curve.returns - per_step(options.risk_free, year)
    found = assess_sharpe(excess, year, trials.per_period(year), trials=trials.count)
    if found.reason:
        states.empty(f"Nothing can be said about this Sharpe ratio: {found.reason}")
        return
    annual = np.sqrt(year)
    with st.container(horizontal=True, gap="large"):
        st.metric("Sharpe ratio, a year", number(found.sharpe * annual), width="content")
        st.metric("Probability above 0", percent(found.probabilistic), width="content")
        st.metric(f"Deflated by {count(found.trials, 'trial')}", percent(found.deflated), width="content")
        st.metric("Track record it takes", _years(found.minimum_track_record_years), width="content")
    tried = (
        f"{count(found.trials, 'run')} of this experiment with the metric {escape_markdown(trials.metric)}"
        if trials.metric
        else f"all {count(found.trials, 'run')} of this experiment, none of which has a Sharpe ratio as a metric"
    )
    verdict = "stands out" if found.deflated >= found.confidence else "does not stand out"
    st.markdown(
        f"The best of {found.trials:,} runs without any skill would reach a Sharpe ratio of about "
        f"**{number(found.expected_maximum * annual)}** a year. This one **{verdict}** from that at "
        f"{found.confidence:.0%}."
    )
    st.caption(
        f"Trials: {tried}. Returns: {found.n:,}, skew {number(found.skew)}, kurtosis {number(found.kurtosis)} "
        "(3 is normal). Probabilistic and deflated Sharpe ratio, minimum track record length: Bailey and "
        "López de Prado, 2012 and 2014."
    )


def _years(years: float) -> str:
    return "never" if not np.isfinite(years) else f"{number(years)} years"


def _share(value: float) -> str:
    return MISSING if np.isnan(value) else percent(float(value))


def _day(time: np.datetime64) -> str:
    return str(time.astype("datetime64[D]"))


def _days(span: np.timedelta64) -> str:
    return f"{number(float(span / np.timedelta64(1, 'D')))} d"
