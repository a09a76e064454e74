"""An admission that is let go by the last who works on it: a thread may outlive the request that gave it up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from aihub.errors import DeadlineError
from aihub.serve.admission import Tab


class Ticket:
    """One admitted request. Whoever waits for it holds it, and so does the thread that computes; the last to let go ends it.

    So what a thread still does after its request was given up is counted against the tenant's bounds and put on its bill.

    Args:
        entering: what `Admission.enter` gave; entered here, on any thread.

    Raises:
        NotFoundError: as `Admission.enter`.
        RateLimitError: as `Admission.enter`.
    """

    def __init__(self, entering: AbstractContextManager[Tab]) -> None:
        self._entered = entering
        self._lock = threading.Lock()
        self._holders = 0
        self._over = False
        self._error: BaseException | None = None
        self.bill = entering.__enter__()

    @contextmanager
    def held(self) -> Iterator[Tab]:
        """Hold it, and get its bill.

        Raises:
            DeadlineError: everybody has let go already.
        """
        with self._lock:
            if self._over:
                raise DeadlineError("the request was given up before its work began")
            self._holders += 1
        try:
            yield self.bill
        except BaseException as error:
            self._error = self._error or error
            raise
        finally:
            with self._lock:
                self._holders -= 1
                self._over = not self._holders
            if self._over:
                self._end()

    def _end(self) -> None:
        error = self._error
        if error is None:
            self._entered.__exit__(None, None, None)
        else:
            self._entered.__exit__(type(error), error, error.__traceback__)
