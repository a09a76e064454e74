"""What a request or a frame has cost, gathered where the work is done."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence


class Bill:
    """Compute seconds by what they were spent on, such as a model's name. Thread-safe.

    A run that serves several requests at once is split evenly among them by whoever ran it, so that bills add up to what was
    really spent.
    """

    __slots__ = ("_lock", "_owed", "_spent")

    def __init__(self) -> None:
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._owed: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def add(self, what: str, seconds: float) -> None:
        """Put seconds of work on the bill."""
        with self._lock:
            self._spent[what] += seconds

    @property
    def spent(self) -> Mapping[str, float]:
        """Seconds so far, by what they were spent on."""
        with self._lock:
            return dict(self._spent)

    @property
    def total(self) -> float:
        """Seconds so far."""
        with self._lock:
            return sum(self._spent.values())

    def owe(self, who: str, seconds: float) -> None:
        """Say for whom seconds on the bill were spent, such as an algorithm's id; what nobody owes was for all alike."""
        with self._lock:
            self._owed[who] += seconds

    def split(self, among: Sequence[str]) -> list[float]:
        """The whole bill split: to each what it owes, and of the rest an even share.

        Args:
            among: who pays; one that is named twice pays its part in two halves.

        Returns:
            Seconds for each, in order. They add up to `total`.
        """
        with self._lock:
            total = sum(self._spent.values())
            owed = [self._owed.get(who, 0.0) / among.count(who) for who in among]
        rest = (total - sum(owed)) / max(1, len(among))
        return [max(0.0, mine + rest) for mine in owed]
