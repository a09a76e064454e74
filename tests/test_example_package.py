"""The worked example under `examples/`, installed beside the hub: its stage and its card are the hub's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "examples" / "aihub-dock-occupancy"


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """An environment in which the package is installed, as far as Python can tell: its code and its entry points are found."""
    info = tmp_path / "site" / "aihub_dock_occupancy-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aihub-dock-occupancy\nVersion: 0.1.0\n")
    project = (PACKAGE / "pyproject.toml").read_text(encoding="utf-8")
    groups = project.split("[project.entry-points.")[1:]
    lines: list[str] = []
    for part in groups:
        head, *rows = part.split("\n\n")[0].splitlines()
        lines += [f"[{head.strip(chr(34) + ']')}]", *(row.replace('"', "") for row in rows)]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    path = os.pathsep.join([str(info.parent), str(PACKAGE), *filter(None, sys.path)])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIHUB_")}
    return kept | {"PYTHONPATH": path, "AIHUB_HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}


def _aihub(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aihub", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_its_card_is_listed_and_its_proof_holds_with_the_real_detector(installed: dict[str, str]) -> None:
    listed = _aihub(installed, "algorithms", "list", "--domain", "works", "--json")
    assert "dock-occupancy" in [row["id"] for row in json.loads(listed.stdout)], listed.stderr
    checked = _aihub(installed, "algorithms", "check", "dock-occupancy", "--json")
    (report,) = json.loads(checked.stdout)
    assert checked.returncode == 0, checked.stdout
    assert (report["state"], report["evidence"]) == ("ready", "synthetic")


def test_its_own_tests_pass(installed: dict[str, str]) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        str(PACKAGE / "tests"),
    ]
    done = subprocess.run(
        command, env=installed, cwd=PACKAGE, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_package_whose_cards_cannot_be_found_stops_nothing(
    installed: dict[str, str], tmp_path: Path
) -> None:
    broken = tmp_path / "site" / "broken-1.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (broken / "entry_points.txt").write_text("[aihub.cards]\nbroken = no_such_package\n")
    listed = _aihub(installed, "algorithms", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    assert len(json.loads(listed.stdout)) > 20
