"""Where the files of a model version are among the artifacts of its run, and how they are fetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from core.errors import ArtifactError, NotFoundError
from core.runs.artifacts.access import RunArtifacts, model_folders
from core.runs.artifacts.entries import ArtifactEntry, path_parts
from core.runs.artifacts.uris import redacted
from core.runs.types import LoggedModel, Run

_MAX_FILES = 2_000


def path_in_run(source: str, run: Run, models: Sequence[LoggedModel]) -> str:
    """Return the path of a version's files among the artifacts of the run that it was registered from.

    Parameters
    ----------
    source : str
        ``runs:/RUN/PATH``, ``models:/MODEL_ID``, or a URI or path below the run's artifacts.
    models : sequence of LoggedModel
        What the run logged with MLflow 3, newest first.

    Raises
    ------
    ArtifactError
        If the source is no place among the run's artifacts.
    """
    for folder, model in model_folders(models).items():
        if source.rstrip("/") == model.artifact_location.rstrip("/"):
            return folder
    if source.startswith("models:/"):
        wanted = source.removeprefix("models:/").strip("/")
        for folder, model in model_folders(models).items():
            if model.model_id == wanted:
                return folder
        raise ArtifactError(
            f"The run {run.run_id[:8]} logged no model {wanted}, so its files cannot be found."
        )
    if source.startswith("runs:/"):
        run_id, _, path = source.removeprefix("runs:/").strip("/").partition("/")
        if run_id == run.run_id and path:
            return path
    else:
        for root in (run.artifact_uri.rstrip("/"), f"/{run.run_id}/artifacts", f"\\{run.run_id}\\artifacts"):
            _, found, path = source.partition(root)
            if root and found and path.strip("/\\"):
                return unquote(path).replace("\\", "/").strip("/")
    raise ArtifactError(
        f"The version was registered from {redacted(source)}, which is no place among the artifacts of its run "
        f"{run.run_id[:8]}; files from elsewhere are not loaded."
    )


def download(artifacts: RunArtifacts, path: str, target: Path, max_bytes: int) -> Path:
    """Fetch a folder of artifacts, or one file, into a folder of this machine.

    Returns
    -------
    Path
        The folder with the files.

    Raises
    ------
    NotFoundError, ArtifactError
        If they are not there, cannot be reached, or are larger than `max_bytes` together.
    """
    entry = artifacts.stat(path)
    if entry.is_dir:
        entries = list(_files(artifacts, path))
        start = len(path_parts(path))
    else:
        entries, start = [entry], len(path_parts(path)) - 1
    if not entries:
        raise NotFoundError(f"The folder {path} is empty: the model's files are gone.")
    written = 0
    for each in entries:
        place = target.joinpath(*path_parts(each.path)[start:])
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            for piece in artifacts.chunks(each.path):
                written += len(piece)
                if written > max_bytes:
                    raise ArtifactError(
                        f"The model's files are larger than {max_bytes / 2**20:,.0f} MiB, so they are not loaded. "
                        "Raise max_model_mb if they should be."
                    )
                file.write(piece)
    return target


def _files(artifacts: RunArtifacts, path: str) -> Iterator[ArtifactEntry]:
    folders, seen = [path], 0
    while folders:
        for entry in artifacts.list(folders.pop()):
            if entry.is_dir:
                folders.append(entry.path)
                continue
            seen += 1
            if seen > _MAX_FILES:
                raise ArtifactError(
                    f"The folder {path} has more than {_MAX_FILES:,} files: that is no model."
                )
            yield entry
