"""Tables from bytes: every layout that pandas, MLflow and people write, and what is said about broken files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tables.errors import MAX_COLUMNS, EmptyTableError, NotATableError, TableError
from core.tables.reading import read_table

FRAME = pd.DataFrame(
    {"date": ["2024-01-02", "2024-01-03"], "value": [100.0, 101.5], "note": ["a;b", 'say "x"']}
)


def parquet(frame: pd.DataFrame, **options: object) -> bytes:
    target = io.BytesIO()
    frame.to_parquet(target, **options)  # type: ignore[call-overload]
    return target.getvalue()


LAYOUTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "split": ("a.json", lambda: FRAME.to_json(orient="split", index=False).encode()),
    "records": ("a.json", lambda: FRAME.to_json(orient="records").encode()),
    "records, indented": ("a.json", lambda: FRAME.to_json(orient="records", indent=2).encode()),
    "columns of lists": ("a.json", lambda: json.dumps(FRAME.to_dict("list")).encode()),
    "one record a line": ("a.JSON", lambda: FRAME.to_json(orient="records", lines=True).encode()),
    "pandas' table schema": ("a.json", lambda: FRAME.to_json(orient="table", index=False).encode()),
    "with a byte order mark": ("a.json", lambda: b"\xef\xbb\xbf" + FRAME.to_json(orient="records").encode()),
    "parquet": ("a.parquet", lambda: parquet(FRAME)),
    "comma": ("a.csv", lambda: FRAME.to_csv(index=False).encode()),
    "semicolon": ("a.csv", lambda: FRAME.to_csv(index=False, sep=";").encode()),
    "tab": ("a.csv", lambda: FRAME.to_csv(index=False, sep="\t").encode()),
    "bar": ("a.csv", lambda: FRAME.to_csv(index=False, sep="|").encode()),
    "byte order mark": ("a.csv", lambda: FRAME.to_csv(index=False).encode("utf-8-sig")),
    "all quoted": ("a.csv", lambda: FRAME.to_csv(index=False, quoting=1).encode()),
    "Windows lines": ("a.csv", lambda: FRAME.to_csv(index=False, lineterminator="\r\n").encode()),
    "decimal comma": ("a.csv", lambda: FRAME.to_csv(index=False, sep=";", decimal=",").encode()),
    "blank lines at the end": ("a.csv", lambda: FRAME.to_csv(index=False).encode() + b"\n\n"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_table(layout: str) -> None:
    path, written = LAYOUTS[layout]
    read = read_table(path, written())
    assert read.to_dict(as_series=False) == FRAME.to_dict("list")


@pytest.mark.parametrize(
    ("path", "content", "name"),
    [
        ("a.json", lambda frame: frame.to_json(orient="split", date_format="iso").encode(), "index"),
        ("a.json", lambda frame: frame.to_json(orient="columns", date_format="iso").encode(), "index"),
        ("a.json", lambda frame: frame.to_json(orient="index", date_format="iso").encode(), "index"),
        ("a.csv", lambda frame: frame.to_csv().encode(), ""),
        ("a.parquet", parquet, "index"),
        ("a.parquet", lambda frame: parquet(frame.rename_axis("when")), "when"),
    ],
)
def test_an_index_becomes_a_column(path: str, content: Callable[[pd.DataFrame], bytes], name: str) -> None:
    days = pd.date_range("2024-01-02", periods=3)
    read = read_table(path, content(pd.DataFrame({"value": [1.0, 2.0, 3.0]}, index=days)))
    assert set(read.columns) == {name, "value"}
    assert [str(each)[:10] for each in read[name]] == ["2024-01-02", "2024-01-03", "2024-01-04"]


def test_an_index_never_hides_a_column() -> None:
    read = read_table("a.json", b'{"columns": ["index"], "index": [7, 8], "data": [[1], [2]]}')
    assert read["index"].to_list() == [1, 2]
    assert read.width == 2


def test_mixed_and_nested_cells_of_json_survive_as_text() -> None:
    rows = [
        {"v": 1, "w": "a", "p": {"AAPL": 10}},
        {"v": 2.5, "w": 3, "p": {}},
        {"v": None, "w": None, "p": None},
    ]
    read = read_table("a.json", json.dumps(rows).encode())
    assert read["v"].to_list() == [1.0, 2.5, None]
    assert read["w"].to_list() == ["a", "3", None]
    assert read["p"].to_list() == ['{"AAPL":10}', "{}", None]


def test_nan_and_infinity_as_python_writes_them_are_missing() -> None:
    content = json.dumps([{"value": float("nan")}, {"value": float("-inf")}, {"value": 2.0}]).encode()
    assert b"NaN" in content
    assert read_table("a.json", content)["value"].to_list() == [None, None, 2.0]


def test_records_with_missing_keys_have_missing_cells() -> None:
    assert read_table("a.json", b'[{"a": 1}, {"b": 2}]').rows() == [(1, None), (None, 2)]


def test_integers_of_csv_followed_by_fractions_far_below_are_read() -> None:
    rows = ["2024-01-01,100"] * 3_000 + ["2024-01-02,100.5"]
    read = read_table("a.csv", ("date,value\n" + "\n".join(rows)).encode())
    assert read["value"].dtype == pl.Float64
    assert read["value"][-1] == 100.5


def test_parquet_with_dictionaries_and_nested_columns_is_read() -> None:
    table = pa.table(
        {
            "side": pa.array(["long", "short"]).dictionary_encode(),
            "legs": pa.array([[1, 2], []]),
            "more": pa.array([{"a": 1}, {"a": 2}]),
        }
    )
    target = io.BytesIO()
    pq.write_table(table, target)
    assert read_table("a.parquet", target.getvalue())["side"].to_list() == ["long", "short"]


SPLIT = FRAME.to_json(orient="split", index=False).encode()


LINES = FRAME.to_json(orient="records", lines=True).encode()


@pytest.mark.parametrize(
    ("path", "content", "kind", "said"),
    [
        ("a.csv", b"", EmptyTableError, "a.csv is empty"),
        ("a.json", b" \n", EmptyTableError, "is empty"),
        ("a.csv", b"\xef\xbb\xbf", EmptyTableError, "is empty"),
        ("a.csv", b"date,value\n", EmptyTableError, "no rows"),
        ("a.csv", "\u2028".encode(), EmptyTableError, "no rows"),
        ("a.json", b"[]", EmptyTableError, "no rows"),
        ("a.json", b'{"columns": ["a"], "data": []}', EmptyTableError, "no rows"),
        ("a.parquet", parquet(FRAME.head(0)), EmptyTableError, "no rows"),
        ("a.json", SPLIT[:-30], TableError, f"at byte {len(SPLIT) - 30} .*interrupted"),
        ("a.json", LINES[:-5], TableError, r"cut off.*\(line 2\)"),
        ("a.json", b'[{"v": NaN}, {"v": 1', TableError, "cut off"),
        ("a.json", b"[{'v': 1}]", TableError, "no valid JSON"),
        ("a.json", b"[" * 100_000, TableError, "no valid JSON|cut off"),
        ("a.json", b'{"sharpe": 1.2}', NotATableError, "no table"),
        ("a.json", b"[1, 2, 3]", NotATableError, "no table"),
        ("a.json", b"42", NotATableError, "no table"),
        ("a.json", b'{"a": [1, 2], "b": [1]}', NotATableError, "no table"),
        ("a.json", b'{"columns": ["a", "b"], "data": [[1, 2], [1]]}', TableError, "Row 2 .*2 cells"),
        ("a.json", b'{"columns": ["a"], "data": ["x"]}', TableError, "Row 1"),
        ("a.json", "é".encode("latin-1"), TableError, "UTF-8"),
        ("a.csv", "date,équité\n1,2".encode("latin-1"), TableError, r"UTF-8 \(byte 6\)"),
        ("a.csv", "date,value\n1,2".encode("utf-16"), TableError, "UTF-8"),
        ("a.csv", b"a,b\n1,2,3\n", TableError, "cannot be read as CSV"),
        ("a.parquet", parquet(FRAME)[:-20], TableError, "no readable Parquet"),
        ("a.parquet", b"PAR1", TableError, "no readable Parquet"),
        ("a.pkl", b"\x80\x04.", NotATableError, "json, .parquet, .csv"),
        ("a.json", json.dumps([{str(n): 1 for n in range(MAX_COLUMNS + 1)}]).encode(), TableError, "columns"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(
    path: str, content: bytes, kind: type[TableError], said: str
) -> None:
    with pytest.raises(kind, match=said) as raised:
        read_table(path, content)
    assert type(raised.value) is kind
    assert path in str(raised.value)


@given(st.binary(max_size=200), st.sampled_from(["a.json", "a.csv", "a.parquet"]))
def test_no_bytes_at_all_raise_anything_else(content: bytes, path: str) -> None:
    try:
        assert read_table(path, content).height
    except TableError as error:
        assert path in str(error)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_parquet_file_is_read_or_refused(place: int, byte: int) -> None:
    content = bytearray(parquet(FRAME))
    content[place % len(content)] = byte
    try:
        read_table("a.parquet", bytes(content))
    except TableError:
        return
