"""Which stage a version is in, with MLflow's stages and without."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.registry.reading.stages import effective_stage, has_stages
from core.registry.types import STAGE_TAG, STAGES_TAG, Stage

IN_TAGS = {STAGES_TAG: "tags"}


@pytest.mark.parametrize("stage", list(Stage))
def test_mlflow_says_the_stage(stage: Stage) -> None:
    tags = {STAGE_TAG: "Production"}
    assert effective_stage(str(stage), tags, {"team": "fx"}, {"production": 1}, 1) is stage


@pytest.mark.parametrize("unknown", [None, "", "production", "Canary"])
def test_a_stage_that_is_not_known(unknown: str | None) -> None:
    assert effective_stage(unknown, {}, {}, {}, 1) is Stage.NONE
    assert effective_stage("Staging", {STAGE_TAG: unknown or ""}, IN_TAGS, {}, 1) is Stage.NONE


@pytest.mark.parametrize(
    ("tag", "aliases", "expected"),
    [
        ("Production", {"production": 1}, Stage.PRODUCTION),
        ("Staging", {"production": 1}, Stage.PRODUCTION),
        ("Production", {"production": 2}, Stage.ARCHIVED),
        ("Production", {}, Stage.ARCHIVED),
        ("Staging", {"production": 2, "staging": 2}, Stage.STAGING),
        ("Archived", {"best": 1}, Stage.ARCHIVED),
        ("None", {"staging": 1}, Stage.NONE),
    ],
)
def test_alias_and_tag_say_the_stage(tag: str, aliases: dict[str, int], expected: Stage) -> None:
    assert effective_stage("Production", {STAGE_TAG: tag}, IN_TAGS, aliases, 1) is expected


def test_a_version_without_a_tag_is_in_no_stage() -> None:
    assert effective_stage("Production", {}, IN_TAGS, {}, 1) is Stage.NONE
    assert effective_stage("None", {}, IN_TAGS, {"production": 1}, 1) is Stage.PRODUCTION


@pytest.mark.parametrize(
    ("tags", "expected"),
    [({}, True), ({STAGES_TAG: "mlflow"}, True), ({STAGES_TAG: ""}, True), (IN_TAGS, False)],
)
def test_whether_a_model_has_stages(tags: Mapping[str, str], expected: bool) -> None:
    assert has_stages(tags) is expected


@given(
    tags=st.lists(st.sampled_from([*map(str, Stage), "Canary", ""]), min_size=1, max_size=8),
    alias=st.none() | st.integers(1, 9),
)
def test_tags_put_one_version_in_production_at_most(tags: list[str], alias: int | None) -> None:
    aliases = {} if alias is None else {"production": alias}
    stages = [
        effective_stage(None, {STAGE_TAG: tag}, IN_TAGS, aliases, number)
        for number, tag in enumerate(tags, 1)
    ]
    assert stages.count(Stage.PRODUCTION) == (alias is not None and alias <= len(tags))
