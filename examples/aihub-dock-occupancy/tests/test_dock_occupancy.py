"""The proof of dock-occupancy: schema, contract, laws, wire and the examples of its card; and what its stage counts."""

from pathlib import Path

import pytest

import aihub_dock_occupancy.stage
from aihub.testing import FakePredictor, boxes, check_algorithm, frame, picture

CARD = Path(aihub_dock_occupancy.stage.__file__).parent / "pipelines/works/dock-occupancy.yaml"
LEFT_HALF = ((0, 0), (0.5, 0), (0.5, 1), (0, 1))


def _seen(shown):
    """What the detector says of the drawn examples: a car, but for the empty street."""
    return boxes(labels=["car"]) if "still-street" in shown.source else boxes(("car", 0.9, (200, 220, 420, 340)))


def test_dock_occupancy() -> None:
    assert check_algorithm(CARD, FakePredictor({"coco": _seen})).evidence == "synthetic"


@pytest.mark.parametrize(
    ("box", "cover"),
    [
        ((0, 0, 640, 360), 1.0),  # all of it
        ((0, 0, 320, 180), 0.5),  # its upper half
        ((320, 0, 640, 360), 0.0),  # beside it
    ],
)
def test_what_counts_is_the_part_inside_the_zone(box, cover) -> None:
    params = aihub_dock_occupancy.stage.ZoneCoverParams(zone=LEFT_HALF)
    stage = aihub_dock_occupancy.stage.ZoneCover(params, FakePredictor())
    found = stage.process(frame(picture(360, 640)), boxes(("car", 0.9, box)))
    assert found.measures["cover"] == pytest.approx(cover, abs=0.05)
