"""One store of a pipeline: its forecast, what is left of it, what the model looks at, and its history."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import streamlit as st

from core.errors import GreenroomError
from core.forecasts.desk import Pipeline
from core.forecasts.logged.reading import ForecastReading
from core.forecasts.measures import ForecastMeasures, measures_by_store
from dashboard import data
from dashboard.charts.events import Event
from dashboard.charts.feature_importance import feature_importance_chart
from dashboard.charts.forecast import compared_figure, forecast_figure, residuals_figure
from dashboard.charts.store_history import store_history_figure
from dashboard.formats import band_label, escape_markdown, number, points
from dashboard.widgets import links, promotions, states, tables
from dashboard.widgets.store_table import STORE

_HISTORY = {
    "sMAPE": ("smape", "%"),
    "WAPE": ("wape", "%"),
    "R²": ("r2", ""),
    "RMSE": ("rmse", ""),
    "MAE": ("mae", ""),
}
_NEAR = 1e-6


def draw(pipeline: Pipeline, old: Pipeline | None) -> None:
    """Draw the store that the URL names, else the first."""
    store = _choose(pipeline)
    row = pipeline.stores.filter(pl.col("store") == store).row(0, named=True)
    _figures(row)
    if row["failure"] is not None:
        states.empty(f"Store {store} has no model: {row['failure']}. The other stores are not affected.")
        _link(row["run_id"])
        return
    reading = _read(pipeline, store)
    if reading is not None and reading.rows.height:
        _forecast(pipeline, old, store, reading)
    _link(row["run_id"])
    left, right = st.columns(2)
    with left:
        _importance(pipeline, store, row["run_id"])
    with right:
        _history(pipeline, store)
    if reading is not None and reading.rows.height:
        _recomputed(pipeline, row, reading)


def _choose(pipeline: Pipeline) -> str:
    codes = pipeline.stores["store"].to_list()
    asked = st.query_params.get(STORE, "")
    if asked and asked not in codes:
        st.warning(
            f"This pipeline has no store {escape_markdown(asked)}; the first one is shown.",
            icon=":material/warning:",
        )
    chosen = asked if asked in codes else codes[0]
    key = f"one_store:{chosen}"
    st.selectbox(
        "Store",
        codes,
        index=codes.index(chosen),
        key=key,
        on_change=lambda: st.query_params.update({STORE: st.session_state[key]}),
        width=280,
    )
    return chosen


def _figures(row: dict[str, object]) -> None:
    with st.container(horizontal=True, gap="medium"):
        st.metric("Quality", band_label(str(row["quality"])), width="content")
        for title, name, write in (
            ("sMAPE", "smape", points),
            ("WAPE", "wape", points),
            ("R²", "r2", number),
            ("RMSE", "rmse", number),
            ("MAE", "mae", number),
            ("MASE", "mase", number),
            ("Bias", "bias", points),
            ("Volume", "volume", number),
        ):
            value = row[name]
            if isinstance(value, float):
                st.metric(title, write(value), width="content", help=repr(value))


def _read(pipeline: Pipeline, store: str) -> ForecastReading | None:
    try:
        reading = data.store_forecast(pipeline, store)
    except GreenroomError as error:
        states.failed(error)
        return None
    for problem in reading.problems:
        st.warning(escape_markdown(problem), icon=":material/warning:")
    for note in reading.notes:
        st.caption(f"· {escape_markdown(note)}")
    return reading


def _forecast(pipeline: Pipeline, old: Pipeline | None, store: str, reading: ForecastReading) -> None:
    rows = reading.rows
    unit = pipeline.told("sales_column") or "Sales"
    before = _old_rows(old, store) if old is not None else None
    events = _promotions(pipeline, old, store, rows)
    if old is not None and before is not None and before.height:
        names = {"old": _named(old), "new": _named(pipeline)}
        figure = compared_figure(before, rows, store, y_title=unit, events=_within(events, rows), **names)
        st.plotly_chart(figure, key="compared", alt="Actual sales and both forecasts")
    whole = rows.filter(pl.col("split") == "train").height > 0
    all_rows = whole and st.toggle("Training period too", key="train", bind="query-params")
    shown = rows if all_rows else _recent(rows)
    st.plotly_chart(
        forecast_figure(shown, store=store, y_title=unit, events=_within(events, shown)),
        key="forecast",
        alt="Actual and predicted sales",
    )
    st.plotly_chart(residuals_figure(rows, y_title=unit), key="residuals", alt="What the forecast missed")
    with st.expander("Data"):
        listed = rows.with_columns((pl.col("actual") - pl.col("predicted")).alias("residual"))
        tables.with_download(
            listed.select(
                pl.col("time").cast(pl.Date).alias("Date"),
                pl.col("split").alias("Part"),
                pl.col("actual").alias("Actual"),
                pl.col("predicted").alias("Predicted"),
                pl.col("lower").alias("Lower"),
                pl.col("upper").alias("Upper"),
                pl.col("residual").alias("Actual - predicted"),
            ),
            "forecast",
            "periods",
            last=True,
            placeholder="–",
        )


def _promotions(pipeline: Pipeline, old: Pipeline | None, store: str, rows: pl.DataFrame) -> list[Event]:
    """Return when models made from these pipelines, or from this store's runs, changed in Production."""
    shown = [one for one in (pipeline, old) if one is not None]
    run_ids = {one.run.run_id for one in shown}
    for one in shown:
        run_ids |= set(one.stores.filter(pl.col("store") == store)["run_id"].drop_nulls().to_list())
    first, last = _period(rows)
    return promotions.events_of(data.workspace(), run_ids, first, last)


