"""The gRPC face of one process: a server on an event loop of its own thread."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import grpc
from fastapi import FastAPI

from aihub.errors import AihubError, ConfigError
from aihub.serve.access import Parts
from aihub.serve.grpc.service import InferenceService
from aihub.serve.grpc.standard import Health, Reflection, add_health

logger = logging.getLogger(__name__)

T = TypeVar("T")

CHECK_EVERY_S = 2.0
START_S = 10.0
DRAIN_S = 2.0
"""How long calls at work may go on when the server stops."""
NOTICE_S = 0.2
"""Between saying that we go and going, so that watchers hear it."""

MAX_CONNECTIONS = 4096
MAX_STREAMS_A_CONNECTION = 256
IDLE_MS = 15 * 60 * 1000
"""A connection without calls is closed after this; clients open the next by themselves."""
PING_MS = 60 * 1000
PONG_MS = 20 * 1000
LOOKAHEAD_BYTES = 4 << 20
"""What a caller may send ahead of a stream's reader: pixels of 640 x 640 arrive in 0.7 ms then, instead of 2.2."""
CLIENT_PINGS_MS = 10 * 1000
"""Clients may ping this often, calls at work or not."""


def _options(max_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", max_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", MAX_STREAMS_A_CONNECTION),
        ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
        ("grpc.max_connection_idle_ms", IDLE_MS),
        ("grpc.keepalive_time_ms", PING_MS),
        ("grpc.keepalive_timeout_ms", PONG_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", CLIENT_PINGS_MS),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", CLIENT_PINGS_MS),
        ("grpc.http2.lookahead_bytes", LOOKAHEAD_BYTES),
        # gRPC inflates before it checks sizes; we do it ourselves, with a bound.
        ("grpc.per_message_decompression", 0),
        ("grpc.so_reuseport", 1),
    ]


class GrpcFace:
    """Listens on `host:port`; replicas on one machine share the port (SO_REUSEPORT).

    Args:
        host: address to listen on.
        port: TCP port, not 0.
        parts: of the hub; shared with the HTTP face.
    """

    def __init__(self, host: str, port: int, parts: Parts) -> None:
        self._address, self._parts = f"{host}:{port}", parts
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="grpc", daemon=True)
        self._health = Health()
        self._server: grpc.aio.Server | None = None
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to answer.

        Raises:
            ConfigError: the port cannot be had.
        """
        self._thread.start()
        try:
            self._run(self._start(), START_S)
        except BaseException:
            self._end_loop()
            raise

    def live_with(self, app: FastAPI) -> None:
        """Begin to answer, and end with the app, before the parts that both faces share are closed.

        Raises:
            ConfigError: the port cannot be had.
        """
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(of: FastAPI) -> AsyncIterator[Any]:
            async with inner(of) as state:
                yield state
                await asyncio.to_thread(self.close)

        self.start()
        app.router.lifespan_context = lifespan

    def close(self) -> None:
        """Tell watchers that we go, let calls at work end, and stop."""
        if self._loop.is_closed():
            return
        try:
            self._run(self._close(), NOTICE_S + DRAIN_S + START_S)
        finally:
            self._end_loop()

    def _run(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _start(self) -> None:
        server = grpc.aio.server(options=_options(self._parts.services.settings.max_body_bytes))
        add_health(self._health, server)
        server.add_generic_rpc_handlers((InferenceService(self._parts).handlers(), *Reflection().handlers()))
        try:
            bound = server.add_insecure_port(self._address)
        except RuntimeError:
            bound = 0
        if bound != self._port:
            raise ConfigError(f"gRPC cannot listen on {self._address}", hint="choose one with --grpc-port")
        await self._report()
        await server.start()
        self._server = server
        self._watching = asyncio.create_task(self._watch(), name="grpc-health")

    async def _close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        await self._health.enter_graceful_shutdown()
        if self._server is not None:
            await asyncio.sleep(NOTICE_S)
            await self._server.stop(DRAIN_S)

    async def _report(self) -> None:
        reason = await asyncio.to_thread(self._parts.services.health)
        await self._health.report(reason is None)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            try:
                await self._report()
            except AihubError as error:
                logger.warning("health could not be told: %s", error)
