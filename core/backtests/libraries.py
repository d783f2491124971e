"""The libraries behind the measures, which take a second to import."""

from importlib import import_module


def warm_up() -> None:
    """Import them now rather than when the first backtest is opened."""
    for name in ("arch.bootstrap", "empyrical"):
        import_module(name)
