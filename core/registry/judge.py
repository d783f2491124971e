"""Judge a version on its way up, and gather the evidence for a decision on it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

import yaml
from sqlalchemy.engine import Engine

from core import clock
from core.access import Actor, Permission
from core.errors import BadInputError, GreenroomError, NotFoundError, RefusedError
from core.registry import dossier
from core.registry.dossier import Dossier
from core.registry.facts import Readers, VersionFacts
from core.registry.gates.configuration import DEFAULT_BOOK, GateBook
from core.registry.gates.judging import judge
from core.registry.gates.rules import SmokeLimits
from core.registry.gates.types import GateReport
from core.registry.load_tests import LoadTest, LoadTests
from core.registry.requests import read_dossier
from core.registry.sandbox.trial import try_model
from core.registry.sandbox.types import Limits
from core.registry.seen import Seen
from core.registry.types import Model, Stage, Version
from core.registry.watch import RegistryWatch

TRUSTED_FOR: Final = timedelta(hours=24)
"""How long a load test counts when evidence is gathered for a decision."""

BARE_WEIGHTS: Final = "PyTorch state dict"
"""The kind of a load test of weights without their class; see `ModelManager.validate_model`."""

_MLMODEL_BYTES: Final = 2**20


class Trials(StrEnum):
    """Where the smoke test's answer comes from.

    RECORDED: the latest record, however old; no model is loaded. TRUSTED: a record of the last 24 hours, else a new
    trial. FRESH: a new trial.
    """

    RECORDED = "recorded"
    TRUSTED = "trusted"
    FRESH = "fresh"


@dataclass(frozen=True, slots=True)
class DeskRules:
    """What the settings say of the desk.

    Attributes
    ----------
    two_person_rule : bool
        Whoever asks for a promotion does not approve it, and Production is reached through a request alone.
    """

    two_person_rule: bool = False
    gates: GateBook = DEFAULT_BOOK


class Judge:
    """Judges the versions of one registry by the gates of each model."""

    def __init__(
        self,
        watch: RegistryWatch,
        readers: Readers,
        load_tests: LoadTests,
        rules: DeskRules,
        engine: Callable[[], Engine],
        now: clock.Clock,
    ) -> None:
        self._watch = watch
        self._readers = readers
        self._load_tests = load_tests
        self._rules = rules
        self._engine = engine
        self._now = now

    def gates(self, name: str, version: int, to_stage: Stage, trials: Trials = Trials.TRUSTED) -> GateReport:
        """Judge a version on its way to a stage.

        Raises
        ------
        NotFoundError, SourceError, DatabaseError
        """
        return self._judge(self._watch.model(name), version, to_stage, trials)

    def _judge(self, model: Model, number: int, to_stage: Stage, trials: Trials) -> GateReport:
        version = model.version(number)
        champion = model.champion
        facts = VersionFacts(
            version,
            champion if champion is not None and champion.version != number else None,
            self._seen(version),
            self._readers,
            lambda limits: self._trial(version, limits, trials),
        )
        at = self._now()
        results = judge(self._rules.gates.of(model.name), str(to_stage), facts, at)
        return GateReport(model.name, number, str(to_stage), at, results)

    def load_test(self, name: str, version: int) -> LoadTest:
        """Load a version in a process of its own, ask it to predict, and record what came of it.

        Raises
        ------
        NotFoundError, ArtifactError
            If its files cannot be had.
        """
        limits = self._rules.gates.of(name).trial_limits
        return self._trial(self._watch.model(name).version(version), limits, Trials.FRESH)

    def _trial(self, version: Version, limits: SmokeLimits, trials: Trials) -> LoadTest:
        recorded = self._load_tests.latest(version.model).get(version.version)
        if recorded is not None and trials is Trials.RECORDED:
            return recorded
        if trials is Trials.RECORDED:
            raise GreenroomError("The model has not been loaded yet; judge the gates to do it")
        if recorded is not None and trials is Trials.TRUSTED and self._now() - recorded.at < TRUSTED_FOR:
            return recorded
        if recorded is not None and recorded.passed and recorded.evidence.get("kind") == BARE_WEIGHTS:
            # Their class is known to who validated them, and to nobody here.
            return recorded
        with tempfile.TemporaryDirectory(prefix="greenroom-model-") as folder:
            files = self._readers.fetch(version, Path(folder))
            asked = Limits(limits.seconds, limits.memory_mb, limits.file_mb, limits.processes)
            trial = try_model(files, asked)
            return self._load_tests.record(
                version.model, version.version, trial, self._now(), _has_signature(files)
            )

    def _seen(self, version: Version) -> Seen | None:
        return self._watch.seen().get(version.model, {}).get(version.version)

    def gather(self, model: Model, version: Version, to_stage: Stage, trials: Trials) -> Dossier:
        """Return the evidence about a version as it is now."""
        report = self._judge(model, version.version, to_stage, trials)
        return dossier.build(model, version, self._seen(version), report, self._readers, self._now())

    def frozen(self, name: str | None) -> Dossier:
        """Return a dossier by its hash, after checking it.

        Raises
        ------
        NotFoundError, RefusedError
        """
        if name is None:
            raise NotFoundError("No evidence was kept for this.")
        return Dossier(json.loads(read_dossier(self._engine(), name)), name)


def needed(text: str, sentence: str) -> str:
    """Return a text without blanks around it.

    Raises
    ------
    BadInputError
        With this sentence, if there is none.
    """
    if not text.strip():
        raise BadInputError(sentence)
    return text.strip()


def check_gates(evidence: Dossier, override: str | None, by: Actor) -> None:
    """Do nothing where all gates passed, or somebody who may has overridden those that did not.

    Raises
    ------
    RefusedError
        Otherwise, with a reason for each gate.
    """
    if evidence.passed:
        return
    if override is None:
        what = f"{evidence.content['model']} v{evidence.content['version']}"
        names = ", ".join(evidence.failed_names)
        raise RefusedError(
            f"{what} does not pass these gates: {names}. A lead may override them with a reason.",
            evidence.failed,
        )
    by.require(Permission.OVERRIDE)
    needed(override, "An override needs a reason.")


def _has_signature(folder: Path) -> bool | None:
    """Say whether a model's MLmodel file has a signature; None where there is no such file that can be read."""
    try:
        content = (folder / "MLmodel").read_bytes()[:_MLMODEL_BYTES]
        described = yaml.safe_load(content)
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return None
    return bool(described.get("signature")) if isinstance(described, dict) else None
