"""A page of evidence: gates, champion against challenger, backtests, stores, hashes, lineage, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from core import clock
from core.backtests.catalogue import CATALOGUE, MeasureDefinition, Unit
from core.registry.dossier import Dossier
from core.runs.artifacts.uris import redacted
from core.runs.comparison.metric_direction import is_clockwork, known_direction
from dashboard import data
from dashboard.formats import MISSING, delta, escape_markdown, hash_verdict, local_time, number
from dashboard.widgets import dossier_curves, gate_table, measure_table, tables
from dashboard.widgets.version_panel import facts_table, short_hash

_JUDGEMENTS = {True: "▲ better", False: "▼ worse", None: ""}


def draw(dossier: Dossier) -> None:
    """Draw the evidence, what decides first."""
    content = dossier.content
    for one in content["missing"]:
        st.warning(f"Missing evidence: {escape_markdown(one)}", icon=":material/help:")
    st.markdown(f"**Gates on the way to {escape_markdown(content['to_stage'])}**")
    gate_table.draw_json(content["gates"], content["to_stage"], "dossier")
    st.markdown(f"**{_against(content)}**")
    _metrics(content)
    _backtests(content)
    dossier_curves.draw(content)
    st.markdown("**Lineage and hashes**")
    left, right = st.columns(2)
    with left:
        _lineage(content)
    with right:
        _hashes(content)


def frozen_line(dossier: Dossier) -> None:
    """Say by which hash the evidence is kept."""
    if dossier.hash is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"Evidence of {local_time(clock.moment(dossier.content['made_at']))}, frozen under its SHA-256:",
            width="content",
        )
        st.code(dossier.hash, language=None, wrap_lines=True, width="content")
        st.download_button(
            "Evidence as JSON",
            dossier.text,
            f"evidence-{dossier.hash[:12]}.json",
            "application/json",
            key="evidence_json",
            icon=":material/download:",
            on_click="ignore",
            help="SHA-256 of the file is the hash.",
        )


def decision(content: Mapping[str, Any]) -> None:
    """Draw who decided what, where the evidence was frozen with a decision."""
    made = content.get("decision")
    if not made:
        return
    facts = [
        ("Decision", str(made["decision"])),
        ("By", f"{made['by']} ({made['role']})"),
        ("When", local_time(clock.moment(made["at"]))),
        ("Comment", made["comment"] or MISSING),
        ("Asked by", f"{made['asked_by']}, {local_time(clock.moment(made['asked_at']))}"),
        ("Why it was asked", made["reason"]),
    ]
    if made["override"]:
        facts.insert(4, ("⚠ Gates overridden", made["override"]))
    facts_table(facts, "The decision")


def _against(content: Mapping[str, Any]) -> str:
    model, version, champion = content["model"], content["version"], content["champion"]
    other = f"v{champion['version']}, the champion" if champion else "no champion"
    return escape_markdown(f"{model} v{version} against {other}")


def _metrics(content: Mapping[str, Any]) -> None:
    """Draw the metrics of both runs, with the change and whether that is better."""
    metrics = [
        one for one in content["metrics"] if one["challenger"] is not None or one["champion"] is not None
    ]
    if not metrics:
        st.caption("Neither run logged a metric.")
        return
    lineage = content["lineage"] or {}
    told = data.workspace().runs.directions([lineage["experiment_id"]]) if lineage else {}
    metrics.sort(key=lambda one: (is_clockwork(one["name"]), one["name"]))
    rows = []
    for one in metrics:
        new, old = one["challenger"], one["champion"]
        change = None if new is None or old is None else new - old
        higher = told.get(one["name"], known_direction(one["name"], (new, old)))
        better = None if not change or higher is None else (change > 0) == higher
        rows.append((one["name"], number(new), number(old), delta(change), _JUDGEMENTS[better]))
    _compared(rows, content, "metrics_compared", "Metric")


def _compared(rows: Sequence[tuple[str, ...]], content: Mapping[str, Any], key: str, what: str) -> None:
    champion = content["champion"]
    new, old = f"v{content['version']}", f"v{champion['version']}" if champion else "No champion"
    frame = pl.DataFrame(rows, schema=[what, new, old, "Change", "Judgement"], orient="row")
    if champion is None:
        frame = frame.drop(old, "Change", "Judgement")
    right = st.column_config.TextColumn(alignment="right")
    st.dataframe(
        tables.arrow(frame),
        hide_index=True,
        key=key,
        height=tables.height(frame.height, 14),
        column_config={
            what: st.column_config.TextColumn(pinned=True),
            new: right,
            old: right,
            "Change": right,
        },
        alt=f"{what}s of both versions",
    )


def _backtests(content: Mapping[str, Any]) -> None:
    """Draw the measures of both backtests."""
    found = content["backtest"]
    if not found:
        return
    new, old = found["challenger"], found["champion"] or {}
    st.markdown("**Backtests**")
    rows = []
    for one in CATALOGUE:
        values = (new.get(one.key), old.get(one.key))
        if values == (None, None):
            continue
        change = _change(one, *values)
        better = None if not change or one.higher_is_better is None else (change > 0) == one.higher_is_better
        written = "" if change is None else measure_table.written(one, change)
        sign = "+" if change is not None and change > 0 else ""
        if one.unit is Unit.PERCENT:
            written = written.replace("%", " points")
        texts = [measure_table.written(one, _value(one, value)) for value in values]
        rows.append((one.title, *texts, f"{sign}{written}" or MISSING, _JUDGEMENTS[better]))
    _compared(rows, content, "backtests_compared", "Measure")
    spans = [
        f"v{version}: {one['start'][:10]} to {one['end'][:10]}, {one['periods']:,} periods"
        for version, one in (
            (content["version"], new),
            (content["champion"]["version"] if content["champion"] else None, old),
        )
        if one
    ]
    st.caption(f"Each over its own time. {escape_markdown('; '.join(spans))}.")


def _change(one: MeasureDefinition, new: Any, old: Any) -> float | None:
    if one.unit is Unit.DATE or new is None or old is None:
        return None
    change = float(new) - float(old)
    return change if math.isfinite(change) else None


def _value(one: MeasureDefinition, value: Any) -> Any:
    return np.datetime64(value) if one.unit is Unit.DATE and value is not None else value


def _lineage(content: Mapping[str, Any]) -> None:
    own = content["lineage"]
    champion = content["champion"]
    facts: list[tuple[str, str]] = []
    if own:
        facts += [
            ("Run", f"{own['run_name'] or 'unnamed'} ({own['run_id']})"),
            ("Trained by", own["user"] or MISSING),
            ("Git commit", short_hash(own["git_commit"]) or MISSING),
            ("Script", own["source_name"] or MISSING),
            (
                "Data sets",
                ", ".join(f"{one['name']} ({one['digest']})" for one in own["datasets"]) or MISSING,
            ),
        ]
    facts += [
        ("Source", redacted(content["source"]) or MISSING),
        ("Registered", local_time(clock.moment(content["created"]))),
        ("Champion's run", (champion or {}).get("run_id") or MISSING),
    ]
    facts_table(facts, "Lineage")
    if own and own["params"]:
        with st.expander("Params"):
            theirs = ((champion or {}).get("lineage") or {}).get("params", {})
            keys = sorted(own["params"].keys() | theirs.keys())
            frame = pl.DataFrame(
                {
                    "Param": keys,
                    "This version": [own["params"].get(one, MISSING) for one in keys],
                    "Champion": [theirs.get(one, MISSING) for one in keys],
                }
            )
            st.dataframe(tables.arrow(frame), hide_index=True, key="params_compared")


def _hashes(content: Mapping[str, Any]) -> None:
    facts = [
        (
            one["subject"],
            f"{short_hash(one['full'] or one['short'])} {hash_verdict(one['verdict'])}".strip(),
        )
        for one in content["hashes"]
    ]
    facts.append(("What the request holds on to", short_hash(content["fingerprint"])))
    facts_table(facts, "Hashes")
