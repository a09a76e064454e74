"""`ModelStreamInfer`: requests over one connection, computed side by side, answered in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

IN_FLIGHT = 16
"""Requests of one stream read and not answered; the next is read when one of them is, so a fast sender waits in its socket."""


class Ends(Protocol):
    """Both ends of a stream."""

    async def read(self) -> bytes | None:
        """The next request; None when there will be no more."""
        ...

    async def write(self, message: bytes) -> None:
        """Send an answer."""
        ...


async def exchange(
    ends: Ends, answer: Callable[[bytes], Awaitable[bytes]], in_flight: int = IN_FLIGHT
) -> None:
    """Answer all requests of a stream. Whoever cancels this cancels what is at work.

    Args:
        ends: of the stream.
        answer: a request to its answer; what it raises ends the stream.
        in_flight: most requests at once.
    """
    room = asyncio.Semaphore(in_flight)
    waiting: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue()  # bounded by the room

    async def take(tasks: asyncio.TaskGroup) -> None:
        while True:
            await room.acquire()
            request = await ends.read()
            if request is None:
                waiting.put_nowait(None)
                return
            waiting.put_nowait(tasks.create_task(_awaited(answer, request)))

    async def give() -> None:
        while (task := await waiting.get()) is not None:
            await ends.write(await task)
            room.release()

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(take(tasks))
            tasks.create_task(give())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def _awaited(answer: Callable[[bytes], Awaitable[bytes]], request: bytes) -> bytes:
    return await answer(request)
