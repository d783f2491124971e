"""Algorithms of stable-baselines3: made, begun with another model, led through a backtest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import BadInputError
from core.training.rl.backtest import Strategy
from core.training.rl.normalisation import Float32s
from core.training.rl.options import Algorithm, Effort, TrainingOptions

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

_BUFFER: Final = 100_000


def class_of(algorithm: Algorithm) -> type[BaseAlgorithm]:
    """Return the class of an algorithm."""
    import stable_baselines3

    found: type[BaseAlgorithm] = getattr(stable_baselines3, algorithm.upper())
    return found


def make(options: TrainingOptions, portions: Effort, env: VecEnv, seed: int) -> BaseAlgorithm:
    """Make an algorithm that has learnt nothing."""
    given: dict[str, Any] = {
        "learning_rate": options.learning_rate,
        "gamma": options.gamma,
        "policy_kwargs": {"net_arch": list(options.net)},
        "seed": seed,
        "device": "cpu",
    }
    if options.algorithm.is_on_policy:
        given["n_steps"] = portions.n_steps
    else:
        given |= {"buffer_size": _BUFFER, "learning_starts": min(1_000, portions.timesteps // 10)}
    if options.algorithm is not Algorithm.A2C:
        given["batch_size"] = portions.batch_size
    return class_of(options.algorithm)("MlpPolicy", env, **given)


def go_on(algorithm: Algorithm, path: Path, env: VecEnv) -> BaseAlgorithm:
    """Load a checkpoint of our own, with optimiser and counters."""
    model = class_of(algorithm).load(path, env=env, device="cpu")
    if hasattr(model, "learning_starts"):
        # What it had seen was not kept: it looks around again before it learns on.
        model.learning_starts += model.num_timesteps
    return model


def begin_with(model: BaseAlgorithm, path: Path, name: str) -> None:
    """Give a new algorithm the weights of another model.

    Raises
    ------
    BadInputError
        If they do not fit.
    """
    try:
        model.set_parameters(str(path), exact_match=True, device="cpu")
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        raise BadInputError(
            f"The model {name} cannot be begun with: its weights do not fit ({str(error).partition(chr(10))[0]}). Give "
            "the --net that it was trained with, or leave out --warm-start."
        ) from error


def strategy_of(model: BaseAlgorithm) -> Strategy:
    """Return what a model does when it does not try things out."""

    import torch

    policy: Any = model.policy
    policy.set_training_mode(False)
    # What `model.predict` answers, in a fifth of the time: a backtest asks for one action after the other.
    if hasattr(policy, "mlp_extractor"):

        def means(seen: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = policy.action_net(policy.mlp_extractor.forward_actor(seen))
            return found

    else:

        def means(seen: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = policy._predict(seen, deterministic=True)
            return found

    def act(seen: Float32s) -> float:
        with torch.inference_mode():
            return means(torch.from_numpy(seen[None])).item()

    return act
