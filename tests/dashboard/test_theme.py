"""The theme: Streamlit knows every option of it, and its texts can be read."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dashboard.charts.theme import TEXT_GREY

CONFIG = Path(__file__).parents[2] / ".streamlit" / "config.toml"
THEME: dict[str, Any] = tomllib.loads(CONFIG.read_text())["theme"]
AA = 4.5


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def blend(colour: str, ground: str, opacity: float) -> str:
    pairs = [(int(colour[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(top * opacity + under * (1 - opacity)):02x}" for top, under in pairs)


def test_contrast_is_the_one_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_texts_reach_aa(mode: str) -> None:
    theme = THEME[mode]
    page = theme["backgroundColor"]
    assert contrast("#ffffff", theme["primaryColor"]) >= AA, "Streamlit writes white on a primary button"
    assert contrast(theme["primaryColor"], page) >= AA, "Streamlit writes the open tab in the accent"
    assert contrast(theme["linkColor"], page) >= AA
    assert contrast(TEXT_GREY, page) >= AA
    assert contrast(theme["dataframeHeaderTextColor"], theme["dataframeHeaderBackgroundColor"]) >= AA
    for ground in (page, theme["secondaryBackgroundColor"], theme["sidebar"]["backgroundColor"]):
        assert contrast(theme["textColor"], ground) >= AA
        assert contrast(blend(theme["textColor"], ground, 0.6), ground) >= AA, "a caption is text at 60 %"


def test_streamlit_knows_every_option() -> None:
    command = [sys.executable, "-m", "streamlit", "config", "show"]
    shown = subprocess.run(
        command, cwd=CONFIG.parents[1], capture_output=True, text=True, timeout=60, check=True
    )
    assert 'primaryColor = "#' in shown.stdout
    assert "not a valid config option" not in shown.stdout + shown.stderr
    assert "Warning" not in shown.stderr


def test_ten_sequential_and_diverging_colours_are_given_or_streamlit_ignores_them() -> None:
    assert len(THEME["chartDivergingColors"]) == 10
    assert [len(THEME[mode]["chartSequentialColors"]) for mode in ("light", "dark")] == [10, 10]
