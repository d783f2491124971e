"""Gates: what a version must pass before it moves up."""
