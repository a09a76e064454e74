"""What a city's cameras show: people, their faces, what they ride and carry, and animals.

All but the faces is what YOLOX-nano knows, and stays exactly as good as it is there. Faces are learned beside it, on pictures of
building sites, streets and fires, from what YuNet finds on them.
"""

from __future__ import annotations

from models.recipes.recipe import Recipe
from models.recipes.training import Plan

KNOWN = (
    "person", "bicycle", "car", "motorcycle", "bus", "train", "truck", "boat", "airplane",
    "traffic light", "stop sign", "fire hydrant", "bench",
    "bird", "cat", "dog", "horse", "sheep", "cow",
    "backpack", "umbrella", "handbag", "suitcase", "skateboard", "sports ball",
    "bottle", "knife", "scissors", "chair", "dining table", "laptop", "cell phone",
)  # fmt: skip

RECIPE = Recipe(
    name="city-detector",
    labels=(*KNOWN, "face"),
    inherits={label: label for label in KNOWN},
    beside=True,
    teacher="yunet-640",
    sets=dict.fromkeys(("hard_hat", "hard_hat_workers", "construction_site"), ()),
    # Few faces show here; the teacher labels them all the same.
    negatives={"fire_smoke": 300, "garbage_bins": 120, "litter": 40, "pothole": 40},
    # Faces are small, as heads are in `site_safety`.
    plan=Plan(epochs=60, rate=2e-3, frozen=0, slower=1.0, minutes=50, zoom=1.6),
)
