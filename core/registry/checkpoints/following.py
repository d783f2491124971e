"""A folder of checkpoints that follows the registry: the current file in place, earlier ones in the archive."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from core import clock
from core.errors import ArtifactError, RefusedError
from core.registry.checkpoints.folder import (
    CheckpointFolder,
    digest,
    is_label,
    label_time,
    version_name,
    written,
)
from core.registry.checkpoints.registered import DIGEST_TAG, Current, RegisteredCheckpoints
from core.registry.history import Reign
from core.registry.types import Stage, Version
from core.runs.artifacts.model_files import download, path_in_run

log = logging.getLogger(__name__)

_KEPT_AT_LEAST: Final = 3


class FollowingFolder:
    """The files of one model and the registry that they follow. Who changes files holds `files.locked`."""

    def __init__(self, files: CheckpointFolder, registered: RegisteredCheckpoints) -> None:
        self.files = files
        self._registered = registered

    # What is current

    def current_label(self) -> str | None:
        """Return the label of the version in Production; of two that are, the one that was current before.

        Raises
        ------
        SourceError
        RefusedError
            If two versions are in Production, and neither was current before.
        """
        current = self._registered.current()
        if current.conflict is None or current.model is None:
            return current.label
        known = self.known_label()
        if known not in [current.labels.get(one.version) for one in current.model.in_stage(Stage.PRODUCTION)]:
            raise RefusedError(current.conflict)
        log.warning("%s Staying with %s meanwhile.", current.conflict, known)
        return known

    def known_label(self) -> str | None:
        """Return the label that metadata.json says is current."""
        label = f"checkpoint_{self.files.read().get('current_version')}"
        return label if is_label(label) else None

    # Following

    def follow(self, last: str | None = None, following: str | None = None) -> None:
        """Put the current file in place, archive earlier ones, and write metadata.json.

        Parameters
        ----------
        last, following : str, optional
            Times of retraining; those that are written there when not given.
        """
        current = self._registered.current_and_indexed()
        if current.conflict is not None:
            raise RefusedError(current.conflict)
        if current.champion is not None and current.label is not None:
            self._put_in_place(current.champion, current.label)
        for version in current.versions:
            label = current.labels[version.version]
            left = version.stage is Stage.ARCHIVED and label != current.label
            if left and self.files.active_path(label).is_file():
                self.files.put_away(label)
        known = self.files.read()
        self.files.write(
            self._kept_entries(current),
            version_name(current.label) if current.label is not None else None,
            last or known.get("last_retrain_time"),
            following or known.get("next_retrain_time"),
        )

    def _put_in_place(self, version: Version, label: str) -> None:
        wanted = self._registered.tag(version, DIGEST_TAG)
        found = self.files.find(label)
        if found is not None and wanted is not None and digest(found) != wanted:
            log.warning("%s is not the file that was deployed; it is fetched again.", found)
            found = None
        if found is None:
            self._fetch(version, label, wanted)
        elif found != self.files.active_path(label):
            self.files.activate(found, label)

    def _fetch(self, version: Version, label: str, wanted: str | None) -> None:
        """Get a checkpoint back from where MLflow keeps it."""
        workspace = self._registered.workspace
        run = self._registered.run(version)
        path = path_in_run(version.source, run, workspace.runs.logged_models(run.run_id))
        most = workspace.settings.max_model_mb * 2**20
        with self.files.incoming() as folder:
            file = download(workspace.runs.artifacts(run), path, folder, most) / f"{label}.pt"
            if not file.is_file() or (wanted is not None and digest(file) != wanted):
                raise ArtifactError(
                    f"The artifacts of {self._registered.name} v{version.version} do not hold {label}.pt as it was "
                    "deployed. Roll back to another version, or deploy it again."
                )
            self.files.activate(file, label)

    def remove_replaced(self, retention_days: float) -> list[str]:
        """Remove archived files that were replaced longer ago; return their paths.

        The current one and the three latest stay.
        """
        current = self._registered.current(fresh=True)
        kept = sorted({*self.files.archived(), *([current.label] if current.label else [])})
        safe = {*kept[-_KEPT_AT_LEAST:], current.label}
        replaced = self._registered.replaced(current.labels)
        before = clock.now() - timedelta(days=retention_days)
        removed = []
        for label in self.files.archived():
            since = replaced.get(label, label_time(label))
            if label not in safe and since is not None and since < before:
                self.files.archived_path(label).unlink()
                removed.append(str(self.files.archived_path(label)))
        if removed:
            self.follow()
        return removed

    # metadata.json

    def entries(self, current: Current, versions: Sequence[Version]) -> list[dict[str, Any]]:
        """Return what metadata.json has, or would have, of versions that were made from checkpoints."""
        known, reigned = self._known_entries(), self._registered.reigns()
        return [self._entry(one, current.labels[one.version], known, reigned) for one in versions]

    def _kept_entries(self, current: Current) -> list[dict[str, Any]]:
        """Return the entries of those that were deployed and whose file is kept."""
        there = [one for one in current.versions if self.files.find(current.labels[one.version])]
        return [one for one in self.entries(current, there) if one["deployed_at"] is not None]

    def _known_entries(self) -> dict[str, dict[str, Any]]:
        models = self.files.read().get("models")
        kept = models if isinstance(models, list) else []
        return {str(one.get("version")): one for one in kept if isinstance(one, dict)}

    def _entry(
        self, version: Version, label: str, known: Mapping[str, Mapping[str, Any]], reigned: Sequence[Reign]
    ) -> dict[str, Any]:
        name, place = version_name(label), self.files.find(label)
        before = known.get(name)
        if before is None:
            before = self._registered.trained(version)
        starts = [one.start for one in reigned if one.version == version.version]
        return {
            "version": name,
            "deployed_at": written(starts[0]) if starts else None,
            "source_path": before.get("source_path"),
            "active_path": str(place) if place is not None else None,
            "training_epochs": before.get("training_epochs"),
            "training_loss": before.get("training_loss"),
        }
