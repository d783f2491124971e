"""The training desk: launch, watch, stop, retry, sweep. Every write checks who acts."""
