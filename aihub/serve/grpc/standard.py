"""The services that every gRPC server is expected to have: health and reflection. Both need no key, so both are bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from aihub.serve.grpc.schema import POOL, SERVICE

HEALTH = "grpc.health.v1.Health"
REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
"""The same messages under two names; newer clients ask for the first."""

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

MAX_WATCHERS = 64
MAX_READERS = 32
READ_S = 60.0
"""Longest that one caller may use reflection."""


class Health(health.aio.HealthServicer):  # type: ignore[misc]  # the library has no types
    """The health service; watchers beyond `MAX_WATCHERS` are told to come back."""

    def __init__(self) -> None:
        super().__init__()
        self._watching = 0

    async def report(self, well: bool) -> None:
        """Say how the process is, as a whole and for the protocol."""
        for name in ("", SERVICE):
            await self.set(name, SERVING if well else NOT_SERVING)

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802 - named by the protocol
        """Send the status now and whenever it changes."""
        if self._watching >= MAX_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_WATCHERS} watch already")
        self._watching += 1
        try:
            await super().Watch(request, context)
        finally:
            self._watching -= 1


class Reflection:
    """Tells what services there are and what their messages look like."""

    def __init__(self) -> None:
        self._answers = reflection.aio.ReflectionServicer((SERVICE, HEALTH, *REFLECTION), pool=_everything())
        self._reading = 0

    async def info(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        """Answer questions, in order."""
        if self._reading >= MAX_READERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_READERS} read already")
        self._reading += 1
        try:
            async with asyncio.timeout(READ_S):
                async for answer in self._answers.ServerReflectionInfo(requests, context):
                    yield answer
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"ended after {READ_S:g} s")
        finally:
            self._reading -= 1

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """For `add_generic_rpc_handlers`."""
        handler = grpc.stream_stream_rpc_method_handler(
            self.info,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        return [
            grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})
            for name in REFLECTION
        ]


def _everything() -> descriptor_pool.DescriptorPool:
    """Our file and those of the services here, in a pool of their own."""
    pool = descriptor_pool.DescriptorPool()
    ours = POOL.FindServiceByName(SERVICE).file
    for file in (ours, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        pool.AddSerializedFile(file.serialized_pb)
    return pool


def add_health(servicer: Health, server: grpc.aio.Server) -> None:
    """Put the health service on a server."""
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
