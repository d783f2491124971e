"""The four steps of a retraining. Each may be cut off at any line, and is then taken again.

What a step makes outside the database carries the retraining's name (the job) or tag (the version), and is found by
that when the step is taken again.

The registry's gates judge versions, so the version is registered in None first, and then validated. One that does not
pass stays there, with its tag saying why. The champion is not touched by any step.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from core import clock
from core.errors import DatabaseError, GreenroomError, NotFoundError, RefusedError
from core.registry.gates.rules import Gate
from core.registry.gates.types import GateResult
from core.registry.judge import Trials
from core.registry.types import Model, Stage, Version
from core.training.schedule import freezing
from core.training.schedule.launching import Launcher, run_of
from core.training.schedule.parts import Parts
from core.training.schedule.preparing import parameters_for, training_words
from core.training.schedule.recording import Recorder
from core.training.schedule.store import Store
from core.training.schedule.types import (
    RETRAINING_TAG,
    VALIDATION_TAG,
    VERDICT_TAG,
    FrozenFile,
    Prepared,
    Retraining,
    RetrainingOutcome,
    Step,
    Verdict,
)
from core.training.schedule.verdict import compare

log = logging.getLogger("greenroom.retraining")

_COPIES_KEPT: Final = 3
_TAG_LENGTH: Final = 500


class Steps:
    """The steps by name; each method takes one, and raises a `GreenroomError` where it cannot."""

    def __init__(self, store: Store, recorder: Recorder, parts: Parts, now: clock.Clock) -> None:
        self._store = store
        self._recorder = recorder
        self._launcher = Launcher(recorder, parts)
        self._parts = parts
        self._now = now

    def take(self, one: Retraining) -> None:
        """Take the step that a retraining is at."""
        steps = {
            Step.PREPARING: self._prepare,
            Step.TRAINING: self._launcher.train,
            Step.VALIDATING: self._validate,
            Step.REGISTERING: self._register,
        }
        steps[one.step](one)

    # Preparing

    def _prepare(self, one: Retraining) -> None:
        """Freeze the data, and settle what is trained with."""
        self._forget_old_copies(one)
        request = one.request
        entry_point = self._parts.projects.entry_point(request.project, request.entry_point)
        model = self._model(one.model)
        champion = model.champion.version if model is not None and model.champion is not None else None
        folder = self._parts.projects.folder(request.project)
        values = parameters_for(one.model, request, entry_point, champion, folder)
        files = freezing.freeze(entry_point, values.all, self._copies(one.id))
        frozen = {each.parameter: each.copy or each.place for each in files}
        prepared = Prepared({**values.given, **frozen}, files, champion)
        training = training_words(one.model, request, entry_point, champion)
        self._recorder.go_on(
            one,
            Step.TRAINING,
            (f"Training data prepared: {_listed(files)}", f"Step 2: Training model {training}..."),
            prepared,
        )

    def _copies(self, number: int) -> Path:
        return self._parts.home / "retrainings" / str(number)

    def _forget_old_copies(self, one: Retraining) -> None:
        for earlier in self._store.retrainings(one.model, limit=_COPIES_KEPT + 5)[_COPIES_KEPT:]:
            if not earlier.is_open:
                freezing.forget(self._copies(earlier.id))

    def _model(self, name: str) -> Model | None:
        if self._parts.is_new_store():
            return None
        try:
            return self._parts.registry.watch.fresh(name)
        except NotFoundError:
            return None

    # Validating

    def _validate(self, one: Retraining) -> None:
        """Register the version, then, at the next step, judge it."""
        self._parts.read_runs()
        if one.version is None:
            version = self._registered(one) or self._new_version(one)
            self._recorder.write(
                one,
                (f"Registered as v{version.version}, in None until it is validated",),
                version=version.version,
            )
            return
        registry = self._parts.registry
        registry.watch.reread(one.model)
        # The gates of Staging are among those of Production; the soak never is, for it is waited for in Staging.
        report = registry.gates(one.model, one.version, Stage.PRODUCTION, Trials.FRESH)
        gates = tuple(gate for gate in report.gates if gate.name != Gate.SOAK)
        model = registry.watch.fresh(one.model)
        model.version(one.version)
        champion = model.champion if model.champion and model.champion.version != one.version else None
        verdict = self._verdict(gates, self._run(one), champion)
        failed = tuple(gate for gate in gates if not gate.passed)
        if failed:
            why = " ".join(f"{gate.name}: {gate.reason}" for gate in failed)
            self._mark(one, one.version, f"failed: {why}", verdict)
            reason = f"v{one.version} does not pass the gates. {why} It stays in None."
            self._recorder.end(one, RetrainingOutcome.REFUSED, reason, verdict)
            return
        self._mark(one, one.version, "passed", verdict)
        lines = (
            f"Model v{one.version} validated successfully. {verdict.sentence}",
            "Step 4: Deploying new model to Staging...",
        )
        self._recorder.go_on(one, Step.REGISTERING, lines, verdict=verdict)

    def _verdict(self, gates: tuple[GateResult, ...], run_id: str, champion: Version | None) -> Verdict:
        own = self._metrics(run_id)
        if champion is None:
            return compare(gates, None, own, {})
        evidence: Mapping[str, Any] = {}
        same_data: bool | None = None
        if champion.run_id is not None:
            # The verdict is a help, and not a gate: what cannot be compared does not stop a retraining.
            with suppress(GreenroomError):
                same_data = self._parts.on_same_data(run_id, champion.run_id)
                evidence = self._parts.side_by_side(run_id, champion.run_id)
        return compare(gates, champion.version, own, self._metrics(champion.run_id), evidence, same_data)

    def _run(self, one: Retraining) -> str:
        if one.job_id is None:
            raise NotFoundError(f"Retraining {one.id} has no job.")
        trained = run_of(self._parts.training.job(one.job_id))
        model = self._model(one.model)
        before = (
            None
            if model is None
            else [each for each in model.versions if each.version == one.prepared.champion]
        )
        return self._parts.chosen_run(trained, before[0].run_id if before else None)

    def _registered(self, one: Retraining) -> Version | None:
        """Return the version that was registered before this was cut off."""
        model, run_id = self._model(one.model), self._run(one)
        for version in reversed(model.versions if model is not None else ()):
            # Another database counts its retrainings from 1, too.
            if version.tags.get(RETRAINING_TAG) == str(one.id) and version.run_id == run_id:
                return version
        return None

    def _new_version(self, one: Retraining) -> Version:
        tags = {RETRAINING_TAG: str(one.id)}
        registry = self._parts.registry
        return registry.register(self._run(one), one.model, one.request.artifact_path, one.actor, tags)

    def _metrics(self, run_id: str | None) -> Mapping[str, float]:
        if not run_id:
            return {}
        try:
            return self._parts.metrics(run_id)
        except NotFoundError:
            return {}

    # Registering

    def _register(self, one: Retraining) -> None:
        """Move the version to Staging, unless it is there or beyond already."""
        number = self._version(one)
        registry = self._parts.registry
        stage = registry.watch.fresh(one.model).version(number).stage
        if stage is Stage.ARCHIVED:
            reason = f"v{number} was archived before it came to Staging, and stays there."
            self._recorder.end(one, RetrainingOutcome.REFUSED, reason, one.verdict)
            return
        if stage is Stage.NONE:
            sentence = one.verdict.sentence if one.verdict is not None else ""
            why = f"Retraining {one.id}, {one.trigger}. {sentence}".strip()
            outcome = registry.promote(one.model, number, Stage.STAGING, why, one.actor)
            if registry.watch.fresh(one.model).version(number).stage is Stage.NONE:
                raise RefusedError(outcome.sentence)
        self._after_deployment(one)
        reason = f"v{number} waits in Staging. {one.verdict.sentence if one.verdict else ''}".strip()
        self._recorder.end(one, RetrainingOutcome.STAGED, reason, one.verdict)

    def _version(self, one: Retraining) -> int:
        if one.version is None:
            raise NotFoundError(f"Retraining {one.id} has no version.")
        return one.version

    def _after_deployment(self, one: Retraining) -> None:
        """Tell those who want to know; before the end is written, so that a crash does not make them miss it."""
        schedule = self._store.schedule(one.model)
        following = schedule.next_due if schedule is not None else None
        try:
            self._parts.note_retraining(one.model, self._now(), following)
            self._parts.after_deployment(one.model)
        except DatabaseError:
            raise
        except (GreenroomError, OSError) as error:
            log.warning(
                "%s: the new model is in Staging, but not all that follows was done: %s", one.model, error
            )

    def give_up_staging(self, one: Retraining, why: str) -> None:
        """End a retraining whose version may not go to Staging."""
        if one.version is not None:
            with suppress(NotFoundError):
                self._mark(one, one.version, f"failed: {why}", one.verdict)
        reason = f"v{one.version} may not go to Staging: {why} It stays in None."
        self._recorder.end(one, RetrainingOutcome.REFUSED, reason, one.verdict)

    def _mark(self, one: Retraining, version: int, validation: str, verdict: Verdict | None) -> None:
        tags = {VALIDATION_TAG: validation[:_TAG_LENGTH]}
        if verdict is not None:
            tags[VERDICT_TAG] = verdict.sentence[:_TAG_LENGTH]
        self._parts.tag(one.model, version, tags)


def _listed(files: tuple[FrozenFile, ...]) -> str:
    if not files:
        return "the entry point takes no file"
    return ", ".join(
        f"{one.parameter} {one.place} ({one.size:,} bytes, SHA-256 {one.sha256[:12]})"
        if one.sha256 is not None
        else f"{one.parameter} {one.place} (a folder)"
        for one in files
    )
