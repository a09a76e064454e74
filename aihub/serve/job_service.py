"""Jobs beside the streams of a process: the runner with everything that it needs from there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aihub import __version__
from aihub.jobs.folders import JobFolders
from aihub.jobs.runner import JobRunner
from aihub.jobs.workplace import Workplace
from aihub.serve.job_intake import limits_of
from aihub.serve.pictures import decode_picture
from aihub.serve.runtime import Runtime


def make_runner(runtime: Runtime, busy: Callable[[], bool]) -> JobRunner:
    """The runner of a stream host; it shares the engine with the streams.

    Args:
        runtime: of the process.
        busy: whether it has streams, which go first.
    """
    settings = runtime.settings
    place = Workplace(
        registry=runtime.registry,
        predictor=runtime.predictor,
        folders=JobFolders(settings.home),
        read_picture=partial(
            decode_picture, max_pixels=settings.max_image_pixels, max_bytes=settings.max_image_bytes
        ),
        digests=runtime.engine.digests,
        book=runtime.usage.book,
        busy=busy,
        granted=lambda tenant, algorithm: _granted(runtime, tenant, algorithm),
        version=__version__,
        max_pixels=settings.max_image_pixels,
        archive=limits_of(settings),
    )
    return JobRunner(
        runtime.id,
        runtime.repository,
        place,
        at_once=settings.jobs_per_host,
        lease_s=settings.lease_seconds,
        keep_s=settings.keep_jobs_days * 86400,
    )


def _granted(runtime: Runtime, tenant: str, algorithm: str) -> bool:
    known = runtime.repository.find_tenant(tenant)
    return known is not None and known.may_use(algorithm)
