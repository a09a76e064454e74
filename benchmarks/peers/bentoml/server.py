"""BentoML: one worker process a core, detection on a thread of it, the JPEG as the body.

bentoml serve benchmarks.peers.bentoml.server:Detect --port PORT
"""

from __future__ import annotations

import bentoml
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.peers.detector import Detector, DetectorSettings


async def detect(request: Request) -> JSONResponse:
    """Boxes on a JPEG, on a thread so that the worker goes on reading requests."""
    return JSONResponse(
        {"detections": await run_in_threadpool(request.app.state.detector.detect, await request.body())}
    )


async def echo(request: Request) -> JSONResponse:
    """Answers at once: what the server itself costs."""
    return JSONResponse({"bytes": len(await request.body())})


app = Starlette(routes=[Route("/detect", detect, methods=["POST"]), Route("/echo", echo, methods=["POST"])])


@bentoml.asgi_app(app)
@bentoml.service(
    workers=DetectorSettings.read().workers,
    traffic={"timeout": 60},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class Detect:
    """JPEG in, boxes out."""

    def __init__(self) -> None:
        app.state.detector = Detector.from_environment()
