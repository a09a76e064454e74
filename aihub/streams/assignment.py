"""Which detection continues which track: costs of all pairs, and the cheapest way to pair them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
F64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

GATE = 13.8
"""Squared Mahalanobis distance below which 99.9% of true centres lie (two degrees of freedom)."""
SIZE_RATIO = 2.0
"""Areas of boxes that do not overlap may differ by this factor squared at most."""
OTHER_CLASS_IOU = 0.6
"""Detectors take a van now for a car, now for a truck: another class is believed where boxes overlap this much."""
OTHER_CLASS_COST = 0.25
NO_MATCH = 1.0
"""What leaving a pair apart costs; every allowed pair costs less."""
FORBIDDEN = 1e3


def pair_costs(
    iou: Floats, distance: F64, area_ratio: Floats, same_class: npt.NDArray[np.bool_], match_iou: float
) -> F64:
    """Cost of every pair of a track and a detection, below `NO_MATCH` where they may be the same thing.

    Overlap decides at high frame rates; where a walking person no longer overlaps with themselves (2-5 frames a second),
    the distance from the predicted centre does.

    Args:
        iou: `(T, D)` overlap of the predicted and the detected box.
        distance: `(T, D)` squared Mahalanobis distance of the centres.
        area_ratio: `(T, D)` detected area over predicted area.
        same_class: `(T, D)` whether the classes agree.
        match_iou: overlap from which a pair is allowed whatever the distance.
    """
    nearness = 1 - distance / GATE
    similar = (area_ratio < SIZE_RATIO**2) & (area_ratio > SIZE_RATIO**-2)
    allowed = (iou >= match_iou) | ((nearness > 0) & similar)
    allowed &= same_class | (iou >= OTHER_CLASS_IOU)
    cost = 1 - (iou + np.maximum(nearness, 0)) / 2
    cost[~same_class] += OTHER_CLASS_COST
    cost[~allowed] = FORBIDDEN
    return cost


def assign(cost: Floats) -> tuple[Rows, Rows]:
    """Pair rows with columns so that the sum of costs, `NO_MATCH` for each left alone, is least.

    Returns:
        rows and columns of the pairs, each `(K,)`; no row or column occurs twice.

    >>> assign(np.array([[0.1, 0.9], [0.3, 1000.0]]))
    (array([0]), array([0]))
    """
    if not cost.size:
        nothing = np.zeros(0, np.intp)
        return nothing, nothing
    # here: it takes up to a second, for which every process of a starting hub would wait
    from scipy.optimize import linear_sum_assignment

    # forbidden pairs must cost as much as no pair: otherwise two bad matches would win over a perfect one
    rows, columns = linear_sum_assignment(np.minimum(cost, NO_MATCH))
    kept = cost[rows, columns] < NO_MATCH
    return rows[kept], columns[kept]
