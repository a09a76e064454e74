"""How pictures and what is asked about them travel: one as it is, several as a form, addresses as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from aihub.client.calls import Body
from aihub.client.inputs import BINARY, Picture, file_of
from aihub.errors import InputError

LONGEST_QUERY = 4096
"""Characters that are put into an address; ingresses refuse long ones, so more goes into a form."""


class Sent(TypedDict):
    """The parts of a call that carry pictures."""

    query: dict[str, str]
    headers: dict[str, str]
    json: Any
    body: Body | None


def sent(
    images: Picture | Sequence[Picture],
    asked: Mapping[str, Any],
    accept: str = "application/json",
) -> Sent:
    """What carries pictures and what is asked about them.

    Args:
        images: files, their contents, arrays, or addresses that the hub fetches.
        asked: fields beside the pictures, as JSON takes them; those that are None are left out.
        accept: the form of the answer.

    Raises:
        InputError: there are no pictures.
    """
    listed = _listed(images)
    if not listed:
        raise InputError("there is no picture to look at", field="images")
    fields = {name: value for name, value in asked.items() if value is not None}
    headers = {"Accept": accept}
    if any(is_address(image) for image in listed):
        if all(is_address(image) for image in listed):
            return Sent(query={}, headers=headers, json=_as_json(listed, fields), body=None)
        headers["Content-Type"] = "application/json"
        return Sent(
            query={},
            headers=headers,
            json=None,
            body=lambda: {"content": json.dumps(_as_json(listed, fields))},
        )
    texts = {name: _text(value) for name, value in fields.items()}
    if len(listed) == 1 and sum(map(len, texts.values())) <= LONGEST_QUERY:
        headers["Content-Type"] = BINARY
        return Sent(query=texts, headers=headers, json=None, body=lambda: {"content": file_of(listed[0])})
    return Sent(
        query={},
        headers=headers,
        json=None,
        body=lambda: {
            "files": [("image", (str(i), file_of(image), BINARY)) for i, image in enumerate(listed)],
            "data": texts,
        },
    )


def _listed(images: Picture | Sequence[Picture]) -> list[Picture]:
    if isinstance(images, Sequence) and not isinstance(images, bytes | str):
        return [*images]
    return [images]


def is_address(image: object) -> bool:
    """Whether a picture is named by its address on the network."""
    return isinstance(image, str) and image.startswith(("http://", "https://"))


def _as_json(images: Sequence[Picture], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"images": [_in_json(image) for image in images], **fields}


def _in_json(image: Picture) -> Any:
    if isinstance(image, str | Path) and is_address(image):
        return {"url": image}
    return base64.b64encode(file_of(image)).decode()


def _text(value: Any) -> str:
    """A field as the query and a form take it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)
