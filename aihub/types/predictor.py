"""The seam between those who want results and whatever runs models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aihub.types.bill import Bill
from aihub.types.frame import Frame
from aihub.types.results import Detections

Tensor = npt.NDArray[np.generic]


class Predictor(Protocol):
    """Runs models by name (or role, such as `coco`). The in-process engine, a remote pool, and test fakes satisfy it.

    Every call is asynchronous: work is queued, and the returned future gives the result or an `AihubError`
    (`QueueFullError` at once when the model's queue is at its bound, `DeadlineError` when it was too late).
    """

    def detect(
        self,
        model: str,
        frame: Frame,
        *,
        confidence: float = 0.1,
        source: str = "",
        deadline: float | None = None,
    ) -> Future[Detections]:
        """Find things in one frame with a detector. `deadline` is a `time.monotonic()`. Shared through `frame.memo`."""
        ...

    def run(
        self,
        model: str,
        inputs: Mapping[str, Tensor],
        *,
        source: str = "",
        deadline: float | None = None,
        bill: Bill | None = None,
    ) -> Future[dict[str, Tensor]]:
        """Raw tensors in, raw tensors out, for models whose pre- and post-processing the caller owns.

        The run's seconds are put on `bill` under the model's name; those of `detect` on the bill of its frame.
        """
        ...

    def metadata(self, model: str) -> Mapping[str, str]:
        """Free-text entries that the graph carries, such as the character set of a text reader."""
        ...

    def missing(self, models: Sequence[str]) -> list[str]:
        """Those of `models` whose weights are not to be had here: the algorithm is `needs-weights`."""
        ...
