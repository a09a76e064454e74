"""One request's way through a worker thread: pictures decoded, algorithms run, results encoded. Never on the event loop."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
from prometheus_client import Counter

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.drawing import draw, overlays
from aihub.algorithms.reading import Item, read_many
from aihub.errors import (
    AihubError,
    DeadlineError,
    InputError,
    ParamsError,
    TooLargeError,
    UnsupportedTypeError,
)
from aihub.serve.admission import Tab
from aihub.serve.columns import columns_of, refuse_missing
from aihub.serve.items import open_series, open_texts
from aihub.serve.payloads import Upload
from aihub.serve.pictures import check_picture, decode_picture
from aihub.serve.problems import body_of
from aihub.serve.services import Services
from aihub.settings import Settings
from aihub.telemetry import REGISTRY
from aihub.types import AlgorithmCard, AnyResult, Bill, Frame, Image, InputKind
from aihub.types.pixels import LONGEST_JPEG

logger = logging.getLogger(__name__)

JPEG_QUALITY = 85

PICTURES = Counter(
    "aihub_http_pictures_total", "Pictures in inference requests.", ["algorithm"], registry=REGISTRY
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One algorithm that a request asks for, or why it cannot be run.

    Attributes:
        id: as the caller wrote it.
        params: as the caller wrote them; checked when it is run.
        algorithm: None when there is an error.
        error: None when there is an algorithm.
        where: in the request, for error messages; empty when the path names it.
    """

    id: str
    params: Mapping[str, Any]
    algorithm: Algorithm | None = None
    error: AihubError | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """A request that has been read: what a worker thread needs to answer it.

    Attributes:
        wanted: what to run; at least one of them can be.
        uploads: the pictures, all of them here.
        texts: in their place, for algorithms that read.
        series: in their place, for algorithms that study numbers.
        many: whether the answer is that of several algorithms.
        annotate: whether to draw the results.
        jpeg: whether the drawn picture itself is the answer.
        fields: columns that results are cut down to; None for whole results.
        source: who asks, `tenant/key`.
        deadline: `time.monotonic()` by which it has to be done.
    """

    wanted: Sequence[Wanted]
    uploads: Sequence[Upload]
    many: bool
    annotate: bool
    jpeg: bool
    fields: tuple[str, ...] | None
    source: str
    deadline: float
    texts: Sequence[str] = ()
    series: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Encoded:
    """An answer as bytes."""

    data: bytes
    media_type: str = "application/json"


def compute(services: Services, order: Order, bill: Tab) -> Encoded:
    """Decode, infer, encode; blocks.

    Args:
        services: what it is done with.
        order: what to do.
        bill: what it costs is put here, and what became of each algorithm.

    Raises:
        InputError: a picture is wrong, or `fields` names a column that no result has.
        TooLargeError: too many or too large pictures, or too much to draw.
        AihubError: nothing of what is wanted could be done: the first reason.
    """
    started = time.perf_counter()
    runnable = [(one.algorithm, one.params) for one in order.wanted if one.algorithm is not None]
    frames, items, made = _worked(services, order, runnable, bill)
    bill.ended([out if isinstance(out, AihubError) else None for out in made])
    given = iter(made)
    outcomes = [next(given) if one.error is None else one.error for one in order.wanted]
    failed = [
        (one, out) for one, out in zip(order.wanted, outcomes, strict=True) if isinstance(out, AihubError)
    ]
    if failed and (order.jpeg or len(failed) == len(outcomes)):
        raise _placed(*failed[0])
    for algorithm, _ in runnable:
        PICTURES.labels(algorithm.card.id).inc(len(frames) or len(items))
    if order.jpeg:
        return Encoded(_drawn(frames[0], order.wanted, outcomes, bill), "image/jpeg")
    answers = _answers(order, frames, outcomes, bill)
    took_ms = round((time.perf_counter() - started) * 1000, 2)
    body = {"answers": answers, "took_ms": took_ms} if order.many else {**answers[0], "took_ms": took_ms}
    return Encoded(json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())


Runnable = Sequence[tuple[Algorithm, Mapping[str, Any]]]


def _worked(
    services: Services, order: Order, runnable: Runnable, bill: Tab
) -> tuple[list[Frame], list[Item], list[list[AnyResult] | AihubError]]:
    """What was sent, opened, and what every algorithm made of it."""
    settings = services.settings
    if order.texts or order.series:
        texts = open_texts(order.texts, settings, bill)
        items = texts or open_series(order.series, settings, bill)
        left = _left(order)
        return [], items, read_many(runnable, items, services.predictor, bill=bill, timeout_s=left)
    frames = open_pictures(order.uploads, settings, source=order.source, bill=bill)
    if order.annotate:
        _bound_drawing(frames, len(order.wanted), settings)
    return (
        frames,
        [],
        services.infer_many(runnable, frames, services.predictor, timeout_s=_left(order)),
    )


def _left(order: Order) -> float:
    left = order.deadline - time.monotonic()
    if left <= 0:
        raise DeadlineError("the request was not begun in time", hint="send fewer at once, or add replicas")
    return left


