"""Fixtures of the events tests: those of the storage tests."""

from tests.storage.conftest import *  # noqa: F403 - pytest finds fixtures by their names here
