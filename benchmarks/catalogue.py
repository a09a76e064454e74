"""What the catalogue costs a hub: listing it, holding it, importing it, and its models in memory.

    python -m benchmarks.run --only catalogue

Each figure comes from processes of their own, so that nothing measured before stands in memory already.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

from benchmarks.measure import Figure

COMMAND = "python -m benchmarks.run --only catalogue"
HEAVY = (
    "onnxruntime",
    "openvino",
    "torch",
    "statsmodels",
    "pandas",
    "sklearn",
    "jieba",
    "pocketsphinx",
    "rapidocr",
    "matplotlib",
)
"""Libraries that only what uses them may load."""
MOST_USED = 20

LIST = """
import json, sys, time
begun = time.perf_counter()
from aihub.algorithms.registry import Registry
from aihub.plugins import load_group
from aihub.testing import FakePredictor
load_group("aihub.algorithms"), load_group("aihub.rules")
imported = time.perf_counter()
registry = Registry(FakePredictor())
read = time.perf_counter()
rows = [(one.card.id, one.readiness()) for one in registry.list()]
listed = time.perf_counter()
heavy = sorted(set(%r) & set(sys.modules))
print(json.dumps({"cards": len(rows), "import_s": imported - begun, "read_s": read - imported, "list_s": listed - read, "heavy": heavy}))
"""

HOLD = """
import json, psutil, sys
from pathlib import Path
from aihub.algorithms.registry import Registry
from aihub.plugins import load_group
from aihub.testing import FakePredictor
load_group("aihub.algorithms"), load_group("aihub.rules")
first = next(Path("pipelines").rglob("person-detection.yaml")).parent
here = psutil.Process()
few = Registry(FakePredictor(), [first / "none"])
before = here.memory_info().rss
every = Registry(FakePredictor())
for one in every.list():
    one.params_schema(), one.readiness()
print(json.dumps({"cards": len(every.list()), "mb": (here.memory_info().rss - before) / 1e6}))
"""

LOAD = """
import collections, json, os, psutil, tempfile
from pathlib import Path
from aihub.algorithms.registry import Registry
from aihub.engine import Engine, ModelStore
from aihub.plugins import data_folder
home = Path(tempfile.mkdtemp())
store = ModelStore.from_folder(data_folder("models"), cache=home / "cache", mirror=os.environ["AIHUB_MODEL_MIRROR"])
engine = Engine(store, budget_bytes=8 << 30)
registry = Registry(engine)
used = collections.Counter()
for one in registry.list():
    used.update({store.resolve(name).name for name in one.models() if store.available(store.resolve(name))})
names = [name for name, _ in used.most_common(%d)]
here = psutil.Process()
before = here.memory_info().rss
engine.warm(names)
print(json.dumps({"models": names, "mb": (here.memory_info().rss - before) / 1e6}))
engine.close()
"""


def _told(code: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False, env=os.environ
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


def measure(turns: int = 5) -> list[Figure]:
    """Medians over processes."""
    lists = [_told(LIST % (HEAVY,)) for _ in range(turns)]
    holds = [_told(HOLD) for _ in range(turns)]
    loaded = _told(LOAD % MOST_USED)
    cards = lists[0]["cards"]
    read, listed, imported = (
        statistics.median(float(str(one[name])) for one in lists) for name in ("read_s", "list_s", "import_s")
    )
    heavy = sorted({str(name) for one in lists for name in one["heavy"]})  # type: ignore[attr-defined]
    held = statistics.median(float(str(one["mb"])) for one in holds)
    models = float(str(loaded["mb"]))
    names = loaded["models"]
    count = len(names) if isinstance(names, list) else 0
    return [
        Figure(f"Listing {cards} cards with their readiness", read + listed, "s", "<= 0.5 s", read + listed <= 0.5,
               f"reading them {read:.2f} s, asking each {listed * 1000:.0f} ms; importing the libraries and all stages before that {imported:.2f} s", COMMAND),
        Figure("Heavy libraries that the registry loads", len(heavy), "", "0", not heavy, ", ".join(heavy) or "none", COMMAND),
        Figure(f"Memory of {cards} cards registered and idle", held, "MB", "< 50 MB", held < 50, f"medians of {turns}", COMMAND),
        Figure(f"Memory of the {count} most used models", models / 1000, "GB", "< 1 GB", models < 1000, f"{names}", COMMAND),
    ]  # fmt: skip
