"""Algorithm cards: YAML to an algorithm that can be listed."""

from __future__ import annotations

import json

from aihub.algorithms.algorithm import Algorithm
from aihub.testing import FakePredictor
from aihub.types import AlgorithmCard, load_card
from tests.fuzz.files import on_disk
from tests.fuzz.law import read_or_refused

LONGEST = 2048
WORDS = (
    b"&a ", b"*a", b"<<: ", b"!!binary ", b"!!int ", b"!!float ", b"!!timestamp ", b"2001-02-30", b".nan", b".inf", b"0x", b"1:60", b"? ", b"- ",
    b"{model: coco}", b"stages:\n", b"params:\n", b"$confidence", b"choices: [a]", b"minimum: ", b"type: strings", b"event: {type: x}", b"\xc2\x85", b"\0",
)  # fmt: skip

SOUND = """\
id: truck-at-dock
version: 1
title: {en: Truck at the dock, zh: 卸货口停靠卡车}
summary: A truck stands in the zone.
domain: traffic
input: [image, video]
params:
  zone: {type: polygon, default: [[0, 0], [1, 0], [1, 1]], description: Dock.}
  dwell: {type: number, default: 60, minimum: 0, maximum: 86400, unit: s, description: Standing time.}
  names: {type: strings, default: [a], choices: [a, b], description: Names.}
  confidence: {type: number, default: 0.4, minimum: 0, maximum: 1, description: Least confidence.}
stages:
  - detect: {model: coco}
  - select: {labels: [truck]}
  - filter: {confidence: $confidence}
event: {type: truck-at-dock, severity: info, cooldown: 60}
examples:
  - {media: "drawn:thing", expect: {none: true}, evidence: synthetic}
intended_use: Fixed cameras.
limits: None.
"""
SMALL = """\
{id: a, title: {en: A, zh: B}, summary: s, domain: d, input: [image], stages: [{detect: {model: coco}}],
examples: [{media: "drawn:thing", expect: {}, evidence: real}], intended_use: u, limits: l}
"""
PREDICTOR = FakePredictor()


def check(data: bytes) -> bool:
    """An algorithm with a schema that JSON can carry, or a refusal that names the file."""
    path = on_disk(data)
    algorithm = read_or_refused(lambda: Algorithm(load_card(path, AlgorithmCard), PREDICTOR), named=False)
    if algorithm is None:
        return False
    json.dumps(algorithm.params_schema(), allow_nan=False)
    json.dumps(algorithm.card.model_dump(mode="json"), allow_nan=False)
    algorithm.readiness()
    return True


def seeds() -> list[bytes]:
    """A card with everything in it, and a small one in the other style."""
    return [SOUND.encode(), SMALL.encode()]
