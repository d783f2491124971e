"""Make a run MLflow's active one, so that plain MLflow calls and autologging in a script go to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Run


class Activation:
    """A run on MLflow's stack of active runs; leaving it asks no server."""

    def __init__(self, run: Run) -> None:
        from mlflow.tracking import fluent

        self._entry = fluent.ActiveRun(run)  # type: ignore[no-untyped-call]
        self._stack: list[Any] = fluent._active_run_stack.get()  # type: ignore[no-untyped-call]
        self._stack.append(self._entry)
        # As `mlflow.set_experiment` does, so that `mlflow.load_table` and the like look into this experiment.
        fluent._active_experiment_id = run.info.experiment_id  # type: ignore[assignment]

    def leave(self) -> None:
        """Take the run from the stack again, wherever it stands there."""
        from mlflow.tracking import fluent

        # Not `in` and `remove`: MLflow compares runs by their content.
        for at, entry in enumerate(self._stack):
            if entry is self._entry:
                del self._stack[at]
                fluent._last_active_run_id.set(entry.info.run_id)  # type: ignore[no-untyped-call]
                break


def foreign_run_id() -> str | None:
    """Return the id of the run that plain MLflow has active in this thread."""
    from mlflow.tracking import fluent

    run = fluent.active_run()
    return str(run.info.run_id) if run is not None else None


def context_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return tags with those that MLflow adds to every run: user, source, git commit."""
    from mlflow.tracking.context import registry

    return dict(registry.resolve_tags(tags))


def use_store(uri: str) -> None:
    """Point plain MLflow at a store, in this process only.

    MLflow would also write it into the environment, where it would win over the next tracker's own URI, and be
    inherited, password and all, by every program that is started.
    """
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    if before is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    else:
        os.environ["MLFLOW_TRACKING_URI"] = before
