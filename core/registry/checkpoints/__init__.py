"""Checkpoint files as versions of a registered model: validated, deployed, and kept in a folder that follows."""
