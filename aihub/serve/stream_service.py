"""A stream host at work: claims streams by lease, lets the host analyse them, turns findings into stored events.

No process addresses another. What others must know (status, snapshots, metrics) goes through the database and the
artefact folder; a dead host's leases run out and other hosts take its streams, with the open events of those streams, so
an alarm keeps its id.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from functools import partial

import cv2
import psutil

from aihub.algorithms import galleries as face_galleries
from aihub.algorithms.planner import Plan
from aihub.errors import AihubError, AlgorithmNotFoundError, StorageError
from aihub.events.lifecycle import EventBook, Subject
from aihub.events.writer import EventWriter
from aihub.serve.app import ARTIFACTS
from aihub.serve.galleries import NOTE_EVERY_S, HubGalleries
from aihub.serve.housekeeping import forget_the_old
from aihub.serve.job_service import make_runner
from aihub.serve.live_pictures import LivePictures
from aihub.serve.runtime import Runtime
from aihub.serve.stream_usage import StreamUsage
from aihub.storage.records import Tenant
from aihub.streams.host import StreamHost
from aihub.types import AnyResult, Event, Findings, Frame, StreamSpec

logger = logging.getLogger(__name__)

TICK_S = 0.5
REOPEN_S = 3600.0
"""Events that ended within this time may be reopened by a host that takes a stream over (cool-downs are shorter)."""
PRUNE_EVERY_S = 3600.0


class StreamService:
    """Runs in each StreamHost replica. `start()` returns at once; `health()` tells Serve when to replace us."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.name = runtime.id
        self._book = EventBook()
        self._subjects: dict[tuple[str, str], Subject] = {}
        self._owned: dict[str, StreamSpec] = {}
        self._accounts: dict[str, Tenant] = {}
        self._usage = StreamUsage(runtime.usage)
        self._pictures = LivePictures(runtime.settings.home / ARTIFACTS)
        self._writer = EventWriter(
            runtime.repository, runtime.settings.home / "journal", on_stored=runtime.courier.wake
        )
        self._host = StreamHost(
            name=self.name, plan=lambda: Plan(runtime.predictor), bind=self._bind, on_results=self._on_results
        )
        self._galleries = HubGalleries(runtime.repository, runtime.settings, every_s=NOTE_EVERY_S)
        self._jobs = make_runner(runtime, busy=lambda: bool(self._owned))
        self._stop = threading.Event()
        self._ticked_at = self._pruned_at = self._looked_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="stream-service", daemon=True)

    def start(self) -> None:
        """Free what dead processes of this machine hold, then begin to claim."""
        face_galleries.place(self._galleries)
        self._writer.start()
        self._thread.start()

    def health(self) -> str | None:
        """None when fine, else why this process should be replaced."""
        if time.monotonic() - self._ticked_at > 60:
            return "the stream service has not ticked for a minute"
        return (
            self._host.health()
            or self._writer.health()
            or self.runtime.courier.health()
            or self._jobs.health()
            or self.runtime.health()
        )

    def close(self) -> None:
        """Give the streams back and stop."""
        self._stop.set()
        self._thread.join(timeout=5)
        self._jobs.close(timeout_s=3)
        self._host.close(timeout_s=3)
        self._galleries.flush()
        face_galleries.remove(self._galleries)
        self._usage.settle(())
        self._writer.close()
        try:
            self.runtime.repository.release_streams(self.name)
        except AihubError as error:
            logger.warning("could not release streams: %s", error)
        self.runtime.close()

    def _run(self) -> None:
        self._retry_until_done(self._free_leases_of_the_dead)
        self._jobs.start()
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                self._tick()
            except StorageError as error:
                logger.warning("database: %s; streams go on, events wait", error)
            self._ticked_at = time.monotonic()
            self._stop.wait(max(0.05, TICK_S - (self._ticked_at - begun)))

    def _retry_until_done(self, step: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                step()
            except StorageError as error:
                logger.warning("database: %s; trying again", error)
                self._stop.wait(TICK_S)
            else:
                return

    def _free_leases_of_the_dead(self) -> None:
        """A host that was killed on this machine cannot come back: its streams need not wait for the lease to end."""
        for process in self.runtime.repository.live_processes(
            self.runtime.settings.lease_seconds * 3, kind="stream-host"
        ):
            same_machine = process.node == socket.gethostname() and process.pid != os.getpid()
            if same_machine and not _is_alive(process.pid, process.started_at):
                self.runtime.repository.release_streams(process.id)
                self.runtime.repository.release_jobs(process.id)

    def _tick(self) -> None:
        repository, settings = self.runtime.repository, self.runtime.settings
        self.runtime.own_cards.sync()  # before streams are looked at: those that a new card watches are bound with it
        mine = {spec.id: spec for spec in repository.renew_leases(self.name, settings.lease_seconds)}
        if len(mine) < settings.streams_per_host:
            hosts = len(repository.live_processes(settings.lease_seconds, kind="stream-host"))
            claimed = repository.claim_streams(
                self.name, settings.streams_per_host, settings.lease_seconds, hosts=max(1, hosts)
            )
            mine |= {spec.id: spec for spec in claimed}
        fresh = [stream for stream in mine if stream not in self._owned]
        if fresh:
            self._book.restore(repository.open_events(fresh, closed_since=time.time() - REOPEN_S))
        if mine != self._owned:  # which they are, too, when their tenant's grants have changed
            self._accounts = {tenant.id: tenant for tenant in repository.list_tenants()}
        self._forget_what_went(mine)
        self._owned = mine
        self._host.sync(list(mine.values()))
        self._usage.settle(mine)
        self._store(self._book.tick(time.time()), None)
        repository.save_statuses(self.name, self._host.statuses())
        requests = repository.snapshot_requests(self.name)
        for stream in requests:
            self._save_snapshot(stream)
        if requests:
            repository.snapshots_taken(requests)
        if time.monotonic() - self._looked_at > NOTE_EVERY_S:
            self._looked_at = time.monotonic()
            self._galleries.flush()
        if time.monotonic() - self._pruned_at > PRUNE_EVERY_S:
            self._pruned_at = time.monotonic()
            forget_the_old(repository, settings)

    def _forget_what_went(self, mine: dict[str, StreamSpec]) -> None:
        for stream, old in self._owned.items():
            new = mine.get(stream)
            kept = {task.id for task in new.tasks} if new else set()
            gone = [task.id for task in old.tasks if task.id not in kept]
            if new is None and not self._deleted(stream):
                self._book.drop(stream)  # another host has it now, and its open events
            elif gone:
                self._store(self._book.forget(stream, gone, time.time()), None)

    def _deleted(self, stream: str) -> bool:
        try:
            self.runtime.repository.get_stream(stream)
        except AihubError:
            return True
        return False

    def _bind(self, plan: Plan, spec: StreamSpec) -> dict[str, str]:
        """Put the stream's tasks into its plan; a task that cannot run is named with its reason and hurts no other."""
        broken: dict[str, str] = {}
        for name in set(plan.tasks()) - {task.id for task in spec.tasks}:
            plan.remove(name)
        for task in spec.tasks:
            try:
                if not self._accounts.get(spec.tenant, Tenant(spec.tenant)).may_use(task.algorithm):
                    raise AlgorithmNotFoundError(task.algorithm)
                algorithm = self.runtime.registry.get(task.algorithm)
                plan.set(task.id, algorithm, task.params)
            except AihubError as error:
                plan.remove(task.id)
                broken[task.id] = str(error)
                continue
            card = algorithm.card
            if card.event is not None:
                self._subjects[spec.id, task.id] = Subject(
                    stream_id=spec.id, tenant=spec.tenant, task_id=task.id, algorithm=card.id,
                    algorithm_version=card.version, spec=card.event,
                    models=self.runtime.engine.digests(algorithm.models()),
                )  # fmt: skip
        self._usage.bound(spec, plan)
        return broken

    def _on_results(self, spec: StreamSpec, frame: Frame, results: dict[str, AnyResult | AihubError]) -> None:
        self._usage.analysed(
            spec.id, [task for task, found in results.items() if not isinstance(found, AihubError)]
        )
        for task, result in results.items():
            subject = self._subjects.get((spec.id, task))
            if subject is None or not isinstance(result, Findings):
                continue
            self._store(self._book.observe(subject, result.observations, frame.captured_at), frame)

    def _store(self, events: list[Event], frame: Frame | None) -> None:
        """Write events so that a kill after this line cannot lose them; the group commit costs one fsync."""
        if events:
            keep = None if frame is None else partial(self._keep, frame)
            self._writer.write(events, keep)

    def _keep(self, frame: Frame, event: Event) -> str:
        return self.runtime.artifacts.save_snapshot(event, frame)

    def _save_snapshot(self, stream: str) -> None:
        frame = self._host.snapshot(stream)
        if frame is None:
            return
        done, jpeg = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, 85])
        if done:
            self._pictures.write(stream, jpeg.tobytes())


def _is_alive(pid: int, started_at: float) -> bool:
    """Whether that very process still runs; a later process may have its number."""
    try:
        return psutil.Process(pid).create_time() <= started_at + 1.0
    except psutil.Error:
        return False
