import math
import sys
import time

import numpy as np
import pytest

from core.errors import BadInputError
from core.runs.importance import param_importance


@pytest.fixture
def rng():
    return np.random.default_rng(42)


def texts(values):
    return [str(value) for value in values]


def by_param(importance):
    return {row.param: row for row in importance.rows}


def a_sweep(rng, runs):
    """Learning rates over five decades, an optimiser, a depth that may be None, and two params without effect."""
    rate = 10 ** rng.uniform(-5, 0, runs)
    optimiser = rng.choice(["adam", "sgd", "rmsprop"], runs)
    depth = [None if i % 7 == 0 else str(i % 5) for i in range(runs)]
    params = {
        "lr": texts(rate.tolist()),
        "optimiser": texts(optimiser),
        "max_depth": depth,
        "noise": texts(rng.uniform(size=runs).tolist()),
        "comment": texts(rng.integers(0, 4, runs)),
    }
    loss = 2 * np.abs(np.log10(rate) + 1) + 3 * (optimiser == "sgd") + rng.normal(0, 0.1, runs)
    return params, loss.tolist()


def test_the_param_that_drives_the_metric_ranks_first(rng):
    params, loss = a_sweep(rng, 300)
    importance = param_importance(params, loss)
    assert [row.param for row in importance.rows[:2]] == ["lr", "optimiser"]
    assert importance.rows[0].importance > 0.5
    assert importance.rows[1].importance > 0.1
    assert all(row.importance < 0.03 for row in importance.rows[2:])
    assert sum(row.importance for row in importance.rows) == pytest.approx(1)
    assert importance.r2_oob > 0.8
    assert importance.warnings == ()
    assert importance.n_runs == 300


def test_how_params_are_read(rng):
    rows = by_param(param_importance(*a_sweep(rng, 70)))
    assert (rows["lr"].kind, rows["lr"].n_values, rows["lr"].missing) == ("numeric", 70, 0)
    assert (rows["optimiser"].kind, rows["optimiser"].n_values) == ("categorical", 3)
    assert (rows["max_depth"].kind, rows["max_depth"].n_values, rows["max_depth"].missing) == (
        "numeric",
        5,
        10,
    )


def test_a_shuffled_metric_is_said_to_be_unexplained(rng):
    params, loss = a_sweep(rng, 300)
    importance = param_importance(params, rng.permutation(loss).tolist())
    assert importance.r2_oob < 0.1
    assert "do not trust the ranking" in importance.warnings[-1]


def test_an_effect_that_is_not_monotone_is_found_where_correlation_is_blind(rng):
    x = rng.uniform(-1, 1, 400)
    importance = param_importance({"x": texts(x), "noise": texts(rng.uniform(size=400))}, (x**2).tolist())
    row = importance.rows[0]
    assert row.param == "x"
    assert row.importance > 0.9
    assert abs(row.correlation) < 0.2


def test_a_param_with_as_many_values_as_runs_gets_no_credit_for_it(rng):
    on = rng.integers(0, 2, 200)
    params = {"on": texts(on), "run_label": [f"run-{i}" for i in range(200)]}
    importance = param_importance(params, (on + rng.normal(0, 0.3, 200)).tolist())
    assert importance.rows[0].param == "on"
    assert by_param(importance)["run_label"].importance < 0.1
    assert importance.warnings == (
        "run_label has 200 different values: only the 30 most frequent are told apart.",
    )


def test_correlation_is_spearmans_and_has_a_sign():
    x = list(range(1, 21))
    params = {"up": texts(x), "down": texts([-v for v in x]), "word": [f"w{v % 3}" for v in x]}
    rows = by_param(param_importance(params, [math.exp(v) for v in x]))
    assert rows["up"].correlation == pytest.approx(1)
    assert rows["down"].correlation == pytest.approx(-1)
    assert rows["word"].correlation is None


def test_correlation_with_ties_and_missing_equals_scipy(rng):
    stats = pytest.importorskip("scipy.stats")
    x, y = rng.integers(0, 6, 60), rng.integers(0, 8, 60).astype(float)
    params = {"x": [None if i % 10 == 0 else str(v) for i, v in enumerate(x)]}
    present = np.arange(60) % 10 != 0
    expected = stats.spearmanr(x[present], y[present]).statistic
    assert param_importance(params, y.tolist()).rows[0].correlation == pytest.approx(expected)


