"""Checkpoint files as versions of a model: validated, deployed, and kept in a folder that follows the registry."""
