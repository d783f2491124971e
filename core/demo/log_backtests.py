"""A training script like any other: simulates backtests and logs them through `MLflowLogger`.

The demo runs it in a process of its own, ``python -m core.demo.log_backtests PLANS``, with the tracking store in
MLFLOW_TRACKING_URI, since a logger sets the global state of MLflow. It prints the name of each run it has logged.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.backtests.annualisation import annualise
from core.backtests.measures import measure
from core.backtests.types import EquityCurve
from core.demo.backtest_plans import BacktestPlan
from core.demo.trading_rules import (
    Floats,
    Simulation,
    momentum_signal,
    moving_average_signal,
    simulate,
    with_noise,
)
from core.tracking import MLflowLogger


@cache
def closes(instrument: str) -> pd.Series[float]:
    """Return the daily closes of an instrument."""
    from arch.data import sp500, wti

    data, column = {"sp500": (sp500, "Adj Close"), "wti": (wti, "DCOILWTICO")}[instrument]
    found: pd.Series[float] = data.load()[column].dropna().astype("float64")
    return found


def run(plan: BacktestPlan) -> Simulation:
    """Simulate a plan."""
    prices = closes(plan.instrument)
    values: Floats = np.asarray(prices, dtype=np.float64)
    if plan.rule == "moving_average":
        signal = moving_average_signal(values, int(plan.params["fast"]), int(plan.params["slow"]))
    else:
        signal = momentum_signal(values, int(plan.params["lookback"]), plan.params["short"] == "true")
    return simulate(prices, with_noise(signal, plan.noise, plan.seed), plan.costs_bps)


def metrics(done: Simulation) -> dict[str, float]:
    """Return the metrics of a simulation, as Greenroom defines them."""
    times = done.portfolio["time"].to_numpy().astype("datetime64[us]")
    curve = EquityCurve(times, done.portfolio["value"].to_numpy())
    found = measure(curve, None, annualise(times))
    named = {
        "total_return": found.total_return,
        "cagr": found.cagr,
        "volatility": found.volatility,
        "sharpe_ratio": found.sharpe,
        "sortino_ratio": found.sortino,
        "calmar_ratio": found.calmar,
        "max_drawdown": found.max_drawdown,
        "win_rate": float((done.trades["pnl"] > 0).mean()),
        "costs": float(done.trades["fees"].sum()),
    }
    return {key: value for key, value in named.items() if value is not None and np.isfinite(value)}


def log(logger: MLflowLogger, plan: BacktestPlan, tags: dict[str, str]) -> None:
    """Simulate and log a plan."""
    prices = closes(plan.instrument)
    done = run(plan)
    digest = hashlib.sha256(prices.to_numpy().tobytes()).hexdigest()
    noted = {"mlflow.note.content": plan.note} if plan.note else {}
    with logger.start_run(plan.name, tags={**tags, **noted, "dataset_hash_full": digest}):
        logger.log_params(
            {
                "rule": plan.rule,
                **plan.params,
                "instrument": plan.instrument,
                "costs_bps": plan.costs_bps,
                "noise": plan.noise,
                "seed": plan.seed,
                "backtest_start": prices.index[0].date(),
                "backtest_end": prices.index[-1].date(),
                "dataset_hash": digest[:16],
            }
        )
        logger.log_backtest_results(
            {"portfolio_values": done.portfolio, "trades": done.trades, "metrics": metrics(done)}
        )


def main(given: dict[str, Any]) -> None:
    """Log all plans of an experiment."""
    # MLflow 3.17 on SQLAlchemy 2.1 warns at its first use.
    warnings.filterwarnings("ignore", message="The ``noload`` loader strategy")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logger = MLflowLogger(given["experiment"])
    for entry in given["entries"]:
        plan = BacktestPlan(**entry["plan"])
        log(logger, plan, entry["tags"])
        print(plan.name, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
