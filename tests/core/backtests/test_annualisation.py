import math

import numpy as np
import polars as pl
import pytest
from arch.data import sp500
from hypothesis import given, settings
from hypothesis import strategies as st

from core.backtests.annualisation import annualise
from core.errors import BadInputError

RANDOM = np.random.default_rng(11)
HOUR, MINUTE = np.timedelta64(1, "h"), np.timedelta64(1, "m")


def days(start, count, step=1):
    return (np.datetime64(start, "D") + np.arange(count) * step).astype("datetime64[us]")


def business(start, count):
    return np.busday_offset(start, np.arange(count), roll="forward").astype("datetime64[us]")


def months(start, count, step=1):
    first = (np.datetime64(start, "M") + np.arange(count) * step).astype("datetime64[D]")
    return first.astype("datetime64[us]")


def without(times, *places):
    return np.delete(times, places)


def five_minute_fx(weeks):
    """Sunday 22:00 to Friday 22:00 UTC."""
    week = np.datetime64("2024-01-07T22:00", "us") + np.arange(5 * 288) * 5 * MINUTE
    return np.concatenate([week + at * np.timedelta64(7, "D") for at in range(weeks)])


def stamped(dates, zone_hours):
    """Local midnight some hours east of UTC."""
    return dates - zone_hours * HOUR


BUSINESS, EVERY = (252.0, "business days"), (365.0, "every day")
SNAPPED = {
    "business days": (business("2020-01-01", 800), BUSINESS),
    "a week of business days": (business("2024-01-01", 5), BUSINESS),
    "business days, holidays missing": (without(business("2020-01-01", 800), *range(9, 800, 20)), BUSINESS),
    "business days, a year missing": (without(business("2020-01-01", 800), *range(200, 460)), BUSINESS),
    "business days, closes at changing hours": (
        business("2020-01-01", 500) + RANDOM.integers(9, 22, 500) * HOUR, BUSINESS),
    "business days, logged around midnight": (
        np.sort(business("2020-01-01", 500) + RANDOM.integers(-90, 90, 500) * MINUTE), BUSINESS),
    "midnight in Tokyo, Sunday to Thursday in UTC": (stamped(business("2020-01-01", 500), 9), BUSINESS),
    "ends of day, Tuesday to Saturday": (stamped(business("2020-01-01", 500), -24), BUSINESS),
    "a stray Saturday and Sunday": (
        np.union1d(business("2020-01-01", 100), days("2020-02-01", 2)), BUSINESS),
    "Friday and Monday": (days("2024-01-05", 2, 3), BUSINESS),
    "two weekdays": (days("2024-01-02", 2), BUSINESS),
    "Thursday to Monday": (without(days("2024-01-04", 5), 2, 3), BUSINESS),
    "every day": (days("2020-01-01", 900), EVERY),
    "every day, some missing": (without(days("2020-01-01", 900), *range(3, 900, 13)), EVERY),
    "every day, a month missing": (without(days("2020-01-01", 900), *range(300, 330)), EVERY),
    "every day at changing hours": (days("2020-01-01", 400) + RANDOM.integers(0, 6, 400) * HOUR, EVERY),
    "a week of every day": (days("2024-01-01", 7), EVERY),
    "Saturday and Sunday": (days("2024-01-06", 2), EVERY),
    "weekly": (days("2020-01-03", 150, 7), (52.0, "weekly")),
    "weekly, moved by holidays": (days("2020-01-03", 150, 7) - RANDOM.integers(0, 2, 150) * 24 * HOUR,
                                  (52.0, "weekly")),
    "two weeks": (days("2020-01-03", 2, 7), (52.0, "weekly")),
    "monthly": (months("2020-01", 40), (12.0, "monthly")),
    "monthly, some missing": (without(months("2020-01", 60), 7, 20, 21), (12.0, "monthly")),
    "last business day of the month": (
        np.busday_offset(months("2020-02", 60).astype("datetime64[D]"), -1, roll="forward"), (12.0, "monthly")),
    "quarterly": (months("2015-03", 20, 3), (4.0, "quarterly")),
    "yearly": (months("2000-12", 20, 12), (1.0, "yearly")),
}  # fmt: skip

