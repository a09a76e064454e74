"""The tables of face galleries. What is about a person is sealed: without the key the rows tell when and how many, not who."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from aihub.storage.tables import metadata

# revision: grows with every change of who is enrolled, so that processes see that what they hold is old.
galleries = Table(
    "galleries",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("retention_days", Double, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
)

# sealed: name and reference of the consent, encrypted.
gallery_subjects = Table(
    "gallery_subjects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("gallery", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("enrolled_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    ForeignKeyConstraint(["tenant", "gallery"], ["galleries.tenant", "galleries.name"], ondelete="CASCADE"),
    Index(None, "tenant", "gallery", "id"),
    Index(None, "expires_at"),
)

# kind: of the network that made it; sealed: the template, encrypted.
gallery_templates = Table(
    "gallery_templates",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject_id", Text, ForeignKey("gallery_subjects.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index(None, "subject_id"),
)
