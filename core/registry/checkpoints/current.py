"""The checkpoint in Production for who serves it: its file, its weights in their class, and what is known of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadInputError, NotFoundError, RefusedError, SourceError
from core.registry.checkpoints.classes import loaded
from core.registry.checkpoints.folder import CheckpointFolder, version_name, written
from core.registry.checkpoints.following import FollowingFolder
from core.registry.checkpoints.registered import RegisteredCheckpoints

if TYPE_CHECKING:
    from core.workspace import Workspace

log = logging.getLogger(__name__)


class CurrentModel:
    """The current model and the folder that holds it; nothing in the registry is changed.

    Its parameters are those of `core.registry.checkpoints.manager.ModelManager`, which changes it.
    """

    def __init__(
        self,
        model_name: str = "rl_agent",
        model_dir: str | Path = "models/rl_agent",
        archive_dir: str | Path | None = None,
        retention_days: float = 30,
        *,
        workspace: Workspace | None = None,
    ) -> None:
        if not 0 <= retention_days < 1e6:
            raise BadInputError(f"retention_days must be a number of days, not {retention_days!r}.")
        self.model_name = model_name
        self.retention_days = retention_days
        folder = Path(model_dir)
        self._opened = workspace
        self._is_ours = workspace is None
        files = CheckpointFolder(folder, Path(archive_dir) if archive_dir else folder / "archive")
        self._registered = RegisteredCheckpoints(model_name, lambda: self.workspace)
        self._folder = FollowingFolder(files, self._registered)
        self._class: type | str | None = None
        self._kwargs: Mapping[str, Any] = {}

    @property
    def workspace(self) -> Workspace:
        """The workspace, opened when first asked for."""
        if self._opened is None:
            from core.workspace import open_workspace

            self._opened = open_workspace()
        return self._opened

    def close(self) -> None:
        """Give back connections, if the workspace was opened here."""
        if self._is_ours and self._opened is not None:
            self._opened.close()
            self._opened = None

    def get_current_model_path(self) -> Path | None:
        """Return the file of the version in Production; None where there is none that is a checkpoint.

        A file that is missing is fetched. While MLflow does not answer, what metadata.json says holds.

        Raises
        ------
        RefusedError
            If two versions are in Production, and neither was current before.
        ArtifactError, NotFoundError
            If the file is missing and cannot be fetched.
        """
        try:
            label = self._folder.current_label()
        except SourceError as error:
            label = self._folder.known_label()
            log.warning("%s Taking %s from metadata.json.", error, label or "no model")
            return self._folder.files.find(label) if label is not None else None
        if label is None:
            return None
        path = self._folder.files.active_path(label)
        if not path.is_file():
            self.sync_files()
        return path

    def load_current_model(
        self, model_class: type | str | None = None, model_kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the model in Production: a ``torch.nn.Module`` with its weights, on the CPU, ready to predict.

        Parameters
        ----------
        model_class : type or str, optional
            A ``torch.nn.Module``, or ``package.module:Class``; that of the last `deploy_model` of this process when
            not given, with its arguments.

        Raises
        ------
        NotFoundError
            If no checkpoint is in Production.
        BadInputError
            If there is no class to put the weights into, they are not those of the class, or torch is missing.
        ArtifactError
            If the file cannot be read.
        """
        if model_class is None:
            model_class, model_kwargs = self._class, self._kwargs if model_kwargs is None else model_kwargs
        if model_class is None:
            raise BadInputError(
                f"The weights of {self.model_name} need their class: give model_class, such as package.module:Class."
            )
        path = self.get_current_model_path()
        if path is None:
            raise NotFoundError(
                f"No checkpoint of {self.model_name} is in Production. Deploy one with deploy_model(), or look at "
                f"`greenroom versions {self.model_name}`."
            )
        return loaded(path, model_class, model_kwargs or {})

    def list_models(self) -> list[dict[str, Any]]:
        """Return all versions that were made from checkpoints, oldest first, as metadata.json has them, and ``stage``.

        ``deployed_at`` is None where a version was never in Production, ``active_path`` where its file is not kept.
        """
        current = self._registered.current()
        entries = self._folder.entries(current, current.versions)
        stages = [str(one.stage) for one in current.versions]
        return [{**entry, "stage": stage} for entry, stage in zip(entries, stages, strict=True)]

    def get_model_info(self) -> dict[str, Any]:
        """Return ``current_version``, ``current_path``, ``total_models`` and ``retention_days``."""
        try:
            label = self._folder.current_label()
        except (SourceError, RefusedError):
            label = self._folder.known_label()
        place = self._folder.files.find(label) if label is not None else None
        kept = {*self._folder.files.archived(), *([label] if place is not None else [])}
        return {
            "current_version": version_name(label) if label is not None else None,
            "current_path": str(place) if place is not None else None,
            "total_models": len(kept),
            "retention_days": self.retention_days,
        }

    def status(self) -> dict[str, Any]:
        """Return ``model_loaded`` (whether the current file is here), ``model_info`` and the times of retraining."""
        info, known = self.get_model_info(), self._folder.files.read()
        return {
            "model_loaded": info["current_path"] is not None,
            "model_info": info,
            "last_retrain_time": known.get("last_retrain_time"),
            "next_retrain_time": known.get("next_retrain_time"),
        }

    # Following the registry

    def sync_files(self) -> None:
        """Make the folder follow the registry: the current file in place, earlier ones archived, metadata.json true.

        For after a crash, and after a promotion or rollback that was made elsewhere.

        Raises
        ------
        SourceError, NotFoundError, ArtifactError, RefusedError
            If the registry does not answer, two versions are in Production, or the current file cannot be fetched.
        """
        with self._folder.files.locked():
            self._folder.follow()

    def note_retraining(self, last: datetime | None, following: datetime | None) -> None:
        """Write down when the model was trained last and will be next, for schedulers other than weekly ones."""
        with self._folder.files.locked():
            self._folder.follow(*(None if one is None else written(one) for one in (last, following)))
