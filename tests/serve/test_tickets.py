"""A ticket is ended once, by the last who holds it, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from aihub.errors import DeadlineError, RateLimitError
from aihub.serve.admission import Tab
from aihub.serve.tickets import Ticket


class Gate:
    """Counts who came in and how they left."""

    def __init__(self) -> None:
        self.log: list[str] = []

    @contextmanager
    def enter(self, *, refuse: bool = False) -> Iterator[Tab]:
        if refuse:
            raise RateLimitError("no")
        self.log.append("in")
        try:
            yield Tab()
        except BaseException as error:
            self.log.append(type(error).__name__)
            raise
        finally:
            self.log.append("out")


def test_it_ends_when_it_is_let_go() -> None:
    gate = Gate()
    ticket = Ticket(gate.enter())
    with ticket.held() as bill:
        assert bill is ticket.bill
        assert gate.log == ["in"]
    assert gate.log == ["in", "out"]


def test_it_outlives_the_one_who_gave_up() -> None:
    gate = Gate()
    ticket = Ticket(gate.enter())
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with ticket.held():
            begun.set()
            go_on.wait(5)

    thread = threading.Thread(target=work)
    with suppress(DeadlineError), ticket.held():
        thread.start()
        begun.wait(5)
        raise DeadlineError("late")
    assert gate.log == ["in"]
    go_on.set()
    thread.join(5)
    assert gate.log == ["in", "DeadlineError", "out"]


def test_work_that_begins_too_late_is_dropped() -> None:
    gate = Gate()
    ticket = Ticket(gate.enter())
    with suppress(ValueError), ticket.held():
        raise ValueError
    with pytest.raises(DeadlineError), ticket.held():
        pytest.fail("nobody holds it any more")
    assert gate.log == ["in", "ValueError", "out"]


def test_an_error_is_booked_once_and_passed_on() -> None:
    gate = Gate()
    ticket = Ticket(gate.enter())
    with pytest.raises(KeyError), ticket.held(), ticket.held():
        raise KeyError("x")
    assert gate.log == ["in", "KeyError", "out"]


def test_a_refusal_is_passed_on() -> None:
    with pytest.raises(RateLimitError):
        Ticket(Gate().enter(refuse=True))
