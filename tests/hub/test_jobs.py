"""Jobs on a whole hub: large uploads through the ingress, and a stream host that is killed in the midst of one."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.hub.conftest import Hub, until
from tests.jobs.films import jpeg, write_film, zip_of

pytestmark = [pytest.mark.hub, pytest.mark.timeout(600)]

FRAMES = 480
SLOW = ["motion-detection", "fire-smoke-detection", "blurred-picture", "frozen-picture"]


def submit(hub: Hub, data: Any, name: str, **fields: str) -> dict[str, Any]:
    answer = hub.call("POST", "/v1/jobs", data=fields, files={"file": (name, data)})
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


def ended(hub: Hub, job: str, timeout_s: float) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        now: dict[str, Any] = hub.get(f"/v1/jobs/{job}")
        return now if now["state"] in ("done", "failed", "cancelled") else None

    found: dict[str, Any] = until(look, timeout_s, "the job ends")
    return found


def lines_of(hub: Hub, job: str) -> list[dict[str, Any]]:
    answer = hub.call("GET", f"/v1/jobs/{job}/results.jsonl")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_killed_stream_host_costs_a_job_nothing(hub: Hub, tmp_path: Path) -> None:
    """Law: the lines of the interrupted job are those of the same job left in peace, none twice and none lost."""
    film = write_film(tmp_path / "film", frames=FRAMES, width=640, height=480).read_bytes()
    options = {"algorithms": json.dumps(SLOW), "fps": "10"}
    job = submit(hub, film, "film.mp4", **options)["id"]
    started = until(
        lambda: (j := hub.get(f"/v1/jobs/{job}"))["progress"]["frames_done"] > 50 and j, 60, "it is under way"
    )
    assert started["state"] == "running"
    (victim,) = hub.pids("stream-host")
    os.kill(victim, signal.SIGKILL)
    done = ended(hub, job, 200)
    assert (done["state"], done["error"]) == ("done", "")

    interrupted = lines_of(hub, job)
    counted = Counter((line["frame"], line["task"]) for line in interrupted if "result" in line)
    assert set(counted.values()) == {1}
    assert len(counted) == FRAMES * len(SLOW)
    peaceful = submit(hub, film, "film.mp4", **options)["id"]
    assert ended(hub, peaceful, 200)["state"] == "done"
    assert _bare(interrupted) == _bare(lines_of(hub, peaceful))
    for name in (job, peaceful):
        assert hub.call("DELETE", f"/v1/jobs/{name}").status_code == 204


def _bare(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the ids, which are those of the job."""
    return [line for line in lines if "result" in line] + [
        {**line["event"], "id": "", "stream_id": ""} for line in lines if "event" in line
    ]


def test_a_large_upload_passes_the_ingress(hub: Hub) -> None:
    """Larger than any buffer on the way, and the progress is told over it."""
    noise = os.urandom(1024 * 1024)
    files = {f"{index:03}.bin": noise for index in range(150)} | {"a.jpg": jpeg()}
    data = zip_of(files, 0)
    assert len(data) > 150 * 1024 * 1024
    job = submit(hub, data, "large.zip", algorithms="blurred-picture")["id"]
    key = (hub.home / "admin.key").read_text().strip()
    with httpx2.stream(
        "GET", f"{hub.url}/v1/jobs/{job}/progress", headers={"X-API-Key": key}, timeout=60.0
    ) as response:
        steps = [json.loads(line[5:]) for line in response.iter_lines() if line.startswith("data:")]
    assert steps[-1]["state"] == "done"
    assert [line["picture"] for line in lines_of(hub, job) if "result" in line] == ["a.jpg"]
    assert hub.get("/v1/usage") is not None
    hub.call("DELETE", f"/v1/jobs/{job}")
