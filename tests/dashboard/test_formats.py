"""Numbers, times and names as people read them."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from dashboard.formats import (
    action_label,
    ago,
    count,
    delta,
    done_of,
    duration,
    escape_markdown,
    exact_time,
    file_size,
    job_label,
    local_time,
    number,
    outcome_label,
    percent,
    request_label,
    short_id,
    shortened,
    stage_label,
    status_label,
    time_left,
    verdict_label,
    weekday_time,
    wrappable,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BOGOTA = timezone(timedelta(hours=-5), "COT")


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (None, "–"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (sys.float_info.max, "∞"),
        (-sys.float_info.max, "-∞"),
        (0.0, "0"),
        (-0.0, "0"),
        (3, "3"),
        (1234567, "1,234,567"),
        (-1234.5, "-1,234"),
        (12345.67, "12,346"),
        (999.96, "1,000"),
        (123.456, "123.5"),
        (0.5, "0.5"),
        (0.123456, "0.1235"),
        (0.00012346, "0.0001235"),
        (0.00009999999, "0.0001"),
        (0.000012345, "1.234e-5"),
        (1e-300, "1e-300"),
        (1.23456e20, "1.235e20"),
    ],
)
def test_numbers_have_four_significant_digits(x: float | None, text: str) -> None:
    assert number(x) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (None, "–"),
        (math.nan, "NaN"),
        (-math.inf, "-∞"),
        (0.0, "0%"),
        (0.1234, "12.3%"),
        (-0.05, "-5.0%"),
        (0.00123, "0.12%"),
        (0.00001, "0.001%"),
        (0.99996, "100.0%"),
        (12.5, "1,250%"),
    ],
)
def test_fractions_are_written_as_percentages(fraction: float | None, text: str) -> None:
    assert percent(fraction) == text


def test_a_delta_says_whether_it_is_better() -> None:
    assert delta(0.0123, higher_is_better=True) == "+0.0123 better"
    assert delta(0.0123, higher_is_better=False) == "+0.0123 worse"
    assert delta(-3, higher_is_better=False) == "-3 better"
    assert delta(0, higher_is_better=True) == "0 same"


def test_a_delta_without_a_direction_makes_no_judgement() -> None:
    assert delta(-3) == "-3"
    assert delta(None, higher_is_better=True) == "–"
    assert delta(math.nan, higher_is_better=True) == "NaN"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.0001, "<1 ms"),
        (0.85, "850 ms"),
        (0.9996, "1.0 s"),
        (12.4, "12.4 s"),
        (59.97, "1 min 00 s"),
        (245, "4 min 05 s"),
        (3599.6, "1 h 00 min"),
        (3840, "1 h 04 min"),
        (86_390, "1 d 0 h"),
        (183_600, "2 d 3 h"),
        (-245, "-4 min 05 s"),
    ],
)
def test_durations_use_their_two_largest_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=5, seconds=50), "5 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=12), "12 d ago"),
        (timedelta(days=729), "729 d ago"),
        (timedelta(days=731), "2 y ago"),
        (timedelta(minutes=-5), "in 5 min"),
    ],
)
def test_ages_are_rounded_down(before: timedelta, text: str) -> None:
    assert ago(NOW - before, NOW) == text


def test_times_are_shown_in_a_zone_and_taken_as_utc_without_one() -> None:
    assert local_time(NOW, BOGOTA) == "2026-03-01 07:00"
    assert local_time(NOW.replace(tzinfo=None), BOGOTA) == "2026-03-01 07:00"
    assert exact_time(NOW, BOGOTA) == "2026-03-01 07:00:00 COT"
    assert ago(NOW.replace(tzinfo=None) - timedelta(hours=2), NOW) == "2 h ago"


def test_a_missing_time_is_a_dash() -> None:
    assert [local_time(None), exact_time(None), ago(None, NOW)] == ["–"] * 3


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (12_400, "12.4 kB"),
        (999_960, "1.0 MB"),
        (3_200_000, "3.2 MB"),
        (5 * 10**15, "5,000.0 TB"),
    ],
)
def test_file_sizes_are_decimal(size: int | None, text: str) -> None:
    assert file_size(size) == text


def test_counts_agree_with_their_noun() -> None:
    assert count(1, "run") == "1 run"
    assert count(12345, "run") == "12,345 runs"
    assert count(0, "query") == "0 queries"
    assert count(2, "day") == "2 days"
    assert count(3, "batch") == "3 batches"
    assert count(2, "child", "children") == "2 children"


def test_ids_and_names_are_shortened() -> None:
    assert short_id("0123456789abcdef") == "01234567"
    assert shortened("backtest_2024_eurusd", 11) == "backt…urusd"
    assert shortened("short", 5) == "short"


def test_states_are_a_sign_and_a_word() -> None:
    states = ["FINISHED", "FAILED", "RUNNING", "KILLED", "SCHEDULED"]
    labels = [status_label(state) for state in states]
    assert labels == ["✓ Finished", "✕ Failed", "● Running", "■ Killed", "◷ Scheduled"]
    assert [status_label("PAUSED"), status_label(None)] == ["? PAUSED", "–"]
    stages = [stage_label(stage) for stage in (None, "None", "Staging", "Production", "Archived")]
    assert len(set(stages)) == 4
    assert stages[3].endswith(" Production")


# Each pair was rendered by Streamlit 1.67 in st.markdown, st.caption and a label, where it read as the name.
@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("ppo_usdcop_v1.5-rc (2)", "ppo_usdcop_v1.5-rc (2)"),
        ("lr=0.001, 12:30", "lr=0.001, 12:30"),
        ("**bold** _i_ ~x~", r"\*\*bold\*\* \_i\_ \~x\~"),
        ("`code`", r"\`code\`"),
        ("# head", r"\# head"),
        ("- item", r"\- item"),
        ("1. one", r"1\. one"),
        ("> quote", r"\> quote"),
        ("===", r"\==="),
        ("[text](x) ![i](y)", r"\[text](x) !\[i](y)".replace("]", r"\]")),
        ("<b>&amp;", r"\<b>\&amp;"),
        ("$x^2$", r"\$x^2\$"),
        ("a|b", r"a\|b"),
        ("C:\\x", r"C\:\\x"),
        (":red[hot]", r"\:red\[hot\]"),
        ("x:color[y]{foreground='red'}", r"x\:color\[y\]\{foreground='red'}"),
        (":smile:", r":color[:]smile\:"),
        (":+1:", r":color[:]+1\:"),
        (":material/home:", r":color[:]material/home\:"),
        (":streamlit:", r":color[:]streamlit\:"),
        ("a -> b", "a :color[-]> b"),
        ("a <= b", r"a :color[\<]= b"),
        ("a -- b", "a :color[-]- b"),
        ("https://example.com", "https:color[:]//example.com"),
        ("www.example.com", "www:color[.]example.com"),
        ("ana@example.com", "ana:color[@]example.com"),
        ("two\n\n# lines ", "two # lines"),
        ("", ""),
    ],
)
def test_names_are_escaped_for_markdown(name: str, escaped: str) -> None:
    assert escape_markdown(name) == escaped


def test_times_of_the_days_around_now_name_their_weekday() -> None:
    assert weekday_time(NOW, UTC) == "Sun 12:00"
    assert weekday_time(datetime(2026, 3, 2, 3, 5, tzinfo=UTC), BOGOTA) == "Sun 22:05"


def test_long_words_can_be_broken_and_lose_nothing() -> None:
    path = "/data/models/2026/ppo_usdcop/artifacts/model"
    assert wrappable("short words stay as they are") == "short words stay as they are"
    broken = wrappable(f"No file {path}.")
    assert broken.replace("\u200b", "") == f"No file {path}."
    assert max(len(part) for part in broken.replace("\u200b", " ").split()) <= 12


def test_actions_and_requests_have_a_sign_and_a_word() -> None:
    assert action_label("rolled back") == "↶ Rolled back"
    assert action_label("something new") == "· Something new"
    assert request_label("waiting") == "◷ Waiting"


def test_jobs_and_retrainings_have_a_sign_and_a_word() -> None:
    assert job_label("lost") == "⚠ Lost"
    assert job_label("stopping") == "◼ Stopping"
    assert outcome_label(None) == "● Under way"
    assert outcome_label("refused") == "◌ Refused"
    assert verdict_label("worse") == "▼ Worse"


def test_how_far_something_is_counts_unless_the_words_do() -> None:
    assert done_of(3, 45, "stores") == "3 of 45 stores"
    assert done_of(1500, 0, "steps") == "1,500 steps"
    assert done_of(3, 45, "") == "3 of 45"
    assert done_of(3, 45, "3 of 45 stores (S012)") == "3 of 45 stores (S012)"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (math.inf, ""),
        (0.0, "1 s left"),
        (39.2, "40 s left"),
        (100.0, "2 min left"),
        (3569.0, "59 min left"),
        (3840.0, "1 h 04 min left"),
    ],
)
def test_time_left_is_no_more_exact_than_it_is_known(seconds: float | None, said: str) -> None:
    assert time_left(seconds) == said
