"""Fixtures shared by all tests: where the real media and weights are, if they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The gate looks at the same examples every time; HYPOTHESIS_PROFILE=default looks for new ones.
settings.register_profile("gate", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


def _folder(variable: str, what: str) -> Path:
    value = os.environ.get(variable, "")
    if not value or not Path(value).is_dir():
        pytest.skip(f"{variable} does not name a folder: {what} are not on this machine")
    return Path(value)


@pytest.fixture(scope="session")
def media() -> Path:
    """Folder of the real test media (`images/`, `video/`)."""
    return _folder("AIHUB_TEST_MEDIA", "the real test media")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Folder of the real weights (`models/...`)."""
    return _folder("AIHUB_MODEL_MIRROR", "the real weights")
