"""What the gates said of a version: a row a gate with sign, word and reason, and the evidence on demand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import polars as pl
import streamlit as st

from core import clock
from core.registry.dossier import gates_to_json
from core.registry.gates.types import GateReport
from core.registry.gates.wording import next_minute
from dashboard.formats import escape_markdown, weekday_time, wrappable
from dashboard.widgets import tables

_TITLES = {
    "smoke": "Load test",
    "structure": "Structure",
    "dataset": "Data set",
    "reproducible": "Reproducible",
    "soak": "Time in Staging",
    "metrics": "Metrics",
    "champion": "Against the champion",
    "worst_seed": "Worst seed",
}
NOTHING = "No gate stands on the way to {}."


def draw(report: GateReport, key: str) -> None:
    """Draw a report of the desk."""
    draw_json(gates_to_json(report), report.to_stage, key)


def draw_json(gates: Mapping[str, Any], to_stage: str, key: str) -> None:
    """Draw gates as a dossier keeps them."""
    rows: Sequence[Mapping[str, Any]] = gates["gates"]
    if not rows:
        st.caption(NOTHING.format(to_stage))
        return
    st.table(
        tables.arrow(
            pl.DataFrame(
                {
                    "Gate": [_TITLES.get(one["name"], escape_markdown(one["name"])) for one in rows],
                    "Verdict": [verdict_mark(one) for one in rows],
                    "Why": [escape_markdown(wrappable(one["reason"])) for one in rows],
                }
            )
        ),
        hide_index=True,
        border="horizontal",
        alt=f"Gates on the way to {to_stage}",
    )
    with st.expander("What the gates were judged by", key=f"{key}_evidence"):
        for one in rows:
            st.markdown(f"**{_TITLES.get(one['name'], escape_markdown(one['name']))}**")
            if one["evidence"]:
                st.code(
                    json.dumps(one["evidence"], indent=1, ensure_ascii=False),
                    language="json",
                    height=_tall(one),
                )
            else:
                st.caption("Nothing more is recorded.")


def verdict_mark(gate: Mapping[str, Any]) -> str:
    """Return a gate's verdict in its colour, with sign and word."""
    if gate["passed"]:
        return ":green-badge[✓ Passed]"
    if gate["eligible_at"]:
        at: datetime = clock.moment(gate["eligible_at"])
        return f":orange-badge[◷ Waiting until {weekday_time(next_minute(at))}]"
    return ":red-badge[✕ Failed]"


def _tall(gate: Mapping[str, Any]) -> int | Literal["content"]:
    return 320 if len(json.dumps(gate["evidence"], indent=1).splitlines()) > 18 else "content"
