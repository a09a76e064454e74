"""Face galleries."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "galleries",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("retention_days", sa.Double(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_galleries")),
    )
    op.create_table(
        "gallery_subjects",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("gallery", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("enrolled_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "gallery"],
            ["galleries.tenant", "galleries.name"],
            name=op.f("fk_gallery_subjects_tenant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gallery_subjects")),
    )
    op.create_index(
        op.f("ix_gallery_subjects_tenant_gallery_id"),
        "gallery_subjects",
        ["tenant", "gallery", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_gallery_subjects_expires_at"), "gallery_subjects", ["expires_at"], unique=False)
    op.create_table(
        "gallery_templates",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"],
            ["gallery_subjects.id"],
            name=op.f("fk_gallery_templates_subject_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gallery_templates")),
    )
    op.create_index(
        op.f("ix_gallery_templates_subject_id"), "gallery_templates", ["subject_id"], unique=False
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("gallery_templates")
    op.drop_table("gallery_subjects")
    op.drop_table("galleries")
