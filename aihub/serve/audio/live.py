"""Live sound over a WebSocket: 16 kHz mono 16-bit samples in, stretches of speech and what an algorithm makes of each out.

Algorithms that listen to more than speech, such as `siren`, get all sound in pieces of two seconds; nothing says `speech` then.

The client sends text messages that are JSON, and binary messages that are little-endian samples, up to two seconds each:

    {"type": "start", "algorithm": "speech-to-text", "params": {}, "pause": 0.5}     first
    {"type": "flush"}      what is being said is taken as a whole now
    {"type": "stop"}       no more sound comes; `done` follows when all is answered

The hub sends:

    {"type": "ready", "algorithm", "sample_rate"}
    {"type": "speech", "start"}                            somebody begins to speak; seconds since the first sample
    {"type": "segment", "id", "start", "end", "score", "result"}    times in the result count from the first sample too
    {"type": "error", "id", "code", "detail", ...}         that segment could not be worked on; the session goes on
    {"type": "dropped", "id", "start", "end"}              too many segments wait
    {"type": "done", "seconds", "segments"}

It closes with 1000 after `done`; 1003 what was sent is not of this form; 1009 a message is too long; 1011 the hub failed;
4400 the first message is wrong; 4403 the key lacks the scope; 4404 no such algorithm; 4408 silence on the line for
`live_idle_s`; 4410 `max_live_s` of sound are reached; 4429 too many sessions; 4503 weights are missing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.hearing import hears_all, shifted
from aihub.algorithms.sound.voice import MODEL, STEP, STEP_S, Gate, Listener, Stretch, VoiceRules
from aihub.errors import (
    AihubError,
    CapacityError,
    ForbiddenError,
    InputError,
    ModelError,
    NotFoundError,
    WeightsMissingError,
)
from aihub.serve.audio import names
from aihub.serve.audio.desk import SoundDesk
from aihub.serve.payloads import read_json
from aihub.serve.problems import body_of, invalid_model
from aihub.serve.security import Caller
from aihub.serve.services import Services
from aihub.telemetry import REGISTRY
from aihub.types import SAMPLE_RATE, Bill, Samples, Sound

logger = logging.getLogger(__name__)

PROTOCOL = "aihub.live.v1"
"""Name of this protocol for `Sec-WebSocket-Protocol`."""
VOICE = "voice-activity"
"""The algorithm that needs no second look at a stretch."""
START_S = 10.0
SEND_S = 10.0
MOST_BYTES = 2 * SAMPLE_RATE * 2
"""Of one binary message: two seconds."""
MOST_TEXT = 64 * 1024
ALL_SOUND = VoiceRules(min_speech_s=0.0, min_silence_s=1.0, pad_s=0.0, max_speech_s=2.0)
"""Pieces for those that listen to all sound."""
MOST_WAITING = 8
"""Segments of one session that wait to be worked on."""

SEGMENTS = Counter(
    "aihub_sound_live_segments_total", "Segments of live sound.", ["outcome"], registry=REGISTRY
)


class Start(BaseModel):
    """The first message."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(pattern="^start$")
    algorithm: str = Field("speech-to-text", max_length=64)
    params: dict[str, Any] = Field(default_factory=dict)
    pause: float = Field(0.5, ge=0.1, le=5, description="A pause of this length ends a segment, seconds.")


