"""`aihub algorithms new`: what it writes is complete, and passes its own test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def _pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", str(folder)],
        env=os.environ | {"PYTHONPATH": path}, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_card_passes_the_test_that_comes_with_it(aihub: Run, tmp_path: Path) -> None:
    said = aihub(
        "algorithms", "new", "truck-at-dock", "--labels", "truck", "--folder", tmp_path / "new", "--json"
    )
    files = [Path(name).name for name in said.value["files"]]
    assert files == ["truck-at-dock.yaml", "test_truck_at_dock.py"]
    assert len((tmp_path / "new" / "truck-at-dock.yaml").read_text(encoding="utf-8").splitlines()) < 30
    done = _pytest(tmp_path / "new")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_package_with_a_stage_passes_its_test(aihub: Run, tmp_path: Path) -> None:
    aihub("algorithms", "new", "dark-room", "--code", "--folder", tmp_path)
    done = _pytest(tmp_path / "aihub-dark-room")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_nothing_is_written_over(aihub: Run, tmp_path: Path) -> None:
    assert aihub("algorithms", "new", "twice", "--folder", tmp_path).code == 0
    said = aihub("algorithms", "new", "twice", "--folder", tmp_path)
    assert said.code == 1
    assert "twice.yaml is there already" in said.err


@pytest.mark.parametrize("name", ["../out", "Upper", "a b", ""])
def test_an_id_is_an_id(aihub: Run, tmp_path: Path, name: str) -> None:
    said = aihub("algorithms", "new", name, "--folder", tmp_path)
    assert said.code == 2
    assert not list(tmp_path.glob("*.yaml"))


def test_a_card_that_is_no_algorithm_yet_is_checked(aihub: Run, tmp_path: Path) -> None:
    aihub("algorithms", "new", "dark-room", "--code", "--folder", tmp_path)
    card = tmp_path / "aihub-dark-room/aihub_dark_room/pipelines/own/dark-room.yaml"
    said = aihub("algorithms", "check", "--file", card)
    assert said.code == 2
    assert "dark-room" in said.err  # its stage is not installed, and the error says which
