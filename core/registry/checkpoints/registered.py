"""What MLflow's registry and its runs say of a model whose versions were made from checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from core.errors import NotFoundError
from core.registry.checkpoints.folder import is_label
from core.registry.history import Reign, reigns
from core.registry.rules import conflict_sentence
from core.registry.types import Model, Stage, Version
from core.runs.types import Run

if TYPE_CHECKING:
    from core.workspace import Workspace

CHECKPOINT_TAG: Final = "checkpoint"
"""Tag of a version, and of its run, with the label of its checkpoint."""

DIGEST_TAG: Final = "checkpoint.sha256"
SOURCE_TAG: Final = "checkpoint.source_path"


@dataclass(frozen=True, slots=True)
class Current:
    """The model as the registry has it, with its checkpoints' labels by version, and the current one.

    Where two versions are in Production, `champion` is None and `conflict` says so.
    """

    model: Model | None
    labels: Mapping[int, str]
    champion: Version | None
    conflict: str | None = None

    @property
    def label(self) -> str | None:
        return self.labels.get(self.champion.version) if self.champion is not None else None

    @property
    def versions(self) -> tuple[Version, ...]:
        """Those that were made from checkpoints, oldest first."""
        labelled = [one for one in self.model.versions if one.version in self.labels] if self.model else []
        return tuple(sorted(labelled, key=lambda one: (self.labels[one.version], one.version)))

    def waiting(self, checksum: str) -> Version | None:
        """Return the latest version of this very file that was not in Production yet."""
        stages = (Stage.NONE, Stage.STAGING)
        same = [one for one in self.versions if one.tags.get(DIGEST_TAG) == checksum and one.stage in stages]
        return max(same, key=lambda one: one.version, default=None)


class RegisteredCheckpoints:
    """The versions of one model and their runs.

    Parameters
    ----------
    workspace : callable
        Opens the workspace.
    """

    def __init__(self, name: str, workspace: Callable[[], Workspace]) -> None:
        self.name = name
        self._workspace = workspace

    @property
    def workspace(self) -> Workspace:
        return self._workspace()

    def current(self, *, fresh: bool = False) -> Current:
        """Return what the registry says; versions without a label were not deployed from a checkpoint.

        Raises
        ------
        SourceError
        """
        watch = self.workspace.registry.watch
        if fresh:
            watch.reread(self.name)
        try:
            model = watch.model(self.name)
        except NotFoundError:
            return Current(None, {}, None)
        labels = {one.version: label for one in model.versions if (label := self._label(one)) is not None}
        two = len(model.in_stage(Stage.PRODUCTION)) > 1
        return Current(model, labels, model.champion, conflict_sentence(model) if two else None)

    def current_and_indexed(self) -> Current:
        """Return the same, read again, and after a look at runs that are newer than the index, if it takes one."""
        current = self.current(fresh=True)
        if current.model is None or len(current.labels) == len(current.model.versions):
            return current
        # Who registered a checkpoint's run by hand gave the version no tags: its run has them.
        self.workspace.runs.sync()
        return self.current()

    def _label(self, version: Version) -> str | None:
        label = self.tag(version, CHECKPOINT_TAG)
        return label if label is not None and is_label(label) else None

    def tag(self, version: Version, tag: str) -> str | None:
        """Return a tag of a version, else of its run, as far as that was read already."""
        runs = self.workspace.runs
        if version.tags.get(tag) or not version.run_id or runs.index.snapshot() is None:
            return version.tags.get(tag)
        with suppress(NotFoundError):
            return runs.run(version.run_id).tags.get(tag)
        return None

    def run(self, version: Version) -> Run:
        """Return the run of a version.

        Raises
        ------
        NotFoundError
            If it has none, or it is gone.
        """
        runs = self.workspace.runs
        if not version.run_id:
            raise NotFoundError(f"{self.name} v{version.version} has no run.")
        if runs.index.snapshot() is None:
            runs.sync()
        try:
            return runs.run(version.run_id)
        except NotFoundError:
            runs.sync()
            return runs.run(version.run_id)

    def trained(self, version: Version) -> dict[str, Any]:
        """Return what the run of a version says of its training, as metadata.json has it."""
        try:
            run = self.run(version)
        except NotFoundError:
            return {}
        epochs = run.params.get("training_epochs", "")
        loss = run.metrics.get("training_loss")
        return {
            "source_path": run.tags.get(SOURCE_TAG),
            "training_epochs": int(epochs) if epochs.isdigit() else None,
            "training_loss": loss if loss is not None and abs(loss) < float("inf") else None,
        }

    def reigns(self) -> tuple[Reign, ...]:
        """Return what was in Production when."""
        return reigns(self.workspace.registry.events(self.name))

    def replaced(self, labels: Mapping[int, str]) -> dict[str, datetime]:
        """Return when each checkpoint was last taken out of Production."""
        ended = [one for one in self.reigns() if one.end is not None and one.version in labels]
        return {labels[one.version]: one.end for one in ended if one.end is not None}
