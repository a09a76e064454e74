"""Calls about jobs: films and pictures that are analysed once, from beginning to end."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from aihub.client.calls import Call, Feed, Pages, call, feed, given, nothing, one, pages
from aihub.client.files import open_file
from aihub.client.inputs import BINARY
from aihub.errors import InputError
from aihub.types.jobs import JobCodec, JobInfo, JobOutput, JobState, JobStep

PAGE = 100
PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp"})

JobAlgorithms = Sequence[str | Mapping[str, Any]]
"""Ids of algorithms, or objects with `algorithm`, `params` and `id` as the API takes them."""


class JobCalls:
    """Films and pictures that are analysed once."""

    @call("POST", "/v1/jobs")
    def submit_job(
        self,
        file: Path | str,
        algorithms: JobAlgorithms,
        *,
        fps: float = 5.0,
        outputs: Sequence[JobOutput | str] = (JobOutput.JSONL,),
        codec: JobCodec | str = JobCodec.VP9,
        name: str | None = None,
    ) -> Call[JobInfo]:
        """Send a film or a ZIP of pictures. It is read while it is sent, never held.

        Args:
            file: where it is.
            algorithms: what to look with.
            fps: analysed frames per second of a film, at most.
            outputs: of `jsonl`, `mp4` and `coco`.
            codec: of the annotated film: `vp9`, which browsers show, or `mpeg4`, which is made much quicker.
            name: of the file, for people; its own when None.

        Raises:
            InputError: the file cannot be read, or the hub does not read such files; `field` says what is wrong.
            AlgorithmNotFoundError: nobody has that id, or you have no grant for it.
            QueueFullError: too many of your jobs wait or run.
        """
        path = Path(file)
        fields = {
            "algorithms": json.dumps([item if isinstance(item, str) else dict(item) for item in algorithms]),
            "fps": str(fps),
            "outputs": json.dumps([str(output) for output in outputs]),
            "codec": str(codec),
        }
        return Call(one(JobInfo), body=partial(_form, path, name or path.name, fields))

    @call("POST", "/v1/jobs")
    def submit_folder(
        self,
        folder: str,
        algorithms: JobAlgorithms,
        *,
        outputs: Sequence[JobOutput | str] = (JobOutput.JSONL,),
    ) -> Call[JobInfo]:
        """Analyse the pictures in a folder of the hub's machine, where its operator allows that.

        Raises:
            ForbiddenError: the operator does not.
        """
        chosen = [item if isinstance(item, str) else dict(item) for item in algorithms]
        body = {"folder": folder, "algorithms": chosen, "outputs": [str(output) for output in outputs]}
        return Call(one(JobInfo), json=body)

    @pages("/v1/jobs")
    def jobs(self, *, state: JobState | None = None, limit: int | None = None) -> Pages[JobInfo]:
        """Jobs, newest first, fetched page by page; at most `limit`."""
        return Pages(JobInfo.read, query=given(state=state, limit=min(limit or PAGE, PAGE)), limit=limit)

    @call("GET", "/v1/jobs/{job_id}")
    def job(self, job_id: str) -> Call[JobInfo]:
        """One job as it stands.

        Raises:
            NotFoundError: no such job, or not yours.
        """
        return Call(one(JobInfo), ids=(job_id,))

    @feed("GET", "/v1/jobs/{job_id}/progress")
    def follow_job(self, job_id: str, *, reconnect: bool = True) -> Feed[JobStep]:
        """How far a job is, whenever that changed, until it has ended. Comes back after a break."""
        return Feed(_step, ids=(job_id,), reconnect=reconnect, last=lambda step: step.state.ended)

    @call("POST", "/v1/jobs/{job_id}/cancel")
    def cancel_job(self, job_id: str) -> Call[JobInfo]:
        """End a job at its next frame; what it has written stays. Asking again changes nothing.

        Raises:
            ConflictError: it is done or has failed already.
        """
        return Call(one(JobInfo), ids=(job_id,), again=True)

    @call("DELETE", "/v1/jobs/{job_id}")
    def delete_job(self, job_id: str) -> Call[None]:
        """Forget a job that has ended, and its files.

        Raises:
            ConflictError: it waits or runs; cancel it first.
        """
        return Call(nothing, ids=(job_id,))

    @feed("GET", "/v1/jobs/{job_id}/results.jsonl")
    def job_lines(self, job_id: str) -> Feed[dict[str, Any]]:
        """The results of a job that has ended, line by line.

        Raises:
            ConflictError: it waits or runs.
            NotFoundError: there are none.
        """
        return Feed(_line, ids=(job_id,), lines=True)

    @call("GET", "/v1/jobs/{job_id}/results.jsonl")
    def save_job_results(self, job_id: str, to: Path | str) -> Call[None]:
        """Write the results of a job that has ended to a file. Errors as `job_lines`."""
        return Call(nothing, ids=(job_id,), to=Path(to))

    @call("GET", "/v1/jobs/{job_id}/annotated.mp4")
    def save_job_film(self, job_id: str, to: Path | str) -> Call[None]:
        """Write the annotated film to a file. Each call is noted in the hub's audit. Errors as `job_lines`."""
        return Call(nothing, ids=(job_id,), to=Path(to))

    @call("GET", "/v1/jobs/{job_id}/coco.json")
    def save_job_coco(self, job_id: str, to: Path | str) -> Call[None]:
        """Write the detections, as COCO, to a file. Errors as `job_lines`."""
        return Call(nothing, ids=(job_id,), to=Path(to))


def pack_folder(folder: Path, target: Path) -> int:
    """Put the pictures below a folder of this machine into a ZIP that can be submitted; how many there are.

    Raises:
        InputError: there is none.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    if not found:
        raise InputError(f"there is no picture in {folder}", field="file", hint="JPEG, PNG, WebP or BMP")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # they are compressed already
        for path in found:
            archive.write(path, path.relative_to(folder).as_posix())
    return len(found)


def _form(path: Path, name: str, fields: Mapping[str, str]) -> Mapping[str, Any]:
    return {"data": dict(fields), "files": [("file", (name, open_file(path, "file"), BINARY))]}


def _step(message: httpx2.ServerSentEvent) -> JobStep | None:
    return JobStep.read(json.loads(message.data)) if message.data else None


def _line(message: httpx2.ServerSentEvent) -> dict[str, Any] | None:
    line: dict[str, Any] | None = json.loads(message.data) if message.data else None
    return line
