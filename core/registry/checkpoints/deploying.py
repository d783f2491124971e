"""Deploy a validated checkpoint: log it, register it, promote it by the desk's rules, and put its file in place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from core import clock
from core.errors import ArtifactError, RefusedError
from core.registry.checkpoints.folder import CheckpointFolder, digest, is_label, label_at, written
from core.registry.checkpoints.following import FollowingFolder
from core.registry.checkpoints.registered import CHECKPOINT_TAG, DIGEST_TAG, SOURCE_TAG, RegisteredCheckpoints
from core.registry.checkpoints.runs import ARTIFACT_PATH, log_checkpoint
from core.registry.load_tests import LoadTests
from core.registry.promotion import Fate, Outcome
from core.registry.sandbox.types import Trial
from core.registry.types import Stage

RETRAIN_EVERY: Final = timedelta(days=7)


def deploy(
    registered: RegisteredCheckpoints,
    folder: FollowingFolder,
    file: Path,
    source: Path,
    metadata: Mapping[str, Any],
    trial: Trial | None,
) -> int:
    """Bring a file into Production and return its version; the same file again goes on where it was left.

    Parameters
    ----------
    file : Path
        A copy that nobody else changes; it is moved.
    source : Path
        Where it came from.
    trial : Trial, optional
        The validation that it passed, which counts as the version's load test.

    Raises
    ------
    RefusedError
        If a rule, a gate or a role is in the way; the version stays where it got to.
    SourceError, DatabaseError, ArtifactError
        If MLflow, Greenroom's database or the folder does not take it.
    """
    workspace = registered.workspace
    by = workspace.actor()
    current = registered.current(fresh=True)
    if current.conflict is not None:
        raise RefusedError(current.conflict)
    checksum = digest(file)
    made = current.waiting(checksum)
    if made is not None:
        label = current.labels[made.version]
    else:
        label = _new_label(folder.files, source, set(current.labels.values()))
        file = file.rename(file.with_name(f"{label}.pt"))
        tags = {CHECKPOINT_TAG: label, DIGEST_TAG: checksum}
        run_tags = {**tags, SOURCE_TAG: str(source)}
        run_id = log_checkpoint(workspace, registered.name, file, run_tags, metadata)
        workspace.runs.sync()
        made = workspace.registry.register(run_id, registered.name, ARTIFACT_PATH, by, tags)
    if trial is not None:
        tests = LoadTests(lambda: workspace.database, workspace.address.key)
        tests.record(registered.name, made.version, trial, clock.now(), None)
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        reason = f"{label} deployed from {source.name}"
        check_done(workspace.registry.promote(registered.name, made.version, stage, reason, by))
    try:
        folder.files.activate(file, label)
        now = clock.now()
        folder.follow(written(now), written(now + RETRAIN_EVERY))
    except OSError as error:
        raise ArtifactError(
            f"{registered.name} v{made.version} is in Production, but its file cannot be put into "
            f"{folder.files.active}: {error}. Make room and call sync_files()."
        ) from error
    return made.version


def _new_label(files: CheckpointFolder, source: Path, taken: set[str]) -> str:
    """Return a label that no version and no file has; that of a source which was named like this in place."""
    in_place = source.resolve().parent == files.active.resolve()
    if in_place and is_label(source.stem) and source.stem not in taken:
        return source.stem
    at = clock.now()
    while (label := label_at(at)) in taken or files.find(label) is not None:
        at += timedelta(seconds=1)
    return label


def check_done(outcome: Outcome) -> None:
    """Refuse what was given up after an interruption."""
    if outcome.fate in (Fate.UNDONE, Fate.ABANDONED):
        raise RefusedError(outcome.sentence)
