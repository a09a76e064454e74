"""Simulated cameras, footage, and benchmark suites."""
