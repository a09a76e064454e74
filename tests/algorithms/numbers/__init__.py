"""Tests of stages that study numbers."""
