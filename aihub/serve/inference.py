"""Pictures and parameters of a request to results: read here, decoded and inferred in worker threads, never on the event loop."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from prometheus_client import Counter, Gauge

from aihub.errors import (
    DeadlineError,
    InputError,
    ParamsError,
    QueueFullError,
    TooLargeError,
    UnsupportedTypeError,
)
from aihub.serve.pictures import check_picture, decode_picture
from aihub.telemetry import REGISTRY
from aihub.types import AlgorithmCard, AnyResult, Frame, InputKind

T = TypeVar("T")

PICTURES = Counter(
    "aihub_http_pictures_total", "Pictures in inference requests.", ["algorithm"], registry=REGISTRY
)
IN_FLIGHT = Gauge("aihub_http_inferences", "Inference requests admitted and not done.", registry=REGISTRY)
REFUSED = Counter(
    "aihub_http_inferences_refused_total",
    "Inference requests refused or given up.",
    ["reason"],
    registry=REGISTRY,
)


@dataclass(frozen=True, slots=True)
class Upload:
    """One picture as it came.

    Attributes:
        data: the file.
        content_type: what the sender called it, without parameters; empty when nothing was said.
        field: where in the request it was, for error messages.
    """

    data: bytes
    content_type: str = ""
    field: str = "body"


@dataclass(frozen=True, slots=True)
class Payload:
    """What a request asks for: pictures and parameters, not yet checked."""

    uploads: Sequence[Upload]
    params: Mapping[str, Any] = field(default_factory=dict)


def payload_from_json(body: bytes) -> Payload:
    """Read `{"images": [base64, ...], "params": {...}}`. A `data:` URL is accepted where base64 is.

    Raises:
        InputError: not of that form; names the field.
    """
    try:
        asked = read_json(body)
    except ValueError as error:
        raise InputError("the body is not JSON", field="body") from error
    if not isinstance(asked, dict):
        raise InputError('the body must be {"images": [base64, ...], "params": {...}}', field="body")
    unknown = sorted(asked.keys() - {"images", "params"})
    if unknown:
        raise InputError(f"unknown field {unknown[0]!r}", field=unknown[0])
    images = asked.get("images")
    if not isinstance(images, list):
        raise InputError("images must be a list of base64 texts", field="images")
    return Payload(
        [_from_base64(text, f"images[{index}]") for index, text in enumerate(images)],
        params_object(asked.get("params", {})),
    )


def read_json(text: bytes | str) -> Any:
    """JSON from outside.

    Raises:
        ValueError: not JSON, not UTF-8, or nested deeper than can be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _from_base64(text: object, name: str) -> Upload:
    if not isinstance(text, str):
        raise InputError("a picture must be base64 text", field=name)
    content_type = ""
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        content_type = head.removeprefix("data:").partition(";")[0].lower()
    try:
        return Upload(base64.b64decode(text, validate=True), content_type, name)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{name} is not base64", field=name) from error


def params_from_text(text: str) -> dict[str, Any]:
    """Parameters as a JSON object in a form field or in the query.

    Raises:
        ParamsError: not JSON, or not an object.
    """
    try:
        return params_object(read_json(text))
    except ValueError as error:
        raise ParamsError("params is not JSON", field="params") from error


def params_object(given: object) -> dict[str, Any]:
    """Parameters as they came, if they are an object.

    Raises:
        ParamsError: they are something else, or their names are no text.
    """
    if not isinstance(given, dict):
        raise ParamsError("params must be an object", field="params")
    try:
        "".join(given).encode()
    except UnicodeEncodeError as error:  # half of a character, as JSON can escape it
        raise ParamsError("a name in params is not text", field="params") from error
    return given


