"""Reads all pages of an answer of MLflow's client."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mlflow.store.entities import PagedList

Found = TypeVar("Found")


def all_pages(fetch: Callable[[str | None], PagedList[Found]]) -> list[Found]:
    """Return everything that the pages hold; `fetch` is given the token of a page, None for the first."""
    page = fetch(None)
    found = list(page)
    while page.token:
        page = fetch(page.token)
        found.extend(page)
    return found
