"""Where events go, one file each; importing registers."""
