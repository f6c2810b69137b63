"""Jobs that pause, are tried again, and say why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("kind", sa.String(), nullable=False, server_default="upload"))
    op.add_column("job", sa.Column("paused_at", sa.Float(), nullable=True))
    op.add_column("job", sa.Column("reason", sa.JSON(), nullable=True))
    op.add_column("job", sa.Column("retry_at", sa.Float(), nullable=True))
    op.add_column("job", sa.Column("pauses", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(op.f("ix_job_status"), "job", ["status"], unique=False)
    op.add_column("task", sa.Column("deferred", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("task_by_job", "task", ["job_id", "status"], unique=False)
    op.drop_index(op.f("ix_task_job_id"), table_name="task")