def params_from_query(card: AlgorithmCard, items: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Parameters from the query: `params={...}` or one by one, `confidence=0.4&labels=car&labels=bus`.

    Texts are turned into the type that the card gives; what cannot be turned stays text, so that the algorithm's own check
    names the field.
    """
    whole: dict[str, Any] = {}
    flat: dict[str, list[str]] = {}
    for name, text in items:
        if name == "params":
            whole |= params_from_text(text)
        else:
            flat.setdefault(name, []).append(text)
    return whole | {name: _typed(card, name, texts) for name, texts in flat.items()}


def _typed(card: AlgorithmCard, name: str, texts: list[str]) -> Any:
    kind = card.params[name].type if name in card.params else "string"
    if kind == "strings":
        return [part for text in texts for part in text.split(",") if part]
    text = texts[-1]
    if kind == "string":
        return text
    try:
        return read_json(text.lower() if kind == "boolean" else text)
    except ValueError:
        return text


def open_pictures(
    payload: Payload, *, max_images: int, max_bytes: int, max_pixels: int, source: str = ""
) -> list[Frame]:
    """Check all pictures by their headers, then decode them.

    Args:
        payload: the request.
        max_images: most pictures.
        max_bytes: most bytes of one picture.
        max_pixels: most pixels of all pictures together, since they are held at once.
        source: whose they are; the batcher is fair between sources.

    Raises:
        InputError: none, or a picture is wrong (its kind says how); names the field.
        TooLargeError: too many, or too large.
    """
    uploads = payload.uploads
    if not uploads:
        raise InputError("there is no picture in the request", field="images")
    if len(uploads) > max_images:
        raise TooLargeError(f"{len(uploads)} pictures, at most {max_images} are allowed", field="images")
    left = max_pixels
    frames = []
    try:
        for upload in uploads:
            if len(upload.data) > max_bytes:
                raise TooLargeError(f"a picture may have {max_bytes:,} bytes at most")
            header = check_picture(upload.data, upload.content_type, max_pixels=left)
            left -= header.width * header.height
        for upload in uploads:
            frames.append(decode_picture(upload.data, max_pixels=max_pixels, source=source))
    except InputError as error:
        error.field = error.field or upload.field
        raise
    return frames


def answer(card: AlgorithmCard, results: Sequence[AnyResult], took_s: float) -> bytes:
    """The answer as JSON; see `aihub.serve.schemas.InferAnswer`."""
    body = {
        "algorithm": card.id,
        "version": card.version,
        "results": [result.to_json() for result in results],
        "took_ms": round(took_s * 1000, 2),
    }
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def takes_pictures(card: AlgorithmCard) -> None:
    """Refuse an algorithm that cannot look at single pictures.

    Raises:
        UnsupportedTypeError: says what it takes.
    """
    if InputKind.IMAGE not in card.input:
        kinds = ", ".join(card.input)
        hint = "submit a stream to POST /v1/streams" if InputKind.VIDEO in card.input else None
        raise UnsupportedTypeError(f"{card.id} takes {kinds}, not single pictures", hint=hint)


class Workers:
    """Threads that decode and infer: `threads` at work, `waiting` more admitted, the rest refused at once."""

    def __init__(self, threads: int = 0, waiting: int = 256) -> None:
        threads = threads or 4 * len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="aihub-infer")
        self._room = threading.Semaphore(threads + waiting)

    async def run(self, work: Callable[[], T], timeout_s: float) -> T:
        """Do the work in a thread.

        Raises:
            QueueFullError: too much is waiting already.
            DeadlineError: it was not done in time; a thread that has begun cannot be stopped and keeps its place.
        """
        if not self._room.acquire(blocking=False):
            REFUSED.labels("full").inc()
            raise QueueFullError("too many requests are waiting", hint="send fewer at once, or add replicas")
        IN_FLIGHT.inc()
        try:
            future = self._pool.submit(work)
        except RuntimeError as error:  # the pool is closed
            self._room.release()
            IN_FLIGHT.dec()
            raise QueueFullError(
                "the hub is shutting down", hint="try again: another replica answers"
            ) from error
        future.add_done_callback(self._done)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            if future.done() and not future.cancelled():
                raise  # the work itself ran into a time-out of its own
            REFUSED.labels("deadline").inc()
            raise DeadlineError(f"not done within {timeout_s:g} s") from error

    def _done(self, _: object) -> None:
        self._room.release()
        IN_FLIGHT.dec()

    def close(self) -> None:
        """Drop what waits; what runs ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def timed(card: AlgorithmCard, work: Callable[[], list[AnyResult]]) -> bytes:
    """Do the work and put its results and time into an answer."""
    started = time.perf_counter()
    results = work()
    PICTURES.labels(card.id).inc(len(results))
    return answer(card, results, time.perf_counter() - started)
