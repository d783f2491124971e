"""Run: everything about one run, from summary to artifacts."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import streamlit as st

from core.errors import GreenroomError, NotFoundError
from core.runs.comparison.metric_direction import is_clockwork
from core.runs.explorer import RunExplorer
from core.runs.filters import equals
from core.runs.reproducibility import check_hashes
from core.runs.sources.uris import StoreKind
from core.runs.types import Run
from core.training.types import JOB_TAG
from dashboard import data
from dashboard.charts.sparkline import sparkline
from dashboard.formats import (
    ago,
    count,
    duration,
    escape_markdown,
    exact_time,
    hash_verdict,
    number,
    short_id,
    status_label,
)
from dashboard.widgets import (
    artifact_browser,
    choices,
    history_panel,
    links,
    rereading,
    run_versions,
    states,
    tables,
)

_HEADLINE_METRICS = 6
_SPARKLINES = 20


def render() -> None:
    """Draw the page."""
    runs = data.workspace().runs
    wanted = st.query_params.get("run", "").strip()
    if not wanted:
        _choose(runs)
        return
    try:
        rereading.reread(runs, runs.run(wanted).run_id)
        run = runs.run(wanted)
    except NotFoundError as error:
        states.failed(error)
        _choose(runs)
        return
    _header(runs, run)
    sections: dict[str, Callable[[RunExplorer, Run], None]] = {
        "Metrics": _metrics,
        "Params": _params,
        "Artifacts": lambda runs, run: artifact_browser.draw(run),
        "Data and hashes": _data,
        "Children": _children,
        "Tags": _tags,
    }
    chosen = choices.choose("Section", list(sections), "section")
    sections[chosen](runs, run)


def _choose(runs: RunExplorer) -> None:
    text = st.text_input("Run id", key="run_id", placeholder="An id, or its first characters")
    if text:
        links.open_run(text.strip())
    st.page_link(links.RUNS_PAGE, label="Find a run", icon=":material/table_rows:")


def _header(runs: RunExplorer, run: Run) -> None:
    from datetime import UTC, datetime

    names = {one.experiment_id: one.name for one in runs.experiments()}
    st.subheader(escape_markdown(run.name or short_id(run.run_id)), anchor=False)
    started = ago(run.start_time, datetime.now(UTC)) if run.start_time else "–"
    seconds = (run.end_time - run.start_time).total_seconds() if run.end_time and run.start_time else None
    facts = [
        f"**{status_label(run.status)}**" + (" · deleted" if run.lifecycle_stage == "deleted" else ""),
        f"in {escape_markdown(names.get(run.experiment_id, run.experiment_id))}",
        f"started {started}",
        f"took {duration(seconds)}",
        f"by {escape_markdown(run.user or 'unknown')}",
    ]
    st.markdown(
        " · ".join(facts), help=f"Started {exact_time(run.start_time)}, ended {exact_time(run.end_time)}"
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.code(run.run_id, language=None, width="content")
        if run.parent_run_id:
            st.page_link(
                links.RUN_PAGE,
                label="Parent run",
                query_params={"run": run.parent_run_id},
                icon=":material/arrow_upward:",
            )
        if "mlflow.loggedArtifacts" in run.tags:
            st.page_link(
                links.BACKTESTS_PAGE,
                label="Backtest",
                query_params={"runs": run.run_id},
                icon=":material/monitoring:",
            )
        pipeline = _pipeline(run)
        if pipeline:
            st.page_link(
                links.STORES_PAGE, label="Stores", query_params=pipeline, icon=":material/storefront:"
            )
        _job(run)
        address = data.workspace().address
        if address.kind is StoreKind.HTTP:
            url = f"{address.shown}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
            st.link_button("Open in MLflow", url, icon=":material/open_in_new:")
    note = run.tags.get("mlflow.note.content")
    if note:
        st.caption(escape_markdown(note[:2000]))
    shown = sorted(run.metrics.items(), key=lambda pair: is_clockwork(pair[0]))[:_HEADLINE_METRICS]
    if shown:
        with st.container(horizontal=True, gap="large"):
            for key, value in shown:
                st.metric(escape_markdown(key), number(value), width="content", help=repr(value))


def _job(run: Run) -> None:
    """Draw the ways to the job that made this run, and to launching it once more."""
    number_of = run.tags.get(JOB_TAG, "")
    if not number_of.isdecimal() or len(number_of) > 15:
        return
    for label, query, icon in (
        (f"Job {number_of}", links.job_query(int(number_of)), ":material/model_training:"),
        ("Train again", links.again_query(int(number_of)), ":material/replay:"),
    ):
        st.page_link(links.TRAINING_PAGE, label=label, query_params=query, icon=icon)


def _pipeline(run: Run) -> dict[str, str]:
    """Return what the Stores page needs to show this pipeline, or this store of its pipeline."""
    store = run.params.get("store_code")
    if store and run.parent_run_id:
        return {"run": run.parent_run_id, "show": "One store", "store": store}
    return {"run": run.run_id} if "total_stores_attempted" in run.metrics else {}


def _metrics(runs: RunExplorer, run: Run) -> None:
    keys = sorted(run.metrics, key=lambda key: (is_clockwork(key), key))
    if not keys:
        states.empty("This run logged no metrics.")
        return
    history_panel.draw([run], keys, "history")
    lines = [_line(run, key) if at < _SPARKLINES else None for at, key in enumerate(keys)]
    frame = pl.DataFrame(
        {"Metric": keys, "Last": [number(run.metrics[key]) for key in keys], "History": lines},
        schema={"Metric": pl.String, "Last": pl.String, "History": pl.List(pl.Float64)},
    )
    st.dataframe(
        tables.arrow(frame),
        hide_index=True,
        key="metrics_table",
        column_config={
            "Last": st.column_config.TextColumn(alignment="right"),
            "History": st.column_config.LineChartColumn(width="medium"),
        },
    )


def _line(run: Run, key: str) -> list[float] | None:
    try:
        found = data.histories((run.run_id,), key)
    except GreenroomError:
        return None
    return sparkline(found[0].values) if found and len(found[0]) > 1 else None


def _params(runs: RunExplorer, run: Run) -> None:
    _pairs("param", run.params, "params_table")


def _tags(runs: RunExplorer, run: Run) -> None:
    _pairs("tag", run.tags, "tags_table")


def _pairs(noun: str, values: object, key: str) -> None:
    pairs = sorted(dict(values).items())  # type: ignore[call-overload]
    if not pairs:
        states.empty(f"This run logged no {noun}s.")
        return
    frame = pl.DataFrame({noun.capitalize(): [one for one, _ in pairs], "Value": [one for _, one in pairs]})
    st.dataframe(tables.arrow(frame), hide_index=True, key=key)


def _data(runs: RunExplorer, run: Run) -> None:
    if run.datasets:
        st.dataframe(
            tables.arrow(
                pl.DataFrame(
                    {
                        "Data set": [one.name for one in run.datasets],
                        "Context": [one.context or "–" for one in run.datasets],
                        "Digest": [one.digest for one in run.datasets],
                        "Source": [one.source[:200] for one in run.datasets],
                    }
                )
            ),
            hide_index=True,
            key="datasets_table",
        )
    else:
        st.caption("This run logged no data set.")
    checks = check_hashes(run)
    st.dataframe(
        tables.arrow(
            pl.DataFrame(
                {
                    "Hash of": [one.subject for one in checks],
                    "Short": [one.short or "–" for one in checks],
                    "Full": [one.full or "–" for one in checks],
                    "Verification": [hash_verdict(one.verdict) for one in checks],
                }
            )
        ),
        hide_index=True,
        key="hashes_table",
    )
    run_versions.draw(run)


def _children(runs: RunExplorer, run: Run) -> None:
    children = runs.children(run.run_id)
    if not len(children):
        states.empty("This run has no child runs.")
        return
    metrics = [f"metrics.{key}" for key in sorted(run.metrics)][:_HEADLINE_METRICS]
    frame = runs.table(children, metrics, children.places[:1000].tolist())
    clause = equals("tags.`mlflow.parentRunId`", run.run_id)
    left, right = st.columns(2)
    left.markdown(count(len(children), "child run"))
    right.page_link(links.RUNS_PAGE, label="Show them in Runs", query_params={"q": clause or ""})
    st.dataframe(
        tables.arrow(
            frame.select(
                pl.col("name").alias("Name"),
                pl.col("run_id").map_elements(links.run_url, return_dtype=pl.String).alias("Run"),
                pl.col("status").map_elements(status_label, return_dtype=pl.String).alias("Status"),
                *[pl.col(one).alias(one.partition(".")[2]) for one in metrics],
            )
        ),
        hide_index=True,
        key="children_table",
        column_config={"Run": st.column_config.LinkColumn(display_text=r"run=(.{8})")},
    )


render()
