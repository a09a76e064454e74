"""KServe's gRPC client against the face, where an interpreter that has it is named."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.serve.grpc.served import Served
from tests.serve.hub import encoded

CLIENT = Path(__file__).with_name("kserve_client.py")
PYTHON = "AIHUB_KSERVE_PYTHON"


def test_kserves_own_client(served: Served, tmp_path: Path) -> None:
    python = os.environ.get(PYTHON)
    if not python:
        pytest.skip(
            f"{PYTHON} does not name an interpreter with kserve; it cannot be installed beside the hub (protobuf < 7, psutil < 6)"
        )
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(encoded())
    done = subprocess.run(
        [python, str(CLIENT), served.address, served.key, str(picture)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
