"""The generated sales are what their documentation says, measured from the frame; over several seeds."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from core.demo.generated_sales import BREAKAGES, GENERATED_NOTE, SALES, generate_sales
from core.errors import BadInputError

END = date(2025, 9, 28)
REFURBISHED, COMPETITOR, OPENED_LATE, JUST_OPENED, STUCK_TILL, INTERMITTENT, FLAGSHIP = (
    broken.store for broken in BREAKAGES
)


@pytest.fixture(scope="module", params=[20, 1, 2])
def sales(request: pytest.FixtureRequest) -> pl.DataFrame:
    return generate_sales(seed=request.param)


@pytest.fixture
def usual(sales: pl.DataFrame) -> pl.DataFrame:
    """The stores that do not break, on days without a holiday, with the logarithm of sales."""
    broken = [one.store for one in BREAKAGES]
    return sales.filter(~pl.col("store").is_in(broken), holiday=0).with_columns(log=pl.col("sales").log())


def of(sales: pl.DataFrame, store: str) -> pl.DataFrame:
    return sales.filter(store=store)


def against_last_year(store: pl.DataFrame, days: int) -> float:
    """Sales of the last days over those of the same days a year (52 weeks) before, without promotions."""
    quiet = store.filter(promo=0, holiday=0)
    year = timedelta(weeks=52)
    now = quiet.filter(pl.col("date") > END - timedelta(days))
    then = quiet.filter(pl.col("date").is_between(END - year - timedelta(days), END - year, closed="right"))
    return now["sales"].to_numpy().mean() / then["sales"].to_numpy().mean()


def correlated_after(usual: pl.DataFrame, days: int) -> pl.DataFrame:
    """A row a store: the autocorrelation of log sales at a lag of calendar days."""
    earlier = usual.select("store", pl.col("date") + timedelta(days), before="log")
    pairs = usual.join(earlier, on=["store", "date"])
    return pairs.group_by("store").agg(pl.corr("log", "before").alias(f"lag{days}"))


def unexplained(usual: pl.DataFrame) -> pl.DataFrame:
    """Log sales less those of the same weekday one week before and after, where promotions are the same."""
    keys = ["store", "date", "promo"]
    before = usual.select("store", pl.col("date") + timedelta(7), "promo", before="log")
    after = usual.select("store", pl.col("date") - timedelta(7), "promo", after="log")
    return (
        usual.join(before, on=keys)
        .join(after, on=keys)
        .select("store", "date", left=pl.col("log") - (pl.col("before") + pl.col("after")) / 2)
    )


def test_the_same_arguments_give_the_same_frame_and_another_seed_another() -> None:
    assert_frame_equal(generate_sales(5, 100, 3), generate_sales(5, 100, 3), check_exact=True)
    assert not generate_sales(5, 100, 3).equals(generate_sales(5, 100, 4))


@pytest.mark.parametrize("stores", [1, 9, 44])
def test_the_first_stores_are_the_same_however_many_there_are(stores: int) -> None:
    first = generate_sales(45, 300, 7).filter(pl.col("store") <= f"S{stores:03d}")
    assert_frame_equal(generate_sales(stores, 300, 7), first, check_exact=True)


def test_columns_and_types_are_those_written_down(sales: pl.DataFrame) -> None:
    assert dict(sales.schema) == SALES
    assert sales.null_count().transpose().to_series().sum() == 0
    assert sales["promo"].unique().sort().to_list() == [0, 1]
    assert sales["holiday"].unique().sort().to_list() == [0, 1]
    assert sales.select((pl.col("sales") * 100 - (pl.col("sales") * 100).round()).abs().max()).item() < 1e-4


def test_there_is_one_row_a_store_and_day_in_order(sales: pl.DataFrame) -> None:
    keys = sales.select("store", "date")
    assert_frame_equal(keys, keys.unique().sort("store", "date"))
    assert keys["store"].n_unique() == 45
    assert keys["date"].min() == END - timedelta(759)
    assert keys["date"].max() == END


def test_nothing_is_negative_or_infinite(sales: pl.DataFrame) -> None:
    assert sales["sales"].is_finite().all()
    assert sales["sales"].min() == 0.0
    assert sales.filter(pl.col("store") != INTERMITTENT)["sales"].to_numpy().min() > 0
    assert sales["visitors"].to_numpy().min() >= 0
    assert sales["price_index"].is_between(0.5, 1.5).all()


def test_closed_days_have_no_row(sales: pl.DataFrame) -> None:
    closed = [
        date(year, month, day) for year in (2023, 2024, 2025) for month, day in ((1, 1), (12, 25), (12, 26))
    ]
    assert not sales["date"].is_in(closed).any()
    sundays = sales.filter(pl.col("date").dt.weekday() == 7)
    assert 0 < sundays["store"].n_unique() < 45 / 2
    assert sales["date"].n_unique() == 760 - 6


def test_holidays_are_public_holidays_on_which_stores_are_open(sales: pl.DataFrame) -> None:
    found = sales.filter(holiday=1)["date"].unique()
    assert date(2024, 5, 1) in found.to_list()
    assert len(found) == 14
    assert not sales.filter(pl.col("date").is_in(found), holiday=0).height


def test_partners_are_five_chains_of_unequal_size(sales: pl.DataFrame) -> None:
    sizes = sales.group_by("partner").agg(pl.n_unique("store"))["store"].sort()
    assert len(sizes) == 5
    assert sizes.n_unique() == 5
    assert sizes.sum() == 45


def test_a_promotion_is_a_fortnight_of_all_stores_of_a_partner(sales: pl.DataFrame) -> None:
    fortnight = (pl.col("date") - date(1970, 1, 5)).dt.total_days() // 14
    found = sales.group_by("partner", fortnight).agg(pl.n_unique("promo"), promoted=pl.first("promo"))
    assert found["promo"].max() == 1
    shares = found.group_by("partner").agg(pl.mean("promoted"))
    assert shares["promoted"].is_between(0.25, 0.42).all()
    calendars = sales.group_by("partner").agg(pl.col("date").filter(promo=1).unique().sort())
    assert calendars["date"].n_unique() == 5


def test_promotions_raise_sales_and_lower_prices(usual: pl.DataFrame) -> None:
    means = usual.group_by("store", "promo").agg(pl.mean("log"), pl.mean("price_index"))
    wide = means.pivot("promo", index="store", values=["log", "price_index"])
    raised = wide["log_1"] - wide["log_0"]
    assert raised.to_numpy().mean() > 0.25
    assert (raised > 0).sum() > 0.9 * len(raised)
    assert (wide["price_index_1"] < wide["price_index_0"]).all()


def test_visitors_of_a_day_tell_its_sales(usual: pl.DataFrame) -> None:
    found = usual.group_by("store").agg(pl.corr("sales", "visitors"))
    assert found["sales"].to_numpy().min() > 0.8


def test_sales_have_a_weekly_season(usual: pl.DataFrame) -> None:
    found = correlated_after(usual, 7).join(correlated_after(usual, 3), on="store")
    assert (found["lag7"] > found["lag3"]).sum() > 0.9 * len(found)
    weekdays = usual.group_by(pl.col("date").dt.weekday()).agg(pl.mean("log")).sort("log")
    assert weekdays["date"].to_list()[-1] == 6


def test_noise_differs_by_store_and_is_felt_the_day_after(usual: pl.DataFrame) -> None:
    left = unexplained(usual)
    noise = left.group_by("store").agg(pl.std("left"))["left"].to_numpy()
    assert noise.min() < 0.08
    assert noise.max() > 0.3
    yesterday = left.select("store", pl.col("date") + timedelta(1), before="left")
    pairs = left.join(yesterday, on=["store", "date"])
    assert pairs.group_by("store").agg(pl.corr("left", "before"))["left"].to_numpy().mean() > 0.2


def test_stores_feel_the_same_weather(usual: pl.DataFrame) -> None:
    left = unexplained(usual).filter(pl.col("date").dt.month().is_between(2, 10))
    pairs = left.join(left, on="date").filter(pl.col("store") < pl.col("store_right"))
    found = pairs.group_by("store", "store_right").agg(pl.corr("left", "left_right"))
    assert found["left"].drop_nans().to_numpy().mean() > 0.1


def test_breakages_are_told_for_stores_that_exist(sales: pl.DataFrame) -> None:
    told = [one.store for one in BREAKAGES]
    assert len(set(told)) == len(told) == 7
    assert set(told) <= set(sales["store"])
    assert all(one.what for one in BREAKAGES)


def test_usual_stores_sell_about_what_they_sold_a_year_ago(usual: pl.DataFrame) -> None:
    ratios = [against_last_year(store, 154) for _, store in usual.group_by("store")]
    assert sum(0.75 < ratio < 1.3 for ratio in ratios) > 0.9 * len(ratios)


def test_a_store_closes_for_six_weeks_and_comes_back_at_another_level(sales: pl.DataFrame) -> None:
    store = of(sales, REFURBISHED)
    gaps = store.select(pl.col("date"), gap=pl.col("date").diff().dt.total_days()).sort("gap").drop_nulls()
    assert gaps["gap"].to_list()[-1] in (43, 44)
    assert gaps["gap"].to_list()[-2] <= 5
    assert END - gaps["date"].to_list()[-1] in (timedelta(157), timedelta(156))
    assert against_last_year(store, 154) > 1.2


def test_a_competitor_takes_two_fifths_in_the_last_eight_weeks(sales: pl.DataFrame) -> None:
    store = of(sales, COMPETITOR)
    assert 0.45 < against_last_year(store, 56) < 0.75
    until = store.filter(pl.col("date") <= END - timedelta(56)).with_columns(pl.col("date") + timedelta(56))
    assert 0.8 < against_last_year(until, 56) < 1.25


@pytest.mark.parametrize(
    ("store", "opened", "least", "most"), [(OPENED_LATE, 120, 95, 120), (JUST_OPENED, 12, 9, 12)]
)
def test_stores_that_opened_late_have_a_short_history(
    sales: pl.DataFrame, store: str, opened: int, least: int, most: int
) -> None:
    dates = of(sales, store)["date"]
    assert least <= len(dates) <= most
    assert END - dates.to_list()[0] in (timedelta(opened - 1), timedelta(opened - 2))


def test_a_stuck_till_says_the_same_every_day_while_people_come(sales: pl.DataFrame) -> None:
    store = of(sales, STUCK_TILL)
    assert store["sales"].n_unique() == 1
    assert store["sales"].to_list()[0] > 0
    assert store["visitors"].n_unique() > 20
    assert sales.group_by("store").agg(pl.n_unique("sales")).filter(pl.col("sales") == 1).height == 1


def test_a_showroom_sells_nothing_on_most_days(sales: pl.DataFrame) -> None:
    store = of(sales, INTERMITTENT)
    zero = (store["sales"] == 0).to_numpy()
    assert 0.62 < zero.mean() < 0.78
    assert store.filter(pl.col("sales") > 0)["sales"].to_numpy().min() > 100


def test_the_flagship_sells_many_times_what_others_do(sales: pl.DataFrame) -> None:
    medians = sales.group_by("store").agg(pl.median("sales"))
    flagship = of(medians, FLAGSHIP)["sales"].item()
    others = medians.filter(pl.col("store") != FLAGSHIP)["sales"].to_numpy()
    assert 20 < flagship / np.median(others) < 45
    assert flagship > 4 * others.max()


@pytest.mark.parametrize("days", [1, 2, 13, 365])
def test_short_calendars_are_generated_too(days: int) -> None:
    dates = generate_sales(10, days, end=date(2024, 2, 29))["date"]
    assert dates.max() == date(2024, 2, 29)
    assert dates.min() == date(2024, 2, 29) - timedelta(days - 1)


@pytest.mark.parametrize(("stores", "days", "seed"), [(0, 10, 1), (5, 0, 1), (5, 10, -1)])
def test_what_cannot_be_generated_is_said(stores: int, days: int, seed: int) -> None:
    with pytest.raises(BadInputError, match=f"{stores} stores over {days} days from seed {seed}"):
        generate_sales(stores, days, seed)


def test_the_note_is_one_sentence_that_names_the_generator() -> None:
    assert "generated by core.demo.generated_sales" in GENERATED_NOTE
    assert GENERATED_NOTE.endswith(".")
    assert ". " not in GENERATED_NOTE
