"""The contract of a sink: a place events go to.

A sink is a drop-in: one file under `aihub/events/sinks`, or an entry point of group `aihub.sinks`; a `kind`, pydantic
params, and it registers itself when imported:

    class PrintParams(SinkParams):
        prefix: str = Field("", description="Before each line.")

    class Print(Sink[PrintParams]):
        kind = "print"

        def deliver(self, event):
            print(self.params.prefix, event.type, event.state)

An event is delivered at least once: `event.delivery_id` is the same on every attempt and different for every step.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from aihub.errors import ConfigError, NotFoundError, ParamsError
from aihub.plugins import load_group
from aihub.types import Event
from aihub.types.addresses import AddressGuard

GROUP = "aihub.sinks"


class SinkParams(BaseModel):
    """Base of every sink's parameters: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the hub gives to every sink.

    Attributes:
        out: folder that sinks may write to.
        guard: which addresses they may connect to.
        timeout_s: longest that one delivery may take, seconds.
    """

    out: Path
    guard: AddressGuard = field(default_factory=AddressGuard)
    timeout_s: float = 10.0


P = TypeVar("P", bound=SinkParams)

_kinds: dict[str, type[Sink[Any]]] = {}


class SinkKindNotFoundError(NotFoundError):
    """No sink of that kind is installed."""

    kind = "sink kind"


class Sink(ABC, Generic[P]):
    """One place. Used by several threads at once.

    Attributes:
        kind: what callers name.
        params_type: the pydantic class of its parameters, read from the type argument.
    """

    kind: ClassVar[str]
    params_type: ClassVar[type[SinkParams]] = SinkParams

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in getattr(cls, "__orig_bases__", ()):
            found = [
                part for part in get_args(base) if isinstance(part, type) and issubclass(part, SinkParams)
            ]
            if found:
                cls.params_type = found[0]
        if "kind" in cls.__dict__ and not inspect.isabstract(cls):
            owner = _kinds.get(cls.kind)
            if owner is not None and owner.__module__ != cls.__module__:
                raise ConfigError(
                    f"sink {cls.kind!r} of {cls.__module__} is already owned by {owner.__module__}"
                )
            _kinds[cls.kind] = cls

    def __init__(self, params: P, surroundings: Surroundings) -> None:
        self.params = params
        self.surroundings = surroundings

    @abstractmethod
    def deliver(self, event: Event) -> None:
        """Hand over one step of an event; returning means that it arrived.

        Raises:
            DeliveryError: it did not; `retryable` says whether trying again may help.
        """

    def close(self) -> None:
        """Give back what it holds."""


def sink_type(kind: str) -> type[Sink[Any]]:
    """The sink of that kind.

    Raises:
        SinkKindNotFoundError: no such kind; suggests the nearest.
    """
    load_group(GROUP)
    found = _kinds.get(kind)
    if found is None:
        raise SinkKindNotFoundError(kind, _kinds)
    return found


def sink_kinds() -> list[str]:
    """Kinds that are installed."""
    load_group(GROUP)
    return sorted(_kinds)


def make_sink(kind: str, params: Mapping[str, Any], surroundings: Surroundings) -> Sink[Any]:
    """A sink of a kind; makes no connection yet.

    Raises:
        SinkKindNotFoundError: no such kind.
        ParamsError: a parameter is unknown or wrong; names it.
    """
    chosen = sink_type(kind)
    try:
        checked = chosen.params_type.model_validate(dict(params))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ParamsError(f"{name}: {first['msg']}", field=name) from error
    return chosen(checked, surroundings)
