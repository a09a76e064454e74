"""Loading dock occupied, for aihub."""
