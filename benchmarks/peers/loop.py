"""The bare loop: one thread a core, each decodes, detects and answers in memory; no server. What servers can reach at most.

    python -m benchmarks.peers.loop PICTURE.jpg --seconds 3

Prints one JSON line in the words of the load client.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from pathlib import Path

from benchmarks.peers.detector import Detector, DetectorSettings


def run(detector: Detector, jpeg: bytes, threads: int, seconds: float) -> dict[str, object]:
    """Pictures a second, and the time of each."""
    times: list[list[float]] = [[] for _ in range(threads)]
    detector.detect(jpeg)
    begun = time.perf_counter()

    def loop(mine: list[float]) -> None:
        while (started := time.perf_counter()) < begun + seconds:
            json.dumps(detector.detect(jpeg)).encode()
            mine.append(1000 * (time.perf_counter() - started))

    workers = [threading.Thread(target=loop, args=(mine,)) for mine in times]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took = time.perf_counter() - begun
    every = sorted(one for mine in times for one in mine)
    return {"per_second": len(every) / took, "answers": len(every), "failures": 0, "times_ms": every}


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    asked = parser.parse_args()
    settings = DetectorSettings.read()
    found = run(
        Detector(settings, settings.workers), asked.picture.read_bytes(), settings.workers, asked.seconds
    )
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
