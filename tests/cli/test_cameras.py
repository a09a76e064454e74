from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def cameras(here: Path, picture: Path, black: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`aihub cameras` in a process of its own, and the addresses it tells."""
    command = [
        sys.executable,
        "-m",
        "aihub",
        "cameras",
        str(picture),
        str(black),
        "--count",
        "3",
        "--port",
        "0",
    ]
    process = subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        yield process, json.loads(process.stdout.readline())["cameras"]
    finally:
        process.kill()
        process.wait(timeout=10)
        process.stdout.close()
        process.stderr.close()


def test_cameras_play_break_mend_and_stop(
    aihub: Run, cameras: tuple[subprocess.Popen[str], list[str]]
) -> None:
    process, urls = cameras
    assert len(urls) == 3
    found = aihub("streams", "probe", urls[2], "--json").value
    assert (found["ok"], found["codec"]) == (True, "H264")
    assert "video/H264" in aihub("streams", "probe", urls[0]).out
    missing = aihub("streams", "probe", urls[0].replace("cam1", "cam9"), "--json")
    assert (missing.code, missing.value["ok"], missing.value["code"]) == (1, False, "stream-missing")
    assert aihub("cameras", "--command", urls[0], "--fault", "freeze").out == f"{urls[0]}: freeze\n"
    everyone = urls[0].replace("cam1", "*")
    assert aihub("cameras", "--command", everyone, "--fault", "none", "--json").value["fault"] == "none"
    assert aihub("cameras", "--command", urls[0].replace("cam1", "cam9"), "--fault", "drop").code == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0
