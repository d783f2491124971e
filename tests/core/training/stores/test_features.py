"""No feature and no prediction knows what happened after the split, or less than a horizon before its own row."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from core.errors import BadInputError
from core.training.stores.columns import GivenColumns
from core.training.stores.features import LEVEL, Design, build_design
from core.training.stores.fitting import StoreResult, fit_store
from core.training.stores.models import ModelKind
from core.training.stores.one_model import OneModel
from core.training.stores.sales import Sales, read_sales
from tests.core.training.stores import kit

HORIZON = {"daily": 14, "weekly": 13}


def daily() -> pl.DataFrame:
    """Four stores, one of which closed for six weeks, with what only the day itself tells."""
    return kit.usual(4, 230)


def weekly() -> pl.DataFrame:
    frame = kit.weekly(3, 120)
    return frame.with_columns(visitors=(pl.col("sales") / 20).round())


FRAMES = {"daily": daily, "weekly": weekly}


def design_of(frame: pl.DataFrame, folder: Path, horizon: int, **given: object) -> tuple[Sales, Design]:
    sales = read_sales(kit.csv(folder / "sales.csv", frame), GivenColumns(**given))  # type: ignore[arg-type]
    return sales, build_design(sales, horizon)


def fitted(sales: Sales, design: Design, kind: ModelKind) -> dict[str, StoreResult]:
    recipe = kit.recipe(design, sales, kind)
    if kind is ModelKind.GLOBAL:
        return {one.store: one for one in OneModel(kit.tasks(design), recipe, 1).results()}
    return {task.store: fit_store(task, recipe) for task in kit.tasks(design)}


def day_of(frame: pl.DataFrame) -> str:
    return "week" if "week" in frame.columns else "date"


def shuffled(frame: pl.DataFrame, after: date) -> pl.DataFrame:
    """Deal what the rows after a date say of themselves to each other."""
    future = pl.col(day_of(frame)) > after
    deal = np.random.default_rng(5).permutation(frame.filter(future).height)
    dealt = frame.filter(future).with_columns(
        pl.col(name).gather(pl.lit(deal)) for name in ("sales", "visitors")
    )
    return pl.concat([frame.filter(~future), dealt])


def inflated(frame: pl.DataFrame, after: date) -> pl.DataFrame:
    """Let every row after a date say a hundred times as much."""
    factor = pl.when(pl.col(day_of(frame)) > after).then(100).otherwise(1)
    return frame.with_columns(pl.col("sales") * factor, pl.col("visitors") * factor)


@pytest.mark.parametrize("change", [shuffled, inflated])
@pytest.mark.parametrize("frequency", FRAMES)
def test_what_happens_after_the_split_changes_no_feature_and_no_prediction(
    tmp_path: Path, frequency: str, change: Callable[[pl.DataFrame, date], pl.DataFrame]
) -> None:
    frame = FRAMES[frequency]()
    sales, design = design_of(frame, tmp_path, HORIZON[frequency])
    assert "visitors" in sales.columns.left_out
    other = change(frame, design.cutoff)
    assert len(other) == len(frame)
    changed_sales, changed = design_of(other, tmp_path, HORIZON[frequency])
    assert changed.cutoff == design.cutoff and changed.features == design.features
    inputs = ["store", "date", "is_test", *design.features]
    assert_frame_equal(changed.frame.select(inputs), design.frame.select(inputs), check_exact=True)
    past = pl.col("is_test").not_()
    assert_frame_equal(changed.frame.filter(past), design.frame.filter(past), check_exact=True)
    tested = design.frame.filter("is_test")
    moved = changed.frame.filter("is_test")["sales"] != tested["sales"]
    assert moved.sum() > 0.8 * len(tested), "the change must be one"
    for kind in kit.KINDS:
        before, after = fitted(sales, design, kind), fitted(changed_sales, changed, kind)
        assert list(before) == list(after) and len(before) > 2
        for store, one in before.items():
            other_one = after[store]
            assert one.failure is None and other_one.failure is None, (kind, store)
            for name in ("predicted", "lower", "upper"):
                np.testing.assert_array_equal(
                    getattr(other_one, name), getattr(one, name), f"{kind} {store} {name}"
                )
            assert np.isfinite(one.predicted[one.is_test]).any()
            assert other_one.files == one.files and other_one.importance == one.importance
            assert other_one.train == one.train and other_one.test != one.test


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    frame = daily()
    sales, design = design_of(frame, tmp_path, 14)
    mixed = frame.sample(fraction=1.0, shuffle=True, seed=3)
    mixed_sales, other = design_of(mixed, tmp_path, 14)
    assert not mixed["date"].is_sorted()
    assert_frame_equal(mixed_sales.frame, sales.frame, check_exact=True)
    assert_frame_equal(other.frame, design.frame, check_exact=True)
    assert (mixed_sales.stores, mixed_sales.partners) == (sales.stores, sales.partners)


@pytest.mark.parametrize("name", ["visitors", "hint"])
@pytest.mark.parametrize("kind", [ModelKind.RIDGE, ModelKind.GRADIENT_BOOSTING])
def test_a_column_that_tells_the_sales_is_used_only_where_it_is_said_to_be_known(
    tmp_path: Path, name: str, kind: ModelKind
) -> None:
    rng = np.random.default_rng(1)
    plain = kit.usual(1, 300).drop("visitors")
    # Noise that nothing explains but the hint.
    plain = plain.with_columns(
        sales=(pl.col("sales") * pl.Series(rng.lognormal(0, 0.4, len(plain)))).round(2)
    )
    hinted = plain.with_columns((pl.col("sales").log1p()).alias(name))
    without, hidden, known = (
        (design, next(iter(fitted(sales, design, kind).values())))
        for sales, design in (
            design_of(plain, tmp_path, 21),
            design_of(hinted, tmp_path, 21),
            design_of(hinted, tmp_path, 21, known=("promo", "holiday", "price_index", name)),
        )
    )
    assert hidden[0].features == without[0].features
    assert hidden[1].n_features == without[1].n_features == len(without[0].features)
    assert hidden[1].importance == without[1].importance and hidden[1].files == without[1].files
    np.testing.assert_array_equal(hidden[1].predicted, without[1].predicted)
    assert hidden[1].test is not None and hidden[1].test.r2 is not None and hidden[1].test.r2 < 0.6
    # Named as known, it is found: this is what the lines above would have to notice.
    assert known[1].n_features == without[1].n_features + 1
    assert known[1].test is not None and known[1].test.r2 is not None and known[1].test.r2 > 0.9
    assert dict(known[1].importance)[name] > dict(known[1].importance).get("promo", 0)
    if kind is ModelKind.GRADIENT_BOOSTING:
        assert known[1].importance[0][0] == name


def looped(history: dict[date, float], day: date, horizon: int, step: int) -> dict[str, float]:
    """The features of a day from past sales, one number after the other; NaN where there is none."""

    def x(back: int) -> float:
        found = history.get(day - timedelta(back * step))
        return math.nan if found is None else math.log1p(found)

    def mean(backs: range | list[int]) -> float:
        values = [x(back) for back in backs if not math.isnan(x(back))]
        return sum(values) / len(values) if values else math.nan

    def spread(backs: range) -> float:
        values = [x(back) for back in backs if not math.isnan(x(back))]
        if len(values) < 2:
            return math.nan
        middle = sum(values) / len(values)
        return math.sqrt(sum((value - middle) ** 2 for value in values) / (len(values) - 1))

    newest = horizon
    if step == 1:
        same = next(lag for lag in range(newest, newest + 7) if lag % 7 == 0)
        found = {LEVEL: mean(range(newest, newest + 91)), "spread": spread(range(newest, newest + 28))}
        found |= {f"mean_{width}": mean(range(newest, newest + width)) for width in (7, 28, 364)}
        found |= {f"lag_{lag}": x(lag) for lag in (same, same + 7, same + 14, 364)}
        found["mean_weekday"] = mean([same + 7 * week for week in range(8)])
    else:
        found = {LEVEL: mean(range(newest, newest + 52)), "spread": spread(range(newest, newest + 8))}
        found |= {f"mean_{width}": mean(range(newest, newest + width)) for width in (4, 8, 13, 26)}
        found |= {f"lag_{lag}": x(lag) for lag in (newest, newest + 1, newest + 2, 51, 52, 53)}
    relative = {name: value - found[LEVEL] for name, value in found.items() if name not in (LEVEL, "spread")}
    place = {
        "month": day.month,
        "week": day.isocalendar().week,
        "day_of_year": day.timetuple().tm_yday,
        "week_of_month": (day.day - 1) // 7,
        **({"weekday": day.isoweekday(), "day": day.day} if step == 1 else {}),
    }
    return {**found, **relative, **{name: float(value) for name, value in place.items()}}


@pytest.mark.parametrize(
    ("frequency", "horizon"), [("daily", 10), ("daily", 42), ("daily", 7), ("weekly", 5)]
)
def test_features_are_those_of_a_plain_loop(tmp_path: Path, frequency: str, horizon: int) -> None:
    frame = kit.usual(4, 460) if frequency == "daily" else kit.weekly(2, 130)
    frame = frame.sample(fraction=0.8, seed=1)
    sales, design = design_of(frame, tmp_path, horizon)
    step = sales.frequency.days
    for (store,), part in sales.frame.group_by("store"):
        gaps = part["date"].sort().diff().drop_nulls().dt.total_days()
        assert (gaps > step).sum() > 10, "the series must have gaps"
        history = dict(zip(part["date"], part["sales"], strict=True))
        expected = [looped(history, day, horizon, step) for day in sorted(history)]
        found = design.frame.filter(store=store)
        assert found["date"].to_list() == sorted(history)
        names = [name for name in design.features if f"known:{name}" not in sales.frame.columns]
        assert sorted(expected[0]) == sorted(names)
        for name in names:
            got = found[name].fill_null(np.nan).to_numpy()
            want = np.array([row[name] for row in expected])
            np.testing.assert_allclose(got, want, rtol=0, atol=4e-6, err_msg=f"{store} {name}")
            assert np.isfinite(want).any(), name
        for name in sales.columns.known:
            assert found[name].to_list() == part.sort("date")[f"known:{name}"].to_list()


@pytest.mark.parametrize(("frequency", "horizon"), [("daily", 14), ("daily", 3), ("weekly", 6)])
def test_features_see_sales_a_horizon_old_and_none_that_are_newer(
    tmp_path: Path, frequency: str, horizon: int
) -> None:
    frame = (kit.usual(1, 150) if frequency == "daily" else kit.weekly(1, 110)).sort(pl.nth(0))
    name = day_of(frame)
    # The split lies elsewhere: what holds must hold for the rows of the training period, too.
    _, design = design_of(frame, tmp_path, horizon)
    days = design.frame["date"].to_list()
    step = 1 if frequency == "daily" else 7
    inputs = design.frame.select("date", *design.features)
    seen = [day for day in days[40:] if day - timedelta(horizon * step) in days]
    for day in seen[:: len(seen) // 6]:
        origin = day - timedelta(horizon * step)
        for since, same in ((origin + timedelta(1), True), (origin, False)):
            hit = pl.col(name) >= since if same else pl.col(name) == since
            other = frame.with_columns(sales=pl.when(hit).then(pl.col("sales") * 3 + 7).otherwise("sales"))
            assert (other["sales"] != frame["sales"]).any()
            _, changed = design_of(other, tmp_path, horizon)
            row = changed.frame.filter(date=day).select("date", *design.features)
            assert row.equals(inputs.filter(date=day)) is same, (day, since)


def test_the_last_horizon_of_the_whole_file_is_the_test_period(tmp_path: Path) -> None:
    frame = kit.usual(2, 200)
    last = frame["date"].max()
    # The second store ended a month before the first.
    ended = frame.filter((pl.col("store") == "S001") | (pl.col("date") <= pl.lit(last) - timedelta(30)))
    _, design = design_of(ended, tmp_path, 14)
    assert isinstance(last, date) and design.cutoff == last - timedelta(14)
    assert design.frame.filter("is_test")["store"].unique().to_list() == ["S001"]
    assert design.frame.filter("is_test")["date"].min() == design.cutoff + timedelta(1)


def test_a_horizon_that_leaves_nothing_to_train_on_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        BadInputError, match=r"too short for a horizon of 60 periods \(daily\).*smaller --horizon"
    ):
        design_of(kit.usual(1, 50), tmp_path, 60)


def test_columns_that_are_called_like_features_or_keys_keep_apart(tmp_path: Path) -> None:
    frame = kit.usual(1, 150).select("store", "date", takings="sales", month="price_index", sales="promo")
    sales, design = design_of(frame, tmp_path, 14, sales="takings", known=("month", "sales"))
    assert {"month", "month (known)", "sales (known)"} <= set(design.features)
    assert design.frame["month"].to_list() == design.frame["date"].dt.month().to_list()
    assert design.frame["month (known)"].to_list() == sales.frame["known:month"].to_list()
    assert design.frame["sales"].to_list() == frame["takings"].to_list()
