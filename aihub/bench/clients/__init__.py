"""Load clients, each run in a process of its own."""
