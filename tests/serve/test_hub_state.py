"""Health, readiness, metrics, the description, and the form of errors."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from aihub import errors
from aihub.errors import AihubError, StorageError
from aihub.serve import probe
from aihub.serve.metrics import join
from aihub.serve.problems import STATUS, body_of, catalogue, field_name, status_of
from aihub.storage.records import ProcessInfo
from aihub.telemetry import exposition
from tests.serve.hub import TestHub, event, failing
from tests.serve.test_infer import problem

SNAPSHOT = Path(__file__).parents[1] / "snapshots" / "openapi.json"


def test_a_process_that_answers_is_alive(anonymous: TestClient) -> None:
    body = anonymous.get("/healthz").json()
    assert body["status"] == "ok"
    assert body["uptime_s"] >= 0


def test_a_hub_is_ready_when_all_its_parts_are(
    hub: TestHub, anonymous: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "FRESH_S", 0.0)

    def missing() -> set[str]:
        response = anonymous.get("/readyz")
        body = response.json()
        assert response.status_code == (200 if body["ready"] else 503)
        return {name for name, check in body["checks"].items() if not check["ok"]}

    assert missing() == {"stream_host"}
    hub.beat(kind="gateway", name="g")
    assert missing() == {"stream_host"}
    hub.beat()
    assert missing() == set()
    hub.sick = "the engine hangs at 10.0.0.1"
    assert missing() == {"engine"}
    assert "10.0.0.1" not in anonymous.get("/readyz").text
    hub.sick = None
    with monkeypatch.context() as patch:
        patch.setattr(hub.repository, "last_seq", failing(StorageError("locked: /home/x")))
        patch.setattr(hub.repository, "live_processes", failing(StorageError("locked: /home/x")))
        assert missing() == {"database", "stream_host"}
        assert "/home/x" not in anonymous.get("/readyz").text
    for card in hub.cards.iterdir():
        card.unlink()
    hub.services.registry.reload()
    assert missing() == {"algorithms"}


def test_asking_often_does_not_ask_the_database_often(
    hub: TestHub, anonymous: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def last_seq() -> int:
        asked.append(time.monotonic())
        return 0

    monkeypatch.setattr(hub.repository, "last_seq", last_seq)
    for _ in range(10):
        anonymous.get("/readyz")
    assert len(asked) <= 1 + int((time.monotonic() - asked[0]) / probe.FRESH_S)


def test_metrics_of_all_processes_are_joined(hub: TestHub, client: TestClient) -> None:
    text = '# HELP aihub_stream_up x\n# TYPE aihub_stream_up gauge\naihub_stream_up{stream="gate"} 1.0\n'
    hub.beat(metrics=text)
    now = time.time()
    hub.repository.heartbeat(
        ProcessInfo("gateway-1", "gateway", socket.gethostname(), os.getpid(), now, now, exposition())
    )
    hub.repository.save_transitions([event(1)])
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    (up,) = families["aihub_stream_up"].samples
    assert up.labels == {"stream": "gate", "process": "host-1"}
    assert {sample.labels["process"] for sample in families["aihub_models_loaded"].samples} == {"gateway-1"}
    rows = {sample.labels["state"]: sample.value for sample in families["aihub_outbox_rows"].samples}
    assert rows == {"pending": 0, "delivered": 0, "dead": 0}


def test_metrics_of_this_process_are_there_without_a_database(
    hub: TestHub, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("/v1/streams")
    monkeypatch.setattr(hub.repository, "live_processes", failing(StorageError("locked")))
    assert "aihub_http_requests_total" in client.get("/metrics").text


def test_families_are_grouped_and_typed_once() -> None:
    counter = '# HELP a_total says \\\\ so\n# TYPE a_total counter\na_total{x="1"} 2.0\n'
    histogram = '# HELP h d\n# TYPE h histogram\nh_bucket{le="+Inf"} 1.0\nh_count 1.0\nh_sum 3.0\n# TYPE h_created gauge\nh_created 1.0\n'
    text = join(
        [("p1", counter + histogram), ("p2", histogram + counter), ("p3", "a{ broken"), ("p1", "ignored 1\n")]
    )
    lines = text.splitlines()
    assert lines.count("# TYPE a_total counter") == 1
    assert lines.count("# TYPE h histogram") == 1
    assert "created" not in text
    assert 'a_total{process="p1",x="1"} 2.0' in lines
    assert 'h_bucket{le="+Inf",process="p2"} 1.0' in lines
    assert "ignored" not in text
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families))


def test_processes_that_disagree_about_a_type_do_not_mix() -> None:
    text = join([("new", "# TYPE a gauge\na 1.0\n"), ("old", "# TYPE a histogram\na_count 5.0\n")])
    assert text.count("# TYPE a ") == 1
    assert "a_count" not in text


@pytest.mark.parametrize(
    ("location", "name"),
    [
        (("body", "tasks", 0, "params", "zone"), "tasks[0].params.zone"),
        (("query", "limit"), "limit"),
        (("body",), "body"),
        ((), ""),
        (("body", 3), "body[3]"),
        (("severities", 1), "severities[1]"),
    ],
)
def test_fields_are_named_as_paths(location: tuple[int | str, ...], name: str) -> None:
    assert field_name(location) == name


def test_every_error_has_a_status_a_code_and_a_meaning(client: TestClient) -> None:
    rows = catalogue()
    codes = [row["code"] for row in rows]
    assert len(codes) == len(set(codes))
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, AihubError) and kind is not AihubError:
            assert any(row["title"] for row in rows if row["status"] == status_of(kind)), name
    assert client.get("/docs/errors").json()["items"] == rows
    assert all(400 <= status < 600 for status in STATUS.values())


def test_errors_about_the_inside_say_only_that_they_happened() -> None:
    body = body_of(errors.SessionError("at /home/x", hint="look there", field="y"))
    assert "/home/x" not in json.dumps(body)
    assert "hint" not in body
    assert body["code"] == "session"


def test_errors_of_the_framework_are_problems_too(client: TestClient) -> None:
    problem(client.get("/v1/nothing"), 404, "not-found")
    response = client.put("/v1/streams")
    problem(response, 405, "method-not-allowed")
    assert response.headers["allow"]
    problem(
        client.post("/v1/streams", content=b"{", headers={"Content-Type": "application/json"}), 422, "params"
    )


def test_a_locked_database_is_said_to_be_one(
    hub: TestHub, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.repository, "list_streams", failing(StorageError("the database did not answer")))
    response = client.get("/v1/streams")
    problem(response, 503, "storage")
    assert int(response.headers["retry-after"]) >= 1


def test_an_unforeseen_error_shows_nothing(
    hub: TestHub, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.repository, "list_streams", failing(RuntimeError("secret")))
    response = client.get("/v1/streams")
    problem(response, 500, "internal")
    assert "secret" not in response.text


def test_the_description_is_what_it_was(hub: TestHub, client: TestClient) -> None:
    """Refresh with `AIHUB_UPDATE_SNAPSHOTS=1 pytest tests/serve/test_hub_state.py`, and look at the difference."""
    described = client.get("/openapi.json").json()
    described["info"]["version"] = "x"
    text = json.dumps(described, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("AIHUB_UPDATE_SNAPSHOTS"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert text == SNAPSHOT.read_text(encoding="utf-8"), "the API changed: see the docstring of this test"


def test_the_description_holds_together(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    schemas = described["components"]["schemas"]

    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*map(references, node.values()))
        return set().union(*map(references, node)) if isinstance(node, list) else set()

    for reference in references(described):
        assert reference.removeprefix("#/components/schemas/") in schemas, reference
    names = [op["operationId"] for ops in described["paths"].values() for op in ops.values()]
    assert len(names) == len(set(names))
    assert not any("_" in name for name in names)
    for operations in described["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert operation["tags"]
    whole, columns = schemas["InferAnswer"]["properties"]["results"]["items"]["anyOf"]
    assert columns == {"$ref": "#/components/schemas/ColumnsOut"}
    assert set(whole["discriminator"]["mapping"]) == {
        "object-detection", "text-recognition", "code-reading", "picture-quality", "rule", "classification",
        "field-extraction", "semantic-segmentation", "picture", "series-analysis",
    }  # fmt: skip
