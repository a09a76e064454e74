"""Fire and smoke. The two sources of the set draw smoke differently (one large box, or many small ones): both are kept as they are,
and figures are given for each."""

from __future__ import annotations

from models.recipes.recipe import Recipe
from models.recipes.training import Plan

RECIPE = Recipe(
    name="fire-smoke",
    labels=("fire", "smoke"),
    sets={"fire_smoke": ("fire", "smoke")},
    # What plants, streets and yards show on other days: none of it burns.
    negatives={"hard_hat": 70, "construction_site": 70, "garbage_bins": 70, "litter": 50, "pothole": 50},
    plan=Plan(epochs=36, minutes=60),
)
