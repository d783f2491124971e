import math
import subprocess
import sys
import time
from dataclasses import fields, replace

import numpy as np
import polars as pl
import pytest
from arch.data import nasdaq, sp500
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.backtests.annualisation import annualise
from core.backtests.catalogue import BY_KEY, CATALOGUE, Group, Unit
from core.backtests.measures import Measures, measure
from core.backtests.types import Annualisation, EquityCurve, Trades
from core.errors import BadInputError
from tests.core.backtests.oracles import EMPYRICAL, NAIVE, Case, flat, same

NAMES = [field.name for field in fields(Measures)]
PER_YEAR = st.sampled_from([252.0, 365.0, 52.0, 12.0, 4.0, 1.0, 8766.0, 15098.3])
RATES = st.sampled_from([0.0, 0.03, -0.01, 0.5])
NO_TRADES = Trades(*(np.empty(0, dtype="datetime64[us]"),) * 2, *(np.empty(0),) * 5, fees=np.empty(0))
NEED_VARIATION = {"skew", "kurtosis", "sharpe", "stability", "alpha", "beta", "information_ratio"}


def curve_of(values, benchmark=None):
    times = np.datetime64("2020-01-01", "us") + np.arange(len(values)) * np.timedelta64(1, "D")
    levels = None if benchmark is None else np.array(benchmark, dtype=float)
    return EquityCurve(times, np.array(values, dtype=float), levels)


def of(case):
    year = Annualisation(case.per_year, "as set", math.nan)
    return measure(case.curve, case.trades, year, risk_free=case.risk_free)


def differences(case, oracles):
    found = of(case)
    answers = {name: oracle(case) for name, oracle in oracles.items()}
    return [
        f"{name}: {getattr(found, name)} is not {expected}"
        for name, expected in answers.items()
        if not same(*(a_step(name, value, case) for value in (getattr(found, name), expected)))
    ]


def a_step(name, value, case):
    """Alpha of one step: over a year of 15,000 steps its power makes 1e-9 of what is the last bit of a step."""
    if name != "alpha" or value is None or not math.isfinite(value):
        return value
    return (1 + value) ** (1 / case.per_year) - 1


def levels(steps):
    """Values of 100 with these returns in thousandths, cut where they leave what a number can hold."""
    grown = np.cumsum(np.log1p(steps / 1000))
    held = np.append(np.abs(grown) < 250, False)
    return 100 * np.concatenate(([1.0], np.cumprod(1 + steps / 1000)))[: max(3, int(np.argmin(held)) + 1)]


@st.composite
def cases(draw):
    shape = draw(st.integers(2, 500))
    own, market = (
        levels(draw(hnp.arrays(np.int64, shape, elements=st.integers(-899, 999)))) for _ in range(2)
    )
    length = min(len(own), len(market))
    benchmark = market[:length].copy()
    for hole in draw(st.lists(st.integers(0, length - 1), max_size=6)):
        benchmark[hole] = np.nan
    return Case(curve_of(own[:length], benchmark), None, draw(PER_YEAR), draw(RATES))


@pytest.fixture(scope="module")
def market():
    """The S&P 500 held from the end of 1998 with a capital of 100, against the Nasdaq, in real prices."""
    index, other = sp500.load()["Adj Close"], nasdaq.load()["Adj Close"]
    together = index.to_frame("own").join(other.rename("benchmark"), how="left")
    return EquityCurve(
        together.index.to_numpy().astype("datetime64[us]"),
        together["own"].to_numpy() / together["own"].iloc[0] * 100,
        together["benchmark"].to_numpy(),
    )


def test_every_measure_has_an_oracle_and_every_oracle_a_measure():
    assert set(NAIVE) == set(NAMES)
    assert set(EMPYRICAL) <= set(NAMES)


@pytest.mark.parametrize("risk_free", [0.0, 0.02])
@pytest.mark.parametrize("per_year", [252.0, 12.0, 260.9])
def test_the_sp500_measures_as_empyrical_and_as_defined(market, per_year, risk_free):
    case = Case(market, None, per_year, risk_free)
    assert differences(case, EMPYRICAL) == []
    assert differences(case, NAIVE) == []


