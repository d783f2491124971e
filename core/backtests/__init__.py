"""Backtests: from a logged table to a tear sheet."""
