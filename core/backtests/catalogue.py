"""What every measure is, for people: title, unit, group, direction, and the formula in words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Unit(StrEnum):
    """How a value is written. A percent is kept as a fraction: 0.1 is 10 %."""

    PERCENT = "percent"
    RATIO = "ratio"
    DAYS = "days"
    COUNT = "count"
    DATE = "date"
    MONEY = "money"


class Group(StrEnum):
    """What a measure is about, in the order of a tear sheet."""

    RETURN = "Return"
    RISK = "Risk"
    RISK_ADJUSTED = "Risk-adjusted"
    BENCHMARK = "Benchmark"
    TRADES = "Trades"


@dataclass(frozen=True, slots=True)
class MeasureDefinition:
    """One measure.

    Attributes
    ----------
    key : str
        The field of `core.backtests.measures.Measures`.
    title : str
    unit : Unit
    group : Group
    higher_is_better : bool or None
        None where neither direction is better. Values keep their sign: of drawdowns, -10 % is the higher one.
    formula : str
        How it is counted, with its conventions, and when it is not defined.
    """

    key: str
    title: str
    unit: Unit
    group: Group
    higher_is_better: bool | None
    formula: str


_PERCENT, _RATIO, _DAYS, _COUNT, _DATE, _MONEY = Unit
_RETURN, _RISK, _ADJUSTED, _BENCHMARK, _TRADES = Group
_ROWS: Final[tuple[tuple[str, str, Unit, Group, bool | None, str], ...]] = (
    ("total_return", "Total return", _PERCENT, _RETURN, True,
     "Last value over the starting capital, minus 1."),
    ("cagr", "CAGR", _PERCENT, _RETURN, True,
     "Last value over the starting capital, to the power of returns a year over number of returns, minus 1. A "
     "year is the stated number of returns, not a calendar year. -100 % for an account that ends at zero or below."),
    ("best_period", "Best period", _PERCENT, _RETURN, True, "Highest return of one step."),
    ("worst_period", "Worst period", _PERCENT, _RETURN, True, "Lowest return of one step."),
    ("positive_periods", "Positive periods", _PERCENT, _RETURN, True,
     "Share of the steps with a return above zero; a flat step is not positive. Not the win rate of trades."),
    ("volatility", "Volatility", _PERCENT, _RISK, False,
     "Standard deviation of the returns (n - 1), by the root of returns a year."),
    ("max_drawdown", "Maximum drawdown", _PERCENT, _RISK, True,
     "Deepest fall below the highest value so far, as a fraction of it, zero or less. The starting capital is the "
     "first peak, so a loss in the first step counts. Below -100 % for an account in debt."),
    ("max_drawdown_start", "Maximum drawdown: peak", _DATE, _RISK, None,
     "Last time at the peak before the deepest fall."),
    ("max_drawdown_trough", "Maximum drawdown: trough", _DATE, _RISK, None,
     "Time of the lowest value in the deepest fall."),
    ("max_drawdown_end", "Maximum drawdown: recovery", _DATE, _RISK, None,
     "First time back at the peak or above it; missing while the curve is still below."),
    ("max_drawdown_days", "Maximum drawdown: length", _DAYS, _RISK, False,
     "Calendar days from the peak of the deepest fall to its recovery, or to the end of the curve."),
    ("longest_drawdown_days", "Longest drawdown", _DAYS, _RISK, False,
     "Calendar days of the longest stretch from a peak to its recovery, or to the end of the curve, however deep."),
    ("ulcer_index", "Ulcer index", _PERCENT, _RISK, False,
     "Root of the mean squared distance from the highest value so far, over all steps (Martin and McCann)."),
    ("value_at_risk", "Value at risk, 5 %", _PERCENT, _RISK, True,
     "The 5 % quantile of the returns of one step, interpolated, from history; a loss is negative. Not annualised."),
    ("expected_shortfall", "Expected shortfall, 5 %", _PERCENT, _RISK, True,
     "Mean of the worst 5 % of the returns of one step (CVaR), at least of one; a loss is negative. Not annualised."),
    ("skew", "Skew", _RATIO, _RISK, True,
     "Third central moment of the returns over the second to the power of 1.5, both over n (not corrected for the "
     "sample). Not defined where the returns do not vary."),
    ("kurtosis", "Excess kurtosis", _RATIO, _RISK, None,
     "Fourth central moment of the returns over the square of the second, both over n, minus 3: 0 for a normal "
     "distribution. Not defined where the returns do not vary."),
    ("tail_ratio", "Tail ratio", _RATIO, _RISK, True,
     "95 % quantile of the returns over their 5 % quantile, both without sign. Not defined where the latter is 0."),
    ("sharpe", "Sharpe ratio", _RATIO, _ADJUSTED, True,
     "Mean return above the risk-free rate over the standard deviation (n - 1), by the root of returns a year. The "
     "rate is annual and taken off each step as (1 + rate)^(1 / returns a year) - 1. Not defined where the returns "
     "do not vary."),
    ("sortino", "Sortino ratio", _RATIO, _ADJUSTED, True,
     "Mean return above the risk-free rate over the root mean square of the shortfalls below it (steps without one "
     "count as 0), by the root of returns a year. Not defined without a shortfall."),
    ("calmar", "Calmar ratio", _RATIO, _ADJUSTED, True,
     "CAGR over the depth of the maximum drawdown, of the whole curve. Not defined without a drawdown."),
    ("omega", "Omega ratio", _RATIO, _ADJUSTED, True,
     "Sum of the returns above the threshold over the sum of those below it, each as its distance; the threshold is "
     "0 unless set, whatever the risk-free rate. Not defined without a return below."),
    ("recovery_factor", "Recovery factor", _RATIO, _ADJUSTED, True,
     "Total return over the depth of the maximum drawdown. Not defined without a drawdown."),
    ("stability", "Stability", _RATIO, _ADJUSTED, True,
     "R squared of a straight line through the logarithm of the value after each step: 1 is growth at one rate, or "
     "decline. Not defined for an account that ends at zero or below, or does not move."),
    ("benchmark_total_return", "Benchmark return", _PERCENT, _BENCHMARK, None,
     "Last known level of the benchmark over its first, minus 1."),
    ("benchmark_cagr", "Benchmark CAGR", _PERCENT, _BENCHMARK, None,
     "CAGR of the benchmark between its first and its last known level."),
    ("excess_return", "Excess return", _PERCENT, _BENCHMARK, True,
     "Total return minus the benchmark's, both between the first and the last known level of the benchmark."),
    ("alpha", "Alpha", _PERCENT, _BENCHMARK, True,
     "Mean of the return above the risk-free rate minus beta times the benchmark's, compounded over a year "
     "(Jensen). Steps where the benchmark is missing are left out, here and in all measures of the steps below."),
    ("beta", "Beta", _RATIO, _BENCHMARK, None,
     "Covariance of the returns with the benchmark's over the variance of those. Not defined where the benchmark "
     "does not vary."),
    ("information_ratio", "Information ratio, a step", _RATIO, _BENCHMARK, True,
     "Mean difference of the returns and the benchmark's over its standard deviation (n - 1), of one step and not "
     "annualised, as empyrical and QuantStats have it. Not defined where the difference does not vary."),
    ("information_ratio_annual", "Information ratio", _RATIO, _BENCHMARK, True,
     "The information ratio of one step by the root of returns a year (Grinold and Kahn)."),
    ("tracking_error", "Tracking error", _PERCENT, _BENCHMARK, None,
     "Standard deviation (n - 1) of the difference of the returns and the benchmark's, by the root of returns a "
     "year."),
    ("correlation", "Correlation", _RATIO, _BENCHMARK, None,
     "Pearson's, of the returns with the benchmark's. Not defined where one of them does not vary."),
    ("up_capture", "Up capture", _PERCENT, _BENCHMARK, True,
     "CAGR of the steps in which the benchmark rose, over that of the benchmark in these steps. Not defined where "
     "it never rose."),
    ("down_capture", "Down capture", _PERCENT, _BENCHMARK, False,
     "CAGR of the steps in which the benchmark fell, over that of the benchmark in these steps; below 100 % less "
     "was lost. Not defined where it never fell."),
    ("trades", "Trades", _COUNT, _TRADES, None,
     "Closed trades: with an exit time or, in a table without any, with a profit or loss. All measures of trades "
     "leave out what was not logged, and are missing without a table of trades."),
    ("long_trades", "Long trades", _COUNT, _TRADES, None, "Closed trades that bought first."),
    ("short_trades", "Short trades", _COUNT, _TRADES, None, "Closed trades that sold first."),
    ("win_rate", "Win rate", _PERCENT, _TRADES, True,
     "Share of the closed trades with a profit above zero, of those whose profit or loss is known."),
    ("payoff_ratio", "Payoff ratio", _RATIO, _TRADES, True,
     "Mean profit of the winners over the mean loss of the losers. Not defined without both."),
    ("profit_factor", "Profit factor", _RATIO, _TRADES, True,
     "Sum of the profits over the sum of the losses of closed trades. Not defined without a loss."),
    ("expectancy", "Expectancy", _MONEY, _TRADES, True, "Mean profit or loss of a closed trade."),
    ("average_holding_days", "Average holding time", _DAYS, _TRADES, None,
     "Mean time from entry to exit of the closed trades, in calendar days."),
    ("exposure", "Exposure", _PERCENT, _TRADES, None,
     "Share of the time, by the clock, with a position: the logged one, held to the next point, or else that at "
     "least one trade was open, an open one to the end of the curve."),
    ("turnover", "Turnover a year", _RATIO, _TRADES, None,
     "Quantity by price of all entries and exits, over the mean value of the account and the number of years: 2 "
     "is once in and out of the whole account a year. Not defined for a curve compounded from returns."),
    ("costs", "Costs", _MONEY, _TRADES, False, "Sum of the fees of all trades, open ones too."),
    ("costs_of_capital", "Costs of capital", _PERCENT, _TRADES, False,
     "Costs over the starting capital. Not defined for a curve compounded from returns."),
)  # fmt: skip

CATALOGUE: Final[tuple[MeasureDefinition, ...]] = tuple(MeasureDefinition(*row) for row in _ROWS)
"""In the order of a tear sheet."""

BY_KEY: Final = {definition.key: definition for definition in CATALOGUE}
