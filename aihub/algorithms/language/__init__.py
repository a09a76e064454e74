"""Stages that read texts, one file each; importing registers them."""
