"""One run of one job, from wherever it is to its end: analysis first, then what is made from its lines."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path

from aihub.errors import FormatError, InputError
from aihub.jobs.analysis import Analysis
from aihub.jobs.archive import FolderPictures, Pictures, ZipPictures, list_folder
from aihub.jobs.film import Film
from aihub.jobs.lines import write_whole
from aihub.jobs.listening import pieces_of, read_recording, seconds_of
from aihub.jobs.outputs import draw_film, write_coco
from aihub.jobs.workplace import Desk, Workplace
from aihub.types import SAMPLE_RATE, Sound
from aihub.types.jobs import JobCodec, JobKind, JobOutput, JobPhase, JobProgress, JobSpec

DRAWING = {JobCodec.VP9: 1.5, JobCodec.MPEG4: 0.15}
WRITING = 0.02
"""Time that each phase takes beside the analysis, roughly: for the percentage."""


class JobRun:
    """See `run`.

    Attributes:
        progress: how far it is.
    """

    def __init__(self, spec: JobSpec, place: Workplace, desk: Desk) -> None:
        self._spec, self._place, self._desk = spec, place, desk
        self._folder = place.folders.of(spec.id)
        self._meter = _Meter(_phases(spec))
        self._size: tuple[int, int] | None = None
        self.progress = JobProgress()

    def run(self) -> None:
        """Do what is left to do; what only the work needed is removed at the end.

        Raises:
            Stopped: somebody asked for it; another run goes on.
            AihubError: it cannot be done.
            OSError: the disk is full, for one.
        """
        analysis = Analysis(self._spec, self._place, self._desk)
        self._analyse(analysis)
        if JobOutput.MP4 in self._spec.outputs:
            total = analysis.memory.frames
            draw_film(
                self._spec, self._place, self._desk, self._folder,
                lambda done: self._report(analysis, JobPhase.DRAWING, done, total),
            )  # fmt: skip
        if JobOutput.COCO in self._spec.outputs:
            self._report(analysis, JobPhase.WRITING, 0, 1)
            write_coco(self._spec, self._desk, self._folder, self._size)
        self._report(analysis, JobPhase.ENDED, 1, 1)

    def _analyse(self, analysis: Analysis) -> None:
        if self._spec.kind is JobKind.VIDEO:
            analysis.run(lambda: self._film(analysis))
        elif self._spec.kind is JobKind.PICTURES:
            analysis.run(lambda: self._pictures(analysis))
        else:
            analysis.run(lambda: self._sound(analysis))

    def _film(self, analysis: Analysis) -> Iterator[None]:
        memory = analysis.memory
        with Film(self._folder.input, max_pixels=self._place.max_pixels) as film:
            self._size = (film.width, film.height)
            total = film.expected(self._spec.fps)
            plan = memory.plan = memory.plan or analysis.fresh_plan()
            self._report(analysis, JobPhase.ANALYSING, memory.frames, total)
            for shot in film.shots(self._spec.fps, memory.place, self._desk.check):
                frame = self._place.frame(shot.image, analysis.source, shot.index, shot.t)
                analysis.see(plan, frame, {"t": round(shot.t, 3), "frame": shot.index})
                memory.place = shot.after
                self._size = (frame.width, frame.height)
                self._report(analysis, JobPhase.ANALYSING, memory.frames, total)
                yield
        if not memory.frames:
            raise FormatError("the film has no frame that can be read", hint="was the upload complete?")

    def _pictures(self, analysis: Analysis) -> Iterator[None]:
        memory = analysis.memory
        pictures = self._open_pictures()
        try:
            total = len(pictures.names)
            for index in range(memory.index, total):
                head = {"picture": pictures.names[index], "frame": index}
                self._report(analysis, JobPhase.ANALYSING, memory.frames, total)
                try:
                    read = self._place.read_picture(pictures.read(index))
                except InputError as error:
                    analysis.refuse(head, error)
                else:
                    frame = dataclasses.replace(
                        read, source=analysis.source, seq=index, captured_at=0.0, monotonic=0.0
                    )
                    head["size"] = [frame.width, frame.height]
                    analysis.see(analysis.fresh_plan(), frame, head)
                memory.index = index + 1
                yield
        finally:
            pictures.close()

    def _sound(self, analysis: Analysis) -> Iterator[None]:
        memory = analysis.memory
        samples = read_recording(
            self._folder.input, max_seconds=self._place.max_sound_s, check=self._desk.check
        )
        pieces = pieces_of(samples)
        total = sum(seconds_of(*piece) for piece in pieces)
        for index in range(memory.index, len(pieces)):
            first, last = pieces[index]
            self._report(analysis, JobPhase.ANALYSING, memory.frames, total)
            start = first / SAMPLE_RATE
            head = {"t": round(start, 3), "frame": index, "duration": round((last - first) / SAMPLE_RATE, 3)}
            analysis.listen(Sound(samples[first:last], start, analysis.source), head, seconds_of(first, last))
            memory.index = index + 1
            yield

    def _open_pictures(self) -> Pictures:
        limits = self._place.archive
        if not self._spec.folder:
            return ZipPictures(self._folder.input, limits)
        known = self._folder.pictures
        if not known.exists():  # as it is now, so that a restart counts the same
            write_whole(known, json.dumps(list_folder(Path(self._spec.folder), limits)).encode())
        return FolderPictures(Path(self._spec.folder), json.loads(known.read_bytes()), limits)

    def _report(self, analysis: Analysis, phase: JobPhase, done: int, total: int | None) -> None:
        memory = analysis.memory
        percent, eta_s = self._meter.read(phase, done, total)
        expected = total if phase is JobPhase.ANALYSING else memory.frames
        self.progress = JobProgress(
            phase=phase,
            percent=percent,
            eta_s=eta_s,
            frames_done=memory.frames,
            frames_total=None if expected is None else max(expected, memory.frames),
            frames_failed=memory.failed,
            events=memory.events,
        )
        self._desk.report(self.progress)


def _phases(spec: JobSpec) -> dict[JobPhase, float]:
    phases = {JobPhase.ANALYSING: 1.0}
    if JobOutput.MP4 in spec.outputs:
        phases[JobPhase.DRAWING] = DRAWING[spec.codec]
    if JobOutput.COCO in spec.outputs:
        phases[JobPhase.WRITING] = WRITING
    return phases


class _Meter:
    """Percent of the whole, and seconds that are left by the rate since this run began."""

    def __init__(self, phases: dict[JobPhase, float]) -> None:
        whole = sum(phases.values())
        self._shares = {phase: weight / whole for phase, weight in phases.items()}
        self._began = time.monotonic()
        self._first: float | None = None

    def read(self, phase: JobPhase, done: int, total: int | None) -> tuple[float, float | None]:
        if phase is JobPhase.ENDED:
            return 100.0, None
        before = 0.0
        for other, share in self._shares.items():
            if other is phase:
                break
            before += share
        part = 0.0 if not total else min(1.0, done / total)
        share = before + self._shares[phase] * part
        if self._first is None:
            self._first, self._began = share, time.monotonic()
        gained, elapsed = share - self._first, time.monotonic() - self._began
        eta_s = elapsed / gained * (1 - share) if total and gained > 0 and elapsed > 0.5 else None
        return round(100 * share, 2), None if eta_s is None else round(eta_s, 1)
