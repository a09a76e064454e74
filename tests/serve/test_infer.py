"""`POST /v1/algorithms/{id}/infer`: every way to send a picture, and every way to send it wrong."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from aihub.errors import (
    AihubError,
    DeadlineError,
    LicenseError,
    MemoryBudgetError,
    QueueFullError,
    SessionError,
    StorageError,
    WeightsMissingError,
)
from aihub.serve.app import create_app
from aihub.serve.result_schemas import InferAnswer
from aihub.storage.repository import Repository
from aihub.types import Frame
from tests.serve.hub import TestHub, bearer, encoded, failing
from tests.serve.test_pictures import jpeg_header, png_header

INFER = "/v1/algorithms/thing-detection/infer"
JPEG = {"Content-Type": "image/jpeg"}
KINDS = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "bmp": "image/bmp"}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The body of an error, after its form has been checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"] == f"/docs/errors#{code}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"]
    return body


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_raw_picture(client: TestClient, kind: str) -> None:
    response = client.post(INFER, content=encoded(kind), headers={"Content-Type": KINDS[kind]})
    answer = InferAnswer.model_validate(response.json())
    assert response.headers["content-type"] == "application/json"
    assert (answer.algorithm, answer.version) == ("thing-detection", 1)
    assert answer.took_ms >= 0
    assert response.json()["results"] == [
        {
            "task": "object-detection",
            "detections": [{"box": [0.0, 0.0, 32.0, 24.0], "label": "thing", "confidence": 0.75}],
        }
    ]


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "image/jpeg; charset=binary", "IMAGE/JPEG", ""]
)
def test_the_bytes_decide_when_the_type_says_little(client: TestClient, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert client.post(INFER, content=encoded(), headers=headers).status_code == 200


def test_one_pixel_is_a_picture(client: TestClient) -> None:
    assert client.post(INFER, content=encoded("png", 1, 1)).status_code == 200


def test_several_pictures_in_a_form(client: TestClient) -> None:
    sizes = [(64, 48), (20, 10), (8, 6)]
    files = [("image", (f"{w}.png", encoded("png", w, h), "image/png")) for w, h in sizes]
    response = client.post(INFER, files=files, data={"params": '{"confidence": 0.5}'})
    boxes = [result["detections"][0]["box"] for result in response.json()["results"]]
    assert boxes == [[0, 0, w / 2, h / 2] for w, h in sizes]


def test_several_pictures_in_json(client: TestClient) -> None:
    body = {
        "images": [b64(encoded()), "data:image/png;base64," + b64(encoded("png", 10, 10))],
        "params": {"confidence": 0.9},
    }
    response = client.post(INFER, json=body)
    assert [result["detections"] for result in response.json()["results"]] == [[], []]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("confidence=0.7", 1),
        ("confidence=0.8", 0),
        ("params=%7B%22confidence%22%3A0.8%7D", 0),
        ("names=a&names=b,c&sharp=true&count=3&zone=[[0,0],[1,0],[0,1]]", 1),
        ("sharp=False", 1),
    ],
)
def test_parameters_in_the_query(client: TestClient, query: str, found: int) -> None:
    response = client.post(f"{INFER}?{query}", content=encoded(), headers=JPEG)
    assert response.status_code == 200, response.text
    assert len(response.json()["results"][0]["detections"]) == found


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("confidence=1.5", "confidence", "out of range"),
        ("confidence=high", "confidence", "not a number"),
        ("count=2.5", "count", "not a whole number"),
        ("sharp=maybe", "sharp", "not a truth value"),
        ("zone=[[0,0]]", "zone", "not a polygon"),
        ("zone=((", "zone", "not JSON"),
        ("zone=" + "[" * 3000, "zone", "nested too deeply"),
        ("params=" + "[" * 3000, "params", "nested too deeply"),
        ("confidence=NaN", "confidence", "not a number"),
        ("confidence=1e999", "confidence", "infinite"),
        ("count=" + "9" * 5000, "count", "more digits than Python reads"),
        ("confidance=0.5", "confidance", "unknown"),
        ("params=[1]", "params", "not an object"),
        ("params=%7B", "params", "not JSON"),
    ],
)
def test_bad_parameters_are_named(client: TestClient, query: str, field: str, reason: str) -> None:
    body = problem(client.post(f"{INFER}?{query}", content=encoded(), headers=JPEG), 422, "params")
    assert body["field"] == field
    if reason == "unknown":
        assert "confidence" in body["hint"]


def test_parameters_of_the_body_go_before_those_of_the_query(client: TestClient) -> None:
    body = {"images": [b64(encoded())], "params": {"confidence": 0.9}}
    assert client.post(f"{INFER}?confidence=0.1", json=body).json()["results"][0]["detections"] == []


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"not an image at all", "image/jpeg", 400, "image-decode"),
        (b"", "image/jpeg", 400, "image-decode"),
        (encoded()[:-300], "image/jpeg", 400, "image-decode"),
        (encoded("png"), "image/jpeg", 415, "unsupported-type"),
        (encoded(), "text/plain", 415, "unsupported-type"),
        (encoded(), "application/x-www-form-urlencoded", 415, "unsupported-type"),
        (b"GIF89a" + b"\0" * 30, "", 415, "unsupported-type"),
        (jpeg_header(20_000, 20_000), "image/jpeg", 413, "too-large"),
        (png_header(20_000, 20_000), "image/png", 413, "too-large"),
        (b"{", "application/json", 400, "input"),
        (b"\xff\xfe", "application/json", 400, "input"),
        (b"[]", "application/json", 400, "input"),
        (b"[" * 100_000, "application/json", 400, "input"),
        (b'{"\\ud800": 1}', "application/json", 400, "input"),
        (b'{"images": ["\\ud800"]}', "application/json", 400, "input"),
        (b'{"images": ["\xc3\xa9"]}', "application/json", 400, "input"),
        (b'{"images": "x"}', "application/json", 400, "input"),
        (b'{"images": []}', "application/json", 400, "input"),
        (b'{"images": [1]}', "application/json", 400, "input"),
        (b'{"images": ["%%%"]}', "application/json", 400, "input"),
        (b'{"images": ["aGVsbG8="]}', "application/json", 400, "image-decode"),
        (b'{"images": [], "model": "x"}', "application/json", 400, "input"),
        (b'{"images": ["aGVsbG8="], "params": 1}', "application/json", 422, "params"),
        (b"--x\r\n", "multipart/form-data", 400, "input"),
        (b"nothing", "multipart/form-data; boundary=x", 400, "input"),
    ],
)
def test_bad_pictures(client: TestClient, content: bytes, content_type: str, status: int, code: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    problem(client.post(INFER, content=content, headers=headers), status, code)


def test_the_wrong_picture_among_several_is_named(client: TestClient) -> None:
    body = problem(client.post(INFER, json={"images": [b64(encoded()), b64(b"text")]}), 400, "image-decode")
    assert body["field"] == "images[1]"
    files = [("image", ("a", encoded(), "image/jpeg")), ("image", ("b", encoded()[:-90], "image/jpeg"))]
    assert problem(client.post(INFER, files=files), 400, "image-decode")["field"] == "image[1]"


@pytest.mark.parametrize("name", ["file", "params"])
def test_pictures_in_a_form_must_be_named_image(client: TestClient, name: str) -> None:
    problem(client.post(INFER, files=[(name, ("a", encoded(), "image/jpeg"))]), 400, "input")


def test_a_form_with_unknown_or_too_many_fields(client: TestClient) -> None:
    file = [("image", ("a", encoded(), "image/jpeg"))]
    assert problem(client.post(INFER, files=file, data={"x": "1"}), 400, "input")["field"] == "x"
    many = {f"f{number}": "1" for number in range(20)}
    problem(client.post(INFER, files=file, data=many), 400, "input")
    problem(client.post(INFER, files=file, data={"params": " " * 300_000}), 400, "input")


def test_too_many_pictures(hub: TestHub, client: TestClient) -> None:
    most = hub.services.settings.max_images
    one = encoded("png", 4, 4)
    assert client.post(INFER, json={"images": [b64(one)] * most}).status_code == 200
    problem(client.post(INFER, json={"images": [b64(one)] * (most + 1)}), 413, "too-large")
    files = [("image", ("a", one, "image/png"))] * (most + 1)
    problem(client.post(INFER, files=files), 413, "too-large")


def test_pixels_are_counted_over_all_pictures(repository: Repository, tmp_path: Any) -> None:
    hub = TestHub(repository, tmp_path, max_image_pixels=1000)
    with TestClient(hub.app, headers=bearer(hub.key("infer"))) as client:
        small = b64(encoded("png", 20, 20))
        assert client.post(INFER, json={"images": [small] * 2}).status_code == 200
        body = problem(client.post(INFER, json={"images": [small] * 3}), 413, "too-large")
        assert body["field"] == "images[2]"


def test_unknown_algorithms_suggest_the_nearest(client: TestClient) -> None:
    body = problem(
        client.post("/v1/algorithms/think-detection/infer", content=encoded()), 404, "algorithm-not-found"
    )
    assert "thing-detection" in body["hint"]
    problem(client.get("/v1/algorithms/zzz"), 404, "algorithm-not-found")


@pytest.mark.parametrize("name", ["clip-only", "sound-only"])
def test_algorithms_that_take_no_single_pictures_say_so(client: TestClient, name: str) -> None:
    problem(client.post(f"/v1/algorithms/{name}/infer", content=encoded()), 415, "unsupported-type")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (QueueFullError("full", retry_after_s=2.5), 429, "queue-full"),
        (DeadlineError("late"), 504, "deadline"),
        (MemoryBudgetError("no room"), 503, "memory-budget"),
        (WeightsMissingError("none", hint="aihub models pull coco"), 503, "weights-missing"),
        (LicenseError("not allowed"), 403, "license"),
        (StorageError("locked"), 503, "storage"),
        (SessionError("secret path /home/x"), 500, "session"),
    ],
)
def test_what_the_engine_raises_has_its_status(
    hub: TestHub, client: TestClient, error: AihubError, status: int, code: str
) -> None:
    hub.predictor.before = failing(error)
    response = client.post(INFER, content=encoded(), headers=JPEG)
    body = problem(response, status, code)
    assert "secret" not in response.text
    if isinstance(error, QueueFullError):
        assert response.headers["retry-after"] == "3"
        assert body["retry_after_s"] == 2.5
    if code == "weights-missing":
        assert "pull coco" in body["hint"]
        assert "retry-after" not in response.headers


def test_a_mistake_of_ours_shows_nothing_of_the_inside(hub: TestHub, client: TestClient) -> None:
    hub.predictor.before = failing(RuntimeError("secret /home/x"))
    response = client.post(INFER, content=encoded(), headers=JPEG)
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["x-request-id"] in response.text


def test_a_request_that_takes_too_long_is_given_up(repository: Repository, tmp_path: Any) -> None:
    hub = TestHub(repository, tmp_path, infer_timeout_s=0.2)
    release = threading.Event()
    hub.predictor.before = lambda _frame: (release.wait(5), None)[1]
    with TestClient(hub.app, headers=bearer(hub.key("infer"))) as client:
        started = time.monotonic()
        problem(client.post(INFER, content=encoded(), headers=JPEG), 504, "deadline")
        assert time.monotonic() - started < 2
        release.set()


def test_requests_run_side_by_side_and_the_event_loop_stays_free(hub: TestHub, client: TestClient) -> None:
    both = threading.Barrier(2, timeout=5)

    def meet(_: Frame) -> None:
        both.wait()

    hub.predictor.before = meet
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(client.post(INFER, content=encoded()).status_code))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert client.get("/healthz").status_code == 200
    for thread in threads:
        thread.join(10)
    assert answers == [200, 200]


def test_frames_carry_the_key_so_that_the_batcher_is_fair(hub: TestHub, client: TestClient) -> None:
    client.post(INFER, content=encoded())
    assert hub.predictor.sources == [f"default/{hub.repository.list_keys()[0].id}"]


def test_algorithms_are_described(hub: TestHub, client: TestClient) -> None:
    rows = {row["id"]: row for row in client.get("/v1/algorithms").json()["items"]}
    assert set(rows) == {"thing-detection", "absent-detection", "clip-only", "sound-only"}
    thing = rows["thing-detection"]
    assert thing["title"] == {"en": "Things", "zh": "物体"}
    assert thing["readiness"] == "ready"
    assert thing["params"]["properties"]["confidence"]["maximum"] == 1
    assert thing["event"]["severity"] == "warning"
    assert thing["evidence"] == [{"media": "drawn:thing", "evidence": "synthetic"}]
    assert rows["absent-detection"]["readiness"] == "needs-weights"
    assert "aihub models pull absent" in rows["absent-detection"]["reason"]
    detail = client.get("/v1/algorithms/thing-detection").json()
    assert detail.pop("result")["properties"]["task"]["const"] == "object-detection"
    assert detail == thing
    assert [row["id"] for row in client.get("/v1/algorithms?domain=other").json()["items"]] == [
        "clip-only",
        "sound-only",
    ]
    needing = client.get("/v1/algorithms?readiness=needs-weights").json()["items"]
    assert [row["id"] for row in needing] == ["absent-detection"]


def test_broken_cards_are_shown_to_administrators(hub: TestHub, client: TestClient) -> None:
    (hub.cards / "broken.yaml").write_text("id: [", encoding="utf-8")
    hub.services.registry.reload()
    assert client.get("/v1/algorithms").json()["broken"] == []
    (row,) = client.get("/v1/algorithms", headers=bearer(hub.key("admin"))).json()["broken"]
    assert "broken.yaml" in row["where"]


def test_echo_counts(client: TestClient) -> None:
    assert client.post("/v1/echo", content=b"x" * 1000).json() == {"bytes": 1000}
    assert client.post("/v1/echo").json() == {"bytes": 0}


def test_requests_are_named(client: TestClient) -> None:
    given = client.get("/healthz", headers={"X-Request-Id": "abc-1.2:3"})
    assert given.headers["x-request-id"] == "abc-1.2:3"
    for bad in ("a b", "x" * 200, "<script>"):
        made = client.get("/healthz", headers={"X-Request-Id": bad}).headers["x-request-id"]
        assert made != bad
        assert len(made) == 16
    assert len({client.get("/healthz").headers["x-request-id"] for _ in range(5)}) == 5


def test_a_server_in_front_may_name_the_requests(hub: TestHub) -> None:
    app = create_app(dataclasses.replace(hub.services, names_requests=False))
    with TestClient(app, headers=bearer(hub.key("infer"))) as client:
        response = client.get("/v1/algorithms/none", headers={"X-Request-Id": "abc"})
    assert "x-request-id" not in response.headers
    assert response.json()["request_id"] == "abc"


def test_a_hub_that_shuts_down_sends_callers_elsewhere(hub: TestHub, client: TestClient) -> None:
    hub.app.state.parts.workers.close()
    problem(client.post(INFER, content=encoded()), 429, "queue-full")


def test_answers_are_json_that_any_reader_takes(client: TestClient) -> None:
    text = client.post(INFER, content=encoded()).text
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
