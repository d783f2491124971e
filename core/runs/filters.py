"""MLflow's filter and order_by strings, parsed by MLflow itself, with the place of a mistake.

The grammar is MLflow's to the letter because it is MLflow's parser that reads it. What MLflow does not say
is where a mistake is: that is found by giving it one clause after another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core.errors import FilterSyntaxError


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison of a filter; clauses are joined by AND.

    Attributes
    ----------
    kind : str
        metric, parameter, tag, attribute or dataset.
    comparator : str
        Upper case: =, !=, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN, IS NULL, IS NOT NULL.
    value : str, float, int, tuple of str or None
    """

    kind: str
    key: str
    comparator: str
    value: Any


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One term of an order_by list."""

    kind: str
    key: str
    ascending: bool


@lru_cache(maxsize=512)
def parse_filter(text: str) -> tuple[Clause, ...]:
    """Parse a filter string.

    Raises
    ------
    FilterSyntaxError
        With the position of the first clause that MLflow refuses.
    """
    if not text or not text.strip():
        return ()
    try:
        return _clauses(text)
    except _mlflow_exception() as error:
        reason = _reason(error)
    for start, clause in _split(text):
        try:
            _clauses(clause)
        except _mlflow_exception() as error:
            raise FilterSyntaxError(text, start, _reason(error)) from error
    raise FilterSyntaxError(text, 0, reason)


@lru_cache(maxsize=512)
def parse_order_by(terms: tuple[str, ...]) -> tuple[OrderTerm, ...]:
    """Parse an order_by list.

    Raises
    ------
    FilterSyntaxError
        If MLflow refuses a term.
    """
    if not terms:
        return ()
    utils = _search_utils()
    parsed: list[OrderTerm] = []
    for term in terms:
        try:
            kind, key, ascending = utils.parse_order_by_for_search_runs(term)
            if kind not in ("metric", "tag", "parameter", "attribute"):
                raise FilterSyntaxError(term, 0, f"Runs cannot be ordered by a {kind}")
        except (_mlflow_exception(), ValueError, IndexError) as error:
            raise FilterSyntaxError(term, 0, _reason(error)) from error
        parsed.append(OrderTerm(kind, utils.translate_key_alias(key), ascending))
    return tuple(parsed)


def warm_up() -> None:
    """Load MLflow's parser, which takes a second or two, before somebody waits for it."""
    _search_utils()


def split_order_by(text: str) -> tuple[str, ...]:
    """Split "metrics.a DESC, params.`b,c`" at its commas, those inside quotes and backticks left alone."""
    parts = [part for _, part in _split(text, re.compile(r","))]
    return tuple(part.strip() for part in parts if part.strip())


def split_clauses(text: str) -> tuple[str, ...]:
    """Split a filter at its ANDs, those inside quotes left alone."""
    return tuple(part for _, part in _split(text) if part)


def equals(field: str, value: str) -> str | None:
    """Return the clause that compares a field with a text, None where MLflow's grammar cannot write it."""
    if "'" not in value:
        return f"{field} = '{value}'"
    if '"' not in value:
        return f'{field} = "{value}"'
    return None


def quote_key(key: str) -> str:
    """Return a key as a filter writes it: in backticks unless it can be no keyword of SQL."""
    if re.fullmatch(r"[A-Za-z]+[0-9]*(_[A-Za-z0-9]+)+", key):
        return key
    return f'"{key}"' if "`" in key else f"`{key}`"


def _clauses(text: str) -> tuple[Clause, ...]:
    utils = _search_utils()
    try:
        parsed = utils.parse_search_filter(text)
    except (ValueError, IndexError, StopIteration, TypeError, AttributeError) as error:
        # Some malformed input makes MLflow's parser trip rather than refuse.
        raise _mlflow_exception()(f"Invalid filter {text!r}: {error}") from error
    clauses = []
    for part in parsed:
        kind, comparator = part["type"], part["comparator"].upper()
        key = utils.translate_key_alias(part["key"])
        # MLflow refuses a comparator that does not suit the field only when it builds the query.
        for check in (utils.is_metric, utils.is_param, utils.is_tag, utils.is_dataset):
            check(kind, comparator)
        utils.is_attribute(kind, key, comparator)
        value = float(part["value"]) if kind == "metric" else part["value"]
        clauses.append(Clause(kind, key, comparator, value))
    return tuple(clauses)


_TEXT = r"'[^']*'|\"[^\"]*\"|`[^`]*`"
_QUOTED = re.compile(rf"{_TEXT}|\((?:{_TEXT}|[^()'\"`])*\)")
_AND = re.compile(r"\bAND\b", re.IGNORECASE)


def _split(text: str, separator: re.Pattern[str] = _AND) -> Iterator[tuple[int, str]]:
    """Yield the parts between separators that stand outside quotes, with where each begins."""
    covered = _QUOTED.sub(lambda match: "\x00" * len(match.group()), text)
    start = 0
    bounds = [(match.start(), match.end()) for match in separator.finditer(covered)]
    for begin, end in (*bounds, (len(text), len(text))):
        part = text[start:begin]
        blank = len(part) - len(part.lstrip())
        yield start + (blank if part.strip() else 0), part.strip()
        start = end


def _reason(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error)
    text = re.sub(r"\{(?:'[^']*'(?:, )?)+\}", lambda match: ", ".join(_sorted_set(match.group())), text)
    return str(text).strip().rstrip(".")


def _sorted_set(text: str) -> Sequence[str]:
    """Put the words of a printed set in order: Python prints them in another order each time."""
    return sorted(re.findall(r"'([^']*)'", text))


def _search_utils() -> Any:
    from mlflow.utils.search_utils import SearchUtils

    return SearchUtils


def _mlflow_exception() -> type[Exception]:
    from mlflow.exceptions import MlflowException

    return MlflowException
