"""What bytes are shown as: the content decides, nothing is executed, and nothing raises."""

from __future__ import annotations

import base64
import io
import json
import math
import pickle
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from core.runs.artifacts import preview_tables, previews
from core.runs.artifacts.previews import (
    ImagePreview,
    JsonPreview,
    Preview,
    TablePreview,
    TextPreview,
    UnsupportedPreview,
    preview,
    preview_limit,
)

EXTENSIONS = [
    "csv", "tsv", "parquet", "json", "png", "jpg", "gif", "webp", "bmp", "svg", "yaml", "yml", "txt", "md", "log",
    "py", "toml", "html", "pkl", "joblib", "pt", "zip", "bin", "MLmodel", "",
]  # fmt: skip


def table(path: str, data: bytes, truncated: bool = False) -> TablePreview:
    shown = preview(path, data, truncated)
    assert isinstance(shown, TablePreview), shown
    return shown


def text(path: str, data: bytes, truncated: bool = False) -> TextPreview:
    shown = preview(path, data, truncated)
    assert isinstance(shown, TextPreview), shown
    return shown


def refused(path: str, data: bytes, truncated: bool = False) -> str:
    shown = preview(path, data, truncated)
    assert isinstance(shown, UnsupportedPreview), shown
    return shown.note


def parquet(frame: pd.DataFrame, **options: object) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, **options)
    return buffer.getvalue()


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("encoded", "note"),
    [
        ("região,n\nSão Paulo,1\n".encode(), ""),
        ("região,n\nSão Paulo,1\n".encode("utf-8-sig"), ""),
        ("região,n\nSão Paulo,1\n".encode("utf-16"), ""),
        ("região,n\nSão Paulo,1\n".encode("utf-16-be").join((b"\xfe\xff", b"")), ""),
        ("região,n\nSão Paulo,1\n".encode("latin-1"), "Latin-1"),
    ],
)
def test_csv_in_the_usual_encodings(encoded: bytes, note: str) -> None:
    shown = table("a.csv", encoded)
    assert list(shown.frame.columns) == ["região", "n"]
    assert shown.frame.loc[0, "região"] == "São Paulo"
    assert note in shown.note
    assert bool(note) == bool(shown.note)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("extension", ["csv", "tsv"])
def test_the_separator_is_detected(separator: str, extension: str) -> None:
    rows = [["store", "note", "sales"], ["a", '"x, y; z\tw"', "1.5"], ["b", "plain", "2.5"]]
    shown = table(f"a.{extension}", "\n".join(separator.join(row) for row in rows).encode())
    assert shown.frame["sales"].tolist() == [1.5, 2.5]
    assert shown.frame.loc[0, "note"] == "x, y; z\tw"


def test_csv_cells_keep_what_they_mean() -> None:
    data = (
        "store,long,whole,gaps,words,truth,all_missing,mixed,big\n"
        "007,1234567890123456789,1,1,NA,true,,1,1758503123706000000\n"
        "08,1234567890123456.5,-2,,b,False,NA,x,1758503123706000001\n"
    )
    frame = table("a.csv", data.encode()).frame
    assert frame["store"].tolist() == ["007", "08"]
    assert frame["long"].tolist() == ["1234567890123456789", "1234567890123456.5"]
    assert frame["whole"].tolist() == [1, -2]
    assert frame["whole"].dtype == "int64"
    assert frame["gaps"].dtype == "float64"
    assert math.isnan(frame["gaps"][1])
    assert frame["words"].tolist() == ["NA", "b"]
    assert frame["truth"].tolist() == [True, False]
    assert frame["all_missing"].isna().all()
    assert frame["mixed"].tolist() == ["1", "x"]
    assert frame["big"].tolist() == [1758503123706000000, 1758503123706000001]


def test_real_csv_artifacts_are_read_as_pandas_reads_them(shared_data: Path) -> None:
    files = sorted((shared_data / "mlflow").rglob("artifacts/*.csv"))
    assert len(files) > 40
    for file in files:
        shown = table(file.name, file.read_bytes())
        expected = pd.read_csv(file)
        assert shown.total_rows == len(expected)
        assert_frame_equal(shown.frame, expected.head(preview_tables.MAX_ROWS).reset_index(drop=True))


