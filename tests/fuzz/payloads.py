"""What a request of the friendly API asks for. Input: a byte that chooses JSON, query or form, then its text."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qsl

from aihub.algorithms.algorithm import Algorithm
from aihub.serve.payloads import (
    MAX_ADDRESS,
    MAX_ALGORITHMS,
    MAX_ID,
    NOTHING,
    Payload,
    Upload,
    payload_from_form,
    payload_from_json,
    payload_from_query,
)
from aihub.testing import FakePredictor
from aihub.types import AlgorithmCard
from tests.fuzz.law import read_or_refused

LONGEST = 2048
WORDS = (
    b'"images":[', b'"data:image/png;base64,', b'{"url":"https://a/b.jpg"}', b'"params":{', b'"algorithms":["a",{"id":"b","params":{}}]',
    b'"annotate":true', b'"fields":["boxes"]', b"\\ud800", b"1e999", b"NaN", b"confidence=0.4", b"labels=a,b", b"params=%7B%7D", b"url=http://a",
    b'"zone":[[0,0],[1,0],[1,1]]', b"annotate=1", b"fields=boxes", b"-0.0", b"[[[[[[[[",
)  # fmt: skip

CARD = AlgorithmCard.model_validate(
    {
        "id": "thing",
        "title": {"en": "Thing", "zh": "物体"},
        "summary": "s",
        "domain": "d",
        "input": ["image"],
        "params": {
            "confidence": {"type": "number", "default": 0.3, "minimum": 0, "maximum": 1, "description": "d"},
            "count": {"type": "integer", "default": 1, "minimum": 1, "description": "d"},
            "sharp": {"type": "boolean", "default": False, "description": "d"},
            "kind": {"type": "string", "default": "a", "choices": ["a", "b"], "description": "d"},
            "labels": {"type": "strings", "default": [], "description": "d"},
            "zone": {"type": "polygon", "default": [[0, 0], [1, 0], [1, 1]], "description": "d"},
            "edge": {"type": "line", "default": [[0, 0], [1, 0]], "description": "d"},
        },
        "stages": [{"detect": {"model": "coco"}}],
        "examples": [{"media": "drawn:thing", "expect": {}, "evidence": "synthetic"}],
        "intended_use": "u",
        "limits": "l",
    }
)
ALGORITHM = Algorithm(CARD, FakePredictor())


def check(data: bytes) -> bool:
    """Pictures no larger than what was sent, names and numbers within bounds, parameters as declared; or a refusal that names the field."""
    payload = read_or_refused(lambda: _read(data).over(NOTHING), named=True)
    if payload is None:
        return False
    assert len(payload.algorithms) <= MAX_ALGORITHMS
    assert all(1 <= len(choice.id) <= MAX_ID for choice in payload.algorithms)
    for picture in payload.pictures:
        held = len(picture.data) if isinstance(picture, Upload) else len(picture.url)
        assert held <= (len(data) if isinstance(picture, Upload) else MAX_ADDRESS)
    for params in (payload.params, *(choice.params for choice in payload.algorithms)):
        settled = read_or_refused(lambda params=params: ALGORITHM.resolve(params), named=True)  # type: ignore[misc]
        if settled is not None:
            assert 0 <= settled.params["confidence"] <= 1
            assert settled.params["count"] >= 1
            assert settled.params["kind"] in ("a", "b")
            json.dumps(dict(settled.params), allow_nan=False)
    return True


def _read(data: bytes) -> Payload:
    how, rest = (data[0] % 6 if data else 0), data[1:]
    match how:
        case 0 | 1:
            return payload_from_json(rest, many=how == 1)
        case 2 | 3:
            return payload_from_query(_pairs(rest), CARD if how == 2 else None)
        case _:
            return payload_from_form([Upload(b"x")], _pairs(rest), many=how == 5)


def _pairs(text: bytes) -> list[tuple[str, str]]:
    return parse_qsl(text.decode("utf-8", "replace"), keep_blank_values=True)


def seeds() -> list[bytes]:
    """Each way of asking, with everything in it."""
    picture = base64.b64encode(b"\x89PNG").decode()
    zone = [[0, 0], [1, 0], [1, 1]]
    params = {"confidence": 0.5, "count": 2, "sharp": True, "kind": "b", "labels": ["x"], "zone": zone}
    body = {
        "images": [picture, f"data:image/png;base64,{picture}", {"url": "https://a/b.jpg"}],
        "annotate": True,
        "fields": ["boxes"],
    }
    one, many = {**body, "params": params}, {**body, "algorithms": ["a", {"id": "b", "params": params}]}
    return [
        b"\0" + json.dumps(one).encode(),
        b"\1" + json.dumps(many).encode(),
        b"\2url=https://a/b.jpg&confidence=0.4&labels=a,b&labels=c&zone=[[0,0],[1,0],[1,1]]&sharp=True&annotate=1&fields=boxes,labels",
        b"\3url=https://a/b.jpg&algorithms=a,b&fields=boxes",
        b"\4params=%7B%22count%22:3%7D&annotate=false&fields=scores",
        b'\5algorithms=["a"]&annotate=true',
        b"\5algorithms=a&algorithms=b,c",
    ]
