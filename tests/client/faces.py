"""One face for both clients, so that every test of the one is a test of the other."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Self, cast

from aihub.client import AihubClient, AsyncAihubClient

WAIT_S = 60.0

Make = Callable[..., AihubClient]
"""Makes a client; takes what `AihubClient` takes."""


class _Driven:
    """An `AsyncAihubClient` in a loop of its own, with the methods of an `AihubClient`."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.client = AsyncAihubClient(*args, **named)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self.client)

    def close(self) -> None:
        if self.loop.is_closed():
            return
        self.wait(self.client.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(WAIT_S)
        self.loop.close()

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WAIT_S)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        def called(*args: Any, **named: Any) -> Any:
            made = method(*args, **named)
            return self.wait(made) if inspect.iscoroutine(made) else self.each(made)

        return called

    def each(self, items: AsyncGenerator[Any, None]) -> Generator[Any, None, None]:
        end = object()

        async def following() -> Any:
            return await anext(items, end)

        try:
            while (item := self.wait(following())) is not end:
                yield item
        finally:
            self.wait(items.aclose())


def driven(*args: Any, **named: Any) -> AihubClient:
    """An asynchronous client that can be used as the other one."""
    return cast("AihubClient", _Driven(*args, **named))


FACES: dict[str, Make] = {"blocking": AihubClient, "awaited": driven}
