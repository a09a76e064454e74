"""Alarms of `fire-smoke-detection` through RTSP: how soon on a clip that burns, and how often on clips that do not.

    python -m benchmarks.fire_alarms --minutes 6

Every clip is a real RTSP camera that plays in a loop, so `minutes` times the number of clips without fire is the time watched;
after the first round they show nothing new. Clips with fire: `furg_fire_house6.mp4` (CC0), which burns from its first frame.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aihub.bench.hub.process import running_hub
from aihub.client import AihubClient
from aihub.settings import Settings

BURNING = "furg_fire_house6.mp4"
ALGORITHM = "fire-smoke-detection"
LIVE_S = 60.0


@contextmanager
def cameras(clips: list[Path]) -> Iterator[list[str]]:
    """Addresses of a camera for each clip."""
    command = [sys.executable, "-m", "aihub", "cameras", *map(str, clips), "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["cameras"]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def go_live(client: AihubClient, names: list[str]) -> dict[str, float]:
    """Wait until all have analysed a frame; when each did first, seconds since the epoch."""
    live: dict[str, float] = {}
    until = time.time() + LIVE_S
    while len(live) < len(names) and time.time() < until:
        for name in names:
            if name not in live and client.stream(name).status.frames_analysed > 0:
                live[name] = time.time()
        time.sleep(0.1)
    if missing := set(names) - set(live):
        sys.exit(f"not live after {LIVE_S:g} s: {', '.join(sorted(missing))}")
    return live


def first_alarm(client: AihubClient, name: str, within_s: float) -> float | None:
    """When an application could first read an alarm of a stream, seconds since the epoch."""
    until = time.time() + within_s
    while time.time() < until:
        if any(client.events(stream=name)):
            return time.time()
        time.sleep(0.1)
    return None


def main() -> None:
    """Run and say what came."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--fps", type=float, default=5.0, help="analysed frames a second")
    asked = parser.parse_args()
    folder = Path(Settings().test_media) / "video"
    calm = sorted(path for path in folder.glob("*.mp4") if path.name != BURNING)
    if not calm or not (folder / BURNING).is_file():
        sys.exit("set AIHUB_TEST_MEDIA to the folder of the real test media")
    clips = [folder / BURNING, *calm]
    names = [path.stem.replace("_", "-") for path in clips]
    with cameras(clips) as urls, running_hub() as hub:
        client = AihubClient(hub.url, hub.key)
        client.add_stream(urls[0], [ALGORITHM], id=names[0], sampling={"fps": asked.fps})
        live = go_live(client, names[:1])
        alarm = first_alarm(client, names[0], LIVE_S)
        for name, url in zip(names[1:], urls[1:], strict=True):
            client.add_stream(url, [ALGORITHM], id=name, sampling={"fps": asked.fps})
        go_live(client, names)
        time.sleep(asked.minutes * 60)
        events = {name: list(client.events(stream=name)) for name in names}
        analysed = {name: client.stream(name).status.frames_analysed for name in names}
    events.pop(names[0])
    false = {name: len(found) for name, found in events.items()}
    hours = asked.minutes * len(false) / 60
    print(json.dumps({
        "time_to_alarm_s": round(alarm - live[names[0]], 1) if alarm else None, "false_alarms": false, "hours_without_fire": round(hours, 2),
        "false_alarms_per_hour": round(sum(false.values()) / hours, 2), "frames_analysed": analysed,
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    main()
