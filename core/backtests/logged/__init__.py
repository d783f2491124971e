"""The backtest that a run logged: finding its tables, telling what their columns are, curves and trades from them."""
