"""`MLflowTracker`: log runs to MLflow from a training script that must not stop when the server does."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import BadInputError
from core.tracking import active, values
from core.tracking.configuration import choose
from core.tracking.run import TrackedRun, status_of, write_text


class MLflowTracker:
    """Logs to MLflow; what the tracking server cannot take now is kept on disk and sent later.

    Parameters
    ----------
    tracking_uri : str, optional
        MLFLOW_TRACKING_URI wins over it; it wins over the file and greenroom.toml. Without any, runs go to
        Greenroom's embedded store.
    experiment_name : str, optional
        Created if it does not exist.
    config_path : path, optional
        A YAML file with ``tracking_uri`` and ``default_experiment_name``.

    Raises
    ------
    BadInputError
        If the file or an address cannot be used.

    Examples
    --------
    >>> tracker = MLflowTracker(experiment_name="ppo_usdcop")
    >>> with tracker.start_run("training_v1"):
    ...     tracker.log_params({"learning_rate": 3e-4})
    ...     tracker.log_metric("reward", 150.0, step=1)
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        experiment_name: str | None = None,
        config_path: str | os.PathLike[str] | None = None,
    ) -> None:
        self._destination, self.experiment_name = choose(tracking_uri, experiment_name, config_path)
        self._runs: list[TrackedRun] = []
        self._last: TrackedRun | None = None
        self._at_exit_for: int | None = None

    @property
    def tracking_uri(self) -> str:
        """Where runs go, without a password."""
        return self._destination.shown

    @property
    def active_run(self) -> TrackedRun | None:
        """The run that is being logged, or None."""
        open_runs = [run for run in self._runs if run.is_open]
        return open_runs[-1] if open_runs else None

    @property
    def run_id(self) -> str | None:
        """Id of the active run, else of the last one; None before, or while the server cannot be reached."""
        run = self.active_run or self._last
        return run.run_id if run else None

    @property
    def experiment_id(self) -> str | None:
        """Id of the experiment; None before the first run, or while the server cannot be reached."""
        run = self.active_run or self._last
        return run.experiment_id if run else None

    def start_run(
        self, run_name: str | None = None, nested: bool = False, tags: Mapping[str, Any] | None = None
    ) -> TrackedRun:
        """Start a run and make it MLflow's active one, so that plain MLflow calls and autologging go to it.

        Waits at most 5 s for a server. If it does not answer, the run goes on without an id.

        Parameters
        ----------
        run_name : str, optional
            By default ``run_`` and the time.
        nested : bool
            Start it as a child of the active run.
        tags : mapping, optional

        Returns
        -------
        TrackedRun
            A context manager: an exception ends the run as FAILED, Ctrl-C as KILLED.

        Raises
        ------
        BadInputError
            If a run is active and `nested` is not given.
        """
        _import_mlflow(self._destination.remote)
        parent, foreign = self.active_run, active.foreign_run_id()
        if (parent or foreign) and not nested:
            name = f"'{parent.name}'" if parent else str(foreign)
            raise BadInputError(
                f"The run {name} is active. End it first, or start this one with nested=True."
            )
        active.use_store(self._destination.uri)
        resume = None if parent or foreign else os.environ.pop("MLFLOW_RUN_ID", None)
        run = TrackedRun(
            self._destination,
            self.experiment_name,
            # A run that a launcher has made keeps the name that it gave.
            run_name or (None if resume else f"run_{datetime.now():%Y%m%d_%H%M%S}"),
            tags or {},
            parent=parent,
            parent_run_id=None if parent else foreign,
            resume=resume,
        )
        self._runs = [*(one for one in self._runs if one.is_open), run]
        self._last = run
        self._end_at_exit()
        return run

    def end_run(self, status: str = "FINISHED") -> None:
        """End the active run, if there is one.

        Waits while it is being sent, gives up after about ten seconds without progress, and says what is left.

        Parameters
        ----------
        status : {"FINISHED", "FAILED", "KILLED"}
        """
        run = self.active_run
        if run is not None:
            run.end(status)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log params, as many as there are.

        Parameters
        ----------
        params : mapping
            Values of any type; what has parts becomes JSON. It is not changed. A text longer than MLflow takes is
            cut with a mark, and kept whole in the artifact ``params/long_values.json``.

        Raises
        ------
        BadInputError
            For a key that MLflow refuses, or another value for a param that has one.
        """
        self._current().log_params(params)

    def log_param(self, key: str, value: Any) -> None:
        """Log one param."""
        self.log_params({key: value})

    def log_metric(self, key: str, value: Any, step: int | None = None) -> None:
        """Log one value of a metric."""
        self.log_metrics({key: value}, step)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log values of metrics.

        Parameters
        ----------
        metrics : mapping of str to number
            Numbers of Python or numpy, and tensors of one element; NaN and infinity are allowed.
        step : int, optional

        Raises
        ------
        BadInputError
            For a key that MLflow refuses, or a value that is no number.
        """
        self._current().log_metrics(metrics, step)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags of the run."""
        self._current().set_tags(tags)

    def set_tag(self, key: str, value: Any) -> None:
        """Set one tag of the run."""
        self.set_tags({key: value})

    def log_artifact(self, local_path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Log a file as it is now, into the folder `artifact_path` of the run's artifacts."""
        source = Path(local_path)
        if not source.is_file():
            raise BadInputError(f"{source} is no file. Give an existing one; for a folder use log_artifacts.")
        place = _folder_path(artifact_path)

        def write(folder: Path) -> None:
            (folder / place).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / place / source.name)

        self._current().log_files(write)

    def log_artifacts(self, local_dir: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Log all files of a folder as they are now."""
        source = Path(local_dir)
        if not source.is_dir():
            raise BadInputError(f"{source} is no folder. Give an existing one; for a file use log_artifact.")
        place = _folder_path(artifact_path)

        def write(folder: Path) -> None:
            shutil.copytree(source, folder / place, dirs_exist_ok=True, copy_function=shutil.copyfile)

        self._current().log_files(write)

    def log_text(self, text: str, artifact_file: str) -> None:
        """Log a text as an artifact."""
        place = values.artifact_path(artifact_file)
        self._current().log_files(lambda folder: write_text(folder, place, text))

    def log_model(
        self,
        model: Any,
        artifact_path: str = "model",
        signature: Any = None,
        input_example: Any = None,
        pip_requirements: Sequence[str] | None = None,
        registered_model_name: str | None = None,
        feature_order: Sequence[str] | None = None,
    ) -> None:
        """Log a model that plain MLflow loads from ``runs:/<run_id>/<artifact_path>``.

        Parameters
        ----------
        model : torch.nn.Module, scikit-learn estimator, stable-baselines3 algorithm, mlflow.pyfunc.PythonModel or path
            A path is that of a folder saved by MLflow.
        artifact_path : str
            Name of the model.
        signature : mlflow.models.ModelSignature, optional
            Taken from `input_example`, or from the spaces of an stable-baselines3 algorithm, if not given.
        input_example : array, frame, ..., optional
        pip_requirements : sequence of str, optional
            By default the installed versions of the few packages that the model needs.
        registered_model_name : str, optional
            Register the model as a new version of this name.
        feature_order : sequence of str, optional
            Names of the observation's elements, for ``model_signature.json`` of a stable-baselines3 algorithm.

        Raises
        ------
        BadInputError
            For a model of another kind, or a name that MLflow refuses.
        """
        from core.tracking.models import check_names, saver

        check_names(artifact_path, registered_model_name)
        run = self._current()
        plan = saver(model, signature, input_example, pip_requirements, feature_order)
        run.log_saved_model(plan.save, artifact_path, plan.kind, registered_model_name)
        described = plan.description
        if described is not None:
            run.log_files(lambda folder: write_text(folder, "model_signature.json", described))

    def log_reproducibility(
        self,
        dataset_path: str | os.PathLike[str] | None = None,
        norm_stats_path: str | os.PathLike[str] | None = None,
        repo: str | os.PathLike[str] | None = None,
    ) -> None:
        """Log what a run was made from, after contract CTR-HASH-001.

        Params ``dataset_hash`` and ``norm_stats_hash`` (16 characters) and ``git_commit_sha`` (12), the whole values
        as tags, ``git_dirty``, ``dvc_version``, ``reproducibility_verified``, and the artifact ``environment.json``.

        Parameters
        ----------
        dataset_path, norm_stats_path : path, optional
            Files to hash; the second is JSON, whose formatting does not count.
        repo : path, optional
            A folder of the git repository; by default the script's, else the current one.

        Raises
        ------
        BadInputError
            If a file cannot be read.
        """
        from core.tracking.reproducibility import gather

        found = gather(dataset_path, norm_stats_path, repo)
        run = self._current()
        run.log_params(found.params)
        run.set_tags(found.tags)
        run.log_files(lambda folder: write_text(folder, "environment.json", found.environment))

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until everything logged so far has been sent; return whether it has."""
        runs = self._runs or ([self._last] if self._last else [])
        sent = [run.flush(timeout) for run in runs]
        return all(sent)

    def _current(self) -> TrackedRun:
        """Return the active run; start one if there is none, as MLflow does."""
        if self._last is not None and not self._last._is_ours:
            return self._last  # a forked child: its calls do nothing
        return self.active_run or self.start_run()

    def _end_at_exit(self) -> None:
        if self._at_exit_for == os.getpid():
            return
        self._at_exit_for = os.getpid()
        # Plain atexit runs when no thread pool takes work any more, which uploads need.
        register = getattr(threading, "_register_atexit", atexit.register)
        register(self._close)

    def _close(self) -> None:
        """End what is open when the program ends: as FAILED if it died of an exception."""
        error = None if hasattr(sys, "ps1") or "IPython" in sys.modules else getattr(sys, "last_value", None)
        for run in reversed(self._runs):
            if run.is_open:
                run.end(status_of(error))


def _folder_path(path: str | None) -> str:
    return values.artifact_path(path, "artifact folder") if path else "."


def _import_mlflow(remote: bool) -> None:
    """Import what the sender's thread will use, here: two threads that import it may see half of pandas."""
    import mlflow.models
    import mlflow.tracking.fluent
    import requests  # noqa: F401

    if not remote:
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
