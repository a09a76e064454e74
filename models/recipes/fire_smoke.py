"""Fire and smoke. The two sources of the set draw smoke differently (one large box, or many small ones): both are kept as they are,
and figures are given for each."""

from __future__ import annotations

from models.recipes.recipe import Recipe
from models.recipes.training import Plan

RECIPE = Recipe(
    name="fire-smoke",
    labels=("fire", "smoke"),
    sets={"fire_smoke": ("fire", "smoke")},
    # What plants, streets and yards show on other days: none of it burns. All of it, and small parts of it, because a network that saw
    # a fifth of it took blank walls and empty roads for smoke.
    negatives={
        "hard_hat": 740,
        "construction_site": 211,
        "garbage_bins": 302,
        "litter": 97,
        "pothole": 139,
        "hard_hat_workers": 83,
    },
    plan=Plan(epochs=36, minutes=60, details=0.4),
)
