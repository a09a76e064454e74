"""The tables. Times are epoch seconds as doubles; bodies are JSON text, as they leave the hub."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rows up only in a column that is literally INTEGER.
Counting = BigInteger().with_variant(Integer, "sqlite")

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("prefix", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("last_used_at", Double),
    Column("replaced_by", Text),
)

# lease_until: with a holder, when the lease ends; without, since when the stream has been free.
streams = Table(
    "streams",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("password", Text, nullable=False),
    Column("transport", Text, nullable=False),
    Column("tasks", JSON, nullable=False),
    Column("sampling", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("lease_host", Text),
    Column("lease_until", Double, nullable=False),
    Column("snapshot_requested_at", Double),
    Column("group", Text, nullable=False, server_default="default"),
    Index(None, "tenant", "id"),
    Index(None, "enabled", "lease_until"),
    Index(None, "lease_host"),
)

stream_status = Table(
    "stream_status",
    metadata,
    Column("stream_id", Text, ForeignKey("streams.id", ondelete="CASCADE"), primary_key=True),
    Column("body", Text, nullable=False),
    Column("updated_at", Double, nullable=False),
)

# source_revision and source_time: the newest transition of the analysis that is in this row; see events.merge.
events = Table(
    "events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("source_revision", Integer, nullable=False),
    Column("source_time", Double, nullable=False),
    Column("stream_id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("body", Text, nullable=False),
    Index(None, "started_at", "id"),
    Index(None, "stream_id", "started_at", "id"),
    Index(None, "tenant", "started_at", "id"),
    Index(None, "algorithm", "started_at", "id"),
    Index(None, "state", "started_at", "id"),
    Index(None, "severity", "started_at", "id"),
    Index(None, "ended_at", "stream_id"),
)

# digest: of the body as it was handed in, so that handing it in again changes nothing.
transitions = Table(
    "transitions",
    metadata,
    Column("seq", Counting, primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("stream_id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("event_id", "revision"),
    UniqueConstraint("event_id", "digest"),
    Index(None, "created_at"),
    sqlite_autoincrement=True,
)

sinks = Table(
    "sinks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("params", JSON, nullable=False),
    Column("algorithms", JSON, nullable=False),
    Column("severities", JSON, nullable=False),
    Column("streams", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Counting, primary_key=True, autoincrement=True),
    Column("seq", BigInteger, nullable=False),
    Column("sink_id", Text, ForeignKey("sinks.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Double, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("lease_worker", Text),
    Column("last_error", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("delivered_at", Double),
    UniqueConstraint("sink_id", "event_id", "revision"),
    Index(None, "sink_id", "state", "seq"),
    Index(None, "state", "created_at"),
    sqlite_autoincrement=True,
)

processes = Table(
    "processes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("heartbeat_at", Double, nullable=False),
    Column("metrics", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Counting, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("tenant", Text, nullable=False, server_default=""),
    Column("key_id", Text, nullable=False, server_default=""),
    Column("address", Text, nullable=False, server_default=""),
    Column("outcome", Text, nullable=False, server_default="ok"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

# Empty but within the transaction that prunes the audit: the database lets go of rows from before `older_than` only.
audit_pruning = Table(
    "audit_pruning",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("older_than", Double, nullable=False),
)

# key_id: who said it; saying it again about the same event replaces the row, under a new id.
feedback = Table(
    "feedback",
    metadata,
    Column("id", Text, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("stream_id", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("algorithm_version", Integer, nullable=False),
    Column("label", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("boxes", JSON, nullable=False),
    Column("picture", Text, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("given_by", Text, nullable=False),
    Column("at", Double, nullable=False),
    UniqueConstraint("event_id", "key_id"),
    Index(None, "tenant", "id"),
    Index(None, "algorithm", "id"),
    Index(None, "at"),
)

own_cards = Table(
    "own_cards",
    metadata,
    Column("id", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("put_by", Text, nullable=False),
    Column("at", Double, nullable=False),
)
