"""Every measure a second time: slowly, in plain Python from its definition, and by empyrical where it has it."""

import itertools
import math
import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import empyrical
import numpy as np

from core.backtests.types import EquityCurve, Trades

DAY = np.timedelta64(1, "D")
FLAT = 1e-12
CONVENTIONS = {252.0: "daily", 52.0: "weekly", 12.0: "monthly", 4.0: "quarterly", 1.0: "yearly"}


@dataclass(frozen=True)
class Case:
    curve: EquityCurve
    trades: Trades | None = None
    per_year: float = 252.0
    risk_free: float = 0.0

    @property
    def rate(self) -> float:
        return (1 + self.risk_free) ** (1 / self.per_year) - 1

    @property
    def returns(self) -> list[float]:
        values = self.curve.values.tolist()
        return [b / a - 1 for a, b in itertools.pairwise(values)]

    @property
    def pairs(self) -> list[tuple[float, float]]:
        if self.curve.benchmark is None:
            return []
        levels = self.curve.benchmark.tolist()
        steps = [b / a - 1 if a else math.nan for a, b in itertools.pairwise(levels)]
        return [(r, b) for r, b in zip(self.returns, steps, strict=True) if not math.isnan(b)]


def same(found: Any, expected: Any) -> bool:
    """Whether a measure is what the oracle says, to 1e-9; NaN and infinity of an oracle stand for None."""
    if isinstance(expected, float) and not math.isfinite(expected):
        expected = None
    if found is None or expected is None or isinstance(found, np.datetime64):
        return found is expected or found == expected
    return math.isfinite(found) and math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def flat(sample: list[float]) -> bool:
    return len(sample) < 2 or max(sample) - min(sample) < FLAT


def _power(base: float, exponent: float) -> float:
    try:
        return max(float(base), 0.0) ** exponent
    except OverflowError:
        return math.inf


