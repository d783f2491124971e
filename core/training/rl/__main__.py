"""`python -m core.training.rl`."""

from core.training.rl.command import main

main()
