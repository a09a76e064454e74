"""How long a hub takes to start and how much it holds at rest."""

from __future__ import annotations

import statistics
import time

from benchmarks.hub import resident_mb, running_hub
from benchmarks.measure import Figure

COMMAND = "python -m benchmarks.run --only footprint"


def measure(turns: int = 3) -> list[Figure]:
    """Cold start, and memory ten seconds later with all cards registered and nothing asked."""
    starts, hubs, rays = [], [], []
    for _ in range(turns):
        with running_hub() as hub:
            starts.append(hub.cold_start_s)
            time.sleep(10)
            memory = resident_mb(hub)
            hubs.append(memory["hub"])
            rays.append(memory["ray"])
    start, held = statistics.median(starts), statistics.median(hubs)
    return [
        Figure("Cold start to ready", start, "s", "<= 20 s", start <= 20, f"starts {[round(s, 1) for s in starts]}", COMMAND),
        Figure("Memory at rest, all processes of the hub", held / 1000, "GB", "<= 1.2 GB", held <= 1200,
               f"Ray's own beside it: {statistics.median(rays) / 1000:.2f} GB (PSS)", COMMAND),
    ]  # fmt: skip
