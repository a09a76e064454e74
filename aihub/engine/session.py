"""What a loaded model is to the rest of the engine, whichever runtime carries it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np

from aihub.types import Tensor

Feeds = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph; a size of None is free."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a graph is run. The tuner measures these; a profile is one of them.

    Attributes:
        backend: name of a backend, see `aihub.engine.backends.backends`.
        precision: `f32`, or `bf16` / `f16` where the backend has them.
        threads: cores that one run uses.
        parallel: runs at once on the session.
        batch: most items in one run; 0 leaves the graph's first side as it is and runs items alone.
        spinning: whether idle threads of a run burn their core to wake up sooner.
    """

    backend: str = "onnxruntime"
    precision: str = "f32"
    threads: int = 1
    parallel: int = 1
    batch: int = 0
    spinning: bool = False

    def __str__(self) -> str:
        batch = f", batch {self.batch}" if self.batch > 1 else ""
        return f"{self.backend} {self.precision}, {self.threads} threads x {self.parallel} at once{batch}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """The way back from `to_json`.

        Raises:
            ValueError: an unknown or missing field, or one of the wrong type or range.
        """
        kinds = {field.name: type(field.default) for field in fields(cls)}
        if set(body) != set(kinds):
            raise ValueError(f"run settings have the fields {sorted(kinds)}, but got {sorted(body)}")
        for name, kind in kinds.items():
            if type(body[name]) is not kind:
                raise ValueError(f"{name} must be {kind.__name__}, but is {body[name]!r}")
        settings = cls(**body)
        if settings.threads < 1 or settings.parallel < 1 or settings.batch < 0:
            raise ValueError(f"threads and parallel are at least 1, batch at least 0, but got {settings}")
        return settings


class Session(ABC):
    """A graph loaded into a runtime. `run` may be called from several threads at once.

    Attributes:
        inputs: what it takes.
        outputs: what it gives.
        attached: what really runs it, for people: `onnxruntime CPUExecutionProvider`.
        transient: whether outputs are overwritten by the same thread's next run; copy what must outlive it.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    attached: str
    transient: bool = False

    @abstractmethod
    def run(self, feeds: Feeds) -> dict[str, Tensor]:
        """Run once.

        Args:
            feeds: contiguous arrays by input name, of the ports' types and shapes.

        Returns:
            Outputs by name.

        Raises:
            SessionError: the runtime refused the inputs or failed.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the memory back. Nothing may be running."""

    @property
    def batchable(self) -> bool:
        """Whether the first side of every input and output is free, so that items can share a run."""
        return all(port.shape and port.shape[0] is None for port in (*self.inputs, *self.outputs))


class Backend(ABC):
    """A runtime that is installed here.

    Attributes:
        name: what settings and profiles call it.
        accelerator: whether runs happen beside the CPU, so that they take none of its cores.
    """

    name: str
    accelerator: bool = False

    @abstractmethod
    def precisions(self) -> tuple[str, ...]:
        """What this machine computes in; `f32` first."""

    @abstractmethod
    def load(self, model: bytes, settings: RunSettings) -> Session:
        """Make a session.

        Args:
            model: an ONNX file.
            settings: with a `batch` of 1 a free first side of a single-input graph is fixed to 1, which runtimes
                make faster code for.

        Raises:
            SessionError: the runtime refuses the graph, or what was asked for did not attach.
        """
