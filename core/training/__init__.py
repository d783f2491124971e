"""Training: what is launched, and the trainers of the built-in MLflow Project in `project/`."""
