"""Names of columns and files, and how they are compared."""

from __future__ import annotations

from core.tables.names import name_words


def test_names_of_files_fall_into_words() -> None:
    assert name_words("backtest/PortfolioValues_2024.json") == {"portfolio", "values", "2024"}
