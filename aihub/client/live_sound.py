"""Live sound over a WebSocket: samples go out as they are made, what was heard comes back as it is known."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2
import numpy as np
import numpy.typing as npt

from aihub import errors
from aihub.client.refusals import HubUnreachableError, error_from, error_of
from aihub.errors import AihubError, InputError
from aihub.types import AnyResult, result_from_json

PATH = "/v1/audio/live"
MOST_BYTES = 32_000
"""Of one message: a second. The hub takes two."""
JOIN_S = 2.0

Chunk = bytes | npt.NDArray[np.int16] | npt.NDArray[np.float32]
"""A piece of 16 kHz mono sound: little-endian 16-bit samples as bytes or array, or float32 in [-1, 1]."""

_CLOSES: dict[int, type[AihubError]] = {
    1003: InputError,
    1009: errors.TooLargeError,
    4400: errors.ParamsError,
    4403: errors.ForbiddenError,
    4404: errors.AlgorithmNotFoundError,
    4408: errors.DeadlineError,
    4410: errors.TooLargeError,
    4429: errors.QueueFullError,
    4503: errors.WeightsMissingError,
}


@dataclass(frozen=True, slots=True)
class LiveHeard:
    """Something heard in live sound; times in seconds since the first sample.

    Attributes:
        kind: `speech` somebody begins to speak; `segment` what an algorithm made of what was said; `error` it could not;
            `dropped` too much waited already.
        start: where it begins.
        end: where it ends; for `speech` the same as `start`.
        result: of a segment; None where voice activity alone was asked for.
        error: why there is none.
    """

    kind: Literal["speech", "segment", "error", "dropped"]
    start: float
    end: float
    result: AnyResult | None = None
    error: AihubError | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """How to begin a session.

    Attributes:
        url: of the hub.
        headers: that carry the key.
        start: first message.
        timeout: longest wait for the hub to take it, seconds.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    start: Mapping[str, Any]
    timeout: float

    def options(self) -> dict[str, Any]:
        """For `connect` of websockets. Its pings end a connection whose other side is gone."""
        return {"additional_headers": self.headers, "open_timeout": self.timeout, "close_timeout": 5.0}

    @property
    def address(self) -> str:
        """Of the WebSocket."""
        return f"ws{self.url.removeprefix('http').rstrip('/')}{PATH}"


def blocking(session: Session, sound: Iterable[Chunk]) -> Generator[LiveHeard, None, None]:
    """A session in which a thread sends and the caller hears."""
    from websockets.sync.client import connect

    failed: list[BaseException] = []
    with _as_ours(), connect(session.address, **session.options()) as socket:

        def speak() -> None:
            try:
                for chunk in sound:
                    for piece in pieces(chunk):
                        socket.send(piece)
                socket.send(_STOP)
            except BaseException as error:  # noqa: BLE001 - raised where it is looked for, in the caller's thread
                failed.append(error)
                socket.close()

        socket.send(json.dumps(session.start))
        json.loads(socket.recv(timeout=session.timeout))
        speaker = threading.Thread(target=speak, name="aihub-speak", daemon=True)
        speaker.start()
        try:
            for message in socket:
                if (heard := read(message)) is not None:
                    yield heard
        finally:
            _raise_of(failed)
            socket.close()
            speaker.join(JOIN_S)  # one that waits for a microphone ends with its next sound
        _check_close(socket.close_code, socket.close_reason)


