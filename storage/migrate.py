"""Bring a database to the newest schema with Alembic, from wherever the package is installed."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect, text
from sqlalchemy.engine import Connection

#: Revision of the newest file in migrations/versions; compared before Alembic is imported.
HEAD = "0010"

#: Key of the advisory lock that keeps two servers on one PostgreSQL from migrating at once.
_ADVISORY_LOCK = 0x7261_676C


def upgrade(engine: Engine) -> None:
    """Run the migrations that the database has not seen."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        if _revision(connection) == HEAD:
            return
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])