def test_the_sp500_has_its_known_figures(market):
    found = measure(market, None, annualise(market.times))
    # Highest close 2007-10-09, lowest 2009-03-09, back on 2013-03-28: as every chronicle has it.
    assert str(found.max_drawdown_start)[:10] == "2007-10-09"
    assert str(found.max_drawdown_trough)[:10] == "2009-03-09"
    assert str(found.max_drawdown_end)[:10] == "2013-03-28"
    assert found.max_drawdown == pytest.approx(-0.5678, abs=5e-5)
    assert found.worst_period == pytest.approx(-0.0903, abs=5e-5)


@settings(deadline=None)
@given(cases())
def test_any_series_measures_as_defined(case):
    assert differences(case, NAIVE) == []


@settings(deadline=None)
@given(cases())
def test_any_series_measures_as_empyrical(case):
    # Of returns that differ by rounding only, empyrical makes ratios of 1e15; here they are not defined.
    samples = (case.returns, [b for _, b in case.pairs], [r - b for r, b in case.pairs])
    skipped = NEED_VARIATION if any(flat(sample) for sample in samples) else set()
    # Where it takes rounding for a loss, or divides by one.
    skipped |= {"calmar", "sortino", "tail_ratio", "omega"} if NAIVE["max_drawdown"](case) == 0 else set()
    if abs(NAIVE["value_at_risk"](case)) < 1e-12:
        skipped |= {"tail_ratio"}
    if of(case).alpha is None:
        # Lost more than all of it in a period: no year of that is defined, whatever its even power is.
        skipped |= {"alpha"}
    assert differences(case, {k: v for k, v in EMPYRICAL.items() if k not in skipped}) == []


@settings(deadline=None)
@given(cases())
def test_no_measure_is_ever_nan_or_infinite(case):
    for name in NAMES:
        value = getattr(of(case), name)
        assert value is None or isinstance(value, np.datetime64) or math.isfinite(value), name
        assert value is None or type(value) in (float, int, np.datetime64), name


def test_one_point_defines_nothing_but_the_trades():
    found = of(Case(curve_of([100.0], [5.0]), NO_TRADES))
    assert {name: getattr(found, name) for name in NAMES if getattr(found, name) is not None} == {
        "trades": 0,
        "long_trades": 0,
        "short_trades": 0,
        "costs": 0.0,
        "costs_of_capital": 0.0,
    }


def test_two_points_have_a_return_but_no_deviation():
    found = of(Case(curve_of([100.0, 90.0], [10.0, 11.0])))
    assert found.total_return == pytest.approx(-0.1)
    assert found.max_drawdown == pytest.approx(-0.1)
    assert found.cagr == pytest.approx(0.9**252 - 1)
    assert found.max_drawdown_days == 1.0
    assert found.excess_return == pytest.approx(-0.2)
    for name in ("volatility", "sharpe", "sortino", "omega", "skew", "stability", "beta", "tracking_error"):
        assert getattr(found, name) is None, name


def test_a_flat_curve_has_no_volatility_and_no_ratios():
    found = of(Case(curve_of([100.0] * 50)))
    assert (found.total_return, found.cagr, found.volatility) == (0.0, 0.0, 0.0)
    assert (found.max_drawdown, found.max_drawdown_days, found.longest_drawdown_days) == (0.0, 0.0, 0.0)
    for name in ("sharpe", "sortino", "calmar", "omega", "skew", "kurtosis", "tail_ratio", "stability",
                 "recovery_factor", "max_drawdown_start", "max_drawdown_end"):  # fmt: skip
        assert getattr(found, name) is None, name


def test_growth_at_one_rate_does_not_vary_but_for_rounding():
    found = of(Case(curve_of(100 * 1.01 ** np.arange(200))))
    assert found.volatility == 0.0
    assert found.sharpe is None
    assert found.stability == pytest.approx(1.0)


def test_a_loss_in_the_first_period_counts_in_the_drawdown():
    found = of(Case(curve_of([100.0, 50.0, 55.0])))
    assert found.max_drawdown == -0.5
    assert found.max_drawdown_start == np.datetime64("2020-01-01")
    assert found.max_drawdown_end is None
    assert found.longest_drawdown_days == 2.0


