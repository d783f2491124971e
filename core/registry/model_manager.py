"""Deploy checkpoint files: validated behind walls, promoted by the registry's desk, kept in a folder that follows it.

    manager = ModelManager("rl_agent", model_dir="models/rl_agent")
    made_with = {"observation_dim": 15}
    deployed, reason = manager.deploy_model("new.pt", ActorCritic, made_with, {"training_loss": 0.02})
    network = manager.load_current_model(ActorCritic, made_with)

The registry decides which version is current, whoever moved it; `ModelManager.sync_files` makes the folder follow.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import numbers
import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import clock
from core.access import Permission
from core.errors import ArtifactError, BadInputError, GreenroomError, NotFoundError, RefusedError, SourceError
from core.registry.history import Reign, reigns
from core.registry.load_tests import LoadTests
from core.registry.metadata import (
    CheckpointFolder,
    copy,
    digest,
    is_label,
    label_at,
    label_time,
    version_name,
    written,
)
from core.registry.promotion import Fate, Outcome
from core.registry.rules import conflict_sentence
from core.registry.sandbox.trial import Limits, Trial, try_class, try_model
from core.registry.types import Model, Stage, Version
from core.registry.writing import MlflowRegistry
from core.runs.artifacts.model_files import download, path_in_run
from core.runs.types import Run
from core.tracking.configuration import destination

if TYPE_CHECKING:
    from core.workspace import Workspace

log = logging.getLogger(__name__)

CHECKPOINT_TAG: Final = "checkpoint"
"""Tag of a version, and of its run, with the label of its checkpoint."""

DIGEST_TAG: Final = "checkpoint.sha256"
SOURCE_TAG: Final = "checkpoint.source_path"
RETRAIN_EVERY: Final = timedelta(days=7)

_ARTIFACT_PATH: Final = "model"
_SUFFIXES: Final = (".pt", ".pth")
_KEPT_AT_LEAST: Final = 3
_DIMENSIONS: Final = (
    "observation_dim",
    "obs_dim",
    "state_dim",
    "state_size",
    "input_dim",
    "input_size",
    "in_features",
    "n_features",
    "num_features",
)

Result = tuple[bool, str | None]
"""Whether it was done, and why not."""


@dataclass(frozen=True, slots=True)
class _Current:
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


class ModelManager:
    """Checkpoint files of one model, on top of MLflow's registry and the desk. Safe for many processes.

    Parameters
    ----------
    model_name : str
        Name of the registered model, and of the experiment that its checkpoints are logged to.
    model_dir : str or Path
        Holds the current checkpoint and metadata.json; made where it is missing.
    archive_dir : str or Path, optional
        Holds earlier checkpoints; ``archive`` in `model_dir` when not given.
    retention_days : float
        How long an earlier checkpoint is kept after another one took its place.
    workspace : Workspace, optional
        Where to work; opened by the environment and greenroom.toml when not given. It says who acts.
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
        self._files = CheckpointFolder(folder, Path(archive_dir) if archive_dir else folder / "archive")
        self._opened = workspace
        self._is_ours = workspace is None
        self._writing: MlflowRegistry | None = None
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
            self._opened = self._writing = None

    # Validating

    def validate_model(
        self,
        model_path: str | Path,
        model_class: type | str | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        input_shape: Sequence[int] | None = None,
    ) -> Result:
        """Try a checkpoint: it can be read, its weights are those of the class, and a forward pass works.

        The file and the class are loaded in a process that can do no harm, the file with ``weights_only``.

        Parameters
        ----------
        model_path : str or Path
            A ``.pt`` or ``.pth`` file with a state dict, or one that holds it as ``model_state_dict`` or
            ``state_dict``.
        model_class : type or str
            A ``torch.nn.Module``, or ``package.module:Class``. Without it structure and forward pass cannot be
            checked, and the checkpoint does not pass.
        model_kwargs : mapping, optional
            What the class is made with; values that JSON can hold.
        input_shape : sequence of int, optional
            Shape of one row of its input. When not given: what `model_kwargs` says (``observation_dim`` and the
            like), else the width of its first layer.

        Returns
        -------
        (bool, str or None)
            Whether it passed, and why not. A bad model is no exception.
        """
        try:
            trial = self._tried(Path(model_path), model_class, model_kwargs, input_shape)
        except (GreenroomError, OSError) as error:
            return False, str(error)
        return (True, None) if trial.passed else (False, trial.reason)

    def _tried(
        self,
        file: Path,
        model_class: type | str | None,
        model_kwargs: Mapping[str, Any] | None,
        input_shape: Sequence[int] | None,
    ) -> Trial:
        _check_file(file)
        asked = self.workspace.settings.gates.of(self.model_name).trial_limits
        limits = Limits(asked.seconds, asked.memory_mb, asked.file_mb, asked.processes)
        if model_class is None:
            with tempfile.TemporaryDirectory(prefix="greenroom-checkpoint-") as folder:
                copy(file, Path(folder) / "checkpoint.pt")
                return try_model(Path(folder), limits)
        path, kwargs = _class_path(model_class), model_kwargs or {}
        search = _search(path, model_class)
        shape = input_shape if input_shape is not None else _shape_of(kwargs)
        trial = try_class(file, path, kwargs, limits, input_shape=shape or (1,), search=search)
        if trial.passed or shape is not None:
            return trial
        # It was asked with a guess; what it is made of tells better.
        widths = [lengths[1] for _, lengths in trial.structure.layers if len(lengths) == 2]
        if not widths or not trial.evidence.get("said_by_the_model", {}).get("error"):
            return trial
        return try_class(file, path, kwargs, limits, input_shape=(widths[0],), search=search)

    # Deploying

    def deploy_model(
        self,
        model_path: str | Path,
        model_class: type | str | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        validate: bool = True,
        input_shape: Sequence[int] | None = None,
    ) -> Result:
        """Validate a checkpoint, register it as a version, and bring it into Production by the desk's rules.

        The file is logged to a new run of the experiment named like the model. A validation that was passed counts
        as the smoke gate's for a day. Where a gate, a role or the two-person rule refuses Production, the version is
        left in Staging. Deploy the same file again when nothing is in the way any more: it goes on with that version.
        Or promote it elsewhere, as with ``greenroom promote``; `sync_files` then fetches its file.

        Parameters
        ----------
        metadata : mapping, optional
            What is known of the training, such as ``training_epochs`` and ``training_loss``: fractions are logged
            as metrics, whole numbers and texts as params, all else as tags.
        validate : bool
            False leaves the validation out; the gates stay.

        Returns
        -------
        (bool, str or None)
            Whether it is in Production, and why not. Whatever was refused or went wrong, the current model stays.
        """
        source = Path(model_path)
        try:
            _check_file(source)
            self.workspace.actor().require(Permission.REGISTER)
            with self._files.incoming() as folder:
                # What is validated is what is deployed, whatever becomes of the original meanwhile.
                file = folder / "checkpoint.pt"
                copy(source, file)
                trial = self._tried(file, model_class, model_kwargs, input_shape) if validate else None
                if trial is not None and not trial.passed:
                    raise RefusedError(trial.reason)
                with self._files.locked():
                    version = self._deployed(file, source, metadata or {}, trial)
        except (GreenroomError, OSError) as error:
            return self._refused(f"{source.name} is not deployed", error)
        if model_class is not None:
            self._class, self._kwargs = model_class, dict(model_kwargs or {})
        log.info("%s v%d is deployed from %s.", self.model_name, version, source)
        self._clean_up_quietly()
        return True, None

    def _deployed(self, file: Path, source: Path, metadata: Mapping[str, Any], trial: Trial | None) -> int:
        workspace, by = self.workspace, self.workspace.actor()
        current = self._current(fresh=True)
        if current.conflict is not None:
            raise RefusedError(current.conflict)
        checksum = digest(file)
        made = _waiting(current, checksum)
        if made is not None:
            label = current.labels[made.version]
        else:
            label = self._new_label(source, set(current.labels.values()))
            file = file.rename(file.with_name(f"{label}.pt"))
            run_id = self._log(file, label, checksum, source, metadata)
            workspace.runs.sync()
            made = workspace.registry.register(run_id, self.model_name, _ARTIFACT_PATH, by)
            self._tag(made.version, {CHECKPOINT_TAG: label, DIGEST_TAG: checksum})
        if trial is not None:
            tests = LoadTests(lambda: workspace.database, workspace.address.key)
            tests.record(self.model_name, made.version, trial, clock.now(), None)
        for stage in (Stage.STAGING, Stage.PRODUCTION):
            reason = f"{label} deployed from {source.name}"
            _check_done(workspace.registry.promote(self.model_name, made.version, stage, reason, by))
        try:
            self._files.activate(file, label)
            now = clock.now()
            self._follow(written(now), written(now + RETRAIN_EVERY))
        except OSError as error:
            raise ArtifactError(
                f"{self.model_name} v{made.version} is in Production, but its file cannot be put into "
                f"{self._files.active}: {error}. Make room and call sync_files()."
            ) from error
        return made.version

    def _new_label(self, source: Path, taken: set[str]) -> str:
        """Return a label that no version and no file has; that of a source which was named like this in place."""
        in_place = source.resolve().parent == self._files.active.resolve()
        if in_place and is_label(source.stem) and source.stem not in taken:
            return source.stem
        at = clock.now()
        while (label := label_at(at)) in taken or self._files.find(label) is not None:
            at += timedelta(seconds=1)
        return label

    def _log(self, file: Path, label: str, checksum: str, source: Path, metadata: Mapping[str, Any]) -> str:
        """Log a checkpoint to a run of its own."""
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag

        address = self.workspace.address
        metrics, params, tags = _sorted_out(metadata)
        tags |= {CHECKPOINT_TAG: label, DIGEST_TAG: checksum, SOURCE_TAG: str(source)}
        tags |= {"mlflow.user": self.workspace.user}
        now = int(clock.now().timestamp() * 1000)
        self._registry()
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        with _asking(address.shown):
            client = MlflowClient(tracking_uri=address.uri, registry_uri=address.uri)
            experiment = self._experiment(client)
            run_id = str(client.create_run(experiment, now, run_name=label).info.run_id)
            try:
                client.log_batch(
                    run_id,
                    [Metric(key, value, now, 0) for key, value in metrics.items()],
                    [Param(key, value) for key, value in params.items()],
                    [RunTag(key, value) for key, value in tags.items()],
                )
                client.log_artifact(run_id, str(file), _ARTIFACT_PATH)
            except BaseException:
                with suppress(Exception):
                    client.set_terminated(run_id, "FAILED")
                raise
            client.set_terminated(run_id)
        return run_id

    def _experiment(self, client: Any) -> str:
        found = client.get_experiment_by_name(self.model_name)
        if found is None:
            place = destination(self.workspace.settings).artifact_location(self.model_name)
            return str(client.create_experiment(self.model_name, place))
        if found.lifecycle_stage != "active":
            raise RefusedError(
                f"The experiment '{self.model_name}' was deleted. Restore it with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`."
            )
        return str(found.experiment_id)

    def _registry(self) -> MlflowRegistry:
        """Open MLflow for writing, which would bring an older database to its own schema: nobody asked for that."""
        problem = self.workspace.registry.watch.source().schema_problem()
        if problem is not None:
            raise RefusedError(problem)
        if self._writing is None:
            self._writing = MlflowRegistry(self.workspace.address)
        return self._writing

    def _tag(self, version: int, tags: Mapping[str, str]) -> None:
        self._registry().tag(self.model_name, version, tags)
        self.workspace.registry.watch.reread(self.model_name)

    # What is current

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
            label = self._current_label()
        except SourceError as error:
            label = self._known_label()
            log.warning("%s Taking %s from metadata.json.", error, label or "no model")
            return self._files.find(label) if label is not None else None
        if label is None:
            return None
        path = self._files.active_path(label)
        if not path.is_file():
            self.sync_files()
        return path

    def _current_label(self) -> str | None:
        """Return the label of the version in Production; of two that are, the one that was current before."""
        current = self._current()
        if current.conflict is None or current.model is None:
            return current.label
        known = self._known_label()
        if known not in [current.labels.get(one.version) for one in current.model.in_stage(Stage.PRODUCTION)]:
            raise RefusedError(current.conflict)
        log.warning("%s Staying with %s meanwhile.", current.conflict, known)
        return known

    def _known_label(self) -> str | None:
        label = f"checkpoint_{self._files.read().get('current_version')}"
        return label if is_label(label) else None

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
        state = _weights(path)
        made = _imported(model_class) if isinstance(model_class, str) else model_class
        try:
            network: Any = made(**(model_kwargs or {}))
            network.load_state_dict(state)
        except (TypeError, RuntimeError) as error:
            raise BadInputError(
                f"The weights of {path} do not go into {_class_path(model_class)}: {error}"
            ) from error
        network.eval()
        return network

    def list_models(self) -> list[dict[str, Any]]:
        """Return all versions that were made from checkpoints, oldest first, as metadata.json has them, and ``stage``.

        ``deployed_at`` is None where a version was never in Production, ``active_path`` where its file is not kept.
        """
        current = self._current()
        known, reigned = self._known_entries(), self._reigns()
        return [
            {
                **self._entry(version, current.labels[version.version], known, reigned),
                "stage": str(version.stage),
            }
            for version in current.versions
        ]

    def get_model_info(self) -> dict[str, Any]:
        """Return ``current_version``, ``current_path``, ``total_models`` and ``retention_days``."""
        try:
            label = self._current_label()
        except (SourceError, RefusedError):
            label = self._known_label()
        place = self._files.find(label) if label is not None else None
        kept = {*self._files.archived(), *([label] if place is not None else [])}
        return {
            "current_version": version_name(label) if label is not None else None,
            "current_path": str(place) if place is not None else None,
            "total_models": len(kept),
            "retention_days": self.retention_days,
        }

    def status(self) -> dict[str, Any]:
        """Return ``model_loaded`` (whether the current file is here), ``model_info`` and the times of retraining."""
        info, known = self.get_model_info(), self._files.read()
        return {
            "model_loaded": info["current_path"] is not None,
            "model_info": info,
            "last_retrain_time": known.get("last_retrain_time"),
            "next_retrain_time": known.get("next_retrain_time"),
        }

    # Going back, archiving, cleaning up

    def rollback(self, reason: str) -> Result:
        """Bring back the version that was in Production before, and its file.

        Returns
        -------
        (bool, str or None)
            Whether it was done, and why not.
        """
        desk, by = self.workspace.registry, self.workspace.actor
        try:
            _check_done(desk.rollback(self.model_name, reason, by()))
            self.sync_files()
        except (GreenroomError, OSError) as error:
            return self._refused(f"{self.model_name} is not rolled back", error)
        return True, None

    def archive_current_model(self, reason: str) -> Result:
        """Take the current version out of Production, with nothing in its place, and archive its file.

        Returns
        -------
        (bool, str or None)
            Whether it was done, and why not.
        """
        desk, by = self.workspace.registry, self.workspace.actor
        try:
            champion = self._current(fresh=True).champion
            if champion is None:
                raise RefusedError(f"Nothing of {self.model_name} is in Production.")
            _check_done(desk.promote(self.model_name, champion.version, Stage.ARCHIVED, reason, by()))
            self.sync_files()
        except (GreenroomError, OSError) as error:
            return self._refused(f"{self.model_name} is not archived", error)
        return True, None

    def cleanup_old_models(self) -> list[str]:
        """Remove archived files that were replaced longer ago than `retention_days`; the registry keeps its versions.

        The current model and the three latest are kept, however old.

        Returns
        -------
        list of str
            The paths of the files that were removed.

        Raises
        ------
        SourceError, DatabaseError
            If it cannot be known what is current.
        """
        with self._files.locked():
            current = self._current(fresh=True)
            kept = sorted({*self._files.archived(), *([current.label] if current.label else [])})
            safe = {*kept[-_KEPT_AT_LEAST:], current.label}
            replaced = _replaced(self._reigns(), current.labels)
            before = clock.now() - timedelta(days=self.retention_days)
            removed = []
            for label in self._files.archived():
                since = replaced.get(label, label_time(label))
                if label not in safe and since is not None and since < before:
                    self._files.archived_path(label).unlink()
                    removed.append(str(self._files.archived_path(label)))
            if removed:
                self._follow()
        for path in removed:
            log.info("%s is removed: it was replaced more than %g days ago.", path, self.retention_days)
        return removed

    def _clean_up_quietly(self) -> None:
        try:
            self.cleanup_old_models()
        except (GreenroomError, OSError) as error:
            log.warning("Old checkpoints of %s are not cleaned up: %s", self.model_name, error)

    def _refused(self, what: str, error: Exception) -> Result:
        reasons = [one for one in getattr(error, "reasons", ()) if one != str(error)]
        why = " ".join([str(error), *reasons])
        log.error("%s; what is current stays: %s", what, why)
        return False, why

    # Following the registry

    def sync_files(self) -> None:
        """Make the folder follow the registry: the current file in place, earlier ones archived, metadata.json true.

        For after a crash, and after a promotion or rollback that was made elsewhere.

        Raises
        ------
        SourceError, NotFoundError, ArtifactError, RefusedError
            If the registry does not answer, two versions are in Production, or the current file cannot be fetched.
        """
        with self._files.locked():
            self._follow()

    def note_retraining(self, last: datetime | None, following: datetime | None) -> None:
        """Write down when the model was trained last and will be next, for schedulers other than weekly ones."""
        with self._files.locked():
            self._follow(*(None if one is None else written(one) for one in (last, following)))

    def _follow(self, last: str | None = None, following: str | None = None) -> None:
        current = self._current(fresh=True)
        if current.conflict is not None:
            raise RefusedError(current.conflict)
        if any(CHECKPOINT_TAG not in one.tags for one in (current.model.versions if current.model else ())):
            current = self._repaired()
        if current.champion is not None and current.label is not None:
            self._put_in_place(current.champion, current.label)
        for version in current.versions:
            label = current.labels[version.version]
            left = version.stage is Stage.ARCHIVED and label != current.label
            if left and self._files.active_path(label).is_file():
                self._files.put_away(label)
        known = self._files.read()
        self._files.write(
            self._entries(current),
            version_name(current.label) if current.label is not None else None,
            last or known.get("last_retrain_time"),
            following or known.get("next_retrain_time"),
        )

    def _repaired(self) -> _Current:
        """Give versions their label where a crash came before they got it: their runs have it, too."""
        self.workspace.runs.sync()
        current = self._current()
        for version in current.versions:
            if CHECKPOINT_TAG not in version.tags:
                self._tag(version.version, {CHECKPOINT_TAG: current.labels[version.version]})
        return current

    def _put_in_place(self, version: Version, label: str) -> None:
        wanted = version.tags.get(DIGEST_TAG) or self._indexed_tag(version, DIGEST_TAG)
        found = self._files.find(label)
        if found is not None and wanted is not None and digest(found) != wanted:
            log.warning("%s is not the file that was deployed; it is fetched again.", found)
            found = None
        if found is None:
            self._fetch(version, label, wanted)
        elif found != self._files.active_path(label):
            self._files.activate(found, label)

    def _fetch(self, version: Version, label: str, wanted: str | None) -> None:
        """Get a checkpoint back from where MLflow keeps it."""
        runs = self.workspace.runs
        run = self._run(version)
        path = path_in_run(version.source, run, runs.logged_models(run.run_id))
        most = self.workspace.settings.max_model_mb * 2**20
        with self._files.incoming() as folder:
            file = download(runs.artifacts(run), path, folder, most) / f"{label}.pt"
            if not file.is_file() or (wanted is not None and digest(file) != wanted):
                raise ArtifactError(
                    f"The artifacts of {self.model_name} v{version.version} do not hold {label}.pt as it was deployed. "
                    "Roll back to another version, or deploy it again."
                )
            self._files.activate(file, label)

    def _run(self, version: Version) -> Run:
        runs = self.workspace.runs
        if not version.run_id:
            raise NotFoundError(f"{self.model_name} v{version.version} has no run.")
        if runs.index.snapshot() is None:
            runs.sync()
        try:
            return runs.run(version.run_id)
        except NotFoundError:
            runs.sync()
            return runs.run(version.run_id)

    def _current(self, *, fresh: bool = False) -> _Current:
        """Return what the registry says; versions without a label were not deployed from a checkpoint.

        Raises
        ------
        SourceError
        """
        watch = self.workspace.registry.watch
        if fresh:
            watch.reread(self.model_name)
        try:
            model = watch.model(self.model_name)
        except NotFoundError:
            return _Current(None, {}, None)
        labels = {one.version: label for one in model.versions if (label := self._label(one)) is not None}
        two = len(model.in_stage(Stage.PRODUCTION)) > 1
        return _Current(model, labels, model.champion, conflict_sentence(model) if two else None)

    def _label(self, version: Version) -> str | None:
        label = version.tags.get(CHECKPOINT_TAG) or self._indexed_tag(version, CHECKPOINT_TAG)
        return label if label is not None and is_label(label) else None

    def _indexed_tag(self, version: Version, tag: str) -> str | None:
        """Return a tag of a version's run, as far as it was read already."""
        runs = self.workspace.runs
        if not version.run_id or runs.index.snapshot() is None:
            return None
        with suppress(NotFoundError):
            return runs.run(version.run_id).tags.get(tag)
        return None

    def _reigns(self) -> tuple[Reign, ...]:
        return reigns(self.workspace.registry.events(self.model_name))

    def _known_entries(self) -> dict[str, dict[str, Any]]:
        models = self._files.read().get("models")
        kept = models if isinstance(models, list) else []
        return {str(one.get("version")): one for one in kept if isinstance(one, dict)}

    def _entries(self, current: _Current) -> list[dict[str, Any]]:
        """Return what metadata.json has of each checkpoint that was deployed and whose file is kept."""
        known, reigned = self._known_entries(), self._reigns()
        there = [one for one in current.versions if self._files.find(current.labels[one.version])]
        found = [self._entry(one, current.labels[one.version], known, reigned) for one in there]
        return [one for one in found if one["deployed_at"] is not None]

    def _entry(
        self, version: Version, label: str, known: Mapping[str, Mapping[str, Any]], reigned: Sequence[Reign]
    ) -> dict[str, Any]:
        name, place = version_name(label), self._files.find(label)
        before = known.get(name)
        if before is None:
            before = self._trained(version)
        starts = [one.start for one in reigned if one.version == version.version]
        return {
            "version": name,
            "deployed_at": written(starts[0]) if starts else None,
            "source_path": before.get("source_path"),
            "active_path": str(place) if place is not None else None,
            "training_epochs": before.get("training_epochs"),
            "training_loss": before.get("training_loss"),
        }

    def _trained(self, version: Version) -> dict[str, Any]:
        """Return what the run of a version says of its training."""
        try:
            run = self._run(version)
        except NotFoundError:
            return {}
        epochs = run.params.get("training_epochs", "")
        loss = run.metrics.get("training_loss")
        return {
            "source_path": run.tags.get(SOURCE_TAG),
            "training_epochs": int(epochs) if epochs.isdigit() else None,
            "training_loss": loss if loss is not None and abs(loss) < float("inf") else None,
        }


