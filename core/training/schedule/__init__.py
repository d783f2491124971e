"""Retrain models on a schedule: what is due when, and each retraining from its data to Staging."""
