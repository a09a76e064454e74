"""What lines of text are good for besides their words: covering private numbers, keeping large print, checking a clock."""

from __future__ import annotations

import datetime as dt
import re
from collections import deque
from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageError, StageParams
from aihub.algorithms.builtin.document_fields import page_of
from aihub.algorithms.builtin.text_lines import F32, side_lengths
from aihub.algorithms.fields.bank_card import find_cards
from aihub.algorithms.fields.cn_id import find_ids
from aihub.algorithms.fields.dates import find_clock, find_dates
from aihub.algorithms.fields.lookalikes import digits
from aihub.algorithms.fields.match import Match
from aihub.algorithms.fields.page import Page, tight
from aihub.algorithms.fields.phones import find_phones
from aihub.types import AnyResult, Frame, Picture, Predictor, Quality, Texts

Personal = Literal["phone", "id-number", "card-number"]
_FINDERS: dict[str, Callable[[str], list[Match]]] = {
    "phone": find_phones,
    "id-number": lambda text: find_ids(text, wrong=True),
    "card-number": lambda text: find_cards(text, wrong=True),
}
GROWTH = 0.15
"""How much a cover reaches beyond its line, share of the line's height."""


class CoverPersonalParams(StageParams):
    """Parameters of `cover-personal`."""

    kinds: tuple[Personal, ...] = Field(
        ("phone", "id-number", "card-number"), description="Kinds of numbers to cover."
    )


class CoverPersonal(Stage[CoverPersonalParams]):
    """The picture with every line covered in which such a number stands, right or misread.

    Covers are black and whole lines: what is left of a line often tells the rest. `covered` is how many lines they hide.
    """

    name = "cover-personal"

    def process(self, frame: Frame, found: AnyResult | None) -> Picture:
        """See the class.

        Raises:
            StageError: the stage before gave no text.
        """
        page = page_of(self.name, frame, found)
        rows = self._private(page)
        image = frame.image.copy()
        if rows:
            quads = np.array([page.lines[row].quad for row in rows], np.float32)
            cv2.fillPoly(image, list(np.rint(_grown(quads)).astype(np.int32)), (0, 0, 0))
        return Picture(image, {"covered": float(len(rows))})

    def _private(self, page: Page) -> list[int]:
        """Lines that hold such a number, alone or together with the next beside or below."""
        rows: set[int] = set()
        for text, indices in page.runs(2):
            known = not rows.isdisjoint(indices)
            if not known and any(_FINDERS[kind](form) for kind in self.params.kinds for form in _forms(text)):
                rows.update(indices)
        return sorted(rows)


def _forms(text: str) -> tuple[str, ...]:
    """The text as read; without spaces; with every look-alike of a digit as that digit."""
    close = tight(text)
    return text, close, re.sub(r"[0-9OoDIl|SBZ]{8,}", lambda run: digits(run[0]), close)


def _grown(quads: F32) -> F32:
    """`(N, 4, 2)` corners, each moved away from the middle of its line along both sides by the same pixels."""
    grow = side_lengths(quads).min(axis=1)[:, None, None] * np.float32(GROWTH)
    away = np.sign(quads - quads.mean(axis=1, keepdims=True))
    grown: F32 = (quads + away * grow).astype(np.float32)
    return grown


class LargeTextParams(StageParams):
    """Parameters of `large-text`."""

    least: float = Field(
        0.5, ge=0, le=1, description="Least height of a line, as a share of the tallest line's."
    )
    min_height: float = Field(0.03, ge=0, le=1, description="Least height of a line, share of the picture's.")


class LargeText(Stage[LargeTextParams]):
    """Only the large print: what a sign says, not what stands in small letters beside it."""

    name = "large-text"

    def process(self, frame: Frame, found: AnyResult | None) -> Texts:
        """See the class.

        Raises:
            StageError: the stage before gave no text.
        """
        if not isinstance(found, Texts):
            raise StageError(f"stage {self.name!r} works on lines of text")
        if not len(found):
            return found
        heights: npt.NDArray[np.float32] = side_lengths(found.quads).min(axis=1)
        limit = max(self.params.min_height * frame.height, self.params.least * float(heights.max()))
        rows = np.flatnonzero(heights >= limit)
        return Texts(
            found.quads[rows], tuple(found.text[row] for row in rows.tolist()), found.confidence[rows]
        )


MEMORY, MEMORY_S = 5, 60.0
"""The clock is judged by the median of its last readings, at most so many and so old."""
_GLUED = re.compile(
    r"((?:19|20)\d\d[-/.年]\d{1,2}[-/.月]\d\d日?|\d\d[-/.]\d\d[-/.](?:19|20)\d\d)(?=\d{1,2}[:：])"
)


class ClockCheckParams(StageParams):
    """Parameters of `clock-check`."""

    tolerance: float = Field(30.0, ge=1, le=86400, description="Seconds that the clock may be wrong.")
    utc_offset_h: float = Field(8.0, ge=-12, le=14, description="Hours of the camera's zone ahead of UTC.")
    day_first: bool = Field(True, description="Whether 03-04-2026 is the third of April.")


class ClockCheck(Stage[ClockCheckParams]):
    """The clock in the picture against the time of the frame. Fault: wrong by `tolerance` or more.

    `drift_s` is how far the clock is ahead, negative when behind; absent while no clock can be read, which is no fault.
    A clock that shows whole seconds is taken to be half a second further.
    """

    name = "clock-check"
    stateful = True

    def __init__(self, params: ClockCheckParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._drifts: deque[tuple[float, float]] = deque(maxlen=MEMORY)

    def process(self, frame: Frame, found: AnyResult | None) -> Quality:
        """See the class.

        Raises:
            StageError: the stage before gave no text.
        """
        shown = shown_time(page_of(self.name, frame, found), self.params)
        now = frame.monotonic
        while self._drifts and not 0 <= now - self._drifts[0][0] <= MEMORY_S:
            self._drifts.popleft()
        if shown is None:
            return Quality(False, 0.0, {"clock_read": 0.0})
        self._drifts.append((now, shown - frame.captured_at))
        drift = float(np.median([drift for _, drift in self._drifts]))
        score = abs(drift) / (abs(drift) + self.params.tolerance)
        return Quality(score >= 0.5, score, {"clock_read": 1.0, "drift_s": round(drift, 2)})


def shown_time(page: Page, params: ClockCheckParams) -> float | None:
    """What the clock in a picture says, seconds since the epoch; None where no date and time of day can be read."""
    text = " ".join(_GLUED.sub(r"\1 ", line.text) for line in page.lines)
    clock = find_clock(text)
    dates = [one for one in find_dates(text, day_first=params.day_first) if one.whole]
    if clock is None or not dates:
        return None
    nearest = min(dates, key=lambda one: abs(one.span[0] - clock[1][0]))
    zone = dt.timezone(dt.timedelta(hours=params.utc_offset_h))
    return dt.datetime.combine(nearest.date, clock[0], zone).timestamp() + 0.5
