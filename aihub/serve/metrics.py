"""The Prometheus texts of all processes as one: samples of a family together, each with the process it came from."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client import Counter, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from aihub.errors import StorageError
from aihub.storage.records import OutboxStats, ProcessInfo
from aihub.telemetry import REGISTRY, exposition

logger = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

UNREADABLE = Counter(
    "aihub_metrics_unreadable_total", "Texts of processes that could not be joined.", registry=REGISTRY
)


FRESH_S = 30.0


class Heartbeats(Protocol):
    """Where the texts of the other processes and the state of the outbox are read."""

    def live_processes(self, max_age: float) -> list[ProcessInfo]:
        """Processes heard of in the last `max_age` seconds."""
        ...

    def outbox_stats(self) -> OutboxStats:
        """How many deliveries are in which state."""
        ...


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def collect(repository: Heartbeats) -> str:
    """The metrics of the whole hub: this process as it is now, the others as of their last heartbeats, the outbox.

    When the database does not answer there are those of this process alone.
    """
    node, pid = socket.gethostname(), os.getpid()
    try:
        others = repository.live_processes(FRESH_S)
        outbox = _outbox(repository.outbox_stats())
    except StorageError as error:
        logger.warning("metrics of other processes cannot be read: %s", error)
        others, outbox = [], []
    own = next(
        (process.id for process in others if (process.node, process.pid) == (node, pid)), f"{node}:{pid}"
    )
    texts = [(own, exposition()), *((process.id, process.metrics) for process in others)]
    return join(texts, outbox)


def _outbox(stats: OutboxStats) -> list[Metric]:
    rows = GaugeMetricFamily("aihub_outbox_rows", "Deliveries by state.", labels=["state"])
    for state in ("pending", "delivered", "dead"):
        rows.add_metric([state], getattr(stats, state))
    oldest = GaugeMetricFamily(
        "aihub_outbox_oldest_pending_seconds",
        "Age of the oldest delivery that waits.",
        stats.oldest_pending_s,
    )
    return [rows, oldest]


def join(texts: Iterable[tuple[str, str]], hub: Iterable[Metric] = ()) -> str:
    """Join expositions.

    Args:
        texts: `(process, text)` pairs. Of two with the same process the first counts; a text that cannot be
            read is left out and counted.
        hub: families that speak for the hub as a whole; they get no label.

    Returns:
        One exposition in Prometheus text form; every sample has a label `process`. When processes disagree about
        the type of a family, those that came first are right.
    """
    families: dict[str, Metric] = {family.name: family for family in hub}
    seen: set[str] = set()
    for process, text in texts:
        if process in seen:
            continue
        seen.add(process)
        try:
            found = list(text_string_to_metric_families(text))
        except ValueError as error:
            UNREADABLE.inc()
            logger.warning("metrics of process %s cannot be read: %s", process, error)
            continue
        for family in found:
            if not family.name.endswith(
                "_created"
            ):  # start times of counters: half the text and nobody's question
                _add(families, family, process)
    return generate_latest(_Families(families.values())).decode()


def _add(families: dict[str, Metric], family: Metric, process: str) -> None:
    into = families.get(family.name)
    if into is None:
        into = families[family.name] = Metric(family.name, family.documentation, family.type)
    if into.type != family.type:
        return
    for sample in family.samples:
        into.add_sample(sample.name, {**sample.labels, "process": process}, sample.value)
