"""What a job is worked on with: everything that it needs from the process around it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aihub.algorithms.registry import Registry
from aihub.errors import AlgorithmNotFoundError
from aihub.jobs.archive import ArchiveLimits
from aihub.jobs.folders import JobFolders
from aihub.types import Frame, Image, Predictor
from aihub.types.jobs import JobProgress, JobSpec

CHECKPOINT_S = 5.0
PATIENCE_S = 60.0
LONGEST_REST_S = 1.0


class Booking(Protocol):
    """Where usage is booked."""

    def __call__(self, tenant: str, algorithm: str, *, frames: int, compute_s: float) -> None:
        """Count frames and seconds of work; never blocks."""
        ...


def _nobody(tenant: str, algorithm: str, *, frames: int, compute_s: float) -> None:
    """Book nothing."""


@dataclass(frozen=True)
class Workplace:
    """The parts of a process that jobs are worked on with.

    Attributes:
        registry: the algorithms.
        predictor: runs their models.
        folders: where jobs lie.
        read_picture: bytes of a file -> a frame; raises `InputError` for what is no picture.
        digests: names of models -> sha256 of their weights.
        book: where usage goes.
        busy: whether streams are analysed beside, which go first.
        granted: whether a tenant may use an algorithm, now.
        version: of the hub; results of another one may differ.
        max_pixels: most pixels of a frame of a film.
        max_sound_s: longest recording, seconds; it is held in memory, 64 kB a second.
        archive: what a ZIP or folder may hold.
        checkpoint_s: seconds between two checkpoints.
        patience_s: how long a model may refuse one frame before that frame fails, seconds.
    """

    registry: Registry
    predictor: Predictor
    folders: JobFolders
    read_picture: Callable[[bytes], Frame]
    digests: Callable[[Sequence[str]], Mapping[str, str]] = lambda _: {}
    book: Booking = _nobody
    busy: Callable[[], bool] = lambda: False
    granted: Callable[[str, str], bool] = lambda _tenant, _algorithm: True
    version: str = ""
    max_pixels: int = 50_000_000
    max_sound_s: float = 7200.0
    archive: ArchiveLimits = field(default_factory=ArchiveLimits)
    checkpoint_s: float = CHECKPOINT_S
    patience_s: float = PATIENCE_S

    @staticmethod
    def frame(image: Image, source: str, index: int, t: float) -> Frame:
        """A frame of a film; the film's own time is its clock.

        Args:
            image: `(height, width, 3)` uint8 BGR.
            source: of the job.
            index: number in the film.
            t: seconds since its begin.
        """
        return Frame(image, source, index, captured_at=t, monotonic=t)

    def described(self, spec: JobSpec) -> dict[str, object]:
        """What decides the results of a job, beside its input: goes into its first line.

        Raises:
            AlgorithmNotFoundError: an algorithm has gone, or the tenant's grant for it.
        """
        tasks = []
        for task in spec.tasks:
            if not self.granted(spec.tenant, task.algorithm):
                raise AlgorithmNotFoundError(task.algorithm)
            algorithm = self.registry.get(task.algorithm)
            resolved = algorithm.resolve(task.params)
            tasks.append(
                {
                    "id": task.id,
                    "algorithm": task.algorithm,
                    "version": algorithm.card.version,
                    "params": json.loads(json.dumps(dict(resolved.params))),
                    "models": dict(self.digests(resolved.models())),
                }
            )
        return {"id": spec.id, "name": spec.name, "kind": spec.kind.value, "fps": spec.fps, "tasks": tasks,
                "hub": self.version}  # fmt: skip


def fingerprint_of(described: Mapping[str, object]) -> str:
    """SHA-256 over what decides the results."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """The job is not to be worked on any further, now."""


@dataclass(frozen=True)
class Desk:
    """How one run of a job speaks with whoever started it.

    Attributes:
        report: told how far it is, often; cheap.
        stopped: whether to stop, asked before every frame; cheap.
    """

    report: Callable[[JobProgress], None] = lambda _: None
    stopped: Callable[[], bool] = lambda: False

    def check(self) -> None:
        """Go on, or not.

        Raises:
            Stopped: not.
        """
        if self.stopped():
            raise Stopped


class Pace:
    """Keeps a job out of the way of streams: beside them it rests as long as it has worked, frame by frame.

    Args:
        busy: whether there are streams.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._began = time.monotonic()

    def frame_done(self) -> None:
        """Rest, if there are streams."""
        if self._busy():
            time.sleep(min(LONGEST_REST_S, max(0.0, time.monotonic() - self._began)))
        self._began = time.monotonic()