@given(
    st.lists(
        st.tuples(
            st.floats(allow_infinity=False, width=32),
            st.integers(-(2**62), 2**62),
            st.text("aé ,;\"'\n", min_size=1),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_what_pandas_writes_as_csv_comes_back(rows: list[tuple[float, int, str]]) -> None:
    frame = pd.DataFrame(rows, columns=["float", "int", "text"])
    frame["text"] = "x" + frame["text"]
    shown = table("a.csv", frame.to_csv(index=False, lineterminator="\n").encode())
    np.testing.assert_array_equal(
        shown.frame["float"].to_numpy("float64"), frame["float"].to_numpy("float64")
    )
    assert shown.frame["int"].tolist() == frame["int"].tolist()
    assert shown.frame["text"].tolist() == frame["text"].tolist()


def test_long_and_wide_tables_are_cut_and_counted() -> None:
    long = table("a.csv", b"n\n" + b"".join(b"%d\n" % n for n in range(2_500)))
    assert (len(long.frame), long.total_rows) == (1_000, 2_500)
    assert "The first 1,000 of 2,500 rows are shown." in long.note
    wide = pd.DataFrame([range(300)], columns=[f"c{n}" for n in range(300)])
    for path, data in (("a.csv", wide.to_csv(index=False).encode()), ("a.parquet", parquet(wide))):
        shown = table(path, data)
        assert (shown.frame.shape, shown.total_columns) == ((1, 200), 300)
        assert "The first 200 of 300 columns are shown." in shown.note


def test_a_cut_csv_loses_its_last_row_and_tells_no_total() -> None:
    shown = table("a.csv", b"a,b\n1,2\n3,4\n5,", truncated=True)
    assert shown.frame["a"].tolist() == [1, 3]
    assert shown.total_rows is None
    assert "Only the beginning" in shown.note


def test_ragged_rows_and_repeated_or_empty_names_lose_nothing() -> None:
    shown = table("a.csv", b"a,a,,a (2)\n1,2,3,4,5\n6\n")
    assert list(shown.frame.columns) == ["a", "a (2)", "column 3", "a (2) (2)", "column 5"]
    assert shown.frame.iloc[0].tolist() == [1, 2, 3, 4, 5]
    assert shown.frame.iloc[1].isna().sum() == 4


def test_csv_with_a_quote_that_never_ends_is_text() -> None:
    shown = text("a.csv", b'a,b\n"' + b"x" * 200_000)
    assert "cannot be read as a table" in shown.note


def test_parquet_is_a_table_whatever_its_name() -> None:
    frame = pd.DataFrame(
        {
            "t": pd.date_range("2024-01-01", periods=2_500, tz="America/Bogota"),
            "x": np.arange(2_500.0),
            "s": ["ünï"] * 2_500,
            "l": [[1, 2]] * 2_500,
        }
    )
    for path in ("a.parquet", "a.csv", "model.pkl", "data"):
        shown = table(path, parquet(frame, row_group_size=300))
        assert (len(shown.frame), shown.total_rows) == (1_000, 2_500)
        assert shown.frame["x"].tolist() == list(range(1_000))
        assert str(shown.frame["t"].dt.tz) == "America/Bogota"
    assert table("a.parquet", parquet(frame.head(0))).total_rows == 0


def test_parquet_that_is_cut_damaged_or_unpacks_to_too_much_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = parquet(pd.DataFrame({"x": range(1_000)}))
    assert "too large" in refused("a.parquet", data, truncated=True)
    assert "cannot be read" in refused("a.parquet", data[:100])
    assert "cannot be read" in refused("a.parquet", b"PAR1" + b"\xff" * 50 + b"PAR1")
    monkeypatch.setattr(preview_tables, "_MAX_UNPACKED", 100)
    assert "unpack to" in refused("a.parquet", data)


def test_parquet_with_text_that_is_no_unicode_is_refused() -> None:
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(struct.pack("<ii", 0, 2)), pa.py_buffer(b"\xff\xfe"))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"s": broken}), buffer)
    assert "cannot be read" in refused("a.parquet", buffer.getvalue())


def test_a_table_of_log_table_in_every_shape_mlflow_writes() -> None:
    frame = pd.DataFrame({"q": ["a", "b"], "score": [0.5, None], "when": ["2024-01-01", None]})
    for written in (frame.to_json(orient="split", index=False), frame.to_json(orient="split")):
        shown = table("eval/table.json", written.encode())
        assert shown.frame["q"].tolist() == ["a", "b"]
        assert shown.frame["score"][0] == 0.5
        assert math.isnan(shown.frame["score"][1])
        assert shown.total_rows == 2
    long = {"columns": ["x"], "data": [[n] for n in range(1_500)]}
    shown = table("t.json", json.dumps(long).encode())
    assert (len(shown.frame), shown.total_rows) == (1_000, 1_500)


@pytest.mark.parametrize(
    "value",
    [
        {"columns": ["a", "b"], "data": [[1]]},
        {"columns": ["a"], "data": [1]},
        {"columns": [], "data": []},
        {"columns": "a", "data": [[1]]},
        {"columns": ["a"], "data": [[1]], "rows": 1},
    ],
)
def test_json_that_only_resembles_a_table_is_a_tree(value: object) -> None:
    shown = preview("a.json", json.dumps(value).encode(), False)
    assert isinstance(shown, JsonPreview)
    assert shown.value == value


