"""Sales are read from what people have, and refused with the rows that are wrong."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from core.errors import BadInputError
from core.training.stores.calendar import DAILY
from core.training.stores.columns import GivenColumns
from core.training.stores.features import build_design
from core.training.stores.fitting import fit_store
from core.training.stores.models import ModelKind
from core.training.stores.sales import read_sales
from tests.core.training.stores import kit

DAYS = [date(2024, 1, 25) + timedelta(number) for number in range(20)]


def written(spelling: str) -> str:
    rows = "".join(
        f"{store},{day:{spelling}},{10 * store + at}\n" for store in (1, 2) for at, day in enumerate(DAYS)
    )
    return "store,date,sales\n" + rows


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "sales.csv"


@pytest.mark.parametrize(
    "spelling",
    [
        "%Y-%m-%d",
        "%d-%m-%Y",
        "%d/%m/%Y",
        "%d.%m.%Y",
        "%m/%d/%Y",
        "%Y%m%d",
        "%d %b %Y",
        "%Y-%m-%dT00:00:00",
        "%Y-%m-%d 00:00:00+05:30",
    ],
)
def test_dates_are_read_as_people_write_them(place: Path, spelling: str) -> None:
    sales = kit.read(place, written(spelling))
    expected = pl.DataFrame(
        {
            "store": ["1"] * 20 + ["2"] * 20,
            "date": DAYS * 2,
            "sales": [float(10 * store + at) for store in (1, 2) for at in range(20)],
        }
    )
    assert_frame_equal(sales.frame, expected)
    assert sales.frequency == DAILY and sales.stores == ("1", "2") and sales.notes == ()


@pytest.mark.parametrize(
    "dtype",
    [
        pl.Date,
        pl.Datetime("ms"),
        pl.Datetime("ns"),
        pl.Datetime("us", "Europe/Rome"),
        pl.Datetime("us", "America/Lima"),
    ],
)
def test_dates_of_parquet_are_those_of_the_stores_own_clock(tmp_path: Path, dtype: pl.DataType) -> None:
    days = pl.Series("date", [datetime(day.year, day.month, day.day) for day in DAYS])
    zone = getattr(dtype, "time_zone", None)
    days = days.dt.replace_time_zone(zone) if zone else days.cast(dtype)
    frame = pl.DataFrame({"store": [1] * 20, "date": days, "sales": range(20)})
    frame.write_parquet(tmp_path / "s.parquet")
    assert read_sales(tmp_path / "s.parquet").frame["date"].to_list() == DAYS


def test_json_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(
        '[{"store":"a","date":"2024-01-01","sales":3},{"store":"a","date":"2024-01-02","sales":4}]'
    )
    assert read_sales(tmp_path / "s.json").frame["sales"].to_list() == [3.0, 4.0]


def test_a_note_says_when_no_date_tells_day_from_month(place: Path) -> None:
    sales = kit.read(place, "store,date,sales\n1,01/02/2024,5\n1,01/03/2024,6\n1,01/04/2024,6\n")
    assert sales.frame["date"].to_list() == [date(2024, 1, day) for day in (2, 3, 4)]
    assert "read as month/day/year; no row tells which it is" in " ".join(sales.notes)


def test_numbers_are_read_as_people_write_them(place: Path) -> None:
    sales = kit.read(place, 'store;date;sales\n1;2024-01-01;"1.234,50"\n1;2024-01-02;"99,00"\n')
    assert sales.frame["sales"].to_list() == [1234.5, 99.0]


def test_cells_that_are_no_numbers_are_named(place: Path) -> None:
    with pytest.raises(BadInputError, match=r"The column sales of sales.csv.*row 2.*many"):
        kit.read(place, "store,date,sales\n1,2024-01-01,5\n1,2024-01-02,many\n")


def test_codes_are_text_without_a_decimal_point_and_in_natural_order(tmp_path: Path) -> None:
    codes = [10.0, 7.0, 2.0, 100.0]
    frame = pl.DataFrame({"store": codes * 2, "date": [DAYS[0]] * 4 + [DAYS[1]] * 4, "sales": range(8)})
    frame.write_parquet(tmp_path / "s.parquet")
    assert read_sales(tmp_path / "s.parquet").stores == ("2", "7", "10", "100")


def test_names_of_stores_are_in_natural_order_too(place: Path) -> None:
    codes = ["S10", "north", "S2", "12b", "S2a", " 9 ", "S²", "10"]
    sales = kit.read(place, "store,date,sales\n" + "".join(f"{code},2024-01-01,1\n" for code in codes))
    assert sales.stores == ("9", "10", "12b", "S2", "S2a", "S10", "S²", "north")
    first = kit.read(place, "store,date,sales\nS10,2024-01-01,1\nS9,2024-01-01,1\n", most=1)
    assert first.stores == ("S9",) and first.frame["store"].to_list() == ["S9"]
    assert "Only the first 1 stores are used." in first.notes


def test_doubled_store_dates_are_named(place: Path) -> None:
    rows = "b,2024-01-01,1\na,2024-01-01,2\na,2024-01-02,2\na,2024-01-01,3\nb,2024-01-01,1\n"
    with pytest.raises(BadInputError) as caught:
        kit.read(place, "store,date,sales\n" + rows)
    said = str(caught.value)
    assert "sales.csv has 4 rows whose store and date come more than once" in said
    assert "(store a, 2024-01-01: rows 2, 4; store b, 2024-01-01: rows 1, 5)" in said
    assert said.endswith("or add them up.")


def test_doubles_among_stores_that_are_not_used_do_no_harm(place: Path) -> None:
    text = "store,date,sales\n1,2024-01-01,1\n1,2024-01-02,1\n2,2024-01-01,1\n2,2024-01-01,1\n"
    with pytest.raises(BadInputError, match="more than once"):
        kit.read(place, text)
    assert kit.read(place, text, most=1).stores == ("1",)


def test_negative_sales_are_named_or_left_out_on_demand(place: Path) -> None:
    text = "store,date,sales\n1,2024-01-01,5\n1,2024-01-02,-3\n1,2024-01-03,0\n1,2024-01-04,-0.5\n"
    with pytest.raises(
        BadInputError, match=r"has 2 rows with negative sales \(rows 2, 4\).*pass --drop-negative"
    ):
        kit.read(place, text)
    sales = kit.read(place, text, drop_negative=True)
    assert sales.frame["sales"].to_list() == [5.0, 0.0]
    assert "2 rows with negative sales left out." in sales.notes


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,2024-01-01,1\n,2024-01-02,1\n", "1 rows without a store in 'Shop' (rows 2)"),
        ('1,2024-01-01,1\n"  ",2024-01-02,1\n', "1 rows without a store in 'Shop' (rows 2)"),
        ("1,2024-01-01,1\n1,,1\n2,,1\n3,,1\n4,,1\n", "4 rows without a date in 'date' (rows 2, 3, 4, …)"),
    ],
)
def test_rows_without_a_store_or_a_date_are_named(place: Path, rows: str, said: str) -> None:
    with pytest.raises(BadInputError) as caught:
        kit.read(place, "Shop,date,sales\n" + rows)
    assert said in str(caught.value)


def test_a_missing_number_is_no_store(tmp_path: Path) -> None:
    frame = pl.DataFrame({"store": [1.0, float("nan")], "date": [DAYS[0]] * 2, "sales": [1, 2]})
    frame.write_parquet(tmp_path / "s.parquet")
    with pytest.raises(BadInputError, match=r"1 rows without a store in 'store' \(rows 2\)"):
        read_sales(tmp_path / "s.parquet")


def test_rows_without_sales_are_left_out_and_counted(place: Path) -> None:
    sales = kit.read(
        place, "store,date,sales\n1,2024-01-01,5\n1,2024-01-02,\n1,2024-01-03,NaN\n1,2024-01-04,2\n"
    )
    assert sales.frame["date"].to_list() == [date(2024, 1, 1), date(2024, 1, 4)]
    assert sales.notes == ("2 rows without sales left out.",)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_another_encoding_is_told_and_can_be_named(place: Path, encoding: str) -> None:
    text = "store,date,sales\nCafé Zürich,2024-01-01,5\nCafé Zürich,2024-01-02,6\n"
    place.write_bytes(text.encode(encoding))
    with pytest.raises(
        BadInputError, match=r"sales.csv is not in the encoding utf-8.*Name its own with --encoding"
    ):
        read_sales(place)
    assert read_sales(place, encoding=encoding).stores == ("Café Zürich",)


def test_utf_16_of_plain_letters_is_told_too(place: Path) -> None:
    place.write_bytes("store,date,sales\n1,2024-01-01,5\n".encode("utf-16-le"))
    with pytest.raises(BadInputError, match="not in the encoding utf-8: it has zero bytes"):
        read_sales(place)


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_a_name(place: Path, encoding: str) -> None:
    place.write_bytes(b"\xef\xbb\xbfstore,date,sales\n1,2024-01-01,5\n")
    assert read_sales(place, encoding=encoding).columns.store == "store"


@pytest.mark.parametrize("encoding", ["klingon", "hex", "utf-16"])
def test_an_encoding_that_does_not_fit_is_told(place: Path, encoding: str) -> None:
    place.write_bytes(b"store,date,sales\n1,2024-01-01,55\n")
    with pytest.raises(BadInputError, match=f"sales.csv is not in the encoding {encoding}"):
        read_sales(place, encoding=encoding)


@pytest.mark.parametrize("zone", ["", "Z", "+01:00"])
def test_hours_are_refused(place: Path, zone: str) -> None:
    hours = "".join(f"1,2024-01-01T{hour:02}:00:00{zone},5\n" for hour in range(24))
    said = "several times a day in 'date' .such as 2024-01-01 00:00:00 and 2024-01-01 01:00:00 of store 1"
    with pytest.raises(BadInputError, match=f"{said}.*Add its sales up by day first"):
        kit.read(place, "store,date,sales\n" + hours)


def test_stores_may_close_their_books_at_different_hours(place: Path) -> None:
    rows = "".join(f"{store},{day}T{17 + store}:30:00,5\n" for store in (1, 2) for day in DAYS)
    assert kit.read(place, "store,date,sales\n" + rows).frame["date"].to_list() == DAYS * 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("sales.csv", b"", "sales.csv has no rows of sales. Export them again."),
        ("sales.csv", b" \n\n", "sales.csv has no rows of sales."),
        ("sales.csv", b"store,date,sales\n", "sales.csv has no rows of sales."),
        ("sales.json", b"[]", "sales.json has no rows of sales."),
        ("sales.csv", b"store,date,sales\n1,2024-01-01,\n", "has no row with a store, a date and sales"),
        (
            "sales.xlsx",
            b"PK\x03\x04",
            "sales.xlsx is no file of sales: give one that ends in .json, .parquet, .csv",
        ),
        ("sales", b"store,date,sales\n", "sales is no file of sales"),
        ("sales.parquet", b"PAR1 and then nothing", "sales.parquet is no readable Parquet file"),
        ("sales.json", b"{", "sales.json"),
        ("sales.csv", b"store,date,sales\n1,2024-01-01,5,6\n", "sales.csv cannot be read as CSV"),
    ],
)
def test_files_that_hold_no_sales_are_told(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError) as caught:
        read_sales(tmp_path / name)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"gone.csv cannot be read: No such file or directory"):
        read_sales(tmp_path / "gone.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadInputError, match=r"folder.csv cannot be read: Is a directory"):
        read_sales(tmp_path / "folder.csv")


@pytest.mark.parametrize(
    ("open_", "closed"),
    [("1", "0"), ("true", "false"), ("yes", "No"), ("Open", "CLOSED"), ("", "0.0"), ("y", "n")],
)
def test_closed_days_are_left_out_and_counted(place: Path, open_: str, closed: str) -> None:
    rows = "".join(f"1,{day},{at},{closed if at % 7 == 3 else open_}\n" for at, day in enumerate(DAYS))
    sales = kit.read(place, "store,date,sales,open\n" + rows)
    assert sales.frame["date"].to_list() == [day for at, day in enumerate(DAYS) if at % 7 != 3]
    assert sales.frame.columns == ["store", "date", "sales"]
    assert "3 rows of closed days are neither trained on nor measured." in sales.notes


@pytest.mark.parametrize("word", ["1", "yes", "Y", "open", "true", ""])
def test_a_store_that_is_always_open_is_never_closed(place: Path, word: str) -> None:
    rows = "".join(f"1,{day},5,{word}\n" for day in DAYS)
    sales = kit.read(place, "store,date,sales,trading\n" + rows, given=GivenColumns(open="trading"))
    assert len(sales.frame) == len(DAYS)


@pytest.mark.parametrize("kind", kit.OF_A_STORE)
def test_closed_days_are_neither_trained_on_nor_measured(tmp_path: Path, kind: ModelKind) -> None:
    frame = kit.usual(1, 200).with_columns(open=pl.lit(1))
    gone = frame.filter(pl.col("date").dt.weekday() != 3)
    closed = frame.with_columns(
        # A closed day of which the file says what it likes.
        open=(pl.col("date").dt.weekday() != 3).cast(pl.Int8),
        sales=pl.when(pl.col("date").dt.weekday() == 3).then(0.0).otherwise("sales"),
    )
    results = []
    for name, one in (("gone", gone), ("closed", closed)):
        sales = read_sales(kit.csv(tmp_path / f"{name}.csv", one))
        design = build_design(sales, 14)
        (task,) = kit.tasks(design)
        results.append(fit_store(task, kit.recipe(design, sales, kind)))
    tested = gone.filter(pl.col("date") > pl.lit(gone["date"].max()) - timedelta(14))
    assert results[0].test is not None and results[0].test.samples == len(tested)
    np.testing.assert_array_equal(results[1].predicted, results[0].predicted)
    assert results[1].test == results[0].test and results[1].train == results[0].train


def test_partners_are_kept_by_store(place: Path) -> None:
    text = "store,date,sales,banner\n1,2024-01-01,5,North\n2,2024-01-01,5,\n3,2024-01-01,5,South\n3,2024-01-02,5,East\n"
    sales = kit.read(place, text)
    assert sales.partners == {"1": "North", "3": "East"}
    assert "1 stores have more than one partner; the first in order is used." in sales.notes


def test_numbers_of_partners_are_written_as_codes(tmp_path: Path) -> None:
    frame = pl.DataFrame({"store": [1], "date": [DAYS[0]], "sales": [1], "partner": [10922920.0]})
    frame.write_parquet(tmp_path / "s.parquet")
    assert read_sales(tmp_path / "s.parquet").partners == {"1": "10922920"}


def test_known_columns_become_numbers_and_the_rest_is_left_out_with_a_word(place: Path) -> None:
    text = (
        "store,date,sales,promo,StateHoliday,price,visitors\n"
        "1,2024-01-01,5,1,a,2.5,80\n1,2024-01-02,5,0,0,,90\n1,2024-01-03,5,1,b,2.75,70\n"
    )
    sales = kit.read(place, text)
    assert sales.frame["known:promo"].to_list() == [1.0, 0.0, 1.0]
    assert sales.frame["known:StateHoliday"].to_list() == [1.0, 0.0, 2.0]
    assert sales.frame["known:price"].to_list() == [2.5, None, 2.75]
    assert "known:visitors" not in sales.frame.columns
    assert sales.notes == ("Not known in advance, so not used: visitors. Name what is known with --known.",)
