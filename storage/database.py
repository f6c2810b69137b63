"""The SQL database: SQLite in WAL mode by default, PostgreSQL by URL."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Engine,
    String,
    any_,
    create_engine,
    event,
    func,
    inspect,
    literal,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, SQLModel

from storage.errors import StorageError, StorageFull, StorageReadOnly

_BUSY_TIMEOUT_MS = 30_000
#: SQLSTATE disk_full and insufficient_resources' neighbours that mean the same to a user.
_POSTGRES_FULL = {"53100"}
#: SQLSTATE read_only_sql_transaction.
_POSTGRES_READ_ONLY = "25006"


class Database:
    """Sessions over one database. Reads run side by side; on SQLite one writer at a time."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer = threading.Lock()
        #: By table: making them anew costs more than running them.
        self._inserts: dict[type[SQLModel], Any] = {}
        self._engine = self._create()
        self._write_engine = self._engine.execution_options(ragloom_write=True)

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine."""
        return self._engine

    def _create(self) -> Engine:
        if not self.is_sqlite:
            if self.url.drivername.endswith("+psycopg") and find_spec("psycopg") is None:
                raise StorageError(
                    "PostgreSQL needs a driver that is not installed.",
                    'Install it with pip install "ragloom[postgres]".',
                )
            return create_engine(self.url, pool_pre_ping=True, pool_size=8, max_overflow=24)
        engine = create_engine(
            self.url, pool_size=8, max_overflow=32, connect_args={"check_same_thread": False}
        )
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def upgrade(self) -> None:
        """Create the database, or bring an older one to the newest schema."""
        from storage.migrate import upgrade

        with self._writer, self._full_as_error():
            upgrade(self._write_engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one snapshot; what it returns stays usable afterwards."""
        with Session(self._engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: committed at the end of the block, rolled back when it raises.

        Raises StorageFull when the disk has no room. Not to be nested.
        """
        with (
            self._full_as_error(),
            self._writer if self.is_sqlite else _no_lock,
            Session(self._write_engine, expire_on_commit=False) as session,
        ):
            yield session
            session.commit()

    def close(self) -> None:
        """Close all connections; SQLite folds its write-ahead log into the file."""
        self._engine.dispose()

    def among(self, column: Any, ids: Collection[str]) -> ColumnElement[bool]:
        """`column IN ids` as one bound value, so that any number of ids fits a statement."""
        if self.is_sqlite:
            import json

            rows = func.json_each(json.dumps(list(ids))).table_valued("value")
            return column.in_(select(rows.c.value))  # type: ignore[no-any-return]
        return column == any_(literal(list(ids), ARRAY(String)))  # type: ignore[no-any-return]

    def hold(self, session: Session, key: int, *, alone: bool) -> None:
        """Lock what `key` stands for until the transaction ends, alone or beside others.

        On SQLite nothing is to be locked: a transaction that writes is alone anyway.
        """
        if not self.is_sqlite:
            lock = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
            session.connection().execute(select(lock(key)))

    def insert_missing(
        self, session: Session, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Insert rows, leaving those whose key is there already as they are."""
        if not rows:
            return
        statement = self._inserts.get(table)
        if statement is None:
            target = inspect(table).local_table
            dialect = sqlite if self.is_sqlite else postgresql
            statement = self._inserts[table] = dialect.insert(target).on_conflict_do_nothing()
        session.connection().execute(statement, list(rows))

    @contextmanager
    def _full_as_error(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if _is_full(error):
                raise StorageFull(self.url.database or "the database") from error
            if _is_read_only(error):
                raise StorageReadOnly(self.url.database or "the database") from error
            raise


class _NoLock:
    """PostgreSQL locks rows; processes need no lock of their own."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


_no_lock = _NoLock()


def _is_full(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) in _POSTGRES_FULL:
        return True
    return "database or disk is full" in str(error.orig)


def _is_read_only(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) == _POSTGRES_READ_ONLY:
        return True
    said = str(error.orig)
    return "readonly database" in said or "unable to open database file" in said


def _configure_sqlite(connection: Any, _record: object) -> None:
    # Transactions are opened by `_begin_sqlite`, not by the driver's guess.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {_BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        # In WAL mode NORMAL loses nothing when the process is killed.
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "cache_size = -16000",
        "journal_size_limit = 67108864",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A write takes its lock first: an upgrade from a read in mid-transaction could fail.
    write = connection.get_execution_options().get("ragloom_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
