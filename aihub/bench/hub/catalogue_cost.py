"""What the catalogue costs a process: listing it, holding it, and its most used models in memory.

    python -m aihub.bench.hub.catalogue_cost list|hold|models [COUNT]

Each is measured by a process of its own, so that nothing measured before stands in memory already; it prints JSON. `ask` runs one.
Imports stand in the functions, since importing is a part of what is measured.
"""

from __future__ import annotations

import collections
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from aihub.bench.stand import NotHereError
from aihub.errors import AihubError

HEAVY = ("onnxruntime", "openvino", "torch", "statsmodels", "pandas", "sklearn", "jieba", "pocketsphinx", "rapidocr", "matplotlib")  # fmt: skip
"""Libraries that only what uses them may load."""
TIMEOUT_S = 300.0
Cost = dict[str, Any]


def ask(what: str, *options: str, timeout_s: float = TIMEOUT_S) -> Cost:
    """Measure one of `COSTS` in a new process.

    Raises:
        NotHereError: it needs weights that are not here.
        AihubError: it failed, or did not end in time.
    """
    command = [sys.executable, "-m", "aihub.bench.hub.catalogue_cost", what, *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise AihubError(f"measuring `{what}` did not end in {timeout_s:.0f} s") from None
    if done.returncode:
        raise AihubError(f"measuring `{what}` failed: {done.stderr.strip()[-800:]}")
    told: Cost = json.loads(done.stdout.splitlines()[-1])
    if "missing" in told:
        raise NotHereError(told["missing"])
    return told


def list_cards() -> Cost:
    """Seconds for importing all stages, for reading all cards, and for asking each whether it is ready."""
    begun = time.perf_counter()
    from aihub.algorithms.registry import Registry
    from aihub.plugins import load_group
    from aihub.testing import FakePredictor

    load_group("aihub.algorithms")
    load_group("aihub.rules")
    imported = time.perf_counter()
    registry = Registry(FakePredictor())
    read = time.perf_counter()
    cards = [(one.card.id, one.readiness()) for one in registry.list()]
    listed = time.perf_counter()
    return {"cards": len(cards), "import_s": imported - begun, "read_s": read - imported, "list_s": listed - read,
            "heavy": sorted(set(HEAVY) & set(sys.modules))}  # fmt: skip


def hold_cards() -> Cost:
    """Resident memory that all cards add to a process that has all stages and one card, MB."""
    from aihub.algorithms.registry import Registry
    from aihub.plugins import data_folder, load_group
    from aihub.testing import FakePredictor

    load_group("aihub.algorithms")
    load_group("aihub.rules")
    process = psutil.Process()
    one_card = Registry(FakePredictor(), [data_folder("pipelines") / "public-places"])
    before = process.memory_info().rss
    every = Registry(FakePredictor())
    for one in every.list():
        one.params_schema()
        one.readiness()
    held = (process.memory_info().rss - before) / 1e6
    return {"cards": len(every.list()), "before": len(one_card.list()), "mb": held}


def load_models(most: int) -> Cost:
    """Resident memory of the models that the most algorithms use, each as it is loaded after the others, MB."""
    from aihub.algorithms.registry import Registry
    from aihub.engine.engine import Engine
    from aihub.engine.store import ModelStore
    from aihub.plugins import data_folder
    from aihub.settings import Settings

    with tempfile.TemporaryDirectory(prefix="aihub-bench-") as home:
        store = ModelStore.from_folder(
            data_folder("models"), cache=Path(home) / "cache", mirror=Settings().model_mirror
        )
        with Engine(store, budget_bytes=8 << 30) as engine:
            used: collections.Counter[str] = collections.Counter()
            for one in Registry(engine).list():
                cards = [store.resolve(name) for name in one.models()]
                used.update({card.name for card in cards if store.available(card)})
            if not used:
                return {"missing": "no model's weights are here"}
            process = psutil.Process()
            grown: dict[str, float] = {}
            before = process.memory_info().rss
            for name, _ in used.most_common(most):
                engine.warm([name])
                now = process.memory_info().rss
                grown[name], before = (now - before) / 1e6, now
    return {"models": grown, "mb": sum(grown.values())}


COSTS: dict[str, Callable[..., Cost]] = {"list": list_cards, "hold": hold_cards}


def main(asked: list[str]) -> None:
    """Measure what is asked for, and print it."""
    told = load_models(int(asked[1])) if asked[0] == "models" else COSTS[asked[0]]()
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
