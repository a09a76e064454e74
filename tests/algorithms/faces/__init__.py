"""Tests of what the algorithms about faces share."""
