"""Entry point `rl` of the project: train a trading agent on price bars."""

from core.training.rl.command import main

main()
