"""Projects: which entry points can be launched, with which parameters, and by which argument list."""
