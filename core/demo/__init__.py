"""A demo workspace: real scikit-learn runs in three MLflow experiments, ready in seconds."""

from core.demo.build import DemoReport, build_demo

__all__ = ["DemoReport", "build_demo"]
