"""`annotate` and `fields`: results drawn, and results cut down."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from aihub.errors import InputError
from aihub.serve.asking import wants_jpeg
from aihub.serve.columns import FIELDS, columns_of, known_fields, refuse_missing
from aihub.serve.result_schemas import ColumnsOut, InferAnswer
from aihub.storage.repository import Repository
from aihub.types import (
    Codes,
    Detections,
    Field,
    Fields,
    Findings,
    Image,
    Labels,
    Observation,
    Points,
    Quality,
    Texts,
)
from tests.serve.hub import TestHub, bearer, encoded, picture
from tests.serve.test_infer import INFER, JPEG, b64, problem

MANY = "/v1/infer"
PICTURE = b64(encoded("png", 200, 120))


def pixels(data: bytes) -> Image:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, np.uint8)


def difference(image: Image) -> float:
    """How much of the picture was drawn on, compared with the one that was sent."""
    return float((np.abs(image.astype(int) - picture(200, 120)).max(axis=2) > 60).mean())


@pytest.mark.parametrize(
    "send",
    [
        lambda client: client.post(
            f"{INFER}?annotate=true", content=encoded("png", 200, 120), headers={"Content-Type": "image/png"}
        ),
        lambda client: client.post(INFER, json={"images": [PICTURE], "annotate": True}),
        lambda client: client.post(
            INFER,
            files=[("image", ("a", encoded("png", 200, 120), "image/png"))],
            data={"annotate": "true"},
        ),
        lambda client: client.post(f"{INFER}?annotate=1", json={"images": [PICTURE]}),
    ],
    ids=["raw", "json", "form", "json with a query"],
)
def test_the_drawn_picture_stands_in_its_result(client: TestClient, send: Any) -> None:
    response = send(client)
    assert response.status_code == 200, response.text
    InferAnswer.model_validate(response.json())
    (result,) = response.json()["results"]
    assert result["detections"]
    drawn = pixels(base64.b64decode(result["annotated"], validate=True))
    assert drawn.shape == (120, 200, 3)
    assert 0.01 < difference(drawn) < 0.5


def test_the_body_has_the_last_word(client: TestClient) -> None:
    response = client.post(f"{INFER}?annotate=true", json={"images": [PICTURE], "annotate": False})
    assert "annotated" not in response.json()["results"][0]


@pytest.mark.parametrize(
    "path", [f"{INFER}?annotate=true", f"{MANY}?algorithms=thing-detection&annotate=true"]
)
def test_the_jpeg_itself(client: TestClient, path: str) -> None:
    headers = {"Content-Type": "image/png", "Accept": "image/jpeg"}
    response = client.post(path, content=encoded("png", 200, 120), headers=headers)
    assert response.headers["content-type"] == "image/jpeg"
    assert pixels(response.content).shape == (120, 200, 3)
    assert 0.01 < difference(pixels(response.content)) < 0.5


def test_without_annotate_the_answer_is_json(client: TestClient) -> None:
    response = client.post(INFER, content=encoded(), headers={**JPEG, "Accept": "image/jpeg"})
    assert response.headers["content-type"] == "application/json"


def test_parameters_count_for_what_is_drawn(client: TestClient) -> None:
    plain = client.post(
        INFER,
        json={
            "images": [PICTURE],
            "annotate": True,
            "params": {"confidence": 0.9, "zone": [[0, 0], [1, 0], [1, 1], [0, 1]]},
        },
    )
    (result,) = plain.json()["results"]
    assert difference(pixels(base64.b64decode(result["annotated"]))) < 0.01


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5)])
def test_small_pictures_can_be_drawn_on(client: TestClient, size: tuple[int, int]) -> None:
    response = client.post(f"{INFER}?annotate=true", content=encoded("png", *size))
    drawn = pixels(base64.b64decode(response.json()["results"][0]["annotated"]))
    assert drawn.shape == (size[1], size[0], 3)


def test_a_jpeg_answers_for_one_picture_and_only_when_all_went_well(client: TestClient) -> None:
    accept = {"Accept": "image/jpeg"}
    two = client.post(INFER, json={"images": [PICTURE] * 2, "annotate": True}, headers=accept)
    assert problem(two, 400, "input")["field"] == "images"
    half = client.post(
        MANY,
        json={"images": [PICTURE], "annotate": True, "algorithms": ["thing-detection", "clip-only"]},
        headers=accept,
    )
    assert problem(half, 415, "unsupported-type")["field"] == "algorithms[1]"


def test_what_is_drawn_has_a_bound(repository: Repository, tmp_path: Any) -> None:
    hub = TestHub(repository, tmp_path, max_image_pixels=200 * 120 * 3)
    with TestClient(hub.app, headers=bearer(hub.key("infer"))) as client:
        body = {"images": [PICTURE], "annotate": True}
        assert client.post(MANY, json={**body, "algorithms": ["thing-detection"] * 3}).status_code == 200
        response = client.post(MANY, json={**body, "algorithms": ["thing-detection"] * 4})
        assert problem(response, 413, "too-large")["field"] == "annotate"


def test_a_picture_too_long_for_a_jpeg_is_refused(client: TestClient) -> None:
    response = client.post(f"{INFER}?annotate=true", content=encoded("png", 66_000, 2))
    assert problem(response, 413, "too-large")["field"] == "annotate"


@pytest.mark.parametrize(
    ("accept", "jpeg", "reason"),
    [
        ("image/jpeg", True, "just that"),
        ("IMAGE/JPEG", True, "in capitals"),
        ("image/*", True, "any picture"),
        ("image/jpeg, */*;q=0.5", True, "rather a picture"),
        ("image/avif,image/webp,image/*,*/*;q=0.8", True, "a browser's picture element"),
        ("", False, "nothing said"),
        ("*/*", False, "anything"),
        ("application/json", False, "JSON"),
        ("image/jpeg, application/json", False, "no wish"),
        ("application/json, image/jpeg;q=0.5", False, "rather JSON"),
        ("image/png", False, "another kind"),
        ("image/jpeg;q=0", False, "not that"),
        ("image/jpeg;q=x", False, "no number"),
    ],
)
def test_what_accept_asks_for(accept: str, jpeg: bool, reason: str) -> None:
    assert wants_jpeg(accept) is jpeg, reason


@given(st.text(max_size=60))
def test_any_accept_is_read(accept: str) -> None:
    wants_jpeg(accept)


@pytest.mark.parametrize(
    ("query", "result"),
    [
        ("fields=boxes,labels", {"boxes": [[0, 0, 32, 24]], "labels": ["thing"]}),
        ("fields=labels&fields=scores", {"labels": ["thing"], "scores": [0.75]}),
        ("fields=track_ids,keypoints", {"track_ids": [None], "keypoints": [None]}),
        ("fields=labels,labels", {"labels": ["thing"]}),
    ],
)
def test_columns(client: TestClient, query: str, result: dict[str, Any]) -> None:
    response = client.post(f"{INFER}?{query}", content=encoded(), headers=JPEG)
    InferAnswer.model_validate(response.json())
    assert response.json()["results"] == [{"task": "object-detection", **result}]


def test_columns_in_every_form_of_body(client: TestClient) -> None:
    for fields in (["labels"], "labels"):
        body = {"images": [b64(encoded())], "fields": fields}
        assert client.post(INFER, json=body).json()["results"][0]["labels"] == ["thing"]
    files = [("image", ("a", encoded(), "image/jpeg"))]
    answer = client.post(INFER, files=files, data={"fields": "labels"}).json()
    assert answer["results"] == [{"task": "object-detection", "labels": ["thing"]}]
    both = client.post(f"{INFER}?fields=labels&annotate=true", content=encoded()).json()
    assert set(both["results"][0]) == {"task", "labels", "annotated"}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("fields=boxes,colour", "unknown"),
        ("fields=", "none"),
        ("fields=quads", "of another task"),
        ("fields=detections", "not a column"),
        ("fields=" + "x" * 5000, "long"),
    ],
)
def test_fields_that_are_refused(client: TestClient, query: str, reason: str) -> None:
    body = problem(client.post(f"{INFER}?{query}", content=encoded()), 400, "input")
    assert body["field"] == "fields", reason
    if reason == "unknown":
        assert "'colour'" in body["detail"]
        assert "boxes" in body["hint"]
    assert len(body["detail"]) < 300


ROWS = Detections(
    np.array([[0, 0, 4, 4], [1, 1, 2, 2]], np.float32),
    np.array([0.9, 0.8], np.float32),
    np.array([0, 1], np.int32),
    ("cat", "dog"),
    np.array([7, 8], np.int64),
)
QUAD = np.zeros((1, 4, 2), np.float32)


@pytest.mark.parametrize(
    ("result", "fields"),
    [
        (ROWS, {"boxes", "labels", "scores", "track_ids", "keypoints", "attributes"}),
        (Labels.of({"red": 0.9}), {"labels", "scores", "measures"}),
        (
            Fields((Field("vin", "1M8GDM9AXKP042788", 0.9, valid=True),)),
            {"names", "values", "scores", "valid", "quads", "spans"},
        ),
        (
            Points.of([(0.0, 1.0, 0.5, 1.5, "forecast", 0.9)]),
            {"at", "values", "lows", "highs", "labels", "scores", "measures"},
        ),
        (Texts(QUAD, ("a",), np.ones(1, np.float32)), {"quads", "texts", "scores"}),
        (Codes(QUAD, ("a",), ("QRCode",)), {"quads", "texts", "formats"}),
        (Quality(True, 0.7, {"mean": 3}), {"fault", "score", "measures"}),
        (
            Findings(ROWS, (Observation("zone", "cat", 0.9),), {"count": 2}),
            {"boxes", "labels", "scores", "track_ids", "keypoints", "attributes", "observations", "measures"},
        ),
    ],
)
def test_every_kind_of_result_has_its_columns(result: Any, fields: set[str]) -> None:
    cut = columns_of(result.to_json(), FIELDS)
    assert set(cut) == fields | {"task"}
    ColumnsOut.model_validate(cut)
    for name in fields & {
        "boxes",
        "labels",
        "scores",
        "track_ids",
        "quads",
        "texts",
        "formats",
        "names",
        "at",
    }:
        assert len(cut[name]) == len(getattr(result, "found", result))


def test_a_column_that_some_have_is_no_mistake() -> None:
    rows = [columns_of(ROWS.to_json(), ["labels"]), columns_of(Quality(True, 0.7).to_json(), ["labels"])]
    refuse_missing(rows, ["labels"])
    with pytest.raises(InputError, match="object-detection, picture-quality"):
        refuse_missing(rows, ["quads"])


@given(st.lists(st.sampled_from(FIELDS), min_size=1))
def test_columns_are_kept_in_order_and_once(names: list[str]) -> None:
    kept = known_fields(names)
    assert sorted(kept) == sorted(set(names))
    assert list(kept) == sorted(kept, key=names.index)
