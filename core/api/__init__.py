"""The REST API under /api: who may ask, the routes, and the JSON that they answer with."""
