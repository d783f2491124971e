"""Checkpoints of one seed: folders that are whole or not there, so that a kill at any moment costs little."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

_KEPT: Final = 2
_MODEL: Final = "model.zip"
_BEST: Final = "best.zip"
_STATE: Final = "state.json"
_NEW: Final = ".new-"


@dataclass(frozen=True, slots=True)
class SeedState:
    """Where a seed's training stands.

    Attributes
    ----------
    timesteps : int
    best_reward : float or None
        Highest reward of a pass over the validation; None before the first.
    best_timesteps : int
        When that was.
    without_better : int
        Validations since.
    seconds : float
        Spent on learning and validating, over all attempts.
    finished : bool
        Whether it has learnt as long as was asked for, or stopped early.
    """

    timesteps: int = 0
    best_reward: float | None = None
    best_timesteps: int = 0
    without_better: int = 0
    seconds: float = 0.0
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint.

    Attributes
    ----------
    model, best : Path
        The algorithm as it was, and the one with the best validation so far.
    """

    model: Path
    best: Path
    state: SeedState


class Checkpoints:
    """The checkpoints in a folder; the last two are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def last(self) -> Checkpoint | None:
        """Return the last whole checkpoint."""
        for place in reversed(self._places()):
            state = SeedState(**json.loads((place / _STATE).read_text(encoding="utf-8")))
            return Checkpoint(place / _MODEL, place / _BEST, state)
        return None

    def save(self, model: BaseAlgorithm, state: SeedState, *, is_best: bool) -> None:
        """Keep a checkpoint; `is_best` says that no validation was better."""
        before = self.last()
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(f"{_NEW}*"):
            shutil.rmtree(left, ignore_errors=True)
        name = f"step-{state.timesteps:012d}{'-end' if state.finished else ''}"
        new = self._folder / f"{_NEW}{name}"
        new.mkdir()
        model.save(new / _MODEL)
        best = new / _MODEL if is_best or before is None else before.best
        shutil.copyfile(best, new / _BEST)
        (new / _STATE).write_text(json.dumps(asdict(state)), encoding="utf-8")
        for file in new.iterdir():
            _to_disk(file)
        # A folder of this name is there where a kill came between a checkpoint and what followed it.
        shutil.rmtree(self._folder / name, ignore_errors=True)
        new.rename(self._folder / name)
        for old in self._places()[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def _places(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))


def replace_text(path: Path, text: str) -> None:
    """Write a small file so that it is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    _to_disk(new)
    new.replace(path)


def _to_disk(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
