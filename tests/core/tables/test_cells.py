"""Cells as numbers: what is cleaned, what is refused, and which cells an error names."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tables.cells import numbers_of, text_to_numbers
from core.tables.errors import TableError


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1", " 2.5 ", "1e3", "-4"], [1.0, 2.5, 1000.0, -4.0]),
        (["1,234.5", "1,000", "n/a", ""], [1234.5, 1000.0, None, None]),
        (["1.234,56", "2.000", "7"], [1234.56, 2000.0, 7.0]),
        (["0,5", "12,25"], [0.5, 12.25]),
        (["1 234", "1\u202f000.5", "12"], [1234.0, 1000.5, 12.0]),
        (["$1,000", "-$2,500", "€ 3"], [1000.0, -2500.0, 3.0]),
        (["(12.5)", "−3"], [-12.5, -3.0]),
        (["12%", "-0.5 %", "0"], [0.12, -0.005, 0.0]),
    ],
)
def test_text_is_cleaned_where_it_is_unambiguous(cells: list[str], numbers: list[float | None]) -> None:
    assert text_to_numbers(pl.Series("v", cells))[0].to_list() == numbers


@pytest.mark.parametrize(
    "cells",
    [["12 34"], ["1.5", "abc"], ["12%", "3"], ["1,234.5", "1,5"], ["1.2.3"], ["True"]],
)
def test_text_that_could_mean_two_things_is_refused(cells: list[str]) -> None:
    with pytest.raises(TableError, match=r"row [12]: "):
        numbers_of(pl.DataFrame({"v": cells}), "v", "a.csv")


def test_bad_cells_are_named_by_row_and_content_the_first_three() -> None:
    cells = ["1", "one", "two", "3", "four", "five"]
    with pytest.raises(TableError) as raised:
        numbers_of(pl.DataFrame({"equity": cells}), "equity", "b/a.csv")
    assert "equity of b/a.csv" in str(raised.value)
    assert "(row 2: 'one', row 3: 'two', row 5: 'four' and 1 more)" in str(raised.value)


@given(st.lists(st.floats(-1e9, 1e9).map(lambda v: round(v, 2)), min_size=2, max_size=30))
def test_thousands_and_decimals_round_trip_in_both_manners(values: list[float]) -> None:
    values = [*values, 1234567.25]  # tells which sign is which
    english = [f"{value:,.2f}" for value in values]
    german = [text.translate(str.maketrans(",.", ".,")) for text in english]
    for cells in (english, german):
        assert np.allclose(text_to_numbers(pl.Series("v", cells))[0].to_numpy(), values, rtol=0, atol=1e-9)
