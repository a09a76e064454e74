"""An alarm with a life: opened, updated, closed; then a person's acknowledged, dispatched, resolved."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class EventState(StrEnum):
    """Where an event is in its life."""

    OPENED = "opened"
    UPDATED = "updated"
    CLOSED = "closed"
    ACKNOWLEDGED = "acknowledged"
    DISPATCHED = "dispatched"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """How much it matters to the person at 3 a.m."""

    INFO = "info"
    WARNING = "warning"
    ALERT = "alert"
    CRITICAL = "critical"


class Event(BaseModel):
    """One cause, one event, for its whole life. `revision` counts its transitions from 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(description="UUIDv7, for the whole life.")
    revision: int = Field(ge=1)
    state: EventState
    type: str = Field(description="The kind of event, for example `intrusion`.")
    severity: Severity
    stream_id: str
    tenant: str = "default"
    task_id: str
    algorithm: str
    algorithm_version: int
    key: str
    label: str
    confidence: float = Field(description="Highest confidence so far, in [0, 1].")
    box: tuple[float, float, float, float] | None = Field(None, description="Relative x1, y1, x2, y2.")
    started_at: float = Field(description="Frame time, epoch seconds.")
    updated_at: float
    ended_at: float | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    models: dict[str, str] = Field(
        default_factory=dict, description="Model name -> sha256 of the weights that saw it."
    )
    snapshot: str | None = Field(None, description="Artefact name of the evidence picture.")

    @property
    def delivery_id(self) -> str:
        """Idempotency key of this transition: the same on every retry, different for every transition."""
        return f"{self.id}-{self.revision}"

    def cloud_event(self) -> dict[str, Any]:
        """CloudEvents 1.0, structured JSON form."""
        return {
            "specversion": "1.0",
            "id": self.delivery_id,
            "type": f"io.aihub.event.{self.type.replace('-', '_')}.v1",
            "source": f"/streams/{self.stream_id}",
            "subject": self.key,
            "time": datetime.fromtimestamp(self.updated_at, UTC).isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": self.model_dump(mode="json"),
        }


def uuid7(now: float | None = None) -> str:
    """A time-ordered UUID (RFC 9562, version 7), so that ids sort by time and index well.

    >>> uuid7(0.0)[:14]
    '00000000-0000-'
    """
    millis = int((time.time() if now is None else now) * 1000) & (1 << 48) - 1
    rand = secrets.randbits(74)
    value = millis << 80 | 0x7 << 76 | (rand >> 62) << 64 | 0b10 << 62 | rand & (1 << 62) - 1
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
