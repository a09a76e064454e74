"""What the README says of the catalogue is so."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from aihub.algorithms.registry import Registry
from aihub.testing import FakePredictor

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CARDS = [algorithm.card for algorithm in Registry(FakePredictor()).list()]
ROW = re.compile(r"^\| \[[^\]]+\]\(docs/catalogue/([a-z-]+)\.md\) \| (\d+) \| (.*) \|$", re.MULTILINE)


def test_the_table_counts_every_domain() -> None:
    told = {domain: int(count) for domain, count, _ in ROW.findall(README)}
    assert told == Counter(card.domain for card in CARDS)


def test_the_algorithms_that_it_names_are_there_and_in_that_domain() -> None:
    domain_of = {card.id: card.domain for card in CARDS}
    for domain, _, names in ROW.findall(README):
        for name in re.findall(r"`([a-z0-9-]+)`", names):
            assert domain_of[name] == domain


def test_its_figures_are_those_of_the_catalogue() -> None:
    facts = json.loads((ROOT / "docs/catalogue/facts.json").read_text(encoding="utf-8")).values()
    ready = sum(fact["state"] == "ready" for fact in facts)
    real = sum(fact["evidence"] == "real" for fact in facts)
    drawn = sum(fact["evidence"] == "synthetic" for fact in facts)
    assert f"{len(CARDS)} algorithms, each a YAML card" in README
    assert f"{ready} are ready with the weights and media at hand, {real} of them shown on real" in README
    assert f"{drawn} on drawn ones" in README
    assert f"Algorithm no. {len(CARDS) + 1} is" in README
