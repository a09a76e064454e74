"""Exponential smoothing with a damped trend, many settings at once.

Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., 8.2: the level follows the values, the trend
follows the level, and further ahead the trend counts less.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

_ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
_BETAS = (0.0, 0.02, 0.1, 0.3)
"""Share of alpha: how much of a change of level becomes trend."""
_DAMPING = (0.9, 0.97)
_GRID = np.array([(a, a * b, phi) for a in _ALPHAS for b in _BETAS for phi in _DAMPING if b or phi == 0.9])

LONGEST = 600
"""Values that are smoothed, counted from the end: older ones no longer matter."""


def smoothed_ahead(values: F64, horizon: int) -> F64:
    """What comes next, `(horizon,)`: by the settings whose foretelling of the next value was best.

    Args:
        values: `(n,)` without holes and without a rhythm, at least 1.
        horizon: steps ahead.
    """
    recent = values[-LONGEST:]
    if len(recent) < 4:
        return np.full(horizon, recent[-1])
    alpha, beta, phi = _GRID.T
    first = recent[: max(2, min(8, len(recent) // 3))]
    level = np.full(len(_GRID), first.mean())
    trend = np.full(len(_GRID), 0.0 if len(first) < 4 else float(np.median(np.diff(first))))
    trend[beta == 0] = 0.0
    errors = np.zeros(len(_GRID))
    warm = len(recent) // 4
    for step, value in enumerate(recent.tolist()):
        ahead = level + phi * trend
        error = value - ahead
        if step >= warm:
            errors += np.abs(error)
        level = ahead + alpha * error
        trend = phi * trend + beta * error
    best = int(np.argmin(errors))
    damped = np.cumsum(phi[best] ** np.arange(1, horizon + 1))
    come: F64 = level[best] + damped * trend[best]
    return come
