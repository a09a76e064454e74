"""Tenants with grants and limits, their usage, a fuller audit, keys that are rotated, groups of streams.

Whoever was there before goes on as before: each tenant that keys, streams or sinks name is made with a grant for everything
and without limits, and `default` in any case, so that a new hub works at once.
"""

import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT_COLUMNS = (("tenant", ""), ("key_id", ""), ("address", ""), ("outcome", "ok"))


def upgrade() -> None:
    """Make the tables and columns."""
    _tables()
    op.add_column("api_keys", sa.Column("replaced_by", sa.Text(), nullable=True))
    op.add_column("streams", sa.Column("group", sa.Text(), nullable=False, server_default="default"))
    for name, default in TEXT_COLUMNS:
        op.add_column("audit", sa.Column(name, sa.Text(), nullable=False, server_default=default))
    _keep_the_audit()
    _first_tenants()


def downgrade() -> None:
    """Drop them."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_is_kept ON audit")
        op.execute("DROP FUNCTION audit_is_kept()")
    else:
        op.execute("DROP TRIGGER audit_keeps_rows")
        op.execute("DROP TRIGGER audit_keeps_words")
    for name, _ in TEXT_COLUMNS:
        op.drop_column("audit", name)
    op.drop_column("streams", "group")
    op.drop_column("api_keys", "replaced_by")
    op.drop_table("usage")
    op.drop_table("tenants")


def _tables() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("algorithms", sa.JSON(), nullable=False),
        sa.Column("stream_groups", sa.JSON(), nullable=False),
        sa.Column("calls_per_second", sa.Double(), nullable=True),
        sa.Column("burst", sa.Integer(), nullable=True),
        sa.Column("concurrency", sa.Integer(), nullable=True),
        sa.Column("calls_per_day", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )
    op.create_table(
        "usage",
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("compute_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("day", "tenant", "algorithm", name=op.f("pk_usage")),
    )
    op.create_index(op.f("ix_usage_tenant_day"), "usage", ["tenant", "day"], unique=False)


def _keep_the_audit() -> None:
    """Rows of the audit are added; the database itself refuses to change or remove them."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE ON audit "
            "FOR EACH ROW EXECUTE FUNCTION audit_is_kept()"
        )
        return
    for name, event in (("audit_keeps_rows", "DELETE"), ("audit_keeps_words", "UPDATE")):
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
        )


def _first_tenants() -> None:
    bind = op.get_bind()
    named = {"default"}
    for table in ("api_keys", "streams", "sinks"):
        column = sa.table(table, sa.column("tenant", sa.Text())).c.tenant
        named.update(bind.execute(sa.select(column).distinct()).scalars())
    named.discard("*")  # sinks for the events of all
    now = time.time()
    tenants = sa.table(
        "tenants",
        sa.column("id", sa.Text()),
        sa.column("title", sa.Text()),
        sa.column("algorithms", sa.JSON()),
        sa.column("stream_groups", sa.JSON()),
        sa.column("created_at", sa.Double()),
        sa.column("updated_at", sa.Double()),
    )
    rows = [
        {
            "id": name,
            "title": "",
            "algorithms": ["*"],
            "stream_groups": ["*"],
            "created_at": now,
            "updated_at": now,
        }
        for name in sorted(named)
    ]
    op.bulk_insert(tenants, rows)
