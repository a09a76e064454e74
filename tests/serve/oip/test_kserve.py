"""KServe's client against the hub, where an interpreter that has it is named."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.serve.hub import TestHub, encoded

CLIENT = Path(__file__).with_name("kserve_client.py")
PYTHON = "AIHUB_KSERVE_PYTHON"


async def test_kserves_own_client(hub: TestHub, url: str, tmp_path: Path) -> None:
    python = os.environ.get(PYTHON)
    if not python:
        pytest.skip(
            f"{PYTHON} does not name an interpreter with kserve; it cannot be installed beside the hub (protobuf < 7, psutil < 6)"
        )
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(encoded())
    process = await asyncio.create_subprocess_exec(
        python, str(CLIENT), f"http://{url}", hub.key("infer"), str(picture), stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, said.decode()[-2000:]
