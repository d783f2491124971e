"""The smoke test of a model: it is run behind walls, in processes of its own, and judged from outside."""
