"""What a branch is being embedded anew by, so that another server can go on with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ref", sa.Column("reembedding", sa.JSON(), nullable=True))
