"""The environment: Gymnasium's rules, the account's arithmetic by a plain reading, and N at once as one by one."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from core.errors import GreenroomError
from core.training.rl.accounts import Accounts
from core.training.rl.environment import TradingEnv
from core.training.rl.market import Costs, Market
from core.training.rl.vectorised import TradingVecEnv
from tests.core.training.rl import kit


def test_gymnasium_finds_nothing_to_say() -> None:
    check_env(TradingEnv(kit.market(), 50, random_start=True), skip_render_check=True)


def act(position: float) -> np.ndarray:
    return np.array([position], dtype=np.float32)


def test_a_position_earns_the_return_from_this_close_to_the_next_and_not_another() -> None:
    market = kit.market(costs=Costs())
    env = TradingEnv(market)
    env.reset()
    for at, position in enumerate((1.0, -1.0, 0.0, 0.5)):
        *_, info = env.step(act(position))
        earned = position * (market.close[at + 1] / market.close[at] - 1)
        assert info["growth"] == pytest.approx(1 + earned, abs=1e-15)


def test_costs_are_paid_for_what_is_bought_or_sold() -> None:
    market = kit.market(costs=Costs(fee=0.001, slippage=0.002))
    env = TradingEnv(market)
    env.reset()
    *_, info = env.step(act(1.0))
    assert info["fees"] == pytest.approx(0.003)
    *_, info = env.step(act(1.0))
    # All of the equity stays invested as the price moves.
    assert info["fees"] == 0.0
    *_, info = env.step(act(-1.0))
    assert info["fees"] == pytest.approx(0.006)
    *_, info = env.step(act(-1.0))
    # A short position moves away from the equity, and is brought back.
    r = market.returns[2]
    assert info["fees"] == pytest.approx(0.003 * abs(-1 - -1 * (1 + r) / (1 - r)))


def test_the_reward_is_the_log_growth_in_units_of_the_training_deviation() -> None:
    market = kit.market()
    env = TradingEnv(market)
    env.reset()
    _, reward, *_, info = env.step(act(0.7))
    assert reward == pytest.approx(np.log(info["growth"]) / market.return_scale)


def test_an_observation_ends_with_position_and_open_gain() -> None:
    market = kit.market(costs=Costs())
    env = TradingEnv(market)
    seen, _ = env.reset()
    assert seen[-2:].tolist() == [0, 0]
    assert seen[:-2].tolist() == market.features[0].tolist()
    seen, *_ = env.step(act(1.0))
    seen, *_ = env.step(act(1.0))
    gain = market.close[2] / market.close[0] - 1
    assert seen[-2] == 1.0
    assert seen[-1] == pytest.approx(gain / (market.return_scale * np.sqrt(20)), rel=1e-5)
    # Turned round, the gain begins anew.
    seen, *_ = env.step(act(-1.0))
    lost = -market.returns[2]
    assert seen[-1] == pytest.approx(lost / (market.return_scale * np.sqrt(20)), rel=1e-5)
    seen, *_ = env.step(act(0.0))
    assert seen[-2:].tolist() == [0, 0]


def test_an_episode_ends_in_time_and_an_account_in_ruin() -> None:
    env = TradingEnv(kit.market(), 3)
    env.reset()
    assert [env.step(act(0.0))[2:4] for _ in range(3)] == [(False, False), (False, False), (False, True)]
    doubled = Market(
        kit.days(3), np.array([1.0, 2.5, 2.5]), np.zeros((3, 13), dtype=np.float32), Costs(), 0.01
    )
    env = TradingEnv(doubled)
    env.reset()
    seen, reward, terminated, truncated, info = env.step(act(-1.0))
    assert (terminated, truncated) == (True, False)
    assert np.isfinite(reward) and np.isfinite(seen).all() and 0 < info["equity"] < 1e-5


def test_a_policy_that_has_diverged_is_said_so() -> None:
    env = TradingVecEnv(kit.market(), 2)
    env.reset()
    with pytest.raises(GreenroomError, match="diverged"):
        env.step(np.array([[0.0], [np.nan]]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1, 1), st.floats(-0.3, 0.3)),
        min_size=1,
        max_size=30,
    ),
    st.floats(0, 0.02),
)
def test_an_account_is_worth_its_shares_and_cash(steps: list[tuple[float, float]], cost: float) -> None:
    accounts = Accounts(1, cost, 0.01)
    # As a broker counts it: cash and shares at a price.
    cash, shares, price = 1.0, 0.0, 1.0
    for target, move in steps:
        equity = cash + shares * price
        held = shares * price / equity
        equity *= 1 - cost * abs(target - held)
        shares = target * equity / price
        cash = equity - shares * price
        price *= 1 + move
        accounts.trade(np.array([target]), np.array([move]))
        worth = cash + shares * price
        assert accounts.equity[0] == pytest.approx(worth, rel=1e-9)
        assert accounts.position[0] == pytest.approx(shares * price / worth, abs=1e-9)


@pytest.mark.parametrize("random_start", [True, False])
def test_n_at_once_are_n_one_by_one(random_start: bool) -> None:
    """Observations, rewards, ends, last observations and new starts, to the last bit, over many episodes."""
    market = kit.market()
    count, length = 5, 17
    ours = TradingVecEnv(market, count, length, random_start=random_start)
    theirs = DummyVecEnv(
        [lambda: Monitor(TradingEnv(market, length, random_start=random_start)) for _ in range(count)]
    )
    ours.seed(7)
    theirs.seed(7)
    assert np.array_equal(ours.reset(), theirs.reset())
    actions = np.random.default_rng(1)
    ended = 0
    for _ in range(100):
        action = actions.uniform(-1.2, 1.2, (count, 1)).astype(np.float32)
        (seen, rewards, dones, infos), expected = ours.step(action), theirs.step(action)
        assert np.array_equal(seen, expected[0]) and seen.dtype == expected[0].dtype
        assert np.array_equal(rewards, expected[1])
        assert np.array_equal(dones, expected[2])
        for info, other in zip(infos, expected[3], strict=True):
            assert info.get("TimeLimit.truncated", False) == other.get("TimeLimit.truncated", False)
            assert ("terminal_observation" in info) == ("terminal_observation" in other)
            if "terminal_observation" in info:
                ended += 1
                assert np.array_equal(info["terminal_observation"], other["terminal_observation"])
                assert info["episode"]["l"] == other["episode"]["l"]
                assert info["episode"]["r"] == pytest.approx(other["episode"]["r"], abs=1e-5)
    assert ended == count * (100 // length)


def test_environments_that_are_ruined_are_not_taken_for_out_of_time() -> None:
    doubled = Market(
        kit.days(4), np.array([1.0, 2.5, 2.5, 2.5]), np.zeros((4, 13), dtype=np.float32), Costs(), 0.01
    )
    env = TradingVecEnv(doubled, 2, random_start=False)
    env.reset()
    seen, _, dones, infos = env.step(np.array([[-1.0], [1.0]]))
    assert dones.tolist() == [True, False]
    assert infos[0]["TimeLimit.truncated"] is False and infos[1] == {}
    assert seen[0, -2:].tolist() == [0, 0]
    assert infos[0]["episode"]["l"] == 1


def test_different_environments_start_at_different_bars() -> None:
    env = TradingVecEnv(kit.market(), 16, 20)
    env.seed(1)
    assert len({row.tobytes() for row in env.reset()}) > 8
