"""The table of jobs. Files of a job lie in its folder below the hub's home."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Double, Index, Integer, Table, Text

from aihub.storage.tables import metadata

# lease_until: with a holder, when its lease ends; without, since when the job has been free.
# furthest: most frames any attempt got to; attempts counts those since that did not get further.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("tasks", JSON, nullable=False),
    Column("fps", Double, nullable=False),
    Column("outputs", JSON, nullable=False),
    Column("codec", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("error_code", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("cancel_requested", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("progress", JSON, nullable=False),
    Column("furthest", Integer, nullable=False),
    Column("lease_host", Text),
    Column("lease_until", Double, nullable=False),
    Index(None, "tenant", "id"),
    Index(None, "state", "lease_until"),
    Index(None, "lease_host"),
    Index(None, "finished_at"),
)
