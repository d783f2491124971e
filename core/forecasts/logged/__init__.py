"""Forecasts as runs logged them: which tables hold them, what their columns are, and the rows that come of it."""
