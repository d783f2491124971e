"""Loads a model that nobody trusts and answers questions; runs alone behind walls, so it imports nothing of Greenroom.

What it says of itself is never believed. Pipes: questions as lines of JSON in, answers as lines of JSON out.
"""

from __future__ import annotations

import base64
import importlib
import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

Predict = Callable[[Any], Any]
Load = Callable[[dict[str, Any]], tuple[Predict, dict[str, Any]]]


def main(job: dict[str, Any]) -> None:
    """Load, say so, and answer until nobody asks."""
    with open(job["questions"], "rb") as questions, open(job["answers"], "wb") as answers:  # noqa: PTH123
        try:
            predict, structure = LOADERS[job["loader"]](job)
        except BaseException as error:  # noqa: BLE001 - a model may raise anything
            _send(answers, {"error": _words(error), "stage": "load", "missing": _missing(error)})
            return
        _send(answers, {"loaded": True, "structure": structure})
        for line in questions:
            question = json.loads(line)
            try:
                reply: dict[str, Any] = {"answer": _packed(predict(_input(question)))}
            except BaseException as error:  # noqa: BLE001 - a model may raise anything
                reply = {"error": _words(error), "stage": "predict", "missing": _missing(error)}
            _send(answers, {"id": question["id"], **reply})


def _send(answers: BinaryIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message, default=str).encode() + b"\n")
    answers.flush()


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:2000]


def _missing(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ModuleNotFoundError):
            return error.name
        error = error.__cause__ or error.__context__
    return None


def _load_pyfunc(job: dict[str, Any]) -> tuple[Predict, dict[str, Any]]:
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(job["path"], suppress_warnings=True)
    raw = None
    for find in (model.get_raw_model, model.unwrap_python_model):
        try:
            raw = find()
            break
        except Exception as error:  # noqa: BLE001 - a model without a raw one is asked all the same
            logging.getLogger(__name__).debug("%s", error)
    return model.predict, _structure(raw)


def _load_sb3(job: dict[str, Any]) -> tuple[Predict, dict[str, Any]]:
    module, _, name = job["algorithm"].rpartition(".")
    algorithm = getattr(importlib.import_module(module), name).load(job["path"], device="cpu")
    return lambda seen: algorithm.predict(seen, deterministic=True)[0], _structure(algorithm)


def _load_torch(job: dict[str, Any]) -> tuple[Predict, dict[str, Any]]:
    import torch

    try:
        checkpoint = torch.load(job["path"], map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - raised again unless it is TorchScript
        try:
            script: Any = torch.jit.load(job["path"], map_location="cpu")  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001 - what it is not says less than what it was taken for
            raise error from None
        return _refuse, {"layers": _layers(script.state_dict()), "form": "TorchScript"}
    return _refuse, {"layers": _layers(_state(checkpoint)), "form": "state dict"}


def _load_class(job: dict[str, Any]) -> tuple[Predict, dict[str, Any]]:
    import torch

    sys.path[:0] = job["search"]
    state = _state(torch.load(job["path"], map_location="cpu", weights_only=True))
    module, _, name = job["class"].partition(":")
    made: Any = importlib.import_module(module)
    for part in name.split("."):
        made = getattr(made, part)
    network = made(**job["kwargs"])
    structure = {"layers": _layers(state), "class_layers": _layers(network.state_dict())}
    if sorted(structure["layers"]) == sorted(structure["class_layers"]):
        network.load_state_dict(state)
    network.eval()

    def predict(rows: Any) -> Any:
        with torch.no_grad():
            output = network(torch.from_numpy(rows))
        # Recurrent networks answer with their state as well.
        return output[0] if isinstance(output, tuple) else output

    return predict, structure


LOADERS: dict[str, Load] = {
    "pyfunc": _load_pyfunc,
    "sb3": _load_sb3,
    "torch": _load_torch,
    "class": _load_class,
}


def _refuse(_: Any) -> Any:
    raise TypeError("weights without their class")


def _state(checkpoint: Any) -> Any:
    if isinstance(checkpoint, dict):
        for key in ("model_state_dict", "state_dict"):
            if isinstance(checkpoint.get(key), dict):
                return checkpoint[key]
    return checkpoint


def _layers(state: Any) -> list[list[Any]]:
    return [[name, list(value.shape)] for name, value in state.items() if hasattr(value, "shape")]


def _structure(raw: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        space = getattr(raw, "observation_space", None)
        if space is not None:
            found["observation"] = {"shape": list(space.shape), "dtype": str(space.dtype)}
            found["action"] = {"shape": list(raw.action_space.shape)}
        holder: Any = raw if hasattr(raw, "state_dict") else getattr(raw, "policy", None)
        if hasattr(holder, "state_dict"):
            found["layers"] = _layers(holder.state_dict())
    except Exception as error:  # noqa: BLE001 - a model may be asked whatever it is made of
        logging.getLogger(__name__).debug("%s", error)
    return found


def _input(question: dict[str, Any]) -> Any:
    if question["form"] == "json":
        return question["value"]
    if question["form"] == "table":
        return _table(question)
    if question["form"] == "tensors":
        return {name: _array(text) for name, text in question["parts"].items()}
    array = _array(question["npy"])
    if "sparse" in question:
        import scipy.sparse  # type: ignore[import-untyped]

        return getattr(scipy.sparse, f"{question['sparse']}_matrix")(array)
    return array


def _array(text: str) -> Any:
    import numpy as np

    return np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)


def _table(question: dict[str, Any]) -> Any:
    import pandas as pd

    table = pd.DataFrame(question["data"], columns=question["columns"])
    dtypes: dict[str, Any] = {
        "boolean": "bool",
        "integer": "int32",
        "long": "int64",
        "float": "float32",
        "double": "float64",
    }
    for name, kind in zip(table.columns, question["types"], strict=False):
        column = table[name]
        if kind == "datetime":
            table[name] = pd.to_datetime(column)
        elif kind == "binary":
            table[name] = column.map(base64.b64decode)
        elif kind in ("float", "double") or (kind in dtypes and not column.isna().any()):
            table[name] = column.astype(dtypes[kind])
    return table


def _packed(output: Any) -> dict[str, Any]:
    """Take an answer apart into named arrays, and lists where no array will do."""
    import numpy as np

    if hasattr(output, "detach"):
        output = output.detach().cpu().numpy()
    if hasattr(output, "toarray"):
        output = output.toarray()
    if hasattr(output, "columns") and hasattr(output, "iloc"):
        return {"parts": [_part(str(name), output.iloc[:, at]) for at, name in enumerate(output.columns)]}
    if isinstance(output, dict):
        return {"parts": [_part(str(name), value) for name, value in output.items()]}
    if isinstance(output, list) and output and isinstance(output[0], dict):
        return {"parts": [{"values": output}]}
    if isinstance(output, np.ndarray | list | tuple | int | float) or hasattr(output, "to_numpy"):
        return {"parts": [_part(None, output)]}
    raise TypeError(f"it answered a {type(output).__name__}, which is neither a table nor an array")


def _part(name: str | None, value: Any) -> dict[str, Any]:
    import numpy as np

    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        array = value.to_numpy() if hasattr(value, "to_numpy") else np.asarray(value)
    except ValueError:
        return {"name": name, "values": list(value)}
    if array.dtype.kind not in "biufcUSMm":
        return {"name": name, "values": array.tolist()}
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return {"name": name, "npy": base64.b64encode(buffer.getvalue()).decode()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.umask(0o077)
    main(json.loads(sys.argv[1]))
