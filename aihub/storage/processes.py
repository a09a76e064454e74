"""Processes of the hub by their heartbeats."""

from __future__ import annotations

import time

from sqlalchemy import delete, select

from aihub.storage.base import Store
from aihub.storage.records import ProcessInfo
from aihub.storage.tables import processes

_FORGET_S = 3600.0


class ProcessStore(Store):
    """Methods on processes."""

    def heartbeat(self, process: ProcessInfo, now: float | None = None) -> None:
        """Say that a process lives, with its metrics. Those silent for an hour are forgotten on the way."""
        at = time.time() if now is None else now
        fields = {name: getattr(process, name) for name in ProcessInfo.__dataclass_fields__}
        fields["heartbeat_at"] = at
        statement = self._insert(processes).values(**fields)
        changed = {name: statement.excluded[name] for name in fields if name != "id"}
        with self._database.write() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))
            connection.execute(delete(processes).where(processes.c.heartbeat_at < at - _FORGET_S))

    def live_processes(
        self, max_age: float, *, kind: str | None = None, now: float | None = None
    ) -> list[ProcessInfo]:
        """Processes heard of in the last `max_age` seconds, by id."""
        at = time.time() if now is None else now
        query = select(processes).where(processes.c.heartbeat_at >= at - max_age).order_by(processes.c.id)
        if kind is not None:
            query = query.where(processes.c.kind == kind)
        with self._database.read() as connection:
            return [ProcessInfo(*row) for row in connection.execute(query)]

    def end_process(self, process_id: str) -> None:
        """A process ends in order: it is not waited for."""
        with self._database.write() as connection:
            connection.execute(delete(processes).where(processes.c.id == process_id))