def _waiting(current: _Current, checksum: str) -> Version | None:
    """Return the latest version of this very file that was not in Production yet."""
    stages = (Stage.NONE, Stage.STAGING)
    same = [one for one in current.versions if one.tags.get(DIGEST_TAG) == checksum and one.stage in stages]
    return max(same, key=lambda one: one.version, default=None)


def _replaced(reigned: Sequence[Reign], labels: Mapping[int, str]) -> dict[str, datetime]:
    """Return when each checkpoint was last taken out of Production."""
    return {labels[one.version]: one.end for one in reigned if one.end is not None and one.version in labels}


def _check_done(outcome: Outcome) -> None:
    if outcome.fate in (Fate.UNDONE, Fate.ABANDONED):
        raise RefusedError(outcome.sentence)


def _check_file(file: Path) -> None:
    """Refuse what is no checkpoint that can be read."""
    if not file.exists():
        raise NotFoundError(f"There is no file {file}.")
    if not file.is_file():
        raise BadInputError(f"{file} is no file.")
    if file.suffix not in _SUFFIXES:
        raise BadInputError(
            f"{file.name} is no checkpoint of PyTorch: it ends with neither .pt nor .pth. Log other models to a run "
            "and register them with `greenroom register`."
        )
    if file.stat().st_size == 0:
        raise BadInputError(f"{file} is empty.")


