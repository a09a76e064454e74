"""The suites: one module each, with `Settings` and `run(stand, settings)`; their cards are `benchmarks/*.yaml`."""
