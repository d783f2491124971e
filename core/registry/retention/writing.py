"""What retention asks MLflow to do: mark, unmark and delete versions, delete and restore runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from core.errors import NotFoundError, SourceError
from core.registry.reading.client import ClientRegistry
from core.registry.retention.marks import DELETED_TAG
from core.runs.sources.uris import StoreAddress

_NOT_THERE: Final = ("RESOURCE_DOES_NOT_EXIST",)
_NOT_KNOWN: Final = ("ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED", "FEATURE_DISABLED", *_NOT_THERE)


@dataclass(frozen=True, slots=True)
class RunState:
    """What MLflow says of a run right now."""

    deleted: bool
    tags: Mapping[str, str]


class Remover(Protocol):
    """MLflow, as retention writes to it.

    Every method raises `SourceError` where it does not answer and `NotFoundError` where there is no such thing.
    """

    def mark(self, model: str, version: int, at: str) -> None:
        """Say on a version that it counts as removed, since when."""
        ...

    def unmark(self, model: str, version: int) -> None:
        """Take that back."""
        ...

    def delete_version(self, model: str, version: int) -> None:
        """Delete a version for good: MLflow brings none back."""
        ...

    def forget_model(self, model_id: str) -> None:
        """Delete a logged model whose files are gone; nothing where MLflow knows of none."""
        ...

    def run(self, run_id: str) -> RunState:
        """Return what MLflow says of a run."""
        ...

    def delete_run(self, run_id: str) -> None:
        """Put a run into MLflow's own trash."""
        ...

    def restore_run(self, run_id: str) -> None:
        """Take it out again."""
        ...


class MlflowRemover:
    """MLflow through `MlflowClient`; a `Remover`.

    Parameters
    ----------
    address : StoreAddress
        The tracking store; a database is brought to the installed MLflow's schema when it is opened, so the caller
        asks `RegistrySource.schema_problem` first.
    """

    def __init__(self, address: StoreAddress) -> None:
        self._client = ClientRegistry(address)

    def mark(self, model: str, version: int, at: str) -> None:
        self._ask("set_model_version_tag", model, str(version), DELETED_TAG, at)

    def unmark(self, model: str, version: int) -> None:
        self._ask("delete_model_version_tag", model, str(version), DELETED_TAG)

    def delete_version(self, model: str, version: int) -> None:
        self._ask("delete_model_version", model, str(version))

    def forget_model(self, model_id: str) -> None:
        try:
            self._ask("delete_logged_model", model_id)
        except NotFoundError:
            return
        except SourceError as error:
            if _code(error) not in _NOT_KNOWN:
                raise

    def run(self, run_id: str) -> RunState:
        found = self._ask("get_run", run_id)
        return RunState(found.info.lifecycle_stage == "deleted", dict(found.data.tags))

    def delete_run(self, run_id: str) -> None:
        self._ask("delete_run", run_id)

    def restore_run(self, run_id: str) -> None:
        self._ask("restore_run", run_id)

    def close(self) -> None:
        """Give back connections."""
        self._client.close()

    def _ask(self, question: str, *arguments: Any) -> Any:
        ask: Callable[..., Any] = self._client.ask
        try:
            return ask(question, *arguments)
        except SourceError as error:
            if _code(error) in _NOT_THERE:
                raise NotFoundError(str(error)) from error.__cause__
            raise


def _code(error: SourceError) -> str | None:
    return getattr(error.__cause__, "error_code", None)
