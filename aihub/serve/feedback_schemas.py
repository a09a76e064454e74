"""Bodies of requests and answers about feedback."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from aihub.serve.account_schemas import PLAIN
from aihub.serve.schemas import Asked
from aihub.types.feedback import Feedback, Verdict

MAX_NOTE = 1000
MAX_BOXES = 100
MAX_LABEL = 64
_FARTHEST = 65_536.0
"""Pixels: no JPEG is larger."""

Place = Annotated[float, Field(ge=0, le=_FARTHEST, allow_inf_nan=False)]
Side = Annotated[float, Field(gt=0, le=_FARTHEST, allow_inf_nan=False)]


class FeedbackBoxIn(Asked):
    """One thing on the picture, and where."""

    label: str = Field(min_length=1, max_length=MAX_LABEL, pattern=PLAIN)
    box: tuple[Place, Place, Side, Side] = Field(
        description="x, y, width and height in pixels of the event's picture, inside it."
    )


class FeedbackIn(Asked):
    """Whether an alarm was right."""

    verdict: Verdict = Field(
        description=(
            "`true`: it was right. `false`: it was a false alarm, and nothing of its kind is on the picture. `missed`: "
            "something on the picture was not found."
        )
    )
    note: str = Field("", max_length=MAX_NOTE, pattern=PLAIN)
    boxes: list[FeedbackBoxIn] | None = Field(
        None,
        max_length=MAX_BOXES,
        description="All that is to be seen on the picture. For `true` the event's own box by default; not for `false`.",
    )


class FeedbackList(BaseModel):
    """All that was said about an event, newest first."""

    items: list[Feedback]


class FeedbackPage(BaseModel):
    """Part of the list of feedback, newest first."""

    items: list[Feedback]
    next_cursor: str | None = Field(None, description="Send it as `cursor` for what follows.")
