"""Laws of a stream: order, bound, and an end for everything that was begun."""

from __future__ import annotations

import asyncio
import random

import pytest

from aihub.serve.grpc.streaming import exchange


class Pipe:
    """Both ends of a stream, in memory."""

    def __init__(self, requests: int) -> None:
        self.requests = [str(index).encode() for index in range(requests)]
        self.read_count = 0
        self.written: list[bytes] = []

    async def read(self) -> bytes | None:
        await asyncio.sleep(0)
        if self.read_count == len(self.requests):
            return None
        self.read_count += 1
        return self.requests[self.read_count - 1]

    async def write(self, message: bytes) -> None:
        await asyncio.sleep(0)
        self.written.append(message)


@pytest.mark.parametrize("seed", range(5))
async def test_answers_come_in_the_order_of_requests(seed: int) -> None:
    dice, pipe, at_work, most = random.Random(seed), Pipe(60), 0, 0

    async def answer(request: bytes) -> bytes:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(dice.random() / 200)
        at_work -= 1
        return b"a" + request

    await exchange(pipe, answer, in_flight=4)
    assert pipe.written == [b"a" + request for request in pipe.requests]
    assert most == 4


async def test_nothing_is_read_that_there_is_no_room_for() -> None:
    pipe, never = Pipe(60), asyncio.Event()

    async def answer(_: bytes) -> bytes:
        await never.wait()
        return b""

    running = asyncio.create_task(exchange(pipe, answer, in_flight=4))
    for _ in range(50):
        await asyncio.sleep(0)
    assert pipe.read_count == 4
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_who_goes_away_takes_what_is_at_work_along() -> None:
    pipe, cancelled = Pipe(3), 0

    async def answer(_: bytes) -> bytes:
        nonlocal cancelled
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return b""

    running = asyncio.create_task(exchange(pipe, answer))
    for _ in range(50):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cancelled == 3


async def test_an_error_ends_the_stream_as_itself() -> None:
    pipe = Pipe(20)

    async def answer(request: bytes) -> bytes:
        if request == b"3":
            raise LookupError(request)
        await asyncio.sleep(0.001)
        return request

    with pytest.raises(LookupError):
        await exchange(pipe, answer)
