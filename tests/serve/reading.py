"""Cards that read and study, for tests of the faces through which they are asked."""

from __future__ import annotations

from aihub.algorithms.registry import Registry
from tests.algorithms import reading_stages  # registers the stages
from tests.serve.hub import TestHub

__all__ = ["CARDS", "add_readers", "reading_stages"]

_REST = """
title: {en: Test, zh: 测试}
domain: demo
summary: For tests of texts and series.
examples: [{texts: [a], expect: {labels: {short: 1}}, evidence: synthetic}]
intended_use: tests
limits: none
"""
CARDS = {
    "text-length": """
id: text-length
input: [text]
params:
  limit: {type: integer, default: 5, minimum: 0, maximum: 1000, description: Characters.}
stages: [{test-length: {limit: $limit}}]
""",
    "texts-before": """
id: texts-before
input: [text]
sequence: true
stages: [{test-before: {}}]
""",
    "highest-value": """
id: highest-value
input: [series]
params:
  bound: {type: number, default: 0, minimum: -1000, maximum: 1000, description: Least value.}
stages: [{test-highest: {}}, {test-above: {bound: $bound}}]
""",
}


def add_readers(hub: TestHub) -> None:
    """Give a hub the cards of this module; to be called before its app is asked anything."""
    for name, text in CARDS.items():
        (hub.cards / f"{name}.yaml").write_text(text + _REST, encoding="utf-8")
    registry = hub.services.registry
    assert isinstance(registry, Registry)
    registry.reload()
