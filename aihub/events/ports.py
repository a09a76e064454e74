"""What the events need of a database. `aihub.storage.repository.Repository` satisfies both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from aihub.storage.records import Delivery
from aihub.types import Event


class EventStore(Protocol):
    """Keeps events."""

    def save_transitions(self, steps: Sequence[Event]) -> list[Event]:
        """Store steps with their outbox rows, all or none; those stored already are passed over."""
        ...


class Outbox(Protocol):
    """Knows what must still reach a sink."""

    def claim_deliveries(
        self,
        worker: str,
        *,
        limit: int,
        lease_s: float,
        per_sink: int = 4,
        rooms: Mapping[str, int] | None = None,
        now: float | None = None,
    ) -> list[Delivery]:
        """Take what is due, for `lease_s` seconds; each event's steps one after the other."""
        ...

    def complete(self, delivery_id: int) -> None:
        """It arrived."""
        ...

    def retry(self, delivery_id: int, next_at: float, error: str) -> None:
        """It failed; again at `next_at`."""
        ...

    def bury(self, delivery_id: int, error: str) -> None:
        """It failed for good."""
        ...

    def hasten(self, sink_id: str) -> None:
        """The sink answers again: what waits for a later try is due now."""
        ...
