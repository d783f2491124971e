"""The table [gates] of greenroom.toml: what it may hold, what a model takes from all models, and every refusal."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInputError
from core.forecasts.changes import StoreMeasure
from core.registry.gates import configuration
from core.registry.gates.configuration import DEFAULT_BOOK, GateBook, read_gates
from core.registry.gates.rules import (
    COMPARISONS,
    FORECAST_MEASURES,
    GATES,
    BacktestRule,
    ExpectedFile,
    ExpectedHash,
    ExpectedInput,
    ExpectedStructure,
    ForecastRule,
    Gate,
    GateRules,
    MetricRule,
    Require,
    SmokeLimits,
    WorstSeedRule,
)


def read(text: str) -> GateBook:
    return read_gates(tomllib.loads(text).get("gates", {}), "greenroom.toml")


def model(text: str) -> GateRules:
    return read(f"[gates.m]\n{text}").of("m")


def refusal(text: str) -> str:
    with pytest.raises(BadInputError) as caught:
        read(text)
    assert "greenroom.toml" in str(caught.value)
    return str(caught.value)


def refusal_of(text: str) -> str:
    said = refusal(f"[gates.m]\n{text}")
    assert "gates.m" in said
    return said


def test_by_default_production_takes_a_trial_and_a_day_and_staging_nothing() -> None:
    rules = DEFAULT_BOOK.of("any")
    assert read("") == DEFAULT_BOOK
    assert rules.names("Production") == ("smoke", "soak")
    assert (rules.smoke, rules.soak_hours) == (SmokeLimits(60, 4096, 64, 64), 24)
    assert [rules.names(stage) for stage in ("Staging", "Archived", "None", "production", "")] == [()] * 5


def test_the_form_in_the_modules_text_is_read_as_it_says() -> None:
    text = inspect.cleandoc((inspect.getdoc(configuration) or "").split("::\n", 1)[1].split("\n\nFurther")[0])
    book = read(text)
    assert book.of("another") == GateRules()
    ppo = book.of("ppo_usdcop")
    assert ppo.structure == ExpectedStructure(15, 1, (), (("net.0.weight", (64, 15)),))
    assert ppo.dataset == ExpectedHash("3f2a9c41d07be885")
    assert ppo.reproducible
    assert ppo.metrics == (
        MetricRule("sharpe", ">=", 1.0),
        MetricRule("max_drawdown", ">", -0.2),
        MetricRule("val loss", "<", 0.1),
    )
    assert ppo.champion == BacktestRule()
    assert ppo.worst_seed == WorstSeedRule("sharpe", at_least=0.0)
    assert ppo.names("Production") == GATES
    assert ppo.names("Staging") == ("smoke", "structure")
    assert book.of("stores").champion == ForecastRule(max_share_regressed=0.25)


def test_a_models_own_keys_replace_those_of_every_model_key_by_key() -> None:
    book = read(
        """
        [gates.strict]
        soak_hours = 48
        champion = { kind = "backtest", confidence = 0.9 }
        [gates.free]
        smoke = false
        soak_hours = 0
        champion = false
        metrics = false
        structure = false
        dataset = false
        worst_seed = false
        reproducible = false
        staging = false
        [gates."*"]
        soak_hours = 12
        smoke = { seconds = 5 }
        metrics = ["sharpe > 0"]
        champion = { kind = "backtest", drawdown_slack = 0.5 }
        staging = ["champion", "smoke"]
        """
    )
    every, strict, free = book.of("*unknown"), book.of("strict"), book.of("free")
    assert (every.soak_hours, every.smoke) == (12, SmokeLimits(seconds=5))
    assert strict.soak_hours == 48
    assert strict.metrics == every.metrics
    assert strict.champion == BacktestRule(confidence=0.9), "a champion is replaced as a whole"
    assert every.names("Staging") == ("smoke", "champion")
    assert free == GateRules(smoke=None, soak_hours=0)
    assert free.names("Production") == free.names("Staging") == ()


def test_a_gate_named_for_staging_counts_only_where_it_is_on() -> None:
    rules = model('smoke = false\nstaging = ["smoke", "metrics"]\nmetrics = ["a > 1"]')
    assert rules.names("Staging") == ("metrics",)
    assert rules.trial_limits == SmokeLimits()


def test_all_of_a_trial_can_be_limited() -> None:
    rules = model("smoke = { seconds = 1.5, memory_mb = 512, file_mb = 2, processes = 8 }")
    assert rules.smoke == rules.trial_limits == SmokeLimits(1.5, 512, 2, 8)
    assert model("smoke = {}").smoke == SmokeLimits()


def test_data_are_named_by_hash_file_or_input(tmp_path: Path) -> None:
    assert model('dataset = { hash = " 3F2A9C41 " }').dataset == ExpectedHash("3f2a9c41")
    found = model(f"dataset = {{ file = '{tmp_path}/a/../train.parquet' }}").dataset
    assert found == ExpectedFile(tmp_path / "train.parquet")
    relative = model('dataset = { file = "data/train.parquet" }').dataset
    assert relative == ExpectedFile(Path.cwd() / "data/train.parquet")
    assert model('dataset = { name = "sales", digest = "1a2b" }').dataset == ExpectedInput("sales", "1a2b")


def test_every_key_of_a_champion_can_be_set() -> None:
    rules = model(
        'champion = { kind = "backtest", require = "better", confidence = 0.9, sharpe_slack = 0.1, '
        "drawdown_slack = 0, resamples = 500, risk_free = 0.02, periods_per_year = 252 }"
    )
    assert rules.champion == BacktestRule(Require.BETTER, 0.9, 0.1, 0.0, 500, 0.02, 252.0)
    rules = model(
        'champion = { kind = "forecast", measure = "r2", tolerance = 0, max_share_regressed = 1, '
        "max_volume_share_regressed = 0.1, max_wape_rise = 0.03 }"
    )
    assert rules.champion == ForecastRule("r2", 0.0, 1.0, 0.1, 0.03)
    off = model('champion = { kind = "forecast", max_volume_share_regressed = false, max_wape_rise = false }')
    assert off.champion == ForecastRule(max_volume_share_regressed=None, max_wape_rise=None)


def test_measures_are_those_of_stores_and_gates_those_of_the_rules() -> None:
    assert tuple(StoreMeasure) == FORECAST_MEASURES
    assert set(GateRules().__dataclass_fields__) - {"staging"} == {
        "soak_hours" if gate is Gate.SOAK else str(gate) for gate in GATES
    }


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("sharpe>=1", MetricRule("sharpe", ">=", 1)),
        ("  sharpe  !=  -1.5e-3 ", MetricRule("sharpe", "!=", -0.0015)),
        ("val loss = .5", MetricRule("val loss", "=", 0.5)),
        ("`a >= b` < 2", MetricRule("a >= b", "<", 2)),
        ("metrics.sharpe <= +2", MetricRule("sharpe", "<=", 2)),
        ("metrics.`val loss` > 2", MetricRule("val loss", ">", 2)),
        ("`metrics.odd` > 2", MetricRule("metrics.odd", ">", 2)),
        ("eval/mean-reward.v2 > 100", MetricRule("eval/mean-reward.v2", ">", 100)),
    ],
)
def test_a_metric_is_read_in_every_spelling(written: str, rule: MetricRule) -> None:
    assert model(f"metrics = ['{written}']").metrics == (rule,)


NAMES = (
    st.text("abcXYZ019_-./ :", min_size=1, max_size=20)
    .map(str.strip)
    .filter(lambda name: name and not name.startswith("metrics."))
)


@given(NAMES, st.sampled_from(list(COMPARISONS)), st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_is_what_is_compared(name: str, comparison: str, number: float) -> None:
    rule = MetricRule(name, comparison, number)
    for written in (f"{name}{comparison}{number!r}", f"`{name}` {comparison} {number!r}"):
        assert read_gates({"m": {"metrics": [written]}}, "here").of("m").metrics == (rule,)


@pytest.mark.parametrize(
    "written",
    [
        "sharpe",
        "sharpe >",
        "> 1",
        "sharpe => 1",
        "sharpe == 1",
        "sharpe > one",
        "sharpe > nan",
        "sharpe > 1 2",
        "sharpe > inf",
        "a > b > 1",
        "`a > 1",
        "`` > 1",
        "a <> 1",
        "",
        "sharpe > 20 %",
    ],
)
def test_a_metric_that_cannot_be_read_is_refused_with_an_example(written: str) -> None:
    said = refusal_of(f"metrics = ['a > 1', '{written}']")
    assert "gates.m.metrics[2]" in said
    assert "sharpe >= 1" in said
    assert "> >= < <= = !=" in said


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("smok = true", ["'smok'", "Did you mean smoke?", "worst_seed"]),
        ("smoke = 1", ["gates.m.smoke", "true, false"]),
        ("smoke = { second = 1 }", ["'second'", "Did you mean seconds?"]),
        ("smoke = { seconds = 0 }", ["gates.m.smoke.seconds", "from 1 to 3600"]),
        ("smoke = { memory_mb = 1.5 }", ["a whole number from 128"]),
        ("smoke = { processes = true }", ["True"]),
        ("soak_hours = -1", ["from 0 to 8760"]),
        ("soak_hours = nan", ["nan"]),
        ("soak_hours = '24'", ["a number"]),
        ("soak_hours = true", ["a number"]),
        ("structure = true", ["observation_dim"]),
        ("structure = {}", ["observation_dim"]),
        ("structure = { observation_dims = 2 }", ["Did you mean observation_dim?"]),
        ("structure = { action_dim = 0 }", ["gates.m.structure.action_dim", "from 1"]),
        ("structure = { feature_order = 'a' }", ["gates.m.structure.feature_order"]),
        ("structure = { feature_order = ['a', 'b', 'a'] }", ["each feature once"]),
        ("structure = { feature_order = ['a', 1] }", ["feature_order[2]"]),
        ("structure = { layers = { 'n.0' = 64 } }", ['layers."n.0"', "[64, 15]"]),
        ("structure = { layers = { a = [64, -1] } }", ["layers.a[2]"]),
        ("dataset = {}", ["hash", "file", "digest"]),
        ("dataset = true", ["hash", "file", "digest"]),
        ("dataset = { hash = 'abc' }", ["8 hexadecimal digits"]),
        ("dataset = { hash = '3f2a9c4x' }", ["8 hexadecimal digits"]),
        ("dataset = { hash = '3f2a9c41', file = 'a' }", ["hash", "file", "digest"]),
        ("dataset = { name = 'sales' }", ["digest"]),
        ("reproducible = 'yes'", ["true or false"]),
        ("metrics = 'a > 1'", ["a list such as"]),
        ("champion = true", ['kind = "backtest"']),
        ("champion = {}", ['kind = "backtest"']),
        ("champion = { kind = 'backtests' }", ["Did you mean backtest?", '"forecast"']),
        ("champion = { kind = ['backtest'] }", ['"forecast"']),
        ("champion = { kind = 'backtest', measure = 'wape' }", ["'measure'"]),
        ("champion = { kind = 'backtest', confidence = 95 }", ["from 0.5 to 0.9999"]),
        ("champion = { kind = 'backtest', require = 'not wors' }", ["Did you mean not worse?", '"better"']),
        ("champion = { kind = 'backtest', resamples = 10 }", ["from 100"]),
        ("champion = { kind = 'backtest', drawdown_slack = false }", ["a number from 0 to 1"]),
        ("champion = { kind = 'forecast', measure = 'mape' }", ["Did you mean", '"wape"']),
        ("champion = { kind = 'forecast', max_share_regressed = 25 }", ["from 0 to 1"]),
        ("champion = { kind = 'forecast', max_share_regressed = false }", ["from 0 to 1"]),
        ("worst_seed = { metric = 'sharpe' }", ["at_least"]),
        ("worst_seed = { at_least = 1, at_most = 2 }", ["metric"]),
        ("worst_seed = { metric = 's', at_least = 1, at_most = 2 }", ["either"]),
        ("worst_seed = { metric = 's', at_least = inf }", ["a number"]),
        ("worst_seed = true", ["at_least"]),
        ("staging = true", ["a list of gates"]),
        ("staging = ['smok']", ["staging[1]", "Did you mean smoke?"]),
        ("staging = ['soak']", ["staging[1]", '"champion"']),
    ],
)
def test_a_refusal_names_key_place_and_what_is_accepted(text: str, parts: list[str]) -> None:
    said = refusal_of(text)
    assert [part for part in parts if part not in said] == []


def test_gates_without_a_model_above_them_are_refused() -> None:
    assert '[gates."*"]' in refusal("[gates]\nsmoke = true")
    assert "Did you mean" in refusal('[gates."*"]\nsoak_hour = 1')
    assert 'gates."*".soak_hours' in refusal('[gates."*"]\nsoak_hours = -1')
    assert "whole name of a model" in refusal('[gates."ppo_*"]\nsmoke = true')
    with pytest.raises(BadInputError, match="tables such as"):
        read_gates([], "greenroom.toml")  # type: ignore[arg-type]


def test_settings_that_name_gates_cost_no_library() -> None:
    heavy = ("numpy", "polars", "pandas", "mlflow", "arch")
    code = f"import sys, core.registry.gates.configuration; print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == "[]"