GIF = base64.b64decode("R0lGODlhAwACAIAAAP///wAAACwAAAAAAwACAAACAoRRADs=")
IMAGES = {
    "png": (png(3, 2), "image/png"),
    "gif": (GIF, "image/gif"),
    "jpg": (
        b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc2\x00\x11\x08\x00\x02\x00\x03"
        + b"\1" * 20,
        "image/jpeg",
    ),
    "webp": (b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x02\0\0\x01\0\0" + b"\0" * 4, "image/webp"),
    "bmp": (b"BM" + struct.pack("<IHHIIii", 70, 0, 0, 54, 40, 3, -2) + b"\0" * 30, "image/bmp"),
}


@pytest.mark.parametrize("kind", list(IMAGES))
@pytest.mark.parametrize("extension", ["png", "txt", "csv", "pkl", "html"])
def test_images_are_known_by_their_first_bytes(kind: str, extension: str) -> None:
    data, mime = IMAGES[kind]
    shown = preview(f"plot.{extension}", data, False)
    assert isinstance(shown, ImagePreview)
    assert (shown.mime, shown.width, shown.height, shown.data) == (mime, 3, 2, data)


def test_images_too_large_cut_or_damaged_are_refused() -> None:
    assert "100,000 by 100,000 pixels" in refused("bomb.png", png(100_000, 100_000))
    assert "too large" in refused("a.png", png(3, 2), truncated=True)
    assert "damaged" in refused("a.png", png(3, 2)[:12])
    assert "damaged" in refused("a.png", png(0, 2))


def test_a_text_that_begins_like_a_bitmap_is_text() -> None:
    assert text("report.txt", b"BMW sold more cars in the second quarter than ever.").text.startswith("BMW")


MARKUP = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    "extension", ["svg", "html", "md", "png", "csv", "json", "yaml", "xml", "txt", "bin"]
)
def test_markup_is_plain_text_under_every_name(extension: str) -> None:
    assert text(f"a.{extension}", MARKUP).text == MARKUP.decode()


@pytest.mark.parametrize("path", ["a.py", "a.md", "a.toml", "a.html", "a.log"])
def test_text_is_shown_to_the_letter(path: str) -> None:
    source = b"{not json\nbut ] text"
    assert text(path, source).text == source.decode()


def test_empty_files_and_long_text_say_so() -> None:
    assert text("a.log", b"").note == "The file is empty."
    assert text("a.csv", b"").text == ""
    long = text("a.log", b"x" * 6_000_000)
    assert len(long.text) == previews.MAX_TEXT_BYTES
    assert "Only the beginning" in long.note
    assert "Only the beginning" in text("a.log", b"x\n", truncated=True).note


def test_a_cut_through_a_character_does_not_make_the_text_latin() -> None:
    shown = text("a.log", "naïve café".encode()[:-1], truncated=True)
    assert shown.text == "naïve caf"
    assert "Latin" not in shown.note


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize(
    "extension", ["pkl", "pickle", "joblib", "pt", "npy", "bin", "csv", "json", "parquet", "yaml"]
)
@pytest.mark.parametrize("protocol", range(6))
def test_pickles_are_never_opened(extension: str, protocol: int) -> None:
    shown = preview(f"model.{extension}", pickle.dumps(Bomb(), protocol), False)
    if protocol >= 2 or extension in ("pkl", "pickle", "joblib", "pt", "npy"):
        assert isinstance(shown, UnsupportedPreview)
        assert "run code" in shown.note


def test_archives_and_binary_files_are_refused_with_their_kind() -> None:
    assert "ZIP archive" in refused("model.bin", b"PK\x03\x04rest")
    assert "run code" in refused("model.pt", b"PK\x03\x04rest")
    assert "compressed" in refused("a.csv.gz", b"\x1f\x8b\x08rest")
    assert "a binary file" in refused("a.bin", bytes(range(256)))
    assert "a binary file" in refused("a.txt", b"text\0with nul")
    assert "SQLite" in refused("mlflow.db", b"SQLite format 3\0")


def test_json_and_yaml_are_trees_with_their_text() -> None:
    shown = preview("a.json", b'{"a": [1, {"b": null}], "c": "\\u00e9"}', False)
    assert isinstance(shown, JsonPreview)
    assert shown.value == {"a": [1, {"b": None}], "c": "é"}
    source = b"flavors:\n  python_function: {env: [conda.yaml]}\nutc: 2024-01-02 03:04:05\nsize: 1.5\n"
    for path in ("model/MLmodel", "conda.yaml", "a.yml"):
        shown = preview(path, source, False)
        assert isinstance(shown, JsonPreview)
        assert shown.value["flavors"] == {"python_function": {"env": ["conda.yaml"]}}
        assert shown.value["utc"] == "2024-01-02T03:04:05"
        assert shown.text == source.decode()


