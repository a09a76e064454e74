"""From the body of a request with a recording to what it asks for; every fault names its field."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.sound_files import READS
from aihub.errors import DeadlineError, InputError, ParamsError, UnsupportedTypeError
from aihub.serve.audio.formats import FORMATS, GRANULARITIES, ResponseFormat
from aihub.serve.deadlines import timeout_of
from aihub.serve.forms import Form, read_form
from aihub.serve.payloads import params_from_text, payload_from_query
from aihub.settings import Settings

MAX_FIELDS = 40
FORM_BYTES = 256 * 1024
"""What the other parts of a form with a recording may take."""
RAW = frozenset({"", "application/octet-stream"})
"""Content types that say nothing; the first bytes tell."""
_NO_EFFECT = frozenset({"prompt", "temperature", "keywords", "chunking_strategy"})
"""What stock programs send and no model here listens to."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A form of `POST /v1/audio/transcriptions`."""

    data: bytes
    model: str
    form: ResponseFormat
    granularities: tuple[str, ...]
    stream: bool
    language: str
    params: Mapping[str, Any]

    def params_for(self, algorithm: Algorithm) -> dict[str, Any]:
        """The algorithm's parameters: `params` and, where it takes one, `language`."""
        given = dict(self.params)
        if self.language and "language" in algorithm.card.params:
            given["language"] = self.language
        return given


def time_for(request: Request, settings: Settings) -> float:
    """Seconds that a request with a recording may take; see `aihub.serve.deadlines`.

    Raises:
        InputError: the header is no number of seconds.
    """
    longest = settings.model_copy(update={"infer_timeout_s": settings.sound_timeout_s})
    return timeout_of(request, longest)


async def read_body(request: Request, timeout_s: float) -> Form | bytes:
    """A form with a part `file`, or the recording itself.

    Raises:
        InputError: the form is wrong.
        UnsupportedTypeError: another content type.
        DeadlineError: it did not come in time.
    """
    header = request.headers.get("content-type", "")
    kind = header.partition(";")[0].strip().lower()
    try:
        async with asyncio.timeout(timeout_s):
            if kind == "multipart/form-data":
                return await read_form(
                    header,
                    request.stream(),
                    max_files=1,
                    names=("file",),
                    what="recording",
                    max_fields=MAX_FIELDS,
                )
            if kind in RAW or kind.startswith(("audio/", "video/")):
                return await request.body()
    except TimeoutError as error:
        raise DeadlineError(f"the body did not arrive within {timeout_s:g} s") from error
    raise UnsupportedTypeError(
        f"content type {kind!r} is not read here",
        field="Content-Type",
        hint=f"a form with a part `file`, or {READS} as it is",
    )


def _file(form: Form) -> bytes:
    if not form.pictures or not form.pictures[0].data:
        raise InputError(
            "there is no recording in the form", field="file", hint="send it as a part named `file`"
        )
    return form.pictures[0].data


def transcription(body: Form | bytes) -> Asked:
    """What a form asks for.

    Raises:
        InputError: no form, no recording, or a field is wrong, unknown, or asks for what no model here does.
    """
    if isinstance(body, bytes):
        raise InputError("this needs a form with the parts `file` and `model`", field="Content-Type")
    texts: dict[str, list[str]] = {}
    for name, text in body.texts:
        base = name.partition("[")[0]
        if base not in _NO_EFFECT:
            texts.setdefault(base, []).append(text)
    fields = _Fields(texts)
    asked = Asked(
        data=_file(body),
        model=fields.one("model", needed=True),
        form=_format(fields.one("response_format") or "json"),
        granularities=_granularities(fields.many("timestamp_granularities")),
        stream=_switch(fields.one("stream")),
        language=fields.one("language"),
        params=params_from_text(fields.one("params") or "{}"),
    )
    if fields.many("include"):
        raise InputError("no model here gives log probabilities", field="include")
    fields.nothing_left()
    if asked.stream and asked.form not in ("json", "text"):
        raise InputError(f"{asked.form} cannot be streamed", field="response_format", hint="json can")
    if "word" in asked.granularities and asked.form != "verbose_json":
        raise InputError(
            "timestamp_granularities needs response_format=verbose_json", field="timestamp_granularities"
        )
    return asked


class _Fields:
    """Texts of a form, taken out one after the other."""

    def __init__(self, texts: dict[str, list[str]]) -> None:
        self._texts = texts

    def many(self, name: str) -> list[str]:
        return self._texts.pop(name, [])

    def one(self, name: str, *, needed: bool = False) -> str:
        texts = self.many(name)
        if len(texts) > 1:
            raise InputError(f"{name} was sent {len(texts)} times", field=name)
        if needed and not (texts and texts[0]):
            raise InputError(f"{name} is missing", field=name, hint="GET /v1/models lists what there is")
        return texts[0] if texts else ""

    def nothing_left(self) -> None:
        if self._texts:
            name = min(self._texts)
            raise InputError(f"unknown form field {name!r}", field=name)


def _switch(text: str) -> bool:
    if text.lower() not in ("", "true", "false"):
        raise InputError("stream must be true or false", field="stream")
    return text.lower() == "true"


def _format(text: str) -> ResponseFormat:
    for form in FORMATS:
        if text == form:
            return form
    if text == "diarized_json":
        raise InputError("no model here tells speakers apart", field="response_format")
    raise InputError(
        f"response_format {text!r} is not known", field="response_format", hint=f"known: {', '.join(FORMATS)}"
    )


def _granularities(texts: Sequence[str]) -> tuple[str, ...]:
    for text in texts:
        if text not in GRANULARITIES:
            raise InputError(
                f"timestamp_granularities {text!r} is not known",
                field="timestamp_granularities",
                hint="word and segment are",
            )
    return tuple(texts) or ("segment",)


@dataclass(frozen=True, slots=True)
class Detection:
    """What `POST /v1/audio/detections` asks for: a recording, which algorithm, and its parameters as sent."""

    data: bytes
    model: str
    params: Mapping[str, Any]
    query: Sequence[tuple[str, str]]

    def params_for(self, algorithm: Algorithm) -> dict[str, Any]:
        """All parameters; those of the form count more than those of the query.

        Raises:
            InputError: the query has what is for pictures.
        """
        asked = payload_from_query(self.query, algorithm.card)
        if asked.pictures or asked.annotate is not None or asked.fields is not None:
            raise InputError("`url`, `annotate` and `fields` are for pictures", field="query")
        return {**asked.params, **self.params}


def detection(body: Form | bytes, query: Sequence[tuple[str, str]]) -> Detection:
    """What a form, or a recording and the query, ask for.

    Raises:
        InputError: no recording, or a field is wrong or unknown.
        ParamsError: `params` is no JSON object.
    """
    rest = [(name, text) for name, text in query if name != "model"]
    named = [text for name, text in query if name == "model"]
    params: dict[str, Any] = {}
    if isinstance(body, bytes):
        data = body
        if not data:
            raise InputError("there is no recording in the body", field="body")
    else:
        data = _file(body)
        for name, text in body.texts:
            if name == "model":
                named.append(text)
            elif name == "params":
                params = params_from_text(text)
            else:
                raise InputError(
                    f"unknown form field {name!r}", field=name, hint="fields are file, model and params"
                )
    if len(named) != 1 or not named[0]:
        raise ParamsError(
            "model names one algorithm that listens", field="model", hint="GET /v1/models lists what there is"
        )
    return Detection(data, named[0], params, rest)
