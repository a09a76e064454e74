"""One graph for all algorithms of a stream: equal beginnings share one stage and one result a frame.

The graph is a trie whose edges are (stage name, settings). Ten algorithms that start with the same detector
hang below one node, so the detector runs once, whatever they do afterwards.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.base import Stage, StageError
from aihub.algorithms.params import StageSpec
from aihub.errors import AihubError
from aihub.telemetry import STAGE_FAILURES
from aihub.types import AnyResult, Frame, Predictor

logger = logging.getLogger(__name__)

LOG_EVERY_S = 60.0

_Key = tuple[str, str]


class _Node:
    """A stage in its place. `tasks` counts those whose chain goes through it or ends at it."""

    __slots__ = ("children", "key", "logged_at", "parent", "siblings", "stage", "tasks")

    def __init__(
        self, stage: Stage[Any], key: _Key, parent: _Node | None, siblings: dict[_Key, _Node]
    ) -> None:
        self.stage = stage
        self.key = key
        self.parent = parent
        self.siblings = siblings
        self.children: dict[_Key, _Node] = {}
        self.tasks = 0
        self.logged_at = float("-inf")


class Plan:
    """What one stream computes on every frame. `run` from one thread at a time, the rest from any."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._edit = threading.Lock()
        self._roots: dict[_Key, _Node] = {}
        # Both are replaced, never changed, so that `run` needs no lock and an edit never waits for a frame.
        self._ends: dict[str, tuple[Algorithm, _Node]] = {}
        self._order: tuple[_Node, ...] = ()

    def set(self, task_id: str, algorithm: Algorithm, params: Mapping[str, Any]) -> None:
        """Add a task or change it. Stages that stay, its own and those it shares, keep their state.

        Raises:
            ParamsError: a parameter is wrong; the plan is as before.
            AihubError: a stage could not be made; the plan is as before.
        """
        resolved = algorithm.resolve(params)
        with self._edit:
            end = self._grow(resolved.stages)
            _count(end, +1)
            former = self._ends.get(task_id)
            if former is not None:
                _count(former[1], -1)
            self._publish({**self._ends, task_id: (algorithm, end)})

    def remove(self, task_id: str) -> None:
        """Forget a task, and the stages that nobody else uses. An unknown id is no error."""
        with self._edit:
            former = self._ends.get(task_id)
            if former is not None:
                _count(former[1], -1)
                self._publish({task: end for task, end in self._ends.items() if task != task_id})

    def tasks(self) -> dict[str, Algorithm]:
        """The algorithm of every task."""
        return {task: algorithm for task, (algorithm, _) in self._ends.items()}

    def stages(self) -> list[str]:
        """Name of every stage that runs on a frame, each after the one it builds on."""
        return [node.key[0] for node in self._order]

    def run(self, frame: Frame) -> dict[str, AnyResult | AihubError]:
        """Look at one frame: every stage once, the models of first stages at the same time.

        Returns:
            For every task its result, or the error of the stage that failed it. Results may be shared between
            tasks: they are not to be written to.
        """
        order = self._order
        found: dict[_Node, AnyResult | AihubError] = {}
        for node in order:
            if node.parent is None:
                try:
                    node.stage.begin(frame)
                except Exception as error:  # noqa: BLE001 - a stage may be foreign code; it is counted
                    found[node] = _failed(node, error)
        for node in order:
            if node in found:
                continue
            before = None if node.parent is None else found[node.parent]
            if isinstance(before, AihubError):
                found[node] = before
                continue
            try:
                found[node] = node.stage.process(frame, before)
            except Exception as error:  # noqa: BLE001 - a stage may be foreign code; it is counted
                found[node] = _failed(node, error)
        return {task: found[end] for task, (_, end) in self._ends.items() if end in found}

    def _grow(self, stages: tuple[StageSpec, ...]) -> _Node:
        """The node at the end of a chain; new nodes are attached only when all could be made."""
        siblings, parent = self._roots, None
        made: list[_Node] = []
        for kind, params in stages:
            key = (kind.name, params.model_dump_json())
            node = siblings.get(key)
            if node is None:
                node = _Node(make_stage(kind, params, self._predictor), key, parent, siblings)
                made.append(node)
            siblings, parent = node.children, node
        for node in made:
            node.siblings[node.key] = node
        if parent is None:
            raise StageError("an algorithm has at least one stage")
        return parent

    def _publish(self, ends: dict[str, tuple[Algorithm, _Node]]) -> None:
        self._ends = ends
        self._order = tuple(_walk(self._roots))


def _count(end: _Node, change: int) -> None:
    """Count a task in or out along its chain; a stage that no task uses is dropped."""
    node: _Node | None = end
    while node is not None:
        node.tasks += change
        if node.tasks == 0:
            del node.siblings[node.key]
        node = node.parent


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


def _failed(node: _Node, error: Exception) -> AihubError:
    failure = wrap_failure(node.key[0], error)
    now = time.monotonic()
    if now - node.logged_at >= LOG_EVERY_S:
        node.logged_at = now
        logger.warning("%s", failure, exc_info=None if failure is error else error)
    return failure


def _walk(nodes: Mapping[_Key, _Node]) -> Iterator[_Node]:
    for node in nodes.values():
        yield node
        yield from _walk(node.children)
