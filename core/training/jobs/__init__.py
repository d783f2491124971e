"""Jobs: recorded, queued, run in processes of their own, found again after a crash."""
