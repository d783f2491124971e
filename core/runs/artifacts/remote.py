"""Artifacts behind MLflow: a server, S3, Google, Azure and the others, through MLflow's own repositories."""

from __future__ import annotations

import posixpath
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlsplit

from core.errors import ArtifactError, NotFoundError
from core.runs.artifacts.entries import (
    MAX_ENTRIES,
    ArtifactEntry,
    ArtifactListing,
    listing,
    path_parts,
    path_refusal,
    refuse_above,
)
from core.runs.artifacts.uris import SERVED, redacted

# The roots of what the storage libraries raise; only those that are loaded can have raised anything.
_LIBRARY_ERRORS = (
    ("mlflow.exceptions", "MlflowException"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("boto3.exceptions", "Boto3Error"),
    ("google.api_core.exceptions", "GoogleAPIError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
    ("paramiko.ssh_exception", "SSHException"),
    ("pyarrow", "ArrowException"),
    ("requests.exceptions", "RequestException"),
    ("urllib3.exceptions", "HTTPError"),
    ("ftplib", "Error"),
)


class FileInfo(Protocol):
    """What MLflow tells about an artifact."""

    @property
    def path(self) -> str: ...
    @property
    def is_dir(self) -> bool: ...
    @property
    def file_size(self) -> int | None: ...


class Repository(Protocol):
    """The reading half of MLflow's ArtifactRepository."""

    def list_artifacts(self, path: str | None = None) -> Sequence[FileInfo]: ...
    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str: ...


class RemoteArtifacts:
    """An `ArtifactStore` over an artifact URI.

    Parameters
    ----------
    uri : str
        Whoever makes this object vouches for the host it names; see `remote_refusal`.
    tracking_uri : str or None
        Needed for `mlflow-artifacts:` URIs.
    repository : Repository, optional
        Asked instead of the one MLflow registers for the URI's scheme.
    """

    def __init__(self, uri: str, tracking_uri: str | None, repository: Repository | None = None) -> None:
        self._uri = uri
        self._tracking_uri = tracking_uri
        self._given = repository

    @cached_property
    def _repository(self) -> Repository:
        if self._given is not None:
            return self._given
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with self._translated("read"):
            repository: Repository = get_artifact_repository(self._uri, tracking_uri=self._tracking_uri)
        return repository

    def list(self, path: str = "", *, limit: int = MAX_ENTRIES) -> ArtifactListing:
        """List a folder; see `ArtifactStore`."""
        clean = "/".join(path_parts(path))
        entries = self._list(clean)
        # Object stores have no folders: a name with nothing below it is a file, or is not there.
        if clean and not entries and not self.stat(clean).is_dir:
            raise ArtifactError(f"The artifact {path} is a file, and was asked for as a folder.")
        return listing(entries, limit)

    def stat(self, path: str) -> ArtifactEntry:
        """Look at one file or folder; see `ArtifactStore`."""
        clean = "/".join(path_parts(path))
        if not clean:
            return ArtifactEntry("", True)
        for entry in self._list(posixpath.dirname(clean)):
            if entry.path == clean:
                return entry
        raise NotFoundError(f"There is no artifact {clean} in {redacted(self._uri)}.")

    @contextmanager
    def open_stream(self, path: str, *, max_bytes: int | None = None) -> Iterator[BinaryIO]:
        """Open a file; see `ArtifactStore`. It is downloaded to a private folder that lives as long."""
        entry = self.stat(path)
        if entry.is_dir:
            raise ArtifactError(f"The artifact {path or 'root'} is a folder; open one of its files.")
        if entry.note:
            raise ArtifactError(f"The artifact {path} is refused: {entry.note}.")
        size = self._size(entry)
        if size is None and max_bytes is not None:
            raise ArtifactError(
                f"The size of the artifact {path} is not told by {redacted(self._uri)}, so it is not read at "
                "once. Download it instead."
            )
        refuse_above(path, size or 0, max_bytes)
        repository = self._repository
        with tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
            with self._translated(f"download {path} of"):
                target = Path(repository.download_artifacts(entry.path, folder))
                if target.is_symlink() or not target.is_file():
                    raise ArtifactError(f"The artifact {path} did not arrive as a file. Try again.")
                file = target.open("rb")
            with file:
                refuse_above(path, target.stat().st_size, max_bytes)
                yield file

    def _list(self, clean: str) -> tuple[ArtifactEntry, ...]:
        repository = self._repository
        with self._translated("list"):
            found = repository.list_artifacts(clean or None)
        return tuple(_entry(info, clean) for info in found if info.path.strip("/") not in ("", ".", clean))

    def _size(self, entry: ArtifactEntry) -> int | None:
        # A server leaves the size of an empty file out, as protobuf does with every zero.
        served = urlsplit(self._uri).scheme.lower() in (SERVED, "http", "https")
        return 0 if entry.size is None and served else entry.size

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        try:
            yield
        # What these say holds URLs with signatures and passwords, so their words are not passed on.
        except _errors() as error:
            raise ArtifactError(
                f"Greenroom could not {action} the artifacts at {redacted(self._uri)}: {_reason(error)}"
            ) from error


def _entry(info: FileInfo, folder: str) -> ArtifactEntry:
    path = info.path.strip("/")
    refused = path_refusal(info.path.rstrip("/"))
    if not refused and folder and not path.startswith(f"{folder}/"):
        refused = "it is not of this folder"
    if refused:
        return ArtifactEntry(
            path.encode("utf-8", "replace").decode(), False, note=f"its name is refused, {refused}"
        )
    size = None if info.is_dir or info.file_size is None else int(info.file_size)
    return ArtifactEntry(path, bool(info.is_dir), size)


def _errors() -> tuple[type[Exception], ...]:
    loaded = ((sys.modules.get(module), name) for module, name in _LIBRARY_ERRORS)
    raised = tuple(getattr(module, name) for module, name in loaded if hasattr(module, name))
    # The last four: what the repositories themselves raise on an answer of another shape than expected.
    return (OSError, ImportError, *raised, ValueError, KeyError, TypeError, AttributeError)


def _reason(error: BaseException) -> str:
    for each in _chain(error):
        if isinstance(each, ImportError):
            return f"the Python package {each.name or 'for this kind of store'} is not installed. Install it."
        code = _code(each)
        if code in ("401", "403", "AccessDenied", "PERMISSION_DENIED", "UNAUTHENTICATED"):
            return f"access was refused ({code}). Check the credentials that MLflow uses for it."
        if code in ("404", "NoSuchKey", "NoSuchBucket", "RESOURCE_DOES_NOT_EXIST"):
            return f"it is not there ({code}). Was it deleted or moved?"
        if code == "INVALID_PARAMETER_VALUE":
            return f"MLflow refused a name in it ({code}); it takes none with a #. Rename the artifact."
        if code and code != "INTERNAL_ERROR":
            return f"it answered with the error {code}. Try again, then ask who runs it."
        name = type(each).__name__
        if isinstance(each, (ConnectionError, TimeoutError)) or "Connect" in name or "Timeout" in name:
            return "it cannot be reached. Check that it runs and that this machine may reach it."
        if "Credentials" in name:
            return "no credentials for it were found. Set those that MLflow uses for it."
    return f"it failed ({type(error).__name__}). The log has the details."


def _code(error: BaseException) -> str:
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        return str(response.get("Error", {}).get("Code", ""))
    status = getattr(response, "status_code", None) or getattr(error, "error_code", None)
    return str(status) if status else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    each: BaseException | None = error
    for _ in range(10):
        if each is None:
            return
        yield each
        each = each.__cause__ or each.__context__
