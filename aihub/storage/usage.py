"""What tenants used, by day and algorithm. Sums: several processes add to the same rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, func, select, tuple_

from aihub.storage.base import Store, from_cursor, page_size, to_cursor
from aihub.storage.records import Page, Usage
from aihub.storage.tenancy_tables import usage

_KEY = ("day", "tenant", "algorithm")
_SUMS = ("calls", "errors", "frames", "compute_s")


class UsageStore(Store):
    """Methods on usage."""

    def add_usage(self, rows: Iterable[Usage]) -> None:
        """Add to what is there, all or nothing.

        Raises:
            StorageError: the database did not answer in time; nothing was added.
        """
        # In one order everywhere, so that processes that write at once wait for each other and never in a ring.
        values = sorted((asdict(row) for row in rows), key=lambda row: [row[name] for name in _KEY])
        if not values:
            return
        statement = self._insert(usage)
        added = {name: usage.c[name] + statement.excluded[name] for name in _SUMS}
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=list(_KEY), set_=added), values)

    def calls_of_day(self, day: str) -> dict[str, int]:
        """Calls of a day by tenant."""
        query = select(usage.c.tenant, func.sum(usage.c.calls)).where(usage.c.day == day)
        with self._database.read() as connection:
            return {
                tenant: int(calls) for tenant, calls in connection.execute(query.group_by(usage.c.tenant))
            }

    def list_usage(
        self,
        *,
        tenant: str | None = None,
        algorithm: str | None = None,
        since: str | None = None,
        until: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Usage]:
        """Usage by day (newest first), tenant and algorithm, at most `limit` (1..1000) rows at once.

        Args:
            tenant: only of this tenant.
            algorithm: only of this algorithm.
            since: first day, `YYYY-MM-DD`, UTC.
            until: last day, the same.
            cursor: where the page before ended.
            limit: rows in one page.

        Raises:
            ParamsError: a wrong cursor or limit.
        """
        query = _where(select(usage), tenant, algorithm, since, until)
        if cursor is not None:
            day, name, what = from_cursor(cursor, (str, str, str))
            query = query.where(
                (usage.c.day < day)
                | ((usage.c.day == day) & (tuple_(usage.c.tenant, usage.c.algorithm) > (name, what)))
            )
        query = query.order_by(usage.c.day.desc(), usage.c.tenant, usage.c.algorithm)
        with self._database.read() as connection:
            found = [Usage(**row) for row in connection.execute(query.limit(page_size(limit) + 1)).mappings()]
        last = found[limit - 1] if len(found) > limit else None
        return Page(found[:limit], to_cursor([last.day, last.tenant, last.algorithm]) if last else None)

    def total_usage(
        self,
        *,
        tenant: str | None = None,
        algorithm: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> Usage:
        """The sum of all rows that `list_usage` would give; `day`, `tenant` and `algorithm` are empty where it joins several."""
        sums = [func.coalesce(func.sum(usage.c[name]), 0).label(name) for name in _SUMS]
        with self._database.read() as connection:
            row = connection.execute(_where(select(*sums), tenant, algorithm, since, until)).one()
        calls, errors, frames, compute_s = row
        return Usage(
            "", tenant or "", algorithm or "", int(calls), int(errors), int(frames), float(compute_s)
        )


def _where(
    query: Select[Any], tenant: str | None, algorithm: str | None, since: str | None, until: str | None
) -> Select[Any]:
    if tenant is not None:
        query = query.where(usage.c.tenant == tenant)
    if algorithm is not None:
        query = query.where(usage.c.algorithm == algorithm)
    if since is not None:
        query = query.where(usage.c.day >= since)
    if until is not None:
        query = query.where(usage.c.day <= until)
    return query
