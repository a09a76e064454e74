"""The real engine behind the real app: a photograph goes in by HTTP, faces come out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from aihub.algorithms.inference import infer
from aihub.algorithms.registry import Registry
from aihub.engine import Engine, ModelStore
from aihub.plugins import data_folder
from aihub.serve.app import create_app
from aihub.serve.result_schemas import DetectionsOut, FindingsOut, InferAnswer
from aihub.serve.services import Services
from aihub.storage.repository import Repository
from tests.serve.hub import TestHub, bearer


@pytest.fixture
def client(hub: TestHub, repository: Repository, mirror: Path, tmp_path: Path) -> Iterator[TestClient]:
    """The hub with its own algorithms and the weights of the mirror."""
    store = ModelStore.from_folder(data_folder("models"), cache=tmp_path / "models", mirror=str(mirror))
    engine = Engine(store)
    services = Services(
        settings=hub.services.settings,
        registry=Registry(engine),
        predictor=engine,
        repository=repository,
        artifacts=hub.artifacts,
        infer=infer,
        health=engine.health,
    )
    with TestClient(create_app(services), headers=bearer(hub.key("infer"))) as made:
        yield made
    engine.close()


@pytest.mark.weights
@pytest.mark.media
def test_faces_of_a_photograph(client: TestClient, media: Path) -> None:
    data = (media / "images/faces/test_obama_and_biden.jpg").read_bytes()
    path = "/v1/algorithms/face-detection/infer"
    answer = client.post(path, content=data, headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 200, answer.text
    (result,) = InferAnswer.model_validate(answer.json()).results
    assert isinstance(result, FindingsOut)
    assert isinstance(result.found, DetectionsOut)
    assert len(result.found.detections) == 3
    several = client.post(path, files=[("image", ("a.jpg", data, "image/jpeg"))] * 2).json()["results"]
    assert [row["found"] for row in several] == [answer.json()["results"][0]["found"]] * 2


@pytest.mark.weights
def test_every_algorithm_describes_itself(client: TestClient) -> None:
    rows = client.get("/v1/algorithms").json()["items"]
    assert len(rows) >= 16
    assert {row["readiness"] for row in rows} <= {"ready", "needs-weights"}
