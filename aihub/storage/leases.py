"""Which host holds which stream. A lease is a row's word until a time; a dead host's leases simply run out.

`lease_until` is the end of a holder's lease, or since when a free stream has been free: either way a stream can be
taken once that time is past.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from sqlalchemy import func, select, update

from aihub.storage.base import Store
from aihub.storage.streams import SPEC_COLUMNS, specs_of
from aihub.storage.tables import streams
from aihub.types import StreamSpec


class LeaseStore(Store):
    """Methods on leases of streams."""

    def claim_streams(
        self,
        host: str,
        capacity: int,
        lease_s: float,
        *,
        hosts: int = 1,
        now: float | None = None,
    ) -> list[StreamSpec]:
        """Take free streams for a host; two hosts never get the same one.

        A host takes no more than its share of all enabled streams, so that hosts that start together fill evenly; what
        has been free for longer than a lease it takes in any case, up to its capacity: its own host may be full.
        Longest free first.

        Args:
            host: who takes them.
            capacity: streams the host can hold in all, those it holds now among them.
            lease_s: how long the claim lasts without renewal, seconds.
            hosts: living hosts, this one among them.
            now: epoch seconds, the clock's when None.

        Returns:
            The newly taken streams.
        """
        at = time.time() if now is None else now
        free = (streams.c.enabled.is_(True), streams.c.lease_until <= at)
        with self._database.read() as connection:
            if connection.execute(select(streams.c.id).where(*free).limit(1)).first() is None:
                return []  # most calls end here, without the write lock
        with self._database.write() as connection:
            count = select(func.count()).select_from(streams)
            mine = connection.execute(
                count.where(streams.c.lease_host == host, streams.c.lease_until > at)
            ).scalar_one()
            room = share = max(0, capacity - mine)
            if hosts > 1:
                enabled = connection.execute(count.where(streams.c.enabled.is_(True))).scalar_one()
                share = min(room, max(0, math.ceil(enabled / hosts) - mine))
            oldest_first = (
                select(streams.c.id, streams.c.lease_until)
                .where(*free)
                .order_by(streams.c.lease_until, streams.c.id)
                .with_for_update(skip_locked=True)
            )
            found = connection.execute(oldest_first.limit(room)).all()
            taken = [
                row.id for place, row in enumerate(found) if place < share or row.lease_until <= at - lease_s
            ]
            if not taken:
                return []
            connection.execute(
                update(streams)
                .where(streams.c.id.in_(taken))
                .values(lease_host=host, lease_until=at + lease_s)
            )
            chosen = select(*SPEC_COLUMNS).where(streams.c.id.in_(taken)).order_by(streams.c.id)
            return specs_of(connection.execute(chosen))

    def renew_leases(self, host: str, lease_s: float, *, now: float | None = None) -> list[StreamSpec]:
        """Keep what the host holds for another `lease_s` seconds.

        Streams that were disabled are given up here. What is not returned is no longer the host's: it was deleted,
        disabled or taken by another after the lease ran out, and must be stopped.

        Returns:
            The streams that are still the host's, as they are asked for now.
        """
        at = time.time() if now is None else now
        mine = streams.c.lease_host == host
        with self._database.write() as connection:
            connection.execute(
                update(streams).where(mine, streams.c.enabled.is_(True)).values(lease_until=at + lease_s)
            )
            connection.execute(
                update(streams)
                .where(mine, streams.c.enabled.is_(False))
                .values(lease_host=None, lease_until=at)
            )
            query = select(*SPEC_COLUMNS).where(mine).order_by(streams.c.id)
            return specs_of(connection.execute(query))

    def release_streams(
        self, host: str, ids: Sequence[str] | None = None, *, now: float | None = None
    ) -> int:
        """Give streams back at once: those named, or all of the host.

        Returns:
            How many were given back.
        """
        at = time.time() if now is None else now
        chosen = [streams.c.lease_host == host]
        if ids is not None:
            chosen.append(streams.c.id.in_(ids))
        with self._database.write() as connection:
            result = connection.execute(
                update(streams).where(*chosen).values(lease_host=None, lease_until=at)
            )
            return result.rowcount