def _quantile(sample: list[float], share: float) -> float:
    ordered, place = sorted(sample), share * (len(sample) - 1)
    low = math.floor(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def _total(case: Case) -> float | None:
    return case.curve.values[-1] / case.curve.values[0] - 1 if case.returns else None


def _cagr(case: Case) -> float | None:
    if not case.returns:
        return None
    return _power(case.curve.values[-1] / case.curve.values[0], case.per_year / len(case.returns)) - 1


def _distances(case: Case) -> list[float]:
    best, found = -math.inf, []
    for value in case.curve.values.tolist():
        best = max(best, value)
        found.append((value - best) / best)
    return found


def episodes(case: Case) -> list[tuple[float, int, int, int | None]]:
    """Depth, peak, trough and recovery, point by point."""
    values, found = case.curve.values.tolist(), []
    peak = 0
    for at, value in enumerate(values):
        if value < values[peak]:
            if not found or found[-1][1] != peak:
                found.append((0.0, peak, at, None))
            if value / values[peak] - 1 < found[-1][0]:
                found[-1] = (value / values[peak] - 1, peak, at, None)
        else:
            if found and found[-1][1] == peak:
                found[-1] = (*found[-1][:3], at)
            peak = at
    return found


def _worst(case: Case, part: int) -> Any:
    if not case.returns:
        return None
    found = min(episodes(case), key=lambda one: one[0], default=None)
    if part == 0:
        return 0.0 if found is None else found[0]
    if part == 4:
        return 0.0 if found is None else _days(case, found)
    place = None if found is None else found[part]
    return None if place is None else case.curve.times[place]


def _days(case: Case, episode: tuple[float, int, int, int | None]) -> float:
    end = -1 if episode[3] is None else episode[3]
    return float((case.curve.times[end] - case.curve.times[episode[1]]) / DAY)


def _deviation(sample: list[float], per_year: float) -> float | None:
    return None if len(sample) < 2 else statistics.stdev(sample) * math.sqrt(per_year)


def _sortino(case: Case) -> float | None:
    excess = [r - case.rate for r in case.returns]
    if len(excess) < 2 or min(excess) > -FLAT:
        return None
    shortfall = math.sqrt(math.fsum(min(e, 0.0) ** 2 for e in excess) / len(excess))
    return statistics.fmean(excess) / shortfall * math.sqrt(case.per_year)


def _sharpe(sample: list[float], rate: float, per_year: float) -> float | None:
    if flat(sample):
        return None
    return (statistics.fmean(sample) - rate) / statistics.stdev(sample) * math.sqrt(per_year)


def _omega(case: Case) -> float | None:
    above, below = (math.fsum(max(sign * r, 0.0) for r in case.returns) for sign in (1, -1))
    return above / below if len(case.returns) > 1 and below > FLAT else None


def _moment(case: Case, order: int) -> float | None:
    if flat(case.returns):
        return None
    mean, deviation = statistics.fmean(case.returns), statistics.pstdev(case.returns)
    return statistics.fmean(((r - mean) / deviation) ** order for r in case.returns)


def _tail(case: Case) -> float | None:
    if not case.returns or abs(_quantile(case.returns, 0.05)) < FLAT:
        return None
    return abs(_quantile(case.returns, 0.95)) / abs(_quantile(case.returns, 0.05))


def _stability(case: Case) -> float | None:
    if len(case.returns) < 2 or min(case.curve.values) <= 0:
        return None
    logs = [math.log(value) for value in case.curve.values[1:]]
    return None if flat(logs) else statistics.correlation(range(len(logs)), logs) ** 2


def _over(top: float | None, bottom: float | None) -> float | None:
    return None if top is None or not bottom else top / abs(bottom)


def _span(case: Case) -> tuple[int, float, float] | None:
    levels = [] if case.curve.benchmark is None else case.curve.benchmark.tolist()
    known = [at for at, level in enumerate(levels) if not math.isnan(level)]
    if len(known) < 2 or levels[known[0]] <= 0:
        return None
    a, b = known[0], known[-1]
    return b - a, case.curve.values[b] / case.curve.values[a], levels[b] / levels[a]


def _beta(case: Case) -> float | None:
    if flat([b for _, b in case.pairs]):
        return None
    own, market = zip(*case.pairs, strict=True)
    return statistics.linear_regression(market, own).slope


def _alpha(case: Case) -> float | None:
    slope = _beta(case)
    if slope is None:
        return None
    mean = statistics.fmean(r - case.rate - slope * (b - case.rate) for r, b in case.pairs)
    return None if mean <= -1 else _power(1 + mean, case.per_year) - 1


def _active(case: Case) -> list[float]:
    return [r - b for r, b in case.pairs]


def _correlation(case: Case) -> float | None:
    if flat([r for r, _ in case.pairs]) or flat([b for _, b in case.pairs]):
        return None
    return statistics.correlation(*zip(*case.pairs, strict=True))


def _capture(case: Case, sign: int) -> float | None:
    chosen = [(r, b) for r, b in case.pairs if sign * b > 0]
    if not chosen:
        return None
    own, market = (
        _power(math.prod(1 + pair[side] for pair in chosen), case.per_year / len(chosen)) - 1
        for side in (0, 1)
    )
    return own / market if market and math.isfinite(market) else None


@dataclass(frozen=True)
class Row:
    """One trade."""

    entry: Any
    exit: Any
    side: float
    quantity: float
    bought: float
    sold: float
    pnl: float
    fee: float | None
    closed: bool


def rows(case: Case) -> list[Row]:
    table = case.trades
    assert table is not None
    some_exit = any(not np.isnat(time) for time in table.exit_time)
    return [
        Row(
            table.entry_time[i], table.exit_time[i], table.side[i], table.quantity[i], table.entry_price[i],
            table.exit_price[i], table.pnl[i], None if table.fees is None else table.fees[i],
            not np.isnat(table.exit_time[i]) if some_exit else not math.isnan(table.pnl[i]),
        )
        for i in range(len(table))
    ]  # fmt: skip


def _results(case: Case) -> list[float]:
    return [row.pnl for row in rows(case) if row.closed and not math.isnan(row.pnl)]


def _mean(sample: list[float]) -> float | None:
    return statistics.fmean(sample) if sample else None


def _sides(case: Case, side: int) -> int | None:
    if rows(case) and all(math.isnan(row.side) for row in rows(case)):
        return None
    return sum(row.closed and row.side == side for row in rows(case))


def _profit_factor(case: Case) -> float | None:
    losses = -math.fsum(pnl for pnl in _results(case) if pnl < 0)
    return math.fsum(pnl for pnl in _results(case) if pnl > 0) / losses if losses else None


def _holding(case: Case) -> float | None:
    known = [row for row in rows(case) if not (np.isnat(row.entry) or np.isnat(row.exit))]
    return _mean([float((row.exit - row.entry) / DAY) for row in known])


def _exposure(case: Case) -> float | None:
    """By looking at every stretch between two moments at which anything happens."""
    times, position = case.curve.times, case.curve.position
    if len(times) < 2:
        return None
    if position is not None and not np.isnan(position[:-1]).all():
        known = [i for i in range(len(times) - 1) if not math.isnan(position[i])]
        held = sum(float((times[i + 1] - times[i]) / DAY) for i in known if position[i] != 0)
        return held / sum(float((times[i + 1] - times[i]) / DAY) for i in known)
    if case.trades is None:
        return None
    spans = [(row.entry, row.exit if row.closed else times[-1]) for row in rows(case)]
    spans = [(a, b) for a, b in spans if not (np.isnat(a) or np.isnat(b))]
    if rows(case) and not spans:
        return None
    moments = sorted({times[0], times[-1], *(t for one in spans for t in one if times[0] <= t <= times[-1])})
    held = math.fsum(
        float((b - a) / DAY)
        for a, b in itertools.pairwise(moments)
        if any(one[0] <= a and b <= one[1] for one in spans)
    )
    return held / float((times[-1] - times[0]) / DAY)


def _turnover(case: Case) -> float | None:
    traded = [row.quantity * price for row in rows(case) for price in (row.bought, row.sold)]
    known = [value for value in traded if not math.isnan(value)]
    mean = statistics.fmean(case.curve.values)
    if not case.returns or mean <= 0 or (traded and not known):
        return None
    return math.fsum(known) / mean / (len(case.returns) / case.per_year)


def _costs(case: Case) -> float | None:
    fees = [] if case.trades is None or case.trades.fees is None else case.trades.fees.tolist()
    known = [fee for fee in fees if not math.isnan(fee)]
    if case.trades is None or case.trades.fees is None or (fees and not known):
        return None
    return math.fsum(known)


def _traded(function: Callable[[Case], Any]) -> Callable[[Case], Any]:
    return lambda case: None if case.trades is None else function(case)


NAIVE: dict[str, Callable[[Case], Any]] = {
    "total_return": _total,
    "cagr": _cagr,
    "best_period": lambda c: max(c.returns, default=None),
    "worst_period": lambda c: min(c.returns, default=None),
    "positive_periods": lambda c: _mean([float(r > 0) for r in c.returns]),
    "volatility": lambda c: _deviation(c.returns, c.per_year),
    "max_drawdown": lambda c: _worst(c, 0),
    "max_drawdown_start": lambda c: _worst(c, 1),
    "max_drawdown_trough": lambda c: _worst(c, 2),
    "max_drawdown_end": lambda c: _worst(c, 3),
    "max_drawdown_days": lambda c: _worst(c, 4),
    "longest_drawdown_days": lambda c: (
        max((_days(c, one) for one in episodes(c)), default=0.0) if c.returns else None
    ),
    "ulcer_index": lambda c: (
        math.sqrt(statistics.fmean(d * d for d in _distances(c)[1:])) if c.returns else None
    ),
    "value_at_risk": lambda c: _quantile(c.returns, 0.05) if c.returns else None,
    "expected_shortfall": lambda c: _mean(sorted(c.returns)[: int((len(c.returns) - 1) * 0.05) + 1]),
    "skew": lambda c: _moment(c, 3),
    "kurtosis": lambda c: None if _moment(c, 4) is None else _moment(c, 4) - 3,
    "tail_ratio": _tail,
    "sharpe": lambda c: _sharpe(c.returns, c.rate, c.per_year),
    "sortino": _sortino,
    "calmar": lambda c: _over(_cagr(c), _worst(c, 0)),
    "omega": _omega,
    "recovery_factor": lambda c: _over(_total(c), _worst(c, 0)),
    "stability": _stability,
    "benchmark_total_return": lambda c: None if _span(c) is None else _span(c)[2] - 1,
    "benchmark_cagr": lambda c: (
        None if _span(c) is None else _power(_span(c)[2], c.per_year / _span(c)[0]) - 1
    ),
    "excess_return": lambda c: None if _span(c) is None else _span(c)[1] - _span(c)[2],
    "alpha": _alpha,
    "beta": _beta,
    "information_ratio": lambda c: _sharpe(_active(c), 0.0, 1.0),
    "information_ratio_annual": lambda c: _sharpe(_active(c), 0.0, c.per_year),
    "tracking_error": lambda c: _deviation(_active(c), c.per_year),
    "correlation": _correlation,
    "up_capture": lambda c: _capture(c, 1),
    "down_capture": lambda c: _capture(c, -1),
    "trades": _traded(lambda c: sum(row.closed for row in rows(c))),
    "long_trades": _traded(lambda c: _sides(c, 1)),
    "short_trades": _traded(lambda c: _sides(c, -1)),
    "win_rate": _traded(lambda c: _mean([float(pnl > 0) for pnl in _results(c)])),
    "payoff_ratio": _traded(
        lambda c: _over(
            _mean([pnl for pnl in _results(c) if pnl > 0]), _mean([pnl for pnl in _results(c) if pnl < 0])
        )
    ),
    "profit_factor": _traded(_profit_factor),
    "expectancy": _traded(lambda c: _mean(_results(c))),
    "average_holding_days": _traded(_holding),
    "exposure": _exposure,
    "turnover": _traded(_turnover),
    "costs": _costs,
    "costs_of_capital": lambda c: _over(_costs(c), c.curve.values[0]),
}
"""By field of Measures; what is undefined is None, NaN or infinite."""


def _emp(function: Callable[..., Any], *arrays: Any, **options: Any) -> float:
    """What empyrical says, however loudly."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return float(function(*arrays, **options))


def _own(case: Case) -> np.ndarray:
    return np.array(case.returns)


def _own_paired(case: Case) -> np.ndarray:
    return np.array([r for r, _ in case.pairs])


def _market(case: Case) -> np.ndarray:
    return np.array([b for _, b in case.pairs])


def _emp_capture(case: Case, sign: int) -> float:
    own, market = _own_paired(case), _market(case)
    if case.per_year in CONVENTIONS:
        function = empyrical.up_capture if sign > 0 else empyrical.down_capture
        return _emp(function, own, market, period=CONVENTIONS[case.per_year])
    chosen = sign * market > 0  # its captures take no number of returns a year
    own, market = (
        _emp(empyrical.annual_return, one[chosen], annualization=case.per_year) for one in (own, market)
    )
    return own / market if market and math.isfinite(market) else math.nan


EMPYRICAL: dict[str, Callable[[Case], float]] = {
    "total_return": lambda c: _emp(empyrical.cum_returns_final, _own(c)),
    "cagr": lambda c: _emp(empyrical.annual_return, _own(c), annualization=c.per_year),
    "volatility": lambda c: _emp(empyrical.annual_volatility, _own(c), annualization=c.per_year),
    "max_drawdown": lambda c: _emp(empyrical.max_drawdown, _own(c)),
    "value_at_risk": lambda c: _emp(empyrical.value_at_risk, _own(c)),
    "expected_shortfall": lambda c: _emp(empyrical.conditional_value_at_risk, _own(c)),
    "skew": lambda c: _emp(empyrical.stats.stats.skew, _own(c)),
    "kurtosis": lambda c: _emp(empyrical.stats.stats.kurtosis, _own(c)),
    "tail_ratio": lambda c: _emp(empyrical.tail_ratio, _own(c)),
    "sharpe": lambda c: _emp(empyrical.sharpe_ratio, _own(c), c.rate, annualization=c.per_year),
    "sortino": lambda c: _emp(empyrical.sortino_ratio, _own(c), c.rate, annualization=c.per_year),
    "calmar": lambda c: _emp(empyrical.calmar_ratio, _own(c), annualization=c.per_year),
    "omega": lambda c: _emp(empyrical.omega_ratio, _own(c), annualization=c.per_year),
    "stability": lambda c: _emp(empyrical.stability_of_timeseries, _own(c)),
    "alpha": lambda c: _emp(
        empyrical.alpha_aligned, _own_paired(c), _market(c), risk_free=c.rate, annualization=c.per_year
    ),
    "beta": lambda c: _emp(empyrical.beta_aligned, _own_paired(c), _market(c), risk_free=c.rate),
    "information_ratio": lambda c: _emp(empyrical.excess_sharpe, _own_paired(c), _market(c)),
    "up_capture": lambda c: _emp_capture(c, 1),
    "down_capture": lambda c: _emp_capture(c, -1),
}
"""By field of Measures."""
