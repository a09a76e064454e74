"""Other servers and pipelines with the hub's model behind them. Each has an environment of its own; the hub imports none."""
