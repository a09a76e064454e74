"""MLServer: a pool of one worker process a core, a handler of our own for the JPEG as the body.

    python -m benchmarks.peers.mlserver.server PORT FOLDER

The protocol of MLServer's usual routes would carry the JPEG as base64 within JSON, which costs more.
"""

# Annotations are read at run time by FastAPI below MLServer, which does not resolve them as text.
import json
import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body
from mlserver import MLModel
from mlserver.handlers import custom_handler

from benchmarks.peers.detector import Detector, DetectorSettings

Jpeg = Annotated[bytes, Body()]


class DetectModel(MLModel):
    """JPEG in, boxes out."""

    async def load(self) -> bool:
        """Once in each worker, and once in the server, which then hands its calls to them."""
        self.detector = Detector.from_environment()
        return True

    @custom_handler(rest_path="/detect")
    async def detect(self, request: Jpeg) -> dict[str, Any]:
        """Boxes on a JPEG."""
        return {"detections": self.detector.detect(request)}

    @custom_handler(rest_path="/echo")
    async def echo(self, request: Jpeg) -> dict[str, Any]:
        """Answers at once: what the server itself costs."""
        return {"bytes": len(request)}


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings(port: int) -> dict[str, Any]:
    """What MLServer reads as `settings.json`."""
    return {
        "parallel_workers": DetectorSettings.read().workers, "host": "127.0.0.1", "http_port": port, "grpc_port": free_port(),
        "metrics_endpoint": None, "debug": False, "gzip_enabled": False,
    }  # fmt: skip


def main() -> None:
    """Write what MLServer reads, and become it."""
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    model = {"name": "detect", "implementation": "benchmarks.peers.mlserver.server.DetectModel"}
    (folder / "settings.json").write_text(json.dumps(settings(port)))
    (folder / "model-settings.json").write_text(json.dumps(model))
    command = Path(sys.executable).with_name("mlserver")
    os.execv(command, [str(command), "start", str(folder)])


if __name__ == "__main__":
    main()
