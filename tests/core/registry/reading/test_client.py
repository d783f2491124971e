"""Servers of other versions: what they leave out, refuse, and answer in their own way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from mlflow.entities.model_registry import ModelVersion, RegisteredModel, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.prompt.registry_utils import add_prompt_filter_string
from mlflow.protos import model_registry_pb2 as messages
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, RESOURCE_DOES_NOT_EXIST
from mlflow.store.entities.paged_list import PagedList

from core.errors import NotFoundError, SourceError
from core.registry.reading.assemble import PROMPT_TAG
from core.registry.reading.client import _ANY_NAME, ClientRegistry
from core.registry.types import Stage
from core.runs.sources import client as runs_client
from core.runs.sources.uris import parse

BEGAN = 1_700_000_000_000


class Server:
    """Answers as an MLflow server does that knows names, numbers and one time only."""

    failure: Exception | None = None

    def __init__(self) -> None:
        model = messages.RegisteredModel(name="ppo", creation_timestamp=BEGAN)
        model.aliases.add(alias="best", version="1")
        self.model = RegisteredModel.from_proto(model)
        bare = messages.ModelVersion(name="ppo", version="10", creation_timestamp=BEGAN)
        staged = messages.ModelVersion(
            name="ppo", version="9", current_stage="Staging", creation_timestamp=BEGAN
        )
        other = messages.ModelVersion(name="PPO", version="1", creation_timestamp=BEGAN)
        self.versions = [ModelVersion.from_proto(one) for one in (bare, staged, other)]

    def search_registered_models(self, **named: Any) -> PagedList[RegisteredModel]:
        return PagedList([self.model], None)

    def search_model_versions(self, **named: Any) -> PagedList[ModelVersion]:
        return PagedList(self.versions, "")

    def get_registered_model(self, name: str) -> RegisteredModel:
        if self.failure:
            raise self.failure
        return self.model


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(runs_client, "_make_client", lambda uri: found)
    return found


@pytest.fixture
def source(server: Server) -> ClientRegistry:
    return ClientRegistry(parse("http://me:secret-word@tracking:5000"))


@pytest.mark.parametrize("read", [lambda source: source.models()[0], lambda source: source.model("ppo")])
def test_fields_that_a_server_leaves_out(
    read: Callable[[ClientRegistry], Any], source: ClientRegistry
) -> None:
    model = read(source)
    assert [one.version for one in model.versions] == [9, 10]
    bare = model.version(10)
    assert bare.stage is Stage.NONE
    assert (bare.source, bare.run_id, bare.user, bare.description) == ("", None, None, "")
    assert bare.updated == bare.created == model.updated
    assert model.aliases == {"best": 1}
    assert model.version(9).stage is Stage.STAGING


def test_a_model_that_the_server_does_not_have(source: ClientRegistry, server: Server) -> None:
    server.failure = MlflowException("Registered Model with name=ppp not found", RESOURCE_DOES_NOT_EXIST)
    with pytest.raises(NotFoundError, match="Close to it: ppo"):
        source.model("ppp")


def test_a_server_that_fails(source: ClientRegistry, server: Server) -> None:
    uri = "postgresql://mlflow:another-secret@db/mlflow"
    server.failure = MlflowException(f"could not reach {uri}\nTraceback", INTERNAL_ERROR)
    with pytest.raises(SourceError, match="MLflow could not read") as caught:
        source.model("ppo")
    assert not isinstance(caught.value, NotFoundError)
    assert "secret" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_models_of_a_server_without_prompts_are_asked_for() -> None:
    # MLflow's client adds a condition that no model of such a server meets, unless a filter speaks of prompts.
    assert "!= 'true'" in (add_prompt_filter_string(None) or "")
    assert add_prompt_filter_string(_ANY_NAME) == _ANY_NAME


def test_a_prompt_that_a_server_lists_is_no_model(source: ClientRegistry, server: Server) -> None:
    server.model._add_tag(RegisteredModelTag(PROMPT_TAG, "true"))
    assert source.models() == ()
    with pytest.raises(NotFoundError):
        source.model("ppo")
