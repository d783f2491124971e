"""The chart of what was in Production when draws every reign, and says what it leaves out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from core.registry.history import Reign
from dashboard.charts.reigns import MAX_REIGNS, reigns_chart

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def reign(version: int, start: int, end: int | None, *, exact: bool = True) -> Reign:
    """Return a reign by days before `NOW`."""
    until = None if end is None else NOW - timedelta(days=end)
    return Reign(version, NOW - timedelta(days=start), until, "promoted", "amara", "why", exact)


def rows(chart: Any) -> list[dict[str, Any]]:
    (found,) = chart.to_dict()["datasets"].values()
    return list(found)


def test_a_bar_for_each_reign_and_the_newest_version_on_top() -> None:
    chart = reigns_chart([reign(1, 30, 20), reign(2, 20, 10), reign(1, 10, None)], NOW)
    assert [row["version"] for row in rows(chart)] == ["v1", "v2", "v1"]
    assert [row["state"] for row in rows(chart)] == ["□ before", "□ before", "★ in Production now"]
    assert rows(chart)[2]["to"] == "now"
    (layer,) = chart.to_dict()["layer"]
    assert layer["encoding"]["y"]["sort"] == ["v2", "v1"]


def test_a_start_that_is_an_upper_bound_is_said() -> None:
    chart = reigns_chart([reign(1, 30, None, exact=False)], NOW)
    assert rows(chart)[0]["from"].endswith(", at the latest")
    assert "1 start known by MLflow's last change only" in " ".join(chart.to_dict()["title"]["subtitle"])


def test_a_short_reign_can_be_seen() -> None:
    chart = reigns_chart([reign(1, 400, 10), Reign(2, NOW, NOW, "promoted", "a", "", True)], NOW)
    short = rows(chart)[1]
    assert datetime.fromisoformat(short["end"]) - datetime.fromisoformat(short["start"]) >= timedelta(days=1)


def test_the_last_sixty_are_drawn_and_nothing_says_so() -> None:
    many = [reign(number, 200 - number, 199 - number) for number in range(1, 100)]
    chart = reigns_chart(many, NOW)
    assert len(rows(chart)) == MAX_REIGNS
    assert "the last 60 of 99" in " ".join(chart.to_dict()["title"]["subtitle"])
    assert "No version has been in Production" in str(reigns_chart([], NOW).to_dict())
