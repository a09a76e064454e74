"""Plain Ray Serve: a replica a core with `@serve.batch`, behind HAProxy, in its mode for throughput.

python -m benchmarks.peers.ray_serve.server PORT
"""

# Annotations are read at run time by Ray Serve, which does not resolve them as text.
import os
import signal
import socket
import sys
import threading
from typing import Any


def free_port() -> str:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


# Ray reads these when it is imported. The fixed ports of its proxy would be another cluster's on the same machine.
os.environ.update({
    "RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_USAGE_STATS_ENABLED": "0",
    **{f"RAY_SERVE_{name}_PORT": free_port() for name in (
        "HAPROXY_STATS", "HAPROXY_METRICS", "FALLBACK_PROXY_HTTP", "FALLBACK_PROXY_GRPC")},
})  # fmt: skip

import asyncio  # noqa: E402

import ray  # noqa: E402
from ray import serve  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import JSONResponse  # noqa: E402

from benchmarks.peers.detector import Answer, Detector, DetectorSettings  # noqa: E402

SETTINGS = DetectorSettings.read()
BATCH = 4
"""Most requests that a replica takes at once: 16 in flight over two replicas are never more than two batches each."""


@serve.deployment(num_replicas=SETTINGS.workers, max_ongoing_requests=64, ray_actor_options={"num_cpus": 1})
class Detect:
    """JPEG in, boxes out; `/echo` answers at once."""

    def __init__(self) -> None:
        self.detector = Detector.from_environment()

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=0.0)
    async def batch(self, jpegs: list[bytes]) -> list[Answer]:
        """Boxes on each of some JPEGs, on a thread so that the replica goes on reading requests."""
        return await asyncio.to_thread(self.detector.detect_many, jpegs)

    async def __call__(self, request: Request) -> JSONResponse:
        """One request."""
        body = await request.body()
        if request.url.path.endswith("/echo"):
            return JSONResponse({"bytes": len(body)})
        return JSONResponse({"detections": await self.batch(body)})


def main() -> None:
    """Serve until told to stop."""
    stop = threading.Event()
    ray.init(
        address="local",
        num_cpus=SETTINGS.workers,
        include_dashboard=False,
        object_store_memory=128 * 1024 * 1024,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    deployment: Any = Detect
    serve.run(deployment.bind(), route_prefix="/")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


if __name__ == "__main__":
    main()
