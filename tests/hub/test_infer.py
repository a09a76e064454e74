"""Pictures through a running hub: several algorithms at once, drawn results, and a deadline that the hub keeps itself."""

from __future__ import annotations

import base64
import json
import socket
from http.client import HTTPResponse

import cv2
import numpy as np
import pytest

from aihub.serve.deadlines import HEADER
from tests.hub.conftest import Hub

pytestmark = pytest.mark.hub

WANTED = [
    "black-screen",
    "blurred-picture",
    {"id": "black-screen", "params": {"nothing": 1}},
    "no-such-thing",
]


def dark() -> bytes:
    """A picture that is nearly black."""
    done, data = cv2.imencode(".png", np.full((120, 160, 3), 3, np.uint8))
    assert done
    return data.tobytes()


def test_several_algorithms_in_one_call(hub: Hub) -> None:
    images = [base64.b64encode(dark()).decode()]
    answer = hub.call("POST", "/v1/infer", json={"images": images, "algorithms": WANTED, "annotate": True})
    assert answer.status_code == 200, answer.text
    black, _, wrong, unknown = answer.json()["answers"]
    assert black["results"][0]["task"] in ("picture-quality", "rule")
    assert base64.b64decode(black["results"][0]["annotated"]).startswith(b"\xff\xd8\xff")
    assert wrong["error"]["field"] == "algorithms[2].params.nothing"
    assert unknown["error"]["field"] == "algorithms[3]"


def test_large_bodies_and_addresses(hub: Hub) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (800, 800, 3), np.uint8)
    done, data = cv2.imencode(".png", noise)
    assert done
    images = [base64.b64encode(data.tobytes()).decode()]
    answer = hub.call("POST", "/v1/infer", json={"images": images, "algorithms": ["black-screen"]})
    assert answer.status_code == 200, answer.text
    refused = hub.call("POST", "/v1/algorithms/black-screen/infer", params={"url": "http://127.0.0.1/a.jpg"})
    assert refused.status_code == 400
    assert (refused.json()["code"], refused.json()["field"]) == ("address", "url")


def test_the_deadline_is_answered_by_the_hub_itself(hub: Hub) -> None:
    """Serve reads the same header and would answer 408 in plain text, a moment later."""
    key = (hub.home / "admin.key").read_text().strip()
    head = (
        "POST /v1/algorithms/black-screen/infer HTTP/1.1", "Host: x", f"X-API-Key: {key}", "Content-Length: 1000",
        "Content-Type: image/png", f"{HEADER}: 2",
    )  # fmt: skip
    with socket.create_connection(("127.0.0.1", hub.port), timeout=20) as connection:
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + dark()[:100])
        answer = HTTPResponse(connection)
        answer.begin()
        said = answer.read()
    assert answer.status == 504, said
    assert json.loads(said)["code"] == "deadline"
