"""Alembic's entry point: runs inside the transaction of the connection it is handed."""

from alembic import context

# Importing the tables fills the metadata.
from storage import automation_tables, chat_tables, source_tables, tables  # noqa: F401

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=False,
    render_as_batch=True,
)
context.run_migrations()
