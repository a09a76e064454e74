"""What became of a stream's frames: counted in plain numbers while it runs, handed to the metrics once a second."""

from __future__ import annotations

from collections import Counter, deque

import numpy as np

from aihub.telemetry import FRAME_AGE, STREAM_FRAMES, STREAM_RECONNECTS, STREAM_UP

_WINDOW = 6
"""Marks of one second each over which rates are taken."""


class Tally:
    """Counters of one stream.

    Every counter has a single writer, so none needs a lock: the reader writes `read`, `sampled`, `reconnects` and the
    drops `undecodable` and `corrupt`; the slot `replaced`; the analysis `analysed`, `ages` and the other drops. `mark` is the host's.

    Attributes:
        read: frames decoded.
        sampled: frames picked for analysis.
        analysed: frames that went through the plan.
        dropped: frames picked but not analysed, by reason; `corrupt` ones were never decoded.
        reconnects: new attempts after the first, by the error that made them necessary.
        ages: seconds from decoded to analysed, of the last frames.
    """

    def __init__(self, stream_id: str) -> None:
        self._stream_id = stream_id
        self.read = 0
        self.sampled = 0
        self.analysed = 0
        self.dropped = {"undecodable": 0, "corrupt": 0, "replaced": 0, "late": 0, "still": 0, "failed": 0}
        self.reconnects: Counter[str] = Counter()
        self.ages: deque[float] = deque(maxlen=256)
        # As many as one stream analyses between two marks, and a margin.
        self._untold_ages: deque[float] = deque(maxlen=256)
        self._told: Counter[str] = Counter()
        self._told_reconnects: Counter[str] = Counter()
        self._marks: deque[tuple[float, int, int]] = deque(maxlen=_WINDOW)
        self._age = FRAME_AGE.labels(stream_id)

    def analysed_after(self, age_s: float) -> None:
        """Count one analysed frame and how old it was when it was done."""
        self.analysed += 1
        self.ages.append(age_s)
        self._untold_ages.append(age_s)

    def mark(self, now: float, *, live: bool) -> None:
        """Hand what was counted since the last call to the metrics, and note the totals for `rates`."""
        self._marks.append((now, self.read, self.analysed))
        STREAM_UP.labels(self._stream_id).set(1 if live else 0)
        totals = {"read": self.read, "sampled": self.sampled, "analysed": self.analysed}
        totals |= {
            ("failed" if reason == "failed" else f"dropped_{reason}"): count
            for reason, count in self.dropped.items()
            if count
        }
        for outcome, total in totals.items():
            if total > self._told[outcome] or outcome not in self._told:
                STREAM_FRAMES.labels(self._stream_id, outcome).inc(total - self._told[outcome])
                self._told[outcome] = total
        while self._untold_ages:
            self._age.observe(self._untold_ages.popleft())
        for reason, total in self.reconnects.copy().items():
            if total > self._told_reconnects[reason]:
                STREAM_RECONNECTS.labels(self._stream_id, reason).inc(total - self._told_reconnects[reason])
                self._told_reconnects[reason] = total

    def rates(self, now: float) -> tuple[float, float]:
        """Frames read and analysed per second over the last seconds."""
        if not self._marks:
            return 0.0, 0.0
        then, read, analysed = self._marks[0]
        seconds = now - then
        if seconds < 0.5:
            return 0.0, 0.0
        return (self.read - read) / seconds, (self.analysed - analysed) / seconds

    def latency_ms(self) -> tuple[float, float]:
        """Median and 95th percentile of decoded to analysed, milliseconds; zeros before the first frame."""
        ages = np.array(self.ages.copy())
        if not len(ages):
            return 0.0, 0.0
        median, high = np.percentile(ages, (50, 95)) * 1000.0
        return float(median), float(high)

    def remove(self) -> None:
        """Take this stream out of the metrics."""
        for metric in (STREAM_UP, FRAME_AGE):
            metric.remove(self._stream_id)
        for outcome in self._told:
            STREAM_FRAMES.remove(self._stream_id, outcome)
        for reason in self._told_reconnects:
            STREAM_RECONNECTS.remove(self._stream_id, reason)
