"""Other servers and pipelines, each in an environment of its own, beside the hub."""
