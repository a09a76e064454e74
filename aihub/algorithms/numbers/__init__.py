"""Stages that study series of numbers, one file each; importing registers them."""
