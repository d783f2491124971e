"""All gates together: their order, what they ask for and how often, and facts that cannot be had."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.backtests.types import EquityCurve
from core.errors import ArtifactError, SourceError
from core.registry.gates.champion_forecast import ForecastChanges
from core.registry.gates.configuration import read_gates
from core.registry.gates.judging import judge
from core.registry.gates.rules import GATES, ForecastRule, GateRules, SmokeLimits
from core.registry.gates.types import GateResult
from core.registry.types import Stage
from core.runs.types import Run
from tests.core.registry.gates.kit import COMMIT, FULL, FakeStructure, a_curve, a_run, verdict

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
ALL = read_gates(
    {
        "m": {
            "smoke": {"seconds": 7},
            "structure": {"observation_dim": 15},
            "dataset": {"file": "train.csv"},
            "reproducible": True,
            "metrics": ["sharpe >= 1"],
            "champion": {"kind": "backtest", "resamples": 100},
            "worst_seed": {"metric": "sharpe", "at_least": 0.5},
            "staging": ["smoke", "metrics"],
        }
    },
    "greenroom.toml",
).of("m")


@dataclass(frozen=True)
class FakeTrial:
    passed: bool = True
    reason: str = "It loads and predicts."
    evidence: Mapping[str, Any] = field(default_factory=lambda: {"seconds": 1.5})
    structure: FakeStructure | None = FakeStructure(observation_dim=15)  # noqa: RUF009


@dataclass
class FakeFacts:
    """Facts of a version that passes everything; those named in `missing` cannot be had."""

    missing: tuple[str, ...] = ()
    the_run: Run | None = field(
        default_factory=lambda: a_run(
            params={"dataset_hash": FULL[:16], "git_commit_sha": COMMIT[:12]},
            tags={"dataset_hash_full": FULL, "git_commit_sha": COMMIT, "git_dirty": "false"},
            metrics={"sharpe": 1.2},
        )
    )
    the_trial: FakeTrial = field(default_factory=FakeTrial)
    asked: Counter[str] = field(default_factory=Counter)
    limits: SmokeLimits | None = None

    def trial(self, limits: SmokeLimits) -> FakeTrial:
        self.limits = limits
        self._ask("trial")
        return self.the_trial

    def run(self) -> Run | None:
        self._ask("run")
        return self.the_run

    def stage(self) -> tuple[Stage, datetime | None]:
        self._ask("stage")
        return Stage.STAGING, NOW - timedelta(hours=25)

    def has_signature(self) -> bool | None:
        self._ask("has_signature")
        return True

    def file_hash(self, path: Path) -> str:
        self._ask("file_hash")
        return FULL

    def curves(self) -> tuple[EquityCurve, EquityCurve | None]:
        self._ask("curves")
        noise = np.random.default_rng(1).normal(0, 0.01, 100)
        return a_curve(noise + 0.001), a_curve(noise)

    def forecast_changes(self, rule: ForecastRule) -> ForecastChanges | None:
        self._ask("forecast_changes")
        return None

    def seed_runs(self) -> tuple[Run, ...]:
        self._ask("seed_runs")
        return (a_run("f" * 32, metrics={"sharpe": 0.9}),)

    def _ask(self, what: str) -> None:
        self.asked[what] += 1
        if what in self.missing:
            raise SourceError(f"The {what} cannot be had. Try again later.")


def verdicts(results: tuple[GateResult, ...]) -> dict[str, str]:
    return {result.name: verdict(result) for result in results}


def test_a_version_that_passes_everything_is_asked_about_each_thing_once() -> None:
    facts = FakeFacts()
    results = judge(ALL, "Production", facts, NOW)
    assert verdicts(results) == dict.fromkeys(GATES, "passed")
    assert [result.name for result in results] == [
        *("smoke", "structure", "dataset", "reproducible", "soak", "metrics", "champion", "worst_seed")
    ]
    fields = {"trial", "run", "stage", "has_signature", "file_hash", "curves", "seed_runs"}
    assert facts.asked == dict.fromkeys(fields, 1)
    assert facts.limits == SmokeLimits(seconds=7)
    assert results[0].evidence == {"seconds": 1.5}
    assert results[0].reason == "It loads and predicts."


def test_only_gates_of_the_stage_are_judged_and_only_their_facts_asked_for() -> None:
    facts = FakeFacts()
    assert list(verdicts(judge(ALL, Stage.STAGING, facts, NOW))) == ["smoke", "metrics"]
    assert set(facts.asked) == {"trial", "run"}
    untouched = FakeFacts()
    assert judge(ALL, Stage.ARCHIVED, untouched, NOW) == ()
    assert judge(GateRules(smoke=None, soak_hours=0), "Production", untouched, NOW) == ()
    assert not untouched.asked


@pytest.mark.parametrize(
    ("missing", "gates"),
    [
        ("trial", ["smoke", "structure"]),
        ("run", ["dataset", "reproducible", "metrics", "worst_seed"]),
        ("stage", ["soak"]),
        ("has_signature", ["reproducible"]),
        ("file_hash", ["dataset"]),
        ("curves", ["champion"]),
        ("seed_runs", ["worst_seed"]),
    ],
)
def test_a_fact_that_cannot_be_had_fails_the_gates_that_need_it_and_no_other(
    missing: str, gates: list[str]
) -> None:
    facts = FakeFacts(missing=(missing,))
    results = judge(ALL, "Production", facts, NOW)
    assert [name for name, said in verdicts(results).items() if said == "not judged"] == gates
    assert [name for name, said in verdicts(results).items() if said == "passed"] == [
        gate for gate in GATES if gate not in gates
    ]
    for result in results:
        if result.name in gates:
            assert result.reason.endswith(f"The {missing} cannot be had. Try again later.")
    assert facts.asked[missing] == 1, "a trial that failed is not run again"


def test_without_a_run_every_gate_about_it_fails_and_siblings_are_not_asked_for() -> None:
    facts = FakeFacts(the_run=None)
    found = verdicts(judge(ALL, "Production", facts, NOW))
    assert [name for name, said in found.items() if said != "passed"] == [
        *("dataset", "reproducible", "metrics", "worst_seed")
    ]
    assert not {"seed_runs", "has_signature", "file_hash"} & set(facts.asked)


def test_structure_takes_a_trial_though_the_trial_itself_is_no_gate() -> None:
    rules = GateRules(smoke=None, soak_hours=0, structure=ALL.structure)
    facts = FakeFacts()
    assert verdicts(judge(rules, "Production", facts, NOW)) == {"structure": "passed"}
    assert facts.asked["trial"] == 1
    assert facts.limits == SmokeLimits()


def test_a_trial_that_failed_fails_and_its_structure_still_counts_if_it_was_seen() -> None:
    failed = FakeTrial(False, "It does not predict.", {}, FakeStructure(observation_dim=15))
    found = verdicts(judge(ALL, "Production", FakeFacts(the_trial=failed), NOW))
    assert (found["smoke"], found["structure"]) == ("failed", "passed")
    blind = FakeTrial(False, "It does not load.", {}, None)
    found = verdicts(judge(ALL, "Production", FakeFacts(the_trial=blind), NOW))
    assert (found["smoke"], found["structure"]) == ("failed", "not judged")


def test_forecasts_are_compared_where_the_rule_says_so() -> None:
    facts = FakeFacts()
    rules = GateRules(smoke=None, soak_hours=0, champion=ForecastRule())
    assert verdicts(judge(rules, "Production", facts, NOW)) == {"champion": "passed"}
    assert set(facts.asked) == {"forecast_changes"}
    missing = judge(rules, "Production", FakeFacts(missing=("forecast_changes",)), NOW)
    assert verdicts(missing) == {"champion": "not judged"}


def test_an_error_that_nobody_raised_on_purpose_is_not_taken_for_a_verdict() -> None:
    class Broken(FakeFacts):
        def curves(self) -> tuple[EquityCurve, EquityCurve | None]:
            raise ZeroDivisionError

    class Unreadable(FakeFacts):
        def curves(self) -> tuple[EquityCurve, EquityCurve | None]:
            raise ArtifactError("The champion has no table of portfolio values.")

    with pytest.raises(ZeroDivisionError):
        judge(ALL, "Production", Broken(), NOW)
    champion = judge(ALL, "Production", Unreadable(), NOW)[6]
    assert champion.reason == "It cannot be judged: The champion has no table of portfolio values."


def test_judging_brings_neither_mlflow_nor_a_database() -> None:
    heavy = ("mlflow", "sqlalchemy", "duckdb", "core.workspace", "core.tracking")
    code = f"import sys, core.registry.gates.judging; print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == "[]"
