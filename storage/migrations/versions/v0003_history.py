"""Names of revisions, where they came from, what each one changed; workflows that were deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "workflow_revision", sa.Column("name", sa.String(), nullable=False, server_default="")
    )
    op.add_column("workflow_revision", sa.Column("restored_from", sa.Integer(), nullable=True))
    op.add_column("workflow_revision", sa.Column("summary", sa.JSON(), nullable=True))
    op.add_column("workflow", sa.Column("deleted_at", sa.Float(), nullable=True))
    op.create_index(op.f("ix_workflow_deleted_at"), "workflow", ["deleted_at"], unique=False)
