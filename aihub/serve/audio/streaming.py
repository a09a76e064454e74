"""A transcript as it is made: OpenAI's events `transcript.text.delta` and `transcript.text.done`, server-sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from aihub.errors import AihubError
from aihub.serve.audio.faults import error_of
from aihub.serve.problems import body_of
from aihub.types import Segment, Transcript

BEAT_S = 10.0
"""A comment goes out when nothing else did for this long, so that nobody between takes the connection for dead."""

Listen = Callable[[Callable[[Segment], None]], Awaitable[Transcript]]


async def events(listen: Listen) -> AsyncIterator[bytes]:
    """The events of one transcript. The first comes when the first words are there, or with the end.

    Args:
        listen: does the work; what it is given is to be called with each segment, from any thread.

    Raises:
        AihubError: before the first event; later ones are told as an event.
    """
    loop = asyncio.get_running_loop()
    # As many segments as a recording has at most: its length is bounded.
    arrived: asyncio.Queue[Segment | None] = asyncio.Queue()

    def heard(segment: Segment) -> None:
        with suppress(RuntimeError):  # the loop is gone: nobody reads any more
            loop.call_soon_threadsafe(arrived.put_nowait, segment)

    work = asyncio.ensure_future(listen(heard))
    work.add_done_callback(lambda _: arrived.put_nowait(None))
    said = ""
    try:
        while True:
            try:
                segment = await asyncio.wait_for(arrived.get(), BEAT_S)
            except TimeoutError:
                if said:
                    yield b":\n\n"
                continue
            if segment is None:
                break
            delta = f" {segment.text}" if said else segment.text
            said += delta
            yield _event({"type": "transcript.text.delta", "delta": delta})
        try:
            transcript = work.result()
        except AihubError as error:
            if not said:
                raise
            yield _event({"error": error_of(body_of(error))})
            return
        yield _event({"type": "transcript.text.done", "text": transcript.text})
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError, AihubError):
            await work


def _event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()
