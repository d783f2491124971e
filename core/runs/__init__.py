"""Find and compare runs: sources, index, filters, comparison, histories, artifacts."""
