"""Models that mean no harm: what is said of them when they pass, and when they cannot."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression
from stable_baselines3 import PPO

from core.errors import BadInputError
from core.registry.sandbox.trial import Limits, Trial, try_class, try_model
from core.tracking import models
from tests.core.registry.sandbox.folders import scripted

X = pd.DataFrame({"price": [0.0, 1.0, 2.0, 3.0], "volume": [1.0, 0.0, 1.0, 0.0]})

NETWORK = """
import torch


class Network(torch.nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.hidden = torch.nn.Linear(2, hidden)
        self.last = torch.nn.Linear(hidden, 1)

    def forward(self, x):
        return self.last(torch.relu(self.hidden(x)))
"""


class Market(gymnasium.Env):  # type: ignore[type-arg]
    observation_space = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return np.zeros(3, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(3, np.float32), 0.0, True, False, {}


def asked(trial: Trial) -> list[int]:
    return [one["rows"] for one in trial.evidence["questions"]]


def fitted() -> LinearRegression:
    return LinearRegression().fit(X, X["price"] * 2)


def test_scikit_learn_with_an_example(tmp_path: Path) -> None:
    models.saver(fitted(), infer_signature(X, np.zeros(4)), X).save(tmp_path)

    trial = try_model(tmp_path / "model")

    assert trial.passed, trial
    assert trial.kind == "pyfunc (sklearn)"
    assert trial.structure.inputs == ("price", "volume")
    assert trial.evidence["questions"][0]["inputs_from"] == "its input example"
    assert len(trial.digest) == 64
    assert len(set(asked(trial))) == 2
    assert 0 < trial.evidence["peak_memory_mb"] < 4096
    assert trial.evidence["walls"]
    json.dumps(dict(trial.evidence))


def test_scikit_learn_with_a_signature_only(tmp_path: Path) -> None:
    mlflow.sklearn.save_model(
        fitted(),
        str(tmp_path / "model"),
        signature=infer_signature(X, np.zeros(4)),
        pip_requirements=["numpy==0.1", "no-such-package"],
        serialization_format="skops",
    )

    trial = try_model(tmp_path / "model")

    assert trial.passed, trial
    assert trial.evidence["questions"][0]["inputs_from"] == "its signature"
    differences = trial.evidence["package_differences"]
    assert [one.partition(" ")[0] for one in differences] == ["numpy==0.1", "no-such-package"]
    assert trial.evidence["packages"]["numpy"] == np.__version__


def test_pytorch_tells_its_layers(tmp_path: Path) -> None:
    models.saver(torch.nn.Linear(2, 1), input_example=np.ones((3, 2), np.float32)).save(tmp_path)

    trial = try_model(tmp_path / "model")

    assert trial.passed, trial
    assert trial.kind == "pyfunc (pytorch)"
    assert trial.structure.layers == (("weight", (1, 2)), ("bias", (1,)))


def test_stable_baselines3_tells_its_spaces(tmp_path: Path) -> None:
    plan = models.saver(PPO("MlpPolicy", Market(), n_steps=8, batch_size=8), feature_order=["a", "b", "c"])
    plan.save(tmp_path)
    (tmp_path / "model_signature.json").write_text(plan.description or "")

    trial = try_model(tmp_path / "model")

    assert trial.passed, trial
    assert trial.kind == "stable-baselines3"
    assert (trial.structure.observation_dim, trial.structure.action_dim) == (3, 1)
    assert ("action_net.weight", (1, 64)) in trial.structure.layers
    assert trial.structure.feature_order == ("a", "b", "c")


def test_a_zip_of_stable_baselines3_alone(tmp_path: Path) -> None:
    PPO("MlpPolicy", Market(), n_steps=8, batch_size=8).save(tmp_path / "best.zip")

    trial = try_model(tmp_path)

    assert trial.passed, trial
    assert trial.kind == "stable-baselines3 zip (PPO)"
    assert (trial.structure.observation_dim, trial.structure.action_dim) == (3, 1)


def test_weights_alone_cannot_predict_but_show_what_they_are(tmp_path: Path) -> None:
    torch.save({"model_state_dict": torch.nn.Linear(2, 1).state_dict()}, tmp_path / "weights.pt")

    trial = try_model(tmp_path)

    assert not trial.passed
    assert "without the class" in trial.reason
    assert trial.structure.layers == (("weight", (1, 2)), ("bias", (1,)))


@pytest.fixture
def network(tmp_path: Path) -> Any:
    """A user's class in a folder of theirs, and the weights of one made with ``hidden=4``."""
    (tmp_path / "src" / "nets").mkdir(parents=True)
    (tmp_path / "src" / "nets" / "small.py").write_text(NETWORK)
    names: dict[str, Any] = {}
    exec(NETWORK, names)
    torch.save(names["Network"](hidden=4).state_dict(), tmp_path / "weights.pt")
    return tmp_path


@pytest.mark.parametrize(
    ("hidden", "shape", "passed", "reason"),
    [
        (4, [-1, 2], True, "All 4 weights are those of nets.small:Network"),
        (8, [2], False, "hidden.weight has the shape [4, 2] in the file and [8, 2] in the class"),
        (4, [3], False, "It could not be asked"),
    ],
)
def test_weights_in_their_class(
    network: Path, hidden: int, shape: list[int], passed: bool, reason: str
) -> None:
    trial = try_class(
        network / "weights.pt",
        "nets.small:Network",
        {"hidden": hidden},
        input_shape=shape,
        search=(network / "src",),
    )

    assert trial.passed is passed, trial
    assert reason in trial.reason
    assert trial.structure.layers[0] == ("hidden.weight", (4, 2))


def test_weights_that_are_a_pickle_are_not_unpickled(network: Path) -> None:
    torch.save(torch.nn.Linear(2, 1), network / "weights.pt")

    trial = try_class(
        network / "weights.pt", "nets.small:Network", {}, input_shape=[2], search=(network / "src",)
    )

    assert not trial.passed
    assert "weights_only" in str(trial.evidence["said_by_the_model"]) or "Weights only" in trial.reason


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = scripted(tmp_path / "model", "return rows['a']", load="import package_that_nobody_has")

    trial = try_model(folder)

    assert trial.reason == (
        "It needs the package package_that_nobody_has, which is not installed where Greenroom runs."
    )


def test_what_cannot_be_tried_at_all(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no folder"):
        try_model(tmp_path / "nowhere")
    with pytest.raises(BadInputError, match=r"package\.module:Class"):
        try_class(tmp_path / "w.pt", "no class", {}, input_shape=[2])
    with pytest.raises(BadInputError, match="limit seconds"):
        Limits(seconds=0)
    missing = try_class(tmp_path / "w.pt", "a.b:C", {}, input_shape=[2])
    assert not missing.passed
    assert "cannot be read" in missing.reason


def test_greenroom_itself_loads_no_model(tmp_path: Path) -> None:
    folder = scripted(tmp_path / "model", "return rows['a']", load="raise SystemExit('seen')")

    trial = try_model(folder)

    assert "SystemExit" in trial.reason
    assert "scripted_loader" not in sys.modules
