"""Signatures of webhooks that were taken, and why a source is not refreshed by itself any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_signature",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index(
        op.f("ix_webhook_signature_expires_at"), "webhook_signature", ["expires_at"], unique=False
    )
    op.add_column("source", sa.Column("note", sa.String(), nullable=False, server_default=""))
