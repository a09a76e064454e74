"""From an HTTP request to a `Payload`, and on to an `Order`: everything on the event loop, so nothing here may take long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.registry import Registry
from aihub.errors import (
    AihubError,
    AlgorithmNotFoundError,
    DeadlineError,
    InputError,
    TooLargeError,
    UnsupportedTypeError,
)
from aihub.serve.forms import read_form
from aihub.serve.grants import granted, granted_list, require_scopes
from aihub.serve.inference import Order, Wanted, takes
from aihub.serve.payloads import (
    Payload,
    Remote,
    Upload,
    payload_from_form,
    payload_from_json,
)
from aihub.serve.pictures import CONTENT_TYPES, READS, UNDECLARED
from aihub.serve.security import Caller
from aihub.serve.services import Services
from aihub.settings import Settings
from aihub.types import AlgorithmCard, InputKind

SMALL_JSON = 64 * 1024
"""JSON up to this many bytes is read on the event loop, in about a millisecond at worst; more in a worker thread."""
SUGGESTIONS = 4
"""Unknown algorithms of one request that are compared with those there are; that takes time."""


async def read_payload(
    request: Request,
    query: Payload,
    settings: Settings,
    *,
    many: bool,
    timeout_s: float,
    card: AlgorithmCard | None = None,
) -> Payload | bytes:
    """What the request asks for, or its body where that is JSON too large to be read here.

    Args:
        request: its body is read.
        query: what its query says.
        settings: says how many pictures there may be.
        many: whether the request names its algorithms itself.
        timeout_s: longest wait for the body, seconds.
        card: of the algorithm that the path names: text for one that takes none is refused unread.

    Raises:
        InputError: the body is wrong; names the field.
        UnsupportedTypeError: a content type that is not read here.
        DeadlineError: the body did not come in time.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if query.pictures and request.headers.get("content-length", "0") == "0" and not _chunked(request):
        return query
    try:
        async with asyncio.timeout(timeout_s):
            if content_type == "multipart/form-data":
                form = await read_form(
                    request.headers["content-type"], request.stream(), max_files=settings.max_images
                )
                return payload_from_form(form.pictures, form.texts, many=many).over(query)
            if content_type == "application/json":
                body = await request.body()
                return body if len(body) > SMALL_JSON else payload_from_json(body, many=many).over(query)
            if content_type == "text/plain":
                if card is not None:
                    _reads(card)
                return Payload(texts=(_plain_text(await request.body()),)).over(query)
            if content_type in CONTENT_TYPES or content_type in UNDECLARED:
                picture = Upload(await request.body(), content_type)
                return Payload((picture,)).over(query)
    except TimeoutError as error:
        raise DeadlineError(f"the body did not arrive within {timeout_s:g} s") from error
    raise UnsupportedTypeError(
        f"content type {content_type!r} is not read here",
        field="Content-Type",
        hint=f"{READS} with its own content type, a form with `image` parts, text/plain, or JSON",
    )


def _reads(card: AlgorithmCard) -> None:
    try:
        takes(card, InputKind.TEXT)
    except UnsupportedTypeError as error:
        error.field = "Content-Type"
        raise


def _plain_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InputError("the text is not UTF-8", field="body") from error


def _chunked(request: Request) -> bool:
    return "transfer-encoding" in request.headers


def wants_jpeg(accept: str) -> bool:
    """Whether a caller would rather have a JPEG than JSON.

    >>> wants_jpeg("image/jpeg"), wants_jpeg("*/*"), wants_jpeg("application/json, image/jpeg;q=0.5")
    (True, False, False)
    """
    jpeg = json = 0.0
    for entry in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in entry.split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        weight = float(quality) if quality.replace(".", "", 1).isdecimal() and len(quality) < 8 else 0.0
        if kind in ("image/jpeg", "image/*"):
            jpeg = max(jpeg, weight)
        elif kind in ("application/json", "application/*", "*/*"):
            json = max(json, weight)
    # Browsers send `image/*` and `*/*` with less weight; who names both alike has no wish, and JSON says more.
    return jpeg > json


def order_of(
    payload: Payload,
    services: Services,
    caller: Caller,
    algorithm: Algorithm | None,
    *,
    accept: str,
    deadline: float,
) -> Order:
    """Find what is to be run, and settle the form of the answer. Pictures that are to be fetched are not among its uploads.

    Args:
        payload: what the request asks for.
        services: what there is.
        caller: who asks.
        algorithm: what the path names; None where the payload names them.
        accept: header of the request.
        deadline: `time.monotonic()` by which it has to be done.

    Raises:
        InputError: no algorithm, no picture, or a form of answer that cannot be given.
        TooLargeError: too many pictures.
        AihubError: nothing of what is asked for can be run: the first reason.
    """
    kind = payload.kind
    if algorithm is not None:
        takes(algorithm.card, kind)
    if not payload.items:
        raise InputError("there is no picture in the request", field="images")
    most = services.settings.max_images
    if len(payload.pictures) > most:
        raise TooLargeError(f"{len(payload.pictures)} pictures, at most {most} are allowed", field="images")
    annotate = bool(payload.annotate)
    if annotate and kind is not InputKind.IMAGE:
        raise InputError("only results of pictures can be drawn", field="annotate")
    jpeg = annotate and wants_jpeg(accept)
    if jpeg and len(payload.pictures) != 1:
        raise InputError(
            "a JPEG can answer for one picture only", field="images", hint="accept application/json"
        )
    if algorithm is None:
        wanted = _wanted(payload, services.registry, caller)
    else:
        wanted = [Wanted(algorithm.card.id, payload.params, algorithm)]
    return Order(
        wanted,
        [picture for picture in payload.pictures if isinstance(picture, Upload)],
        many=algorithm is None,
        annotate=annotate,
        jpeg=jpeg,
        fields=payload.fields,
        source=f"{caller.tenant}/{caller.key_id}",
        deadline=deadline,
        texts=payload.texts,
        series=payload.series,
    )


def _wanted(payload: Payload, registry: Registry, caller: Caller) -> list[Wanted]:
    if not payload.algorithms:
        raise InputError(
            "there is no algorithm in the request", field="algorithms", hint="list at least one id"
        )
    known = {algorithm.card.id: algorithm for algorithm in granted_list(registry, caller)}
    wanted: list[Wanted] = []
    unknown = 0
    for index, choice in enumerate(payload.algorithms):
        where = f"algorithms[{index}]"
        algorithm = known.get(choice.id)
        try:
            if algorithm is None:
                unknown += 1
                if unknown > SUGGESTIONS:
                    raise AlgorithmNotFoundError(choice.id)
                algorithm = granted(registry, caller, choice.id)
            require_scopes(caller, algorithm)
            takes(algorithm.card, payload.kind)
        except AihubError as error:
            error.field = where
            wanted.append(Wanted(choice.id, choice.params, error=error, where=where))
        else:
            wanted.append(Wanted(choice.id, choice.params, algorithm, where=where))
    errors = [one.error for one in wanted if one.error is not None]
    if len(errors) == len(wanted):
        raise errors[0]
    return wanted


def remote_pictures(payload: Payload) -> Sequence[Remote]:
    """The pictures of a request that have to be fetched."""
    return [picture for picture in payload.pictures if isinstance(picture, Remote)]


async def client_gone(request: Request) -> None:
    """Returns when the client has gone away. To be called after the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
