"""What a name stands for: common face of raw models and of algorithms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from aihub.algorithms.registry import Registry
from aihub.engine.engine import Engine
from aihub.engine.signature import Signatures
from aihub.serve.admission import Admission
from aihub.serve.oip.counts import Tallies
from aihub.serve.oip.messages import InferRequest, Tensor
from aihub.serve.oip.slots import Face
from aihub.serve.security import Caller
from aihub.serve.services import Services
from aihub.serve.workers import Gone, Workers


@dataclass(frozen=True, slots=True)
class Ground:
    """What both kinds stand on.

    Attributes:
        services: as handed to the app.
        admission: lets requests in and books them.
        workers: threads for what computes in Python.
        tallies: counts requests.
        engine: runs raw models; None in a process without one.
        signatures: what models take and give.
    """

    services: Services
    admission: Admission
    workers: Workers
    tallies: Tallies
    engine: Engine | None
    signatures: Signatures | None

    @property
    def registry(self) -> Registry:
        """The algorithms."""
        return self.services.registry


@dataclass(frozen=True, slots=True)
class Ask:
    """One inference on its way.

    Attributes:
        caller: who asks.
        request: for what.
        timeout_s: seconds it may take.
        gone: done when the client went away.
    """

    caller: Caller
    request: InferRequest
    timeout_s: float
    gone: Gone | None

    @property
    def source(self) -> str:
        """Whom the engine's queues are fair to."""
        return f"{self.caller.tenant}/{self.caller.key_id}"


class Served(ABC):
    """A model or an algorithm under its name.

    Attributes:
        name: what callers say.
        version: of its card.
        platform: as metadata tells it.
        backend: as configurations tell it.
    """

    platform: ClassVar[str]
    backend: ClassVar[str]

    def __init__(self, name: str, version: int, ground: Ground) -> None:
        self.name, self.version, self.ground = name, str(version), ground

    @abstractmethod
    def missing(self) -> str:
        """Why it cannot answer now and what to do; empty when it can. Cheap."""

    @abstractmethod
    async def face(self) -> Face:
        """What it takes and gives.

        Raises:
            ModelError: its graph cannot be read, or is not here.
        """

    @abstractmethod
    def run(self, ask: Ask) -> AbstractAsyncContextManager[dict[str, Tensor]]:
        """Compute; every output by name, in the order of answers. Counts what it took.

        The request stays admitted until the block ends: whatever fails there is booked with it.

        Raises:
            InputError: an input, output or parameter is wrong; names it.
            AihubError: as `OipService.infer`.
        """

    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """Names of classes, for the classification extension."""

    @abstractmethod
    def models(self) -> tuple[str, ...]:
        """Names or roles of the models behind it."""

    async def metadata(self) -> dict[str, Any]:
        """As the protocol says it."""
        face = await self.face()
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": self.platform,
            "inputs": [slot.metadata() for slot in face.inputs],
            "outputs": [slot.metadata() for slot in face.outputs],
        }

    async def config(self) -> dict[str, Any]:
        """As Triton says it."""
        face = await self.face()
        batched = face.most > 0
        return {
            "name": self.name,
            "platform": self.platform,
            "backend": self.backend,
            "version_policy": {"specific": {"versions": [int(self.version)]}},
            "max_batch_size": face.most,
            "input": [slot.config(batched=batched) for slot in face.inputs],
            "output": [slot.config(batched=batched) for slot in face.outputs],
            "instance_group": [{"name": self.name, "kind": "KIND_AUTO", "count": 1}],
            "model_transaction_policy": {"decoupled": False},
        }
