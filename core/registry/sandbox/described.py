"""What a model's folder says of itself, read without running or unpickling anything of it."""

from __future__ import annotations

import importlib.metadata
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from packaging.requirements import InvalidRequirement, Requirement

_LARGEST_TEXT = 4 << 20
_MOST_PACKAGES = 200
_DTYPES = "biufcSUMmO"
_GREENROOM_LOADER = "greenroom_sb3_loader"
# A setting that only this algorithm has, in the order in which they are looked for.
_SIGNS = (
    ("clip_range", "PPO"),
    ("exploration_fraction", "DQN"),
    ("target_entropy", "SAC"),
    ("policy_delay", "TD3"),
    ("target_policy_noise", "TD3"),
    ("gae_lambda", "A2C"),
)


class _Plain(yaml.SafeLoader):
    """Refuses merges: nested ones grow without bound, and MLflow writes none."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Called for every mapping."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.YAMLError("a merge")


class UnreadableError(Exception):
    """The folder is no model that can be tried; the message is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Field:
    """An input or output of a signature.

    Attributes
    ----------
    type : str or None
        MLflow's type of a column; None for a tensor.
    dtype, shape
        Of a tensor; -1 in `shape` is any length.
    form : mapping
        The whole entry, for columns that hold arrays and objects.
    """

    name: str | None
    type: str | None
    dtype: str | None = None
    shape: tuple[int, ...] = ()
    required: bool = True
    form: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """A model by its files.

    Attributes
    ----------
    loader : str
        How the guest loads it: ``pyfunc``, ``sb3``, ``torch`` or ``class``.
    file : str
        The file that it loads, below the folder; "" for the folder itself.
    example : Any
        Its input example as JSON, None if it has none, with its `example_type` in MLflow's words.
    """

    kind: str
    loader: str
    file: str = ""
    algorithm: str | None = None
    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()
    example: Any = None
    example_type: str | None = None


def describe(folder: Path) -> Described:
    """Find out what a folder holds.

    Raises
    ------
    UnreadableError
        If it is nothing that can be loaded, with the reason.
    """
    if (folder / "MLmodel").is_file():
        return _mlmodel(folder)
    zips = sorted(folder.glob("*.zip"))
    if (folder / "final_model.zip").is_file() or len(zips) == 1:
        file = folder / "final_model.zip" if (folder / "final_model.zip").is_file() else zips[0]
        algorithm = _algorithm(folder, file)
        return Described(
            f"stable-baselines3 zip ({algorithm.rpartition('.')[2]})", "sb3", file.name, algorithm
        )
    checkpoints = sorted([*folder.glob("*.pt"), *folder.glob("*.pth")])
    if len(checkpoints) == 1:
        return Described("PyTorch file", "torch", checkpoints[0].name)
    raise UnreadableError(
        "It holds neither a file MLmodel nor exactly one .zip of stable-baselines3 nor one .pt or .pth of PyTorch."
    )


def signature_file(folder: Path) -> dict[str, Any]:
    """Return the content of ``model_signature.json`` in the folder or beside it; {} where there is none."""
    for place in (folder / "model_signature.json", folder.parent / "model_signature.json"):
        if place.is_file():
            try:
                content = json.loads(_text(place))
            except (ValueError, RecursionError):
                return {}
            return content if isinstance(content, dict) else {}
    return {}


def packages(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return the versions installed here of what the model was logged with, and how they differ from it."""
    place = folder / "requirements.txt"
    installed = {"mlflow": importlib.metadata.version("mlflow")}
    gaps = []
    for line in _text(place).splitlines()[:_MOST_PACKAGES] if place.is_file() else ():
        try:
            wanted = Requirement(line.strip())
            found = importlib.metadata.version(wanted.name)
        except InvalidRequirement:
            continue  # A comment or an option of pip.
        except importlib.metadata.PackageNotFoundError:
            gaps.append(f"{wanted} asked for, none installed"[:200])
            continue
        installed[wanted.name] = found
        if not wanted.specifier.contains(found.partition("+")[0], prereleases=True):
            gaps.append(f"{wanted} asked for, {found} installed"[:200])
    return installed, gaps


def _mlmodel(folder: Path) -> Described:
    try:
        content = yaml.load(_text(folder / "MLmodel", 1 << 20), _Plain)  # noqa: S506 - a SafeLoader
        flavours = dict(content["flavors"])
        pyfunc = flavours.pop("python_function", None)
        signature = content.get("signature") or {}
        inputs, outputs = _fields(signature.get("inputs")), _fields(signature.get("outputs"))
    except (
        yaml.YAMLError,
        ArithmeticError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise UnreadableError("Its file MLmodel cannot be read.") from error
    if not isinstance(pyfunc, dict):
        raise UnreadableError(
            "It has no python_function flavour, so there is no common way to ask it; save it with a flavour that has."
        )
    loader = str(pyfunc.get("loader_module", "?"))
    kind = str(next(iter(flavours), loader))
    kind = "stable-baselines3" if kind == _GREENROOM_LOADER else f"pyfunc ({kind})"
    example, example_type = _example(folder, content.get("saved_input_example_info"))
    return Described(
        kind[:80], "pyfunc", inputs=inputs, outputs=outputs, example=example, example_type=example_type
    )


def _fields(text: Any) -> tuple[Field, ...]:
    if not text:
        return ()
    fields = []
    for one in json.loads(text):
        name = None if one.get("name") is None else str(one["name"])
        required = bool(one.get("required", True)) and not one.get("optional", False)
        if one["type"] == "tensor":
            spec = one["tensor-spec"]
            shape = tuple(int(length) for length in spec["shape"])
            dtype = np.dtype("str" if spec["dtype"] == "string" else str(spec["dtype"]))
            if dtype.kind not in _DTYPES or dtype.itemsize > 1024:
                raise ValueError("no type of a tensor")
            fields.append(Field(name, None, str(spec["dtype"]), shape, required))
        else:
            fields.append(Field(name, str(one["type"]), required=required, form=one))
    return tuple(fields)


def _example(folder: Path, info: Any) -> tuple[Any, str | None]:
    if not isinstance(info, dict):
        return None, None
    try:
        place = (folder / str(info["artifact_path"])).resolve()
        if not place.is_relative_to(folder.resolve()):
            raise UnreadableError("Its input example lies outside of its folder.")
        content = json.loads(_text(place))
        if info.get("params"):
            content = content["inputs"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None, None
    return content, str(info.get("type"))


def _algorithm(folder: Path, file: Path) -> str:
    """Return the class of a zip of stable-baselines3, written beside it or told by its settings."""
    try:
        if (folder / "algorithm.json").is_file():
            return str(json.loads(_text(folder / "algorithm.json"))["class"])
        with zipfile.ZipFile(file) as archive:
            if archive.getinfo("data").file_size > _LARGEST_TEXT:
                raise UnreadableError(f"The settings in its {file.name} are too large to be settings.")
            settings = json.loads(archive.read("data"))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, RecursionError) as error:
        raise UnreadableError(f"Its {file.name} is no zip of stable-baselines3.") from error
    for sign, name in _SIGNS:
        if sign in settings:
            return f"stable_baselines3.{name}"
    raise UnreadableError(
        f"Which algorithm its {file.name} holds cannot be told; MLflowLogger.log_model writes it down."
    )


def _text(place: Path, largest: int = _LARGEST_TEXT) -> str:
    if place.stat().st_size > largest:
        raise UnreadableError(f"Its file {place.name} is larger than {largest >> 20} MB.")
    return place.read_text(encoding="utf-8", errors="replace")
