"""`X-Request-Timeout-Seconds`: what counts, what is refused, and that what is late is dropped."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from aihub.errors import InputError
from aihub.serve.deadlines import HEADER, timeout_of
from aihub.settings import Settings
from tests.serve.hub import TestHub, encoded
from tests.serve.test_infer import INFER, JPEG, problem

SETTINGS = Settings(infer_timeout_s=30)


def asked(*values: str) -> float:
    headers = [(HEADER.lower().encode(), value.encode("latin-1")) for value in values]
    return timeout_of(Request({"type": "http", "headers": headers}), SETTINGS)


@pytest.mark.parametrize(
    ("value", "seconds", "reason"),
    [
        ("2.5", 2.4, "as it says, less what the answer takes"),
        (" 2 ", 1.9, "blanks around it"),
        (".5", 0.475, "no leading digit"),
        ("3.", 2.9, "no digit behind"),
        ("0.001", 0.00095, "very short"),
        ("30.1", 30, "the most"),
        ("31", 30, "more than the hub allows"),
        ("999999999", 30, "much more"),
    ],
)
def test_what_counts(value: str, seconds: float, reason: str) -> None:
    assert asked(value) == pytest.approx(seconds), reason


def test_without_it_the_setting_counts() -> None:
    assert asked() == 30


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "0",
        "0.0",
        "-1",
        "+1",
        "1e3",
        "inf",
        "nan",
        "NaN",
        "1,5",
        "1s",
        "0x10",
        "1_0",
        "9" * 400,
        "²",
        ".",
    ],
)
def test_what_is_refused(value: str) -> None:
    with pytest.raises(InputError) as caught:
        asked(value)
    assert caught.value.field == HEADER
    assert caught.value.hint


def test_said_twice_is_refused() -> None:
    with pytest.raises(InputError):
        asked("1", "2")


@given(st.text(st.characters(max_codepoint=255), max_size=20))
def test_anything_is_a_number_in_range_or_an_input_error(value: str) -> None:
    with contextlib.suppress(InputError):
        assert 0 < asked(value) <= 30


def test_the_route_names_the_header(client: TestClient) -> None:
    for path in (INFER, "/v1/infer?algorithms=thing-detection"):
        response = client.post(path, content=encoded(), headers={**JPEG, HEADER: "soon"})
        assert problem(response, 400, "input")["field"] == HEADER


def test_what_is_late_is_answered_so(hub: TestHub, client: TestClient) -> None:
    release = threading.Event()
    hub.predictor.before = lambda _frame: (release.wait(5), None)[1]
    started = time.monotonic()
    problem(client.post(INFER, content=encoded(), headers={**JPEG, HEADER: "0.2"}), 504, "deadline")
    assert time.monotonic() - started < 3
    release.set()
