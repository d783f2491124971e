"""Quality bands: which band a store gets, and thresholds of one's own in greenroom.toml."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInputError
from core.forecasts.bands import BANDS, DEFAULT_THRESHOLDS, GRADED, Band, Threshold, band_of, read_thresholds
from core.settings import read_settings

BEST_FIRST = ["excellent", "good", "fair", "poor"]


@pytest.mark.parametrize(
    ("r2", "smape", "band"),
    [
        (1.0, 0.0, "excellent"),
        (0.8, 10.0, "excellent"),
        (0.8, 10.000001, "good"),
        (0.799999, 10.0, "good"),
        (0.6, 20.0, "good"),
        (0.599999, 1.0, "fair"),
        (0.9, 35.0, "fair"),
        (0.3, 35.0, "fair"),
        (0.3, 35.000001, "poor"),
        (0.299999, 1.0, "poor"),
        (-math.inf, 200.0, "poor"),
        (None, 1.0, "unknown"),
        (0.9, None, "unknown"),
        (math.nan, 1.0, "unknown"),
        (0.9, math.nan, "unknown"),
    ],
)
def test_a_band_asks_for_both_and_the_best_one_passed_counts(
    r2: float | None, smape: float | None, band: str
) -> None:
    assert band_of(r2, smape) == band


NUMBERS = st.floats(-2, 1), st.floats(0, 200)


@settings(deadline=None)
@given(*NUMBERS, *NUMBERS)
def test_a_better_forecast_never_has_a_worse_band(
    r2: float, smape: float, other: float, worse: float
) -> None:
    bands = [band_of(max(r2, other), min(smape, worse)), band_of(min(r2, other), max(smape, worse))]
    assert BEST_FIRST.index(bands[0]) <= BEST_FIRST.index(bands[1])


def test_thresholds_of_ones_own_decide() -> None:
    strict = (Threshold(Band.EXCELLENT, 0.95, 2.0), Threshold(Band.FAIR, 0.9, 5.0))
    assert [band_of(r2, 2.0, strict) for r2 in (0.95, 0.94, 0.8)] == ["excellent", "fair", "poor"]
    assert band_of(1.0, 0.0, ()) == "poor"


def test_bands_are_listed_best_first_and_have_the_thresholds_of_the_defaults() -> None:
    assert (*BEST_FIRST, "unknown", "failed") == BANDS
    assert tuple(one.band for one in DEFAULT_THRESHOLDS) == GRADED
    for better, worse in pairwise(DEFAULT_THRESHOLDS):
        assert better.r2 > worse.r2
        assert better.smape < worse.smape


# greenroom.toml


def configured(folder: Path, text: str) -> tuple[Threshold, ...]:
    (folder / "greenroom.toml").write_text(text)
    return read_settings({}, folder).quality


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(BadInputError) as caught:
        configured(folder, text)
    assert str(folder / "greenroom.toml") in str(caught.value)
    return str(caught.value)


def test_without_a_table_the_defaults_hold(tmp_path: Path) -> None:
    assert configured(tmp_path, "port = 9000") == DEFAULT_THRESHOLDS
    assert configured(tmp_path, "[quality]") == DEFAULT_THRESHOLDS


def test_every_band_can_be_set(tmp_path: Path) -> None:
    found = configured(
        tmp_path,
        "[quality]\nfair = { r2 = -1, smape = 200 }\nexcellent = { r2 = 1, smape = 0 }\n"
        "good = { r2 = 0.5, smape = 12.5 }",
    )
    assert found == (
        Threshold(Band.EXCELLENT, 1.0, 0.0),
        Threshold(Band.GOOD, 0.5, 12.5),
        Threshold(Band.FAIR, -1.0, 200.0),
    )
    assert all(type(one.r2) is float and type(one.smape) is float for one in found)


def test_bands_that_are_not_named_keep_their_defaults(tmp_path: Path) -> None:
    found = configured(tmp_path, "[quality.excellent]\nr2 = 0.9\nsmape = 5")
    assert found == (Threshold(Band.EXCELLENT, 0.9, 5.0), *DEFAULT_THRESHOLDS[1:])


def test_equal_thresholds_of_two_bands_are_allowed(tmp_path: Path) -> None:
    found = configured(tmp_path, "[quality]\ngood = { r2 = 0.8, smape = 10 }")
    assert (found[1].r2, found[1].smape) == (found[0].r2, found[0].smape)


@pytest.mark.parametrize("name", ["great", "Excellent", "poor", "unknown", "failed"])
def test_a_band_without_thresholds_is_refused_with_those_that_have_them(tmp_path: Path, name: str) -> None:
    said = refusal(tmp_path, f"[quality]\n{name} = {{ r2 = 0.8, smape = 10 }}")
    assert f"'{name}'" in said
    assert "excellent, good, fair" in said


@pytest.mark.parametrize(
    "given",
    [
        "0.8",
        "[0.8, 10]",
        '"strict"',
        "{}",
        "{ r2 = 0.8 }",
        "{ smape = 10 }",
        "{ r2 = 0.8, smape = 10, mape = 3 }",
        '{ r2 = "0.8", smape = 10 }',
        "{ r2 = true, smape = 10 }",
        "{ r2 = nan, smape = 10 }",
        "{ r2 = 0.8, smape = inf }",
    ],
)
def test_another_shape_is_refused_with_the_right_one(tmp_path: Path, given: str) -> None:
    said = refusal(tmp_path, f"[quality]\ngood = {given}")
    assert "quality.good" in said
    assert "{ r2 = 0.8, smape = 10 }" in said


@pytest.mark.parametrize("text", ['quality = "strict"', "quality = 0.8", "quality = [1]"])
def test_quality_that_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    assert "excellent = { r2 = 0.8, smape = 10 }" in refusal(tmp_path, text)


@pytest.mark.parametrize(("r2", "smape"), [(0.8, -1), (0.8, 200.5), (1.01, 10)])
def test_what_no_forecast_can_have_is_refused_with_the_range(tmp_path: Path, r2: float, smape: float) -> None:
    said = refusal(tmp_path, f"[quality]\nexcellent = {{ r2 = {r2}, smape = {smape} }}")
    assert "quality.excellent" in said
    assert "0 to 200" in said


@pytest.mark.parametrize(
    ("text", "better", "worse"),
    [
        ("excellent = { r2 = 0.5, smape = 10 }", "excellent", "good"),
        ("excellent = { r2 = 0.9, smape = 25 }", "excellent", "good"),
        ("fair = { r2 = 0.7, smape = 35 }", "good", "fair"),
        ("fair = { r2 = 0.3, smape = 15 }", "good", "fair"),
    ],
)
def test_a_better_band_that_asks_for_less_is_refused(
    tmp_path: Path, text: str, better: str, worse: str
) -> None:
    assert f"{better} asks for less than {worse}" in refusal(tmp_path, f"[quality]\n{text}")


def test_the_place_of_the_settings_is_named() -> None:
    with pytest.raises(BadInputError, match="under quality in the arguments"):
        read_thresholds({"best": {}}, "the arguments")
