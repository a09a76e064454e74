"""A gRPC face without Ray, and the plainest client there is: bytes of our own messages over a channel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc

from aihub.engine import Engine, ModelStore
from aihub.serve.app import create_app
from aihub.serve.cluster import free_port
from aihub.serve.grpc.face import GrpcFace
from aihub.serve.grpc.schema import ANSWERS, REQUESTS, SERVICE
from tests.engine.tiny import card_for, double_graph
from tests.serve.hub import TestHub

TIMEOUT_S = 20.0


class Served:
    """A hub with one raw model (`double`: x (n, 3) -> y), its face, and a key with the scope `infer`."""

    def __init__(self, hub: TestHub, folder: Path) -> None:
        self.hub = hub
        store = ModelStore([card_for(folder, "double", double_graph())], cache=folder / "cache")
        self.engine = Engine(store, threads=2, profiles=folder / "profiles")
        self.services = replace(hub.services, engine=self.engine)
        self.parts = create_app(self.services).state.parts
        self.port = free_port()
        self.face = GrpcFace("127.0.0.1", self.port, self.parts)
        self.key = hub.key("infer")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def close(self) -> None:
        self.face.close()
        self.parts.workers.close()
        self.engine.close()


def call(
    served: Served,
    method: str,
    request: Any = None,
    *,
    data: bytes | None = None,
    metadata: dict[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
    compression: grpc.Compression | None = None,
) -> Any:
    """One unary call. `data` goes as it is; without metadata the key is sent."""
    given = served.headers if metadata is None else metadata
    body = data if data is not None else (request or REQUESTS[method]()).SerializeToString()
    with grpc.insecure_channel(served.address) as channel:
        ask = channel.unary_unary(f"/{SERVICE}/{method}")
        answer = ask(body, timeout=timeout_s, metadata=[*given.items()], compression=compression)
    return ANSWERS[method].FromString(answer)


def refused(served: Served, method: str, request: Any = None, **how: Any) -> grpc.RpcError:
    """The error of a call that fails."""
    try:
        call(served, method, request, **how)
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"{method} was answered")