def _class_path(model_class: type | str) -> str:
    if isinstance(model_class, str):
        return model_class
    module = model_class.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        module = spec.name if spec is not None else Path(getattr(main, "__file__", "__main__")).stem
    return f"{module}:{model_class.__qualname__}"


def _search(path: str, model_class: type | str) -> tuple[Path, ...]:
    """Return the folder that a class is imported from, unless it is one of the installed packages."""
    top = path.partition(":")[0].partition(".")[0]
    main = getattr(sys.modules["__main__"], "__file__", None)
    if not isinstance(model_class, str) and model_class.__module__ == "__main__" and main is not None:
        return (Path(main).resolve().parent,)
    try:
        spec = importlib.util.find_spec(top) if top.isidentifier() else None
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return (Path.cwd(),)
    places = [Path(one) for one in spec.submodule_search_locations or ()]
    folder = places[0].parent if places else Path(spec.origin or "").parent
    installed = [Path(sysconfig.get_path(one)) for one in ("purelib", "platlib", "stdlib")]
    return () if any(folder.is_relative_to(one) for one in installed) else (folder.resolve(),)


def _shape_of(kwargs: Mapping[str, Any]) -> Sequence[int] | None:
    """Return the shape of one row of input, where the arguments of a class tell it."""
    for key in ("input_shape", "observation_shape", "obs_shape"):
        given = kwargs.get(key)
        if isinstance(given, list | tuple) and given and all(isinstance(one, int) for one in given):
            return tuple(given)
    widths = [kwargs[key] for key in _DIMENSIONS if isinstance(kwargs.get(key), int)]
    return (widths[0],) if widths else None


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInputError(
            f"{path!r} cannot be imported: {error}. Write it as package.module:Class."
        ) from error
    return found


