"""Curves from tables: what is taken, what is left out, and that a note says so."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.backtests.logged.columns import ColumnChoice, TableKind, recognise
from core.backtests.logged.curves import build_curve
from core.backtests.logged.trade_tables import build_trades
from core.tables.errors import TableError
from core.tables.reading import read_table
from tests.core.backtests.logged.logged import PATH, TIMED, curve, days, note, times


def test_a_plain_table_is_taken_as_it_stands() -> None:
    read = curve(
        time=days(2, 3, 4),
        value=[100, 101.5, 99],
        benchmark=[1, None, 3],
        position=[1, 0, -1],
        cash=[5, 5, 5],
    )
    assert read.curve.times.tolist() == [each.item() for each in times(*days(2, 3, 4))]
    assert read.curve.times.dtype == "datetime64[us]"
    assert read.curve.values.tolist() == [100, 101.5, 99]
    np.testing.assert_array_equal(read.curve.benchmark, [1, np.nan, 3])
    np.testing.assert_array_equal(read.curve.position, [1, 0, -1])
    np.testing.assert_array_equal(read.curve.cash, [5, 5, 5])
    assert read.notes == ()


def test_rows_without_time_or_value_are_left_out_and_counted() -> None:
    read = curve(time=[*days(2, 3, 4, 5), None], value=[100, None, float("inf"), 102, 103])
    assert read.curve.values.tolist() == [100, 102]
    assert note(read, "left out").startswith("3 rows without a time or a number")


def test_text_in_numbers_is_cleaned_with_a_note_or_named() -> None:
    read = curve(time=days(2, 3, 4), equity=["$1,000", "1,100.50", "n/a"])
    assert read.curve.values.tolist() == [1000, 1100.5]
    assert "equity was read as numbers, with commas" in note(read, "Text")
    with pytest.raises(TableError, match="row 2: 'lots'"):
        curve(time=days(2, 3), equity=["1", "lots"])


def test_rows_in_any_order_are_sorted_with_a_note() -> None:
    read = curve(time=days(4, 2, 3), value=[3, 1, 2])
    assert read.curve.values.tolist() == [1, 2, 3]
    assert note(read, "sorted")


def test_of_several_rows_at_one_time_the_last_counts() -> None:
    read = curve(time=days(2, 2, 3, 3, 3, 4), value=[1, 1, 2, 5, None, 3])
    assert read.curve.values.tolist() == [1, 5, 3]
    assert note(read, "copies").startswith("1 row left out")
    assert note(read, "differ").startswith("1 row left out")
    assert note(read, "without").startswith("1 row without")


def test_returns_are_compounded_from_one_a_typical_step_before() -> None:
    read = curve(date=days(2, 3, 4, 8), returns=[0.1, -0.5, 0.2, 0.0])
    np.testing.assert_allclose(read.curve.values, [1, 1.1, 0.55, 0.66, 0.66])
    np.testing.assert_allclose(read.curve.returns, [0.1, -0.5, 0.2, 0.0], atol=1e-15)
    assert read.curve.times[0] == np.datetime64("2024-01-01")
    assert "one typical step (1 day) before" in note(read, "starts at 1")


def test_a_first_return_that_is_missing_is_the_starting_point() -> None:
    read = curve(date=days(2, 3, 4, 5), returns=[None, 0.1, float("nan"), 0.1])
    np.testing.assert_allclose(read.curve.values, [1, 1.1, 1.21])
    assert read.curve.times[0] == np.datetime64("2024-01-02")
    assert read.notes == ("1 row without a time or a number left out; nothing was filled in.",)
    assert curve(date=days(2, 3), returns=[None, 0.1]).notes == ()


def test_one_return_alone_starts_a_day_before() -> None:
    read = curve(date=days(2), returns=[0.5])
    assert read.curve.times.tolist() == [each.item() for each in times("2024-01-01", "2024-01-02")]
    assert read.curve.values.tolist() == [1, 1.5]


@pytest.mark.parametrize(
    ("returns", "doubted"),
    [([0.8, -1.1, 0.6, 0.4], True), ([1.2, -2.0, 0.9], True), ([0.01, -0.02, 0.3], False), ([], False)],
)
def test_returns_that_may_be_in_percent_are_said_and_not_changed(returns: list[float], doubted: bool) -> None:
    read = curve(date=days(1, *range(2, 2 + len(returns))), returns=[0.0, *returns])
    assert any("percent" in each for each in read.notes) is doubted
    assert read.curve.values[2:3].tolist() == [1 + each for each in returns[:1]]


def test_returns_that_explode_are_refused() -> None:
    with pytest.raises(TableError, match="percent"):
        curve(date=[1_704_153_600 + n for n in range(400)], returns=[99.0] * 400)


def test_the_curve_ends_with_the_ruin() -> None:
    read = curve(time=days(2, 3, 4, 5), value=[100, -5, 50, 60])
    assert read.curve.values.tolist() == [100, -5]
    assert (
        note(read, "ruined")
        == "The account is ruined on 2024-01-03: the curve ends there, 2 later rows left out."
    )
    from_returns = curve(date=days(2, 3, 4), returns=[0.1, -1.0, 0.5])
    np.testing.assert_allclose(from_returns.curve.values, [1, 1.1, 0])


def test_a_profit_curve_that_starts_at_zero_is_named_as_such() -> None:
    read = curve(time=days(2, 3), equity=[0, 10])
    assert read.curve.values.tolist() == [0]
    assert "profit instead of the account's worth" in note(read, "equity is 0 at the start")


def test_one_point_is_a_curve_and_none_is_not() -> None:
    assert len(curve(time=days(2), value=[100]).curve) == 1
    with pytest.raises(TableError, match="No row of"):
        curve(time=days(2, 3), value=[None, float("nan")], choice=TIMED)
    with pytest.raises(TableError, match="No row of"):
        curve(date=days(2, 3), returns=[None, None], choice=ColumnChoice("date", returns="returns"))


def test_a_benchmark_of_returns_is_compounded_over_every_row() -> None:
    read = curve(time=days(2, 3, 4, 5), value=[100, 101, None, 102], benchmark_returns=[0.9, 0.1, 0.1, -0.5])
    assert read.curve.benchmark is not None
    np.testing.assert_allclose(read.curve.benchmark, [1, 1.1, 0.605])
    assert note(read, "compounded")


def test_a_benchmark_beside_returns_starts_with_them() -> None:
    read = curve(date=days(2, 3, 4), returns=[0.1, 0.1, 0.1], benchmark=[-0.1, None, 0.2])
    np.testing.assert_allclose(read.curve.benchmark, [1, 0.9, np.nan, 1.08])
    level = curve(date=days(2, 3), returns=[0.1, 0.1], benchmark=[50.0, 51.0])
    np.testing.assert_array_equal(level.curve.benchmark, [np.nan, 50, 51])


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (["long", "Flat", "SHORT"], [1, 0, -1]),
        (["buy", "sell", None], [1, -1, np.nan]),
        (["2", "-0.5", "0"], [2, -0.5, 0]),
        (["{'AAPL': 10}", "{}", "{}"], None),
        (["long", "hold", "flat"], None),
    ],
)
def test_positions_as_text_are_read_where_they_are_plain(cells: list[str], read: list[float] | None) -> None:
    found = curve(date=days(2, 3, 4), total_value=[1, 2, 3], cash=[1, 1, 1], positions=cells)
    assert found.curve.values.tolist() == [1, 2, 3]
    assert found.curve.cash is not None
    if read is None:
        assert found.curve.position is None
        assert "positions holds text" in note(found, "left out")
    else:
        np.testing.assert_array_equal(found.curve.position, read)
        assert found.notes == ()


def test_a_benchmark_that_cannot_be_read_does_not_stop_the_curve() -> None:
    choice = ColumnChoice("time", "value", benchmark="benchmark")
    read = curve(time=days(2, 3), value=[1, 2], benchmark=["5", "high"], choice=choice)
    assert read.curve.benchmark is None
    assert "'high'" in note(read, "benchmark was left out")


def test_a_choice_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TableError, match=r"no column 'worth'.*it has 'time', 'value'"):
        curve(time=days(2), value=[1], choice=ColumnChoice("time", "worth"))
    with pytest.raises(TableError, match="No column"):
        curve(time=days(2), value=[1], choice=ColumnChoice("time"))
    with pytest.raises(TableError, match="steps"):
        curve(time=[0, 1], value=[1, 2], choice=TIMED)


def parquet(frame: pd.DataFrame) -> bytes:
    target = io.BytesIO()
    frame.to_parquet(target)
    return target.getvalue()


WRITERS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "columns.json": lambda frame: frame.to_json(
        orient="split", index=False, date_format="iso", double_precision=15
    ).encode(),
    "records.json": lambda frame: frame.to_json(
        orient="records", date_format="epoch", double_precision=15
    ).encode(),
    "indexed.json": lambda frame: (
        frame.set_index("time").to_json(orient="split", date_format="iso", double_precision=15).encode()
    ),
    "plain.csv": lambda frame: frame.to_csv(index=False).encode(),
    "indexed.csv": lambda frame: frame.set_index("time").rename_axis(None).to_csv().encode(),
    "plain.parquet": parquet,
    "indexed.parquet": lambda frame: parquet(frame.set_index("time").rename_axis(None)),
}


moments = st.integers(-600_000_000, 4_000_000_000)


pounds = st.integers(1, 10**12).map(lambda pence: pence / 100)


@settings(deadline=None)
@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
@pytest.mark.parametrize("path", WRITERS)
@given(
    points=st.dictionaries(moments, pounds, min_size=1, max_size=20),
    zoned=st.booleans(),
    shuffled=st.randoms(),
)
def test_what_pandas_writes_comes_back(
    path: str, points: dict[int, float], zoned: bool, shuffled: object
) -> None:
    if path == "records.json":  # its milliseconds of 1970 to 1973 would look like seconds
        points = {abs(moment) + 100_000_000: value for moment, value in points.items()}
    order = list(points)
    shuffled.shuffle(order)  # type: ignore[attr-defined]
    when = pd.to_datetime(order, unit="s", utc=zoned)
    frame = pd.DataFrame({"time": when, "value": [points[each] for each in order]})
    table = read_table(path, WRITERS[path](frame))
    read = build_curve(table, recognise(table, path).choice(), path).curve
    assert read.times.astype("datetime64[s]").astype(int).tolist() == sorted(points)
    np.testing.assert_allclose(read.values, [points[each] for each in sorted(points)], rtol=1e-14)


rows = st.lists(
    st.tuples(st.integers(0, 400), st.floats(-1, 1) | st.none(), st.floats(-0.5, 0.5) | st.none()),
    min_size=2,
    max_size=30,
    unique_by=lambda row: row[0],
)


@settings(deadline=None)
@given(rows=rows, order=st.randoms(), as_returns=st.booleans())
def test_the_order_of_rows_does_not_matter(
    rows: list[tuple[int, float | None, float | None]], order: object, as_returns: bool
) -> None:
    choice = ColumnChoice(
        "time", None if as_returns else "v", "v", benchmark="b", benchmark_is_returns=True, position="v"
    )

    def read(some: list[tuple[int, float | None, float | None]]) -> tuple[list[object], ...]:
        moment = [1_704_153_600 + hour * 3600 for hour, _, _ in some]
        frame = pl.DataFrame(
            {"time": moment, "v": [row[1] for row in some], "b": [row[2] for row in some]},
            schema_overrides={"v": pl.Float64, "b": pl.Float64},
        )
        try:
            built = build_curve(frame, choice, PATH)
        except TableError as error:
            return ([str(error)],)
        arrays = (built.curve.times, built.curve.values, built.curve.benchmark, built.curve.position)
        said = [each for each in built.notes if "sorted" not in each]
        return (*(None if array is None else array.astype(str).tolist() for array in arrays), said)

    mixed = list(rows)
    order.shuffle(mixed)  # type: ignore[attr-defined]
    assert read(mixed) == read(rows)


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["2024-01-02", "1,5", "12%", "long", "nan", "0000-00-00", "20240102", "-", "1e400"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


NAMES = "time value equity returns benchmark position cash entry_time side quantity exit_price pnl fees price"


names = st.sampled_from(NAMES.split())


@settings(deadline=None, max_examples=80)
@given(
    table=st.integers(1, 4).flatmap(
        lambda height: st.dictionaries(names, st.lists(cells, min_size=height, max_size=height), min_size=1)
    ),
    suffix=st.sampled_from(["json", "csv"]),
)
def test_whatever_is_in_the_cells_is_read_or_refused_in_words(
    table: dict[str, list[object]], suffix: str
) -> None:
    path = f"trades.{suffix}"
    content = json.dumps(table) if suffix == "json" else pd.DataFrame(table, dtype=object).to_csv(index=False)
    try:
        frame = read_table(path, content.encode())
        found = recognise(frame, path)
        if found.trades is not None or found.kind is TableKind.FILLS:
            assert len(build_trades(frame, path).trades) <= frame.height
        time, value = frame.columns[0], frame.columns[-1]
        suggestion = found.suggestion() or ColumnChoice(time, value, benchmark=value, position=time)
        read = build_curve(frame, suggestion, path).curve
    except TableError:
        return
    assert (np.diff(read.times).astype(int) > 0).all()
    assert np.isfinite(read.values).all()
    assert (read.values[:-1] > 0).all()


def test_a_curve_knows_whether_it_was_compounded_from_returns() -> None:
    frame = pl.DataFrame(
        {"time": ["2024-01-01", "2024-01-02", "2024-01-03"], "value": [1.0, 2.0, 3.0], "ret": [0.1, 0.2, 0.3]}
    )
    assert not build_curve(frame, ColumnChoice("time", value="value"), "t.csv").curve.from_returns
    assert build_curve(frame, ColumnChoice("time", returns="ret"), "t.csv").curve.from_returns
