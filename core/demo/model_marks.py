"""Tells the demo's registered models from those of others, by their tags."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException

from core.errors import BadInputError


@dataclass(frozen=True, slots=True)
class Marks:
    """Tags of a model that is being built, and of one that is complete, with the value of both."""

    building: str
    complete: str
    value: str


def find_ours(client: MlflowClient, name: str, marks: Marks) -> RegisteredModel | None:
    """Return a registered model of the demo; None where there is none of its name.

    Raises
    ------
    BadInputError
        If there is one that the demo did not make.
    """
    try:
        found = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    if marks.building in found.tags or marks.complete in found.tags:
        return found
    raise BadInputError(
        f"The demo needs the model name {name!r}, but a registered model that the demo did not make has it. Rename "
        "that one, or build the demo in another tracking store."
    )
