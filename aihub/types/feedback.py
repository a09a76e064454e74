"""What people say about alarms: whether one was right, and what was to be seen on its picture."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from aihub.types.answers import Answer


class Verdict(StrEnum):
    """Whether the alarm was right."""

    TRUE = "true"
    FALSE = "false"
    MISSED = "missed"


class KeptPicture(StrEnum):
    """Whether a copy of the event's picture is kept beside the feedback, and if not, why."""

    STORED = "stored"
    NOT_ALLOWED = "not allowed"
    GONE = "gone"


class LabelledBox(Answer):
    """One thing on the picture, and where."""

    label: str
    box: tuple[float, float, float, float] = Field(
        description="x, y, width and height in pixels of the event's picture."
    )


class Feedback(Answer):
    """What somebody said about an event. It outlives the event."""

    id: str = Field(description="New each time something is said.")
    event_id: str
    tenant: str
    stream_id: str
    algorithm: str
    algorithm_version: int
    label: str = Field(description="What the alarm said was seen.")
    verdict: Verdict
    note: str
    boxes: list[LabelledBox] = Field(
        description="All that is to be seen. For `true` without boxes the event's own box on that picture; none for `false`."
    )
    picture: KeptPicture
    width: int | None = Field(description="Of the event's picture, pixels; null where it had none any more.")
    height: int | None
    given_by: str = Field(description="Name of the key.")
    at: float = Field(description="When it was said, epoch seconds.")
