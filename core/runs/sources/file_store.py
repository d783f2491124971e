"""A view of an MLflow file store (./mlruns) that MLflow can open without changing a byte of the store.

MLflow creates `.trash` in any store it opens. It is therefore shown a folder of links: one to each
experiment, and a `.trash` that is a link if the store has one and an empty folder of the view's own if not.
"""

from __future__ import annotations

import os
from pathlib import Path

from core.errors import SourceError

_TRASH = ".trash"
_RESERVED = {"tags", "datasets", "traces", "models"}


class FileStoreView:
    """Links to the experiments of a file store.

    Parameters
    ----------
    store : Path
        The store, never written to.
    folder : Path
        A folder of Greenroom's own, made if it is not there.
    """

    def __init__(self, store: Path, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self.refresh()

    @property
    def uri(self) -> str:
        """The tracking URI to give to MLflow."""
        return self._folder.as_uri()

    def refresh(self) -> None:
        """Link what is new in the store and unlink what is gone."""
        try:
            wanted = {entry.name for entry in os.scandir(self._store) if entry.is_dir()}
        except OSError as error:
            raise SourceError(
                f"The folder {self._store} cannot be read: {error.strerror}. Check the tracking URI."
            ) from error
        self._folder.mkdir(parents=True, exist_ok=True)
        for link in self._folder.iterdir():
            if link.is_symlink() and link.name not in wanted:
                link.unlink()
        for name in wanted:
            link = self._folder / name
            if link.is_dir() and not link.is_symlink() and not any(link.iterdir()):
                link.rmdir()
            if not link.is_symlink():
                link.symlink_to(self._store / name, target_is_directory=True)
        if _TRASH not in wanted:
            (self._folder / _TRASH).mkdir(exist_ok=True)

    def fingerprint(self) -> str:
        """Return a value that changes with any file below the store, artifacts left out."""
        self.refresh()
        newest, files = 0, 0
        stack = [(str(self._store), 0)]
        while stack:
            place, depth = stack.pop()
            try:
                entries = list(os.scandir(place))
            except OSError:
                continue
            for entry in entries:
                if entry.name == "artifacts" and depth >= 2:
                    continue
                try:
                    state = entry.stat()
                except OSError:
                    continue
                files += 1
                newest = max(newest, state.st_mtime_ns)
                if entry.is_dir():
                    stack.append((entry.path, depth + 1))
        return f"{files}:{newest}"

    def runs_changed_since(self, seconds: float) -> dict[str, bool]:
        """Return every run id, and whether a file of the run (artifacts left out) is newer than that time."""
        found: dict[str, bool] = {}
        for parent in (self._store, self._store / _TRASH):
            for experiment in parent.iterdir() if parent.is_dir() else ():
                for run_id in self.run_ids(experiment.name) if experiment.is_dir() else ():
                    found[run_id] = _newest(experiment / run_id) > seconds
        return found

    def run_ids(self, experiment_id: str) -> list[str]:
        """Return the names of the run folders of an experiment, readable or not."""
        for place in (self._store / experiment_id, self._store / _TRASH / experiment_id):
            if place.is_dir():
                return sorted(
                    one.name
                    for one in place.iterdir()
                    if one.is_dir() and one.name not in _RESERVED and (one / "meta.yaml").exists()
                )
        return []


def _newest(run: Path) -> float:
    """Return the latest modification among a run's own files: a log line touches a file, a new key a folder."""
    newest = max(run.stat().st_mtime, (run / "meta.yaml").stat().st_mtime)
    for name in ("metrics", "params", "tags", "inputs"):
        for file in (run / name).rglob("*"):
            newest = max(newest, file.stat().st_mtime)
    return newest
