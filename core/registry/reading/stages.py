"""The stage of a version: as MLflow says, or as aliases and tags say where the server has no stages."""

from __future__ import annotations

from collections.abc import Mapping

from core.registry.types import PRODUCTION_ALIAS, STAGE_TAG, STAGES_TAG, Stage

STAGES_IN_TAGS = "tags"
"""The value of the model's tag `STAGES_TAG` by which aliases and tags say the stages."""

_STAGES = {str(stage): stage for stage in Stage}


def has_stages(model_tags: Mapping[str, str]) -> bool:
    """Say whether MLflow's own stages count for a model with these tags."""
    return model_tags.get(STAGES_TAG) != STAGES_IN_TAGS


def effective_stage(
    mlflow_stage: str | None,
    version_tags: Mapping[str, str],
    model_tags: Mapping[str, str],
    aliases: Mapping[str, int],
    number: int,
) -> Stage:
    """Return where a version stands.

    Parameters
    ----------
    mlflow_stage : str or None
        MLflow's own stage; one that is not known counts as None.
    version_tags, model_tags : mapping
    aliases : mapping of str to int
        All aliases of the model.
    number : int
        The version.

    Notes
    -----
    Where tags say the stages, the alias ``production`` alone decides what is in Production, so that there is
    one such version at most and a change is one write. A version whose tag still says Production without
    the alias was replaced, and counts as Archived.
    """
    if has_stages(model_tags):
        return _STAGES.get(mlflow_stage or "", Stage.NONE)
    if aliases.get(PRODUCTION_ALIAS) == number:
        return Stage.PRODUCTION
    tagged = _STAGES.get(version_tags.get(STAGE_TAG, ""), Stage.NONE)
    return Stage.ARCHIVED if tagged is Stage.PRODUCTION else tagged
