"""Is a model made as it should be: dimensions, layers and their shapes, features in their order?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from core.registry.gates.rules import ExpectedStructure, Gate
from core.registry.gates.types import GateResult
from core.registry.gates.wording import sentence, unjudged


class Found(Protocol):
    """What a trial found of a model's structure; None and empty where it says nothing.

    Attributes
    ----------
    observation_dim, action_dim : int or None
    layers : sequence of (str, sequence of int)
        Name and shape of each layer.
    feature_order : sequence of str or None
        As the model recorded it.
    inputs : sequence of str
        Names of the inputs in its signature: the features, where it takes them as columns.
    """

    @property
    def observation_dim(self) -> int | None: ...
    @property
    def action_dim(self) -> int | None: ...
    @property
    def layers(self) -> Sequence[tuple[str, Sequence[int]]]: ...
    @property
    def feature_order(self) -> Sequence[str] | None: ...
    @property
    def inputs(self) -> Sequence[str]: ...


def judge_structure(expected: ExpectedStructure, found: Found | None) -> GateResult:
    """Compare a model with what it should be made of.

    Every layer that is expected must be there with its shape; others do not count. Features are those the model
    recorded, else the names of its inputs, and must be the expected ones in the expected order.

    Parameters
    ----------
    expected : ExpectedStructure
    found : Found or None
        None where no trial could look at the model.

    Returns
    -------
    GateResult
        The reason names what differs: of layers and of features the first. What the model does not say cannot
        be judged, and fails.
    """
    if found is None:
        return unjudged(Gate.STRUCTURE, "the trial did not get to see what the model is made of")
    features = _features(expected, found)
    evidence: dict[str, Any] = {
        "expected": _plain(
            expected.observation_dim, expected.action_dim, expected.feature_order, expected.layers
        ),
        "found": _plain(found.observation_dim, found.action_dim, features, found.layers),
    }
    differences, unknown = [], []
    for asked, has, noun in (
        (expected.observation_dim, found.observation_dim, "observation"),
        (expected.action_dim, found.action_dim, "action"),
    ):
        if asked is not None and has is None:
            unknown.append(f"the model does not say how many values an {noun} has")
        elif asked is not None and asked != has:
            differences.append(f"an {noun} has {has} values, {asked} are expected")
    if expected.layers and not found.layers:
        unknown.append("no layers can be read from the model")
    elif layer := _layer_difference(expected, found):
        differences.append(layer)
    if expected.feature_order and not features:
        unknown.append("the model does not say the order of its features")
    elif expected.feature_order and (feature := feature_difference(expected.feature_order, features)):
        differences.append(feature)
    if differences:
        return GateResult(Gate.STRUCTURE, False, sentence(*differences, *unknown), evidence)
    if unknown:
        return unjudged(Gate.STRUCTURE, "; ".join(unknown), evidence)
    return GateResult(Gate.STRUCTURE, True, f"As expected: {', '.join(_agreed(expected))}.", evidence)


def feature_difference(expected: Sequence[str], found: Sequence[str]) -> str | None:
    """Return in words the first position, counted from 1, at which two orders differ; None where they agree."""
    for position in range(1, max(len(expected), len(found)) + 1):
        asked = expected[position - 1] if position <= len(expected) else None
        has = found[position - 1] if position <= len(found) else None
        if asked == has:
            continue
        if asked is None:
            return f"feature {position}, '{has}', is extra: {len(expected)} are expected"
        if has is None:
            return f"feature {position}, '{asked}', is missing: the model has {len(found)}"
        if asked in found and has in expected:
            place = list(found).index(asked) + 1
            return f"feature {position} is '{has}', and the expected '{asked}' stands at {place}: reordered"
        if asked in found:
            return f"feature {position}, '{has}', is extra: '{asked}' is expected there"
        if has in expected:
            return f"feature {position}, '{asked}', is missing: the model has '{has}' there"
        return f"feature {position} is '{has}', '{asked}' is expected"
    return None


def _features(expected: ExpectedStructure, found: Found) -> Sequence[str]:
    if found.feature_order is not None:
        return found.feature_order
    # A single input for many features is a tensor, whose name says nothing about them.
    return found.inputs if len(found.inputs) > 1 or len(expected.feature_order) == 1 else ()


def _layer_difference(expected: ExpectedStructure, found: Found) -> str | None:
    shapes = {name: tuple(shape) for name, shape in found.layers}
    for name, shape in expected.layers:
        if name not in shapes:
            return f"layer {name} is missing"
        if shapes[name] != shape:
            return f"layer {name} is {list(shapes[name])}, {list(shape)} is expected"
    return None


def _agreed(expected: ExpectedStructure) -> list[str]:
    return [
        *([f"{expected.observation_dim} values an observation"] if expected.observation_dim else []),
        *([f"{expected.action_dim} values an action"] if expected.action_dim else []),
        *([f"layers checked: {len(expected.layers)}"] if expected.layers else []),
        *([f"features in order: {len(expected.feature_order)}"] if expected.feature_order else []),
    ]


def _plain(
    observation_dim: int | None,
    action_dim: int | None,
    features: Sequence[str],
    layers: Sequence[tuple[str, Sequence[int]]],
) -> dict[str, Any]:
    return {
        "observation_dim": observation_dim,
        "action_dim": action_dim,
        "feature_order": list(features),
        "layers": {name: list(shape) for name, shape in layers},
    }
