"""From what a caller sends to a job that may be stored: its algorithms, its options and its file checked, every fault with its field."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError
from starlette.requests import Request

from aihub.errors import (
    AihubError,
    ForbiddenError,
    InputError,
    ParamsError,
    QueueFullError,
    UnsupportedTypeError,
    WeightsMissingError,
)
from aihub.jobs.archive import ArchiveLimits, ZipPictures, list_folder
from aihub.jobs.folders import JobFolder, JobFolders
from aihub.jobs.kinds import HEAD, kind_of
from aihub.serve.access import Parts
from aihub.serve.grants import granted
from aihub.serve.job_uploads import Form, receive_form
from aihub.serve.problems import invalid_model
from aihub.serve.schemas import ID, MAX_TASKS, Asked
from aihub.serve.security import Caller
from aihub.settings import Settings
from aihub.types import InputKind, Readiness, StreamTask, uuid7
from aihub.types.jobs import Job, JobCodec, JobKind, JobOutput, JobSpec

T = TypeVar("T", bound=Asked)

MAX_NAME = 200
UPLOADS, UPLOADS_PER_TENANT = 64, 8
"""Uploads under way at the same time in one process."""
_uploads: Counter[str] = Counter()
_TAKES = {
    JobKind.VIDEO: {InputKind.VIDEO, InputKind.IMAGE},
    JobKind.PICTURES: {InputKind.IMAGE},
    JobKind.AUDIO: {InputKind.AUDIO},
}


class JobAlgorithm(Asked):
    """One algorithm to look with."""

    id: str | None = Field(
        None, pattern=ID, description="Name in the results; by default the algorithm's id."
    )
    algorithm: str = Field(min_length=1, max_length=64)
    params: dict[str, Any] = Field(default_factory=dict)


class _Options(Asked):
    algorithms: list[str | JobAlgorithm] = Field(
        min_length=1, max_length=MAX_TASKS, description="Ids, or ids with parameters."
    )
    fps: float = Field(5.0, gt=0, le=60, description="Analysed frames per second of a film, at most.")
    outputs: list[JobOutput] = Field(
        default_factory=lambda: [JobOutput.JSONL],
        min_length=1,
        max_length=3,
        description="What to make; `mp4` is for films. JSON lines are always made.",
    )
    codec: JobCodec = Field(
        JobCodec.VP9,
        description="Of `mp4`: `vp9`, which browsers show, or `mpeg4`, which is made much quicker.",
    )


class JobFolderIn(_Options):
    """Pictures in a folder of the hub's machine."""

    folder: str = Field(
        min_length=1, max_length=4096, description="Below one of the folders that the operator allows."
    )


def limits_of(settings: Settings) -> ArchiveLimits:
    """What a ZIP or folder may hold."""
    return ArchiveLimits(settings.max_job_pictures, settings.max_image_bytes, settings.max_job_bytes)


