"""Read a registry through `MlflowClient`: MLflow servers, and databases that only MLflow can open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from core.errors import SourceError
from core.registry.reading.assemble import PROMPT_TAG, ModelRow, VersionRow, assemble, not_found
from core.registry.types import Model
from core.runs.sources.client import ClientSource
from core.runs.sources.uris import StoreAddress

# The most that every server accepts; some accept more.
_MODELS_A_PAGE = 1_000
_VERSIONS_A_PAGE = 10_000
# Unless a filter speaks of prompts, MLflow's client asks for models whose tag for prompts is not "true". A
# server from before there were prompts (2.9 was tried) has no model with that tag, and answers with none.
_ANY_NAME = f"name != '{PROMPT_TAG}'"


class ClientRegistry:
    """A registry over `MlflowClient`.

    Parameters
    ----------
    fallback_reason : str, optional
        Why this source stands in for the faster one, in words for people.
    """

    def __init__(self, address: StoreAddress, fallback_reason: str | None = None) -> None:
        self._fallback_reason = fallback_reason
        # Its client, its patience with servers and its sentences for their failures.
        self._source = ClientSource(address)

    @property
    def info(self) -> str:
        return "MlflowClient" + (f", because {self._fallback_reason}" if self._fallback_reason else "")

    def fingerprint(self) -> str | None:
        return None

    def close(self) -> None:
        self._source.close()

    def schema_problem(self) -> str | None:
        return None

    def models(self) -> tuple[Model, ...]:
        versions: dict[str, list[Any]] = defaultdict(list)
        for one in self._versions(None):
            versions[one.name].append(one)
        return tuple(
            _model(one, versions.get(one.name, ()))
            for one in sorted(self._models(), key=lambda one: one.name)
        )

    def model(self, name: str) -> Model:
        from mlflow.exceptions import MlflowException

        try:
            found = self.ask("get_registered_model", name)
        except SourceError as error:
            reason = error.__cause__
            # A name that cannot be a model's is refused as an invalid value.
            refused = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
            if not isinstance(reason, MlflowException) or reason.error_code not in refused:
                raise
            raise not_found(name, (one.name for one in self._models())) from error
        if found._is_prompt():
            raise not_found(name, (one.name for one in self._models()))
        return _model(found, [one for one in self._versions(_name_is(name)) if one.name == name])

    def _models(self) -> Iterator[Any]:
        pages = self._pages(
            "search_registered_models", _MODELS_A_PAGE, filter_string=_ANY_NAME, order_by=["name ASC"]
        )
        return (one for one in pages if not one._is_prompt())

    def _versions(self, condition: str | None) -> Iterator[Any]:
        # In an order that no write changes: by MLflow's own, an edit moves a version to another page.
        order = ["name ASC", "version_number ASC"]
        return self._pages("search_model_versions", _VERSIONS_A_PAGE, filter_string=condition, order_by=order)

    def _pages(self, question: str, size: int, **named: Any) -> Iterator[Any]:
        token = None
        while True:
            page = self.ask(question, max_results=size, page_token=token, **named)
            yield from page
            token = page.token
            if not token:
                return

    def ask(self, question: str, *arguments: Any, **named: Any) -> Any:
        """Ask a method of MLflow's client, reading or writing; failures become `SourceError`s."""
        asked: Callable[..., Any] = getattr(self._source.client, question)
        return self._source.ask(asked, *arguments, **named)


def _name_is(name: str) -> str | None:
    """Return MLflow's filter for a name; None for one that its grammar cannot write, with both quotes."""
    if "'" not in name:
        return f"name = '{name}'"
    return f'name = "{name}"' if '"' not in name else None


def _model(found: Any, versions: Sequence[Any]) -> Model:
    """Put MLflow's entities together. Servers of other versions leave fields out."""
    rows = [
        VersionRow(
            model=one.name,
            version=int(one.version),
            created=one.creation_timestamp or 0,
            updated=one.last_updated_timestamp or 0,
            description=one.description or "",
            user=one.user_id or "",
            stage=one.current_stage or "",
            source=one.source or "",
            storage="",  # to be had only by a request for each version
            run_id=one.run_id or "",
            status=one.status or "",
        )
        for one in versions
    ]
    return assemble(
        ModelRow(
            found.name,
            found.creation_timestamp or 0,
            found.last_updated_timestamp or 0,
            found.description or "",
        ),
        _texts(found.tags),
        # A search for versions returns them without aliases; the model has them all.
        {alias: int(number) for alias, number in found.aliases.items()},
        rows,
        {int(one.version): _texts(one.tags) for one in versions},
    )


def _texts(tags: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value or "" for key, value in tags.items()}
