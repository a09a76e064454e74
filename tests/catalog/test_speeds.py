"""What `speed-estimation` says of drawn cars whose speeds are known, with the detector that comes with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from aihub.algorithms.examples import footage
from aihub.algorithms.planner import Plan
from aihub.algorithms.registry import Registry
from aihub.engine import Engine, ModelStore
from aihub.plugins import data_folder
from aihub.scenes.drawings import HEIGHT, WIDTH
from aihub.scenes.roads import FAR_KMH, NEAR_KMH, ROAD, ROAD_M
from aihub.types import Detections, Example, Findings

ON_THE_ROAD = {
    "road": [[x / WIDTH, y / HEIGHT] for x, y in ROAD], "width_m": ROAD_M[0], "length_m": ROAD_M[1], "window": 0.6
}  # fmt: skip


@pytest.mark.parametrize("fps", [6, 10])
def test_every_speed_is_within_five_in_a_hundred(fps: float, tmp_path: Path) -> None:
    store = ModelStore.from_folder(data_folder("models"), cache=tmp_path / "cache")
    example = Example(media="drawn:speeds", fps=fps, seconds=2.7, expect={"none": True}, evidence="synthetic")
    shown = footage(example, None)
    assert shown is not None
    said: list[tuple[float, float]] = []
    with Engine(store, profiles=tmp_path / "profiles") as engine:
        plan = Plan(engine)
        plan.set("speeds", Registry(engine).get("speed-estimation"), ON_THE_ROAD)
        for frame in shown.frames:
            result = plan.run(frame)["speeds"]
            assert isinstance(result, Findings)
            assert isinstance(result.found, Detections)
            rows = zip(result.found.xyxy, result.found.attributes or (), strict=True)
            said += [(float(box[3]), row["speed_kmh"]) for box, row in rows if "speed_kmh" in row]
    near = [speed for foot, speed in said if foot > 310]
    far = [speed for foot, speed in said if foot <= 310]
    assert len(near) >= 6
    assert len(far) >= 2
    assert near == pytest.approx([NEAR_KMH] * len(near), rel=0.05)
    assert far == pytest.approx([FAR_KMH] * len(far), rel=0.05)