async def awaited(
    session: Session, sound: Iterable[Chunk] | AsyncIterable[Chunk]
) -> AsyncGenerator[LiveHeard, None]:
    """A session in which a task sends and the caller hears."""
    from websockets.asyncio.client import connect

    failed: list[BaseException] = []
    with _as_ours():
        async with connect(session.address, **session.options()) as socket:

            async def speak() -> None:
                try:
                    async for chunk in _each(sound):
                        for piece in pieces(chunk):
                            await socket.send(piece)
                    await socket.send(_STOP)
                except Exception as error:  # noqa: BLE001 - raised where it is looked for, by the caller
                    failed.append(error)
                    await socket.close()

            await socket.send(json.dumps(session.start))
            json.loads(await asyncio.wait_for(socket.recv(), session.timeout))
            speaker = asyncio.create_task(speak(), name="aihub-speak")
            try:
                async for message in socket:
                    if (heard := read(message)) is not None:
                        yield heard
            finally:
                speaker.cancel()
                await asyncio.wait([speaker])
                _raise_of(failed)
            _check_close(socket.close_code, socket.close_reason)


_STOP = json.dumps({"type": "stop"})


def pieces(chunk: Chunk) -> Iterator[bytes]:
    """A piece of sound as messages.

    Raises:
        InputError: not 16-bit or float32 samples.
    """
    data = chunk if isinstance(chunk, bytes) else _samples(chunk).astype("<i2").tobytes()
    if len(data) % 2:
        raise InputError("sound must be whole samples of 16 bits", field="sound")
    for at in range(0, len(data), MOST_BYTES):
        yield data[at : at + MOST_BYTES]


def _samples(sound: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if sound.ndim != 1 or sound.dtype not in (np.int16, np.float32):
        given = f"{sound.dtype} {sound.shape}"
        raise InputError(f"sound must be int16 or float32 of shape (n,), not {given}", field="sound")
    return sound if sound.dtype == np.int16 else np.clip(sound, -1.0, 1.0) * 32767.0


def read(message: str | bytes) -> LiveHeard | None:
    """What a message of the hub says, if it is something heard."""
    body = json.loads(message)
    match body["type"]:
        case "speech":
            return LiveHeard("speech", body["start"], body["start"])
        case "segment":
            result = result_from_json(body["result"]) if "result" in body else None
            return LiveHeard("segment", body["start"], body["end"], result)
        case "dropped":
            return LiveHeard("dropped", body["start"], body["end"])
        case "error":
            return LiveHeard("error", body.get("start", 0.0), body.get("end", 0.0), error=error_of(body))
        case _:
            return None


async def _each(sound: Iterable[Chunk] | AsyncIterable[Chunk]) -> AsyncIterator[Chunk]:
    if isinstance(sound, AsyncIterable):
        async for chunk in sound:
            yield chunk
    else:
        # It may wait for a microphone, and the loop must not.
        rest, end = iter(sound), object()
        while (given := await asyncio.to_thread(next, rest, end)) is not end:
            yield given  # type: ignore[misc]


def _raise_of(failures: Iterable[BaseException]) -> None:
    from websockets.exceptions import ConnectionClosed

    for failure in failures:
        if not isinstance(failure, ConnectionClosed):
            raise failure


def _check_close(code: int | None, reason: str | None) -> None:
    if code in (None, 1000, 1001, 1005):
        return
    kind = _CLOSES.get(code or 0, AihubError)
    raise error_of({"code": kind.__new__(kind).code, "detail": reason or f"the session ended with {code}"})


@contextmanager
def _as_ours() -> Iterator[None]:
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

    try:
        yield
    except InvalidStatus as error:
        answer = error.response
        headers = {name: value for name, value in answer.headers.raw_items() if name.lower() in _KEPT}
        told = httpx2.Response(answer.status_code, headers=headers, content=bytes(answer.body or b""))
        raise error_from(told) from error
    except ConnectionClosed as error:
        with suppress(AttributeError):
            _check_close(error.rcvd.code, error.rcvd.reason)  # type: ignore[union-attr]  # None when cut off
        raise HubUnreachableError("the hub hung up in the middle of a session") from error
    except (OSError, InvalidHandshake, TimeoutError) as error:
        raise HubUnreachableError(
            f"the hub does not answer: {type(error).__name__}", hint="is it running? `aihub up` starts one"
        ) from error


_KEPT = frozenset({"content-type", "retry-after"})
