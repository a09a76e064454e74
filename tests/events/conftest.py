"""Fixtures of the events tests."""

from tests.storage.databases import (
    postgres_engine,
    postgres_schema,
    postgres_url,
    repository,
    sqlite_template,
    sqlite_url,
    url,
)

__all__ = [
    "postgres_engine",
    "postgres_schema",
    "postgres_url",
    "repository",
    "sqlite_template",
    "sqlite_url",
    "url",
]
