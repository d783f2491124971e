"""Loads a stable-baselines3 algorithm for MLflow; shipped inside each model, so it imports nothing of Greenroom."""

import importlib
import json
from pathlib import Path
from typing import Any


class Policy:
    """Predicts actions from observations."""

    def __init__(self, algorithm: Any) -> None:
        self.algorithm = algorithm
        self._is_named = hasattr(algorithm.observation_space, "spaces")

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Return the deterministic actions for a batch of observations."""
        observations = model_input
        if isinstance(observations, dict) and len(observations) == 1 and not self._is_named:
            # A signature whose one input has a name hands it over under that name.
            (observations,) = observations.values()
        if hasattr(observations, "to_numpy"):
            observations = observations.to_numpy()
        actions, _ = self.algorithm.predict(observations, deterministic=True)
        return actions

    def get_raw_model(self) -> Any:
        """Return the algorithm itself."""
        return self.algorithm


def _load_pyfunc(path: str) -> Policy:
    folder = Path(path)
    described = json.loads((folder / "algorithm.json").read_text())
    module, _, name = described["class"].rpartition(".")
    algorithm = getattr(importlib.import_module(module), name)
    return Policy(algorithm.load(folder / "final_model.zip", device="auto"))
