"""The command line as a person has it: arguments in; exit code, output and complaints out."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aihub.cli import main


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The one JSON value on standard output."""
        assert self.code in (0, 1), self.err
        assert self.out.endswith("\n")
        return json.loads(self.out)


Run = Callable[..., Said]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without settings, hub, media or weights; the home folder is `home` in it."""
    for name in list(os.environ):
        if name.startswith("AIHUB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AIHUB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")  # usage errors are drawn by Rich, which folds them
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def aihub(here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs `aihub ARGUMENTS...` in this process, with the error handling of the real thing."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["aihub", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capfd.readouterr()
        return Said(code, out, err)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def picture(here: Path) -> Path:
    """A grey picture with some texture, so that it is neither black nor flat."""
    noise = np.random.default_rng(7).integers(90, 160, (120, 160, 3)).astype(np.uint8)
    path = here / "grey.png"
    cv2.imwrite(str(path), noise)
    return path


@pytest.fixture
def black(here: Path) -> Path:
    """A black picture."""
    path = here / "black.png"
    cv2.imwrite(str(path), np.zeros((120, 160, 3), np.uint8))
    return path
