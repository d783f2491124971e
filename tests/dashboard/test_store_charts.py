"""What the charts of store forecasts draw, name, leave out and send."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.forecasts.bands import BANDS, Band
from core.forecasts.types import PREDICTIONS, STORES
from dashboard.charts.bands import BAND_COLOURS, BAND_SYMBOLS, bands_chart
from dashboard.charts.clipping import Window, arrows, window
from dashboard.charts.feature_importance import feature_importance_chart
from dashboard.charts.forecast import MAX_BARS, compared_figure, forecast_figure, residuals_figure
from dashboard.charts.forecast_lines import MAX_POINTS
from dashboard.charts.store_changes import changes_figure, harm_chart
from dashboard.charts.store_history import store_history_figure
from dashboard.charts.store_quality import quality_figure
from dashboard.charts.theme import TEXT_GREY

MARKUP = "<b>a</b><br>&lt; $x$ #000001 %{y}"
SAFE = "&lt;b&gt;a&lt;/b&gt;&lt;br&gt;&amp;lt; &#36;x&#36; &#35;000001 &#37;{y}"
INFINITY = sys.float_info.max
START = np.datetime64("2024-01-01", "us")
DAY = np.timedelta64(1, "D")


def measured(**columns: Any) -> pl.DataFrame:
    """Return stores with the columns given, everything else missing."""
    rows = max(len(values) for values in columns.values())
    given = {"store": [str(number) for number in range(rows)], **columns}
    return pl.DataFrame(
        [
            pl.Series(name, given.get(name, [None] * rows), dtype=dtype, strict=False)
            for name, dtype in STORES.items()
        ]
    )


def many(n: int, store: str = "Store {}") -> pl.DataFrame:
    rng = np.random.default_rng(0)
    r2 = 1 - rng.gamma(1.2, 0.25, n)
    return measured(
        store=[store.format(number) for number in range(n)],
        partner=[f"Partner {number % 9}" for number in range(n)],
        quality=rng.choice(["excellent", "good", "fair", "poor"], n).tolist(),
        r2=r2,
        smape=np.clip(40 * (1 - r2), 0, 200),
        wape=40 * (1 - r2),
        volume=rng.lognormal(12, 1, n),
    )


def days(n: int) -> Any:
    return START + np.arange(n) * DAY


def forecasts(actual: Any, predicted: Any, test: int = 0, times: Any = None, **columns: Any) -> pl.DataFrame:
    """Return the rows of one store, the last `test` of which are of the test period."""
    n = len(actual)
    given = {
        "store": ["7"] * n,
        "time": days(n) if times is None else times,
        "split": ["train"] * (n - test) + ["test"] * test,
        "actual": actual,
        "predicted": predicted,
        **columns,
    }
    return pl.DataFrame(
        [pl.Series(name, given.get(name, [None] * n), dtype=dtype) for name, dtype in PREDICTIONS.items()]
    )


def forecast(rows: pl.DataFrame, **more: Any) -> Any:
    return forecast_figure(rows, store="7", y_title="Sales (EUR)", **more)


def changed(**columns: Any) -> pl.DataFrame:
    rows = max(len(values) for values in columns.values())
    types = {
        "store": pl.String(),
        "verdict": pl.String(),
        "significant": pl.Boolean(),
        **dict.fromkeys(("old", "new", "change", "volume", "harm"), pl.Float64()),
    }
    given = {"store": [str(number) for number in range(rows)], **columns}
    return pl.DataFrame(
        [pl.Series(name, given.get(name, [None] * rows), dtype=dtype) for name, dtype in types.items()]
    )


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data if trace.name}


def note(figure: Any) -> str:
    return str(figure.layout.title.subtitle.text).replace("<br>", " ")


def message(figure: Any) -> str:
    return str(figure.layout.annotations[0].text).replace("<br>", " ")


def size(figure: Any) -> int:
    return len(figure.to_json())


def vega(chart: Any) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(chart.to_json())
    return spec


def rows_of(chart: Any) -> list[dict[str, Any]]:
    """Return the rows behind the bars of a chart."""
    return max(vega(chart)["datasets"].values(), key=len)  # type: ignore[no-any-return]


def under(chart: Any) -> str:
    return " ".join(vega(chart)["title"]["subtitle"])


def luminance(colour: str) -> float:
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


# ---- limits


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=60))
def test_most_values_lie_within_the_limits_and_the_others_are_drawn_beside_them(values: list[float]) -> None:
    numbers = np.array(values)
    found = window(numbers)
    low, high = found.limits
    assert numbers.min() <= found.low <= found.high <= numbers.max()
    assert ((numbers >= found.low) & (numbers <= found.high)).mean() >= 0.5
    placed = found.placed(numbers)
    assert ((placed >= low) & (placed <= high)).all()


def test_a_single_far_value_does_not_stretch_an_axis_but_a_wide_spread_does() -> None:
    assert window(np.append(np.linspace(0, 1, 50), 1e6)).high < 10
    assert window(np.linspace(-500, 1, 50)) == Window(-500, 1)


def test_arrows_point_to_where_a_value_lies() -> None:
    sides = np.array([0, 0, 1, -1], dtype=np.int8)
    assert arrows(sides, np.array([0, -1, 0, 1], dtype=np.int8), "square") == [
        "square",
        "triangle-down",
        "triangle-right",
        "triangle-nw",
    ]
    assert arrows(sides[1:2], np.array([1], dtype=np.int8), "square-open") == ["triangle-up-open"]


# ---- bands


def test_every_band_has_a_colour_seen_on_white_and_on_black_and_a_symbol_of_its_own() -> None:
    assert set(BAND_COLOURS) == set(BAND_SYMBOLS) == set(BANDS)
    assert len(set(BAND_COLOURS.values())) == len(set(BAND_SYMBOLS.values())) == len(BANDS)
    for colour in BAND_COLOURS.values():
        light = luminance(colour)
        assert 1.05 / (light + 0.05) >= 3
        assert (light + 0.05) / 0.05 >= 3


def test_bands_are_bars_in_order_with_their_shares_of_stores_and_sales() -> None:
    counts = {Band.POOR: 1, Band.EXCELLENT: 2, Band.GOOD: 1, Band.FAILED: 1}
    chart = bands_chart(counts, {Band.EXCELLENT: 90.0, Band.GOOD: 9.996, Band.POOR: 0.004})
    assert [(row["band"], row["stores"], row["text"]) for row in rows_of(chart)] == [
        ("● Excellent", 2, "2 stores · 40.0% · 90.0% of sales"),
        ("■ Good", 1, "1 store · 20.0% · 10.0% of sales"),
        ("◆ Fair", 0, "0 stores · 0%"),
        ("✚ Poor", 1, "1 store · 20.0% · <0.01% of sales"),
        ("✕ Failed", 1, "1 store · 20.0%"),
    ]
    spec = vega(chart)
    assert spec["title"]["text"] == ["Forecast quality of 5 stores"]
    assert under(chart) == "excellent or good: 60.0% of stores, 100.0% of sales"
    assert spec["layer"][0]["encoding"]["x"]["title"] == "Stores"
    colours = spec["layer"][0]["encoding"]["color"]["scale"]
    assert colours["range"][-1] == BAND_COLOURS[Band.FAILED]


@pytest.mark.parametrize("volumes", [None, {}, {Band.GOOD: 0.0}, {Band.GOOD: float("nan")}])
def test_bands_without_sales_tell_of_stores_only(volumes: dict[Band, float] | None) -> None:
    chart = bands_chart({Band.GOOD: 3}, volumes)
    assert [row["text"] for row in rows_of(chart)] == ["0 stores · 0%", "3 stores · 100.0%"] + [
        "0 stores · 0%"
    ] * 2
    assert under(chart) == "excellent or good: 100.0% of stores"


def test_no_store_at_all_is_said() -> None:
    assert "No store has been measured yet." in bands_chart({}, None).to_json()


# ---- quality of stores


def test_each_store_is_a_mark_that_knows_its_store() -> None:
    stores = measured(
        partner=["North", None, "South"],
        quality=["excellent", "poor", "excellent"],
        r2=[0.9, 0.1, 0.95],
        smape=[8.0, 44.125, 5.0],
        wape=[7.5, None, 4.0],
        volume=[1234567.5, None, 10.0],
    )
    figure = quality_figure(stores)
    excellent, poor = figure.data
    assert (excellent.name, poor.name) == ("Excellent (2)", "Poor (1)")
    assert (poor.x.tolist(), poor.y.tolist()) == ([44.125], [0.1])
    assert excellent.customdata[0] == ["0", "0", "North", "0.9", "8%", "7.5%", "1,234,567.5"]
    assert poor.customdata[0] == ["1", "1", "–", "0.1", "44.125%", "–", "–"]
    assert "quality: poor" in poor.hovertemplate
    assert (excellent.marker.symbol, poor.marker.symbol) == ("circle", "cross")
    assert figure.layout.title.text == "R² against sMAPE: 3 stores"
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("sMAPE (&#37;)", "R²")
    assert {trace.type for trace in figure.data} == {"scatter"}


def test_the_area_of_a_mark_is_as_the_sales_and_equal_where_they_are_unknown() -> None:
    stores = measured(r2=[0.5] * 4, smape=[9.0] * 4, volume=[100.0, 400.0, 100.0, None])
    (marks,) = quality_figure(stores).data
    sizes = dict(zip([texts[0] for texts in marks.customdata], marks.marker.size, strict=True))
    assert sizes["1"] == pytest.approx(2 * sizes["0"])
    assert sizes["3"] == sizes["0"]
    assert marks.marker.size.tolist() == sorted(marks.marker.size, reverse=True)
    assert "area: sales" in note(quality_figure(stores))
    equal = quality_figure(measured(r2=[0.5, 0.6], smape=[9.0, 9.0], volume=[None, None]))
    assert len(set(equal.data[0].marker.size)) == 1
    assert "area" not in note(equal)


def test_stores_far_out_stand_at_the_edge_as_arrows_and_tell_their_values() -> None:
    stores = measured(
        quality=["poor"] * 100,
        r2=[*np.linspace(0, 0.9, 97), -1e6, 0.5, -40.0],
        smape=[*np.linspace(5, 30, 97), 20.0, 199.0, 200.0],
    )
    figure = quality_figure(stores)
    (marks,) = figure.data
    low, high = figure.layout.yaxis.range
    assert -2 < low < -1
    assert high > 1
    assert figure.layout.xaxis.range[1] < 100
    assert ((marks.y >= low) & (marks.y <= high)).all()
    symbols = {texts[0]: symbol for texts, symbol in zip(marks.customdata, marks.marker.symbol, strict=True)}
    assert (symbols["97"], symbols["98"], symbols["99"]) == ("triangle-down", "triangle-right", "triangle-se")
    assert marks.marker.symbol[0] == "cross"
    assert ["97", "97", "–", "-1,000,000", "20%", "–", "–"] in list(marks.customdata)
    assert "▼ 2 stores with R² below -1" in note(figure)
    assert "▶ 2 stores with sMAPE above" in note(figure)


def test_the_axes_show_what_is_good_whatever_the_stores() -> None:
    for r2 in ([0.99], [-0.7], [-800.0]):
        figure = quality_figure(measured(r2=r2, smape=[3.0]))
        assert figure.layout.yaxis.range[0] < 0
        assert figure.layout.yaxis.range[1] > 1
        assert figure.layout.xaxis.range[1] > 20


def test_thresholds_are_dotted_corners_in_view_with_names_that_do_not_touch() -> None:
    limits = [(MARKUP[:8], 0.9, 5.0), ("good", 0.75, 7.0), ("fair", -0.5, 120.0), ("none", float("nan"), 3.0)]
    figure = quality_figure(measured(r2=[0.95], smape=[4.0]), limits)
    paths = [shape.path for shape in figure.layout.shapes]
    assert len(paths) == 3
    assert re.search(r"L 5(\.0)?,0\.9 ", paths[0])
    assert {shape.line.dash for shape in figure.layout.shapes} == {"dot"}
    assert figure.layout.yaxis.range[0] < -0.5
    assert figure.layout.xaxis.range[1] > 120
    assert [one.text for one in figure.layout.annotations] == ["&lt;b&gt;a&lt;/b&gt;", "good", "fair"]
    assert [one.yshift for one in figure.layout.annotations] == [0, 13, 0]
    assert "R² from 0.75, sMAPE up to 7&#37;" in figure.layout.annotations[1].hovertext


def test_stores_without_both_values_are_counted_and_bands_nobody_knows_are_unknown() -> None:
    stores = measured(
        quality=["good", "good", "good", "splendid", None],
        r2=[None, 0.5, np.inf, 0.5, 0.5],
        smape=[1.0, np.nan, 2.0, 3.0, INFINITY],
    )
    figure = quality_figure(stores)
    assert list(traces(figure)) == ["Unknown (1)"]
    assert note(figure) == "4 stores without both values left out"


@pytest.mark.parametrize("stores", [many(0), measured(r2=[None, 0.5], smape=[4.0, np.inf])])
def test_quality_without_values_says_why(stores: pl.DataFrame) -> None:
    figure = quality_figure(stores)
    assert not figure.data
    assert message(figure) == "No store has both R² and sMAPE."
    assert figure.layout.height == quality_figure(many(3)).layout.height - 84


def test_the_payload_of_stores_is_bounded() -> None:
    assert size(quality_figure(many(1_115))) < 200_000
    assert size(quality_figure(many(5_000))) < 800_000
    assert size(quality_figure(many(1_115, MARKUP.replace("{", "{{").replace("}", "}}") + "{}"))) < 400_000


def test_store_names_with_markup_are_shown_and_selected_as_they_are() -> None:
    for figure in (
        quality_figure(measured(store=[MARKUP], partner=[MARKUP], r2=[0.5], smape=[1.0])),
        changes_figure(changed(store=[MARKUP], old=[1.0], new=[2.0], verdict=["worse"]), MARKUP, "", True),
    ):
        (mark,) = figure.data[0].customdata
        assert mark[:2] == [MARKUP, SAFE]
        assert "<b>a" not in figure.layout.title.text + str(figure.layout.xaxis.title.text)
    rows = forecasts([1.0], [1.0], 1)
    for figure in (
        forecast_figure(rows, store=MARKUP, y_title=MARKUP, events=[(START, MARKUP)]),
        compared_figure(rows, rows, MARKUP, y_title=MARKUP, old=MARKUP, new=MARKUP),
    ):
        sent = figure.update_layout(template=None).to_json()
        assert "<b>a" not in sent
        assert "$x$" not in sent
        assert "#000001" not in sent


# ---- forecast


def test_a_forecast_has_actual_values_a_dotted_fit_and_a_solid_prediction() -> None:
    figure = forecast(forecasts([5, 6, 7, 8], [5.5, 6.5, 7.5, 8.25], test=2))
    lines = traces(figure)
    assert list(lines) == ["Actual", "Fit to training", "Predicted"]
    assert (lines["Actual"].line.color, lines["Actual"].line.dash) == (TEXT_GREY, "solid")
    assert lines["Fit to training"].y.tolist() == [5.5, 6.5]
    assert lines["Fit to training"].line.dash == "dot"
    assert lines["Predicted"].x.tolist() == ["2024-01-03", "2024-01-04"]
    assert lines["Predicted"].line.width > lines["Fit to training"].line.width
    assert figure.layout.title.text == "Store 7: actual and predicted"
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("Time (UTC)", "Sales (EUR)")
    assert figure.layout.xaxis.hoverformat == "%Y-%m-%d UTC"
    assert figure.layout.hovermode == "x unified"


def test_a_line_marks_where_the_test_begins_unless_all_rows_are_of_one_split() -> None:
    figure = forecast(forecasts([5, 6, 7, 8], [5, 6, 7, 8], test=3))
    assert [shape.x0 for shape in figure.layout.shapes] == ["2024-01-02"]
    assert [one.text for one in figure.layout.annotations] == ["test →"]
    assert figure.layout.annotations[0].xanchor == "left"
    late = forecast(forecasts([5, 6, 7, 8], [5, 6, 7, 8], test=1))
    assert late.layout.annotations[0].xanchor == "right"
    for test in (0, 4):
        assert not forecast(forecasts([5, 6, 7, 8], [5, 6, 7, 8], test=test)).layout.shapes


def test_missing_days_and_missing_values_stay_gaps() -> None:
    times = days(10)[[0, 1, 2, 5, 6, 7, 8, 9]]
    figure = forecast(forecasts([1, 2, 3, 4, None, 6, 7, 8], [1] * 8, times=times))
    actual = traces(figure)["Actual"]
    assert actual.x.tolist()[2:5] == ["2024-01-03", "2024-01-04", "2024-01-06"]
    assert np.isnan(actual.y).tolist() == [False] * 3 + [True, False, True] + [False] * 3


def test_days_that_are_missing_every_week_are_no_gaps() -> None:
    weekdays = days(70)[np.arange(70) % 7 < 5]
    actual = traces(forecast(forecasts(np.arange(50.0), np.arange(50.0), times=weekdays)))["Actual"]
    assert not np.isnan(actual.y).any()
    closed = np.delete(weekdays, np.s_[10:15])
    actual = traces(forecast(forecasts(np.arange(45.0), np.arange(45.0), times=closed)))["Actual"]
    assert np.isnan(actual.y).sum() == 1


def test_a_value_without_neighbours_is_a_mark() -> None:
    figure = forecast(forecasts([1, None, 3, None, 5, 6], [None] * 6))
    assert [trace.mode for trace in figure.data] == ["lines", "markers"]
    assert figure.data[1].y.tolist() == [1, 3]
    assert not figure.data[1].showlegend
    alone = forecast(forecasts([1], [2]))
    assert [trace.mode for trace in alone.data].count("markers") == 2
    assert alone.layout.xaxis.range == ("2023-12-31T12:00", "2024-01-01T12:00")


def test_what_is_not_sold_yet_is_prediction_only() -> None:
    figure = forecast(forecasts([5, 6, None, None], [5, 6, 7, 8], test=3))
    lines = traces(figure)
    assert lines["Actual"].x.tolist() == ["2024-01-01", "2024-01-02"]
    assert lines["Predicted"].y.tolist() == [6, 7, 8]
    assert note(figure) == "2 predictions after the last actual value"


def test_the_interval_is_filled_between_its_ends_with_gaps_and_told_on_hover() -> None:
    lower, upper = [None, 4.0, 5.0, None, 6.5], [None, 6.0, 7.0, 9.0, 8.5]
    figure = forecast(forecasts([5] * 5, [5] * 5, test=4, lower=lower, upper=upper))
    band = traces(figure)["Interval"]
    assert figure.data[0] is band
    assert band.fill == "toself"
    assert band.x.tolist()[:4] == ["2024-01-02", "2024-01-03", "2024-01-03", "2024-01-02"]
    assert band.y[:4].tolist() == [6, 7, 5, 4]
    assert np.isnan(band.y).sum() == 2
    assert list(traces(figure)["Predicted"].customdata) == [" (4 to 6)", " (5 to 7)", "", " (6.5 to 8.5)"]
    assert "Interval" not in traces(forecast(forecasts([5], [5])))


def test_an_interval_that_explodes_does_not_squeeze_the_lines() -> None:
    rows = forecasts([10, 20, 15], [11, 19, 15], test=1, lower=[None, None, -1e9], upper=[None, None, 1e9])
    figure = forecast(rows)
    low, high = figure.layout.yaxis.range
    assert -10 < low < high < 40
    assert note(figure) == "intervals reach beyond the chart"


def test_rows_may_come_in_any_order_and_twice() -> None:
    rows = forecasts([5, 6, 7], [5, 6, 7], test=1)
    shuffled = pl.concat([rows[[2, 0, 1]], rows])
    assert traces(forecast(shuffled))["Actual"].y.tolist() == [5, 6, 7]


def test_infinite_values_are_gaps() -> None:
    actual = traces(forecast(forecasts([1, np.inf, INFINITY, 2], [1] * 4)))["Actual"]
    assert np.isnan(actual.y).tolist() == [False, True, True, False]


def test_long_forecasts_are_thinned_and_keep_their_extremes_and_the_start_of_the_test() -> None:
    n = 40_000
    actual = np.sin(np.arange(n) / 300) * 10
    actual[12_345], actual[30_001] = 99, -99
    predicted = np.cos(np.arange(n) / 300)
    predicted[23_456] = 55
    rows = forecasts(actual, predicted, 7_777, lower=predicted - 1, upper=predicted + 1)
    figure = forecast(rows)
    lines = traces(figure)
    assert all(len(line.x) <= MAX_POINTS for name, line in lines.items() if name != "Interval")
    assert (lines["Actual"].y.max(), lines["Actual"].y.min()) == (99, -99)
    assert lines["Fit to training"].y.max() == 55
    assert lines["Predicted"].x[0] == figure.layout.shapes[0].x0 == str(days(n)[n - 7_777])[:10]
    assert "of 40,000 times, extremes kept" in note(figure)
    assert size(figure) < 400_000


def test_events_are_marked_on_a_forecast() -> None:
    figure = forecast(forecasts([5] * 30, [5] * 30), events=[(days(30)[20], MARKUP), (days(40)[39], "later")])
    assert figure.data[-1].hovertext == (SAFE,)
    assert note(figure) == "1 event not marked"


@pytest.mark.parametrize("rows", [forecasts([], []), forecasts([None, np.nan], [np.inf, None])])
def test_a_store_without_values_says_so(rows: pl.DataFrame) -> None:
    figure = forecast(rows)
    assert not figure.data
    assert message(figure) == "This store has no actual and no predicted value."
    assert not compared_figure(rows, rows, "7", y_title="y").data
    assert not residuals_figure(rows).data


# ---- residuals and two pipelines


def test_residuals_are_actual_minus_predicted_of_the_test_rows() -> None:
    figure = residuals_figure(forecasts([9, 5, 6, 7, None], [1, 4, 8, 7, 3], test=4), y_title="Sales (EUR)")
    (bars,) = figure.data
    assert bars.x.tolist() == ["2024-01-02", "2024-01-03", "2024-01-04"]
    assert bars.y.tolist() == [1, -2, 0]
    assert list(bars.customdata) == ["more than predicted", "less than predicted", "as predicted"]
    assert bars.marker.color[0] != bars.marker.color[1]
    assert figure.layout.title.text == "Residuals: actual minus predicted"
    assert note(figure) == "above zero: more than predicted, 1 of 3 times; mean -0.3333"
    assert figure.layout.shapes[0].y0 == 0
    assert figure.layout.yaxis.title.text == "Sales (EUR)"


def test_many_residuals_keep_their_extremes() -> None:
    actual = np.zeros(5_000)
    actual[1_234], actual[4_321] = 99, -99
    (bars,) = residuals_figure(forecasts(actual, np.zeros(5_000), 5_000)).data
    assert len(bars.x) <= MAX_BARS
    assert (bars.y.max(), bars.y.min()) == (99, -99)


def test_residuals_without_a_test_row_say_why() -> None:
    figure = residuals_figure(forecasts([1, 2], [1, 2]))
    assert message(figure) == "No test row has both an actual and a predicted value."
    assert figure.layout.height == residuals_figure(forecasts([1], [1], 1)).layout.height


def test_two_pipelines_are_compared_on_what_they_predicted_for_the_test() -> None:
    old = forecasts(np.arange(20.0), np.full(20, 3.0), 4)
    new = forecasts([*np.arange(19.0), None], np.full(20, 4.0), 4)
    figure = compared_figure(old, new, "7", y_title="Sales", old="May", new="June")
    lines = traces(figure)
    assert list(lines) == ["Actual", "May", "June"]
    assert lines["Actual"].y.tolist() == np.arange(13.0, 20).tolist()
    assert lines["May"].y.tolist() == [3.0] * 4
    assert lines["June"].y.tolist() == [4.0] * 4
    assert lines["May"].line.dash != lines["June"].line.dash
    assert [shape.x0 for shape in figure.layout.shapes] == ["2024-01-17"]


def test_pipelines_with_other_tests_have_each_its_start_and_one_may_be_missing() -> None:
    old, new = forecasts([1.0] * 20, [1.0] * 20, 4), forecasts([1.0] * 20, [1.0] * 20, 6)
    figure = compared_figure(old, new, "7", y_title="Sales")
    assert [one.text for one in figure.layout.annotations] == ["test, old →", "test, new →"]
    one = compared_figure(forecasts([1.0] * 3, [1.0] * 3), new, "7", y_title="Sales")
    assert list(traces(one)) == ["Actual", "new"]
    assert note(one) == "no prediction by old"
    long = forecasts(np.arange(30_000.0), np.arange(30_000.0), 20_000)
    assert size(compared_figure(long, long, "7", y_title="Sales")) < 400_000


# ---- history


def history(values: Any, **columns: Any) -> pl.DataFrame:
    n = len(values)
    times = columns.pop("times", START + np.arange(n) * 7 * DAY)
    return pl.DataFrame(
        {
            "time": times,
            "name": [f"pipeline {number}" for number in range(n)],
            "run_id": [f"{number}" * 32 for number in range(n)],
            "value": pl.Series(values, dtype=pl.Float64),
            **columns,
        }
    )


def test_a_store_is_followed_over_pipelines_in_order_of_time() -> None:
    points = history([14.0, 13.5, 12.0])[[2, 0, 1]]
    figure = store_history_figure(points, "sMAPE", "%", "1" * 32)
    (line,) = figure.data
    assert line.y.tolist() == [14, 13.5, 12]
    assert line.mode == "lines+markers"
    assert line.customdata[1] == ["1" * 32, "pipeline 1"]
    assert line.marker.symbol == ("circle", "diamond", "circle")
    assert line.marker.size[1] > line.marker.size[0]
    assert line.marker.color[1] != line.marker.color[0]
    assert "sMAPE: %{y:,.10~g}&#37;" in line.hovertemplate
    assert figure.layout.yaxis.title.text == "sMAPE (&#37;)"
    assert note(figure) == "diamond: the pipeline shown"


def test_one_pipeline_is_a_mark_in_the_middle_and_missing_values_are_counted() -> None:
    times = pl.Series(days(2)).dt.replace_time_zone("UTC").dt.cast_time_unit("ms")
    figure = store_history_figure(history([0.5, np.inf], name=[MARKUP, None], times=times), "R²", "", None)
    (line,) = figure.data
    assert line.x.tolist() == ["2024-01-01"]
    assert line.customdata[0][1] == SAFE
    assert figure.layout.xaxis.range == ("2023-12-31T23:00", "2024-01-01T01:00")
    assert figure.layout.yaxis.range[0] < 0.5 < figure.layout.yaxis.range[1]
    assert figure.layout.yaxis.title.text == "R²"
    assert note(figure) == "1 pipeline without a value"


def test_a_long_history_is_cut_and_an_empty_one_says_why() -> None:
    points = pl.concat([history([1.0] * 9)] * 100)
    figure = store_history_figure(points, "R²", "", None)
    assert len(figure.data[0].y) == 500
    assert "the last 500 of 900 pipelines" in note(figure)
    assert (
        message(store_history_figure(history([None]), "R²", "", None)) == "No pipeline has R² of this store."
    )


# ---- importance


def test_features_are_shares_of_the_total_the_most_important_first() -> None:
    chart = feature_importance_chart(
        [("lag_7", 1.0), (MARKUP, 3.0), ("bad", np.nan), ("none", 0.0)], "store 7"
    )
    assert [(row["name"], row["share"], row["text"]) for row in rows_of(chart)] == [
        (MARKUP, 75.0, "75.0%"),
        ("lag_7", 25.0, "25.0%"),
        ("none", 0.0, "0%"),
    ]
    assert vega(chart)["title"]["text"] == ["Feature importance, store 7"]
    assert vega(chart)["layer"][0]["encoding"]["x"]["title"] == "Share of all features (%)"


def test_the_first_twenty_features_are_drawn_and_their_sum_told() -> None:
    chart = feature_importance_chart([("x" * 300 + str(n), 1e300) for n in range(100)], "store 7")
    assert len({row["feature"] for row in rows_of(chart)}) == 20
    assert under(chart) == "20 of 100 features, together 20.0%"
    assert size(chart) < 15_000


def test_features_that_mislead_are_drawn_to_the_left() -> None:
    chart = feature_importance_chart([("good", 3.0), ("noise", -1.0)], "store 7")
    assert [row["share"] for row in rows_of(chart)] == [75.0, -25.0]
    assert "better without" in under(chart)


@pytest.mark.parametrize("rows", [[], [("a", np.inf)], [("a", 0.0)]])
def test_importance_without_values_says_so(rows: list[tuple[str, float]]) -> None:
    assert "No feature has an importance." in feature_importance_chart(rows, "store 7").to_json()


# ---- changes


def test_changes_are_new_against_old_on_equal_axes_with_the_worse_side_named() -> None:
    changes = changed(
        old=[10.0, 20.0, 30.0, 40.0],
        new=[12.5, 15.0, 30.0, 38.0],
        change=[2.5, -5.0, 0.0, -2.0],
        volume=[100.0, None, 100.0, 100.0],
        verdict=["worse", "improved", "same", "nonsense"],
        significant=[True, True, None, None],
    )
    figure = changes_figure(changes, "sMAPE", "%", True)
    marks = traces(figure)
    assert list(marks) == ["Same (1)", "Unknown (1)", "Improved (1)", "Worse (1)"]
    worse = marks["Worse (1)"]
    assert (worse.x.tolist(), worse.y.tolist()) == ([10], [12.5])
    assert worse.customdata[0] == ["0", "0", "10&#37;", "12.5&#37;", "+2.5 points", "100", "significant"]
    assert len({trace.marker.symbol for trace in marks.values()}) == 4
    assert figure.layout.xaxis.range == figure.layout.yaxis.range
    (diagonal,) = figure.layout.shapes
    assert (diagonal.x0, diagonal.x1) == (diagonal.y0, diagonal.y1) == figure.layout.xaxis.range
    assert [one.text for one in figure.layout.annotations] == ["◤ worse", "better ◢"]
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == (
        "Old sMAPE (&#37;)",
        "New sMAPE (&#37;)",
    )
    assert note(figure) == "area: sales; dotted: no change"
    turned = changes_figure(changes, "R²", "", False)
    assert [one.text for one in turned.layout.annotations] == ["◤ better", "worse ◢"]


def test_changes_not_found_significant_are_hollow_and_listed_once() -> None:
    changes = changed(
        old=[1.0] * 4, new=[2.0] * 4, verdict=["worse"] * 3 + ["same"], significant=[True, False, None, False]
    )
    figure = changes_figure(changes, "MAE", "EUR", True)
    same, hollow, filled = figure.data
    assert (same.marker.symbol, hollow.marker.symbol, filled.marker.symbol) == (
        "square",
        "diamond-open",
        "diamond",
    )
    assert [(trace.name, trace.showlegend) for trace in (hollow, filled)] == [
        ("Worse (3)", False),
        ("Worse (3)", True),
    ]
    assert {texts[6] for texts in hollow.customdata} == {"not significant", "not tested"}
    assert filled.customdata[0][2] == "1 EUR"
    assert "hollow: not found significant" in note(figure)
    untested = changes_figure(changes.with_columns(significant=pl.lit(None, pl.Boolean)), "MAE", "", True)
    assert not any("open" in trace.marker.symbol for trace in untested.data)


def test_stores_with_one_value_are_counted_by_what_became_of_them() -> None:
    changes = changed(
        old=[1.0, 1.0, None, None, np.inf, 2.0],
        new=[None, None, 1.0, None, 1.0, 2.0],
        verdict=["lost", "lost", "gained", "unknown", "unknown", "same"],
    )
    figure = changes_figure(changes, "MAE", "", True)
    assert figure.layout.title.text == "MAE, new against old: 1 store"
    assert note(figure) == "dotted: no change; not drawn: 2 lost, 1 gained, 2 without a value"
    none = changes_figure(changes[:5], "MAE", "", True)
    assert not none.data
    assert message(none) == "No store has MAE in both pipelines."
    assert changes_figure(changes[:0], "MAE", "", True).layout.height == none.layout.height


def test_changes_far_out_stand_at_the_edge() -> None:
    usual = np.linspace(10, 20, 98)
    changes = changed(
        old=[*usual, 15.0, 1e9], new=[*usual + 1, -1e9, 15.0], verdict=["worse"] * 98 + ["improved"] * 2
    )
    figure = changes_figure(changes, "MAE", "EUR", True)
    far = traces(figure)["Improved (2)"]
    symbols = {texts[0]: symbol for texts, symbol in zip(far.customdata, far.marker.symbol, strict=True)}
    assert symbols == {"98": "triangle-down", "99": "triangle-right"}
    low, high = figure.layout.xaxis.range
    assert -5 < low < high < 60
    assert re.search(r"triangles: 2 stores below [\d.]+ EUR or above [\d.]+ EUR", note(figure))
    assert "1,000,000,000 EUR" in {texts[2] for texts in far.customdata}


def test_one_store_that_did_not_change_has_axes_around_it() -> None:
    figure = changes_figure(changed(old=[0.0], new=[0.0], verdict=["same"]), "MAE", "", True)
    assert figure.layout.xaxis.range == (-1, 1)


def test_the_payload_of_changes_is_bounded() -> None:
    rng = np.random.default_rng(0)
    n = 5_000
    old, new = rng.gamma(3, 5, (2, n))
    changes = changed(
        old=old,
        new=new,
        change=new - old,
        volume=rng.lognormal(10, 1, n),
        harm=rng.normal(size=n),
        verdict=np.where(new > old, "worse", "improved").tolist(),
        significant=(np.abs(new - old) > 9).tolist(),
    )
    assert size(changes_figure(changes, "MAE", "EUR", True)) < 900_000
    assert size(changes_figure(changes[:1_115], "MAE", "EUR", True)) < 250_000
    assert size(harm_chart(changes, "MAE", most=1_000)) < 20_000


# ---- harm


def test_the_stores_that_move_the_mean_most_are_bars_worst_first() -> None:
    harm = [0.5, -0.75, 0.001, None, 2.0, np.inf, 0.0]
    chart = harm_chart(
        changed(store=[MARKUP, *"bcdefg"], harm=harm, old=[1.0] * 7), "sMAPE", most=3, unit="%"
    )
    assert [(row["name"], row["text"], row["direction"]) for row in rows_of(chart)] == [
        ("e", "+2", "worse"),
        (MARKUP, "+0.5", "worse"),
        ("b", "-0.75", "better"),
    ]
    spec = vega(chart)
    assert spec["title"]["text"] == ["Stores that moved mean sMAPE most"]
    assert spec["layer"][0]["encoding"]["x"]["title"] == "Contribution to the mean (points)"
    assert under(chart).endswith("the other 1 store together +0.001 points")
    assert "orange, +: made it worse" in under(chart)


def test_stores_of_alike_names_keep_a_bar_each() -> None:
    rows = rows_of(harm_chart(changed(store=["x" * 300] * 4, harm=[1.0, 2.0, -1.0, 3.0]), "MAE"))
    assert len({row["store"] for row in rows}) == 4


@pytest.mark.parametrize("harm", [[], [None], [0.0, np.nan]])
def test_without_a_change_the_harm_chart_says_so(harm: list[float | None]) -> None:
    changes = changed(harm=harm)
    assert "No store changed the mean of MAE." in harm_chart(changes, "MAE").to_json()
