"""Charts over all matching runs: scatter, parallel coordinates, distribution, hyperparameter importance."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import streamlit as st

from core.errors import GreenroomError
from core.runs.comparison.metric_direction import is_clockwork, known_direction
from core.runs.explorer import Matches, RunExplorer
from dashboard import data
from dashboard.charts.distribution import distribution_chart
from dashboard.charts.importance import importance_chart
from dashboard.charts.parallel import parallel_coordinates_figure
from dashboard.charts.scatter import scatter_figure
from dashboard.formats import count, escape_markdown, number, percent
from dashboard.widgets import choices, links, states, tables

_TABLE_ROWS = 1_000
_FIRST_PARAMS = 6
_PARAMS_RANKED = 40


def draw(runs: RunExplorer, matches: Matches) -> None:
    """Draw the chosen chart."""
    metrics = sorted((key for key, _ in _keys(matches, "metrics")), key=is_clockwork)
    params = _varying_first(matches, [key for key, _ in _keys(matches, "params")])
    if not len(matches) or not metrics:
        states.empty("The matching runs have no metrics to draw. Widen the filter, or log metrics.")
        return
    for key, options in (
        ("x", _fields(metrics, params)),
        ("y", _fields(metrics, params)),
        ("metric", metrics),
    ):
        choices.keep_valid(key, options)
    charts: dict[str, Callable[[RunExplorer, Matches, list[str], list[str]], None]] = {
        "Scatter": _scatter,
        "Parallel coordinates": _parallel,
        "Distribution": _distribution,
        "Importance": _importance,
    }
    kind = choices.choose("Chart", list(charts), "chart")
    charts[kind](runs, matches, metrics, params)


def _keys(matches: Matches, table: str) -> tuple[tuple[str, int], ...]:
    experiments = matches.snapshot.frame["experiment_id"].gather(matches.places.tolist()).unique()
    return matches.snapshot.keys_in(table, experiments.to_list())


def _varying_first(matches: Matches, params: list[str]) -> list[str]:
    """Put params that vary as numbers first, then other varying ones, and constant ones last."""

    def rank(key: str) -> int:
        column = matches.snapshot.column("params", key).gather(matches.places.tolist()).drop_nulls()
        if column.n_unique() < 2:
            return 2
        return 0 if column.cast(pl.Float64, strict=False).null_count() == 0 else 1

    return sorted(params[:_PARAMS_RANKED], key=rank) + params[_PARAMS_RANKED:]


def _fields(metrics: list[str], params: list[str]) -> list[str]:
    return [f"metrics.{key}" for key in metrics] + [f"params.{key}" for key in params]


def _label(field: str) -> str:
    return field.partition(".")[2] + (" (param)" if field.startswith("params.") else "")


def _named(frame: pl.DataFrame, fields: list[str]) -> pl.DataFrame:
    """Give columns the names that axes show."""
    return frame.rename({field: _label(field) for field in dict.fromkeys(fields)})


def _below(frame: pl.DataFrame, columns: list[str]) -> None:
    with st.expander("Data"):
        if frame.height > _TABLE_ROWS:
            st.caption(
                f"The first {_TABLE_ROWS:,} of {count(frame.height, 'run')}; export the whole from the bar above."
            )
        st.dataframe(tables.arrow(frame.select(columns).head(_TABLE_ROWS)), hide_index=True, key="chart_data")


def _scatter(runs: RunExplorer, matches: Matches, metrics: list[str], params: list[str]) -> None:
    fields = _fields(metrics, params)
    columns = st.columns(4, vertical_alignment="bottom")
    x = columns[0].selectbox(
        "X", fields, index=len(metrics) if params else 0, key="x", bind="query-params", format_func=_label
    )
    y = columns[1].selectbox("Y", fields, key="y", bind="query-params", format_func=_label)
    colours = ["(none)", "status", "user", "experiment", *fields]
    choices.keep_valid("colour", colours)
    colour = columns[2].selectbox(
        "Colour",
        colours,
        key="colour",
        bind="query-params",
        format_func=_label_or_plain,
    )
    with columns[3].container(horizontal=True):
        log_x = st.toggle("Log X", key="log_x", bind="query-params")
        log_y = st.toggle("Log Y", key="log_y", bind="query-params")
    wanted = [field for field in dict.fromkeys((x, y, colour)) if field.startswith(("metrics.", "params."))]
    frame = _named(runs.table(matches, wanted), wanted)
    figure = scatter_figure(
        frame,
        _label(x),
        _label(y),
        None if colour == "(none)" else _label_or_plain(colour),
        names="name",
        log_x=log_x,
        log_y=log_y,
    )
    state = st.plotly_chart(
        figure,
        key="scatter",
        on_select="rerun",
        selection_mode="points",
        alt=f"{_label(y)} against {_label(x)}, one mark a run",
    )
    points = state["selection"]["points"]
    if points and points[0].get("customdata"):
        run_id = str(points[0]["customdata"][0])
        if st.button(f"Open {escape_markdown(runs.run(run_id).name or run_id[:8])}", key="open_point"):
            links.open_run(run_id)
    _below(frame, list(dict.fromkeys(["name", "run_id", *[_label(field) for field in wanted]])))


def _label_or_plain(field: str) -> str:
    return _label(field) if "." in field else field


def _parallel(runs: RunExplorer, matches: Matches, metrics: list[str], params: list[str]) -> None:
    left, right = st.columns([1, 3], vertical_alignment="bottom")
    metric = left.selectbox("Metric", metrics, key="metric", bind="query-params")
    varying = [key for key in params if _varies(matches, key)]
    choices.keep_valid("axes", varying)
    chosen = right.multiselect(
        "Params", varying, default=varying[:_FIRST_PARAMS], key="axes", bind="query-params", max_selections=11
    )
    fields = [f"params.{key}" for key in chosen] + [f"metrics.{metric}"]
    frame = _named(runs.table(matches, fields), fields)
    higher = runs.directions().get(metric, known_direction(metric))
    figure = parallel_coordinates_figure(
        frame, [_label(f"params.{key}") for key in chosen], metric, higher_is_better=higher is not False
    )
    st.plotly_chart(figure, key="parallel", alt=f"Params of each run and its {metric}")
    _below(frame, ["name", "run_id", *[_label(field) for field in fields]])


def _varies(matches: Matches, key: str) -> bool:
    column = matches.snapshot.column("params", key)
    return column.gather(matches.places.tolist()).n_unique() > 1


def _distribution(runs: RunExplorer, matches: Matches, metrics: list[str], params: list[str]) -> None:
    left, right = st.columns(2, vertical_alignment="bottom")
    metric = left.selectbox("Metric", metrics, key="metric", bind="query-params")
    tags = [key for key, _ in _keys(matches, "tags") if not key.startswith("mlflow.")]
    groups = [
        "experiment",
        "status",
        "user",
        *[f"params.{key}" for key in params],
        *[f"tags.{key}" for key in tags],
    ]
    choices.keep_valid("group", groups)
    group = right.selectbox("Group by", groups, key="group", bind="query-params")
    wanted = [f"metrics.{metric}", *([group] if "." in group else [])]
    frame = runs.table(matches, wanted).rename({f"metrics.{metric}": metric})
    name = group.partition(".")[2] or group
    frame = frame.rename({group: name}) if group != name and name not in frame.columns else frame
    st.altair_chart(
        distribution_chart(frame, metric, name if name in frame.columns else group),
        key="distribution",
        width="stretch",
    )
    _below(frame, list(dict.fromkeys(["name", "run_id", metric, name if name in frame.columns else group])))


def _importance(runs: RunExplorer, matches: Matches, metrics: list[str], params: list[str]) -> None:
    metric = st.selectbox("Metric", metrics, key="metric", bind="query-params")
    try:
        found = data.importance(matches, metric)
    except GreenroomError as error:
        states.failed(error)
        return
    for warning in found.warnings:
        st.warning(escape_markdown(warning), icon=":material/warning:")
    rows = [(row.param, row.importance, row.correlation) for row in found.rows]
    st.altair_chart(importance_chart(rows, metric), key="importance", width="stretch")
    trust = "–" if found.r2_oob is None else number(found.r2_oob)
    st.caption(
        f"A random forest over {count(found.n_runs, 'run')}; it explains unseen runs with R² = {trust} (of ranks)."
    )
    with st.expander("Data"):
        st.dataframe(
            tables.arrow(
                pl.DataFrame(
                    {
                        "Param": [row.param for row in found.rows],
                        "Importance": [percent(row.importance) for row in found.rows],
                        "Spearman": [number(row.correlation) for row in found.rows],
                        "Kind": [row.kind.value for row in found.rows],
                        "Values": [row.n_values for row in found.rows],
                        "Missing": [row.missing for row in found.rows],
                    }
                )
            ),
            hide_index=True,
            key="importance_data",
        )