def test_whether_a_param_is_set_at_all_can_matter(rng):
    is_set = rng.integers(0, 2, 100)
    params = {"dropout": ["0.5" if on else "None" for on in is_set], "noise": texts(rng.uniform(size=100))}
    row = param_importance(params, is_set.tolist()).rows[0]
    assert (row.param, row.n_values, row.missing) == ("dropout", 1, 100 - is_set.sum())
    assert row.importance > 0.9
    assert row.correlation is None


def test_constant_params_are_left_out_by_name(rng):
    params, loss = a_sweep(rng, 50)
    params |= {"env": ["usdcop"] * 50, "unset": [None] * 50, "batch": ["64", "64.0"] * 25}
    importance = param_importance(params, loss)
    assert importance.warnings == ("Left out, the same in every run: batch, env, unset.",)
    assert not {"env", "unset", "batch"} & by_param(importance).keys()


def test_nothing_varies():
    importance = param_importance({"env": ["usdcop"] * 10}, list(range(10)))
    assert (importance.rows, importance.r2_oob) == ((), None)
    assert importance.warnings[-1].startswith("No param varies")


def test_runs_without_a_finite_metric_are_left_out(rng):
    params, loss = a_sweep(rng, 40)
    clean = param_importance(params, loss)
    odd = [None, math.nan, math.inf, -math.inf, sys.float_info.max]
    dirty = param_importance({key: values + ["7"] * 5 for key, values in params.items()}, loss + odd)
    assert dirty == clean


@pytest.mark.parametrize("usable", [0, 9])
def test_fewer_than_ten_usable_runs_are_refused(usable):
    metric = [float(i) for i in range(usable)] + [math.nan] * 50
    with pytest.raises(
        BadInputError, match=f"10 runs or more with a finite value of the metric, not {usable}"
    ):
        param_importance({"x": texts(range(usable + 50))}, metric)


def test_ten_runs_are_enough():
    assert param_importance({"x": texts(range(10))}, list(range(10))).n_runs == 10


def test_a_metric_without_differences_is_refused():
    with pytest.raises(BadInputError, match="The metric is 1 in all 12 runs"):
        param_importance({"x": texts(range(12))}, [1.0] * 12)


def test_columns_of_another_length_are_refused():
    with pytest.raises(BadInputError, match="x has 3 values for 10 runs"):
        param_importance({"x": ["1", "2", "3"]}, list(range(10)))


def test_same_seed_same_result_whatever_the_order_of_params(rng):
    params, loss = a_sweep(rng, 200)
    again = {key: params[key] for key in reversed(params)}
    assert param_importance(params, loss, seed=3) == param_importance(again, loss, seed=3)
    assert param_importance(params, loss, seed=4) != param_importance(params, loss, seed=3)


def test_a_logarithm_of_the_metric_and_a_diverged_run_change_little(rng):
    params, loss = a_sweep(rng, 300)
    positive = [value + 3 for value in loss]
    plain, logged = (
        param_importance(params, positive),
        param_importance(params, [math.log(v) for v in positive]),
    )
    assert plain == logged
    diverged = param_importance(params, [1e300, *positive[1:]])
    assert diverged.rows[0].param == "lr"
    assert diverged.rows[0].importance == pytest.approx(plain.rows[0].importance, abs=0.05)


def test_more_runs_than_allowed_are_sampled_and_it_is_said(rng):
    params, loss = a_sweep(rng, 300)
    importance = param_importance(params, loss, max_runs=100)
    assert importance.n_runs == 100
    assert importance.warnings[0] == "A random sample of 100 of 300 runs was used."
    assert importance.rows[0].param == "lr"


def test_five_thousand_runs_and_fifteen_params_are_quick(rng):
    params, loss = a_sweep(rng, 5000)
    params |= {f"extra_{i}": texts(rng.uniform(size=5000).tolist()) for i in range(10)}
    param_importance({"x": texts(range(10))}, list(range(10)))  # the import is paid once a process
    start = time.perf_counter()
    importance = param_importance(params, loss)
    assert time.perf_counter() - start < 5, (
        "about 0.7 s on two cores; the bound leaves room for a busy machine"
    )
    assert importance.rows[0].param == "lr"