def _weights(path: Path) -> Any:
    """Read a state dict without unpickling anything else."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise BadInputError("Loading a checkpoint needs PyTorch: pip install 'greenroom[rl]'.") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ArtifactError(f"{path} cannot be loaded: {error}. sync_files() fetches it again.") from error
    if isinstance(content, dict):
        for key in ("model_state_dict", "state_dict"):
            if isinstance(content.get(key), dict):
                return content[key]
    return content


def _sorted_out(
    metadata: Mapping[str, Any],
) -> tuple[dict[str, float], dict[str, str], dict[str, str]]:
    """Return metadata as metrics, params and tags."""
    metrics: dict[str, float] = {}
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    for key, value in metadata.items():
        if key == "training_loss" and isinstance(value, numbers.Real):
            metrics[key] = float(value)
        elif isinstance(value, bool | str | numbers.Integral):
            params[key] = str(value)
        elif isinstance(value, numbers.Real):
            metrics[key] = float(value)
        elif value is not None:
            tags[key] = json.dumps(value, default=str)
    return metrics, params, tags


@contextmanager
def _asking(shown: str) -> Iterator[None]:
    """Put whatever MLflow and its artifact stores raise into a sentence."""
    try:
        yield
    except GreenroomError:
        raise
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(f"MLflow at {shown} did not take the checkpoint: {first}") from error
