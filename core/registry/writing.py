"""Write to MLflow's registry: the only place that does. What it writes, plain MLflow reads."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final

from core.errors import NotFoundError, RefusedError, SourceError
from core.registry.reading.client import ClientRegistry
from core.registry.reading.stages import STAGES_IN_TAGS
from core.registry.types import PRODUCTION_ALIAS, STAGE_TAG, STAGES_TAG, Model, Stage, Version
from core.runs.sources.uris import StoreAddress

_NO_STAGES: Final = ("FEATURE_DISABLED", "NOT_IMPLEMENTED", "ENDPOINT_NOT_FOUND")


class _StagesWanted:
    """Keeps back MLflow's warning that stages are deprecated: they are used here on purpose."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._quiet: Any = None

    def __enter__(self) -> None:
        # What warnings keep is the whole process's: one thread at a time.
        self._guard.acquire()
        self._quiet = warnings.catch_warnings()
        self._quiet.__enter__()
        warnings.filterwarnings("ignore", ".*transition_model_version_stage.*", FutureWarning)

    def __exit__(self, *error: object) -> None:
        self._quiet.__exit__(*error)
        self._guard.release()


_stages_wanted = _StagesWanted()


class MlflowRegistry:
    """MLflow's registry through `MlflowClient`; a `core.registry.promotion.Registry`.

    Parameters
    ----------
    address : StoreAddress
        The tracking store; a database is brought to the installed MLflow's schema when it is opened, so the caller
        asks `RegistrySource.schema_problem` first.
    """

    def __init__(self, address: StoreAddress) -> None:
        self._reading = ClientRegistry(address)

    def model(self, name: str) -> Model:
        return self._reading.model(name)

    def move(self, model: Model, version: int, stage: Stage, *, archive_others: bool) -> None:
        if model.has_stages:
            try:
                with _stages_wanted:
                    self._ask(
                        "transition_model_version_stage",
                        model.name,
                        str(version),
                        str(stage),
                        archive_existing_versions=archive_others,
                    )
                return
            except SourceError as error:
                if not _has_no_stages(error):
                    raise
            self._ask("set_registered_model_tag", model.name, STAGES_TAG, STAGES_IN_TAGS)
        self._move_by_tags(model, version, stage)

    def _move_by_tags(self, model: Model, version: int, stage: Stage) -> None:
        """Move a version where the server has no stages: one write decides, all others only prepare it or follow."""
        if stage is Stage.PRODUCTION:
            for one in model.in_stage(Stage.PRODUCTION):
                # Without the alias this reads as Archived: with the alias it goes there.
                self.tag(model.name, one.version, {STAGE_TAG: str(Stage.PRODUCTION)})
            self.point(model.name, PRODUCTION_ALIAS, version)
            return
        self.tag(model.name, version, {STAGE_TAG: str(stage)})
        if model.aliases.get(PRODUCTION_ALIAS) == version:
            self.point(model.name, PRODUCTION_ALIAS, None)

    def point(self, model: str, alias: str, version: int | None) -> None:
        if version is None:
            self._ask("delete_registered_model_alias", model, alias)
        else:
            self._ask("set_registered_model_alias", model, alias, str(version))

    def tag(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._ask("set_model_version_tag", model, str(version), key, value)

    def register(
        self, name: str, source: str, run_id: str | None, tags: Mapping[str, str], model_id: str | None = None
    ) -> Version:
        """Make a new version, and the model where there is none of this name.

        Raises
        ------
        RefusedError
            If MLflow refuses the name or the source.
        SourceError
            If MLflow does not answer.
        """
        try:
            self._make_model(name)
            made = self._ask("create_model_version", name, source, run_id, dict(tags), model_id=model_id)
        except SourceError as error:
            if _code(error) in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST"):
                raise RefusedError(f"MLflow does not register {source} as {name}: {error}") from error
            raise
        return self.model(name).version(int(made.version))

    def _make_model(self, name: str) -> None:
        try:
            self._ask("create_registered_model", name)
        except SourceError as error:
            if _code(error) != "RESOURCE_ALREADY_EXISTS":
                raise

    def close(self) -> None:
        """Give back connections."""
        self._reading.close()

    def _ask(self, question: str, *arguments: Any, **named: Any) -> Any:
        try:
            return self._reading.ask(question, *arguments, **named)
        except SourceError as error:
            if _code(error) == "RESOURCE_DOES_NOT_EXIST":
                raise NotFoundError(str(error)) from error.__cause__
            raise


def _code(error: SourceError) -> str | None:
    return getattr(error.__cause__, "error_code", None)


def _has_no_stages(error: SourceError) -> bool:
    cause = error.__cause__
    text = str(cause).lower()
    return (
        _code(error) in _NO_STAGES
        or isinstance(cause, NotImplementedError)
        or "unsupported" in text
        or "failed with error code 404 " in text
        or "failed with error code 405 " in text
    )
