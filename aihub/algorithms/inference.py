"""Single pictures through algorithms: each with fresh state, all under way at the same time, shared work done once."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.behalf import OnBehalf
from aihub.algorithms.chains import Chains, Found, Link, Node, begin, finish, links_of
from aihub.errors import AihubError
from aihub.types import AnyResult, Bill, Frame, Predictor


def infer(
    algorithm: Algorithm,
    frames: Sequence[Frame],
    params: Mapping[str, Any],
    predictor: Predictor,
    *,
    source: str = "",
    timeout_s: float = 30.0,
    deadline: float | None = None,
) -> list[AnyResult]:
    """Run an algorithm on pictures that have nothing to do with each other.

    Every picture gets stages of its own, so a rule sees it as the only frame there ever was and reports what is
    on it. All first stages begin before any is waited for: the pictures of one request share batches. Where the card says
    `sequence`, the pictures follow each other as frames of a stream do.

    Args:
        algorithm: what to run.
        frames: any number of pictures; what is done for one is put on its bill, if it has one.
        params: the algorithm's parameters; defaults fill the rest.
        predictor: whatever runs the models.
        source: who asks, `tenant/key`, for fairness between callers; the frames' own where empty.
        timeout_s: seconds for all of it.
        deadline: `time.monotonic()` by which it has to be done, if that is sooner.

    Returns:
        One result a picture, in order.

    Raises:
        ParamsError: a parameter is wrong.
        AihubError: a stage failed on a picture, or the time is over.
    """
    (answer,) = infer_many(
        [(algorithm, params)], frames, predictor, source=source, timeout_s=timeout_s, deadline=deadline
    )
    if isinstance(answer, AihubError):
        raise answer
    return answer


def infer_many(
    requests: Sequence[tuple[Algorithm, Mapping[str, Any]]],
    frames: Sequence[Frame],
    predictor: Predictor,
    *,
    source: str = "",
    timeout_s: float = 30.0,
    deadline: float | None = None,
) -> list[list[AnyResult] | AihubError]:
    """Run several algorithms on the same pictures; what they have in common is done once a picture.

    Args:
        requests: algorithms with their parameters; the same one may come more than once.
        frames: any number of pictures; what is done for one is put on its bill, if it has one.
        predictor: whatever runs the models.
        source: who asks, `tenant/key`, for fairness between callers; the frames' own where empty.
        timeout_s: seconds for all of it.
        deadline: `time.monotonic()` by which it has to be done, if that is sooner.

    Returns:
        For every request, in order, one result a picture, or the first error that it met: a wrong parameter, a stage
        that failed, `DeadlineError`. One that fails hurts no other. Results may be shared between requests: they are
        not to be written to.
    """
    latest = time.monotonic() + timeout_s
    until = latest if deadline is None else min(latest, deadline)
    if source:
        frames = [dataclasses.replace(frame, source=source) for frame in frames]
    asked = _Asked(requests)
    looks = [_Look(frame, predictor, asked, until) for frame in frames]
    for look in looks:
        look.begin()
    for look in looks:
        look.finish(until)
    for index, links in asked.following.items():
        _follow(index, links, frames, predictor, asked, until)
    return asked.answers


def _follow(
    index: int,
    links: tuple[Link, ...],
    frames: Sequence[Frame],
    predictor: Predictor,
    asked: _Asked,
    until: float,
) -> None:
    """One chain of stages sees all pictures, one after the other; each result is about a picture and those before it."""
    spent = Bill()
    chains = Chains(OnBehalf(predictor, bill=spent, deadline=until))
    try:
        end = chains.add(links)
    except AihubError as error:
        asked.answer(index, error)
        return
    order = chains.order()
    for seq, frame in enumerate(frames):
        if asked.alive(index):
            mine = dataclasses.replace(frame, seq=seq)
            asked.answer(index, finish(order, mine, begin(order, mine), until)[end])
    bill = frames[0].bill if frames else None
    if bill is not None:
        for node in order:
            spent.add(node.key[0], node.spent)
        for what, seconds in spent.spent.items():
            bill.add(what, seconds)
        if len(asked.ids) > 1:
            bill.owe(asked.ids[index], spent.total)


class _Asked:
    """Requests and what became of them so far."""

    def __init__(self, requests: Sequence[tuple[Algorithm, Mapping[str, Any]]]) -> None:
        self.ids = [algorithm.card.id for algorithm, _ in requests]
        self.links: dict[int, tuple[Link, ...]] = {}
        self.following: dict[int, tuple[Link, ...]] = {}
        self.answers: list[list[AnyResult] | AihubError] = [[] for _ in requests]
        for index, (algorithm, params) in enumerate(requests):
            try:
                kind = self.following if algorithm.card.sequence else self.links
                kind[index] = links_of(algorithm.resolve(params).stages)
            except AihubError as error:
                self.answers[index] = error

    def answer(self, index: int, found: AnyResult | AihubError) -> None:
        so_far = self.answers[index]
        if isinstance(found, AihubError):
            self.answers[index] = found
        elif not isinstance(so_far, AihubError):
            so_far.append(found)

    def alive(self, index: int) -> bool:
        return not isinstance(self.answers[index], AihubError)


class _Look:
    """One picture and its stages."""

    def __init__(self, frame: Frame, predictor: Predictor, asked: _Asked, until: float) -> None:
        self._frame, self._asked = frame, asked
        # Several algorithms on one bill: what each costs can only be told where every stage has a bill of its own.
        self._split = frame.bill is not None and len(asked.links) + len(asked.following) > 1
        whole = None if self._split else frame.bill
        self._chains = Chains(OnBehalf(predictor, bill=whole, deadline=until), billed=self._split)
        self._ends: dict[int, Node] = {}
        self._found: Found = {}
        for index, links in asked.links.items():
            if asked.alive(index):
                try:
                    self._ends[index] = self._chains.add(links)
                except AihubError as error:
                    asked.answer(index, error)
        self._order = self._chains.order()
        self._served = [(node, node.chains) for node in self._order] if self._split else []
        self._asking = dict(self._ends) if self._split else {}

    def begin(self) -> None:
        self._found = begin(self._order, self._frame)

    def finish(self, until: float) -> None:
        for index in [index for index in self._ends if not self._asked.alive(index)]:
            self._chains.remove(self._ends.pop(index))  # it failed on a picture before: nobody wants the rest
        finish(self._chains.order(), self._frame, self._found, until)
        for index, end in self._ends.items():
            self._asked.answer(index, self._found[end])
        if self._frame.bill is not None:
            for node in self._order:
                self._frame.bill.add(node.key[0], node.spent)
            self._settle(self._frame.bill)

    def _settle(self, bill: Bill) -> None:
        """Put what the stages' models cost on the bill, and who owes what: a stage is split among those it was to serve."""
        shares: dict[Node, float] = {}
        for node, served in self._served:
            cost = node.spent
            for model, seconds in node.bill.spent.items() if node.bill else ():
                bill.add(model, seconds)
                cost += seconds
            shares[node] = (shares[node.parent] if node.parent else 0.0) + cost / served
        for index, end in self._asking.items():
            bill.owe(self._asked.ids[index], shares[end])
