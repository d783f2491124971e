"""The watch of live figures: runs that say how a version does in Production, judged and acted upon."""
