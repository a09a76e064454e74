"""Rule `attribute-seen`: something was found of which an attribute is known (a plate that was read, the colour of a car)."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.streams.ruling import OUTAGE_S, Inertia, Streak, detections_of, ids_of, observe
from aihub.types import AnyResult, Detections, Findings, Frame, Predictor

MOST_KEYS = 2000
"""Conditions under way that are remembered at most; the oldest go first."""


class AttributeSeenParams(StageParams):
    """What counts, and what the alarm is about."""

    attribute: str = Field(min_length=1, max_length=64, description="Attribute that must be known.")
    values: tuple[str, ...] = Field((), description="Values that count; none for any.")
    each: str = Field("track", pattern="^(track|value)$", description="One alarm for each track, or for each value.")  # fmt: skip
    inertia: Inertia = Field(1, description="Consecutive analysed frames of a track or a value.")


class AttributeSeen(Stage[AttributeSeenParams]):
    """An observation `track/ID`, or `ATTRIBUTE/VALUE` with the surest row, while its attribute is known; all attributes in data.

    Measures: `count` of rows, `known` of them whose attribute is known, `unknown` the rest (too small, too many, not sure).
    """

    name = "attribute-seen"
    stateful = True

    def __init__(self, params: AttributeSeenParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._streaks: dict[str, Streak] = {}
        self._last = 0.0

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        things, now = detections_of(found, self.name), frame.monotonic
        known = [str(row[self.params.attribute]) if row.get(self.params.attribute) else ""
                 for row in things.attributes or ({},) * len(things)]  # fmt: skip
        wanted = self._rows(things, known)
        if not 0 <= now - self._last <= OUTAGE_S:
            self._streaks.clear()
        self._last = now
        held = {key for key in self._keys(wanted) if self._streak(key).update(now, holds=key in wanted)}
        for key in [key for key, streak in self._streaks.items() if streak.idle]:
            del self._streaks[key]
        observations = tuple(
            observe(frame, things, row, key, self._data(things, row)) for key, row in wanted.items() if key in held
        )  # fmt: skip
        read = float(sum(map(bool, known)))
        measures = {"count": float(len(things)), "known": read, "unknown": len(things) - read}
        return Findings(things, observations, measures)

    def _rows(self, things: Detections, known: list[str]) -> dict[str, int]:
        """The row that every key is about: its surest."""
        rows: dict[str, int] = {}
        ids = ids_of(things).tolist()
        for row in (-things.confidence).argsort(kind="stable").tolist():
            value = known[row]
            if value and (not self.params.values or value in self.params.values):
                one = self.params.each == "value"
                rows.setdefault(f"{self.params.attribute}/{value}" if one else f"track/{ids[row]}", row)
        return rows

    def _keys(self, wanted: dict[str, int]) -> list[str]:
        return list({**dict.fromkeys(self._streaks), **dict.fromkeys(wanted)})

    def _streak(self, key: str) -> Streak:
        streak = self._streaks.get(key)
        if streak is None:
            while len(self._streaks) >= MOST_KEYS:
                del self._streaks[next(iter(self._streaks))]
            streak = self._streaks[key] = Streak(self.params.inertia)
        return streak

    def _data(self, things: Detections, row: int) -> dict[str, Any]:
        return dict(things.attributes[row]) if things.attributes else {}
