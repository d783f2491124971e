"""Hand Polars tables to Streamlit as Arrow, which it sends as they are; it would turn Polars into pandas first."""

from __future__ import annotations

from typing import Any, Literal

import polars as pl
import pyarrow as pa
import streamlit as st

from dashboard import data

# A row at the theme's base font size.
_ROW_PIXELS = 31
# Rows of a long table that are sent.
_LONG = 2_000


def height(rows: int, most: int) -> int | Literal["content"]:
    """Return the height of a table: as tall as its rows, but at most `most` of them are in sight."""
    return "content" if rows <= most else _ROW_PIXELS * (most + 1)


def with_download(frame: pl.DataFrame, key: str, noun: str, *, last: bool = False, **options: Any) -> None:
    """Draw the first rows of a long table, or the last, and a button for all of it as CSV.

    Parameters
    ----------
    noun : str
        What a row is, in the plural: "points".
    **options
        For `st.dataframe`.
    """
    if frame.height > _LONG:
        where = "last" if last else "first"
        st.caption(f"The {where} {_LONG:,} of {frame.height:,} {noun}; the download has all.")
    shown = frame.tail(_LONG) if last else frame.head(_LONG)
    st.dataframe(arrow(shown), hide_index=True, key=f"{key}_data", **options)
    st.download_button(
        "CSV", lambda: data.as_csv(frame), f"{key}.csv", "text/csv", key=f"{key}_csv", on_click="ignore"
    )


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
