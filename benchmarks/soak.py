"""Ten minutes (or more) of a hub on GStreamer's RTSP server with a real clip: memory and staleness.

    python -m benchmarks.soak --minutes 10

GStreamer is an independent peer: our own simulator and our own client could agree on a mistake. Needs its Python bindings for
the system's Python (Debian: gir1.2-gst-rtsp-server-1.0, python3-gi and the plugin sets).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from aihub.client import AihubClient
from aihub.settings import Settings
from benchmarks.hub import resident_mb, running_hub

SERVER = Path(__file__).resolve().parent.parent / "tests" / "gstreamer_server.py"
STALE_S = 2.0
CLIP_S = 139.4


@contextmanager
def gstreamer(clip: Path, folder: Path, minutes: float) -> Iterator[str]:
    """GStreamer's server with the clip repeated until it lasts long enough, as it is encoded, at /clip."""
    long_clip = folder / "long.mp4"
    repeats = int(minutes * 60 / CLIP_S) + 2
    parts = f" filesrc location={clip} ! qtdemux ! h264parse ! c." * repeats
    concat = f"concat name=c ! h264parse ! mp4mux ! filesink location={long_clip}{parts}"
    subprocess.run(["gst-launch-1.0", "-q", *concat.split()], check=True, timeout=120)
    launch = f"( filesrc location={long_clip} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 )"
    command = ["/usr/bin/python3", "-I", str(SERVER), f"/clip={launch}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"rtsp://127.0.0.1:{json.loads(process.stdout.readline())['port']}/clip"
    finally:
        process.terminate()
        process.communicate(timeout=10)


def main() -> None:
    """Run, sample every ten seconds, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=60.0, help="seconds before memory counts")
    asked = parser.parse_args()
    clip = Path(Settings().test_media) / "video" / "one-by-one-person-detection.mp4"
    if not clip.is_file():
        sys.exit(f"{clip} is not there: set AIHUB_TEST_MEDIA to the folder of the real test media")
    memory: list[float] = []
    stale = samples = 0
    minutes = asked.minutes + asked.warm_up / 60
    with (
        tempfile.TemporaryDirectory() as folder,
        gstreamer(clip, Path(folder), minutes) as url,
        running_hub() as hub,
    ):
        client = AihubClient(hub.url, hub.key)
        client.add_stream(url, ["person-detection", "intrusion", "people-counting"], id="clip")
        until = time.monotonic() + asked.warm_up + asked.minutes * 60
        begun = time.monotonic()
        while time.monotonic() < until:
            time.sleep(10)
            status = client.stream("clip").status
            if time.monotonic() - begun < asked.warm_up:
                continue
            samples += 1
            memory.append(resident_mb(hub)["resident"])
            late = (
                status.state != "live" or status.fps_analysed <= 0 or status.latency_ms_p95 > STALE_S * 1000
            )
            stale += late or time.time() - status.updated_at > 3
            sys.stderr.write(
                f"{len(memory):3d} {memory[-1]:.0f} MB {status.state} {status.fps_analysed:.1f}/s p95 {status.latency_ms_p95:.0f} ms\n"
            )
        status = client.stream("clip").status
        events = sum(1 for _ in client.events(stream="clip"))
        metrics = httpx2.get(f"{hub.url}/metrics", headers={"X-API-Key": hub.key}).text
    first, last = statistics.median(memory[:6]), statistics.median(memory[-6:])
    growth = (last - first) / first
    sys.stdout.write(
        f"{asked.minutes:g} min, {status.frames_analysed} frames analysed, {events} events, dropped {status.dropped}, reconnects {status.reconnects}; "
        f"resident memory of the hub {first:.0f} -> {last:.0f} MB ({growth:+.2%}); stale samples {stale} of {samples}; "
        f"{'metrics joined' if 'aihub_stream_frames_total' in metrics else 'NO METRICS'}\n"
    )
    sys.exit(int(growth > 0.02 or stale > 0))


if __name__ == "__main__":
    main()
