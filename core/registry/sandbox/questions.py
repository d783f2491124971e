"""Make inputs for a model: from its logged example, else from its signature, with row counts nobody can foresee."""

from __future__ import annotations

import base64
import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.registry.sandbox.arrays import to_text
from core.registry.sandbox.described import Described, Field

_MOST_NUMBERS = 4_000_000
_FREE_LENGTH = 4
_LONGEST_ITEM = 1024
_HINT = "log it with an input example"


class UnaskableError(Exception):
    """No input can be made; the message is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question to a guest.

    Attributes
    ----------
    id : str
        Not foreseeable; its answer must repeat it.
    rows : int
        How many rows its answer must have.
    message : mapping
        What is sent: `id`, `form` and the data of that form.
    source : str
        What its inputs were made from, in words.
    """

    id: str
    rows: int
    message: Mapping[str, Any]
    source: str


def questions(
    described: Described, space: Mapping[str, Any] | None = None, space_name: str = "its observation space"
) -> Iterator[Question]:
    """Yield two questions with different row counts.

    Parameters
    ----------
    space : mapping, optional
        `shape` and `dtype` of an observation, as the guest says, for models without example and signature;
        `space_name` says in words what it is.

    Raises
    ------
    UnaskableError
        If the model has nothing that tells what it takes.
    """
    for rows in (2 + secrets.randbelow(4), 6 + secrets.randbelow(12)):
        body, source, rows_asked = _body(described, space, rows)
        source = source or space_name
        number = secrets.token_hex(16)
        yield Question(number, rows_asked, {"id": number, **body}, source)


def _body(
    described: Described, space: Mapping[str, Any] | None, rows: int
) -> tuple[dict[str, Any], str, int]:
    fixed = [one.shape[0] for one in described.inputs if one.type is None and one.shape and one.shape[0] > 0]
    rows = fixed[0] if fixed else rows
    if described.example is not None:
        body = _from_example(described, rows)
        if body is not None:
            return body, "its input example", rows
    if described.inputs:
        return _from_signature(described.inputs, rows), "its signature", rows
    if space is not None:
        try:
            shape = (rows, *(int(length) for length in space["shape"]))
            body = {"form": "tensor", "npy": to_text(_tensor(str(space["dtype"]), shape))}
        except (KeyError, TypeError, ValueError) as error:
            raise UnaskableError("Its observation space cannot be understood.") from error
        return body, "", rows
    raise UnaskableError(
        "It has neither an input example nor a signature, so nothing can be predicted; log it with one."
    )


def _from_example(described: Described, rows: int) -> dict[str, Any] | None:
    """Repeat the example's rows from a random one on; None where it has a form that has no rows."""
    example, kind = described.example, described.example_type
    try:
        if kind == "dataframe":
            columns = example.get("columns")
            return _table(columns, _cycled(example["data"], rows), described.inputs)
        if kind == "ndarray":
            return _tensors(example, described.inputs, rows)
        if kind in ("sparse_matrix_csr", "sparse_matrix_csc"):
            return {"form": "tensor", "sparse": kind[-3:], "npy": to_text(_dense(example, kind, rows))}
        if isinstance(example, dict):
            named = {one.name for one in described.inputs}
            lists = [value for key, value in example.items() if key in named and isinstance(value, list)]
            if len(lists) == len(example) and len({len(one) for one in lists}) == 1:
                return _table(list(example), _cycled(list(zip(*lists, strict=True)), rows), described.inputs)
            return _table(list(example), [list(example.values())] * rows, described.inputs)
        if isinstance(example, list) and example:
            return {"form": "json", "value": _cycled(example, rows)}
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError):
        return None
    return None


def _cycled(rows: Sequence[Any], count: int) -> list[Any]:
    start = secrets.randbelow(len(rows))
    return [rows[(start + index) % len(rows)] for index in range(count)]


def _table(columns: Any, data: list[Any], fields: Sequence[Field]) -> dict[str, Any]:
    types = {one.name: one.type for one in fields}
    if columns is None:
        return {"form": "table", "columns": None, "types": [], "data": data}
    return {"form": "table", "columns": columns, "types": [types.get(one) for one in columns], "data": data}


