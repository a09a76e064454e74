"""Rule `red-light`: somebody steps onto the crossing while the signal shows red."""

from __future__ import annotations

from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.builtin.traffic_light import light_state
from aihub.streams.rules.zone_presence import ZonePresence, ZonePresenceParams
from aihub.streams.ruling import Inertia, Point, Seconds, Streak, Zone
from aihub.types import AnyResult, Findings, Frame, Predictor

SIGNAL_INERTIA = 2
"""Frames in a row on which the signal must show the colour: it flickers under a camera's shutter."""
ROUNDING_S = 0.006


class RedLightParams(StageParams):
    """Where the crossing and its signal are."""

    zone: Zone = Field((), description="The crossing, relative coordinates; none for the whole picture.")
    light: tuple[Point, ...] = Field(
        min_length=3, description="Polygon close around the lamps, relative coordinates."
    )
    least: float = Field(
        0.01, gt=0, le=1, description="Share of it that must be lit; below, the signal is off."
    )
    grace: Seconds = Field(
        1.0, description="Seconds after the change to red in which stepping on is forgiven."
    )
    inertia: Inertia = Field(2, description="Consecutive analysed frames on the crossing.")


class RedLight(Stage[RedLightParams]):
    """An observation `track/ID` for all who stepped onto the crossing while it was red, for as long as it is red; `dwell_s` in data.

    Who was on it before the change may walk on. While the signal is hidden, off or unclear nobody is reported. Measures:
    `red` (1 while it shows red), `count` on the crossing.
    """

    name = "red-light"
    stateful = True

    def __init__(self, params: RedLightParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._present = ZonePresence(ZonePresenceParams(zone=params.zone, inertia=params.inertia), predictor)
        self._red = Streak(SIGNAL_INERTIA)

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        present, now = self._present.process(frame, found), frame.monotonic
        shown = light_state(frame, self.params.light, self.params.least).label[0]
        red = self._red.update(now, holds=shown == "red")
        from_then_on = self._red.since + self.params.grace - ROUNDING_S
        guilty = [one for one in present.observations if now - one.data["dwell_s"] >= from_then_on]
        measures = {**present.measures, "red": float(shown == "red")}
        return Findings(present.found, tuple(guilty) if red else (), measures)