def test_a_few_aliases_are_followed() -> None:
    shown = preview("a.yaml", b"base: &b {x: 1}\none: {<<: *b, y: 2}\ntwo: *b\n", False)
    assert isinstance(shown, JsonPreview)
    assert shown.value == {"base": {"x": 1}, "one": {"x": 1, "y": 2}, "two": {"x": 1}}


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("laughs.yaml", LAUGHS.encode()),
        ("circle.yaml", b"&a [*a, *a]"),
        ("merge.yaml", b"a: &a {x: 1}\nb: &b {<<: [" + b",".join([b"*a"] * 50) + b"]}"),
        ("deep.yaml", b"[" * 500_000),
        ("deep.yaml", b"- " * 300_000),
        ("deep.json", b"[" * 500_000 + b"]" * 500_000),
        ("deep.json", b'{"a":' * 200 + b"1" + b"}" * 200),
        ("tag.yaml", b"a: !!python/object/apply:os.system [exit 1]"),
        ("tag.yaml", b"a: !!int ''"),
        ("base60.yaml", b"a: " + b"1:" * 300_000 + b"1"),
        ("date.yaml", b"a: 2024-13-45"),
        ("number.json", b"[" + b"9" * 5_000 + b"]"),
        ("surrogate.json", b'["\\ud800"]'),
        ("long.yaml", b"a: 1\n" * 250_000),
        ("events.yaml", b"[" + b"a," * 400_000 + b"a]"),
        ("large.json", b"[" + b"1," * 600_000 + b"1]"),
        ("scalar.json", b"3"),
        ("two.yaml", b"a: 1\n---\nb: 2\n"),
        ("lines.jsonl", b'{"a": 1}\n{"a": 2}\n'),
        ("half.json", b'{"a": 1'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_or_broken_trees_are_shown_as_text_soon(path: str, data: bytes) -> None:
    start = time.monotonic()
    assert text(path, data).text == data.decode()
    assert time.monotonic() - start < 3


def test_a_cut_json_is_text() -> None:
    assert "Only the beginning" in text("a.json", b'{"a": 1}', truncated=True).note


def test_limits_fit_the_kinds() -> None:
    assert preview_limit("a/b.CSV") == preview_limit("x.png") == 20_000_000
    assert preview_limit("train.log") == preview_limit("MLmodel") == 5_000_000
    shown = table("a.csv", b"n\n" + b"1\n" * 11_000_000)
    assert shown.total_rows is None


def check(shown: Preview) -> None:
    """Everything a page does with a preview: caching, drawing a table, sending text."""
    again = pickle.loads(pickle.dumps(shown))
    assert again.note == shown.note
    shown.note.encode()
    if isinstance(shown, TablePreview):
        assert shown.frame.columns.is_unique
        assert len(shown.frame) <= 1_000
        shown.frame.astype(str)
    elif isinstance(shown, TextPreview):
        shown.text.encode()
    elif isinstance(shown, JsonPreview):
        json.dumps(shown.value, ensure_ascii=False).encode()
    elif isinstance(shown, UnsupportedPreview):
        assert shown.note


SEEDS = [
    b"a,b\n1,2\n", b'{"columns":["a"],"data":[[1],["x"]]}', b"a: &x [1]\nb: *x\n? [c]\n: 2020-01-01\n",
    "é;ü\n1;2".encode("utf-16"), b"\x80\x04\x95", *(data for data, _ in IMAGES.values()),
    parquet(pd.DataFrame({"a": [1, 2], "b": ["x", None], "t": pd.to_datetime(["2024-01-01", None])})),
]  # fmt: skip


@given(data=st.binary(max_size=300), truncated=st.booleans())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_arbitrary_bytes_give_some_preview(extension: str, data: bytes, truncated: bool) -> None:
    check(preview(f"x/file.{extension}".rstrip("."), data, truncated))


@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=3)), max_size=5),
    extension=st.sampled_from(EXTENSIONS),
)
@settings(max_examples=400, deadline=None)
def test_damaged_files_give_some_preview(
    seed: bytes, changes: list[tuple[int, bytes]], extension: str
) -> None:
    data = bytearray(seed)
    for at, new in changes:
        at %= len(data) + 1
        data[at : at + len(new)] = new
    check(preview(f"file.{extension}", bytes(data), False))


@given(st.text(max_size=200), st.sampled_from(EXTENSIONS))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_some_preview(words: str, extension: str) -> None:
    check(preview(f"file.{extension}", words.encode("utf-8", "surrogatepass"), False))