class CloseError(Exception):
    """The session ends with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class LiveSession:
    """One connection.

    Args:
        socket: not accepted yet; its key was checked at the door.
        services: what there is.
        desk: where segments are worked on.
        caller: who holds the key.
    """

    def __init__(self, socket: WebSocket, services: Services, desk: SoundDesk, caller: Caller) -> None:
        self._socket, self._services, self._desk, self._caller = socket, services, desk, caller
        self._settings = services.settings
        self._sending = asyncio.Lock()
        self._waiting: asyncio.Queue[_Segment | None] = asyncio.Queue(MOST_WAITING)
        self._count = 0

    async def run(self) -> None:
        """Serve it to its end. Never raises for what the other side does."""
        offered = self._socket.scope.get("subprotocols") or []
        await self._socket.accept(PROTOCOL if PROTOCOL in offered else None)
        if not self._desk.seat(self._caller.tenant):
            await self._close(4429, "too many live sessions; try again later")
            return
        try:
            await self._serve()
        except WebSocketDisconnect:
            pass
        except CloseError as close:
            await self._close(close.code, close.reason)
        except AihubError as error:
            await self._close(_code_of(error), str(error))
        except Exception:
            logger.exception("a live sound session failed")
            await self._close(1011, "the hub failed")
        finally:
            self._desk.unseat(self._caller.tenant)

    async def _serve(self) -> None:
        self._caller.require("infer")
        start, algorithm = await self._start()
        await self._send({"type": "ready", "algorithm": algorithm.card.id, "sample_rate": SAMPLE_RATE})
        rules = VoiceRules(min_silence_s=start.pause, pad_s=min(0.2, start.pause / 2))
        every = hears_all(algorithm)
        listener = Listener(self._services.predictor, self._source, Bill())
        ears = _Ears(listener, Gate(ALL_SOUND if every else rules), every=every)
        worker = asyncio.create_task(self._work(algorithm, start.params), name="aihub-live-sound")
        try:
            reading = asyncio.create_task(self._read(ears), name="aihub-live-read")
            try:
                await asyncio.wait({worker, reading}, return_when=asyncio.FIRST_COMPLETED)
                if worker.done():
                    worker.result()  # it only ends before the reader by failing
                await reading
            finally:
                reading.cancel()
            ending = asyncio.create_task(self._waiting.put(None), name="aihub-live-end")
            await asyncio.wait({worker, ending}, return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            await worker
        finally:
            worker.cancel()
            with suppress(AihubError):  # what was heard of silence; the session is over either way
                self._desk.book(self._caller, algorithm, ears.unbooked, ears.new_bill())
        await self._send({"type": "done", "seconds": round(ears.seconds, 3), "segments": self._count})
        await self._close(1000, "")

    @property
    def _source(self) -> str:
        return f"{self._caller.tenant}/{self._caller.key_id}"

    async def _start(self) -> tuple[Start, Algorithm]:
        message = await self._receive(min(START_S, self._settings.live_idle_s))
        if not isinstance(message, dict):
            raise CloseError(4400, "the first message must be a JSON object of type start")
        try:
            start = Start.model_validate(message)
        except ValidationError as error:
            raise CloseError(4400, str(invalid_model(error))) from error
        algorithm = names.listening(self._services.registry, self._caller, start.algorithm)
        names.ready(algorithm)
        algorithm.resolve(start.params)
        if not hears_all(algorithm) and self._services.predictor.missing([MODEL]):
            raise WeightsMissingError("live sound needs voice activity", hint=f"aihub models pull {MODEL}")
        return start, algorithm

    async def _read(self, ears: _Ears) -> None:
        """Take in messages until `stop`; whoever sends too fast is held up, not buffered."""
        while True:
            message = await self._receive(self._settings.live_idle_s)
            if isinstance(message, dict):
                kind = message.get("type")
                if kind == "stop":
                    await self._found(ears, ears.finish())
                    return
                if kind != "flush":
                    raise CloseError(1003, "messages after the first are samples, flush or stop")
                await self._found(ears, ears.finish())
                continue
            if ears.seconds + len(message) / SAMPLE_RATE > self._settings.max_live_s:
                raise CloseError(4410, f"a session may have {self._settings.max_live_s:g} s of sound")
            for step in ears.steps(message):
                spoke = ears.gate.speaking_since
                stretch = await ears.hear(step)
                if stretch is not None:
                    await self._found(ears, stretch)
                since = ears.gate.speaking_since
                if spoke is None and since is not None and not ears.every:
                    await self._send({"type": "speech", "start": round(since, 3)})

    async def _found(self, ears: _Ears, stretch: Stretch | None) -> None:
        if stretch is None:
            return
        number, self._count = self._count, self._count + 1
        try:
            self._waiting.put_nowait(_Segment(number, stretch, ears.samples(stretch), ears.new_bill()))
            ears.unbooked = max(ears.unbooked - (stretch.end - stretch.start), 0.0)
        except asyncio.QueueFull:
            SEGMENTS.labels("dropped").inc()
            times = {"start": round(stretch.start, 3), "end": round(stretch.end, 3)}
            await self._send({"type": "dropped", "id": number, **times})

    async def _work(self, algorithm: Algorithm, params: dict[str, Any]) -> None:
        while (waiting := await self._waiting.get()) is not None:
            number, stretch = waiting.number, waiting.stretch
            body = {
                "type": "segment",
                "id": number,
                "start": round(stretch.start, 3),
                "end": round(stretch.end, 3),
                "score": round(stretch.score, 4),
            }
            try:
                if algorithm.card.id == VOICE:
                    self._desk.book(self._caller, algorithm, stretch.end - stretch.start, waiting.spent)
                else:
                    heard = await self._desk.listen_to(
                        self._caller,
                        algorithm,
                        params,
                        Sound(waiting.samples, source=self._source),
                        self._settings.sound_timeout_s,
                        spent=waiting.spent,
                    )
                    body["result"] = shifted(heard, stretch.start).to_json()
                SEGMENTS.labels("heard").inc()
            except AihubError as error:
                SEGMENTS.labels("failed").inc()
                body = {"type": "error", "id": number, **body_of(error)} | {"type": "error"}
            await self._send(body)

    async def _receive(self, within_s: float) -> dict[str, Any] | Samples:
        """The next message: a control message, or samples in [-1, 1]."""
        try:
            message = await asyncio.wait_for(self._socket.receive(), within_s)
        except TimeoutError as error:
            raise CloseError(4408, f"nothing was sent for {within_s:g} s") from error
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        text, data = message.get("text"), message.get("bytes")
        if text is not None:
            return _control(text)
        if data is None or len(data) % 2:
            raise CloseError(1003, "a binary message is whole samples of 16 bits")
        if len(data) > MOST_BYTES:
            raise CloseError(1009, f"a binary message may have {MOST_BYTES} bytes")
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768.0)

    async def _send(self, body: dict[str, Any]) -> None:
        async with self._sending:
            try:
                text = json.dumps(body, ensure_ascii=False)
                await asyncio.wait_for(self._socket.send_text(text), SEND_S)
            except TimeoutError as error:
                raise CloseError(1008, "answers are not read") from error
            except RuntimeError as error:  # closed by the other side meanwhile
                raise WebSocketDisconnect(1006) from error

    async def _close(self, code: int, reason: str) -> None:
        with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
            cut = reason.encode()[:120].decode("utf-8", "ignore")
            await asyncio.wait_for(self._socket.close(code, cut), SEND_S)


@dataclass(frozen=True, slots=True)
class _Segment:
    """A stretch of speech on its way to the algorithm, and what it has cost so far."""

    number: int
    stretch: Stretch
    samples: Samples
    spent: Bill


class _Ears:
    """What was heard so far: likelihood of speech step by step, and the samples that may still be needed.

    Attributes:
        seconds: of sound that came.
        unbooked: seconds of them that were in no segment.
        every: whether all sound is taken, speech or not.
    """

    def __init__(self, listener: Listener, gate: Gate, *, every: bool = False) -> None:
        self._listener, self.gate, self.every = listener, gate, every
        self._rest: Samples = np.zeros(0, np.float32)
        self._kept: list[Samples] = []
        self._first = 0
        self.seconds = self.unbooked = 0.0

    def new_bill(self) -> Bill:
        """What was spent since the last time."""
        old, self._listener.bill = self._listener.bill, Bill()
        return old or Bill()

    def steps(self, samples: Samples) -> list[Samples]:
        """New samples in pieces of the length that is looked at."""
        self.seconds += len(samples) / SAMPLE_RATE
        self.unbooked += len(samples) / SAMPLE_RATE
        joined = np.concatenate([self._rest, samples])
        whole = len(joined) // STEP * STEP
        self._rest = joined[whole:]
        return [joined[at : at + STEP] for at in range(0, whole, STEP)]

    async def hear(self, step: Samples) -> Stretch | None:
        """Listen to one step; gives the stretch that it ends."""
        self._kept.append(step)
        if self.every:
            return self.gate.push(1.0)
        outputs = await asyncio.wrap_future(self._listener.ask(step))
        stretch = self.gate.push(self._listener.take(outputs))
        if stretch is None and self.gate.speaking_since is None:
            self._forget(self.gate.at - self.gate.rules.pad - STEP_S)
        return stretch

    def finish(self) -> Stretch | None:
        """What is being said, as far as it has come."""
        return self.gate.finish()

    def samples(self, stretch: Stretch) -> Samples:
        """The samples of a stretch that has just ended; those before it are forgotten."""
        held = np.concatenate(self._kept) if self._kept else self._rest[:0]
        first = max(round(stretch.start * SAMPLE_RATE) - self._first, 0)
        part = held[first : max(round(stretch.end * SAMPLE_RATE) - self._first, first)]
        self._forget(stretch.end - self.gate.rules.pad)
        return part

    def _forget(self, before: float) -> None:
        steps = min(max(int((before * SAMPLE_RATE - self._first) // STEP), 0), len(self._kept))
        del self._kept[:steps]
        self._first += steps * STEP


def _control(text: str) -> dict[str, Any]:
    if len(text) > MOST_TEXT:
        raise CloseError(1009, f"a text message may have {MOST_TEXT} characters")
    try:
        message = read_json(text)
    except ValueError as error:
        raise CloseError(1003, "a text message is JSON") from error
    if not isinstance(message, dict):
        raise CloseError(1003, "a text message is a JSON object")
    return message


def _code_of(error: AihubError) -> int:
    kinds: tuple[tuple[type[AihubError], int], ...] = (
        (ForbiddenError, 4403),
        (NotFoundError, 4404),
        (InputError, 4400),
        (CapacityError, 4429),
        (ModelError, 4503),
    )
    return next((code for kind, code in kinds if isinstance(error, kind)), 1011)
