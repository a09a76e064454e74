"""How well faces are told apart: false acceptance and false rejection over the likeness, with a threshold chosen on one half only.

    python -m benchmarks.face_pairs                    # people of the test media
    python -m benchmarks.face_pairs --strangers DIR    # and strangers: pictures of workers in the training data

What pairs there are says `aihub/bench/accuracy/faces.py`, which the suite `accuracy` measures with too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from aihub.bench.accuracy.faces import ONE_PERSON, Faces, chosen, known, pairs, rates, strangers
from aihub.engine.engine import Engine
from aihub.engine.store import ModelStore
from aihub.plugins import data_folder
from aihub.settings import settings

WANTED = (0.01, 0.001)
"""Rates of false acceptance for which a threshold is chosen."""


def main() -> None:
    """Measure and say what came out, as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strangers", type=Path, help="folder of the training data")
    parser.add_argument("--one-person", type=float, default=ONE_PERSON)
    asked = parser.parse_args()
    media = Path(settings().test_media or os.environ.get("AIHUB_TEST_MEDIA", ""))
    with TemporaryDirectory() as cache:
        store = ModelStore.from_folder(
            data_folder("models"), cache=Path(cache), mirror=settings().model_mirror
        )
        with Engine(store) as engine:
            found = Faces(engine)
            people = list(known(media, found))
            if asked.strangers:
                people += strangers(asked.strangers, found)
    halves = [pairs([face for face in people if face.half == half], asked.one_person) for half in (0, 1)]
    same, other = pairs(people, asked.one_person)
    said = {
        "faces": len(people),
        "pairs of one person": [len(half[0]) for half in halves],
        "pairs of different people": [len(half[1]) for half in halves],
        "chosen on the first half, measured on the second": {
            f"far {far:g}": rates(*halves[1], chosen(halves[0][1], far)) for far in WANTED
        },
        "all": [rates(same, other, threshold) for threshold in np.arange(0.4, 0.76, 0.04).tolist()],
    }
    sys.stdout.write(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
