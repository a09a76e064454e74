"""Pages in browsers: only those of origins that the operator named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from aihub.settings import Settings
from aihub.storage.repository import Repository
from tests.serve.hub import TestHub, bearer

PAGE = "https://desk.example.org"
ASKED = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-request-timeout-seconds",
}


@pytest.fixture
def paged(repository: Repository, tmp_path: Path) -> Iterator[tuple[TestHub, TestClient]]:
    hub = TestHub(repository, tmp_path, cors_origins=(PAGE,))
    with TestClient(hub.app) as client:
        yield hub, client


def test_no_page_is_let_in_by_default(hub: TestHub, anonymous: TestClient) -> None:
    asked = anonymous.options("/v1/algorithms", headers={"Origin": PAGE, **ASKED})
    assert asked.status_code == 401
    answer = anonymous.get("/v1/algorithms", headers={"Origin": PAGE, **bearer(hub.key("infer"))})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_page_that_was_named_may_ask_and_read(paged: tuple[TestHub, TestClient]) -> None:
    hub, client = paged
    asked = client.options("/v1/algorithms/thing-detection/infer", headers={"Origin": PAGE, **ASKED})
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == PAGE
    assert "access-control-allow-credentials" not in asked.headers
    answer = client.get("/v1/algorithms", headers={"Origin": PAGE, **bearer(hub.key("infer"))})
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"]


def test_a_page_may_read_why_it_was_refused(paged: tuple[TestHub, TestClient]) -> None:
    _, client = paged
    answer = client.get("/v1/algorithms", headers={"Origin": PAGE})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.json()["code"] == "unauthorized"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.org", "http://desk.example.org", f"{PAGE}:8443", "null", f"{PAGE}.evil.org"],
)
def test_other_pages_are_not(paged: tuple[TestHub, TestClient], origin: str) -> None:
    hub, client = paged
    asked = client.options("/v1/algorithms", headers={"Origin": origin, **ASKED})
    assert asked.status_code == 400
    answer = client.get("/v1/algorithms", headers={"Origin": origin, **bearer(hub.key("infer"))})
    assert "access-control-allow-origin" not in {*asked.headers, *answer.headers}


def test_only_what_the_api_needs_may_be_sent(paged: tuple[TestHub, TestClient]) -> None:
    _, client = paged
    for wrong in ({"Access-Control-Request-Method": "TRACE"}, {"Access-Control-Request-Headers": "X-Other"}):
        asked = client.options("/v1/algorithms", headers={"Origin": PAGE, **ASKED, **wrong})
        assert asked.status_code == 400


@pytest.mark.parametrize(
    "wrong", ["*", "null", "desk.example.org", f"{PAGE}/", f"{PAGE}/app", "https://Desk.org", "ws://x"]
)
def test_an_origin_is_scheme_host_and_port(wrong: str) -> None:
    with pytest.raises(ValidationError):
        Settings(cors_origins=(wrong,))


@pytest.mark.parametrize("right", [PAGE, "http://127.0.0.1:5173", "http://[::1]:8080"])
def test_origins_as_browsers_write_them(right: str) -> None:
    assert Settings(cors_origins=(right,)).cors_origins == (right,)
