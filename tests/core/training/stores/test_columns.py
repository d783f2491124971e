"""Columns of a sales file: recognised by name, given by name, or asked for by name."""

from __future__ import annotations

import pytest

from core.errors import BadInputError
from core.training.stores.columns import ColumnNames, GivenColumns, find_columns

NOTHING = GivenColumns()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["Store", "Date", "Weekly_Sales", "Holiday_Flag", "Temperature", "Fuel_Price", "CPI"],
            ColumnNames(
                "Store",
                "Date",
                "Weekly_Sales",
                known=("Holiday_Flag",),
                left_out=("Temperature", "Fuel_Price", "CPI"),
            ),
        ),
        (
            ["store_nbr", "date", "family", "sales", "onpromotion"],
            ColumnNames("store_nbr", "date", "sales", known=("onpromotion",), left_out=("family",)),
        ),
        (
            ["Store", "DayOfWeek", "Date", "Sales", "Customers", "Open", "Promo", "StateHoliday"],
            ColumnNames(
                "Store",
                "Date",
                "Sales",
                open="Open",
                known=("Promo", "StateHoliday"),
                left_out=("DayOfWeek", "Customers"),
            ),
        ),
        (
            ["store", "partner", "date", "sales", "promo", "holiday", "price_index", "visitors"],
            ColumnNames(
                "store",
                "date",
                "sales",
                "partner",
                known=("promo", "holiday", "price_index"),
                left_out=("visitors",),
            ),
        ),
        (
            ["tienda", "fecha", "ventas", "chain"],
            ColumnNames("tienda", "fecha", "ventas", "chain"),
        ),
        (["unique", "shop", "ds", "y"], ColumnNames("shop", "ds", "y", left_out=("unique",))),
    ],
)
def test_the_columns_of_files_that_people_have_are_recognised(
    names: list[str], expected: ColumnNames
) -> None:
    assert find_columns(names, NOTHING, "sales.csv") == expected


def test_named_columns_win_over_recognised_ones() -> None:
    names = ["store", "date", "sales", "net", "region", "opening", "weather"]
    given = GivenColumns("region", "date", "net", "store", "opening", ("weather",))
    found = find_columns(names, given, "sales.csv")
    assert found == ColumnNames("region", "date", "net", "store", "opening", ("weather",), ("sales",))


def test_known_can_be_said_to_be_nothing() -> None:
    names = ["store", "date", "sales", "promo"]
    assert find_columns(names, NOTHING, "s.csv").known == ("promo",)
    found = find_columns(names, GivenColumns(known=()), "s.csv")
    assert (found.known, found.left_out) == ((), ("promo",))


def test_what_is_named_as_known_replaces_what_would_be_recognised() -> None:
    names = ["store", "date", "sales", "promo", "school"]
    found = find_columns(names, GivenColumns(known=("school", "school")), "s.csv")
    assert (found.known, found.left_out) == (("school",), ("promo",))


@pytest.mark.parametrize(
    ("names", "flags", "roles"),
    [
        (["date", "sales"], "--store-column NAME", "'store'"),
        (["shop", "sales"], "--date-column NAME", "'date'"),
        (["shop", "date", "tickets"], "--sales-column NAME", "'sales'"),
        (
            ["a", "b"],
            "--store-column NAME, --date-column NAME, --sales-column NAME",
            "'store', 'date', 'sales'",
        ),
    ],
)
def test_columns_that_are_missing_are_named_with_the_flag_that_names_them(
    names: list[str], flags: str, roles: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        find_columns(names, NOTHING, "sales.csv")
    said = str(caught.value)
    assert f"known as {roles};" in said
    assert said.endswith(f"Name it with {flags}.")
    assert f"'{names[0]}', '{names[1]}'" in said


def test_a_named_column_that_is_not_there_is_told_with_those_that_are() -> None:
    given = GivenColumns(store="Shop", known=("promo", "wether"))
    with pytest.raises(
        BadInputError, match="has no column 'Shop', 'wether'; it has 'store', 'date', 'sales', 'promo'"
    ):
        find_columns(["store", "date", "sales", "promo"], given, "sales.csv")


def test_a_wide_file_is_not_listed_to_its_end() -> None:
    names = [f"column {number}" for number in range(500)]
    with pytest.raises(BadInputError, match="'column 19' and 480 more"):
        find_columns(names, NOTHING, "sales.csv")


@pytest.mark.parametrize("name", ["takings", "shop", "date"])
def test_what_is_forecast_cannot_be_known_in_advance(name: str) -> None:
    given = GivenColumns(sales="takings", known=("promo", name))
    with pytest.raises(
        BadInputError, match=f"'{name}' of s.csv cannot be known in advance.* Leave it out of --known"
    ):
        find_columns(["shop", "date", "takings", "promo"], given, "s.csv")
