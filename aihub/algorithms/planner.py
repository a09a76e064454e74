"""One graph for all algorithms of a stream: equal beginnings share one stage and one result a frame."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.chains import Chains, Node, begin, finish, links_of, work_key
from aihub.errors import AihubError
from aihub.types import AnyResult, Frame, Predictor


class Plan:
    """What one stream computes on every frame. `run` from one thread at a time, the rest from any."""

    def __init__(self, predictor: Predictor) -> None:
        self._chains = Chains(predictor, billed=True)
        self._edit = threading.Lock()
        # Both are replaced, never changed, so that `run` needs no lock and an edit never waits for a frame.
        self._ends: dict[str, tuple[Algorithm, Node]] = {}
        self._order: tuple[Node, ...] = ()
        self._settled: dict[Node, float] = {}
        self._costs: defaultdict[str, float] = defaultdict(float)

    def set(self, task_id: str, algorithm: Algorithm, params: Mapping[str, Any]) -> None:
        """Add a task or change it. Stages that stay, its own and those it shares, keep their state.

        Raises:
            ParamsError: a parameter is wrong; the plan is as before.
            AihubError: a stage could not be made; the plan is as before.
        """
        links = links_of(algorithm.resolve(params).stages)
        with self._edit:
            self._settle()
            end = self._chains.add(links)
            former = self._ends.get(task_id)
            if former is not None:
                self._chains.remove(former[1])
            self._publish({**self._ends, task_id: (algorithm, end)})

    def remove(self, task_id: str) -> None:
        """Forget a task, and the stages that nobody else uses. An unknown id is no error."""
        with self._edit:
            former = self._ends.get(task_id)
            if former is not None:
                self._settle()
                self._chains.remove(former[1])
                self._publish({task: end for task, end in self._ends.items() if task != task_id})

    def tasks(self) -> dict[str, Algorithm]:
        """The algorithm of every task."""
        return {task: algorithm for task, (algorithm, _) in self._ends.items()}

    def stages(self) -> list[str]:
        """Name of every stage that runs on a frame, each after the one it builds on."""
        return [node.key[0] for node in self._order]

    def run(self, frame: Frame) -> dict[str, AnyResult | AihubError]:
        """Look at one frame: every stage once, the models of first stages at the same time.

        What it costs is told by `costs`; a bill that the frame carries stays as it is.

        Returns:
            For every task its result, or the error of the stage that failed it. Results may be shared between
            tasks: they are not to be written to.
        """
        order = self._order
        found = finish(order, frame, begin(order, frame))
        return {task: found[end] for task, (_, end) in self._ends.items() if end in found}

    def spent(self) -> dict[str, tuple[float, float]]:
        """Seconds that every stage has worked, and its models for it, since it was made; by `chains.work_key`.

        Stages that left took theirs with them.
        """
        return {
            work_key(_path(node)): (node.spent, node.bill.total if node.bill else 0.0) for node in self._order
        }

    def costs(self) -> dict[str, float]:
        """Seconds that every task has cost since this was last asked, those removed meanwhile among them.

        The seconds of a stage, and of the models it asked, are split evenly among the tasks that it served. Stages count
        their own work, not their waiting for models; runs of models are counted when they end, and those that end after
        their stage was removed by nobody.
        """
        with self._edit:
            self._settle()
            costs, self._costs = self._costs, defaultdict(float)
            return dict(costs)

    def _settle(self) -> None:
        """Split what was spent so far among the tasks that there are. Before every edit, so that no other tasks pay."""
        shares: dict[Node, float] = {}
        settled: dict[Node, float] = {}
        for node in self._order:
            spent = settled[node] = node.spent + (node.bill.total if node.bill else 0.0)
            above = shares[node.parent] if node.parent else 0.0
            shares[node] = above + (spent - self._settled.get(node, 0.0)) / node.chains
        self._settled = settled
        for task, (_, end) in self._ends.items():
            self._costs[task] += shares[end]

    def _publish(self, ends: dict[str, tuple[Algorithm, Node]]) -> None:
        self._ends = ends
        self._order = self._chains.order()


def _path(node: Node) -> list[tuple[str, str]]:
    """Name and settings of every stage from the first to this one."""
    path = []
    at: Node | None = node
    while at is not None:
        path.append(at.key)
        at = at.parent
    return path[::-1]
