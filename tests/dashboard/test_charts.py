"""What the charts draw, name, leave out and send."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from dashboard.charts.columns import as_categories, as_numbers, distinct
from dashboard.charts.distribution import distribution_chart
from dashboard.charts.histories import HistorySeries, history_figure
from dashboard.charts.importance import ImportanceRow, importance_chart
from dashboard.charts.line_ends import spread
from dashboard.charts.parallel import parallel_coordinates_figure
from dashboard.charts.scatter import scatter_figure
from dashboard.charts.sparkline import sparkline
from dashboard.charts.theme import DASHES, RUN_COLOURS, line_styles, plain, run_colour, run_colours
from dashboard.charts.thinning import extremes, finite

MARKUP = "<b>a</b><br>&lt; $x$ #000001 %{y}"
SAFE = "&lt;b&gt;a&lt;/b&gt;&lt;br&gt;&amp;lt; &#36;x&#36; &#35;000001 &#37;{y}"
INFINITY = sys.float_info.max


def series(y: Any, label: str = "run", **more: Any) -> HistorySeries:
    values = np.asarray(y, dtype=np.float64)
    return HistorySeries(label, "#0072B2", more.pop("x", np.arange(len(values))), values, **more)


def runs(n: int, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "run_id": [f"{position:032x}" for position in range(n)],
            "name": [f"run {position}" for position in range(n)],
            "lr": [f"{value:.8g}" for value in 10 ** rng.uniform(-5, -1, n)],
            "optimizer": rng.choice(["adam", "sgd", "<b>lion</b>"], n).tolist(),
            "rmse": rng.gamma(2.0, 0.1, n),
            "r2": rng.normal(0.7, 0.1, n),
        }
    )


def size(figure: Any) -> int:
    return len(figure.to_json())


def vega(chart: Any) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(chart.to_json())
    return spec


# ---- colours and names


def test_a_run_has_the_same_colour_whatever_it_is_drawn_with() -> None:
    assert run_colours(["a", "b"]) == run_colours(["b", "a"])
    alone = {run_id: run_colours([run_id])[run_id] for run_id in map(str, range(50))}
    assert alone == {run_id: run_colour(run_id) for run_id in alone}
    assert len(set(alone.values())) > 3


def test_no_two_of_ten_runs_share_a_colour_and_no_two_of_forty_a_style() -> None:
    for start in range(30):
        ten = [f"run {number}" for number in range(start, start + 10)]
        assert len(set(run_colours(ten).values())) == 10
    forty = line_styles(f"run {number}" for number in range(len(RUN_COLOURS) * len(DASHES)))
    assert len(set(forty.values())) == len(forty) == 40


def test_more_runs_than_styles_are_still_all_drawn() -> None:
    assert list(line_styles(map(str, range(200)))) == [str(number) for number in range(200)]


def test_names_are_safe_for_plotly() -> None:
    assert plain(MARKUP) == SAFE
    assert plain("line\nbreak") == "line break"
    assert plain("x" * 100, 11) == "xxxxx…xxxxx"


# ---- thinning


@pytest.mark.parametrize("gaps", [False, True])
def test_thinning_keeps_ends_extremes_and_gaps(gaps: bool) -> None:
    values = np.sin(np.arange(10_000) / 300)
    values[1234], values[4321] = 7.0, -7.0
    if gaps:
        values[5000:5010] = np.nan
    kept = extremes(values, 100)
    assert len(kept) <= 100
    assert {0, 1234, 4321, 9999} <= set(kept.tolist())
    assert np.isnan(values[kept]).any() == gaps
    assert (np.diff(kept) > 0).all()


def test_thinning_leaves_short_lines_alone() -> None:
    assert extremes(np.array([3.0, np.nan, 1.0]), 5).tolist() == [0, 1, 2]
    assert extremes(np.full(1000, np.nan), 20).size <= 20


def test_infinities_of_python_and_of_sql_stores_are_not_drawn() -> None:
    assert np.isnan(finite([np.inf, -np.inf, INFINITY, -INFINITY, np.nan])).all()
    assert finite([1, 2]).tolist() == [1.0, 2.0]


def test_a_sparkline_keeps_its_extremes_in_at_most_32_values() -> None:
    values = np.cos(np.arange(5000) / 100)
    values[777] = -9.0
    line = sparkline(values)
    assert len(line) <= 32
    assert min(line) == -9.0
    assert line[0] == values[0]
    assert line[-1] == values[-1]
    assert sparkline([1.0, np.nan, INFINITY, 2.0]) == [1.0, 2.0]
    assert sparkline([]) == []


# ---- histories


def test_a_history_draws_its_points_title_and_axes() -> None:
    figure = history_figure(
        [series([3, 2, 1], x=np.array([0, 10, 20]))], "step", False, "RMSE by step", "RMSE"
    )
    (line,) = figure.data
    assert line.type == "scatter"
    assert np.array_equal(line.x, [0, 10, 20])
    assert np.array_equal(line.y, [3, 2, 1])
    assert figure.layout.title.text == "RMSE by step"
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("Step", "RMSE")
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0, 0, 0, 0)"


def test_few_lines_are_named_at_their_ends_and_many_in_a_legend() -> None:
    few = history_figure([series([1, 2], label=f"{n} {MARKUP}") for n in range(6)], "step", False, "t", "y")
    assert len(few.layout.annotations) == 6
    assert not few.layout.showlegend
    many = history_figure([series([1, 2])] * 7, "step", False, "t", "y")
    assert not many.layout.annotations
    assert many.layout.showlegend
    assert many.layout.height > few.layout.height


def test_names_of_lines_do_not_overlap_nor_leave_the_plot() -> None:
    assert spread([0.0, 1.0, 99.0, 100.0], 100.0) == [0.0, 15.0, 85.0, 100.0]
    assert spread([50.0], 100.0) == [50.0]


def test_names_with_markup_are_shown_as_they_are() -> None:
    figure = history_figure([series([1, 2], label=MARKUP)], "step", False, MARKUP, MARKUP)
    assert figure.layout.title.text == SAFE
    assert figure.layout.yaxis.title.text == SAFE
    assert f"<b>{SAFE}</b>" in figure.data[0].hovertemplate
    assert "<b>a" not in figure.layout.annotations[0].text


def test_relative_times_get_a_unit_that_fits() -> None:
    hours = series([1, 2, 3], x=np.array([0.0, 3600.0, 9000.0]))
    figure = history_figure([hours], "relative", False, "t", "y")
    assert figure.layout.xaxis.title.text == "Time since start (h)"
    assert np.array_equal(figure.data[0].x, [0.0, 1.0, 2.5])
    seconds = history_figure([series([1, 2])], "relative", False, "t", "y")
    assert seconds.layout.xaxis.title.text == "Time since start (s)"


def test_times_are_drawn_in_utc() -> None:
    times = np.array(["2026-01-05T08:00", "2026-01-05T08:01"], dtype="datetime64[ms]")
    figure = history_figure([series([1, 2], x=times)], "time", False, "t", "y")
    assert figure.layout.xaxis.title.text == "Time (UTC)"
    assert list(figure.data[0].x) == ["2026-01-05T08:00:00.000", "2026-01-05T08:01:00.000"]


def test_a_log_axis_leaves_out_zero_and_says_so() -> None:
    figure = history_figure([series([100, 0, -1, 1])], "step", True, "t", "y")
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.yaxis.title.text == "y (log)"
    assert np.isnan(figure.data[0].y).tolist() == [False, True, True, False]
    assert figure.layout.title.subtitle.text == "2 values of zero or less left out"
    assert figure.layout.annotations[0].y == 0.0
    assert figure.layout.yaxis.range == pytest.approx((-0.1, 2.1))


def test_nan_leaves_a_gap_and_infinite_values_are_counted() -> None:
    figure = history_figure([series([1, np.nan, np.inf, INFINITY, 2])], "step", False, "t", "y")
    assert np.isnan(figure.data[0].y).tolist() == [False, True, True, True, False]
    assert figure.layout.title.subtitle.text == "2 infinite values left out"
    assert figure.layout.yaxis.range == pytest.approx((0.95, 2.05))


def test_smoothed_lines_keep_their_raw_line_and_groups_their_band() -> None:
    figure = history_figure(
        [series([1, 2], raw=np.array([0.5, 2.5]), low=np.array([0.0, np.nan]), high=np.array([2.0, 3.0]))],
        "step",
        False,
        "t",
        "y",
    )
    low, high, raw, line = figure.data
    assert high.fill == "tonexty"
    assert np.array_equal(low.y, [0.0])
    assert np.array_equal(high.y, [2.0])
    assert np.array_equal(raw.y, [0.5, 2.5])
    assert "0.3" in raw.line.color
    assert line.line.color == "#0072B2"


def test_a_single_point_is_visible() -> None:
    assert "markers" in history_figure([series([1])], "step", False, "t", "y").data[0].mode


@pytest.mark.parametrize(
    ("lines", "log_y", "reason"),
    [
        ([], False, "No finite value of this metric"),
        ([series([np.nan])], False, "No finite value of this metric"),
        ([series([-1.0])], True, "No value is above zero"),
    ],
)
def test_a_history_without_values_says_why(lines: list[HistorySeries], log_y: bool, reason: str) -> None:
    figure = history_figure(lines, "step", log_y, "RMSE", "y")
    assert not figure.data
    assert reason in figure.layout.annotations[0].text.replace("<br>", " ")
    assert figure.layout.title.text == "RMSE"


def test_the_payload_of_histories_is_bounded() -> None:
    rng = np.random.default_rng(0)
    times = np.datetime64("2026-01-01", "ms") + np.arange(5_000)
    many = [series(rng.normal(size=5_000), label="<" * 300, x=times) for _ in range(250)]
    figure = history_figure(many, "time", False, "t", "y")
    assert size(figure) < 3_000_000
    assert "50 lines of 250 not drawn" in figure.layout.title.subtitle.text
    assert "200 points a line" in figure.layout.title.subtitle.text.replace("<br>", " ")
    assert {trace.type for trace in figure.data} == {"scattergl"}
    banded = [
        series(y := rng.normal(size=50_000), raw=y, low=y - 1, high=y + 1, label=f"run {number}")
        for number in range(5)
    ]
    assert size(history_figure(banded, "step", False, "t", "y")) < 2_000_000


# ---- columns


def test_texts_that_read_as_numbers_are_numbers() -> None:
    numbers = as_numbers(pl.Series(["1", "2e-3", None, "NaN", "inf"]))
    assert numbers is not None
    assert numbers.to_list() == [1.0, 0.002, None, None, None]
    assert as_numbers(pl.Series(["1", "adam"])) is None
    assert as_numbers(pl.Series([True, False])) is None
    assert as_numbers(pl.Series(["3", "1"], dtype=pl.Categorical)).to_list() == [3.0, 1.0]  # type: ignore[union-attr]


def test_rare_categories_are_summed_up_and_missing_ones_named() -> None:
    found = as_categories(pl.Series(["a"] * 3 + ["b"] * 2 + ["c", "d", None]), 4)
    assert found.labels == ("a", "b", "other", "–")
    assert found.codes.to_list() == [0, 0, 0, 1, 1, 2, 2, 3]


def test_categories_that_are_numbers_keep_their_order() -> None:
    assert as_categories(pl.Series(["128", "16", "16", "32"]), 9).labels == ("16", "32", "128")


def test_shortened_labels_stay_distinct() -> None:
    assert distinct(["x" * 60, "x" * 61, "other"])[1].endswith(" (2)")
    assert as_categories(pl.Series(["–", "–", "other", "other", None, "x", "y"]), 4).labels == (
        "other",
        "–",
        "other (2)",
        "– (2)",
    )


# ---- scatter


def test_a_scatter_draws_runs_with_both_values() -> None:
    frame = pl.DataFrame(
        {
            "run_id": ["a" * 32, "b" * 32, "c" * 32],
            "n": [MARKUP] * 3,
            "x": ["1", "2", None],
            "y": [0.5, np.inf, 1.0],
        }
    )
    figure = scatter_figure(frame, "x", "y", names="n")
    (marks,) = figure.data
    assert np.array_equal(marks.x, [1.0])
    assert np.array_equal(marks.y, [0.5])
    assert marks.customdata[0][0] == "a" * 32
    assert "<b>" not in marks.customdata[0][1]
    assert figure.layout.title.text == "y against x: 1 run"
    assert figure.layout.title.subtitle.text == "2 runs without both values left out"
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("x", "y")


def test_a_log_axis_of_a_scatter_leaves_out_zero() -> None:
    frame = pl.DataFrame({"run_id": ["a", "b", "c"], "x": [0.0, 1.0, 10.0], "y": [1.0, 2.0, 3.0]})
    figure = scatter_figure(frame, "x", "y", log_x=True)
    assert figure.layout.xaxis.type == "log"
    assert np.array_equal(figure.data[0].x, [1.0, 10.0])


def test_categories_and_times_have_axes_of_their_own() -> None:
    frame = runs(60).with_columns(
        start=pl.Series([datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(60)])
    )
    figure = scatter_figure(frame, "optimizer", "start")
    assert figure.layout.xaxis.type == "category"
    assert "&lt;b&gt;lion&lt;/b&gt;" in figure.layout.xaxis.categoryarray
    assert set(figure.data[0].x) == set(figure.layout.xaxis.categoryarray)
    assert figure.layout.yaxis.type == "date"
    assert figure.data[0].y[1] == "2026-01-01T01:00:00"


def test_colour_by_category_is_a_trace_each_and_by_number_a_scale() -> None:
    frame = runs(100)
    by_name = scatter_figure(frame, "lr", "rmse", "optimizer")
    assert sorted(trace.name for trace in by_name.data) == ["&lt;b&gt;lion&lt;/b&gt;", "adam", "sgd"]
    assert len({trace.marker.symbol for trace in by_name.data}) == 3
    assert sum(len(trace.x) for trace in by_name.data) == 100
    (by_number,) = scatter_figure(frame, "lr", "rmse", "r2").data
    assert np.allclose(by_number.marker.color, frame["r2"])
    assert by_number.marker.colorbar.title.text == "r2"


def test_runs_without_a_colour_are_grey_and_named() -> None:
    frame = runs(10).with_columns(r2=pl.when(pl.int_range(10) < 4).then(None).otherwise("r2"))
    known, unknown = scatter_figure(frame, "lr", "rmse", "r2").data
    assert (len(known.x), len(unknown.x)) == (6, 4)
    assert unknown.name == "–"


def test_many_runs_become_a_density_or_are_thinned_with_their_extremes() -> None:
    frame = runs(30_000).with_columns(
        rmse=pl.when(pl.int_range(30_000) == 12_345).then(99.0).otherwise("rmse")
    )
    density = scatter_figure(frame, "r2", "rmse")
    assert density.data[0].type == "heatmap"
    assert np.nansum(density.data[0].z) == 30_000
    assert density.layout.title.text.replace("<br>", " ") == "rmse against r2: 30,000 runs, counted by cell"
    thinned = scatter_figure(frame, "r2", "rmse", "optimizer")
    drawn = sum(len(trace.x) for trace in thinned.data)
    assert 19_900 < drawn <= 20_000
    assert f"{drawn:,} of 30,000 runs" in thinned.layout.title.text.replace("<br>", " ")
    assert max(max(trace.y) for trace in thinned.data) == 99.0


def test_a_density_on_a_log_axis_has_cells_of_equal_width_there() -> None:
    edges = scatter_figure(runs(20_001), "lr", "rmse", log_x=True).data[0].x
    assert np.allclose(np.diff(np.log10(edges)), np.diff(np.log10(edges))[0])


def test_the_payload_of_a_scatter_is_bounded() -> None:
    frame = runs(100_000).with_columns(
        name=pl.lit("<&" * 200), group=pl.Series([f"{n:0>400}" for n in range(100_000)])
    )
    assert size(scatter_figure(frame, "r2", "rmse")) < 100_000
    assert size(scatter_figure(frame, "group", "rmse", "optimizer", names="name")) < 5_000_000
    assert size(scatter_figure(frame, "lr", "rmse", "r2", names="run_id")) < 3_000_000


def test_a_scatter_without_runs_says_why() -> None:
    figure = scatter_figure(runs(0), "lr", "rmse")
    assert not figure.data
    assert "No run has both lr and rmse." in figure.layout.annotations[0].text


# ---- parallel coordinates


def dimensions(figure: Any) -> dict[str, Any]:
    return {dimension.label: dimension for dimension in figure.data[0].dimensions}


def test_parallel_coordinates_show_numbers_categories_and_the_metric_last() -> None:
    frame = pl.DataFrame(
        {"layers": ["1", "2", "2"], "optimizer": ["adam", MARKUP, None], "rmse": [0.3, 0.1, 0.2]}
    )
    figure = parallel_coordinates_figure(
        frame, ["layers", "optimizer", "rmse"], "rmse", higher_is_better=False
    )
    found = dimensions(figure)
    assert list(found) == ["layers", "optimizer", "rmse"]
    assert found["layers"]["values"].tolist() == [2, 2, 1]
    assert list(found["layers"].ticktext) == ["1", "2"]
    assert list(found["optimizer"].ticktext)[-1] == "–"
    assert figure.data[0].line.color.tolist() == [1.0, 0.5, 0.0]
    assert figure.layout.title.text == "rmse by params: 3 runs"
    assert "lowest tenth of rmse" in figure.layout.title.subtitle.text


def test_the_best_runs_are_drawn_on_top_whichever_end_is_best() -> None:
    figure = parallel_coordinates_figure(runs(50), ["lr"], "rmse")
    metric = list(dimensions(figure).values())[-1]["values"]
    assert figure.data[0].line.color[np.argmax(metric)] == 1.0


def test_wide_ranges_get_a_log_axis_with_round_ticks() -> None:
    found = dimensions(parallel_coordinates_figure(runs(500), ["lr", "r2"], "rmse"))
    assert list(found["lr (log)"].ticktext) == ["0.0001", "0.001", "0.01"]
    assert "r2" in found
    assert set(found["r2"].ticktext) <= {f"{tick / 10:g}" for tick in range(-10, 30)}


def test_missing_params_stand_below_the_axis_and_missing_metrics_are_counted() -> None:
    frame = pl.DataFrame({"depth": [1.0, 3.0, None, 2.0], "rmse": [0.1, 0.2, 0.3, None]})
    figure = parallel_coordinates_figure(frame, ["depth"], "rmse")
    depth = dimensions(figure)["depth"]
    assert depth["values"].tolist() == pytest.approx([1.0, 3.0, 0.7])
    assert list(depth.ticktext) == ["missing", "1", "3"]
    assert "1 run without rmse left out" in figure.layout.title.subtitle.text.replace("<br>", " ")


def test_parallel_coordinates_are_capped_and_keep_best_and_worst() -> None:
    wide = runs(20_000).with_columns(**{f"p{number}": pl.int_range(20_000) for number in range(30)})
    figure = parallel_coordinates_figure(wide, [f"p{number}" for number in range(30)], "rmse")
    found = dimensions(figure)
    assert len(found) == 12
    (metric,) = [one["values"] for label, one in found.items() if label.startswith("rmse")]
    assert len(metric) == 5_000
    assert 10 ** metric.max() == pytest.approx(wide["rmse"].max())
    assert "11 of 30 columns" in figure.layout.title.subtitle.text.replace("<br>", " ")
    assert "5,000 of 20,000 runs" in figure.layout.title.text
    assert size(figure) < 1_000_000


@pytest.mark.parametrize("columns", [[], ["lr"]])
def test_parallel_coordinates_without_values_say_why(columns: list[str]) -> None:
    frame = runs(3).with_columns(rmse=pl.lit(None, pl.Float64) if columns else pl.lit(1.0))
    figure = parallel_coordinates_figure(frame, columns, "rmse")
    assert not figure.data
    assert "No run has a value of rmse" in figure.layout.annotations[0].text


def test_huge_and_equal_values_have_axes_too() -> None:
    frame = pl.DataFrame({"a": [-1e300, 1e300], "b": [5, 5], "c": [1e-300, 1e300], "rmse": [INFINITY, 1.0]})
    assert len(parallel_coordinates_figure(frame, ["a", "b", "c"], "b").data[0].dimensions) == 3
    assert len(dimensions(parallel_coordinates_figure(frame, ["a"], "rmse"))["a"]["values"]) == 1


# ---- distribution and importance


def test_a_distribution_sends_quantiles_not_runs() -> None:
    frame = pl.DataFrame({"g": ["a"] * 101 + ["b"] * 2, "m": [*map(float, range(101)), 7.0, 9.0]})
    chart = vega(distribution_chart(frame, "m", "g"))
    rows = [row for data in chart["datasets"].values() for row in data]
    (box,) = [row for row in rows if "median" in row]
    assert (box["low"], box["q1"], box["median"], box["q3"], box["high"]) == (5, 25, 50, 75, 95)
    assert (box["least"], box["greatest"], box["runs"]) == (0, 100, 101)
    assert sorted(row["value"] for row in rows if "value" in row) == [7.0, 9.0]
    assert chart["title"]["text"] == ["m by g"]
    assert chart["layer"][0]["encoding"]["x"]["title"] == "m"


def test_the_payload_of_a_distribution_is_bounded() -> None:
    groups = [f"{'x' * 200}{number % 50}" for number in range(100_000)]
    frame = runs(100_000).with_columns(g=pl.Series(groups))
    chart = distribution_chart(frame, "rmse", "g")
    assert size(chart) < 30_000
    (rows,) = vega(chart)["datasets"].values()
    assert len(rows) == 20
    assert rows[-1]["group"] == "other"
    assert sum(row["runs"] for row in rows) == 100_000


def test_a_distribution_leaves_out_what_is_not_a_number_and_names_runs_without_a_group() -> None:
    frame = pl.DataFrame({"g": ["a", None, "a"], "m": [1.0, 2.0, INFINITY]})
    chart = vega(distribution_chart(frame, "m", "g"))
    rows = [row for data in chart["datasets"].values() for row in data]
    assert sorted((row["group"], row["value"]) for row in rows) == [("a", 1.0), ("–", 2.0)]
    assert "1 without a value left out" in " ".join(chart["title"]["subtitle"])


def test_importance_bars_are_sorted_signed_and_capped() -> None:
    rows = [ImportanceRow(f"p{number}", number / 100, -0.5) for number in range(30)]
    chart = vega(
        importance_chart([*rows, ("lr", 0.9, 0.25), ("kind", 0.8, None), ("bad", np.nan, 0.1)], "rmse")
    )
    (bars,) = chart["datasets"].values()
    assert len(bars) == 20
    assert [bar["param"] for bar in bars[:3]] == ["lr", "kind", "p29"]
    assert [bar["correlation"] for bar in bars[:3]] == ["+0.25", "–", "-0.50"]
    assert [bar["direction"] for bar in bars[:3]] == ["rises", "unknown", "falls"]
    assert "20 of 32 params" in " ".join(chart["title"]["subtitle"])
    assert size(importance_chart([ImportanceRow("x" * 500, 0.1)] * 500, "m")) < 20_000


@pytest.mark.parametrize(
    ("chart", "reason"),
    [
        (distribution_chart(runs(0), "rmse", "optimizer"), "No run has a value of rmse."),
        (importance_chart([], "rmse"), "Too few finished runs differ in their params to tell."),
    ],
)
def test_an_altair_chart_without_values_says_why(chart: Any, reason: str) -> None:
    (text,) = vega(chart)["layer"]
    assert " ".join(text["mark"]["text"]) == reason


# ---- the package


def test_charts_and_formats_import_no_streamlit() -> None:
    code = """
import importlib, pkgutil, sys
import dashboard.charts, dashboard.formats
for module in pkgutil.iter_modules(dashboard.charts.__path__):
    importlib.import_module(f"dashboard.charts.{module.name}")
assert "dashboard.charts.scatter" in sys.modules
sys.exit("streamlit" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
