"""A demo workspace: scikit-learn runs and backtests of trading rules in five MLflow experiments, ready in seconds."""

from core.demo.build import DemoReport, build_demo

__all__ = ["DemoReport", "build_demo"]