class JobIntake:
    """Takes in jobs for one caller."""

    def __init__(self, parts: Parts, caller: Caller) -> None:
        self._services = parts.services
        self._settings = parts.services.settings
        self._admission = parts.admission
        self._caller = caller
        self._folders = JobFolders(self._settings.home)

    async def from_form(self, request: Request) -> Job:
        """A job with an uploaded file.

        Raises:
            AihubError: anything is wrong; nothing is left behind then.
        """
        job_id = uuid7()
        folder = self._folders.of(job_id)
        with _uploading(self._caller.tenant):
            return await self._received(request, job_id, folder)

    async def _received(self, request: Request, job_id: str, folder: JobFolder) -> Job:
        await asyncio.to_thread(self._begin, folder)
        try:
            form = await receive_form(
                request, folder.input, max_bytes=self._settings.max_job_bytes, before_file=self._before_file
            )
            return await asyncio.to_thread(self._from_form, job_id, folder, form)
        except BaseException:
            # Not awaited: the caller may be gone, and this must happen all the same.
            folder.remove()
            raise

    def from_folder(self, body: Mapping[str, Any]) -> Job:
        """A job on a folder of this machine; blocks.

        Raises:
            AihubError: anything is wrong.
        """
        asked = _validated(JobFolderIn, body)
        path = self._allowed(asked.folder)
        list_folder(path, limits_of(self._settings))
        return self._add(uuid7(), JobKind.PICTURES, path.name, asked, folder=str(path))

    def _begin(self, folder: JobFolder) -> None:
        self._check_room()
        folder.make()

    def _check_room(self) -> None:
        limit = self._settings.jobs_per_tenant
        if self._services.repository.count_jobs(self._caller.tenant) >= limit:
            raise QueueFullError(
                f"this tenant has {limit} jobs that wait or run already",
                retry_after_s=30.0,
                hint="wait for one to end, or cancel one",
            )

    def _before_file(self, form: Form) -> None:
        """Refuse before the file is sent what can be refused by then."""
        if "algorithms" in form.fields:
            self._tasks(_from_fields(form.fields), None)

    def _from_form(self, job_id: str, folder: JobFolder, form: Form) -> Job:
        asked = _from_fields(form.fields)
        if form.filename is None:
            raise InputError("there is no file in the form", field="file", hint="a part named 'file'")
        with folder.input.open("rb") as file:
            kind = kind_of(file.read(HEAD))
        if kind is JobKind.PICTURES:
            ZipPictures(folder.input, limits_of(self._settings)).close()
        return self._add(job_id, kind, _plain_name(form.filename), asked)

    def _add(self, job_id: str, kind: JobKind, name: str, asked: _Options, *, folder: str = "") -> Job:
        tasks = self._tasks(asked, kind)
        outputs = tuple(output for output in JobOutput if output in {*asked.outputs, JobOutput.JSONL})
        if JobOutput.MP4 in outputs and kind is not JobKind.VIDEO:
            raise ParamsError("mp4 is for films", field="outputs")
        if JobOutput.COCO in outputs and kind is JobKind.AUDIO:
            raise ParamsError("coco is for films and pictures", field="outputs")
        spec = JobSpec(
            id=job_id, tenant=self._caller.tenant, name=name, kind=kind, tasks=tasks, fps=asked.fps,
            outputs=outputs, codec=asked.codec, folder=folder,
        )  # fmt: skip
        self._check_room()
        with self._admission.enter(self._caller, [task.algorithm for task in tasks], frames=0):
            return self._services.repository.add_job(spec)

    def _tasks(self, asked: _Options, kind: JobKind | None) -> tuple[StreamTask, ...]:
        made: dict[str, StreamTask] = {}
        for index, item in enumerate(asked.algorithms):
            choice = JobAlgorithm(algorithm=item) if isinstance(item, str) else item
            field = f"algorithms[{index}]"
            self._check(choice, kind, field)
            name = choice.id or _free(choice.algorithm, made)
            if name in made:
                raise ParamsError(f"two of the algorithms have the id {name!r}", field=f"{field}.id")
            made[name] = StreamTask(id=name, algorithm=choice.algorithm, params=choice.params)
        return tuple(made.values())

    def _check(self, choice: JobAlgorithm, kind: JobKind | None, field: str) -> None:
        try:
            algorithm = granted(self._services.registry, self._caller, choice.algorithm)
            algorithm.resolve(choice.params)
        except ParamsError as error:
            inner = "" if error.field in (None, "params") else f".{error.field}"
            error.field = f"{field}.params{inner}"
            raise
        except AihubError as error:
            error.field = error.field or field
            raise
        if kind is not None and not _TAKES[kind] & set(algorithm.card.input):
            takes = ", ".join(algorithm.card.input)
            raise UnsupportedTypeError(f"{choice.algorithm} takes {takes}, not {kind.value}", field=field)
        state, reason = algorithm.readiness()
        if state is not Readiness.READY:
            raise WeightsMissingError(f"{choice.algorithm} cannot be used here: {reason}", field=field)

    def _allowed(self, folder: str) -> Path:
        """The folder that is meant, when it is one that jobs may read. Says nothing about any other."""
        try:
            path = Path(folder).resolve()
            roots = [Path(root).expanduser().resolve() for root in self._settings.job_folders]
        except (OSError, ValueError) as error:
            raise InputError("this is no path", field="folder") from error
        if not Path(folder).is_absolute() or not any(path.is_relative_to(root) for root in roots):
            raise ForbiddenError(
                "jobs may not read that folder",
                field="folder",
                hint="the operator names folders in job_folders",
            )
        return path


@contextmanager
def _uploading(tenant: str) -> Iterator[None]:
    """One of the uploads under way in this process; on its event loop only.

    Raises:
        QueueFullError: there are too many.
    """
    if _uploads[tenant] >= UPLOADS_PER_TENANT or _uploads.total() >= UPLOADS:
        raise QueueFullError(
            "too many uploads at the same time", retry_after_s=10.0, hint="send one after the other"
        )
    _uploads[tenant] += 1
    try:
        yield
    finally:
        _uploads[tenant] -= 1
        if not _uploads[tenant]:
            del _uploads[tenant]


def _from_fields(fields: Mapping[str, str]) -> _Options:
    body: dict[str, Any] = dict(fields)
    if "algorithms" in body:
        body["algorithms"] = _json_or_list(body["algorithms"], "algorithms")
    if "outputs" in body:
        body["outputs"] = _json_or_list(body["outputs"], "outputs")
    return _validated(_Options, body)


def _json_or_list(text: str, field: str) -> Any:
    """JSON, or ids separated by commas."""
    if not text.lstrip().startswith(("[", "{", '"')):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParamsError(f"{field} is not JSON", field=field) from error


def _validated(kind: type[T], body: Mapping[str, Any]) -> T:
    try:
        return kind.model_validate(dict(body))
    except ValidationError as error:
        raise invalid_model(error) from error


def _plain_name(name: str) -> str:
    """A file's name for people: its last part, nothing that steers a terminal."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if unicodedata.category(char)[0] != "C")[:MAX_NAME]


def _free(name: str, taken: Mapping[str, object]) -> str:
    if name not in taken:
        return name
    return next(f"{name}-{count}" for count in range(2, len(taken) + 3) if f"{name}-{count}" not in taken)
