"""A demo workspace: scikit-learn runs, backtests and store forecasts in six MLflow experiments, ready in a minute."""

from core.demo.build import DemoReport, build_demo

__all__ = ["DemoReport", "build_demo"]
