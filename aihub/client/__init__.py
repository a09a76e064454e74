"""Typed client of the hub's HTTP API.

with AihubClient("http://127.0.0.1:8000", key) as hub:
    answer = hub.infer("person-detection", Path("street.jpg"), {"confidence": 0.4})
    hub.add_stream("rtsp://user:secret@10.1.2.3/1", ["intrusion"])
    for event in hub.live():
        print(event.event.state, event.event.label)

What fails raises the same `AihubError` classes that the hub raises inside. Calls that may be made twice are
tried again when the hub says "not now" or cannot be reached.
"""

from aihub.client.connection import HubUnreachableError
from aihub.client.hub import AihubClient
from aihub.client.models import (
    AlgorithmInfo,
    Check,
    InferAnswer,
    Key,
    LiveEvent,
    Ready,
    Sink,
    Stream,
    StreamResult,
)

__all__ = [
    "AihubClient",
    "AlgorithmInfo",
    "Check",
    "HubUnreachableError",
    "InferAnswer",
    "Key",
    "LiveEvent",
    "Ready",
    "Sink",
    "Stream",
    "StreamResult",
]
