"""What the charts of monthly, yearly and single returns draw, leave out and send."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import numpy as np
import pytest

from dashboard.charts.period_returns import MAX_YEARS, monthly_heatmap, yearly_bars
from dashboard.charts.return_distribution import MAX_SAMPLES, ReturnSample, return_distribution

MARKUP = "<b>a</b> $x$ %{y}"


def vega(chart: Any) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(chart.to_json())
    return spec


def rows(chart: Any) -> list[dict[str, Any]]:
    """Return all rows of all tables of a chart."""
    return list(chain.from_iterable(vega(chart)["datasets"].values()))


def texts(chart: Any) -> list[str]:
    return [layer["mark"]["text"] for layer in vega(chart)["layer"] if "text" in layer["mark"]]


def normal(n: int, seed: int = 0, label: str = "run") -> ReturnSample:
    return ReturnSample(label, "#0072B2", np.random.default_rng(seed).normal(0.001, 0.01, n))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# ---- months


def test_a_heatmap_has_a_cell_for_each_known_month_and_the_year_compounded() -> None:
    months = np.full((2, 12), np.nan)
    months[0, 10:] = [0.1, -0.5]
    months[1, 0] = 0.02
    cells = {(row["year"], row["month"]): row["value"] for row in rows(monthly_heatmap([2023, 2024], months))}
    assert cells == pytest.approx(
        {
            ("2023", "Nov"): 0.1,
            ("2023", "Dec"): -0.5,
            ("2024", "Jan"): 0.02,
            ("2023", "Year"): -0.45,
            ("2024", "Year"): 0.02,
        }
    )


def test_given_totals_replace_the_compounded_ones() -> None:
    found = rows(monthly_heatmap([2024], np.full((1, 12), 0.01), totals=[0.5]))
    assert [row["value"] for row in found if row["month"] == "Year"] == [0.5]


def test_colours_of_months_are_symmetric_around_zero_and_an_outlier_does_not_pale_the_rest() -> None:
    months = np.random.default_rng(0).normal(0, 0.02, (10, 12))
    months[3, 3] = 5.0
    scale = vega(monthly_heatmap(list(range(2015, 2025)), months))["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"][0] == -scale["domain"][-1]
    assert scale["domain"][2] == 0
    assert scale["domain"][-1] < 0.1
    assert scale["clamp"]


def test_numbers_stand_out_from_every_cell_on_a_light_and_on_a_dark_page() -> None:
    squares, numbers, _ = vega(monthly_heatmap([2024], np.zeros((1, 12))))["layer"]
    ink = luminance(numbers["mark"]["color"])
    for colour in squares["encoding"]["color"]["scale"]["range"]:
        assert (luminance(colour) + 0.05) / (ink + 0.05) > 5


def test_a_heatmap_grows_with_its_years_and_keeps_the_last_sixty() -> None:
    one = monthly_heatmap([2024], np.zeros((1, 12)))
    forty = monthly_heatmap(list(range(1985, 2025)), np.zeros((40, 12)))
    assert vega(forty)["height"] - vega(one)["height"] == 39 * 24
    long = monthly_heatmap(list(range(1900, 2025)), np.zeros((125, 12)))
    assert len({row["year"] for row in rows(long)}) == MAX_YEARS
    assert "the last 60 of 125 years" in " ".join(vega(long)["title"]["subtitle"])
    assert len(long.to_json()) < 120_000


@pytest.mark.parametrize(("years", "months"), [([], np.empty((0, 12))), ([2024], np.full((1, 12), np.nan))])
def test_a_heatmap_without_a_month_says_so(years: list[int], months: Any) -> None:
    assert texts(monthly_heatmap(years, months)) == [["No month has a return yet."]]


# ---- years


def test_years_are_bars_and_the_benchmark_is_grey_beside_them() -> None:
    chart = yearly_bars([2023, 2024], [0.1, -0.2], [np.nan, 0.05], label=MARKUP, benchmark_label="S&P 500")
    found = [(row["year"], row["who"], row["value"]) for row in rows(chart) if "who" in row]
    assert found == [("2023", MARKUP, 0.1), ("2024", MARKUP, -0.2), ("2024", "S&P 500", 0.05)]
    assert vega(chart)["title"]["subtitle"] == ["grey: S&P 500"]


def test_a_run_named_like_its_benchmark_is_told_apart() -> None:
    chart = yearly_bars([2024], [0.1], [0.2], label="x", benchmark_label="x")
    assert {row["who"] for row in rows(chart) if "who" in row} == {"x", "x (2)"}


@pytest.mark.parametrize(("years", "returns"), [([], []), ([2024], [np.nan])])
def test_bars_without_a_year_say_so(years: list[int], returns: list[float]) -> None:
    assert texts(yearly_bars(years, returns)) == [["No year has a return yet."]]


# ---- single returns


def test_a_histogram_counts_every_return_and_shares_sum_to_one() -> None:
    bars = [row for row in rows(return_distribution([normal(5_000)], bins=40)) if "periods" in row]
    assert len(bars) == 40
    assert sum(row["periods"] for row in bars) == 5_000
    assert sum(row["share"] for row in bars) == pytest.approx(1)
    assert all(row["to"] > row["from"] for row in bars)


def test_the_normal_curve_has_the_area_of_the_bars() -> None:
    found = rows(return_distribution([normal(100_000)], bins=50))
    bars = [row for row in found if "periods" in row]
    curve = [row for row in found if "share" in row and "periods" not in row]
    width = bars[0]["to"] - bars[0]["from"]
    step = curve[1]["from"] - curve[0]["from"]
    assert sum(row["share"] for row in curve) * step / width == pytest.approx(1, abs=0.01)
    assert max(row["share"] for row in curve) == pytest.approx(max(row["share"] for row in bars), rel=0.1)


def test_far_out_returns_are_counted_in_the_outermost_bins_and_the_note_says_so() -> None:
    sample = ReturnSample("run", "#0072B2", np.append(normal(10_000).returns, [9.0, -9.0]))
    chart = return_distribution([sample])
    bars = [row for row in rows(chart) if "periods" in row]
    assert sum(row["periods"] for row in bars) == 10_002
    assert -1 < bars[0]["from"] < bars[-1]["to"] < 1
    assert (bars[0]["periods"], bars[-1]["periods"]) == (1, 1)
    assert "2 returns beyond the ends" in " ".join(vega(chart)["title"]["subtitle"])


def test_value_at_risk_and_expected_shortfall_are_named_left_of_both_lines() -> None:
    chart = return_distribution([normal(500)], var=-0.02, expected_shortfall=-0.031)
    labels = [layer for layer in vega(chart)["layer"] if layer["mark"]["type"] == "text"]
    assert [layer["mark"]["text"].split()[:2] for layer in labels] == [["VaR", "-2.0%"], ["ES", "-3.1%"]]
    places = {vega(chart)["datasets"][layer["data"]["name"]][0]["from"] for layer in labels}
    assert places == {-0.031}
    assert {row["from"] for row in rows(chart) if "what" in row} == {0, -0.02, -0.031}


def test_unknown_risk_measures_are_not_drawn() -> None:
    assert not texts(return_distribution([normal(500)], var=np.nan))


def test_several_runs_are_outlines_over_the_same_bins_without_a_normal_curve() -> None:
    samples = [normal(1_000, seed, MARKUP) for seed in range(MAX_SAMPLES + 2)]
    chart = return_distribution(samples, var=-0.02)
    found = [row for row in rows(chart) if "run" in row]
    assert len({row["run"] for row in found}) == MAX_SAMPLES
    assert len({row["from"] for row in found}) == 60
    assert all("periods" in row or "what" in row for row in rows(chart))
    assert not texts(chart)
    assert vega(chart)["title"]["subtitle"] == ["2 runs not drawn"]


def test_the_payload_of_a_distribution_depends_on_its_bins_only() -> None:
    few, many = (len(return_distribution([normal(n)], bins=60).to_json()) for n in (1_000, 1_000_000))
    assert many < 1.3 * few < 40_000
    assert len(return_distribution([normal(1_000)] * 10, bins=10_000).to_json()) < 500_000


@pytest.mark.parametrize("returns", [[], [np.nan, np.inf]])
def test_a_distribution_without_returns_says_so(returns: list[float]) -> None:
    chart = return_distribution([ReturnSample("run", "#0072B2", np.array(returns))])
    assert texts(chart) == [["No return yet: a curve needs two points."]]


@pytest.mark.parametrize("returns", [[0.01], [0.01] * 50, [0.0, 0.0]])
def test_equal_returns_make_one_bar_and_no_normal_curve(returns: list[float]) -> None:
    found = rows(return_distribution([ReturnSample("run", "#0072B2", np.array(returns))]))
    assert [row["periods"] for row in found if row.get("periods")] == [len(returns)]
    assert not [row for row in found if "share" in row and "periods" not in row]
