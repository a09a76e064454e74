"""Run the suites and write the report.

python -m benchmarks.run [--only engine,sharing,many,stream,http,oip,overload,footprint,catalogue] [--turns 5] [--out docs/performance.md]
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aihub.algorithms.registry import Registry
from aihub.engine.engine import Engine
from aihub.engine.machine import cores, processor
from aihub.engine.store import ModelStore
from aihub.plugins import data_folder
from aihub.settings import Settings
from benchmarks import (
    catalogue,
    engine_speed,
    footprint,
    http_speed,
    many,
    oip_speed,
    overload,
    sharing,
    stream_path,
)
from benchmarks.measure import Figure

SUITES = ("engine", "sharing", "many", "stream", "http", "oip", "overload", "footprint", "catalogue")
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
"""What lies between these lines of the page is replaced; the rest is written by hand."""


def measure(chosen: list[str], turns: int) -> list[Figure]:
    """Run the chosen suites in order."""
    settings = Settings()
    if not settings.test_media or not settings.model_mirror:
        sys.exit("set AIHUB_TEST_MEDIA and AIHUB_MODEL_MIRROR: the benchmarks use real clips and weights")
    media, figures = Path(settings.test_media), []
    with tempfile.TemporaryDirectory(prefix="aihub-profiles-") as folder:
        profiles = Path(folder)
        store = ModelStore.from_folder(
            data_folder("models"), cache=profiles / "models", mirror=settings.model_mirror
        )
        with Engine(store, profiles=profiles) as engine:
            engine.tune("coco", budget_s=10.0)
            registry = Registry(engine)
            suites: dict[str, Callable[[], list[Figure]]] = {
                "engine": lambda: engine_speed.measure(engine, turns),
                "sharing": lambda: sharing.measure(engine, registry, media, turns),
                "many": lambda: many.measure(engine, registry, media, turns),
                "stream": lambda: stream_path.measure(engine, registry, media, max(3, turns - 2)),
                "http": lambda: http_speed.measure(engine, media, profiles, turns),
                "oip": lambda: oip_speed.measure(engine, profiles, turns),
                "overload": lambda: overload.measure(media, profiles),
                "footprint": lambda: footprint.measure(3),
                "catalogue": lambda: catalogue.measure(turns),
            }
            for name in chosen:
                sys.stderr.write(f"{name} ...\n")
                figures += suites[name]()
    return figures


def report(figures: list[Figure]) -> str:
    """Markdown."""
    name, _ = processor()
    lines = [f"{time.strftime('%Y-%m-%d')}, {cores()} cores of {name}, Python {platform.python_version()}.\n\n",
             "| what | figure | target | met | numbers behind it | command |\n|---|---|---|---|---|---|\n"]  # fmt: skip
    for figure in figures:
        met = {None: "-", True: "yes", False: "**no**"}[figure.met]
        lines.append(
            f"| {figure.name} | {figure.value:.2f} {figure.unit} | {figure.target} | {met} | {figure.detail} | `{figure.command}` |\n"
        )
    return "".join(lines)


def main() -> None:
    """Parse, measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(SUITES), help="suites, comma-separated")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    text = report(measure([name.strip() for name in asked.only.split(",")], asked.turns))
    sys.stdout.write(text)
    if asked.out:
        page = asked.out.read_text() if asked.out.exists() else BEGIN + END
        head, _, rest = page.partition(BEGIN)
        asked.out.write_text(head + BEGIN + text + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
