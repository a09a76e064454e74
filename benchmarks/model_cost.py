"""What a model costs on this machine in each precision: time of a picture against another model in turns, and memory.

    python -m benchmarks.model_cost fire-smoke city-detector --base yolox-nano

Bare sessions, one picture at a time on each core; memory is what a process of its own grows by when it opens the session and
runs ten pictures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from aihub.engine.engine import Engine
from aihub.engine.machine import cores
from aihub.engine.store import ModelStore
from aihub.settings import Settings
from benchmarks.engine_speed import Feeds, by_hand, graph_of, variants
from benchmarks.measure import Turns, take_turns

PRECISIONS = {"f32, ONNX Runtime": "ORT 1 thread a run", "f32, OpenVINO": "OpenVINO f32", "bf16, OpenVINO": "OpenVINO bf16"}  # fmt: skip
WARM = 10


def engine_of(folder: Path) -> Engine:
    """An engine on the project's cards."""
    settings = Settings()
    return Engine(
        ModelStore.from_folder(folder, cache=settings.home / "models", mirror=settings.model_mirror)
    )


def feeds_of(engine: Engine, name: str) -> Feeds:
    """One picture of noise in the model's size."""
    card, _ = graph_of(engine, name)
    assert card.input is not None
    return {card.input.name: np.random.default_rng(0).integers(0, 255, (1, *card.input.size, 3), np.uint8)}


def megabytes(folder: Path, name: str, variant: str) -> float:
    """What opening and running it adds to a process. To be called in one of its own."""
    before = psutil.Process().memory_info().rss
    with engine_of(folder) as engine:
        feeds, make = feeds_of(engine, name), variants(engine, name)[variant]
        session = make()
        for _ in range(WARM):
            session.run(feeds)
        return float(psutil.Process().memory_info().rss - before) / 1e6


def timed(folder: Path, names: Sequence[str], variant: str, turns: int) -> Turns | None:
    """Seconds a picture of each model in turns; None where the machine cannot run it so."""
    with engine_of(folder) as engine:
        if any(variant not in variants(engine, name) for name in names):
            return None
        opened = {name: (variants(engine, name)[variant](), feeds_of(engine, name)) for name in names}

        def turn(name: str) -> float:
            session, feeds = opened[name]
            return by_hand(session, feeds, cores())

        taken = take_turns({name: lambda name=name: turn(name) for name in names}, turns)  # type: ignore[misc]
        for session, _ in opened.values():
            session.close()
    return taken


def measure(folder: Path, names: Sequence[str], base: str, turns: int) -> list[dict[str, Any]]:
    """A row for each model and precision."""
    rows = []
    context = multiprocessing.get_context("spawn")
    for precision, variant in PRECISIONS.items():
        taken = timed(folder, [base, *names], variant, turns)
        if taken is None:
            continue
        for name in (base, *names):
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                memory = pool.submit(megabytes, folder, name, variant).result(timeout=300)
            rows.append({
                "model": name, "precision": precision, "ms": round(taken.median(name) * 1e3 * cores(), 2),
                f"of {base}": round(taken.ratio(name, base), 3), "turns": taken.spread(name, base), "MB": round(memory, 1),
            })  # fmt: skip
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="MODEL")
    parser.add_argument("--base", default="yolox-nano")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the model cards")
    parser.add_argument("--turns", type=int, default=5)
    asked = parser.parse_args()
    rows = measure(asked.models, asked.names, asked.base, asked.turns)
    for row in rows:
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
