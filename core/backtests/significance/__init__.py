"""Whether a backtest's result can be told from luck: intervals, Sharpe tests, tests of many runs, seed fans."""