def _within(events: list[Event], rows: pl.DataFrame) -> list[Event]:
    first, last = _period(rows)
    return [one for one in events if first <= one[0] <= last]


def _period(rows: pl.DataFrame) -> tuple[np.datetime64, np.datetime64]:
    times = rows["time"].drop_nulls().cast(pl.Datetime("us")).to_numpy()
    return times.min(), times.max()


def _recent(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the test rows and as long a time before them again."""
    test = rows.filter(pl.col("split") == "test")["time"]
    first, last = test.min(), test.max()
    if first is None or last is None:
        return rows
    return rows.filter(pl.col("time") >= pl.lit(first) - 2 * (pl.lit(last) - pl.lit(first)))


def _old_rows(old: Pipeline, store: str) -> pl.DataFrame | None:
    if store not in set(old.stores["store"]):
        st.caption(f"{escape_markdown(_named(old))} has no store {escape_markdown(store)}.")
        return None
    try:
        return data.store_forecast(old, store).rows
    except GreenroomError as error:
        states.failed(error)
        return None


def _named(pipeline: Pipeline) -> str:
    """Name a pipeline briefly: by its model, and the start of its id."""
    kind = pipeline.told("model") or pipeline.run.name or "pipeline"
    return f"{kind} · {pipeline.run.run_id[:8]}"


def _link(run_id: str) -> None:
    st.page_link(
        links.RUN_PAGE, label="The store's run", query_params={"run": run_id}, icon=":material/description:"
    )


def _importance(pipeline: Pipeline, store: str, run_id: str) -> None:
    try:
        own = data.importance_of(run_id)
        found = own or data.importance_of(pipeline.run.run_id)
    except GreenroomError as error:
        states.failed(error)
        return
    if not found:
        st.caption("No feature importance was logged.")
        return
    what = f"store {store}" if own else "one model for all stores"
    st.altair_chart(feature_importance_chart(found, what), key="importance")
    with st.expander("Data"):
        table = pl.DataFrame(list(found), schema=["Feature", "Importance"], orient="row")
        tables.with_download(table, "importance", "features")


def _history(pipeline: Pipeline, store: str) -> None:
    found = data.workspace().forecasts.history(pipeline, store)
    if not found.height:
        st.caption("No other pipeline has this store.")
        return
    measure = st.selectbox("Measure", list(_HISTORY), key="history_measure", bind="query-params", width=160)
    name, unit = _HISTORY[measure or "sMAPE"]
    drawn = found.select("time", "name", pl.col("pipeline").alias("run_id"), pl.col(name).alias("value"))
    st.plotly_chart(
        store_history_figure(drawn, measure or "sMAPE", unit, pipeline.run.run_id),
        key="store_history",
        alt="This store over pipelines",
    )
    with st.expander("Data"):
        tables.with_download(
            found.select(
                pl.col("time").alias("Started"),
                pl.col("name").alias("Pipeline"),
                pl.col("smape").alias("sMAPE %"),
                pl.col("wape").alias("WAPE %"),
                pl.col("r2").alias("R²"),
                pl.col("rmse").alias("RMSE"),
            ),
            "store_history",
            "pipelines",
        )


def _recomputed(pipeline: Pipeline, row: dict[str, object], reading: ForecastReading) -> None:
    """Say whether what was logged follows from the logged predictions."""
    measured = measures_by_store(reading.rows).get(str(row["store"]))
    if measured is None:
        return
    if pipeline.from_table:
        _against_logged(pipeline)
        return
    off = [
        name
        for name in ("mae", "rmse", "r2", "smape", "wape")
        if isinstance(row[name], float) and not _same(row[name], getattr(measured, name))
    ]
    if off:
        st.warning(
            f"Logged and recomputed from {escape_markdown(str(reading.table))} differ in: {', '.join(off)}. "
            "What was logged is shown.",
            icon=":material/warning:",
        )
    else:
        st.caption(f"✓ The logged measures follow from {escape_markdown(str(reading.table))}.")


def _against_logged(pipeline: Pipeline) -> None:
    """Lay what the run logged beside what its whole table gives."""
    whole = whole_table(pipeline)
    logged = {"".join(c for c in key.lower() if c.isalnum()): key for key in pipeline.run.metrics}
    rows = [
        (title, getattr(whole, name), pipeline.run.metrics.get(logged.get(name, "")))
        for title, name in (
            ("MAE", "mae"),
            ("RMSE", "rmse"),
            ("sMAPE % (0 to 200)", "smape"),
            ("WAPE %", "wape"),
        )
    ]
    st.markdown("**The whole table: recomputed and logged**")
    st.dataframe(
        tables.arrow(
            pl.DataFrame(
                rows,
                schema={"Measure": pl.String, "Recomputed": pl.Float64, "Logged": pl.Float64},
                orient="row",
            )
        ),
        hide_index=True,
        key="recomputed",
        placeholder="–",
        column_config={
            "Recomputed": st.column_config.NumberColumn(format="%.6f"),
            "Logged": st.column_config.NumberColumn(format="%.6f"),
        },
    )


def whole_table(pipeline: Pipeline) -> ForecastMeasures:
    """Measure the forecast table of a run as a whole, all its stores together."""
    rows = data.workspace().forecasts.forecast_of_run(pipeline.run.run_id).rows
    together = rows.with_columns(pl.lit("all").alias("store"))
    return measures_by_store(together).get("all", ForecastMeasures(0, 0.0))


def _same(logged: object, found: float | None) -> bool:
    return (
        isinstance(logged, float)
        and found is not None
        and math.isclose(logged, found, rel_tol=_NEAR, abs_tol=_NEAR)
    )
