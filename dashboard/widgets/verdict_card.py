"""How a retrained version does against the champion: better, same or worse, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl
import streamlit as st

from core.training.schedule.types import GateVerdict, Verdict, VerdictPoint, VerdictWord
from dashboard.formats import delta, escape_markdown, number, verdict_label
from dashboard.widgets import tables

_COLOURS: Final = {
    VerdictWord.BETTER: "green",
    VerdictWord.SAME: "gray",
    VerdictWord.WORSE: "red",
    VerdictWord.FIRST: "gray",
    VerdictWord.UNKNOWN: "gray",
}
_IN_SIGHT: Final = 8


def draw(verdict: Verdict, key: str) -> None:
    """Draw the verdict, the figures it rests on, and what the gates said."""
    badge = f":{_COLOURS[verdict.word]}-badge[{verdict_label(str(verdict.word))}]"
    st.markdown(f"{badge} {escape_markdown(verdict.sentence)}")
    if verdict.points:
        _points(verdict.points, key)
    if verdict.gates:
        st.markdown(" ".join(_gate(one) for one in verdict.gates))
        failed = [one for one in verdict.gates if not one.passed]
        for one in failed:
            st.caption(f"{escape_markdown(one.name)}: {escape_markdown(one.reason)}")


def _gate(one: GateVerdict) -> str:
    colour, sign = ("green", "✓") if one.passed else ("red", "✕")
    return f":{colour}-badge[{sign} {escape_markdown(one.name)}]"


def _points(points: Sequence[VerdictPoint], key: str) -> None:
    frame = pl.DataFrame(
        [
            (
                one.name,
                number(one.champion),
                number(one.challenger),
                _change(one),
                one.detail or None,
            )
            for one in points
        ],
        schema={
            "Figure": pl.String,
            "Champion": pl.String,
            "New": pl.String,
            "Change": pl.String,
            "Rests on": pl.String,
        },
        orient="row",
    )
    right = st.column_config.TextColumn(alignment="right")
    st.dataframe(
        tables.arrow(frame),
        key=f"{key}_points",
        hide_index=True,
        height=tables.height(frame.height, _IN_SIGHT),
        placeholder="",
        column_config={"Champion": right, "New": right, "Change": right},
        alt="The new version against the champion",
    )


def _change(one: VerdictPoint) -> str:
    """Write a difference and what it means; nothing where it says neither."""
    if one.difference is None or one.better is None:
        return delta(one.difference)
    return delta(one.difference, one.better == (one.difference > 0))
