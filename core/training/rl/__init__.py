"""Trading agents: price bars, a trading environment and the stable-baselines3 algorithms that learn in it."""
