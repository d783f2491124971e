"""Models of each kind, logged and loaded back with plain MLflow."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from stable_baselines3 import DQN, PPO

from core.errors import BadInputError
from core.tracking import MLflowLogger

X = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
Y = [0, 1, 1, 0]


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


with warnings.catch_warnings():
    # MLflow warns about type hints, its own too, when mlflow.pyfunc is first imported.
    warnings.simplefilter("ignore")

    class Doubling(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return np.asarray(model_input) * 2


class Market(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        return np.zeros(3, np.float32), {}

    def step(self, action):
        return np.zeros(3, np.float32), 0.0, True, False, {}


class Discrete(Market):
    action_space = gymnasium.spaces.Discrete(3)


@pytest.fixture(autouse=True)
def nothing_is_inferred(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("MLflow must not look for requirements: it takes seconds")

    monkeypatch.setattr("mlflow.models.infer_pip_requirements", refuse)


def logged(store: str, model: object, **options: object) -> str:
    logger = MLflowLogger("models", store)
    with logger.start_run():
        logger.log_model(model, "model", **options)
    assert logger.run_id is not None
    return f"runs:/{logger.run_id}/model"


def requirements(uri: str) -> list[str]:
    path = mlflow.artifacts.download_artifacts(f"{uri}/requirements.txt")
    return [line.partition("==")[0] for line in Path(path).read_text().split()]


@pytest.mark.parametrize(
    "estimator", [LinearRegression(), RandomForestClassifier(5), GradientBoostingRegressor(n_estimators=5)]
)
def test_scikit_learn(store: str, estimator: LinearRegression) -> None:
    estimator.fit(X, Y)
    uri = logged(store, estimator, input_example=X.head(2))
    assert mlflow.sklearn.load_model(uri).predict(X).tolist() == estimator.predict(X).tolist()
    loaded = mlflow.pyfunc.load_model(uri)
    assert loaded.predict(X).tolist() == estimator.predict(X).tolist()
    assert loaded.metadata.signature.inputs.input_names() == ["a", "b"]
    assert loaded.metadata.run_id == uri.split("/")[1]
    assert {"scikit-learn", "skops", "mlflow"} <= set(requirements(uri))


def test_scikit_learn_with_types_that_skops_does_not_know(store: str) -> None:
    estimator = make_pipeline(FunctionTransformer(np.log1p), LinearRegression()).fit(X, Y)
    uri = logged(store, estimator)
    assert mlflow.sklearn.load_model(uri).predict(X) == pytest.approx(estimator.predict(X))


def test_pytorch(store: str) -> None:
    network = Network()
    example = torch.ones(1, 2)
    uri = logged(store, network, input_example=example)
    loaded = mlflow.pytorch.load_model(uri)
    many = torch.rand(5, 2)
    assert torch.equal(loaded(many), network(many))
    served = mlflow.pyfunc.load_model(uri)
    assert served.predict(many.numpy()) == pytest.approx(network(many).detach().numpy())
    assert served.metadata.signature.inputs.is_tensor_spec()
    assert "torch" in requirements(uri)


def test_pytorch_without_an_example(store: str) -> None:
    network = Network()
    loaded = mlflow.pytorch.load_model(logged(store, network))
    assert torch.equal(loaded(torch.ones(3, 2)), network(torch.ones(3, 2)))


def test_python_models_and_saved_folders(store: str, tmp_path: Path) -> None:
    assert mlflow.pyfunc.load_model(logged(store, Doubling())).predict(np.array([1.0])).tolist() == [2.0]
    folder = tmp_path / "saved"
    mlflow.pyfunc.save_model(str(folder), python_model=Doubling(), pip_requirements=["numpy"])
    assert mlflow.pyfunc.load_model(logged(store, folder)).predict(np.array([4.0])).tolist() == [8.0]


def test_stable_baselines3_loads_where_greenroom_is_not_installed(
    store: str, client: MlflowClient, tmp_path: Path
) -> None:
    algorithm = PPO("MlpPolicy", Market(), n_steps=8, batch_size=8, device="cpu")
    uri = logged(
        store, algorithm, registered_model_name="ppo_usdcop", feature_order=["rsi", "macd", "return"]
    )
    run_id = uri.split("/")[1]
    observations = np.random.default_rng(0).random((4, 3), np.float32)
    expected, _ = algorithm.predict(observations, deterministic=True)

    loaded = mlflow.pyfunc.load_model(uri)
    assert loaded.predict(observations) == pytest.approx(expected)
    signature: ModelSignature = loaded.metadata.signature
    (inputs,), (outputs,) = signature.inputs.inputs, signature.outputs.inputs
    assert (inputs.type, inputs.shape, outputs.shape) == (np.dtype("float32"), (-1, 3), (-1, 1))
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/model_signature.json") == {
        "observation_dim": 3,
        "action_dim": 1,
        "feature_order": ["rsi", "macd", "return"],
    }
    local_path = client.download_artifacts(run_id, "model/final_model.zip")
    assert PPO.load(local_path).predict(observations, deterministic=True)[0] == pytest.approx(expected)
    (version,) = client.search_model_versions("name = 'ppo_usdcop'")
    assert (int(version.version), version.run_id) == (1, run_id)

    folder = mlflow.artifacts.download_artifacts(uri, dst_path=str(tmp_path / "alone"))
    script = (
        "import sys, mlflow, numpy as np\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'core': raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"print(mlflow.pyfunc.load_model({folder!r}).predict(np.zeros((2, 3), 'float32')).shape)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert said.stdout.strip() == "(2, 1)", said.stderr[-500:]


def test_stable_baselines3_with_discrete_actions(store: str) -> None:
    algorithm = DQN("MlpPolicy", Discrete(), buffer_size=10, device="cpu")
    loaded = mlflow.pyfunc.load_model(logged(store, algorithm))
    assert loaded.predict(np.zeros((2, 3), np.float32)).shape == (2,)
    assert loaded.metadata.signature.outputs.inputs[0].shape == (-1,)
    assert json.loads(json.dumps(loaded.metadata.to_dict()))["model_id"]


def test_what_cannot_be_saved_is_refused_with_what_can(store: str, tmp_path: Path) -> None:
    logger = MLflowLogger("models", store)
    with logger.start_run():
        with pytest.raises(BadInputError, match=r"does not know how to save a builtins\.dict"):
            logger.log_model({"weights": 1})
        with pytest.raises(BadInputError, match="holds no file MLmodel"):
            logger.log_model(tmp_path)
        for name in ("a/b", "", "m.zip"):
            with pytest.raises(BadInputError, match="cannot be logged as"):
                logger.log_model(LinearRegression(), name)
        with pytest.raises(BadInputError, match="cannot be registered as 'a/b'"):
            logger.log_model(LinearRegression(), registered_model_name="a/b")
        with pytest.raises(BadInputError, match="names 1 features, but the model observes 3"):
            logger.log_model(PPO("MlpPolicy", Market(), n_steps=8, batch_size=8), feature_order=["one"])
