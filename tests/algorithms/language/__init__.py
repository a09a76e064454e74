"""Tests of stages that read."""
