"""What a model is made of: the first layer and the first feature that differ, and what a model does not say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.registry.gates.rules import ExpectedStructure
from core.registry.gates.structure import feature_difference, judge_structure
from tests.core.registry.gates.kit import FakeStructure, evidence, verdict

LAYERS = (("net.0.weight", (64, 15)), ("net.0.bias", (64,)), ("net.2.weight", (1, 64)))
EXPECTED = ExpectedStructure(15, 1, ("rsi", "dxy", "vix"), LAYERS[:2])
FOUND = FakeStructure(15, 1, LAYERS, ("rsi", "dxy", "vix"), ("observation",))


def test_a_model_as_expected_passes_whatever_further_layers_it_has() -> None:
    result = judge_structure(EXPECTED, FOUND)
    assert verdict(result) == "passed"
    assert evidence(result)["found"]["layers"]["net.2.weight"] == [1, 64]
    assert "layers checked: 2" in result.reason
    assert "features in order: 3" in result.reason


def test_only_what_is_expected_is_looked_at() -> None:
    assert verdict(judge_structure(ExpectedStructure(action_dim=1), FakeStructure(action_dim=1))) == "passed"


def test_every_kind_of_difference_is_named() -> None:
    found = FakeStructure(12, 2, (("net.0.weight", (64, 12)),), ("rsi", "vix", "dxy"))
    result = judge_structure(EXPECTED, found)
    assert verdict(result) == "failed"
    assert result.reason == (
        "An observation has 12 values, 15 are expected; an action has 2 values, 1 are expected; layer net.0.weight "
        "is [64, 12], [64, 15] is expected; feature 2 is 'vix', and the expected 'dxy' stands at 3: reordered."
    )


def test_the_first_layer_that_differs_is_named() -> None:
    found = FakeStructure(15, 1, (LAYERS[0], ("net.1.bias", (64,))), EXPECTED.feature_order)
    assert judge_structure(EXPECTED, found).reason == "Layer net.0.bias is missing."
    scalar = ExpectedStructure(layers=(("log_std", ()),))
    assert verdict(judge_structure(scalar, FakeStructure(layers=(("log_std", ()),)))) == "passed"
    assert (
        "log_std is [1], [] is expected"
        in judge_structure(scalar, FakeStructure(layers=(("log_std", (1,)),))).reason
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (("a", "b"), "feature 3, 'c', is missing: the model has 2"),
        (("a", "c"), "feature 2, 'b', is missing: the model has 'c' there"),
        (("a", "b", "c", "d"), "feature 4, 'd', is extra: 3 are expected"),
        (("a", "x", "b", "c"), "feature 2, 'x', is extra: 'b' is expected there"),
        (("a", "x", "c"), "feature 2 is 'x', 'b' is expected"),
        (("b", "a", "c"), "feature 1 is 'b', and the expected 'a' stands at 2: reordered"),
        (("a", "a", "b", "c"), "feature 2 is 'a', and the expected 'b' stands at 3: reordered"),
        (("A", "b", "c"), "feature 1 is 'A', 'a' is expected"),
        (("a", "b", "c"), None),
    ],
)
def test_the_first_feature_that_differs_is_named_by_its_position(
    found: tuple[str, ...], said: str | None
) -> None:
    assert feature_difference(("a", "b", "c"), found) == said


ORDERS = st.lists(st.sampled_from("abcd"), max_size=5)


@given(ORDERS, ORDERS)
def test_orders_differ_in_words_exactly_where_they_differ(expected: list[str], found: list[str]) -> None:
    said = feature_difference(expected, found)
    if expected == found:
        assert said is None
    else:
        assert said is not None
        at = int(said.split()[1].rstrip(","))
        assert expected[: at - 1] == found[: at - 1]
        assert expected[at - 1 : at] != found[at - 1 : at]


def test_features_that_a_model_recorded_count_before_the_names_of_its_inputs() -> None:
    asked = ExpectedStructure(feature_order=("a", "b"))
    assert verdict(judge_structure(asked, FakeStructure(inputs=("a", "b")))) == "passed"
    assert (
        verdict(judge_structure(asked, FakeStructure(feature_order=("b", "a"), inputs=("a", "b"))))
        == "failed"
    )
    assert verdict(judge_structure(asked, FakeStructure(inputs=("observation",)))) == "not judged"
    assert (
        verdict(judge_structure(ExpectedStructure(feature_order=("a",)), FakeStructure(inputs=("a",))))
        == "passed"
    )


def test_what_a_model_does_not_say_cannot_be_judged() -> None:
    result = judge_structure(EXPECTED, FakeStructure())
    assert verdict(result) == "not judged"
    for part in ("an observation has", "an action has", "no layers", "order of its features"):
        assert part in result.reason
    assert verdict(judge_structure(EXPECTED, None)) == "not judged"


def test_a_difference_is_told_even_where_something_else_is_not_known() -> None:
    result = judge_structure(EXPECTED, FakeStructure(observation_dim=12, action_dim=1))
    assert verdict(result) == "failed"
    assert result.reason.startswith("An observation has 12 values")
    assert "no layers can be read" in result.reason
