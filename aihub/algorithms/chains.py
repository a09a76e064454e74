"""Chains of stages as a trie whose edges are (stage name, settings): equal beginnings are one stage, run once a frame.

Ten chains that start with the same detector hang below one node, so the detector runs once, whatever they do afterwards.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aihub.algorithms.base import Stage, StageError
from aihub.algorithms.behalf import OnBehalf
from aihub.algorithms.params import StageSpec
from aihub.errors import AihubError, DeadlineError
from aihub.telemetry import STAGE_FAILURES, STAGE_SECONDS
from aihub.types import AnyResult, Bill, Frame, Predictor

logger = logging.getLogger(__name__)

LOG_EVERY_S = 60.0

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Link:
    """A stage with its settings, and what it is the same as."""

    key: _Key
    kind: type[Stage[Any]]
    params: Any


def links_of(stages: Iterable[StageSpec]) -> tuple[Link, ...]:
    """The links of a chain: settings are compared by value, not by how they are written."""
    return tuple(Link((kind.name, params.model_dump_json()), kind, params) for kind, params in stages)


def work_key(path: Sequence[_Key]) -> str:
    """Short name of a stage behind those before it, the same in every process: chains share work where these are equal.

    Args:
        path: name and settings of each stage from the first of the chain to this one.
    """
    told = hashlib.sha256(json.dumps([list(one) for one in path]).encode()).hexdigest()
    return f"{path[-1][0]}-{told[:12]}"


def work_keys(links: Sequence[Link]) -> tuple[str, ...]:
    """`work_key` of every stage of a chain."""
    path = [link.key for link in links]
    return tuple(work_key(path[: place + 1]) for place in range(len(path)))


class Node:
    """A stage in its place.

    Attributes:
        key: name and settings of the stage.
        chains: how many chains go through it or end at it.
        spent: seconds that its own code has worked, without the time it waited for models. Only grows, and only on the
            thread that runs it.
        metered: how much of `spent` the metrics know.
        meter: where each frame's part of it is observed.
        bill: where the models that it asks put their seconds down; None when it asks none, or when they go elsewhere.
    """

    __slots__ = ("begins", "bill", "chains", "children", "key", "logged_at", "meter", "metered", "parent",
                 "siblings", "spent", "stage", "waits")  # fmt: skip

    def __init__(
        self, link: Link, stage: Stage[Any], parent: Node | None, siblings: dict[_Key, Node], *, waits: bool
    ) -> None:
        self.key = link.key
        self.stage = stage
        self.parent = parent
        self.siblings = siblings
        self.children: dict[_Key, Node] = {}
        self.chains = 0
        self.waits = waits
        self.begins = parent is None and link.kind.begin is not Stage.begin
        self.spent = self.metered = 0.0
        self.meter = STAGE_SECONDS.labels(link.key[0])  # looked up once: a frame only observes
        self.bill: Bill | None = None
        self.logged_at = float("-inf")


Found = dict[Node, AnyResult | AihubError]
"""What every stage made of a frame."""


class Chains:
    """The trie. Edited by one thread at a time; `begin` and `finish` work on an `order` that was taken before.

    Args:
        predictor: whatever runs the models.
        billed: whether every node that asks models gets a bill of its own; otherwise they go on the frame's.
    """

    def __init__(self, predictor: Predictor, *, billed: bool = False) -> None:
        self._predictor = predictor
        self._billed = billed
        self._roots: dict[_Key, Node] = {}

    def add(self, links: tuple[Link, ...]) -> Node:
        """The node at the end of a chain; new nodes are attached only when all could be made.

        Raises:
            AihubError: a stage could not be made; the trie is as before.
        """
        siblings, parent = self._roots, None
        made: list[Node] = []
        for link in links:
            node = siblings.get(link.key)
            if node is None:
                node = self._make(link, parent, siblings)
                made.append(node)
            siblings, parent = node.children, node
        for node in made:
            node.siblings[node.key] = node
        if parent is None:
            raise StageError("an algorithm has at least one stage")
        _count(parent, +1)
        return parent

    def remove(self, end: Node) -> None:
        """Take a chain out by its end; a stage that no chain uses is dropped."""
        _count(end, -1)

    def order(self) -> tuple[Node, ...]:
        """Every node, each after the one it builds on."""
        return tuple(_walk(self._roots))

    def _make(self, link: Link, parent: Node | None, siblings: dict[_Key, Node]) -> Node:
        waits = bool(link.kind.models(link.params))
        bill = Bill() if waits and self._billed else None
        predictor = self._predictor if bill is None else OnBehalf(self._predictor, bill=bill)
        node = Node(link, make_stage(link.kind, link.params, predictor), parent, siblings, waits=waits)
        node.bill = bill
        return node


def begin(order: Iterable[Node], frame: Frame) -> Found:
    """Start the slow work of all first stages without waiting for any. What failed already is in what comes back."""
    found: Found = {}
    for node in order:
        if node.begins:
            began = time.thread_time()
            try:
                node.stage.begin(frame)
            except Exception as error:  # noqa: BLE001 - a stage may be foreign code; it is counted
                found[node] = _failed(node, error)
            node.spent += time.thread_time() - began
    return found


def finish(order: Iterable[Node], frame: Frame, found: Found, until: float | None = None) -> Found:
    """Run every stage on a frame that has begun.

    Args:
        order: the nodes, each after the one it builds on.
        frame: the picture.
        found: what `begin` gave; filled here.
        until: `time.monotonic()` after which no further stage is run; None for no limit.
    """
    # One reading of the clock is the end of a stage and the begin of the next. Those that wait for models have the time
    # of their thread taken instead, which stands still meanwhile and is dearer to read.
    now = time.perf_counter()
    for node in order:
        if node in found:
            continue
        before = None if node.parent is None else found[node.parent]
        if isinstance(before, AihubError):
            found[node] = before
            continue
        if until is not None and time.monotonic() > until:
            found[node] = DeadlineError(
                "the request took longer than it may", hint="send fewer or smaller pictures"
            )
            continue
        began = time.thread_time() if node.waits else now
        try:
            found[node] = node.stage.process(frame, before)
        except Exception as error:  # noqa: BLE001 - a stage may be foreign code; it is counted
            found[node] = _failed(node, error)
        now = time.perf_counter()
        node.spent += (time.thread_time() if node.waits else now) - began
        node.meter.observe(node.spent - node.metered)
        node.metered = node.spent
    return found


def _count(end: Node, change: int) -> None:
    node: Node | None = end
    while node is not None:
        node.chains += change
        if node.chains == 0:
            del node.siblings[node.key]
        node = node.parent


def _walk(nodes: Mapping[_Key, Node]) -> Iterator[Node]:
    for node in nodes.values():
        yield node
        yield from _walk(node.children)


def make_stage(kind: type[Stage[Any]], params: Any, predictor: Predictor) -> Stage[Any]:
    """A fresh instance of a stage.

    Raises:
        AihubError: its own, or `StageError` naming the stage when its constructor fails otherwise.
    """
    try:
        return kind(params, predictor)
    except AihubError:
        raise
    except Exception as error:
        raise StageError(f"stage {kind.name!r} cannot be made: {type(error).__name__}: {error}") from error


def wrap_failure(name: str, error: Exception) -> AihubError:
    """The error itself when the hub raised it on purpose, else a `StageError` that names the stage. Counted."""
    if isinstance(error, AihubError):
        STAGE_FAILURES.labels(name, error.code).inc()
        return error
    STAGE_FAILURES.labels(name, "unexpected").inc()
    wrapped = StageError(f"stage {name!r} failed: {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped


@contextmanager
def tried(name: str, bill: Bill | None) -> Iterator[None]:
    """Run a stage's own code in the block: its thread's time goes on the bill, without the time that models took.

    Raises:
        AihubError: what `wrap_failure` makes of whatever the block raises.
    """
    began = time.thread_time()
    try:
        yield
    except Exception as error:
        failure = wrap_failure(name, error)
        if failure is error:
            raise
        raise failure from error
    finally:
        if bill is not None:
            bill.add(name, time.thread_time() - began)


def _failed(node: Node, error: Exception) -> AihubError:
    failure = wrap_failure(node.key[0], error)
    now = time.monotonic()
    if now - node.logged_at >= LOG_EVERY_S:
        node.logged_at = now
        logger.warning("%s", failure, exc_info=None if failure is error else error)
    return failure
