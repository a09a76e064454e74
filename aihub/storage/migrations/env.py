"""Run by Alembic: migrates the connection that `aihub.storage.upgrade` hands in, inside its transaction."""

from alembic import context

from aihub.storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # SQLite's DDL is transactional once the driver's own transaction handling is off, as ours is.
    transactional_ddl=True,
    # SQLite changes a column only by copying the table.
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
