"""A hub without Ray: the real app on a real database, with a predictor that needs no weights."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI

from aihub.algorithms.inference import infer
from aihub.algorithms.registry import Registry
from aihub.errors import AihubError
from aihub.events.evidence import ArtifactFolder
from aihub.serve.app import create_app
from aihub.serve.live_pictures import LivePictures
from aihub.serve.own_cards import OwnCards
from aihub.serve.security import new_key
from aihub.serve.services import Services
from aihub.settings import Settings
from aihub.storage.records import ProcessInfo, Tenant
from aihub.storage.repository import Repository
from aihub.types import Bill, Detections, Event, EventState, Frame, Image, Severity, Tensor

CARDS = {
    "thing-detection": """
id: thing-detection
title: {en: Things, zh: 物体}
summary: Finds one thing in the upper left quarter.
domain: demo
input: [image, video]
params:
  confidence: {type: number, default: 0.3, minimum: 0, maximum: 1, description: Least confidence.}
  names: {type: strings, default: [], description: Unused list.}
  zone: {type: polygon, default: [[0, 0], [1, 0], [1, 1]], description: Unused polygon.}
  sharp: {type: boolean, default: false, description: Unused switch.}
  count: {type: integer, default: 1, minimum: 1, maximum: 9, description: Unused number.}
stages:
  - detect: {model: coco}
  - filter: {confidence: $confidence}
event: {type: thing, severity: warning}
examples: [{media: "drawn:thing", expect: {labels: [thing]}, evidence: synthetic}]
intended_use: tests
limits: finds the same thing everywhere
""",
    "absent-detection": """
id: absent-detection
title: {en: Absent, zh: 缺}
summary: Its weights are not here.
domain: demo
input: [image]
stages: [{detect: {model: absent}}]
examples: [{media: "drawn:thing", expect: {}, evidence: real}]
intended_use: tests
limits: none
""",
    "clip-only": """
id: clip-only
title: {en: Clips, zh: 片段}
summary: Looks at clips only.
domain: other
input: [video]
stages: [{detect: {model: coco}}]
examples: [{media: "drawn:thing", expect: {}, evidence: synthetic}]
intended_use: tests
limits: none
""",
    "sound-only": """
id: sound-only
title: {en: Sound, zh: 声音}
summary: Does not look at pictures.
domain: other
input: [audio]
stages: [{detect: {model: coco}}]
examples: [{media: "drawn:thing", expect: {}, evidence: synthetic}]
intended_use: tests
limits: none
""",
}


class FakePredictor:
    """Finds one thing in the upper left quarter of every picture. `before` may wait or raise."""

    def __init__(self) -> None:
        self.before: Callable[[Frame], None] = lambda _frame: None
        self.sources: list[str] = []

    def detect(
        self,
        model: str,
        frame: Frame,
        *,
        confidence: float = 0.1,
        source: str = "",
        deadline: float | None = None,
    ) -> Future[Detections]:
        future: Future[Detections] = Future()
        self.sources.append(source)
        try:
            self.before(frame)
        except Exception as error:
            future.set_exception(error)
            return future
        box = np.array([[0, 0, frame.width / 2, frame.height / 2]], np.float32)
        future.set_result(Detections(box, np.array([0.75], np.float32), np.zeros(1, np.int32), ("thing",)))
        return future

    def run(
        self,
        model: str,
        inputs: Mapping[str, Tensor],
        *,
        source: str = "",
        deadline: float | None = None,
        bill: Bill | None = None,
    ) -> Future[dict[str, Tensor]]:
        raise NotImplementedError

    def metadata(self, model: str) -> Mapping[str, str]:
        return {}

    def missing(self, models: Sequence[str]) -> list[str]:
        return [model for model in models if model == "absent"]


class TestHub:
    """The parts of a hub under test, and the keys to it."""

    __test__ = False

    def __init__(self, repository: Repository, folder: Path, **settings: object) -> None:
        self.repository = repository
        self.predictor = FakePredictor()
        self.artifacts = ArtifactFolder(folder / "artifacts")
        self.pictures = LivePictures(folder / "artifacts")
        self.sick: str | None = None
        cards = folder / "pipelines"
        cards.mkdir()
        for name, text in CARDS.items():
            (cards / f"{name}.yaml").write_text(text, encoding="utf-8")
        self.cards = cards
        own = folder / "cards" / "pipelines"
        registry = Registry(self.predictor, [cards, own])
        self.services = Services(
            settings=Settings(home=folder, **settings),  # type: ignore[arg-type]
            registry=registry,
            predictor=self.predictor,
            repository=repository,
            artifacts=self.artifacts,
            infer=infer,
            health=lambda: self.sick,
            own_cards=OwnCards(repository, registry, self.predictor, own),
        )
        self.app: FastAPI = create_app(self.services)

    def key(self, *scopes: str, tenant: str = "default", expires_at: float | None = None) -> str:
        """A fresh key with these scopes; its tenant may use everything unless it was made before."""
        if self.repository.find_tenant(tenant) is None:
            self.repository.add_tenant(Tenant(tenant, algorithms=("*",), stream_groups=("*",)))
        key, hashed, prefix = new_key()
        self.repository.add_key(
            name="test", key_hash=hashed, prefix=prefix, scopes=scopes, tenant=tenant, expires_at=expires_at
        )
        return key

    def beat(self, kind: str = "stream-host", metrics: str = "", name: str = "host-1") -> None:
        """A heartbeat of another process."""
        now = time.time()
        self.repository.heartbeat(ProcessInfo(name, kind, "elsewhere", 1, now, now, metrics))


def bearer(key: str) -> dict[str, str]:
    """Headers with a key."""
    return {"Authorization": f"Bearer {key}"}


def picture(width: int = 64, height: int = 48) -> Image:
    """A picture that is not the same everywhere."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // max(width, 2), y * 255 // max(height, 2), (x + y) % 256], axis=-1).astype(
        np.uint8
    )


def encoded(kind: str = "jpg", width: int = 64, height: int = 48) -> bytes:
    """The same as a file."""
    done, data = cv2.imencode(f".{kind}", picture(width, height))
    assert done
    return data.tobytes()


def event(number: int = 1, **changes: object) -> Event:
    """An event that has just opened."""
    fields: dict[str, object] = {
        "id": f"00000000-0000-7000-8000-{number:012d}",
        "revision": 1,
        "state": EventState.OPENED,
        "type": "thing",
        "severity": Severity.ALERT,
        "stream_id": "gate",
        "task_id": "thing-detection",
        "algorithm": "thing-detection",
        "algorithm_version": 1,
        "key": f"track/{number}",
        "label": "thing",
        "confidence": 0.9,
        "started_at": 1000.0 + number,
        "updated_at": 1000.0 + number,
    }
    return Event.model_validate(fields | changes)


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Signals belong to pytest."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to pytest."""
        yield


@contextmanager
def serving(app: FastAPI, port: int = 0) -> Iterator[str]:
    """The app on a real socket of this machine; gives its address."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < until, "the server did not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def failing(error: AihubError | Exception) -> Callable[..., None]:
    """A callable that raises."""

    def fail(*_args: object, **_named: object) -> None:
        raise error

    return fail
