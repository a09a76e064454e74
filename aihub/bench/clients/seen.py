"""What clients saw: answers, refusals, latencies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

IN_TIME_MS = 50.0
"""A refusal that takes longer is no early one."""


def percentile(times: Sequence[float], share: float) -> float:
    """The value below which that share lies; 0 of none."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


@dataclass(slots=True)
class Seen:
    """What one client, or one source of a client, saw.

    Attributes:
        seconds: how long it asked.
        answered: latencies of good answers, ms.
        refused: latencies of refusals (429, RESOURCE_EXHAUSTED), ms.
        statuses: how often each answer came; `0` is a lost connection.
        unsent: what was due when no connection was free.
        cpu_s: what the client's process took.
    """

    seconds: float = 0.0
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    unsent: int = 0
    cpu_s: float = 0.0

    @property
    def per_second(self) -> float:
        """Good answers a second."""
        return len(self.answered) / self.seconds

    @property
    def p50_ms(self) -> float:
        """Median latency of good answers."""
        return percentile(self.answered, 0.5)

    @property
    def p99_ms(self) -> float:
        """99th percentile of good answers."""
        return percentile(self.answered, 0.99)

    @property
    def failures(self) -> int:
        """Answers that are neither good nor refusals."""
        return self.statuses.total() - len(self.answered) - len(self.refused)

    @property
    def refused_in_time(self) -> float:
        """Share of the refusals that came within 50 ms; 1 where nothing was refused."""
        return sum(took <= IN_TIME_MS for took in self.refused) / len(self.refused) if self.refused else 1.0

    def note(self, status: str, took_s: float, *, good: bool, refused: bool = False) -> None:
        """One answer."""
        self.statuses[status] += 1
        if good:
            self.answered.append(1e3 * took_s)
        elif refused:
            self.refused.append(1e3 * took_s)

    def to_json(self) -> dict[str, Any]:
        """Plain values; latencies to the microsecond."""
        return {
            "seconds": self.seconds, "answered": [round(took, 3) for took in self.answered],
            "refused": [round(took, 3) for took in self.refused], "statuses": dict(self.statuses), "unsent": self.unsent,
            "cpu_s": self.cpu_s,
        }  # fmt: skip

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """The way back."""
        return cls(**{**body, "statuses": Counter(body["statuses"])})
