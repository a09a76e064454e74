"""Everything the API's description allows, and much that it does not, sent with keys of every scope: no breach, no 5xx.

`AIHUB_SCHEMATHESIS_EXAMPLES` says how many requests each operation gets of each kind (right and wrong); 8 by default.
"""

from __future__ import annotations

import base64
import dataclasses
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode
from schemathesis.python import asgi

from aihub.serve.fetching import Fetcher
from aihub.serve.live import Listener, LiveFeed
from aihub.serve.security import SCOPES
from aihub.storage.repository import Repository
from aihub.types import Event, StreamSpec
from aihub.types.addresses import AddressGuard, UnresolvedError
from tests.serve.hub import TestHub, bearer, encoded, event

EXAMPLES = int(os.environ.get("AIHUB_SCHEMATHESIS_EXAMPLES", "8"))
NAMES = (
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
MEANT = {501, 503, 504}
"""What may be answered where it is described: not offered, weights or readiness missing, not done in time."""
PICTURE = encoded("jpg", 16, 12)
KNOWN = {
    "algorithm_id": st.sampled_from(["thing-detection", "absent-detection", "sound-only"]),
    "model": st.sampled_from(["thing-detection", "coco"]),
    "name": st.sampled_from(["thing-detection", "coco"]),
    "stream_id": st.just("gate"),
    "event_id": st.just(event(1).id),
}
"""Names that exist, so that not everything ends with 404."""

for kind in ("jpeg", "png", "webp", "bmp"):
    schemathesis.openapi.media_type(f"image/{kind}", st.sampled_from([PICTURE, PICTURE[:50], b""]))


def nowhere(host: str, _port: int) -> list[str]:
    """No name leads anywhere: tests need no network."""
    raise UnresolvedError(f"the host {host!r} is unknown")


class EndedFeed(LiveFeed):
    """Every listener hears that it is over."""

    @asynccontextmanager
    async def listen(self, wants: Callable[[Event], bool]) -> AsyncIterator[tuple[Listener, int]]:
        """As the real one, ended at once."""
        async with super().listen(wants) as (listener, since):
            listener.end()
            yield listener, since


@pytest.fixture(scope="module")
def served(
    database_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TestHub, dict[str, str]]]:
    """A hub for all operations, and a key for each scope."""
    folder = tmp_path_factory.mktemp("schemathesis")
    shutil.copyfile(database_template, folder / "aihub.db")
    repository = Repository.open(f"sqlite:///{folder / 'aihub.db'}", timeout_s=5)
    hub = TestHub(repository, folder)
    guard = AddressGuard(resolver=nowhere)
    repository.add_stream(StreamSpec(id="gate", url="rtsp://127.0.0.1/x"))
    repository.save_transitions([event(1)])
    parts = hub.app.state.parts
    parts.fetcher.close()
    hub.app.state.parts = dataclasses.replace(
        parts,
        cameras=guard,
        webhooks=guard,
        fetcher=Fetcher(guard),
        live=EndedFeed(
            lambda seq, limit: repository.transitions_after(seq, limit=limit),
            repository.last_seq,
            poll_s=0.05,
        ),
    )
    keys = {scope: hub.key(scope) for scope in SCOPES} | {"none": hub.key()}
    yield hub, keys
    asgi.shutdown_lifespans()
    hub.app.state.parts.fetcher.close()
    repository.close()


@pytest.mark.timeout(300 + 20 * EXAMPLES)
def test_no_operation_breaks_its_description(
    served: tuple[TestHub, dict[str, str]], subtests: pytest.Subtests
) -> None:
    hub, keys = served
    schema = schemathesis.openapi.from_dict(hub.app.openapi())
    found: list[Any] = list(schema.get_all_operations())
    operations = [one.ok() for one in found]
    assert len(operations) >= 24
    app: Any = hub.app
    with asgi.get_client(app, max_stream_events=1) as client:
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                with subtests.test(f"{operation.label} {mode.value}"):
                    try_operation(operation, mode, client, keys)


def try_operation(operation: Any, mode: GenerationMode, client: Any, keys: dict[str, str]) -> None:
    checks = CHECKS.get_by_names(list(NAMES))

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=EXAMPLES <= 8,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        operation.as_strategy(generation_mode=mode),
        st.sampled_from(["right", "right", *keys]),
        st.fixed_dictionaries(KNOWN),
        st.booleans(),
    )
    def tried(case: Any, scope: str, known: dict[str, str], exists: bool) -> None:
        if exists:
            lead_somewhere(case, known)
        key = keys[right_scope(operation) if scope == "right" else scope]
        response = case.call(session=client, headers=bearer(key))
        said = f"{case.method} {response.request.url}: {response.status_code} {response.text[:500]}"
        assert response.status_code < 500 or response.status_code in MEANT, said
        case.validate_response(response, checks=checks)

    if mode is GenerationMode.NEGATIVE:
        with suppress(Unsatisfiable):  # an operation that takes nothing cannot be asked wrongly
            tried()
    else:
        tried()


def right_scope(operation: Any) -> str:
    """The scope that most of an operation's kind needs; an administrator's key opens the rest."""
    path = operation.path
    for scope, starts in {
        "infer": ("/v1/algorithms", "/v1/infer", "/v1/echo", "/v1/audio", "/v1/jobs", "/v2"),
        "streams": ("/v1/streams",),
        "events": ("/v1/events", "/v1/feedback", "/v1/sinks"),
    }.items():
        if path.startswith(starts):
            return scope
    return "admin"


def lead_somewhere(case: Any, known: dict[str, str]) -> None:
    """Put names that exist into a request, and a picture where one belongs."""
    for name in case.path_parameters or {}:
        if name in known:
            case.path_parameters[name] = known[name]
    if isinstance(case.body, dict) and "images" in case.body:
        case.body["images"] = [base64.b64encode(PICTURE).decode()]
        if "algorithms" in case.body:
            case.body["algorithms"] = ["thing-detection", known["algorithm_id"]]
