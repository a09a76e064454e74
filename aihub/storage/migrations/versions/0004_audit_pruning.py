"""Old rows of the audit may go: only those before a time that the pruning transaction itself says, and only while it runs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table that holds that time, and let the triggers look into it."""
    op.create_table(
        "audit_pruning",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("older_than", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_pruning")),
    )
    _refuse_to_remove(unless="EXISTS (SELECT 1 FROM audit_pruning WHERE older_than > OLD.at)")


def downgrade() -> None:
    """Rows never go again."""
    _refuse_to_remove(unless="1 = 0")
    op.drop_table("audit_pruning")


def _refuse_to_remove(*, unless: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF TG_OP = 'DELETE' AND {unless} THEN RETURN OLD; END IF; "
            "RAISE EXCEPTION 'the audit is append-only'; END $$"
        )
        return
    op.execute("DROP TRIGGER audit_keeps_rows")
    op.execute(
        f"CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit WHEN NOT ({unless}) "
        "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
    )
