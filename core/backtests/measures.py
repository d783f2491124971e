"""All measures of a backtest in one value: `measure` takes a curve and its trades, and gives `Measures`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from core.backtests import benchmark_measures as against
from core.backtests import returns_measures as made
from core.backtests import trade_measures as traded
from core.backtests.drawdowns import drawdown_days, longest_drawdown_days, ulcer_index, worst_drawdowns
from core.backtests.types import Annualisation, EquityCurve, Trades
from core.errors import BadInputError

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Measures:
    """What `measure` found; None is not defined or not logged, and no number is NaN or infinite.

    `core.backtests.catalogue` has the title, unit, direction and formula of every field. Fractions are fractions
    (0.1 is 10 %), times are UTC, days have 24 hours, money is in the account's currency.
    """

    total_return: float | None
    cagr: float | None
    best_period: float | None
    worst_period: float | None
    positive_periods: float | None

    volatility: float | None
    max_drawdown: float | None
    max_drawdown_start: np.datetime64 | None
    max_drawdown_trough: np.datetime64 | None
    max_drawdown_end: np.datetime64 | None
    max_drawdown_days: float | None
    longest_drawdown_days: float | None
    ulcer_index: float | None
    value_at_risk: float | None
    expected_shortfall: float | None
    skew: float | None
    kurtosis: float | None
    tail_ratio: float | None

    sharpe: float | None
    sortino: float | None
    calmar: float | None
    omega: float | None
    recovery_factor: float | None
    stability: float | None

    benchmark_total_return: float | None
    benchmark_cagr: float | None
    excess_return: float | None
    alpha: float | None
    beta: float | None
    information_ratio: float | None
    information_ratio_annual: float | None
    tracking_error: float | None
    correlation: float | None
    up_capture: float | None
    down_capture: float | None

    trades: int | None
    long_trades: int | None
    short_trades: int | None
    win_rate: float | None
    payoff_ratio: float | None
    profit_factor: float | None
    expectancy: float | None
    average_holding_days: float | None
    exposure: float | None
    turnover: float | None
    costs: float | None
    costs_of_capital: float | None


def measure(
    curve: EquityCurve,
    trades: Trades | None,
    annualisation: Annualisation,
    *,
    risk_free: float = 0.0,
    omega_threshold: float = 0.0,
) -> Measures:
    """Take every measure of a backtest.

    Simple returns from point to point, the first one from the starting capital. A year is
    ``annualisation.periods_per_year`` returns, not a calendar year. Standard deviations have ddof 1, skew and
    kurtosis ddof 0. Values are those of empyrical-reloaded to 1e-9 wherever it has the measure and a finite value;
    the modules `returns_measures`, `benchmark_measures` and `trade_measures` say where they do not call it, and why.

    Parameters
    ----------
    curve : EquityCurve
        Values are finite. Steps where the benchmark is NaN are left out of the benchmark's measures only.
    trades : Trades or None
        None where no table was logged: every measure of trades is None then (exposure comes from the position, if
        the curve has one), while an empty table has 0 trades. Nothing about trades is guessed from returns.
    annualisation : Annualisation
        From `core.backtests.annualisation.annualise`.
    risk_free : float
        Annual, as a simple rate; ``(1 + risk_free) ** (1 / periods_per_year) - 1`` is taken off every step in
        Sharpe, Sortino and alpha.
    omega_threshold : float
        Annual, converted likewise.

    Returns
    -------
    Measures
        With one point there are no returns and only measures of trades are defined. A curve that does not vary
        has a volatility of 0 and no Sharpe ratio. An account that ends at zero or below has a total return of -1
        or less, a CAGR of -1 and a drawdown of -1 or less.

    Raises
    ------
    BadInputError
        For a rate that is not a finite number above -1, or returns a year that are not a finite number above 0.
    """
    per_year = _checked(annualisation.periods_per_year, 0.0, "The number of returns a year")
    risk_free = _checked(risk_free, -1.0, "The risk-free rate")
    omega_threshold = _checked(omega_threshold, -1.0, "The threshold of the omega ratio")

    values, returns = curve.values, curve.returns
    total, yearly = made.total_return(values), made.cagr(values, per_year)
    worst = next(iter(worst_drawdowns(curve, top=1)), None)
    # A curve that never falls has a drawdown of 0 for 0 days, but one point has none at all.
    never = 0.0 if len(returns) else None
    max_drawdown = never if worst is None else worst.depth
    pairs, span = against.pair(curve), against.span(curve)

    return Measures(
        total_return=total,
        cagr=yearly,
        best_period=made.best_period(returns),
        worst_period=made.worst_period(returns),
        positive_periods=made.positive_periods(returns),
        volatility=made.volatility(returns, per_year),
        max_drawdown=max_drawdown,
        max_drawdown_start=None if worst is None else worst.peak,
        max_drawdown_trough=None if worst is None else worst.trough,
        max_drawdown_end=None if worst is None else worst.recovery,
        max_drawdown_days=never if worst is None else drawdown_days(curve, worst),
        longest_drawdown_days=longest_drawdown_days(curve),
        ulcer_index=ulcer_index(values),
        value_at_risk=made.value_at_risk(returns),
        expected_shortfall=made.expected_shortfall(returns),
        skew=made.skew(returns),
        kurtosis=made.kurtosis(returns),
        tail_ratio=made.tail_ratio(returns),
        sharpe=made.sharpe(returns, per_year, risk_free),
        sortino=made.sortino(returns, per_year, risk_free),
        calmar=made.calmar(yearly, max_drawdown),
        omega=made.omega(returns, per_year, omega_threshold),
        recovery_factor=made.recovery_factor(total, max_drawdown),
        stability=made.stability(values),
        benchmark_total_return=against.benchmark_total_return(span),
        benchmark_cagr=against.benchmark_cagr(span, per_year),
        excess_return=against.excess_return(span),
        alpha=against.alpha(pairs, per_year, risk_free),
        beta=against.beta(pairs),
        information_ratio=against.information_ratio(pairs),
        information_ratio_annual=against.information_ratio_annual(pairs, per_year),
        tracking_error=against.tracking_error(pairs, per_year),
        correlation=against.correlation(pairs),
        up_capture=against.up_capture(pairs, per_year),
        down_capture=against.down_capture(pairs, per_year),
        trades=_of(trades, traded.count),
        long_trades=_of(trades, lambda table: traded.count_side(table, 1)),
        short_trades=_of(trades, lambda table: traded.count_side(table, -1)),
        win_rate=_of(trades, traded.win_rate),
        payoff_ratio=_of(trades, traded.payoff_ratio),
        profit_factor=_of(trades, traded.profit_factor),
        expectancy=_of(trades, traded.expectancy),
        average_holding_days=_of(trades, traded.average_holding_days),
        exposure=traded.exposure(curve, trades),
        turnover=_of(trades, lambda table: traded.turnover(table, curve, per_year)),
        costs=_of(trades, traded.costs),
        costs_of_capital=_of(trades, lambda table: traded.costs_of_capital(table, curve)),
    )


def _of(trades: Trades | None, function: Callable[[Trades], _T]) -> _T | None:
    return None if trades is None else function(trades)


def _checked(number: float, above: float, what: str) -> float:
    if math.isfinite(number) and number > above:
        return float(number)
    raise BadInputError(f"{what} cannot be {number}: give a finite number above {above:g}.")
