"""A demo workspace: runs, backtests and store forecasts in six MLflow experiments, and two registered models."""

from core.demo.build import DemoReport, build_demo

__all__ = ["DemoReport", "build_demo"]
