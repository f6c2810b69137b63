"""Alembic's entry point: runs inside the transaction of the connection it is handed."""

from alembic import context

from storage import automation_tables, chat_tables, tables  # noqa: F401  (fills the metadata)

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=False,
    render_as_batch=True,
)
context.run_migrations()
