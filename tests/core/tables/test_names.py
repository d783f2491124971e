"""Names of columns and files, and how they are compared."""

from __future__ import annotations

from core.tables.names import name_words, natural_key


def test_names_of_files_fall_into_words() -> None:
    assert name_words("backtest/PortfolioValues_2024.json") == {"portfolio", "values", "2024"}


def test_numbers_in_names_are_sorted_as_numbers() -> None:
    names = ["10", "2", "S10", "S2", "a", "1_10", "1_2", ""]
    assert sorted(names, key=natural_key) == ["", "1_2", "1_10", "2", "10", "S2", "S10", "a"]
