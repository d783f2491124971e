"""Tables of a backtest as JSON: columns from whatever people hold them in, written at once.

The format is that of `mlflow.log_table` (``{"columns": [...], "data": [[...], ...]}``), except that numbers keep all
their digits and times their offset.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from core.errors import BadInputError

if TYPE_CHECKING:
    import pandas as pd

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
_ACCEPTED = "a list of dicts, a dict of columns, a DataFrame or a Series"


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length whose values JSON can hold."""

    columns: tuple[str, ...]
    values: tuple[list[Any], ...]

    def split(self) -> bytes:
        """Return the table as `mlflow.load_table` reads it."""
        rows = list(zip(*self.values, strict=True))
        return dump({"columns": self.columns, "data": rows})

    def records(self) -> list[dict[str, Any]]:
        """Return the table as one dict a row."""
        names = self.columns
        return [dict(zip(names, row, strict=True)) for row in zip(*self.values, strict=True)]


def dump(value: Any, indent: bool = False) -> bytes:
    """Return strict JSON of nearly anything: NaN and infinity are null, times ISO 8601, unknown objects text."""
    options = _OPTIONS | (orjson.OPT_INDENT_2 if indent else 0)
    try:
        return orjson.dumps(value, default=_default, option=options)
    except TypeError:
        # Integers of more than 64 bits, keys of odd types, circles: the slow way says which.
        return json.dumps(_finite(value), default=_default, indent=2 if indent else None).encode()


def table(name: str, data: Any) -> Table:
    """Return a table.

    Parameters
    ----------
    name : str
        What it is called, for errors.
    data : list of dict, list of numbers, dict of columns, DataFrame or Series
        A time index becomes a column, called its name or "time"; plain numbers become the column "value".

    Raises
    ------
    BadInputError
        If it is something else, or its columns differ in length.
    """
    columns = _columns(name, data)
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise BadInputError(f"The columns of '{name}' differ in length: {lengths}.")
    return Table(tuple(columns), tuple(columns.values()))


def _columns(name: str, data: Any) -> dict[str, list[Any]]:
    kind = type(data).__module__.partition(".")[0]
    if kind == "pandas":
        return _of_pandas(data)
    if kind == "polars":
        data = data.to_dict(as_series=False) if hasattr(data, "columns") else data.to_list()
    if isinstance(data, Mapping):
        if data and all(not _has_length(one) for one in data.values()):
            return {str(key): _listed([one]) for key, one in data.items()}
        if any(type(one).__name__ == "Series" and _is_pandas(one) for one in data.values()):
            import pandas as pd

            # Their index may hold the times, and aligns them.
            return _of_pandas(pd.DataFrame(dict(data)))
        if any(not _has_length(one) for one in data.values()):
            raise BadInputError(f"'{name}' must be {_ACCEPTED}; some of its columns are single values.")
        return {str(key): _listed(one) for key, one in data.items()}
    if isinstance(data, np.ndarray):
        if data.dtype.names:
            return {key: _listed(data[key]) for key in data.dtype.names}
        if data.ndim == 1:
            return {"value": _listed(data)}
    elif isinstance(data, Sequence) and not isinstance(data, str | bytes):
        if all(isinstance(row, Mapping) for row in data):
            names = dict.fromkeys(key for row in data for key in row)
            return {str(key): _listed([row.get(key) for row in data]) for key in names}
        if not any(_has_length(one) or isinstance(one, Mapping | str) for one in data):
            return {"value": _listed(data)}
    raise BadInputError(f"'{name}' must be {_ACCEPTED}, not {type(data).__name__}.")


