"""Names of revisions, where they came from, and what each one changed."""

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
