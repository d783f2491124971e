"""Cells of a column as numbers: text with signs and separators, words by their meanings, and cells that are neither."""

from __future__ import annotations

import polars as pl

from core.tables.errors import TableError

NO_VALUE = ("", "nan", "na", "n/a", "#n/a", "nat", "none", "null", "-", "--")
DECIMAL_COMMAS = "with decimal commas"
_SPACES = r"[\s\u00a0\u202f\u2009'’]"
_CURRENCY = r"(?i)[$€£¥₹]|\b(?:usd|eur|gbp|jpy|chf|cop)\b"


def numbers_of(frame: pl.DataFrame, name: str, path: str) -> tuple[pl.Series, str]:
    """Take a column as Float64, null where it is missing or infinite, with a note on how text was read.

    Raises
    ------
    TableError
        Cells are no numbers; the first three are named.
    """
    column, note = frame[name], ""
    if column.dtype == pl.String:
        numbers, reading = text_to_numbers(column)
        words = column.str.strip_chars().str.to_lowercase()
        bad = (numbers.is_null() & ~words.is_in(NO_VALUE)).fill_null(value=False).arg_true()
        if len(bad):
            raise cells_error(column, bad, path, "numbers")
        note = f"Text in the column {name} was read as numbers, {reading}." if reading else ""
    elif column.dtype.is_numeric() or column.dtype == pl.Null:
        numbers = column.cast(pl.Float64)
    else:
        raise TableError(
            f"The column {name} of {path} holds {column.dtype}, not numbers. Choose another column."
        )
    return numbers.set(~numbers.is_finite().fill_null(value=False), None), note


def text_to_numbers(column: pl.Series) -> tuple[pl.Series, str]:
    """Read a column of text as numbers.

    Returns
    -------
    polars.Series of Float64
        Null where a cell is missing, and where it is no number beyond doubt: percentages beside plain
        numbers, "12 34", commas that are thousands in one row and decimals in another.
    str
        How text was read: "" for plain numbers, else a few words.
    """
    words = column.str.strip_chars()
    words = words.set(words.str.to_lowercase().is_in(NO_VALUE).fill_null(value=False), None)
    plain = words.cast(pl.Float64, strict=False)
    if plain.null_count() == words.null_count():
        return plain, ""
    words = words.str.replace_all(_CURRENCY, "").str.strip_chars().str.replace("−", "-", literal=True)
    words = words.str.replace(r"^\((.+)\)$", "-$1").str.replace(r"^([+-])\s+", "$1")
    grouped = words.str.contains(rf"^[+-]?\d{{1,3}}(?:{_SPACES}\d{{3}})+(?:[.,]\d*)?%?$").fill_null(
        value=False
    )
    words = words.zip_with(~grouped, words.str.replace_all(_SPACES, ""))
    percent = words.str.ends_with("%").fill_null(value=False)
    words = words.str.replace(r"\s*%$", "")
    words, reading = _without_commas(words)
    numbers = words.cast(pl.Float64, strict=False)
    if percent.any():
        numbers = (numbers / 100).set(~percent & (numbers != 0), None)
        reading = " and ".join(filter(None, ("as percentages", reading)))
    return numbers, reading or "without signs and spaces"


def _without_commas(words: pl.Series) -> tuple[pl.Series, str]:
    commas = words.str.contains(",", literal=True).fill_null(value=False)
    if not commas.any():
        return words, ""
    with_comma = words.filter(commas)
    thousands = with_comma.str.contains(r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?$")
    decimals = with_comma.str.contains(r"^[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d*$")
    if thousands.all():  # "1,234" throughout can be either; a scale of 1000 leaves returns as they are
        return words.str.replace_all(",", "", literal=True), "with commas between thousands"
    if not decimals.all():
        return words, ""
    dots = words.str.contains(r"^[+-]?\d{1,3}(?:\.\d{3})+(?:,|$)").fill_null(value=False)
    words = words.zip_with(~dots, words.str.replace_all(".", "", literal=True))
    return words.str.replace(",", ".", literal=True), DECIMAL_COMMAS


def words_as_numbers(column: pl.Series, meanings: dict[str, float]) -> pl.Series:
    """Read words by their meanings, in any case, and numbers as they are; the rest is null."""
    words = column.str.strip_chars().str.to_lowercase().str.replace_all(r"[\s_-]+([a-z])", "${1}")
    meant = words.replace_strict(meanings, default=None, return_dtype=pl.Float64)
    return meant.fill_null(words.cast(pl.Float64, strict=False))


def cells_error(column: pl.Series, rows: pl.Series, path: str, wanted: str) -> TableError:
    """Say which cells of a column are not what is wanted, the first three by row and content."""
    shown = ", ".join(f"row {row + 1:,}: {str(column[row])[:40]!r}" for row in rows[:3])
    more = f" and {len(rows) - 3:,} more" if len(rows) > 3 else ""
    return TableError(
        f"The column {column.name} of {path} has cells that cannot be read as {wanted} ({shown}{more}). "
        "Log it in one format, or choose another column."
    )


def counted(number: int, what: str) -> str:
    """Count things for a note: 1 row, 2,000 rows."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
