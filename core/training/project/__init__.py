"""An MLflow Project: `mlflow run core/training/project -e stores -P data=sales.csv --env-manager local`."""
