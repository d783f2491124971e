"""Deploy checkpoint files: validated behind walls, promoted by the registry's desk, kept in a folder that follows it.

    manager = ModelManager("rl_agent", model_dir="models/rl_agent")
    made_with = {"observation_dim": 15}
    deployed, reason = manager.deploy_model("new.pt", ActorCritic, made_with, {"training_loss": 0.02})
    network = manager.load_current_model(ActorCritic, made_with)

The registry decides which version is current, whoever moved it; `ModelManager.sync_files` makes the folder follow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.access import Actor, Permission
from core.errors import GreenroomError, RefusedError
from core.registry.checkpoints.current import CurrentModel
from core.registry.checkpoints.deploying import check_done, deploy
from core.registry.checkpoints.folder import copy
from core.registry.checkpoints.validation import check_file, try_checkpoint
from core.registry.promotion import Outcome
from core.registry.sandbox.types import Limits, Trial
from core.registry.types import Stage

log = logging.getLogger(__name__)

Result = tuple[bool, str | None]
"""Whether it was done, and why not."""


class ModelManager(CurrentModel):
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
        asked = self.workspace.settings.gates.of(self.model_name).trial_limits
        limits = Limits(asked.seconds, asked.memory_mb, asked.file_mb, asked.processes)
        return try_checkpoint(file, model_class, model_kwargs or {}, input_shape, limits)

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
            check_file(source)
            self.workspace.actor().require(Permission.REGISTER)
            with self._folder.files.incoming() as folder:
                # What is validated is what is deployed, whatever becomes of the original meanwhile.
                file = folder / "checkpoint.pt"
                copy(source, file)
                trial = self._tried(file, model_class, model_kwargs, input_shape) if validate else None
                if trial is not None and not trial.passed:
                    raise RefusedError(trial.reason)
                with self._folder.files.locked():
                    version = deploy(self._registered, self._folder, file, source, metadata or {}, trial)
        except (GreenroomError, OSError) as error:
            return self._refused(f"{source.name} is not deployed", error)
        if model_class is not None:
            self._class, self._kwargs = model_class, dict(model_kwargs or {})
        log.info("%s v%d is deployed from %s.", self.model_name, version, source)
        self._clean_up_quietly()
        return True, None

    # Going back, archiving, cleaning up

    def rollback(self, reason: str) -> Result:
        """Bring back the version that was in Production before, and its file.

        Returns
        -------
        (bool, str or None)
            Whether it was done, and why not.
        """
        desk = self.workspace.registry
        return self._changed("rolled back", lambda by: desk.rollback(self.model_name, reason, by))

    def archive_current_model(self, reason: str) -> Result:
        """Take the current version out of Production, with nothing in its place, and archive its file.

        Returns
        -------
        (bool, str or None)
            Whether it was done, and why not.
        """

        def archive(by: Actor) -> Outcome:
            champion = self._registered.current(fresh=True).champion
            if champion is None:
                raise RefusedError(f"Nothing of {self.model_name} is in Production.")
            desk = self.workspace.registry
            return desk.promote(self.model_name, champion.version, Stage.ARCHIVED, reason, by)

        return self._changed("archived", archive)

    def _changed(self, what: str, change: Callable[[Actor], Outcome]) -> Result:
        """Change what is in Production, and have the files follow."""
        try:
            check_done(change(self.workspace.actor()))
            self.sync_files()
        except (GreenroomError, OSError) as error:
            return self._refused(f"{self.model_name} is not {what}", error)
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
        with self._folder.files.locked():
            removed = self._folder.remove_replaced(self.retention_days)
        for path in removed:
            log.info("%s is removed: it was replaced more than %g days ago.", path, self.retention_days)
        return removed

    def _clean_up_quietly(self) -> None:
        try:
            self.cleanup_old_models()
            if self.workspace.settings.retention.automatic:
                self.workspace.retention.after_deployment(self.model_name)
        except (GreenroomError, OSError) as error:
            log.warning("Old checkpoints of %s are not cleaned up: %s", self.model_name, error)

    def _refused(self, what: str, error: Exception) -> Result:
        reasons = [one for one in getattr(error, "reasons", ()) if one != str(error)]
        why = " ".join([str(error), *reasons])
        log.error("%s; what is current stays: %s", what, why)
        return False, why
