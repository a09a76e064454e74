"""Models and algorithms as the protocol sees them: what there is, what it takes and gives, and running it.

Parameters of a request: `timeout` (microseconds); for algorithms their own parameters, and `pixel_format` (`BGR`, which is
meant where nothing is said, or `RGB`) and `content_type` (`base64`) of the input `image`. Others that the protocol's servers
know (`sequence_*`, `priority`, `triton_*`) are passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aihub.algorithms.algorithm import Algorithm
from aihub.engine.signature import Signatures
from aihub.errors import ConflictError, ModelNotFoundError, WeightsMissingError
from aihub.serve.admission import Admission
from aihub.serve.audio.desk import SoundDesk
from aihub.serve.oip.algorithm_models import AlgorithmModel
from aihub.serve.oip.card_model import CardModel
from aihub.serve.oip.classification import classes_wanted, classified
from aihub.serve.oip.counts import Tallies, engine_tallies
from aihub.serve.oip.messages import InferRequest, InferResponse
from aihub.serve.oip.raw_models import RawModel
from aihub.serve.oip.reading_models import SeriesModel, TextModel
from aihub.serve.oip.requests import timeout_of
from aihub.serve.oip.served import Ask, Ground, Served
from aihub.serve.oip.slots import ordered
from aihub.serve.oip.sound_models import SoundModel
from aihub.serve.security import Caller
from aihub.serve.services import Services
from aihub.serve.workers import Gone, Workers
from aihub.types import InputKind

EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_repository",
    "model_configuration",
    "statistics",
    "parameters",
)
LOAD_S = 120.0


class OipService:
    """Both faces of the protocol (HTTP and gRPC) ask this. Results are plain values in the protocol's JSON form.

    Names that the caller has no grant for answer as if nobody knew them.

    Args:
        services: what the app stands on.
        admission: lets requests in and books them.
        workers: threads for what computes in Python.
        sound: where recordings are worked on.
        is_ready: whether the hub can be used; may block.
    """

    def __init__(
        self,
        services: Services,
        admission: Admission,
        workers: Workers,
        sound: SoundDesk,
        is_ready: Callable[[], bool],
    ) -> None:
        engine = services.engine
        signatures = Signatures(engine.store) if engine is not None else None
        self._ground = Ground(services, admission, workers, Tallies(), engine, signatures)
        self._is_ready, self._sound = is_ready, sound
        self._models: dict[str, RawModel] = {}
        if engine is not None and signatures is not None:
            self._models = {
                card.name: RawModel(card, engine, signatures, self._ground) for card in engine.store.cards()
            }
        self._algorithms: dict[str, CardModel] = {}

    def server_metadata(self) -> dict[str, Any]:
        """`{"name", "version", "extensions"}`."""
        return {"name": "aihub", "version": self._ground.services.version, "extensions": [*EXTENSIONS]}

    def live(self) -> bool:
        """Whether the process answers."""
        return True

    async def ready(self) -> bool:
        """Whether it can compute and its database answers."""
        return await asyncio.to_thread(self._is_ready)

    def model_ready(self, caller: Caller, name: str, version: str = "") -> bool:
        """Whether it would answer now: its weights are here. It need not be in memory: the first request loads it.

        Raises:
            ModelNotFoundError: no such name or version.
        """
        return not self._find(caller, name, version).missing()

    def known(self, caller: Caller, name: str, version: str = "") -> None:
        """Pass if the caller may name this.

        Raises:
            ModelNotFoundError: no such name or version.
        """
        self._find(caller, name, version)

    def why_not_ready(self, caller: Caller, name: str, version: str = "") -> str:
        """What it lacks and the command that brings it; empty when it is ready.

        Raises:
            ModelNotFoundError: no such name or version.
        """
        return self._find(caller, name, version).missing()

    async def model_metadata(self, caller: Caller, name: str, version: str = "") -> dict[str, Any]:
        """`{"name", "versions", "platform", "inputs": [{"name", "datatype", "shape"}], "outputs"}`; -1 is any size.

        Raises:
            ModelNotFoundError: no such name or version.
            ModelError: a model whose graph is not here, or cannot be read.
        """
        return await self._find(caller, name, version).metadata()

    async def model_config(self, caller: Caller, name: str, version: str = "") -> dict[str, Any]:
        """Triton's model configuration, as far as it has a meaning here.

        Raises:
            ModelNotFoundError: no such name or version.
            ModelError: a model whose graph is not here, or cannot be read.
        """
        return await self._find(caller, name, version).config()

    @asynccontextmanager
    async def infer(
        self,
        caller: Caller,
        request: InferRequest,
        timeout_s: float,
        *,
        gone: Gone | None = None,
    ) -> AsyncIterator[InferResponse]:
        """Run a model or an algorithm. The answer is to be written in the block, for only its end is the request's end.

        Args:
            caller: who asks.
            request: what; its parameter `timeout` (microseconds) shortens `timeout_s`.
            timeout_s: longest it may take.
            gone: completes when the client went away, see `Workers.run`; queued work is then dropped.

        Raises:
            ModelNotFoundError: no such name or version.
            InputError: an input, output or parameter is wrong; names it.
            CapacityError: not now, or not in time.
            ModelError: weights are missing, or the model failed.
            ClientDisconnect: `gone` was done first.
        """
        served = self._find(caller, request.model, request.version)
        with self._ground.tallies.request(served.name):
            ask = Ask(caller, request, timeout_of(request.parameters, timeout_s), gone)
            async with served.run(ask) as made:
                outputs = ordered(made, request.outputs)
                if any(map(classes_wanted, request.outputs)):
                    work = partial(classified, outputs, request.outputs, served.labels())
                    outputs = await self._ground.workers.run(
                        work, ask.timeout_s, tenant=caller.tenant, gone=gone
                    )
                yield InferResponse(served.name, served.version, request.id, outputs=outputs)

    def statistics(self, caller: Caller, name: str | None = None, version: str = "") -> dict[str, Any]:
        """`{"model_stats": [...]}` in Triton's form, of this process since it started.

        Raises:
            ModelNotFoundError: no such name or version.
        """
        asked = self._visible(caller) if name is None else [self._find(caller, name, version)]
        engine = engine_tallies()
        tallies = self._ground.tallies
        return {
            "model_stats": [
                tallies.to_json(
                    one.name, one.version, engine.get(one.name) if isinstance(one, RawModel) else None
                )
                for one in asked
            ]
        }

    def repository_index(self, caller: Caller, *, ready: bool = False) -> list[dict[str, Any]]:
        """`[{"name", "version", "state", "reason"}]`, state READY or UNAVAILABLE; only those that are ready if asked."""
        rows = [(one, one.missing()) for one in self._visible(caller)]
        return [
            {
                "name": one.name,
                "version": one.version,
                "state": "UNAVAILABLE" if reason else "READY",
                "reason": reason,
            }
            for one, reason in rows
            if not (ready and reason)
        ]

    def names(self, caller: Caller) -> list[str]:
        """Every name that the caller may use."""
        return [one.name for one in self._visible(caller)]

    async def load(self, caller: Caller, name: str) -> None:
        """Bring a model, or the models of an algorithm, into this process's memory.

        Raises:
            ForbiddenError: needs the scope `admin`.
            ModelNotFoundError: no such name.
            ModelError, CapacityError: it cannot be loaded.
        """
        caller.require("admin")
        served = self._find(caller, name, "")
        if reason := served.missing():
            raise WeightsMissingError(f"{name} cannot be loaded: {reason}")
        engine = self._ground.engine
        if engine is not None and served.models():
            await asyncio.to_thread(engine.warm, served.models(), LOAD_S)

    async def unload(self, caller: Caller, name: str, *, dependents: bool = False) -> None:
        """Give a model's memory back; of an algorithm only with `dependents`, since its models may serve others.

        It stays ready: the next request loads it again.

        Raises:
            ForbiddenError: needs the scope `admin`.
            ModelNotFoundError: no such name.
            ConflictError: it was in use all the time.
        """
        caller.require("admin")
        served = self._find(caller, name, "")
        engine = self._ground.engine
        if engine is None or (not isinstance(served, RawModel) and not dependents):
            return
        for model in served.models():
            if not await asyncio.to_thread(engine.unload, model):
                raise ConflictError(f"{model} is in use", hint="try again when fewer requests come")

    def _find(self, caller: Caller, name: str, version: str) -> Served:
        served = self._known(name) if caller.may_use(name) else None
        if served is None:
            raise ModelNotFoundError(name[:64], self.names(caller))
        if version not in ("", served.version):
            raise ModelNotFoundError(f"{name} version {version[:16]}", [f"{name} version {served.version}"])
        return served

    def _known(self, name: str) -> Served | None:
        """Of an algorithm and a model of one name, the algorithm."""
        for algorithm in self._ground.registry.list():
            if algorithm.card.id == name:
                known = self._algorithms.get(name)
                if known is None or known.algorithm is not algorithm:  # its card was read again
                    known = self._algorithms[name] = self._made(algorithm)
                return known
        return self._models.get(name)

    def _made(self, algorithm: Algorithm) -> CardModel:
        kinds = algorithm.card.input
        if InputKind.AUDIO in kinds and InputKind.IMAGE not in kinds:
            return SoundModel(algorithm, self._sound, self._ground)
        if InputKind.TEXT in kinds and InputKind.IMAGE not in kinds:
            return TextModel(algorithm, self._ground)
        if InputKind.SERIES in kinds and InputKind.IMAGE not in kinds:
            return SeriesModel(algorithm, self._ground)
        return AlgorithmModel(algorithm, self._ground)

    def _visible(self, caller: Caller) -> list[Served]:
        names = dict.fromkeys([algorithm.card.id for algorithm in self._ground.registry.list()])
        names |= dict.fromkeys(self._models)
        found = [self._known(name) for name in names if caller.may_use(name)]
        return [one for one in found if one is not None]
