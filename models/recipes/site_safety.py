"""People at work and what they wear on their heads, and the machines beside them.

No set marks everything: `hard_hat` has no machines, `hard_hat_workers` no persons, and `construction_site` marks its machines only
throughout. Each teaches what it knows.
"""

from __future__ import annotations

from models.recipes.exams import HEADS, MACHINES
from models.recipes.recipe import Recipe
from models.recipes.training import Plan

RECIPE = Recipe(
    name="site-safety",
    labels=("person", *HEADS, *MACHINES),
    sets={
        "hard_hat": ("person", *HEADS),
        "hard_hat_workers": ("hard_hat", "bare_head"),
        "construction_site": MACHINES,
    },
    # Fires bring firemen with helmets and street pictures bring passers-by: of people these pictures teach nothing.
    negatives={"garbage_bins": 40, "litter": 20, "pothole": 20, "fire_smoke": 60},
    unsure=("person", *HEADS),
    inherits={"person": "person", "dump_truck": "truck"},
    # Heads are small: at half their size, as four whole pictures on one canvas show them, little is left of them.
    sharp=True,
    plan=Plan(epochs=45, minutes=60, zoom=1.6),
)