def test_gains_only_have_no_downside():
    found = of(Case(curve_of([100.0, 101.0, 103.0, 104.0])))
    assert (found.sortino, found.calmar, found.omega, found.recovery_factor) == (None, None, None, None)
    assert (found.positive_periods, found.max_drawdown) == (1.0, 0.0)
    assert found.sharpe is not None


def test_a_shortfall_below_the_risk_free_rate_counts_for_sortino():
    curve = curve_of([100.0, 101.0, 103.0, 103.01])
    assert of(Case(curve, None, 252.0, 0.0)).sortino is None
    assert same(of(Case(curve, None, 252.0, 0.5)).sortino, NAIVE["sortino"](Case(curve, None, 252.0, 0.5)))


@pytest.mark.parametrize("end", [0.0, -20.0])
def test_a_ruined_account_is_down_by_all_or_more(end):
    case = Case(curve_of([100.0, 120.0, end], [1.0, 1.1, 1.2]))
    found = of(case)
    assert found.total_return == end / 100 - 1
    assert found.cagr == -1.0
    assert found.max_drawdown == end / 120 - 1
    assert found.stability is None
    assert differences(case, NAIVE) == []


def test_growth_too_large_for_a_number_is_not_defined():
    found = of(Case(curve_of([1.0, 3.0, 9.0]), None, 1e6))
    assert found.cagr is None
    assert found.total_return == 8.0


def test_the_threshold_of_omega_is_its_own():
    curve = curve_of([100, 102, 101, 104, 103.5])
    year = Annualisation(12.0, "monthly", math.nan)
    raised = measure(curve, None, year, omega_threshold=0.1)
    step = 1.1 ** (1 / 12) - 1
    excess = curve.returns - step
    assert raised.omega == pytest.approx(excess[excess > 0].sum() / -excess[excess < 0].sum(), rel=1e-12)
    assert measure(curve, None, year, risk_free=0.1).omega == measure(curve, None, year).omega


@pytest.mark.parametrize("option", ["risk_free", "omega_threshold"])
@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf])
def test_impossible_rates_are_refused(option, rate):
    with pytest.raises(BadInputError, match="above -1"):
        measure(curve_of([1.0, 2.0]), None, Annualisation(252.0, "as set", 1.0), **{option: rate})


def test_impossible_years_are_refused():
    with pytest.raises(BadInputError, match="returns a year"):
        measure(curve_of([1.0, 2.0]), None, Annualisation(0.0, "as set", 1.0))


def test_the_catalogue_defines_every_measure_once():
    assert sorted(BY_KEY) == sorted(NAMES)
    assert len(CATALOGUE) == len(NAMES)
    assert len({definition.title for definition in CATALOGUE}) == len(NAMES)


def test_the_catalogue_goes_by_group_and_says_something():
    groups = [definition.group for definition in CATALOGUE]
    assert groups == sorted(groups, key=list(Group).index)
    for definition in CATALOGUE:
        assert definition.formula.endswith("."), definition.key
        assert (definition.unit is Unit.DATE) == definition.key.startswith("max_drawdown_") - (
            definition.key == "max_drawdown_days"
        )


def test_importing_measures_is_light():
    code = "import sys, core.backtests.measures; print({'pandas', 'scipy', 'empyrical'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_six_years_of_five_minutes_are_measured_at_once(shared_data):
    bars = pl.read_csv(shared_data / "fx" / "usdcop_m5_2020_2026.csv.gz", columns=["time", "close"])
    bars = bars.with_columns(pl.col("time").str.to_datetime(time_zone="UTC")).unique("time").sort("time")
    times = bars["time"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    prices = bars["close"].to_numpy()
    side = np.where(np.arange(len(prices)) // 600 % 3 == 0, 0.0, 1.0)
    values = 1e4 * np.cumprod(np.concatenate(([1.0], 1 + (prices[1:] / prices[:-1] - 1) * side[:-1])))
    curve = EquityCurve(times, values, prices, side)
    year = annualise(times)
    assert year.convention == "intraday, as counted"
    assert 13_000 < year.periods_per_year < 17_000
    case = Case(curve, None, year.periods_per_year)
    measure(curve, None, year)

    took = []
    for _ in range(5):
        started = time.perf_counter()
        measure(replace(curve), None, year)
        took.append(time.perf_counter() - started)
    assert min(took) < 0.3  # 0.02 s on a quiet machine
    assert differences(case, EMPYRICAL) == []