def _answers(
    order: Order, frames: Sequence[Frame], outcomes: Sequence[list[AnyResult] | AihubError], bill: Bill
) -> list[dict[str, Any]]:
    """The JSON form of each algorithm's answer; see `aihub.serve.result_schemas.AlgorithmAnswer`."""
    answers: list[dict[str, Any]] = []
    cut: list[dict[str, Any]] = []
    for one, outcome in zip(order.wanted, outcomes, strict=True):
        version = None if one.algorithm is None else one.algorithm.card.version
        answer: dict[str, Any] = {"algorithm": one.id, "version": version}
        if isinstance(outcome, AihubError):
            answers.append(answer | {"results": [], "error": _problem(one, outcome)})
            continue
        rows = [result.to_json() for result in outcome]
        if order.fields is not None:
            rows = [columns_of(row, order.fields) for row in rows]
            cut += rows
        if order.annotate:
            for frame, row, result in zip(frames, rows, outcome, strict=True):
                row["annotated"] = base64.b64encode(_drawn(frame, [one], [[result]], bill)).decode()
        answers.append(answer | {"results": rows})
    if order.fields is not None:
        refuse_missing(cut, order.fields)
    return answers


def _problem(wanted: Wanted, error: AihubError) -> dict[str, Any]:
    body = body_of(_placed(wanted, error))
    if body["status"] == 500:
        trace = (type(error), error, error.__traceback__)
        logger.error("algorithm %s failed in a request for several", wanted.id, exc_info=trace)
    return body


def _placed(wanted: Wanted, error: AihubError) -> AihubError:
    """The error with its field as the request names it."""
    if wanted.where:
        inner = isinstance(error, ParamsError) and error.field
        error.field = f"{wanted.where}.params.{error.field}" if inner else wanted.where
    return error


def open_pictures(
    uploads: Sequence[Upload], settings: Settings, *, source: str = "", bill: Bill | None = None
) -> list[Frame]:
    """Check all pictures by their headers, then decode them.

    Args:
        uploads: the pictures.
        settings: says how many and how large they may be; pixels count together, since they are held at once.
        source: whose they are, `tenant/key`; the batcher is fair between tenants and sources.
        bill: what work on them is put on.

    Raises:
        InputError: none, or a picture is wrong (its kind says how); names the field.
        TooLargeError: too many, or too large.
    """
    if not uploads:
        raise InputError("there is no picture in the request", field="images")
    if len(uploads) > settings.max_images:
        raise TooLargeError(
            f"{len(uploads)} pictures, at most {settings.max_images} are allowed", field="images"
        )
    left = settings.max_image_pixels
    frames = []
    started = time.perf_counter()
    try:
        for upload in uploads:
            if len(upload.data) > settings.max_image_bytes:
                raise TooLargeError(f"a picture may have {settings.max_image_bytes:,} bytes at most")
            header = check_picture(upload.data, upload.content_type, max_pixels=left)
            left -= header.width * header.height
        for upload in uploads:
            frame = decode_picture(upload.data, max_pixels=settings.max_image_pixels, source=source)
            frame.bill = bill
            frames.append(frame)
    except InputError as error:
        error.field = error.field or upload.field
        raise
    if bill is not None:
        bill.add("decode", time.perf_counter() - started)
    return frames


def _bound_drawing(frames: Sequence[Frame], times: int, settings: Settings) -> None:
    if any(max(frame.width, frame.height) > LONGEST_JPEG for frame in frames):
        raise TooLargeError(
            f"a drawn picture may have {LONGEST_JPEG:,} pixels a side at most", field="annotate"
        )
    if sum(frame.width * frame.height for frame in frames) * times > settings.max_image_pixels:
        raise TooLargeError(
            f"all drawn pictures together may have {settings.max_image_pixels:,} pixels at most",
            field="annotate",
            hint="send smaller pictures, or ask for fewer at once",
        )


def _drawn(
    frame: Frame,
    wanted: Sequence[Wanted],
    outcomes: Sequence[Sequence[AnyResult] | AihubError],
    bill: Bill,
) -> bytes:
    """The frame as JPEG, of its own size, with what each algorithm found on it; nothing is blurred."""
    started = time.perf_counter()
    image: Image = frame.image
    for one, results in zip(wanted, outcomes, strict=True):
        if one.algorithm is not None and not isinstance(results, AihubError):
            zones, lines = overlays(one.algorithm.card, one.algorithm.resolve(one.params).params)
            image = draw(image, results[0], zones=zones, lines=lines)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    bill.add("annotate", time.perf_counter() - started)
    return data.tobytes()


_SENT = {InputKind.IMAGE: "single pictures", InputKind.TEXT: "text", InputKind.SERIES: "series of numbers"}
_WHERE = {
    InputKind.AUDIO: "send sound to POST /v1/audio/detections",
    InputKind.VIDEO: "submit a stream to POST /v1/streams",
    InputKind.TEXT: 'send {"texts": ["..."]}',
    InputKind.SERIES: 'send {"series": [{"values": [1, 2, 3], "step_s": 60}]}',
    InputKind.IMAGE: "send a picture, or several",
}


def takes(card: AlgorithmCard, kind: InputKind) -> None:
    """Refuse an algorithm that cannot be given this here.

    Raises:
        UnsupportedTypeError: says what it takes, and how or where to send that.
    """
    if kind not in card.input:
        kinds = ", ".join(card.input)
        raise UnsupportedTypeError(f"{card.id} takes {kinds}, not {_SENT[kind]}", hint=_WHERE[card.input[0]])


def takes_something(card: AlgorithmCard) -> None:
    """Refuse an algorithm that takes nothing of what can be sent with one request.

    Raises:
        UnsupportedTypeError: as `takes`.
    """
    if not {*_SENT} & {*card.input}:
        takes(card, InputKind.IMAGE)
