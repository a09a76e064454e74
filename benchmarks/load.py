"""A small HTTP load client of its own process: keep-alive connections, one request at a time each.

python -m benchmarks.load URL --concurrency 16 --seconds 5 --key KEY [--body FILE --type image/jpeg]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit


def request_bytes(url: str, key: str, body: bytes, kind: str) -> bytes:
    """The same request every time, ready to be sent."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path}{'?' + parts.query if parts.query else ''} HTTP/1.1\r\nHost: {parts.netloc}\r\nX-API-Key: {key}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def connection(url: str, data: bytes, until: float, times: list[float], failures: list[int]) -> None:
    """Send requests one after the other until time is up; a connection that the server closes is opened again."""
    parts = urlsplit(url)
    while time.perf_counter() < until:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            while time.perf_counter() < until:
                begun = time.perf_counter()
                status = await exchange(reader, writer, data)
                if status == 200:
                    times.append(time.perf_counter() - begun)
                else:
                    failures.append(status)
        except (asyncio.IncompleteReadError, ConnectionError):
            failures.append(0)
        finally:
            writer.close()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> int:
    """One request and its answer; returns the status."""
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    await reader.readexactly(length)
    return int(head[9:12])


async def run(url: str, data: bytes, concurrency: int, seconds: float) -> dict[str, float]:
    """Requests per second and latencies."""
    times: list[float] = []
    failures: list[int] = []
    begun = time.perf_counter()
    await asyncio.gather(
        *(connection(url, data, begun + seconds, times, failures) for _ in range(concurrency))
    )
    took = time.perf_counter() - begun
    times.sort()
    return {
        "per_second": len(times) / took,
        "p50_ms": 1000 * times[len(times) // 2] if times else 0.0,
        "p99_ms": 1000 * times[int(len(times) * 0.99)] if times else 0.0,
        "answers": len(times),
        "failures": len(failures),
    }


def main() -> None:
    """Parse, run, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--key", default="")
    parser.add_argument("--body", type=Path)
    parser.add_argument("--type", default="image/jpeg")
    asked = parser.parse_args()
    body = asked.body.read_bytes() if asked.body else b"x"
    data = request_bytes(asked.url, asked.key, body, asked.type)
    sys.stdout.write(json.dumps(asyncio.run(run(asked.url, data, asked.concurrency, asked.seconds))) + "\n")


if __name__ == "__main__":
    main()
