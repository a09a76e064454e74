"""Tracked results in, alarm conditions out; one file each; importing registers."""
