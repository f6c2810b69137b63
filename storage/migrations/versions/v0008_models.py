"""Embedding models of versions, one for each language, and of branches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("document_version", sa.Column("models", sa.JSON(), nullable=True))
    op.add_column("ref", sa.Column("models", sa.JSON(), nullable=True))
