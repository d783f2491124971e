"""The list of backtests that the demo runs; nothing is simulated or logged here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from core.demo.plan import ParamValue

# The 500 largest US companies trade at about 2 basis points a side, crude oil at 4.
_COSTS = {"sp500": 2.0, "wti": 4.0}


@dataclass(frozen=True, slots=True)
class BacktestPlan:
    """One backtest: a rule with its params on one instrument.

    Attributes
    ----------
    instrument : {"sp500", "wti"}
        A series inside the package ``arch``.
    rule : {"moving_average", "momentum"}
    params : mapping
        moving_average: fast and slow, in days; momentum: lookback, in days, and short.
    noise : float
        Share of days on which the rule misses its signal.
    """

    name: str
    instrument: str
    rule: str
    params: Mapping[str, ParamValue]
    costs_bps: float
    noise: float = 0.0
    seed: int = 0
    note: str | None = None


@dataclass(frozen=True, slots=True)
class BacktestExperiment:
    """An experiment of backtests, in the order they are run."""

    name: str
    note: str
    team: str
    people: tuple[str, ...]
    entries: tuple[BacktestPlan, ...] = field(repr=False)

    @property
    def size(self) -> int:
        """Number of runs."""
        return len(self.entries)

    @property
    def directions(self) -> dict[str, bool]:
        """Which of the logged metrics are better when higher."""
        higher = ("total_return", "cagr", "sharpe_ratio", "sortino_ratio", "calmar_ratio", "max_drawdown")
        return {**dict.fromkeys(higher, True), "win_rate": True, "volatility": False, "costs": False}


def backtest_experiments() -> tuple[BacktestExperiment, ...]:
    """List the experiments, the same at every call."""
    return (
        BacktestExperiment(
            name="sp500-rules",
            note="Do simple rules beat holding the S&P 500, after costs? Daily closes, 1999 to 2018.",
            team="systematic-equity",
            people=("noor", "jonas"),
            entries=(*_moving_averages("sp500"), *_momentum("sp500"), *_noisy("sp500")),
        ),
        BacktestExperiment(
            name="wti-rules",
            note="The same rules on West Texas crude, 1986 to 2019.",
            team="commodities",
            people=("noor", "mei"),
            entries=(*_moving_averages("wti"), *_momentum("wti")),
        ),
    )


def _moving_averages(instrument: str) -> Iterator[BacktestPlan]:
    slows = (100, 150, 200) if instrument == "sp500" else (100, 200)
    for fast, slow in product((10, 20, 50), slows):
        yield BacktestPlan(
            f"MA {fast}/{slow}",
            instrument,
            "moving_average",
            {"fast": fast, "slow": slow},
            _COSTS[instrument],
        )


def _momentum(instrument: str) -> Iterator[BacktestPlan]:
    lookbacks = (21, 63, 126, 252) if instrument == "sp500" else (63, 126, 252)
    for lookback, short in product(lookbacks, (False, True)):
        yield BacktestPlan(
            f"momentum {lookback}{' long-short' if short else ''}",
            instrument,
            "momentum",
            {"lookback": lookback, "short": str(short).lower()},
            _COSTS[instrument],
        )


def _noisy(instrument: str) -> Iterator[BacktestPlan]:
    for seed in range(1, 12):
        yield BacktestPlan(
            f"momentum 126 noisy seed={seed}",
            instrument,
            "momentum",
            {"lookback": 126, "short": "false"},
            _COSTS[instrument],
            noise=0.05,
            seed=seed,
            note="Misses its signal on one day in twenty: what is left is luck." if seed == 1 else None,
        )
