"""The clients: one method a route, described once in the modules beside this one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Mapping
from typing import Any

from aihub.client import live_sound
from aihub.client.algorithms import AlgorithmCalls
from aihub.client.audio import SPEECH_TO_TEXT, AudioCalls
from aihub.client.connection import AwaitedConnection, BlockingConnection
from aihub.client.events import EventCalls, SinkCalls
from aihub.client.feedback import FeedbackCalls
from aihub.client.galleries import GalleryCalls
from aihub.client.jobs import JobCalls
from aihub.client.live_sound import Chunk, LiveHeard
from aihub.client.reading import ReadingCalls
from aihub.client.status import StatusCalls
from aihub.client.streams import StreamCalls
from aihub.client.tenants import AccountCalls, TenantCalls


class HubCalls(
    AlgorithmCalls,
    ReadingCalls,
    AudioCalls,
    StreamCalls,
    EventCalls,
    FeedbackCalls,
    SinkCalls,
    JobCalls,
    GalleryCalls,
    TenantCalls,
    AccountCalls,
    StatusCalls,
):
    """All calls of the API."""


class AihubClient(BlockingConnection, HubCalls):
    """Speaks to one hub. Safe to use from several threads; close it, or use `with`."""

    def hear_live(
        self,
        sound: Iterable[Chunk],
        algorithm_id: str = SPEECH_TO_TEXT,
        params: Mapping[str, Any] | None = None,
        *,
        pause: float = 0.5,
    ) -> Generator[LiveHeard, None, None]:
        """Send sound as it is made, and give what is heard as it is known. Not tried again: the sound is gone by then.

        Args:
            sound: pieces of 16 kHz mono samples, taken by a thread of their own; its end ends the session.
            algorithm_id: what to make of each stretch of speech.
            params: of the algorithm.
            pause: length of the pause that ends a stretch, seconds.

        Raises:
            AihubError: as `hear`, and whatever `sound` raises.
        """
        return live_sound.blocking(self._session(algorithm_id, params, pause), sound)


class AsyncAihubClient(AwaitedConnection, HubCalls):
    """The same for asyncio: calls are awaited, lists and feeds are gone through with `async for`."""

    def hear_live(
        self,
        sound: Iterable[Chunk] | AsyncIterable[Chunk],
        algorithm_id: str = SPEECH_TO_TEXT,
        params: Mapping[str, Any] | None = None,
        *,
        pause: float = 0.5,
    ) -> AsyncGenerator[LiveHeard, None]:
        """As `AihubClient.hear_live`; pieces of an `Iterable` are taken in a thread, so it may wait."""
        return live_sound.awaited(self._session(algorithm_id, params, pause), sound)
