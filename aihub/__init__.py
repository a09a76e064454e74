"""aihub: an AI algorithm serving hub on Ray Serve."""

__version__ = "0.1.0"
API = 1
"""Version of the plug-in contract (stages, decoders, rules, sinks)."""
