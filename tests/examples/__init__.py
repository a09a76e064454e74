"""The documentation of the API and its examples agree."""
