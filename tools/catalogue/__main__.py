"""See `tools.catalogue`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from aihub.algorithms.registry import Registry
from aihub.algorithms.scenarios import Scenarios
from aihub.engine import Engine, ModelStore
from aihub.plugins import data_folder
from aihub.testing import FakePredictor
from tools.catalogue.facts import card_digest, facts_of
from tools.catalogue.pages import pages

OUT = Path("docs/catalogue")
FACTS = "facts.json"


def measure(out: Path, only: list[str]) -> None:
    """Run the algorithms and write facts and pictures; all of them, or those named."""
    media = os.environ.get("AIHUB_TEST_MEDIA", "")
    mirror = os.environ.get("AIHUB_MODEL_MIRROR", "")
    if not media or not mirror:
        sys.exit("set AIHUB_TEST_MEDIA and AIHUB_MODEL_MIRROR: the catalogue shows real media and weights")
    pictures = out / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    path = out / FACTS
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        store = ModelStore.from_folder(data_folder("models"), cache=folder / "cache", mirror=mirror)
        with Engine(store, profiles=folder / "profiles") as engine:
            registry = Registry(engine)
            every = registry.list()
            for done, algorithm in enumerate(every, 1):
                name = algorithm.card.id
                if not only or name in only:
                    sys.stderr.write(f"\r{done}/{len(every)} {name:<40}")
                    known[name] = facts_of(algorithm, engine, Path(media), pictures)
    names = {algorithm.card.id for algorithm in every}
    for gone in pictures.glob("*.jpg"):
        if gone.stem not in names:
            gone.unlink()
    facts = {name: known[name] for name in sorted(names)}
    path.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    sys.stderr.write("\n")


def written(out: Path) -> dict[str, str]:
    """The pages as they should be."""
    facts = json.loads((out / FACTS).read_text(encoding="utf-8"))
    registry = Registry(FakePredictor())
    return pages(registry.list(), facts, Scenarios(registry).list())


def stale(out: Path) -> list[str]:
    """What is not that of the cards, in words."""
    facts = json.loads((out / FACTS).read_text(encoding="utf-8"))
    cards = {algorithm.card.id: algorithm for algorithm in Registry(FakePredictor()).list()}
    found = [f"{name} has no facts" for name in sorted(cards.keys() - facts.keys())]
    found += [f"{name} has facts but no card" for name in sorted(facts.keys() - cards.keys())]
    both = sorted(cards.keys() & facts.keys())
    found += [
        f"the card of {name} has changed" for name in both if card_digest(cards[name]) != facts[name]["card"]
    ]
    kept = {file.stem for file in (out / "pictures").glob("*.jpg")}
    found += [f"{name} lacks its picture" for name in both if facts[name]["picture"] and name not in kept]
    found += [
        f"the picture {name} belongs to nothing"
        for name in sorted(kept - {n for n in both if facts[n]["picture"]})
    ]
    if found:
        return found
    pages_now = {file.name: file.read_text(encoding="utf-8") for file in out.glob("*.md")}
    wanted = written(out)
    return [
        f"{name} is not as the cards have it"
        for name in sorted(wanted.keys() | pages_now.keys())
        if pages_now.get(name) != wanted.get(name)
    ]


def main() -> None:
    """See the package."""
    reader = argparse.ArgumentParser(prog="python -m tools.catalogue")
    reader.add_argument("--pages", action="store_true")
    reader.add_argument("--check", action="store_true")
    reader.add_argument("--only", nargs="*", default=[], metavar="ID")
    given = reader.parse_args()
    if given.check:
        problems = stale(OUT)
        sys.stdout.write("".join(f"docs/catalogue: {problem}\n" for problem in problems))
        sys.exit("run `make docs`" if problems else 0)
    if not given.pages:
        measure(OUT, given.only)
    for file in OUT.glob("*.md"):
        file.unlink()
    for name, text in written(OUT).items():
        (OUT / name).write_text(text, encoding="utf-8")


main()
