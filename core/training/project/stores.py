"""Entry point `stores` of the project: train a forecast for every store."""

from core.training.stores.command import main

main()
