"""The registry desk: stages, gates, requests, promotion, rollback, and the history of all that."""
