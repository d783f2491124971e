"""Runs side by side: what differs, what is best, and whether they can be compared at all."""
