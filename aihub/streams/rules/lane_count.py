"""Rule `lane-count`: what passes a line, counted by kind."""

from __future__ import annotations

from collections import Counter

from aihub.streams.rules.line_crossing import LineCrossing, LineCrossingParams
from aihub.types import AnyResult, Findings, Frame, Predictor


class LaneCount(LineCrossing):
    """As `line-crossing`; in addition `passed`, and a measure for each kind that has passed in the direction asked for.

    A kind's measure has the name of its label with `_` for spaces, such as `car` or `bus`.
    """

    name = "lane-count"

    def __init__(self, params: LineCrossingParams, predictor: Predictor) -> None:
        super().__init__(params, predictor)
        self._kinds: Counter[str] = Counter()

    def process(self, frame: Frame, found: AnyResult | None) -> Findings:
        """See the class."""
        seen = super().process(frame, found)
        self._kinds.update(one.label for one in seen.observations)
        kinds = {label.replace(" ", "_"): float(count) for label, count in self._kinds.items()}
        measures = {**seen.measures, "passed": float(self._kinds.total()), **kinds}
        return Findings(seen.found, seen.observations, measures)
