"""Rule `seen-again`: somebody was here before. Looks are kept in memory only, for a time, and bounded."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aihub.algorithms.base import Stage, StageParams
from aihub.algorithms.embedded import EmbeddedDetections
from aihub.errors import ConfigError
from aihub.streams.assignment import FORBIDDEN, assign
from aihub.streams.ruling import kind_of, observe, reached
from aihub.types import AnyResult, Findings, Frame, Predictor

F32 = npt.NDArray[np.float32]
LOOKS = 4
"""Looks that are remembered of one person: the first, and those that differ most from it come and go."""
NEW_LOOK = 0.9
"""A look that is less alike than this to all that are known of a person is worth remembering."""
STICKY = 0.15
"""By how much less alike somebody may be who is still on the same track: half hidden, turned."""
DOUBT = 0.12
"""Below the likeness by no more than this, nobody knows whether it is somebody new: no name is given."""


class SeenAgainParams(StageParams):
    """When two looks are one person, and how long is remembered."""

    likeness: float = Field(0.62, ge=0, le=1, description="Cosine from which two looks are the same person.")
    away: float = Field(5.0, ge=0, le=86400, description="Seconds out of sight before coming back is told.")
    remember: float = Field(600.0, gt=0, le=86400, description="Seconds after which somebody is forgotten.")
    most: int = Field(
        200, ge=1, le=2000, description="Most people remembered; who was seen longest ago goes."
    )


class SeenAgain(Stage[SeenAgainParams]):
    """Gives every person the attribute `person`, a number; an observation `person/N` about who is back after `away` seconds.

    `away_s`, `likeness` and `times` (visits so far) in data; measures: `known` people, `again` of those on the frame. A visit lasts
    until somebody was out of sight for `away` seconds. Who is neither clearly known nor clearly new gets no number.
    """

    name = "seen-again"
    stateful = True

    def __init__(self, params: SeenAgainParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._numbers = 0
        self._people: list[_Person] = []

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class.

        Raises:
            ConfigError: the stage before gave no vectors.
        """
        if not isinstance(found, EmbeddedDetections) or found.vectors is None:
            raise ConfigError(
                f"rule {self.name!r} needs vectors (stage `embed`), but was given {kind_of(found)}"
            )
        now = frame.monotonic
        self._people = [one for one in self._people if 0 <= now - one.seen <= self.params.remember]
        alike = self._alike(found)
        owners = self._owners(found, alike)
        for row, person in enumerate(owners):
            if person is not None:
                self._meet(person, found, row, now, float(alike[row].max(initial=-1.0)))
        self._bound()
        return self._findings(frame, found, owners)

    def _meet(
        self, person: _Person, found: EmbeddedDetections, row: int, now: float, likeness: float
    ) -> None:
        """They are on this frame. What only the track says to be them is no look to remember: another may stand before them."""
        assert found.vectors is not None  # noqa: S101 - asked by the caller
        if not person.visits or (now > person.seen and reached(now - person.seen, self.params.away)):
            person.visits += 1
            person.away_s = now - person.seen if person.visits > 1 else 0.0
            person.likeness = max(likeness, 0.0)
        person.seen = now
        person.track = -1 if found.track_id is None else int(found.track_id[row])
        if not len(person.looks) or likeness >= self.params.likeness:
            person.remember(found.vectors[row])

    def _alike(self, found: EmbeddedDetections) -> F32:
        """`(N, people)` likeness of every row to the best look at everybody who is known."""
        assert found.vectors is not None  # noqa: S101 - asked by the caller
        if not self._people:
            return np.zeros((len(found), 0), np.float32)
        best = [(found.vectors @ person.looks.T).max(axis=1) for person in self._people]
        alike: F32 = np.stack(best, axis=1)
        return alike

    def _owners(self, found: EmbeddedDetections, alike: F32) -> list[_Person | None]:
        """Who every row is; somebody new where it is like nobody, None where that is not clear."""
        assert found.vectors is not None  # noqa: S101 - asked by the caller
        tracks = np.array([person.track for person in self._people], np.int64)
        same = found.track_id[:, None] == tracks[None] if found.track_id is not None else np.zeros(alike.shape, np.bool_)  # fmt: skip
        limit = self.params.likeness - STICKY * same
        cost = np.where(alike >= limit, 1.0 - alike - STICKY * same, FORBIDDEN)
        owners: list[_Person | None] = [None] * len(found)
        for row, column in zip(*(side.tolist() for side in assign(cost)), strict=True):
            owners[row] = self._people[column]
        for row in range(len(found)):
            looked = bool(found.vectors[row].any())
            if owners[row] is None and looked and alike[row].max(initial=-1.0) < self.params.likeness - DOUBT:
                owners[row] = self._somebody_new()
        return owners

    def _somebody_new(self) -> _Person:
        self._numbers += 1
        made = _Person(self._numbers)
        self._people.append(made)
        return made

    def _bound(self) -> None:
        if len(self._people) > self.params.most:
            self._people = sorted(self._people, key=lambda one: one.seen)[-self.params.most :]

    def _findings(self, frame: Frame, found: EmbeddedDetections, owners: list[_Person | None]) -> Findings:
        before = found.attributes or ({},) * len(found)
        named = tuple(
            {**old, **({} if who is None else {"person": who.number})} for old, who in zip(before, owners, strict=True)
        )  # fmt: skip
        people = dataclasses.replace(found, attributes=named)
        back = [(row, who) for row, who in enumerate(owners) if who is not None and who.visits > 1]
        observations = tuple(
            observe(frame, people, row, f"person/{who.number}", {
                "away_s": round(who.away_s, 2), "likeness": round(who.likeness, 3), "times": who.visits,
            })
            for row, who in back
        )  # fmt: skip
        measures = {"count": float(len(found)), "known": float(len(self._people)), "again": float(len(back))}
        return Findings(people, observations, measures)


class _Person:
    """What is remembered of somebody: a few looks, when they were seen, and where."""

    __slots__ = ("away_s", "likeness", "looks", "number", "seen", "track", "visits")

    def __init__(self, number: int) -> None:
        self.number = number
        self.looks: F32 = np.zeros((0, 0), np.float32)
        self.seen = float("-inf")
        self.track = -1
        self.visits = 0
        self.away_s = self.likeness = 0.0

    def remember(self, look: F32) -> None:
        """Keep a look when it shows something new."""
        if not len(self.looks):
            self.looks = look[None].copy()
        elif float((self.looks @ look).max()) < NEW_LOOK:
            kept = self.looks if len(self.looks) < LOOKS else np.delete(self.looks, 1, axis=0)
            self.looks = np.concatenate([kept, look[None]])
