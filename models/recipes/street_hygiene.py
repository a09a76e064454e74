"""Bins, bins that run over, waste on the ground, litter, and holes in the road.

`garbage` is what lies in heaps beside bins, `litter` single things seen from near; the sets that mark the one do not mark the other.
"""

from __future__ import annotations

from models.recipes.exams import BINS
from models.recipes.recipe import Recipe
from models.recipes.training import Plan

RECIPE = Recipe(
    name="street-hygiene",
    labels=(*BINS, "litter", "pothole"),
    sets={
        "garbage_bins": (*BINS, "pothole"),
        "litter": ("litter", "pothole"),
        "pothole": ("pothole", "garbage_bin", "overflow", "litter"),
    },
    negatives={"hard_hat": 80, "construction_site": 60, "fire_smoke": 80},
    unsure=("garbage_bin", "garbage"),
    plan=Plan(epochs=60, minutes=45),
)
