"""The load client, with the time of every answer: for histograms.

python -m aihub.bench.clients.latencies URL --concurrency 16 --seconds 5 --key KEY [--body FILE --type image/jpeg]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from aihub.bench.clients.load import drive, request_bytes


def run(url: str, data: bytes, concurrency: int, seconds: float) -> dict[str, object]:
    """Good answers a second, how many were not good, and the time of each good one, ms, shortest first."""
    begun = time.perf_counter()
    times, failures = drive(url, data, concurrency, begun + seconds)
    took = time.perf_counter() - begun
    return {
        "per_second": len(times) / took,
        "answers": len(times),
        "failures": failures,
        "times_ms": [round(1000 * one, 3) for one in sorted(times)],
    }


def main() -> None:
    """Parse, run, print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--key", default="")
    parser.add_argument("--body", type=Path)
    parser.add_argument("--type", default="image/jpeg")
    asked = parser.parse_args()
    data = request_bytes(asked.url, asked.key, asked.body.read_bytes() if asked.body else b"x", asked.type)
    sys.stdout.write(json.dumps(run(asked.url, data, asked.concurrency, asked.seconds)) + "\n")


if __name__ == "__main__":
    main()
