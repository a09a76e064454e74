"""Algorithms that listen, asked as models: a recording in, times and words out."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from aihub.algorithms.registry import Registry
from aihub.algorithms.sound import sphinx
from aihub.plugins import data_folder
from aihub.serve.app import create_app
from aihub.storage.repository import Repository
from tests.algorithms.sound.making import LoudEars, as_file, talk
from tests.serve.hub import TestHub
from tests.serve.oip.bodies import asking, files, numbers

RECORDING = as_file(talk((0.5, False), (1.0, True), (1.0, False)))
HEADER = "Inference-Header-Content-Length"


@pytest.fixture
def hub(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestHub:
    monkeypatch.setattr(sphinx, "installed", lambda: True)  # the ears know words without it
    hub, ears = TestHub(repository, tmp_path), LoudEars()
    shutil.copytree(data_folder("pipelines") / "speech", hub.cards / "speech")
    hub.services = replace(hub.services, registry=Registry(ears, [hub.cards]), predictor=ears)
    hub.app = create_app(hub.services)
    return hub


def outputs(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return {row["name"]: row for row in response.json()["outputs"]}


def test_what_they_take_and_give(client: TestClient) -> None:
    body = client.get("/v2/models/voice-activity").json()
    assert body["inputs"] == [{"name": "audio", "datatype": "BYTES", "shape": [1]}]
    assert [row["name"] for row in body["outputs"]] == [
        "labels",
        "starts",
        "ends",
        "scores",
        "counts",
        "result",
    ]
    body = client.get("/v2/models/speech-to-text").json()
    assert [row["name"] for row in body["outputs"]] == [
        "texts",
        "starts",
        "ends",
        "scores",
        "counts",
        "result",
    ]


def test_sounds_have_times(client: TestClient) -> None:
    found = outputs(client.post("/v2/models/voice-activity/infer", **asking(files("audio", RECORDING))))
    assert found["counts"]["data"] == [1]
    (start,), (end,) = found["starts"]["data"], found["ends"]["data"]
    assert 0 <= start < end <= 2.5
    assert json.loads(found["result"]["data"][0])["events"][0]["label"] == found["labels"]["data"][0]


def test_speech_has_words(client: TestClient) -> None:
    headers = {HEADER: "0", "Accept": "application/json"}
    found = outputs(client.post("/v2/models/speech-to-text/infer", content=RECORDING, headers=headers))
    assert found["texts"]["datatype"] == "BYTES"
    assert len(found["texts"]["data"]) == found["counts"]["data"][0] == 1
    silence = files("audio", as_file(talk((1.0, False))))
    nothing = outputs(client.post("/v2/models/speech-to-text/infer", **asking(silence)))
    assert (nothing["texts"]["shape"], nothing["counts"]["data"]) == ([0], [0])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (asking(files("image", RECORDING)), "named 'audio'"),
        (asking(files("audio", RECORDING, RECORDING)), "one file"),
        (asking(numbers("audio", np.zeros(16, np.float32))), "one file"),
        (asking(files("audio", b"nonsense")), "no recording"),
        (asking(files("audio", RECORDING), parameters={"nothing": 1}), "nothing"),
        (asking(files("audio", RECORDING), outputs=[]), ""),
    ],
)
def test_what_is_wrong_is_said(client: TestClient, asked: dict[str, Any], said: str) -> None:
    response = client.post("/v2/models/voice-activity/infer", **asked)
    assert response.status_code == (400 if said else 200), response.text
    assert said in response.text
