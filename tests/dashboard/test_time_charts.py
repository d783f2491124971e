"""What the equity, drawdown and rolling charts draw, name, leave out and send."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from core.backtests.types import Drawdown, Trades
from dashboard.charts.equity import MAX_TRADES, EquityBand, equity_figure
from dashboard.charts.events import MAX_EVENTS
from dashboard.charts.line_ends import LABEL_WIDTH
from dashboard.charts.rolling import rolling_figure
from dashboard.charts.theme import GREY
from dashboard.charts.time_series import TimeLine, iso_times, picked_period
from dashboard.charts.underwater import MAX_EPISODES, underwater_figure

MARKUP = "<b>a</b><br>&lt; $x$ #000001 %{y}"
SAFE = "&lt;b&gt;a&lt;/b&gt;&lt;br&gt;&amp;lt; &#36;x&#36; &#35;000001 &#37;{y}"
START = np.datetime64("2024-01-01", "us")


def days(n: int) -> Any:
    return START + np.arange(n) * np.timedelta64(1, "D")


def line(values: Any, label: str = "run", times: Any = None, colour: str = "#0072B2") -> TimeLine:
    numbers = np.asarray(values, dtype=np.float64)
    return TimeLine(label, colour, days(len(numbers)) if times is None else times, numbers)


def equity(*lines: TimeLine, log_y: bool = False, rebased: bool = False, **more: Any) -> Any:
    return equity_figure(lines, log_y=log_y, rebased=rebased, title="Equity", y_title="Value (COP)", **more)


def trades(pnl: Any, side: Any = None, entry: Any = None, exit_: Any = None) -> Trades:
    gains = np.asarray(pnl, dtype=np.float64)
    n = len(gains)
    return Trades(
        entry_time=days(n) if entry is None else entry,
        exit_time=days(n) + np.timedelta64(12, "h") if exit_ is None else exit_,
        side=np.ones(n) if side is None else np.asarray(side, dtype=np.float64),
        quantity=np.full(n, 2.0),
        entry_price=np.full(n, 4000.125),
        exit_price=np.full(n, np.nan),
        pnl=gains,
    )


def fall(depth: float, trough: int, recovery: int | None) -> Drawdown:
    times = days(200)
    recovered = None if recovery is None else times[recovery]
    return Drawdown(depth, times[trough - 1], times[trough], recovered, trough - 1, trough, recovery)


def note(figure: Any) -> str:
    return str(figure.layout.title.subtitle.text).replace("<br>", " ")


def size(figure: Any) -> int:
    return len(figure.to_json())


# ---- times


@pytest.mark.parametrize(
    ("times", "texts"),
    [
        (["2024-01-01", "2024-01-02"], ["2024-01-01", "2024-01-02"]),
        (["2024-01-01", "2024-01-01T14:30"], ["2024-01-01T00:00", "2024-01-01T14:30"]),
        (["2024-01-01T14:30:05"], ["2024-01-01T14:30:05"]),
        (["2024-01-01T14:30:05.123456"], ["2024-01-01T14:30:05.123"]),
        ([], []),
    ],
)
def test_times_are_the_shortest_texts_that_are_exact(times: list[str], texts: list[str]) -> None:
    assert iso_times(np.array(times, dtype="datetime64[us]")).tolist() == texts


def test_times_are_not_numbers_which_a_browser_would_move_to_its_own_zone() -> None:
    assert equity(line([1, 2])).data[0].x.tolist() == ["2024-01-01", "2024-01-02"]


@pytest.mark.parametrize("turned", [False, True])
def test_a_period_is_read_from_the_box_whichever_way_it_was_dragged(turned: bool) -> None:
    edges = ["2024-04-08 12:27:43.1787", "2024-09-03"]
    selection = {"points": [], "box": [{"x": edges[::-1] if turned else edges, "y": [1, 0]}], "lasso": []}
    found = picked_period(selection)
    assert found == (np.datetime64("2024-04-08T12:27:43.178700"), np.datetime64("2024-09-03"))


def test_without_a_box_no_period_is_picked() -> None:
    assert picked_period({"points": [], "point_indices": [], "box": [], "lasso": []}) is None
    assert picked_period({"box": [{"x": []}]}) is None


# ---- lines


def test_an_equity_curve_has_its_points_axes_and_hover_in_utc() -> None:
    figure = equity(line([100, 110, 90.5]))
    (drawn,) = figure.data
    assert drawn.y.tolist() == [100, 110, 90.5]
    assert drawn.mode == "lines"
    assert "%{x|%Y-%m-%d} UTC" in drawn.hovertemplate
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("Time (UTC)", "Value (COP)")
    assert figure.layout.xaxis.range == ("2024-01-01", "2024-01-03")


def test_a_period_can_be_picked_on_equity_by_dragging_sideways() -> None:
    figure = equity(line([1, 2, 3]))
    assert (figure.layout.dragmode, figure.layout.selectdirection) == ("select", "h")


def test_rebased_lines_all_start_at_one_and_the_line_of_one_is_marked() -> None:
    figure = equity(line([200, 300]), line([np.nan, 10, 5]), rebased=True)
    second, first = figure.data
    assert first.y.tolist() == [1, 1.5]
    assert second.y[1:].tolist() == [1, 0.5]
    assert figure.layout.shapes[0].y0 == 1


def test_a_line_that_starts_at_nothing_cannot_be_rebased() -> None:
    figure = equity(line([0, 1]), line([1, 2]), rebased=True)
    assert len(figure.data) == 1
    assert note(figure) == "1 line of 2 not drawn"


def test_a_benchmark_is_grey_dashed_and_named() -> None:
    benchmark = line([1, 2], MARKUP, colour="#D55E00")
    alone = equity(line([1, 2, 3]), benchmark=benchmark)
    assert (alone.data[0].line.color, alone.data[0].line.dash) == (GREY, "dash")
    assert note(alone) == f"grey, dashed: {SAFE}"
    several = equity(line([1, 2], "one"), line([2, 3], "two"), benchmark=benchmark)
    assert not note(several)
    assert len(several.layout.annotations) == 3


def test_charts_of_one_run_have_the_same_plot_area_with_and_without_a_benchmark() -> None:
    figures = [
        equity(line([1, 2]), benchmark=line([1, 2])),
        underwater_figure([line([0, -0.1])]),
        rolling_figure([line([np.nan, 1])], "Sharpe ratio", "2 days"),
    ]
    margins = {(figure.layout.margin.l, figure.layout.margin.r) for figure in figures}
    assert len(margins) == 1
    assert len({figure.layout.xaxis.range for figure in figures}) == 1


@pytest.mark.parametrize(("lines", "labels", "legend"), [(1, 0, False), (8, 8, False), (9, 0, True)])
def test_few_lines_are_named_at_their_ends_and_many_in_a_legend(
    lines: int, labels: int, legend: bool
) -> None:
    figure = equity(*[line([1, 2], f"{number} {MARKUP}") for number in range(lines)])
    assert len(figure.layout.annotations) == labels
    assert figure.layout.showlegend == legend
    assert all(SAFE in trace.hovertemplate for trace in figure.data)


def test_names_that_shortening_would_make_alike_have_a_legend() -> None:
    names = ("momentum 126 long-short", "momentum 252 long-short")
    alike = equity(*[line([1, 2], name) for name in names])
    assert alike.layout.showlegend
    assert not alike.layout.annotations
    assert [trace.name for trace in reversed(alike.data)] == list(names)


def test_short_names_leave_more_room_for_the_plot() -> None:
    short, long = (
        equity(*[line([1, 2], name + "x" * length) for name in "ab"]).layout.margin.r for length in (2, 39)
    )
    assert short < 60 < long == LABEL_WIDTH


def test_names_with_markup_are_shown_as_they_are() -> None:
    figure = equity_figure([line([1, 2])], log_y=False, rebased=False, title=MARKUP, y_title=MARKUP)
    assert figure.layout.title.text == SAFE
    assert figure.layout.yaxis.title.text == SAFE
    assert SAFE in figure.data[0].hovertemplate
    rolling = rolling_figure([line([1, 2])], MARKUP, "<i>2</i> days")
    assert "<b>" not in rolling.layout.title.text + rolling.layout.yaxis.title.text
    assert "<i>" not in rolling.layout.title.text


def test_a_log_axis_leaves_out_zero_and_less_and_says_so() -> None:
    figure = equity(line([100, 0, -1, 1000]), log_y=True)
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.yaxis.title.text == "Value (COP), log"
    assert np.isnan(figure.data[0].y).tolist() == [False, True, True, False]
    assert note(figure) == "2 values of zero or less left out"
    assert figure.layout.yaxis.range == pytest.approx((1.95, 3.05))


def test_thinning_keeps_the_extremes_of_every_line() -> None:
    values = np.sin(np.arange(50_000) / 900) + 10
    values[12_345], values[43_210] = 99, 0.5
    figure = equity(*[line(values)] * 4)
    for drawn in figure.data:
        assert len(drawn.x) == len(drawn.y) <= 4_000
        assert (drawn.y.max(), drawn.y.min()) == (99, 0.5)
        assert (drawn.x[0], drawn.x[-1]) == tuple(iso_times(days(50_000)[[0, -1]]))
    assert note(figure) == "thinned to 4,000 points a line, extremes kept"


@pytest.mark.parametrize("step", [np.timedelta64(1, "D"), np.timedelta64(300_123, "ms")])
def test_three_charts_of_twenty_long_lines_are_two_megabytes_at_most(step: np.timedelta64) -> None:
    rng = np.random.default_rng(0)
    times = START + np.arange(5_000) * step
    values = 1e6 + np.cumsum(rng.normal(size=(22, 5_000)), axis=1)
    lines = [line(row, "<" * 300, times) for row in values]
    figures = [
        equity(*lines, benchmark=lines[0]),
        underwater_figure(lines),
        rolling_figure(lines, "Sharpe ratio", "126 days"),
    ]
    assert sum(map(size, figures)) < 2_000_000
    assert "2 lines of 22 not drawn" in note(figures[0])


@pytest.mark.parametrize(
    ("figure", "reason"),
    [
        (equity(), "No finite value"),
        (equity(line([])), "No finite value"),
        (equity(line([np.nan, np.inf]), rebased=True, trades=trades([1.0])), "No finite value"),
        (equity(line([-1.0, 0.0]), log_y=True), "turn the log axis off"),
        (underwater_figure([]), "No drawdown"),
        (underwater_figure([line([])], episodes=[fall(-0.1, 5, 8)]), "No drawdown"),
        (rolling_figure([line([np.nan] * 3)], "beta", "126 days"), "No window of 126 days"),
    ],
)
def test_a_chart_without_values_says_why_and_is_as_high_as_with_them(figure: Any, reason: str) -> None:
    assert not figure.data
    assert reason in figure.layout.annotations[0].text.replace("<br>", " ")
    full = {
        "Equity": equity(line([1, 2])),
        "Drawdown from the last peak": underwater_figure([line([0, 0])]),
        "Rolling beta, 126 days": rolling_figure([line([0, 0])], "beta", "126 days"),
    }
    assert figure.layout.height == full[figure.layout.title.text].layout.height


@pytest.mark.parametrize("log_y", [False, True])
def test_one_point_is_visible(log_y: bool) -> None:
    for figure in (
        equity(line([5]), log_y=log_y, rebased=True, trades=trades([1.0])),
        underwater_figure([line([0])]),
        rolling_figure([line([5])], "Sharpe ratio", "1 day"),
    ):
        assert "markers" in figure.data[0].mode
        assert figure.layout.xaxis.range == ("2023-12-31T12:00", "2024-01-01T12:00")


# ---- seeds, trades, events


def test_a_band_lies_behind_the_lines_on_the_same_scale_and_is_named() -> None:
    band = EquityBand(
        MARKUP, "#0072B2", days(3), np.array([100.0, 90.0, np.nan]), np.array([100.0, 120.0, 130.0])
    )
    low, high, run = equity(line([200, 210, 220]), rebased=True, bands=[band]).data
    assert (low.y.tolist(), high.y.tolist()) == ([1, 0.9], [1, 1.2])
    assert high.fill == "tonexty"
    assert run.y[0] == 1
    assert note(equity(line([1, 2]), bands=[band])) == f"band: {SAFE}"


def test_a_trade_is_marked_on_the_curve_by_side_and_result() -> None:
    entry, exits = days(3), days(3) + np.timedelta64(12, "h")
    exits[2] = np.datetime64("NaT")
    figure = equity(line([10, 20, 30, 40]), trades=trades([5, -7.25, np.nan], [1, -1, np.nan], entry, exits))
    _, entries, left = figure.data
    assert entries.y.tolist() == [10, 20, 30]
    assert left.y.tolist() == [15, 25]
    assert entries.marker.symbol == ("triangle-up", "triangle-down-open", "circle")
    assert left.marker.symbol == ("x", "x-open")
    assert len(set(entries.marker.color)) == 3
    assert left.hovertext[1] == (
        "<b>Short exit, lost</b><br>2024-01-02 12:00 UTC<br>2 at –<br>Profit or loss: -7.25"
    )
    assert "2 at 4,000.125" in entries.hovertext[0]
    assert "hollow orange: lost" in note(figure)


def test_trades_stay_on_the_curve_when_it_is_rebased_or_logarithmic() -> None:
    figure = equity(line([10, 20, 40]), rebased=True, log_y=True, trades=trades([1, 1]))
    assert figure.data[1].y.tolist() == [1, 2]
    assert figure.data[2].y.tolist() == [1.5, 3]


def test_of_many_trades_the_largest_wins_and_losses_are_drawn() -> None:
    n = 3_000
    pnl = np.random.default_rng(0).normal(size=n)
    pnl[:500] = np.nan
    figure = equity(line(np.arange(n) + 1.0), trades=trades(pnl))
    marks = figure.data[1:]
    assert sum(len(trace.x) for trace in marks) <= 2 * MAX_TRADES
    kept = sorted(float(text.rsplit(" ", 1)[1]) for text in marks[0].hovertext)
    assert np.allclose(kept, np.sort(sorted(pnl[500:], key=abs)[-MAX_TRADES:]))
    assert "1,000 of 3,000 trades" in note(figure)
    assert size(figure) < 1_000_000


def test_trades_outside_the_period_are_not_marked() -> None:
    late = days(3) + np.timedelta64(900, "D")
    figure = equity(line([1, 2, 3]), trades=trades([1, 2, 3], entry=late, exit_=late))
    assert len(figure.data) == 1
    assert note(figure) == "no trade in this period"


def test_events_in_the_period_are_marked_and_named_where_there_is_room() -> None:
    times = days(101)
    events = [
        (times[50], MARKUP),
        (times[51], "too close"),
        (times[90], "Promoted v7"),
        (times[100] + 1, "later"),
    ]
    figure = equity(line(np.arange(101) + 1.0), events=events)
    marks = figure.data[-1]
    assert tuple(marks.x) == tuple(iso_times(times[[50, 51, 90]]))
    assert marks.hovertext == (SAFE, "too close", "Promoted v7")
    assert [re.sub("&[^;]*;", "", one.text)[-2:] for one in figure.layout.annotations] == ["y}", "v7"]
    assert len(figure.layout.shapes) == 3
    assert note(figure) == "1 event not marked"


def test_of_many_events_the_last_ones_are_marked() -> None:
    events = [(time, str(number)) for number, time in enumerate(days(101))]
    figure = equity(line(np.arange(101) + 1.0), events=events)
    assert len(figure.data[-1].x) == MAX_EVENTS
    assert figure.data[-1].hovertext[-1] == "100"
    assert len(figure.layout.annotations) < MAX_EVENTS
    assert note(figure) == "71 events not marked"


# ---- drawdown and rolling measures


def test_one_drawdown_is_filled_and_its_worst_falls_are_shaded_and_told() -> None:
    values = -np.abs(np.sin(np.arange(200) / 10)) * 0.3
    figure = underwater_figure([line(values)], episodes=[fall(-0.3, 10, 31), fall(-0.2, 190, None)])
    drawn, marks = figure.data
    assert drawn.fill == "tozeroy"
    shaded = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert [(shape.x0, shape.x1) for shape in shaded] == [
        ("2024-01-10", "2024-02-01"),
        ("2024-07-08", "2024-07-18"),
    ]
    assert marks.y.tolist() == [-0.3, -0.2]
    assert figure.layout.yaxis.range[0] < -0.33
    assert "recovered 2024-02-01 UTC" in marks.hovertext[0]
    assert "<b>Fall 2: -20.0%</b>" in marks.hovertext[1]
    assert "not recovered yet" in marks.hovertext[1]
    assert note(figure) == "shaded: the 2 deepest falls, from peak to recovery"


def test_drawdowns_of_several_runs_are_lines_without_shading() -> None:
    figure = underwater_figure([line([0, -0.1]), line([0, -0.2])], episodes=[fall(-0.2, 5, 8)])
    assert len(figure.data) == 2
    assert not any(trace.fill for trace in figure.data)
    assert [shape.type for shape in figure.layout.shapes] == ["line"]


def test_at_most_ten_falls_are_shaded() -> None:
    figure = underwater_figure(
        [line(np.zeros(200))], episodes=[fall(-0.1, 10 + at, None) for at in range(50)]
    )
    assert len(figure.data[1].x) == MAX_EPISODES


def test_a_curve_that_never_fell_has_an_axis_of_one_percent() -> None:
    low, high = underwater_figure([line([0, 0, 0])]).layout.yaxis.range
    assert -0.02 < low < -0.01
    assert 0 < high < 0.01


def test_a_rolling_measure_keeps_its_gap_its_unit_and_its_reference_in_view() -> None:
    figure = rolling_figure([line([np.nan, 1.5, 2])], "beta", "2 days", reference=1, unit="percent")
    assert np.isnan(figure.data[0].y[0])
    assert figure.layout.title.text == "Rolling beta, 2 days"
    assert figure.layout.yaxis.title.text == "Beta"
    assert figure.layout.yaxis.tickformat == ",~%"
    assert figure.layout.shapes[0].y0 == 1
    assert figure.layout.yaxis.range[0] < 1