def _tensors(example: Any, fields: Sequence[Field], rows: int) -> dict[str, Any]:
    def one(value: Any, dtype: str | None) -> str:
        array = np.asarray(value) if dtype is None else np.asarray(value, np.dtype(dtype))
        if array.dtype.hasobject:
            raise ValueError("rows of unlike lengths")
        start = secrets.randbelow(len(array))
        return to_text(array[(start + np.arange(rows)) % len(array)])

    dtypes = {field.name: field.dtype for field in fields}
    if isinstance(example, dict):
        return {
            "form": "tensors",
            "parts": {name: one(value, dtypes.get(name)) for name, value in example.items()},
        }
    return {"form": "tensor", "npy": one(example, fields[0].dtype if len(fields) == 1 else None)}


def _dense(example: Any, kind: str, rows: int) -> np.ndarray[Any, Any]:
    from scipy import sparse  # type: ignore[import-untyped]

    height, width = (int(length) for length in example["shape"])
    if height * width > _MOST_NUMBERS:
        raise ValueError("too large")
    make = sparse.csr_matrix if kind.endswith("csr") else sparse.csc_matrix
    matrix = make((example["data"], example["indices"], example["indptr"]), shape=(height, width))
    dense: np.ndarray[Any, Any] = matrix.toarray()
    return dense[(secrets.randbelow(height) + np.arange(rows)) % height]


def _from_signature(fields: Sequence[Field], rows: int) -> dict[str, Any]:
    if all(one.type is None for one in fields):
        made = {one.name: to_text(_tensor(str(one.dtype), _filled(one.shape, rows))) for one in fields}
        if len(fields) == 1 and fields[0].name is None:
            return {"form": "tensor", "npy": made[None]}
        return {"form": "tensors", "parts": made}
    names = None if any(one.name is None for one in fields) else [one.name for one in fields]
    data = [[_value(one.form or {}) for one in fields] for _ in range(rows)]
    return {"form": "table", "columns": names, "types": [one.type for one in fields], "data": data}


def _filled(shape: tuple[int, ...], rows: int) -> tuple[int, ...]:
    return tuple(
        (rows if place == 0 else _FREE_LENGTH) if length < 0 else length for place, length in enumerate(shape)
    )


def _tensor(dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if any(length < 0 for length in shape) or math.prod(shape) > _MOST_NUMBERS:
        raise UnaskableError(f"Inputs of shape {list(shape)} are too large to be made up; {_HINT}.")
    kind = np.dtype("str" if dtype == "string" else dtype)
    if kind.itemsize > _LONGEST_ITEM:
        raise UnaskableError(f"Inputs of type {dtype[:80]} are too large to be made up; {_HINT}.")
    random = np.random.default_rng(secrets.randbits(64))
    if kind.kind in "fc":
        return random.random(shape).astype(kind)
    if kind.kind in "biu":
        return random.integers(0, 2, shape).astype(kind)
    if kind.kind in "US":
        return np.full(shape, "a", kind if kind.itemsize else np.dtype(f"{kind.kind}1"))
    if kind.kind in "Mm":
        moments = random.integers(1_600_000_000, 1_700_000_000, shape).astype(f"{kind.kind}8[s]")
        return moments if np.datetime_data(kind)[0] == "generic" else moments.astype(kind)
    raise UnaskableError(f"Inputs of type {dtype} cannot be made up; {_HINT}.")


def _value(form: Mapping[str, Any], depth: int = 0) -> Any:
    """Make a value of a column's type, as JSON."""
    kind = form.get("type")
    if depth > 8:
        raise UnaskableError(f"A column of its signature is nested too deeply to be made up; {_HINT}.")
    if kind in ("double", "float"):
        return secrets.randbelow(10_000) / 10_000
    if kind in ("integer", "long"):
        return secrets.randbelow(2)
    if kind == "boolean":
        return bool(secrets.randbelow(2))
    if kind == "string":
        return "a"
    if kind == "binary":
        return base64.b64encode(b"a").decode()
    if kind == "datetime":
        return f"2024-01-{1 + secrets.randbelow(28):02d}T00:00:00"
    if kind == "array":
        return [_value(form.get("items") or {}, depth + 1) for _ in range(_FREE_LENGTH)]
    if kind == "object":
        parts = form.get("properties") or {}
        return {name: _value(part, depth + 1) for name, part in parts.items()}
    if kind == "map":
        return {"a": _value(form.get("values") or {}, depth + 1)}
    if kind == "any":
        return 1.0
    raise UnaskableError(f"Inputs of type {kind} cannot be made up; {_HINT}.")
