"""The seam between those who look for a face and those who keep faces. A process of the hub puts its galleries in place here.

Who asks is said by the frame: its source begins with the tenant, `tenant/stream` or `tenant/key`. Nobody reaches the galleries of
another tenant. Where no hub has put any in place (`aihub infer`, the check), a gallery is a folder of pictures on this machine.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aihub.types import Predictor

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """The people of a gallery, a row for each face that is kept of them.

    Attributes:
        subjects: `(N,)` ids.
        names: `(N,)` what they are called.
        vectors: `(N, L)` float32 templates.
        revision: another when anybody came or went.
    """

    subjects: tuple[str, ...]
    names: tuple[str, ...]
    vectors: F32
    revision: int = 0

    def __len__(self) -> int:
        return len(self.subjects)


NOBODY = Enrolled((), (), np.zeros((0, 1), np.float32))


class Galleries(Protocol):
    """Faces by gallery, and the witness of who looked for them. Both may block; both raise `StorageError` when they cannot."""

    def enrolled(self, source: str, gallery: str, predictor: Predictor) -> Enrolled:
        """The people of a gallery, with templates that the embedding here can compare. Cheap when nothing has changed.

        Raises:
            ParamsError: no gallery was named.
            GalleryNotFoundError: the tenant that asks has none of that name.
        """
        ...

    def witness(self, source: str, action: str, subject: str, detail: Mapping[str, Any]) -> None:
        """Note that faces were compared. Called before anything is handed out: what cannot be noted must not be done."""
        ...


_lock = threading.Lock()
_placed: list[Galleries] = []


def place(galleries: Galleries) -> None:
    """Put the galleries of this process in place; the latest counts."""
    with _lock:
        _placed.append(galleries)


def remove(galleries: Galleries) -> None:
    """Take them away again; those before count then. None is no error."""
    with _lock:
        if galleries in _placed:
            _placed.remove(galleries)


def place_beneath(galleries: Galleries) -> None:
    """Put galleries in place that count where no others are."""
    with _lock:
        _placed.insert(0, galleries)


def galleries_here() -> Galleries:
    """The galleries of this process: those in place last."""
    with _lock:
        return _placed[-1]


def tenant_of(source: str) -> str:
    """Whose a frame is, by its source.

    >>> tenant_of("city/gate-3")
    'city'
    """
    return source.partition("/")[0]