def _is_pandas(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "pandas"


def _has_length(value: Any) -> bool:
    return (
        hasattr(value, "__len__") and not isinstance(value, str | bytes) and getattr(value, "shape", 1) != ()
    )


def _of_pandas(data: Any) -> dict[str, list[Any]]:
    import pandas as pd

    if isinstance(data, pd.Index):
        data = pd.Series(data, name=data.name)
    if isinstance(data, pd.Series):
        data = data.to_frame("value" if data.name is None else data.name)
    index = data.index
    columns: dict[str, list[Any]] = {}
    timed = isinstance(index, pd.DatetimeIndex | pd.PeriodIndex)
    levels = [index.get_level_values(at) for at in range(index.nlevels)]
    for level in levels:
        # A numbered index says nothing; one of times, or with a name, does.
        if timed or (level.name is not None and not isinstance(index, pd.RangeIndex)):
            same = pd.Series(level, index=index)
            if any(data.iloc[:, at].equals(same) for at in range(data.shape[1])):
                continue
            key = str(level.name) if level.name is not None else "time"
            if key not in map(str, data.columns):
                columns[key] = _series(pd.Series(level))
    for at, key in enumerate(data.columns):
        columns[str(key)] = _series(data.iloc[:, at])
    return columns


def _series(column: pd.Series[Any]) -> list[Any]:
    import pandas as pd

    dtype: Any = column.dtype
    if isinstance(dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
        dtype = column.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        local = column.dt.tz_localize(None).to_numpy()
        utc = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return _zoned(local, utc)
    if isinstance(dtype, pd.CategoricalDtype):
        return _listed(column.astype(object).where(column.notna(), None).tolist())
    if dtype.kind in "Mm":
        return _listed(column.to_numpy())
    if pd.api.types.is_extension_array_dtype(dtype):
        return _listed(column.astype(object).where(column.notna(), None).tolist())
    return _listed(column.to_numpy())


def _listed(values: Any) -> list[Any]:
    """Return a column as a list of what JSON can hold."""
    if _is_pandas(values):
        return _series(values.to_series() if hasattr(values, "to_series") else values)
    if isinstance(values, np.ndarray):
        if values.dtype.kind == "M":
            return _times(values)
        if values.dtype.kind == "m":
            return [None if np.isnat(one) else _duration(one) for one in values]
        if values.dtype.kind not in "OV":
            return values.tolist()  # type: ignore[no-any-return]
        values = values.tolist()
    return [one if type(one) in _PLAIN else _value(one) for one in values]


_PLAIN = frozenset({float, int, str, bool, type(None)})


def _value(one: Any) -> Any:
    if isinstance(one, Mapping | list | tuple | set | np.ndarray | str | int | float) and not isinstance(
        one, Enum
    ):
        return one
    return _default(one)


def _times(values: np.ndarray[Any, Any]) -> list[Any]:
    """Return times without a zone as ISO 8601, as finely as they need."""
    missing = np.isnat(values)
    unit = next(
        (unit for unit in ("s", "ms", "us") if _exact(values, missing, unit)),
        "ns",
    )
    texts: list[Any] = np.datetime_as_string(values.astype(f"datetime64[{unit}]")).tolist()
    for at in np.flatnonzero(missing):
        texts[at] = None
    return texts


def _exact(values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any], unit: str) -> bool:
    return bool(((values.astype(f"datetime64[{unit}]") == values) | missing).all())


def _zoned(local: np.ndarray[Any, Any], utc: np.ndarray[Any, Any]) -> list[Any]:
    """Return times with a zone as ISO 8601 with its offset at each."""
    texts = _times(local)
    minutes = (local - utc).astype("timedelta64[m]").astype(np.int64)
    suffixes = {one: _offset(one) for one in np.unique(minutes).tolist()}
    return [
        None if text is None else text + suffixes[one]
        for text, one in zip(texts, minutes.tolist(), strict=True)
    ]


def _offset(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _duration(value: Any) -> str:
    import pandas as pd

    return str(pd.Timedelta(value).isoformat())


def _default(value: Any) -> Any:
    """Say what JSON knows about a value it does not know."""
    kind = type(value).__module__.partition(".")[0]
    if isinstance(value, datetime | date | time):
        # pandas' NaT is a datetime that equals nothing, itself included.
        return value.isoformat() if value == value else None
    if isinstance(value, timedelta | np.timedelta64):
        return _duration(value) if value == value else None
    if isinstance(value, np.datetime64):
        return _times(np.array([value]))[0]
    if kind == "pandas":
        return _of_unknown_pandas(value)
    if kind == "polars" and hasattr(value, "to_dicts"):
        return value.to_dicts()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "M":
        return np.array(_times(value.reshape(-1)), dtype=object).reshape(value.shape).tolist()
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        one = value.item()
        return str(one) if isinstance(one, complex) else one
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def _of_unknown_pandas(value: Any) -> Any:
    import pandas as pd

    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        columns = _of_pandas(value)
        if len(columns) == 1:
            return next(iter(columns.values()))
        return Table(tuple(columns), tuple(columns.values())).records()
    return str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return _finite(value.tolist())
    return value
