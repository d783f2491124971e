"""Retention: which old versions and runs go, why the rest stays, how what went comes back or is purged."""
