"""Read a model registry without changing a byte of it: through its database, its server or its files."""
