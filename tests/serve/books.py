"""What a hub booked for a tenant, and how often it refused that tenant for want of room."""

from __future__ import annotations

from typing import NamedTuple

from aihub.errors import QueueFullError
from aihub.serve.access import Parts
from aihub.storage.records import Tenant, Usage
from aihub.storage.repository import Repository
from aihub.telemetry import REGISTRY

TENANT = "small"


class Row(NamedTuple):
    """Sums of one algorithm."""

    calls: int
    errors: int
    frames: int


class Books:
    """The books of a tenant that may make `calls` calls a day; from now on."""

    def __init__(self, parts: Parts, repository: Repository, *, calls: int | None = None) -> None:
        self._parts, self._repository = parts, repository
        repository.add_tenant(Tenant(TENANT, algorithms=("*",), calls_per_day=calls))
        self._before = self._refusals()

    @property
    def refused(self) -> int:
        """Calls refused for want of room."""
        return round(self._refusals() - self._before)

    def rows(self) -> dict[str, Row]:
        """What was booked, by algorithm."""
        return {row.algorithm: Row(row.calls, row.errors, row.frames) for row in self._usage()}

    def spent(self) -> float:
        """Seconds that were booked."""
        return sum(row.compute_s for row in self._usage())

    def calls(self) -> int:
        """Calls that count for the quota."""
        assert sum(row.calls for row in self.rows().values()) == self._parts.admission.usage.calls_today(
            TENANT
        ), "the quota counts what is booked"
        return self._parts.admission.usage.calls_today(TENANT)

    def _usage(self) -> list[Usage]:
        assert self._parts.admission.usage.flush()
        return list(self._repository.list_usage(tenant=TENANT).items)

    def _refusals(self) -> float:
        labels = {"tenant": TENANT, "reason": "capacity"}
        return REGISTRY.get_sample_value("aihub_admission_refused_total", labels) or 0.0


async def full(*_: object, **__: object) -> None:
    """Stands in for `Workers.run` when too much waits."""
    raise QueueFullError("too many requests are waiting")
