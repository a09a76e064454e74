"""Stages with logic of their own, one file each; importing registers."""
