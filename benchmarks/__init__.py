"""Measures Greenroom against its limits and, in the same run, against MLflow. `python -m benchmarks`."""
