"""Registries for tests, written by MLflow itself, and what MLflow says of them as plain values."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from core.registry.types import STAGE_TAG, STAGES_TAG, Model

TWO_CHAMPIONS = "ppo usdcop"
IN_TAGS = "no stages here"
AWKWARD = "Straße 模型 it's <b>"
BOTH_QUOTES = 'it\'s "quoted"'
EMPTY = "Zebra"
PROMPT = "a-prompt"


def version(client: MlflowClient, model: str, number: int, **values: Any) -> int:
    """Register a version whose files are nowhere; `values` are MLflow's own arguments."""
    found = client.create_model_version(model, f"s3://bucket/{number}/model", **values)
    return int(found.version)


def move(client: MlflowClient, model: str, number: int, stage: str) -> None:
    """Move a version to a stage, others staying where they are; MLflow calls its stages deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(model, str(number), stage)


def fill(client: MlflowClient) -> None:
    """Register models with everything that makes reading a registry hard."""
    client.create_registered_model(
        TWO_CHAMPIONS,
        {"owner team": "fx desk", "empty": "", "a/b.c": "two\nlines\r\n"},
        "Trades USD/COP.\n\nDaily.",
    )
    for number in range(1, 6):
        version(client, TWO_CHAMPIONS, number, run_id=f"{number}" * 32, description=f"try {number}")
    for number, stage in ((1, "Archived"), (2, "Production"), (3, "Production"), (4, "Staging")):
        move(client, TWO_CHAMPIONS, number, stage)
    client.set_model_version_tag(TWO_CHAMPIONS, "3", "with blank", " padded ")
    client.set_model_version_tag(TWO_CHAMPIONS, "3", "学习率", "0.1")
    client.set_registered_model_alias(TWO_CHAMPIONS, "zeta", "3")
    client.set_registered_model_alias(TWO_CHAMPIONS, "Best", "3")
    client.set_registered_model_alias(TWO_CHAMPIONS, "challenger", "5")

    client.create_registered_model(AWKWARD)
    for number in range(1, 13):
        version(client, AWKWARD, number, tags={"n": str(number)})
    client.set_registered_model_alias(AWKWARD, "gone", "12")
    client.set_model_version_tag(AWKWARD, "12", "kept", "by MLflow")
    client.delete_model_version(AWKWARD, "12")
    client.delete_model_version(AWKWARD, "1")

    client.create_registered_model(BOTH_QUOTES)
    version(client, BOTH_QUOTES, 1)
    client.create_registered_model(EMPTY)

    client.create_registered_model("old name", {"team": "fx"})
    version(client, "old name", 1)  # with tags, MLflow's file store breaks off in the middle of renaming
    client.set_registered_model_alias("old name", "first", "1")
    client.rename_registered_model("old name", "new name")

    client.create_registered_model("deleted", {"a": "b"})
    version(client, "deleted", 1)
    client.set_registered_model_alias("deleted", "first", "1")
    client.delete_registered_model("deleted")

    client.create_registered_model(IN_TAGS, {STAGES_TAG: "tags"})
    for number, tag in enumerate(("Production", "Production", "Staging", "Nonsense", ""), 1):
        version(client, IN_TAGS, number, tags={STAGE_TAG: tag} if tag else None)
    client.set_registered_model_alias(IN_TAGS, "production", "2")

    client.register_prompt(PROMPT, "Forecast {{store}}")


def mlflow_says(client: MlflowClient) -> dict[str, dict[str, Any]]:
    """Return all models with all versions as `MlflowClient` gives them, each asked for by itself."""
    found = {}
    for one in client.search_registered_models(max_results=1000):
        versions = client.search_model_versions(f"name = {_quoted(one.name)}") if _quoted(one.name) else None
        if versions is None:
            versions = [one for one in client.search_model_versions() if one.name == BOTH_QUOTES]
        model = client.get_registered_model(one.name)
        found[one.name] = {
            "created": model.creation_timestamp,
            "updated": model.last_updated_timestamp,
            "description": model.description or "",
            "tags": dict(model.tags),
            "aliases": {alias: int(number) for alias, number in model.aliases.items()},
            "versions": {
                int(each.version): _version(client.get_model_version(one.name, str(each.version)))
                for each in versions
            },
        }
    return found


def _quoted(name: str) -> str | None:
    return f"'{name}'" if "'" not in name else f'"{name}"' if '"' not in name else None


def _version(one: ModelVersion) -> dict[str, Any]:
    return {
        "stage": one.current_stage,
        "source": one.source,
        "run_id": one.run_id or None,
        "created": one.creation_timestamp,
        "updated": one.last_updated_timestamp,
        "user": one.user_id or None,
        "description": one.description or "",
        "status": one.status,
        "aliases": sorted(one.aliases),
        "tags": dict(one.tags),
    }


def plain(models: Iterable[Model]) -> dict[str, dict[str, Any]]:
    """Return models read by Greenroom in the shape of `mlflow_says`."""
    return {
        model.name: {
            "created": milliseconds(model.created),
            "updated": milliseconds(model.updated),
            "description": model.description,
            "tags": dict(model.tags),
            "aliases": dict(model.aliases),
            "versions": {
                one.version: {
                    "stage": str(one.stage),
                    "source": one.source,
                    "run_id": one.run_id,
                    "created": milliseconds(one.created),
                    "updated": milliseconds(one.updated),
                    "user": one.user,
                    "description": one.description,
                    "status": one.status,
                    "aliases": list(one.aliases),
                    "tags": dict(one.tags),
                }
                for one in model.versions
            },
        }
        for model in models
    }


def milliseconds(moment: datetime) -> int:
    assert moment.tzinfo is UTC
    return round(moment.timestamp() * 1000)
