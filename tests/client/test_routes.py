"""The client has a method for every operation of the API, and knows every error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from aihub.errors import AihubError
from aihub.serve.problems import catalogue
from tests.client.test_calls import METHODS
from tests.serve.hub import TestHub

WITHOUT: dict[str, str] = {
    "/v1/audio/translations": "no model of the hub translates: it answers 501",
    "/v2": "the Open Inference Protocol: tritonclient and others are its clients",
}
"""Beginnings of paths for which there is no method, with the reason."""


def test_every_operation_has_a_method_and_every_method_an_operation(hub: TestHub) -> None:
    described = {
        (method.upper(), path)
        for path, operations in hub.app.openapi()["paths"].items()
        for method in operations
        if not path.startswith(tuple(WITHOUT))
    }
    ours = {tuple(method.route) for method in METHODS.values()}
    assert described - ours == set(), "operations that aihub.client has no method for"
    assert ours - described == set(), "methods for operations that the hub does not have"


HEAVY = (
    "cv2",
    "scipy",
    "onnx",
    "onnxruntime",
    "openvino",
    "ray",
    "fastapi",
    "starlette",
    "sqlalchemy",
    "grpc",
)
OURS = (
    "serve",
    "storage",
    "engine",
    "algorithms",
    "streams",
    "events",
    "cli",
    "bench",
    "settings",
    "plugins",
)


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_client_imports_little() -> None:
    loaded = set(json.loads(python("import sys, json, aihub.client; print(json.dumps(list(sys.modules)))")))
    assert not loaded & {*HEAVY, *(f"aihub.{room}" for room in OURS)}


def test_files_are_sent_without_opencv(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    code = f"""
import sys
sys.modules["cv2"] = None
import numpy as np
from aihub.client.inputs import file_of
from aihub.errors import InputError
assert file_of({str(tmp_path / "a.jpg")!r}) == b"x"
try:
    file_of(np.zeros((4, 4, 3), np.uint8))
except InputError as error:
    print(error)
"""
    assert "opencv" in python(code)


def test_a_client_alone_knows_every_error_of_the_hub() -> None:
    # In a process that never imports the hub's own rooms, where some errors are defined.
    code = """
import json
from aihub.client.refusals import error_of
rows = json.loads(%r)
kinds = [[base.__name__ for base in type(error_of(row)).__mro__] for row in rows]
print(json.dumps(kinds))
"""
    rows = catalogue()
    kinds = json.loads(python(code % json.dumps(rows)))
    classes = {kind.__new__(kind).code: kind for kind in _all()}
    wrong = []
    for row, bases in zip(rows, kinds, strict=True):
        meant = classes[str(row["code"])]
        # A class of the hub's own is told by its nearest base that both know; it must not become something else.
        shared = next(base for base in meant.__mro__ if base.__module__ in KNOWN)
        if row["status"] != 500 and shared.__name__ != bases[0]:
            wrong.append((row["code"], row["status"], bases[0]))
    assert not wrong, wrong


KNOWN = {"aihub.errors", "aihub.client.refusals"}


def _all() -> list[type[AihubError]]:
    found: list[type[AihubError]] = []
    queue: list[type[AihubError]] = [AihubError]
    while queue:
        kind = queue.pop()
        queue += kind.__subclasses__()
        found.append(kind)
    return found


@pytest.mark.parametrize("kind", sorted({method.route.method for method in METHODS.values()}))
def test_methods_are_those_of_http(kind: str) -> None:
    assert kind in {"GET", "POST", "PUT", "PATCH", "DELETE"}
