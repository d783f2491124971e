"""Bars and trainings that are small enough for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.settings import read_settings
from core.training.rl.bars import Bars
from core.training.rl.features import market_features
from core.training.rl.market import Costs, Market, market_of
from core.training.rl.normalisation import fit
from core.training.rl.options import TrainingOptions
from core.training.rl.split import Part
from core.training.rl.training import TrainingReport, run_training

STEPS = 256


def prices(count: int, seed: int = 0, spread: float = 0.01) -> np.ndarray:
    """A random walk."""
    steps = np.random.default_rng(seed).normal(0, spread, count)
    return 100 * np.exp(np.cumsum(steps))


def days(count: int, start: str = "2020-01-01") -> np.ndarray:
    """Business days."""
    return np.busday_offset(start, np.arange(count), roll="forward").astype("datetime64[us]")


def minutes(count: int) -> np.ndarray:
    """Five-minute bars around the clock."""
    return np.datetime64("2024-01-01", "us") + np.arange(count) * np.timedelta64(5, "m")


def bars(count: int = 400, seed: int = 0, times: np.ndarray | None = None) -> Bars:
    """Daily bars."""
    return Bars(days(count) if times is None else times, prices(count, seed), "bars.csv")


def market(count: int = 300, seed: int = 0, costs: Costs = Costs(0.0002, 0.0001)) -> Market:  # noqa: B008
    """A stretch of the market, normalised by itself."""
    made = bars(count + 100, seed)
    features, part = market_features(made), Part(100, count + 100)
    cut = part.slice
    stats = fit(features[cut], made.close[cut], made.times[cut])
    return market_of(made, features, part, stats, costs)


def csv(path: Path, count: int = 400, seed: int = 0) -> Path:
    """Write bars into a file."""
    made = bars(count, seed)
    rows = [
        f"{time},{close!r}"
        for time, close in zip(made.times.astype("datetime64[D]"), made.close.tolist(), strict=True)
    ]
    path.write_text("\n".join(("time,close", *rows)) + "\n")
    return path


def options(data: Path, **changes: Any) -> TrainingOptions:
    """Options of a training that takes a second."""
    small = TrainingOptions(
        data,
        timesteps=STEPS,
        environments=2,
        n_steps=32,
        batch_size=32,
        episode_bars=16,
        net=(8,),
        costs=Costs(0.0001, 0.0001),
        evaluate_every=64,
        patience=0,
        run_name="agent",
    )
    return replace(small, **changes)


def train(data: Path, **changes: Any) -> TrainingReport:
    """Train in this process."""
    return run_training(options(data, **changes), read_settings())
