"""What a job needs to go on after its process died: where it was, and all that its rules remember.

Stages keep whatever they like between frames (tracks, backgrounds, who stands where since when), so their memory is pickled as a whole
together with the book of events. What cannot be pickled, or is of another version, other weights or other settings, is no
checkpoint: the job then starts from its beginning, which gives the same lines.

The file lies in the hub's own private folder under a name that no caller chooses, so it is as trustworthy as the database beside it.
"""

from __future__ import annotations

import io
import json
import logging
import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aihub.algorithms.algorithm import Algorithm
from aihub.algorithms.base import Stage
from aihub.algorithms.chains import make_stage
from aihub.jobs.lines import write_whole
from aihub.types import Predictor

logger = logging.getLogger(__name__)

_LOCKS: tuple[tuple[type, Callable[[], Any]], ...] = (
    (type(threading.Lock()), threading.Lock),
    (type(threading.RLock()), threading.RLock),
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a job was.

    Attributes:
        fingerprint: of all that decides the results; another one makes the checkpoint worthless.
        offset: bytes of the lines that were on disk.
        memory: pickled state, see `freeze`.
    """

    fingerprint: str
    offset: int
    memory: bytes

    def save(self, path: Path) -> None:
        """Write it in place of the one before."""
        head = json.dumps({"fingerprint": self.fingerprint, "offset": self.offset}).encode()
        write_whole(path, head + b"\n" + self.memory)

    @classmethod
    def load(cls, path: Path, fingerprint: str) -> Checkpoint | None:
        """The checkpoint in a file, None when there is none for this fingerprint."""
        try:
            head, _, memory = path.read_bytes().partition(b"\n")
            said = json.loads(head)
            if said["fingerprint"] != fingerprint:
                return None
            return cls(fingerprint, int(said["offset"]), memory)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("a checkpoint cannot be read: %s", error)
            return None


def freeze(state: object, predictor: Predictor) -> bytes | None:
    """Pickle a state; the predictor and the algorithms in it are left out, and put in again by `thaw`.

    Returns:
        None when something in it cannot be pickled.
    """
    target = io.BytesIO()
    try:
        _Pickler(target, predictor).dump(state)
    except Exception as error:  # noqa: BLE001 - whatever a foreign stage holds: there is no checkpoint then, and no harm
        logger.info(
            "no checkpoint, the job would start from its beginning: %s: %s", type(error).__name__, error
        )
        return None
    return target.getvalue()


def thaw(memory: bytes, predictor: Predictor, algorithm: Callable[[str], Algorithm]) -> Any:
    """The state that `freeze` pickled, None when it cannot be had again.

    Args:
        memory: pickled.
        predictor: put in where one was.
        algorithm: gives the algorithm of an id.
    """
    try:
        return _Unpickler(io.BytesIO(memory), predictor, algorithm).load()
    except Exception as error:  # noqa: BLE001 - see `freeze`
        logger.warning("a checkpoint cannot be used: %s: %s", type(error).__name__, error)
        return None


class _Pickler(pickle.Pickler):
    def __init__(self, target: io.BytesIO, predictor: Predictor) -> None:
        super().__init__(target, protocol=5)
        self._predictor = predictor

    def persistent_id(self, obj: Any) -> Any:
        if obj is self._predictor:
            return ("predictor", "")
        if isinstance(obj, Algorithm):
            return ("algorithm", obj.card.id)
        return None

    def reducer_override(self, obj: Any) -> Any:
        for kind, make in _LOCKS:
            if isinstance(obj, kind):
                return make, ()
        if isinstance(obj, Stage) and not obj.stateful:
            return make_stage, (type(obj), obj.params, obj.predictor)  # made anew: it remembers nothing
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, source: io.BytesIO, predictor: Predictor, algorithm: Callable[[str], Algorithm]
    ) -> None:
        super().__init__(source)
        self._predictor, self._algorithm = predictor, algorithm

    def persistent_load(self, pid: Any) -> Any:
        kind, name = pid
        return self._predictor if kind == "predictor" else self._algorithm(name)
