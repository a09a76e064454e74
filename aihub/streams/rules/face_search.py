"""Rules `face-search` and `face-attendance`: who of a gallery is there."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from aihub.algorithms.base import Stage
from aihub.algorithms.faces.asking import faces_of
from aihub.algorithms.faces.embedding import MODEL
from aihub.algorithms.faces.searching import Match, Searched, SearchParams, search
from aihub.streams.ruling import OUTAGE_S, Inertia, Streak, observe, reached
from aihub.types import AnyResult, Findings, Frame, Observation, Predictor


class FaceSearchParams(SearchParams):
    """How often somebody must be seen before it counts."""

    inertia: Inertia = Field(1, description="Consecutive analysed frames with the same person.")


class _Seen:
    """Who was there for long enough; those who are gone are forgotten."""

    def __init__(self, inertia: int) -> None:
        self._inertia = inertia
        self._streaks: dict[str, Streak] = {}

    def certain(self, found: Searched, now: float) -> list[Match]:
        here = {match.subject: match for match in found.matches}
        certain = []
        for subject in [*here, *(one for one in self._streaks if one not in here)]:
            streak = self._streaks.setdefault(subject, Streak(self._inertia))
            if streak.update(now, holds=subject in here):
                certain.append(here[subject])
            if streak.idle:
                del self._streaks[subject]
        return certain


class FaceSearch(Stage[FaceSearchParams]):
    """An observation `subject/ID` for everybody of the gallery who is there; measures `faces`, `compared` and `found`."""

    name = "face-search"
    stateful = True
    scope = "faces"

    def __init__(self, params: FaceSearchParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._seen = _Seen(params.inertia)

    @classmethod
    def models(cls, params: FaceSearchParams) -> tuple[str, ...]:
        """The embedding, and liveness where asked for."""
        return (MODEL, *params.models())

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            GalleryNotFoundError: who asks has no such gallery.
            AihubError: it cannot be noted in the audit, or a model refused or failed.
        """
        searched = search(self.predictor, frame, faces_of(found, self.name), self.params, "face.search")
        certain = self._seen.certain(searched, frame.monotonic)
        told = tuple(_told(frame, searched, match, f"subject/{match.subject}") for match in certain)
        return Findings(searched.faces, told, _measures(searched))


class FaceAttendanceParams(SearchParams):
    """When somebody is there, and for how long that counts."""

    inertia: Inertia = Field(2, description="Consecutive analysed frames with the same person.")
    period_h: float = Field(12.0, ge=0.01, le=168, description="Hours in which somebody is noted once.")


class FaceAttendance(Stage[FaceAttendanceParams]):
    """An observation `attendance/ID/N` the first time that somebody of the gallery is certainly there, once in a period.

    N counts the times that the person was noted. Measures `faces`, `compared`, `found`, and `present`: people in the period.
    """

    name = "face-attendance"
    stateful = True
    scope = "faces"

    def __init__(self, params: FaceAttendanceParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._seen = _Seen(params.inertia)
        self._noted: dict[str, tuple[float, int]] = {}
        self._last = float("-inf")

    @classmethod
    def models(cls, params: FaceAttendanceParams) -> tuple[str, ...]:
        """The embedding, and liveness where asked for."""
        return (MODEL, *params.models())

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            GalleryNotFoundError: who asks has no such gallery.
            AihubError: it cannot be noted in the audit, or a model refused or failed.
        """
        searched = search(self.predictor, frame, faces_of(found, self.name), self.params, "face.attendance")
        now = frame.monotonic
        self._forget(now)
        told = []
        for match in self._seen.certain(searched, now):
            since, times = self._noted.get(match.subject, (float("-inf"), 0))
            if reached(now - since, self.params.period_h * 3600):
                self._noted[match.subject] = (now, times + 1)
                told.append(_told(frame, searched, match, f"attendance/{match.subject}/{times + 1}"))
        present = sum(now - since < self.params.period_h * 3600 for since, _ in self._noted.values())
        return Findings(searched.faces, tuple(told), {**_measures(searched), "present": float(present)})

    def _forget(self, now: float) -> None:
        """Who was noted two periods ago counts as new: what is remembered is bounded by who comes in that time."""
        if now - self._last > OUTAGE_S or now < self._last:
            kept = 2 * self.params.period_h * 3600
            self._noted = {who: row for who, row in self._noted.items() if 0 <= now - row[0] < kept}
            self._last = now


def _measures(searched: Searched) -> dict[str, float]:
    return {
        "faces": float(len(searched.faces)),
        "compared": float(searched.compared),
        "found": float(len(searched.matches)),
    }


def _told(frame: Frame, searched: Searched, match: Match, key: str) -> Observation:
    data: dict[str, Any] = {"subject": match.subject, "name": match.name, "similarity": match.similarity}
    return observe(frame, searched.faces, match.row, key, data)
