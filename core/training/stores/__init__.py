"""The trainer of per-store forecasts: sales in, one MLflow run a store out, under one pipeline run."""
