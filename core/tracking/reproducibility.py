"""From which data, statistics, code and packages a run was made (contract CTR-HASH-001)."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from core.errors import BadInputError
from core.tracking.configuration import script_folder

_SHORT_HASH, _SHORT_COMMIT = 16, 12
_SECONDS = 10

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is logged of a run's making.

    Attributes
    ----------
    environment : str
        JSON of `environment_info`.
    """

    params: dict[str, str]
    tags: dict[str, str]
    environment: str


def compute_file_hash(path: PathLike) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    Raises
    ------
    BadInputError
        If the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInputError(f"{path} cannot be hashed: {error.strerror or error}.") from error


def compute_json_hash(path: PathLike) -> str:
    """Return the SHA-256 of a JSON file's content: order of keys, blanks and line ends do not count.

    The content is written with sorted keys, separators ``,`` and ``:``, and as ASCII, then hashed.

    Raises
    ------
    BadInputError
        If the file cannot be read or is no JSON.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInputError(f"{path} cannot be hashed: {error.strerror or error}.") from error
    except ValueError as error:
        raise BadInputError(f"{path} is no valid JSON: {error}.") from error
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def git_commit(folder: PathLike | None = None) -> tuple[str | None, bool]:
    """Return the commit that is checked out in a folder, and whether tracked or new files differ from it.

    (None, False) where there is no git, no repository or no commit.
    """
    place = Path(folder) if folder is not None else Path.cwd()
    sha = _run(["git", "rev-parse", "HEAD"], place)
    if not sha:
        return None, False
    status = _run(["git", "status", "--porcelain"], place)
    # A state that cannot be read is not known to be clean.
    return sha, status is None or status != ""


def dvc_version() -> str | None:
    """Return the version of DVC, or None where it is not installed."""
    for distribution in distributions(name="dvc"):
        return str(distribution.version)
    said = _run(["dvc", "--version"], Path.cwd())
    return said.splitlines()[0].strip() if said else None


def environment_info() -> dict[str, Any]:
    """Return Python, platform and every installed package with its version."""
    packages = {one.metadata["Name"]: one.version for one in distributions() if one.metadata["Name"]}
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "packages": dict(sorted(packages.items(), key=lambda one: one[0].lower())),
    }


def gather(
    dataset_path: PathLike | None = None,
    norm_stats_path: PathLike | None = None,
    repo: PathLike | None = None,
) -> Evidence:
    """Compute everything that `MLflowTracker.log_reproducibility` logs."""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    for name, path, compute in (
        ("dataset_hash", dataset_path, compute_file_hash),
        ("norm_stats_hash", norm_stats_path, compute_json_hash),
    ):
        if path is not None:
            full = compute(path)
            params[name], tags[f"{name}_full"] = full[:_SHORT_HASH], full
    sha, dirty = _commit(repo)
    if sha is not None:
        params["git_commit_sha"], tags["git_commit_sha"] = sha[:_SHORT_COMMIT], sha
        tags["git_dirty"] = str(dirty).lower()
        # The commit that MLflow saw is that of the script, which need not lie in the repository named here.
        tags["mlflow.source.git.commit"] = sha
    dvc = dvc_version()
    if dvc is not None:
        tags["dvc_version"] = dvc
    tags["reproducibility_verified"] = str(sha is not None and not dirty).lower()
    return Evidence(params, tags, json.dumps(environment_info(), indent=1))


def _commit(repo: PathLike | None) -> tuple[str | None, bool]:
    if repo is not None:
        return git_commit(repo)
    sha, dirty = git_commit(script_folder())
    return (sha, dirty) if sha else git_commit(Path.cwd())


def _run(command: list[str], folder: Path) -> str | None:
    """Return what a program says, or None if it is missing, slow or fails."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
