"""A small HTTP load client of its own process: keep-alive connections, one request at a time each.

python -m benchmarks.load URL --concurrency 16 --seconds 5 --key KEY [--body FILE --type image/jpeg]
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
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


class Connection:
    """A keep-alive connection with at most one request in flight.

    Args:
        address: host and port.
        data: the request.
    """

    def __init__(self, address: tuple[str, int], data: bytes) -> None:
        self.socket = socket.create_connection(address, timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun = 0.0
        self._data, self._got, self._wanted = data, bytearray(), 0

    def ask(self) -> None:
        """Send the request."""
        self.begun = time.perf_counter()
        self._got.clear()
        self._wanted = 0
        self.socket.sendall(self._data)

    def status(self) -> int:
        """Read what is there: the answer's status once all of it is, else 0.

        Raises:
            ConnectionError: the server has closed it.
        """
        more = self.socket.recv(1 << 16)
        if not more:
            raise ConnectionResetError
        self._got += more
        if not self._wanted and (end := self._got.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._got[:end]).lower()
            self._wanted = end + 4 + int(head.partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0])
        return int(self._got[9:12]) if self._wanted and len(self._got) >= self._wanted else 0


def drive(url: str, data: bytes, concurrency: int, until: float) -> tuple[list[float], int]:
    """Keep requests in flight until time is up: seconds of each good answer, and how many were not good.

    One thread and no event loop of a library: what the client costs is missing from the server's cores.
    """
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    times: list[float] = []
    failures = open_ = 0
    with selectors.DefaultSelector() as waiting:
        for _ in range(concurrency):
            open_ += begin(waiting, address, data)
        while open_:
            for key, _ in waiting.select(timeout=60):
                connection: Connection = key.data
                try:
                    status = connection.status()
                except OSError:
                    status = -1
                if not status:
                    continue
                now = time.perf_counter()
                if status == 200:
                    times.append(now - connection.begun)
                else:
                    failures += 1
                if now < until and status > 0:
                    connection.ask()
                    continue
                waiting.unregister(connection.socket)
                connection.socket.close()
                open_ -= 1
                if now < until:  # the server closed it: another in its place
                    open_ += begin(waiting, address, data)
    return times, failures


def begin(waiting: selectors.BaseSelector, address: tuple[str, int], data: bytes) -> int:
    """One more connection with a request in flight."""
    connection = Connection(address, data)
    waiting.register(connection.socket, selectors.EVENT_READ, connection)
    connection.ask()
    return 1


def run(url: str, data: bytes, concurrency: int, seconds: float) -> dict[str, float]:
    """Requests per second and latencies."""
    begun = time.perf_counter()
    times, failures = drive(url, data, concurrency, begun + seconds)
    took = time.perf_counter() - begun
    times.sort()
    return {
        "per_second": len(times) / took,
        "p50_ms": 1000 * times[len(times) // 2] if times else 0.0,
        "p99_ms": 1000 * times[int(len(times) * 0.99)] if times else 0.0,
        "answers": len(times),
        "failures": failures,
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
    sys.stdout.write(json.dumps(run(asked.url, data, asked.concurrency, asked.seconds)) + "\n")


if __name__ == "__main__":
    main()
