"""The artifacts of runs: where they are, reading them safely, and previews that execute nothing."""
