"""Alarms under measurement: what is shown, what is received, and whether the two fit."""
