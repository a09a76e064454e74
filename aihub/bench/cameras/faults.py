"""What can be wrong with a camera, on command.

A fault is set on a camera and seen by all its clients. It travels between processes as a line of text, for example
`corrupt probability=0.1 seed=7`, in an RTSP SET_PARAMETER; see `aihub.bench.cameras.remote`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from aihub.bench.cameras.rtp import Buffer
from aihub.errors import ParamsError

PARAMETER = "aihub-fault"
"""Name of the RTSP parameter that carries a fault."""

_MODEL = ConfigDict(frozen=True, extra="forbid")


class Freeze(BaseModel):
    """The stream goes on and shows the same picture again and again."""

    model_config = _MODEL
    kind: Literal["freeze"] = "freeze"


class Drop(BaseModel):
    """The camera goes silent.

    Attributes:
        close: end the connections and answer new requests with 503, as a camera that restarts.
        deaf: requests are taken and never answered.
    """

    model_config = _MODEL
    kind: Literal["drop"] = "drop"
    close: bool = False
    deaf: bool = False


class Corrupt(BaseModel):
    """Packets arrive damaged, or not at all.

    Attributes:
        probability: share of the packets hit, 0..1.
        lost: share of those that are lost and not damaged, 0..1.
        seed: the same seed hits the same packets.
    """

    model_config = _MODEL
    kind: Literal["corrupt"] = "corrupt"
    probability: float = Field(0.05, ge=0, le=1)
    lost: float = Field(0.5, ge=0, le=1)
    seed: int = 0


class Slow(BaseModel):
    """Pictures come slower than they are due, then all that is late at once, again and again.

    Attributes:
        rate: share of real time at which they come, 0 < rate < 1.
        period_s: seconds from burst to burst.
    """

    model_config = _MODEL
    kind: Literal["slow"] = "slow"
    rate: float = Field(0.3, gt=0, lt=1)
    period_s: float = Field(4.0, gt=0, le=600)

    def delayed(self, since: float) -> float:
        """When something due `since` seconds after the fault began is sent, on the same scale."""
        begin = since - since % self.period_s
        return begin + min((since - begin) / self.rate, self.period_s)


class Jump(BaseModel):
    """The camera's clock is set: the times in its packets and reports jump, and back when it is mended.

    Attributes:
        seconds: how far, forward or back.
    """

    model_config = _MODEL
    kind: Literal["jump"] = "jump"
    seconds: float = Field(-3600.0, ge=-86400, le=86400)


Fault = Freeze | Drop | Corrupt | Slow | Jump
KINDS = ("freeze", "drop", "corrupt", "slow", "jump")
_ADAPTER: TypeAdapter[Fault] = TypeAdapter(Annotated[Fault, Field(discriminator="kind")])


def make_fault(kind: str | None, **options: object) -> Fault | None:
    """A fault by name.

    Args:
        kind: one of `KINDS`; none or "none" for a camera that works.
        options: fields of the fault; text is converted.

    Raises:
        ParamsError: unknown kind, unknown option or a value out of range; `field` names it.
    """
    if kind in {None, "none"}:
        if options:
            raise ParamsError(f"without a fault there are no options: {', '.join(options)}", field="fault")
        return None
    try:
        return _ADAPTER.validate_python({**options, "kind": kind})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = first["loc"][-1] if first["loc"] else "fault"
        raise ParamsError(f"fault {kind}: {place}: {first['msg']}", field=str(place) or "fault") from None


def parse_fault(text: str) -> Fault | None:
    """Read a fault from its line of text.

    Raises:
        ParamsError: it cannot be understood.
    """
    kind, *words = text.split() or [""]
    options = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name == "kind":
            raise ParamsError(f"fault {kind}: {word!r} is not of the form name=value", field="fault")
        options[name] = value
    return make_fault(kind, **options)


def format_fault(fault: Fault | None) -> str:
    """The line of text that `parse_fault` reads."""
    if fault is None:
        return "none"
    fields = fault.model_dump(exclude={"kind"}, exclude_defaults=True)
    return " ".join([fault.kind, *(f"{name}={value}" for name, value in fields.items())])


class Damage:
    """Hits packets as a `Corrupt` fault says. A packet is (header, payload)."""

    def __init__(self, fault: Corrupt) -> None:
        self._fault = fault
        self._random = random.Random(fault.seed)
        self.hit = 0

    def apply(self, packets: Sequence[tuple[Buffer, ...]]) -> list[tuple[Buffer, ...]]:
        """The packets that are left, some with flipped bits. The shared payloads are not touched."""
        out = []
        for packet in packets:
            if self._random.random() >= self._fault.probability:
                out.append(packet)
                continue
            self.hit += 1
            if self._random.random() >= self._fault.lost:
                out.append((packet[0], self._flipped(packet[1])))
        return out

    def _flipped(self, body: Buffer) -> bytes:
        data = bytearray(body)
        for _ in range(max(len(data) // 64, 1) if data else 0):
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
        return bytes(data)
