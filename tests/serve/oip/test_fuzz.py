"""Whatever is sent to `/v2`, every answer is a result or an error that says what is wrong."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serve.hub import encoded
from tests.serve.test_fuzz import places, texts, values

PICTURE = base64.b64encode(encoded("png", 8, 8)).decode()
BODIES: list[tuple[str, Any]] = [
    (
        "/v2/models/double/infer",
        {
            "id": "q",
            "parameters": {"timeout": 20_000_000, "binary_data_output": False},
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [[1, 2, 3]]}],
            "outputs": [{"name": "y", "parameters": {"binary_data": False, "classification": 1}}],
        },
    ),
    (
        "/v2/models/text/infer",
        {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}]},
    ),
    (
        "/v2/models/thing-detection/infer",
        {
            "parameters": {"confidence": 0.5, "zone": "[[0, 0], [1, 0], [1, 1]]"},
            "inputs": [
                {
                    "name": "image",
                    "datatype": "BYTES",
                    "shape": [1],
                    "data": [PICTURE],
                    "parameters": {"content_type": "base64"},
                }
            ],
            "outputs": [{"name": "boxes"}],
        },
    ),
    ("/v2/repository/index", {"ready": True}),
]
wild = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, bytes]:
    path, body = draw(st.sampled_from(BODIES))
    whole = [copy.deepcopy(body)]
    way = (0, *draw(st.sampled_from(places(body))))
    node: Any = whole
    for key in way[:-1]:
        node = node[key]
    how = draw(st.sampled_from(["replace", "remove", "join"]))
    if how == "join" and isinstance(node[way[-1]], dict):
        node[way[-1]][draw(texts)] = draw(values)
    elif how == "remove" and len(way) > 1:
        del node[way[-1]]
    else:
        node[way[-1]] = draw(values)
    return path, json.dumps(whole[0]).encode()


def sound(client: TestClient, path: str, content: bytes, headers: dict[str, str]) -> None:
    response = client.post(path, content=content, headers=headers)
    # 504: the time that a request gave itself may be over.
    assert response.status_code < 500 or response.status_code == 504, (content, headers, response.text)
    if response.status_code != 200:
        assert response.json()["error"]


@wild
@given(broken())
def test_a_wrong_part_never_breaks_the_hub(client: TestClient, asked: tuple[str, bytes]) -> None:
    sound(client, *asked, {})


@wild
@given(
    st.sampled_from([path for path, _ in BODIES]),
    st.binary(max_size=200),
    st.fixed_dictionaries(
        {},
        optional={
            "Inference-Header-Content-Length": st.integers(-1, 200).map(str) | st.text("0x1-", max_size=4),
            "Content-Encoding": st.sampled_from(["gzip", "deflate", "identity", "br", ""]),
            "Accept-Encoding": st.sampled_from(["gzip", "deflate", "x"]),
        },
    ),
)
def test_any_bytes_with_any_headers(
    client: TestClient, path: str, content: bytes, headers: dict[str, str]
) -> None:
    sound(client, path, content, headers)
