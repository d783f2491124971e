"""`python -m core.training.stores`."""

from core.training.stores.command import main

main()
