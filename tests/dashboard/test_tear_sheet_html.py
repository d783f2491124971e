"""The standalone file: nothing in it comes from outside, and names stay names."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard.tear_sheet_html import HtmlTable, HtmlTearSheet, tear_sheet_html

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)> & \"quoted\""


def sheet(text: str, months: np.ndarray | None = None) -> str:
    matrix = np.full((1, 12), np.nan) if months is None else months
    return tear_sheet_html(
        HtmlTearSheet(
            title=text,
            facts=(text,),
            headline=((text, text),),
            figures=(go.Figure(go.Scatter(x=[1, 2], y=[3, 4], name=text)),),
            months=([2020], matrix),
            tables=(HtmlTable(text, (text, "n"), ((text, text),), numbers=("n",)),),
            notes=(text,),
        )
    )


def without_plotly(html: str) -> str:
    head, _, rest = html.partition("<script>")
    return head + rest.partition("</script></head>")[2]


def test_names_are_escaped_wherever_they_stand() -> None:
    written = without_plotly(sheet(HOSTILE))
    assert "<script>alert" not in written
    assert "<img" not in written
    # Title twice, fact, headline twice, table title, head, two cells, note.
    assert written.count("&lt;/script&gt;") == 2 * 10


def test_nothing_is_loaded_from_elsewhere() -> None:
    html = sheet("plain")
    assert "default-src 'none'" in html
    written = without_plotly(html)
    assert "http" not in written.replace("http-equiv", "")
    assert "src=" not in written


def test_months_are_written_with_their_total_and_a_dash_where_there_is_none() -> None:
    months = np.full((1, 12), np.nan)
    months[0, :2] = (0.1, -0.05)
    written = without_plotly(sheet("plain", months))
    assert written.count("<td>–</td>") == 10
    assert "10.0%</td>" in written
    assert f"{1.1 * 0.95 - 1:.1%}</b>" in written


@pytest.mark.parametrize("years", [0, 40])
def test_any_number_of_years(years: int) -> None:
    html = tear_sheet_html(
        HtmlTearSheet("t", (), (), (), (list(range(years)), np.zeros((years, 12))), (), ())
    )
    assert without_plotly(html).count("<tr>") == (years + 1 if years else 0)
