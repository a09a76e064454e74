"""Rule `still`: somebody does not stir at all for a long time."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.grey import small_grey
from aihub.streams.ruling import (  # fmt: skip
    F64,
    OUTAGE_S,
    Ledger,
    Region,
    Seconds,
    Zone,
    detections_of,
    ids_of,
    observe,
    reached,
    relative,
)
from aihub.types import AnyResult, Detections, Findings, Frame, Predictor

COMPARED_S = 1.0
"""Age of the picture that is compared with: in this time somebody who is awake moves a head or a hand."""
EVERY_S = 0.4
UNSEEN_S = 10.0
"""How long somebody may be missed by the detector and still be the same."""
CONTRAST = 14
"""Grey levels by which a pixel must differ to have changed: above the noise of a camera, which is blurred before."""


class StillParams(StageParams):
    """Where, for how long, how still."""

    zone: Zone = Field((), description="Polygon, relative coordinates; none for the whole picture.")
    dwell: Seconds = Field(60.0, description="Seconds without stirring.")
    tolerance: float = Field(0.01, gt=0, le=0.5, description="Share of the box's pixels that may change in a second.")  # fmt: skip


class Still(Stage[StillParams]):
    """An observation `track/ID` for each in the zone who has not stirred for `dwell` seconds; `still_s` in data.

    Stirring is what changed within the person's box against the picture of about a second ago.
    """

    name = "still"
    stateful = True

    def __init__(self, params: StillParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._region = Region(params.zone)
        self._pictures: deque[tuple[float, npt.NDArray[np.uint8]]] = deque(maxlen=8)
        self._people = Ledger([("since", "f8"), ("seen", "f8")])

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        people, now = detections_of(found, self.name), frame.monotonic
        boxes = relative(frame, people.xyxy)
        stirred = self._stirred(frame, boxes)
        self._people.keep(now - self._people.table["seen"] <= UNSEEN_S)
        rows, fresh = self._people.rows(ids_of(people))
        table = self._people.table
        restart = fresh | (stirred > self.params.tolerance)
        table["since"][rows[restart]] = now
        table["seen"][rows] = now
        quiet = now - table["since"][rows]
        alarming = self._region.holds(boxes) & reached(quiet, self.params.dwell) & ~fresh
        observations = tuple(
            observe(frame, people, row, f"track/{int(table['track'][rows[row]])}", {"still_s": round(float(quiet[row]), 2)})
            for row in np.flatnonzero(alarming).tolist()
        )  # fmt: skip
        here = self._region.holds(boxes)
        return Findings(people[here], observations, self._measures(people[here], stirred[here]))

    def _measures(self, here: Detections, stirred: F64) -> dict[str, float]:
        return {"count": float(len(here)), "least_stirred": float(stirred.min()) if len(here) else 0.0}

    def _stirred(self, frame: Frame, boxes: F64) -> F64:
        """`(N,)` share of each box that changed against the picture of a second ago; 1 while there is none."""
        now = frame.monotonic
        grey = np.asarray(cv2.blur(small_grey(frame), (3, 3)), np.uint8)
        known = self._pictures
        if known and (known[-1][1].shape != grey.shape or not 0 <= now - known[-1][0] <= OUTAGE_S):
            known.clear()
        old = [picture for at, picture in known if now - at >= COMPARED_S - 1e-6]
        if not known or now - known[-1][0] >= EVERY_S - 1e-6:
            known.append((now, grey))
        if not old:
            return np.ones(len(boxes))
        changed = (cv2.absdiff(grey, old[-1]) > CONTRAST).astype(np.uint8)
        sums = cv2.integral(changed)
        size = np.array([grey.shape[1], grey.shape[0]] * 2)
        x1, y1, x2, y2 = np.round(boxes * size).astype(np.intp).T
        area = np.maximum((x2 - x1) * (y2 - y1), 1)
        share: F64 = (sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]) / area
        return share
