"""Results keep the schemas that the API promises, and clients that are generated from them are typed."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import jsonschema
import pytest
from datamodel_code_generator import InputFileType, generate
from datamodel_code_generator.config import GenerateConfig
from datamodel_code_generator.enums import DataModelType
from datamodel_code_generator.format import Formatter
from fastapi.testclient import TestClient

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.contract import GeneratedDetections, NoTensorsError, frames, labels_of
from aihub.algorithms.inference import infer
from aihub.algorithms.registry import Registry
from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore
from aihub.plugins import data_folder
from aihub.serve.columns import FIELDS, columns_of
from aihub.serve.result_schemas import AlgorithmAnswer, ColumnsOut, result_schema
from aihub.types import AnyResult, Frame, InputKind, Readiness
from tests.serve.hub import TestHub, encoded
from tests.serve.test_infer import INFER

SHAPES = [(name, frame) for name, frame in frames() if frame.width <= 640]


def keeps(schema: dict[str, Any], result: AnyResult) -> dict[str, Any]:
    body = result.to_json()
    jsonschema.validate(body, schema)
    AlgorithmAnswer.model_validate({"algorithm": "x", "version": 1, "results": [body]})
    ColumnsOut.model_validate(columns_of(body, FIELDS))
    return body


def of_pictures(registry: Registry) -> list[Algorithm]:
    return [one for one in registry.list() if InputKind.IMAGE in one.card.input]


def test_every_algorithm_says_the_form_of_its_results() -> None:
    for algorithm in Registry(GeneratedDetections(())).list():
        schema = result_schema(algorithm)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert "const" in schema["properties"]["task"], f"{algorithm.card.id}: which kind of result?"


def test_results_of_generated_detections_keep_their_schema() -> None:
    checked = 0
    for algorithm in of_pictures(Registry(GeneratedDetections(()))):
        predictor, schema = GeneratedDetections(labels_of(algorithm)), result_schema(algorithm)
        for name, frame in SHAPES:
            try:
                (result,) = infer(algorithm, [frame], {}, predictor)
            except NoTensorsError:
                continue
            body = keeps(schema, result)
            assert body["task"] == schema["properties"]["task"]["const"], (algorithm.card.id, name)
            checked += 1
    assert checked > 50


@pytest.mark.weights
@pytest.mark.media
def test_results_of_every_ready_algorithm_keep_their_schema(
    mirror: Path, media: Path, tmp_path: Path
) -> None:
    store = ModelStore.from_folder(data_folder("models"), cache=tmp_path, mirror=str(mirror))
    with Engine(store, budget_bytes=2**30) as engine:
        ready = [one for one in of_pictures(Registry(engine)) if one.readiness()[0] is Readiness.READY]
        assert ready
        for algorithm in ready:
            schema = result_schema(algorithm)
            for frame in real(media):
                body = keeps(schema, infer(algorithm, [frame], {}, engine, timeout_s=60)[0])
                assert body["task"] == schema["properties"]["task"]["const"], algorithm.card.id


def real(media: Path) -> Iterator[Frame]:
    path = min((media / "images" / "coco").glob("*.jpg"))
    image = cv2.imread(str(path))
    assert image is not None
    yield Frame(image)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that writes and imports the models of an API's description."""

    def make(description: dict[str, Any]) -> ModuleType:
        path = tmp_path_factory.mktemp("generated") / "hub_models.py"
        config = GenerateConfig(
            input_file_type=InputFileType.OpenAPI,
            output=path,
            output_model_type=DataModelType.PydanticV2BaseModel,
            use_annotated=True,
            formatters=[Formatter.RUFF_FORMAT],
        )
        generate(json.dumps(description), config=config)
        spec = importlib.util.spec_from_file_location("hub_models", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["hub_models"] = module
        spec.loader.exec_module(module)
        return module

    return make


def test_generated_clients_are_typed(hub: TestHub, client: TestClient, generated: Any) -> None:
    models = generated(hub.app.openapi())
    answer = models.InferAnswer.model_validate_json(client.post(INFER, content=encoded()).content)
    (result,) = answer.results
    assert type(result) is models.DetectionsOut
    assert result.detections[0].label == "thing"
    cut = models.InferAnswer.model_validate_json(
        client.post(f"{INFER}?fields=boxes", content=encoded()).content
    )
    assert type(cut.results[0]) is models.ColumnsOut
    response = client.post("/v1/infer?algorithms=thing-detection,clip-only", content=encoded())
    many = models.ManyAnswer.model_validate_json(response.content)
    assert type(many.answers[0].results[0]) is models.DetectionsOut
    assert many.answers[1].error.code == "unsupported-type"


def test_the_union_is_told_apart_by_task(hub: TestHub) -> None:
    schemas = hub.app.openapi()["components"]["schemas"]
    whole, cut = schemas["InferAnswer"]["properties"]["results"]["items"]["anyOf"]
    assert whole["discriminator"]["propertyName"] == "task"
    assert cut == {"$ref": "#/components/schemas/ColumnsOut"}
    for task, ref in whole["discriminator"]["mapping"].items():
        name = ref.rpartition("/")[2]
        assert schemas[name]["properties"]["task"]["const"] == task
        assert ("annotated" in schemas[name]["properties"]) is (
            task != "series-analysis"
        )  # numbers are not drawn
