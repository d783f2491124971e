"""The features: what they are, by a plain reading of their formulas, and that none of them sees the future."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInputError
from core.training.rl.bars import Bars
from core.training.rl.environment import TradingEnv
from core.training.rl.features import FEATURE_ORDER, MARKET_FEATURES, WARM_UP, market_features
from core.training.rl.market import Costs, market_of
from core.training.rl.normalisation import NormalisationStats, fit, read_stats
from core.training.rl.split import walk_forward
from tests.core.training.rl import kit


def column(table: np.ndarray, name: str) -> np.ndarray:
    return table[:, MARKET_FEATURES.index(name)]


def test_an_observation_has_fifteen_named_features() -> None:
    assert len(FEATURE_ORDER) == len(set(FEATURE_ORDER)) == 15
    assert FEATURE_ORDER[:13] == MARKET_FEATURES


def test_each_feature_is_what_its_formula_says() -> None:
    bars = kit.bars(300)
    table = market_features(bars)
    close = pd.Series(bars.close)
    logs = np.log(close).diff().fillna(0.0)
    up = close.diff().clip(lower=0).fillna(0).ewm(alpha=1 / 14, adjust=False).mean()
    down = (-close.diff()).clip(lower=0).fillna(0).ewm(alpha=1 / 14, adjust=False).mean()
    macd = (close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()) / close
    expected = {
        **{f"return_{h}": np.log(close / close.shift(h)) for h in (1, 5, 20, 60)},
        "volatility_20": logs.rolling(20).std(),
        "volatility_ratio": np.log((logs.rolling(20).std() + 1e-8) / (logs.rolling(100).std() + 1e-8)),
        "rsi_14": (100 - 100 / (1 + up / down)) / 50 - 1,
        "macd": macd,
        "macd_histogram": macd - macd.ewm(span=9, adjust=False).mean(),
        "mean_distance_20": np.log(close / close.rolling(20).mean()),
        "mean_distance_100": np.log(close / close.rolling(100).mean()),
        "drawdown_100": close / close.rolling(100).max() - 1,
        "clock": pd.Series(pd.DatetimeIndex(bars.times).day_of_week / 7),
    }
    assert set(expected) == set(MARKET_FEATURES)
    for name, values in expected.items():
        assert column(table, name)[WARM_UP:] == pytest.approx(values.to_numpy()[WARM_UP:], abs=1e-12), name
    assert np.isnan(table[:WARM_UP]).all() and np.isfinite(table[WARM_UP:]).all()


def test_the_clock_of_intraday_bars_is_the_time_of_the_day() -> None:
    bars = kit.bars(400, times=kit.minutes(400))
    clock = column(market_features(bars), "clock")
    assert clock[288] == 0.0 and clock[288 + 72] == 0.25


def test_a_price_that_never_moves_has_features() -> None:
    bars = Bars(kit.days(150), np.full(150, 7.0), "still.csv")
    table = market_features(bars)[WARM_UP:, :-1]
    assert np.abs(table).max() < 1e-12


def test_too_few_bars_are_refused_with_how_many_are_needed() -> None:
    with pytest.raises(BadInputError, match=r"bars\.csv has 100 bars; the first 100 are needed"):
        market_features(kit.bars(100))


COUNT = 260


@settings(max_examples=25, deadline=None)
@given(
    at=st.integers(WARM_UP, COUNT - 2),
    factor=st.floats(0.05, 20.0),
    seed=st.integers(0, 2**32 - 1),
    intraday=st.booleans(),
)
def test_no_feature_observation_or_action_sees_a_price_that_comes_later(
    at: int, factor: float, seed: int, intraday: bool
) -> None:
    times = kit.minutes(COUNT) if intraday else kit.days(COUNT)
    bars = kit.bars(COUNT, seed=3, times=times)
    changed = bars.close.copy()
    changed[at + 1 :] = factor * kit.prices(COUNT - at - 1, seed=seed, spread=0.1)
    other = replace(bars, close=changed)
    ours, theirs = market_features(bars), market_features(other)
    assert np.array_equal(ours[: at + 1], theirs[: at + 1], equal_nan=True)
    (fold,) = walk_forward(WARM_UP, COUNT)
    cut = fold.train.slice
    if at >= cut.stop - 1:
        stats = fit(ours[cut], bars.close[cut], bars.times[cut])
        # The training part ends with `at` or before: its statistics, too, are those of the past.
        assert fit(theirs[cut], other.close[cut], other.times[cut]) == stats
    else:
        stats = fit(ours[cut], bars.close[cut], bars.times[cut])
    for part in (fold.train, fold.validation, fold.test):
        decided, theirs_decided = (
            decisions(market_of(one, features, part, stats, Costs(0.001)), at - part.start)
            for one, features in ((bars, ours), (other, theirs))
        )
        assert len(decided) == max(0, min(at - part.start, len(part) - 2) + 1)
        assert np.array_equal(decided, theirs_decided)


def decisions(market: object, last: int) -> np.ndarray:
    """Observations and actions up to a bar, of a policy that looks at everything it is shown."""
    env = TradingEnv(market)  # type: ignore[arg-type]
    seen, _ = env.reset(seed=0)
    weights = np.linspace(-1, 1, len(FEATURE_ORDER))
    rows = []
    for _ in range(min(last, len(env.market) - 2) + 1):
        action = math.tanh(float(weights @ seen))
        rows.append([*seen, action])
        seen, *_ = env.step(np.array([action], dtype=np.float32))
    return np.array(rows)


def test_statistics_bring_the_training_part_to_mean_zero_and_deviation_one() -> None:
    bars = kit.bars(400)
    features = market_features(bars)[WARM_UP:]
    stats = fit(features, bars.close[WARM_UP:], bars.times[WARM_UP:])
    normal = stats.apply(features)
    assert normal.dtype == np.float32
    unclipped = (np.abs(normal) < 5).all(axis=0)
    assert unclipped.sum() > 8
    assert normal[:, unclipped].mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert normal[:, unclipped].std(axis=0) == pytest.approx(1, abs=1e-4)
    assert np.abs(normal).max() <= 5


def test_a_feature_that_does_not_vary_is_not_blown_up() -> None:
    features = np.zeros((50, 13))
    stats = fit(features, np.full(50, 3.0), kit.days(50))
    assert set(stats.scale) == {1.0} and stats.return_scale == 1.0


def test_statistics_are_read_back_as_they_were_written(tmp_path) -> None:
    bars = kit.bars(200)
    stats = fit(market_features(bars)[WARM_UP:], bars.close[WARM_UP:], bars.times[WARM_UP:])
    path = tmp_path / "norm_stats.json"
    path.write_text(stats.to_json())
    assert read_stats(path) == stats


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"features": 3}'])
def test_statistics_that_are_none_are_refused(tmp_path, text: str) -> None:
    path = tmp_path / "norm_stats.json"
    path.write_text(text)
    with pytest.raises(BadInputError, match=r"norm_stats\.json holds no normalisation statistics"):
        read_stats(path)


def test_statistics_of_other_features_are_refused(tmp_path) -> None:
    path = tmp_path / "norm_stats.json"
    path.write_text(NormalisationStats(("a",), (0.0,), (1.0,), 1.0, "", "", 1).to_json())
    with pytest.raises(BadInputError, match="about other features"):
        read_stats(path)
