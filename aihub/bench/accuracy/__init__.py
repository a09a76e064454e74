"""How often algorithms are right, on things whose truth is known; no figure of it depends on the pace of the machine."""
