"""LitServe: one worker process a core, as many API servers, requests over ZeroMQ.

python -m benchmarks.peers.litserve.server PORT
"""

# Annotations are read at run time by LitServe, which does not resolve them as text.
import os
import sys
from typing import Annotated, Any

import litserve
from fastapi import Body

from benchmarks.peers.detector import Answer, Detector, DetectorSettings

Jpeg = Annotated[bytes, Body()]


class DetectApi(litserve.LitAPI):
    """JPEG in, boxes out."""

    def setup(self, device: str) -> None:
        """Once in each worker."""
        del device
        self.detector = Detector.from_environment()

    def decode_request(self, request: Jpeg) -> bytes:
        """The JPEG as it came; it is decoded in the worker too, where there are cores for it."""
        return request

    def predict(self, x: bytes) -> Answer:
        """Boxes."""
        return self.detector.detect(x)

    def encode_response(self, output: Answer) -> dict[str, Answer]:
        """As a JSON object."""
        return {"detections": output}


class EchoApi(litserve.LitAPI):
    """Answers at once: what the server itself costs."""

    def setup(self, device: str) -> None:
        """Nothing to load."""

    def decode_request(self, request: Jpeg) -> bytes:
        """The body as it came."""
        return request

    def predict(self, x: bytes) -> int:
        """How long it was."""
        return len(x)

    def encode_response(self, output: int) -> dict[str, Any]:
        """As a JSON object."""
        return {"bytes": output}


def main() -> None:
    """Serve until told to stop."""
    workers = DetectorSettings.read().workers
    apis = [DetectApi(api_path="/detect"), EchoApi(api_path="/echo")]
    server = litserve.LitServer(
        apis, accelerator="cpu", devices=1, workers_per_device=workers, fast_queue=True
    )
    api_servers = int(os.environ.get("LITSERVE_API_SERVERS", workers))
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=api_servers, log_level="warning",
               generate_client_file=False, access_log=False)  # fmt: skip


if __name__ == "__main__":
    main()
