"""Columns of a run table as numbers or as few categories; params are strings in MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from dashboard.charts.thinning import LARGEST_DRAWN
from dashboard.formats import MISSING, shortened

LABEL_LENGTH = 28
OTHER = "other"


@dataclass(frozen=True, slots=True, eq=False)
class Categories:
    """A column as positions in a short list of labels.

    Attributes
    ----------
    codes : Series of Int32
        Positions in `labels`, no nulls.
    labels : tuple of str
        Names as they are, shortened; numbers in their order, names by frequency. The rarest may be summed
        up as "other", and "–" stands for a missing value; both come last.
    """

    codes: pl.Series
    labels: tuple[str, ...]


def as_numbers(column: pl.Series) -> pl.Series | None:
    """Return a column as floats, infinities and NaN as null; None if it holds something else.

    A column of strings counts as numbers if every value that is there parses as one.
    """
    if column.dtype.is_temporal() or column.dtype == pl.Boolean:
        return None
    if isinstance(column.dtype, pl.Enum | pl.Categorical):
        column = column.cast(pl.String)
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count() > column.null_count() or (column.dtype == pl.String and column.is_null().all()):
        return None
    usable = numbers.is_finite() & (numbers.abs() <= LARGEST_DRAWN)
    return numbers.set(~usable, None)


def as_categories(column: pl.Series, limit: int) -> Categories:
    """Return a column as at most `limit` categories, "other" and "–" for missing values included."""
    texts = column.cast(pl.String).rename("value")
    counted = texts.drop_nulls().value_counts(sort=True).sort(["count", "value"], descending=[True, False])
    room = limit - (texts.null_count() > 0)
    names = counted["value"].to_list()
    kept = names if len(names) <= room else names[: room - 1]
    if (numbers := as_numbers(pl.Series(kept, dtype=pl.String))) is not None and not numbers.has_nulls():
        kept = [name for _, name in sorted(zip(numbers, kept, strict=True))]
    other, missing = [OTHER] * (len(kept) < len(names)), [MISSING] * (texts.null_count() > 0)
    positions = {name: position for position, name in enumerate(kept)}
    last = len(kept) + len(other)
    codes = [last if text is None else positions.get(text, len(kept)) for text in texts]
    return Categories(pl.Series("code", codes, dtype=pl.Int32), tuple(distinct([*kept, *other, *missing])))


def as_axis(column: pl.Series, limit: int, log: bool) -> pl.Series:
    """Return a column as floats, as times, or as an Enum of at most `limit` labels.

    Null stands for what cannot be drawn: missing, infinite, or zero and less on a logarithmic axis.
    """
    if (numbers := as_numbers(column)) is not None:
        return numbers.set(numbers <= 0, None) if log else numbers
    if column.dtype.is_temporal():
        return column.cast(pl.Datetime("ms"))
    categories = as_categories(column, limit)
    labels = pl.Series(categories.labels, dtype=pl.Enum(categories.labels))
    return labels.gather(categories.codes).set(column.is_null(), None)


def distinct(names: Sequence[str]) -> list[str]:
    """Shorten names without making two of them alike."""
    labels: list[str] = []
    for name in names:
        short = label = shortened(" ".join(name.split()), LABEL_LENGTH)
        number = 2
        while label in labels:
            label, number = f"{short} ({number})", number + 1
        labels.append(label)
    return labels
