import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.runs.comparison.recorded_values import (
    as_number,
    canonical,
    is_finite,
    is_recorded,
    merge_short_hashes,
    shorten,
)

HEX = st.text("0123456789abcdef", min_size=7, max_size=40)


@pytest.mark.parametrize("nothing", [None, "", "  ", "None", "null", "NaN", "unknown", "n/a"])
def test_what_says_nothing(nothing):
    assert not is_recorded(nothing)


@pytest.mark.parametrize("something", ["0", "False", "no", "none of these"])
def test_what_says_something(something):
    assert is_recorded(something)


@pytest.mark.parametrize(
    "value", [None, math.nan, math.inf, -math.inf, sys.float_info.max, -sys.float_info.max]
)
def test_values_that_are_not_finite_to_mlflow(value):
    assert not is_finite(value)


@given(st.floats(allow_nan=False))
def test_numbers_are_read_back(number):
    assert as_number(repr(number)) == number


@pytest.mark.parametrize("text", ["", "nan", "2024_01", "1e", "0.1 %", "None"])
def test_texts_that_are_no_number(text):
    assert as_number(text) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.001", "1e-3"),
        ("5", " 5.0 "),
        ("2024-01-31", "2024-01-31T00:00:00"),
        ("2024-01-31", "2024-01-31 00:00:00+00:00"),
        ("2024-01-31", "20240131"),
        ("2024-01-31T05:00:00Z", "2024-01-31 00:00:00-05:00"),
    ],
)
def test_equal_values_get_one_spelling(one, other):
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("0.001", "0.0010001"), ("2024-01-31", "2024-01-31T00:01"), ("2024-01-31", "2024-02-01"), ("a", "A")],
)
def test_different_values_stay_different(one, other):
    assert canonical(one) != canonical(other)


def test_a_time_at_the_edge_of_the_calendar_is_kept_as_text():
    assert canonical("0001-01-01T00:00:00+05:00") == "0001-01-01T00:00:00+05:00"


@given(HEX, st.integers(7, 40))
def test_a_short_hash_equals_the_long_one_that_it_begins(full, length):
    short = full[:length]
    merged = merge_short_hashes([full.upper(), None, short])
    assert merged[0] == merged[2]
    assert merged[0].lower() == short
    assert merged[1] is None


def test_short_texts_and_other_hashes_are_not_merged():
    assert merge_short_hashes(["abc123", "abc1234", "v1", "v10"]) == ["abc123", "abc1234", "v1", "v10"]


def test_long_texts_are_cut_for_a_sentence():
    assert shorten("f" * 64) == "f" * 12
    assert len(shorten("a long story " * 10)) == 40
    assert shorten("0.001") == "0.001"
