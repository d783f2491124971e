"""Hand Polars tables to Streamlit as Arrow, which it sends as they are; it would turn Polars into pandas first."""

from __future__ import annotations

from typing import Literal

import polars as pl
import pyarrow as pa

# A row at the theme's base font size.
_ROW_PIXELS = 31


def height(rows: int, most: int) -> int | Literal["content"]:
    """Return the height of a table: as tall as its rows, but at most `most` of them are in sight."""
    return "content" if rows <= most else _ROW_PIXELS * (most + 1)


def arrow(frame: pl.DataFrame) -> pa.Table:
    """Return a table with the plain Arrow types that browsers read (text and lists with 32-bit offsets)."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.cast(pa.schema([pa.field(field.name, _plain(field.type)) for field in table.schema]))


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_list(kind):
        return pa.list_(_plain(kind.value_type))
    return kind
