"""The tables of tenants and of what they used. A null limit is none; grants are lists of patterns."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Double, Index, Integer, Table, Text

from aihub.storage.tables import metadata

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("algorithms", JSON, nullable=False),
    Column("stream_groups", JSON, nullable=False),
    Column("calls_per_second", Double),
    Column("burst", Integer),
    Column("concurrency", Integer),
    Column("calls_per_day", BigInteger),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

# day: UTC, YYYY-MM-DD, which sorts as text.
usage = Table(
    "usage",
    metadata,
    Column("day", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("algorithm", Text, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("frames", BigInteger, nullable=False),
    Column("compute_s", Double, nullable=False),
    Index(None, "tenant", "day"),
)
