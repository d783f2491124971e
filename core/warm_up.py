"""What a server imports before anybody asks, and before it has threads."""

from __future__ import annotations


def warm_up() -> None:
    """Import MLflow's parser, what measures backtests, and all of SQLAlchemy.

    Two threads that import pandas at the same time can each see half of it; and MLflow imports SQLAlchemy's mapper in
    whichever thread comes first, which half imported breaks the statements of others.
    """
    import sqlalchemy.orm  # noqa: F401

    from core.backtests import libraries
    from core.runs import filters

    filters.warm_up()
    libraries.warm_up()
