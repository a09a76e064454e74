"""How long a model takes beside another: each as the hub runs it, in turns on one thread, by this process's CPU.

    python -m benchmarks.model_times city-detector yolox-nano

One row for each runtime and precision that is here: the time of the first over the time of the second, the median of the turns
with its 95 % interval, and the milliseconds of both. Beside other work the ratio moves by some hundredths.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from aihub.bench.runtimes.subjects import Subject, subject
from aihub.bench.stand import Stand
from aihub.bench.turns import cpu, interval, take_turns
from aihub.engine.backends import backends
from aihub.engine.session import RunSettings

SLICE_S = 0.5
"""Of one measurement, about."""


def main() -> None:
    """Measure and say so."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("base")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = []
    with TemporaryDirectory() as folder:
        stand = Stand(Path(folder))
        try:
            pair = [subject(stand, stand.engine, name) for name in (asked.model, asked.base)]
            for name, backend in backends().items():
                if not backend.accelerator:
                    rows += [_row(pair, name, precision, asked.turns) for precision in backend.precisions()]
        finally:
            stand.close()
    if asked.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(f"{row['runs']:<18} {row['ratio']:.3f} ({row['low']:.3f}-{row['high']:.3f})  {row['model_ms']:.2f} / {row['base_ms']:.2f} ms")  # fmt: skip


def _row(pair: list[Subject], backend: str, precision: str, turns: int) -> dict[str, float | str]:
    with ExitStack() as open_:
        works = {}
        for at, one in enumerate(pair):
            settings = RunSettings(backend, precision, threads=1, batch=1 if one.pictures else 0)
            session = backends()[backend].load(one.graph, settings)
            open_.callback(session.close)
            run = partial(session.run, one.feeds())
            works[at] = partial(cpu, run, max(1, round(SLICE_S / cpu(run, 3))))
        taken = take_turns({"model": works[0], "base": works[1]}, turns)
    low, high = interval(taken.ratios("model", "base")) or (float("nan"), float("nan"))
    return {
        "runs": f"{backend} {precision}", "ratio": taken.ratio("model", "base"), "low": low, "high": high,
        "model_ms": 1e3 * taken.median("model"), "base_ms": 1e3 * taken.median("base"),
    }  # fmt: skip


if __name__ == "__main__":
    main()