COUNTED = {
    "hourly, every hour": (days("2024-01-01", 1) + np.arange(5000) * HOUR, 8766, "intraday, as counted"),
    "five minutes of FX": (five_minute_fx(52), 52.18 * 1440, "intraday, as counted"),
    "every eight hours": (days("2024-01-01", 1) + np.arange(500) * 8 * HOUR, 365.25 * 3, "intraday, as counted"),
    "open and close of business days": (
        np.sort(np.concatenate([business("2020-01-01", 500) + h * HOUR for h in (9, 16)])), 521.8,
        "intraday, as counted"),
    "two minutes": (days("2024-01-01", 1) + np.arange(2) * MINUTE, 525_960, "intraday, as counted"),
    "every second day": (days("2024-01-01", 200, 2), 182.6, "irregular, as counted"),
    "every second week": (days("2024-01-01", 60, 14), 26.1, "irregular, as counted"),
    "half-years": (months("2000-01", 30, 6), 2.0, "irregular, as counted"),
    "now and then": (
        np.datetime64("2020-01-01", "us") + np.cumsum(np.exp(RANDOM.normal(0, 1.75, 600)) * 24).astype(int) * HOUR,
        None, "irregular, as counted"),
    "four days of eight": (
        without(days("2020-01-01", 800), *(i for i in range(800) if i % 8 > 3)),
        182.6,
        "irregular, as counted",
    ),
    "four business days of eight": (
        without(business("2020-01-01", 800), *(i for i in range(800) if i % 8 > 3)),
        130.5,
        "irregular, as counted",
    ),
    "bursts of days": (without(days("2020-01-01", 700), *(i for i in range(700) if i % 12 > 2)), 92.1,
                       "irregular, as counted"),
}  # fmt: skip


@pytest.mark.parametrize("name", SNAPPED)
def test_a_rhythm_snaps_to_its_convention(name):
    times, expected = SNAPPED[name]
    found = annualise(times.astype("datetime64[us]"))
    assert (found.periods_per_year, found.convention) == expected


@pytest.mark.parametrize("name", COUNTED)
def test_what_has_no_convention_is_counted(name):
    times, expected, convention = COUNTED[name]
    times = np.unique(times.astype("datetime64[us]"))
    found = annualise(times)
    assert found.convention == convention
    assert found.periods_per_year == found.counted
    elapsed = (times[-1] - times[0]) / np.timedelta64(36525 * 864, "s")
    assert found.counted == pytest.approx((len(times) - 1) / elapsed, rel=1e-12)
    if expected:
        assert found.counted == pytest.approx(expected, rel=0.01)


def test_what_was_counted_is_told_beside_the_convention():
    assert annualise(business("2020-01-01", 800)).counted == pytest.approx(260.9, rel=0.01)
    assert annualise(sp500.load().index.to_numpy().astype("datetime64[us]")).periods_per_year == 252.0


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_points_are_taken_for_business_days(count):
    found = annualise(days("2024-01-01", count))
    assert (found.periods_per_year, found.convention) == BUSINESS
    assert math.isnan(found.counted)


def test_an_override_is_taken_as_set():
    found = annualise(business("2020-01-01", 800), 260.0)
    assert (found.periods_per_year, found.convention) == (260.0, "as set")
    assert found.counted == annualise(business("2020-01-01", 800)).counted
    assert annualise(days("2024-01-01", 1), 12).periods_per_year == 12.0
    assert annualise(months("2000-12", 9, 24), 0.5).periods_per_year == 0.5


@pytest.mark.parametrize("override", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_override_is_refused(override):
    with pytest.raises(BadInputError, match="above zero"):
        annualise(days("2024-01-01", 9), override)


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=200))
def test_any_rising_times_have_a_year(seconds):
    times = np.datetime64("1999-12-31", "us") + np.cumsum(seconds) * np.timedelta64(1, "s")
    found = annualise(np.append(np.datetime64("1999-12-31", "us"), times))
    assert math.isfinite(found.periods_per_year)
    assert found.periods_per_year > 0


def test_real_exchange_rates(shared_data):
    daily = pl.read_csv(shared_data / "fx" / "usdcop_daily_2020_2026.csv", columns=["time"])
    times = np.sort(daily["time"].str.slice(0, 19).str.to_datetime().to_numpy().astype("datetime64[us]"))
    assert annualise(times).periods_per_year == 252.0
