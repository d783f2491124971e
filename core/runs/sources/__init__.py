"""Where runs come from: any MLflow tracking URI, or the tracking database read directly and read-only."""
