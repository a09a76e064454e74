"""All that the hub asks of its database, in one typed object."""

from __future__ import annotations

from typing import Self

from aihub.storage.audit import AuditStore
from aihub.storage.database import BUSY_TIMEOUT_S, Database
from aihub.storage.events import EventWrites
from aihub.storage.feedback import FeedbackStore
from aihub.storage.galleries import GalleryStore
from aihub.storage.jobs import JobStore
from aihub.storage.keys import KeyStore
from aihub.storage.leases import LeaseStore
from aihub.storage.outbox import OutboxStore
from aihub.storage.own_cards import CardStore
from aihub.storage.processes import ProcessStore
from aihub.storage.queries import EventQueries
from aihub.storage.sinks import SinkStore
from aihub.storage.streams import StreamStore
from aihub.storage.tenants import TenantStore
from aihub.storage.usage import UsageStore


class Repository(
    KeyStore,
    TenantStore,
    UsageStore,
    AuditStore,
    StreamStore,
    LeaseStore,
    EventWrites,
    EventQueries,
    FeedbackStore,
    GalleryStore,
    SinkStore,
    OutboxStore,
    ProcessStore,
    JobStore,
    CardStore,
):
    """Keys, tenants with usage and audit, streams with leases, events with feedback, sinks with the outbox,
    processes, jobs, users' cards, face galleries.

    Thread-safe; one per process.

    Every method raises `StorageError` when the database does not answer within its time-out; nothing of the call is
    stored then, and it can be made again. `RejectedError`, a subclass, means that it need not be.
    """

    @classmethod
    def open(cls, url: str, *, timeout_s: float = BUSY_TIMEOUT_S) -> Self:
        """A repository on the database of that URL, which `upgrade` has brought to this version.

        Raises:
            ConfigError: the URL is wrong.
        """
        return cls(Database(url, timeout_s=timeout_s))

    def close(self) -> None:
        """Give back all connections."""
        self._database.close()
