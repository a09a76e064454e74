"""What goes wrong with cameras in the suite `alarms`: by name, and how the simulator plays it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from aihub.bench.alarms.truth import Spell
from aihub.bench.cameras import CameraServer

_TICK_S = 0.1


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault of the simulator.

    Attributes:
        kind: of `aihub.bench.cameras.faults`.
        options: of it.
        every_s: it comes and goes in this time, seconds; 0 for one that stays.
        about: for people.
    """

    kind: str
    options: Mapping[str, object] = field(default_factory=dict)
    every_s: float = 0.0
    about: str = ""

    def on(self, since: float) -> bool:
        """Whether it is on so many seconds after the trouble began."""
        return not self.every_s or since % self.every_s < self.every_s / 3


TROUBLES: Mapping[str, Trouble] = MappingProxyType({
    "freeze": Trouble("freeze", about="the same picture again and again"),
    "loss": Trouble("corrupt", {"probability": 0.02, "lost": 1.0, "seed": 1}, about="one packet in fifty is lost"),
    "flap": Trouble("drop", {"close": True}, every_s=3.0, about="goes and comes, three seconds each round"),
    "corrupt": Trouble("corrupt", {"probability": 0.02, "lost": 0.0, "seed": 2}, about="one packet in fifty is damaged"),
    "clock-jump": Trouble("jump", {"seconds": -3600.0}, about="its clock goes back an hour, then forward again"),
    "late": Trouble("slow", {"rate": 0.3, "period_s": 4.0}, about="late pictures, then all at once"),
    "silent": Trouble("drop", about="nothing comes, connections stay"),
})  # fmt: skip


def play(server: CameraServer, troubles: Sequence[str], seconds: float) -> Spell:
    """Give each camera its trouble for a while, all at the same time, and mend them.

    Args:
        server: camera i gets trouble i; further ones stay well.
        troubles: names from `TROUBLES`.
        seconds: how long.

    Returns:
        From when to when they lasted, epoch seconds.
    """
    begun, now = time.time(), 0.0
    is_on = [False] * len(troubles)
    while now < seconds:
        for number, name in enumerate(troubles):
            trouble = TROUBLES[name]
            if trouble.on(now) != is_on[number]:
                is_on[number] = not is_on[number]
                server.fault(
                    number,
                    trouble.kind if is_on[number] else None,
                    **(trouble.options if is_on[number] else {}),
                )
        time.sleep(_TICK_S)
        now = time.time() - begun
    server.fault(None, None)
    return begun, time.time()
