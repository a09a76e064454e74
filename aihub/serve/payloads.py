"""What an inference request asks for, however it was sent (JSON, form, query, bare bytes): read here, checked later against cards."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aihub.errors import InputError, ParamsError, TooLargeError
from aihub.serve.columns import known_fields
from aihub.serve.items import listed_series, listed_texts
from aihub.types import AlgorithmCard, InputKind

MAX_ALGORITHMS = 64
"""Algorithms in one request."""
MAX_ID = 64
MAX_ADDRESS = 4096

_OPTIONS = {"images", "texts", "series", "annotate", "fields"}
_SWITCH = {"true": True, "1": True, "false": False, "0": False}


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
class Remote:
    """A picture that the hub is to fetch.

    Attributes:
        url: where it is.
        field: where in the request that was.
    """

    url: str
    field: str = "url"


@dataclass(frozen=True, slots=True)
class Choice:
    """One algorithm that is asked for, by the id that the caller used."""

    id: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Payload:
    """What a request asks for, not yet checked.

    Attributes:
        pictures: in the order they were sent.
        params: of the one algorithm that the path names.
        algorithms: what to run, where the path names none.
        annotate: whether to draw the results; None when nothing was said.
        fields: columns that the results are cut down to; None for whole results.
        texts: in the order they were sent, for algorithms that read.
        series: as they were sent, for algorithms that study numbers.
    """

    pictures: Sequence[Upload | Remote] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    algorithms: Sequence[Choice] = ()
    annotate: bool | None = None
    fields: tuple[str, ...] | None = None
    texts: Sequence[str] = ()
    series: Sequence[Mapping[str, Any]] = ()

    @property
    def kind(self) -> InputKind:
        """What it holds: pictures where it holds nothing."""
        return InputKind.TEXT if self.texts else InputKind.SERIES if self.series else InputKind.IMAGE

    @property
    def items(self) -> int:
        """How many pictures, texts or series."""
        return len(self.pictures) or len(self.texts) or len(self.series)

    def over(self, query: Payload) -> Payload:
        """This body together with what the query says; for parameters and options the body wins.

        Raises:
            InputError: pictures or algorithms in both.
        """
        if query is NOTHING:
            return self
        if self.pictures and query.pictures:
            raise InputError("send pictures or `url`, not both", field="url")
        if query.pictures and (self.texts or self.series):
            raise InputError("send texts, series or `url`, not both", field="url")
        if self.algorithms and query.algorithms:
            raise InputError(
                "name the algorithms in the body or in the query, not in both", field="algorithms"
            )
        return Payload(
            self.pictures or query.pictures,
            {**query.params, **self.params},
            self.algorithms or query.algorithms,
            query.annotate if self.annotate is None else self.annotate,
            query.fields if self.fields is None else self.fields,
            self.texts,
            self.series,
        )


NOTHING = Payload()


def payload_from_json(body: bytes, *, many: bool = False) -> Payload:
    """Read `{"images": [...], "params": {...}, "annotate": true, "fields": [...]}`; `texts` or `series` may stand for `images`.

    Each picture is base64, a `data:` URL, or `{"url": "https://..."}`. With `many`, `algorithms` stands in place of `params`.

    Raises:
        InputError: not of that form; names the field.
    """
    try:
        asked = read_json(body)
    except ValueError as error:
        raise InputError("the body is not JSON", field="body") from error
    kind = "algorithms" if many else "params"
    if not isinstance(asked, dict):
        raise InputError(f'the body must be an object: {{"images": [...], "{kind}": ...}}', field="body")
    unknown = sorted(asked.keys() - _OPTIONS - {kind})
    if unknown:
        raise InputError(
            f"unknown field {unknown[0][:MAX_ID]!r}",
            field=unknown[0][:MAX_ID] or "body",
            hint=f"fields are {', '.join(sorted({*_OPTIONS, kind}))}",
        )
    images = asked.get("images", [])
    if not isinstance(images, list):
        raise InputError('images must be a list of base64 texts or {"url": ...}', field="images")
    texts = listed_texts(asked.get("texts", []))
    series = listed_series(asked.get("series", []))
    given = [name for name, held in (("images", images), ("texts", texts), ("series", series)) if held]
    if len(given) > 1:
        raise InputError(f"send {' or '.join(given)}, not both", field=given[1])
    annotate = asked.get("annotate")
    if not isinstance(annotate, bool | None):
        raise InputError("annotate must be true or false", field="annotate")
    return Payload(
        [_picture(image, f"images[{index}]") for index, image in enumerate(images)],
        {} if many else params_object(asked.get("params", {})),
        choices(asked["algorithms"]) if many and "algorithms" in asked else (),
        annotate,
        None if asked.get("fields") is None else known_fields(_names(asked["fields"], "fields")),
        texts,
        series,
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


def _picture(given: object, name: str) -> Upload | Remote:
    if isinstance(given, dict):
        if set(given) != {"url"}:
            raise InputError('a picture at an address must be {"url": "https://..."}', field=name)
        return remote(given["url"], f"{name}.url")
    if not isinstance(given, str):
        raise InputError('a picture must be base64 text or {"url": "https://..."}', field=name)
    content_type = ""
    text = given
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        content_type = head.removeprefix("data:").partition(";")[0].lower()
    try:
        return Upload(base64.b64decode(text, validate=True), content_type, name)
    except (binascii.Error, ValueError) as error:
        hint = 'send {"url": ...} for a picture at an address' if text.startswith("http") else None
        raise InputError(f"{name} is not base64", field=name, hint=hint) from error


def remote(url: object, name: str = "url") -> Remote:
    """A picture at an address.

    Raises:
        InputError: not a text, or too long.
    """
    if not isinstance(url, str):
        raise InputError("an address must be text", field=name)
    if len(url) > MAX_ADDRESS:
        raise InputError(f"an address may have {MAX_ADDRESS} characters at most", field=name)
    return Remote(url, name)


def choices(given: object, where: str = "algorithms") -> tuple[Choice, ...]:
    """The algorithms of a request: a list of ids, or of `{"id": ..., "params": {...}}`.

    Raises:
        InputError: not of that form; names the item.
        TooLargeError: more than `MAX_ALGORITHMS`.
    """
    if not isinstance(given, list) or not given:
        raise InputError('algorithms must be a list of ids or of {"id": ..., "params": {...}}', field=where)
    if len(given) > MAX_ALGORITHMS:
        raise TooLargeError(f"{len(given)} algorithms, at most {MAX_ALGORITHMS} are allowed", field=where)
    return tuple(_choice(one, f"{where}[{index}]") for index, one in enumerate(given))


def _choice(given: object, where: str) -> Choice:
    if isinstance(given, str):
        return Choice(_id(given, where))
    if not isinstance(given, dict):
        raise InputError('an algorithm must be an id or {"id": ..., "params": {...}}', field=where)
    unknown = sorted(given.keys() - {"id", "params"})
    if unknown:
        name = unknown[0][:MAX_ID]
        raise InputError(f"unknown field {name!r}", field=f"{where}.{name}", hint="fields are id, params")
    try:
        return Choice(_id(given.get("id"), f"{where}.id"), params_object(given.get("params", {})))
    except ParamsError as error:
        error.field = f"{where}.params"
        raise


def _id(given: object, where: str) -> str:
    if not isinstance(given, str) or not 1 <= len(given) <= MAX_ID:
        raise InputError(f"an id is a text of 1 to {MAX_ID} characters", field=where)
    return given


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
    if any(
        len(name) > MAX_ID for name in given
    ):  # it would be compared with those there are, and repeated in the answer
        raise ParamsError(f"the name of a parameter has {MAX_ID} characters at most", field="params")
    try:
        "".join(given).encode()
    except UnicodeEncodeError as error:  # half of a character, as JSON can escape it
        raise ParamsError("a name in params is not text", field="params") from error
    return given


def payload_from_query(items: Iterable[tuple[str, str]], card: AlgorithmCard | None) -> Payload:
    """What the query says: `url`, `annotate`, `fields`, and `params` or `algorithms`.

    With a card, other names are its parameters, `confidence=0.4&labels=car&labels=bus`. Their texts are turned into the type
    that the card gives; what cannot be turned stays text, so that the algorithm's own check names the field.

    Raises:
        InputError: a value is wrong, or a name is unknown where no card takes it.
        ParamsError: `params` is not a JSON object.
    """
    lists: dict[str, list[str]] = {}
    for name, text in items:
        lists.setdefault(name, []).append(text)
    urls, switch = lists.pop("url", ()), lists.pop("annotate", ())
    fields, algorithms = lists.pop("fields", ()), () if card else lists.pop("algorithms", ())
    params: dict[str, Any] = {}
    if card is not None:
        for text in lists.pop("params", ()):
            params |= params_from_text(text)
        params |= params_object({name: _typed(card, name, texts) for name, texts in lists.items()})
    elif lists:
        name = next(iter(lists))[:MAX_ID]
        raise InputError(
            f"unknown name {name!r} in the query",
            field=name or "query",
            hint="names are algorithms, annotate, fields, url",
        )
    return Payload(
        [remote(url, f"url[{index}]" if len(urls) > 1 else "url") for index, url in enumerate(urls)],
        params,
        choices_from_texts(algorithms) if algorithms else (),
        switch_from_text(switch[-1]) if switch else None,
        known_fields(_split(fields)) if fields else None,
    )


def payload_from_form(
    pictures: Sequence[Upload], texts: Sequence[tuple[str, str]], *, many: bool = False
) -> Payload:
    """What a form says: pictures, and the text fields `params` (or `algorithms`), `annotate`, `fields`.

    Raises:
        InputError: a field is wrong or unknown; names it.
        ParamsError: `params` is not a JSON object.
    """
    kind = "algorithms" if many else "params"
    params: dict[str, Any] = {}
    algorithms: list[str] = []
    annotate, fields = None, None
    for name, text in texts:
        if name == "params" and not many:
            params = params_from_text(text)
        elif name == "algorithms" and many:
            algorithms.append(text)
        elif name == "annotate":
            annotate = switch_from_text(text)
        elif name == "fields":
            fields = known_fields(_split([text]))
        else:
            raise InputError(
                f"unknown form field {name[:MAX_ID]!r}",
                field=name[:MAX_ID] or "body",
                hint=f"fields are image, {kind}, annotate, fields",
            )
    return Payload(pictures, params, choices_from_texts(algorithms) if algorithms else (), annotate, fields)


def choices_from_texts(texts: Sequence[str]) -> tuple[Choice, ...]:
    """Algorithms from the query or a form: `a,b`, repeated, or a JSON list as in a body.

    Raises:
        InputError: as `choices`.
    """
    if len(texts) == 1 and texts[0].lstrip().startswith("["):
        try:
            listed = read_json(texts[0])
        except ValueError as error:
            raise InputError("algorithms is not JSON", field="algorithms") from error
        return choices(listed)
    return choices(_split(texts))


def switch_from_text(text: str) -> bool:
    """`true` or `false`.

    Raises:
        InputError: neither.
    """
    value = _SWITCH.get(text.lower())
    if value is None:
        raise InputError("annotate must be true or false", field="annotate")
    return value


def _split(texts: Iterable[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _names(given: object, where: str) -> list[str]:
    if isinstance(given, str):
        return _split([given])
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        return given
    raise InputError(f"{where} must be a list of names", field=where)


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
