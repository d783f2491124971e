"""Judge what a guest has answered: only what it sent counts, never what it says of itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.registry.sandbox.arrays import from_text
from core.registry.sandbox.described import Field
from core.registry.sandbox.questions import Question

_KINDS = {
    "boolean": "b",
    "integer": "biu",
    "long": "biu",
    "float": "biuf",
    "double": "biuf",
    "string": "US",
    "datetime": "M",
}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}


class WrongError(Exception):
    """An answer that does not pass; the message is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Part:
    """One array of an answer, or one list of values that no array holds."""

    name: str | None
    array: np.ndarray[Any, Any] | None
    values: Sequence[Any] = ()

    @property
    def rows(self) -> int | None:
        """Rows, or None for a single value."""
        if self.array is None:
            return len(self.values)
        return self.array.shape[0] if self.array.ndim else None

    @property
    def words(self) -> dict[str, Any]:
        """Its name, type and shape for the evidence."""
        shape = [len(self.values)] if self.array is None else list(self.array.shape)
        return {
            "name": self.name,
            "type": "values" if self.array is None else str(self.array.dtype),
            "shape": shape,
        }


def judge(question: Question, answer: Mapping[str, Any], outputs: Sequence[Field]) -> dict[str, Any]:
    """Return what was answered, for the evidence.

    Raises
    ------
    WrongError
        If the answer is to another question, has another number of rows, holds NaN or infinity, or does not agree
        with the signature.
    """
    if answer.get("id") != question.id:
        raise WrongError("It gave an answer that is not to the question it was asked.")
    parts = _parts(answer.get("answer"))
    for part in parts:
        where = "" if part.name is None else f" in '{part.name}'"
        if part.rows != question.rows:
            given = "a single value" if part.rows is None else f"{part.rows} rows"
            raise WrongError(f"It was asked for {question.rows} rows and answered {given}{where}.")
        bad, of = _not_finite(part)
        if bad:
            raise WrongError(
                f"{bad:,} of its {of:,} predicted values{where} are NaN, infinite or missing "
                f"(inputs from {question.source})."
            )
    if outputs:
        _agree(parts, outputs)
    return {"rows": question.rows, "output": [part.words for part in parts[:50]]}


def _parts(answer: Any) -> list[Part]:
    try:
        parts = [
            Part(
                None if one.get("name") is None else str(one["name"])[:200],
                from_text(one["npy"]) if "npy" in one else None,
                list(one.get("values", ())),
            )
            for one in answer["parts"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WrongError("It gave an answer that is neither a table nor an array.") from error
    if not parts:
        raise WrongError("It gave an answer without any values.")
    return parts


def _not_finite(part: Part) -> tuple[int, int]:
    if part.array is None:
        flat = [leaf for value in part.values for leaf in _leaves(value)]
        bad = sum(leaf is None or (isinstance(leaf, float) and not math.isfinite(leaf)) for leaf in flat)
        return bad, len(flat)
    if part.array.dtype.kind in "fcMm":
        return int(part.array.size - np.isfinite(part.array).sum()), part.array.size
    return 0, part.array.size


def _leaves(value: Any) -> list[Any]:
    leaves, waiting = [], [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend(one.values())
        else:
            leaves.append(one)
    return leaves


def _agree(parts: Sequence[Part], outputs: Sequence[Field]) -> None:
    named = {part.name: part for part in parts}
    if len(outputs) == 1 and outputs[0].type is None and len(parts) > 1:
        _check_columns_as_tensor(parts, outputs[0])
        return
    for place, field in enumerate(outputs):
        # Arrays have no names; a signature may have them all the same, and then the order counts.
        part = named.get(field.name)
        if part is None and len(parts) == len(outputs) and (field.name is None or None in named):
            part = parts[place]
        if part is None and len(outputs) == 1 and len(parts) == 1:
            part = parts[0]
        if part is None and field.required:
            if len(parts) == 1 and parts[0].array is not None and parts[0].array.shape[1:] == (len(outputs),):
                part = parts[0]
            else:
                raise WrongError(f"Its signature promises an output '{field.name}', which it did not answer.")
        if part is not None:
            _check(part, field)


def _check(part: Part, field: Field) -> None:
    label = "its output" if field.name is None else f"its output '{field.name}'"
    if field.type is not None:
        allowed = _KINDS.get(field.type)
        if part.array is not None and allowed is not None and part.array.dtype.kind not in allowed:
            raise WrongError(
                f"Its signature says that {label} is {field.type}; it answered {part.array.dtype}."
            )
        wanted = _TYPES.get(field.type)
        if part.array is None and wanted and not all(isinstance(one, wanted) for one in part.values):
            raise WrongError(f"Its signature says that {label} is {field.type}; it answered other values.")
        return
    if part.array is None:
        if np.dtype(_dtype(field)).kind not in "OUS":
            raise WrongError(f"Its signature says that {label} is {field.dtype}; it answered other values.")
        return
    wanted_type = np.dtype(_dtype(field))
    if wanted_type.kind not in "OUS" and not np.can_cast(part.array.dtype, wanted_type, "same_kind"):
        raise WrongError(f"Its signature says that {label} is {field.dtype}; it answered {part.array.dtype}.")
    if not _fits(part.array.shape, field.shape):
        raise WrongError(
            f"Its signature says that {label} has the shape {list(field.shape)}; it answered {list(part.array.shape)}."
        )


def _check_columns_as_tensor(parts: Sequence[Part], field: Field) -> None:
    """A table for which the signature has one array, as PyTorch's models answer tables."""
    if not _fits((parts[0].rows or 0, len(parts)), field.shape):
        raise WrongError(
            f"Its signature says that its output has the shape {list(field.shape)}; "
            f"it answered a table of {len(parts)} columns."
        )


def _fits(shape: tuple[int, ...], promised: tuple[int, ...]) -> bool:
    if shape[1:] == (1,) and len(promised) == 1:
        return True  # A table of one column for an array of one dimension.
    if promised[1:] == (1,) and len(shape) == 1:
        return True
    return len(shape) == len(promised) and all(
        want < 0 or have == want for have, want in zip(shape, promised, strict=True)
    )


def _dtype(field: Field) -> str:
    return "str" if field.dtype in (None, "string") else str(field.dtype)
