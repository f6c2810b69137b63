from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from storage import migrate
from storage.database import Database
from storage.errors import StorageError, StorageFull
from storage.knowledge import KnowledgeRepository
from storage.tables import KnowledgeBase


def test_the_migrated_schema_is_the_one_the_tables_declare(db: Database) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_head_names_the_newest_migration() -> None:
    files = Path(migrate.__file__).parent.joinpath("migrations", "versions").glob("v*.py")
    assert max(path.name for path in files).startswith(f"v{migrate.HEAD}_")


def test_an_up_to_date_database_is_opened_without_alembic(db: Database) -> None:
    code = (
        "import sys; from storage.database import Database; "
        f"Database({str(db.url)!r}).upgrade(); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_heavy_is_imported_until_it_is_used() -> None:
    code = (
        "import sys, storage.knowledge, storage.search, storage.projections, storage.jobs, "
        "storage.runs, storage.keys, storage.workflows, storage.folder; "
        "heavy = {'chromadb', 'tantivy', 'numpy', 'alembic', 'psycopg'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sqlite_runs_in_wal_mode_with_foreign_keys(db: Database) -> None:
    with db.read() as session:
        assert session.connection().exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert session.connection().exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_write_that_raises_leaves_nothing(db: Database) -> None:
    def write() -> None:
        with db.write() as session:
            session.add(_base("a"))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert KnowledgeRepository(db).list() == ([], 0)


def test_readers_are_not_held_up_by_a_writer(db: Database) -> None:
    with db.write() as session:
        session.add(_base("a"))
        session.flush()
        assert KnowledgeRepository(db).list() == ([], 0)


def test_writers_in_many_threads_wait_for_each_other(db: Database) -> None:
    knowledge = KnowledgeRepository(db)
    threads = [
        threading.Thread(target=lambda i=i: knowledge.create(f"kb {i}"))  # type: ignore[misc]
        for i in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert knowledge.list()[1] == 20


def test_a_full_disk_is_reported_and_changes_nothing(db: Database) -> None:
    knowledge = KnowledgeRepository(db)
    kept = knowledge.create("kept")
    with db.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    _limit_pages(db, pages)
    with pytest.raises(StorageFull) as full:
        knowledge.create("too much", description="x" * 1_000_000)
    assert full.value.code == "storage_full"
    assert full.value.fix
    _limit_pages(db, 1_000_000)
    assert [base.id for base in knowledge.list()[0]] == [kept.id]
    knowledge.create("fits again", description="x" * 1_000_000)


def test_any_number_of_ids_fits_a_query(db: Database) -> None:
    knowledge = KnowledgeRepository(db)
    assert knowledge.chunks_by_ids([f"{i:032x}" for i in range(50_000)]) == []


def test_a_missing_driver_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.database.find_spec", lambda _: None)
    with pytest.raises(StorageError) as refused:
        Database("postgresql+psycopg://localhost/x")
    assert "ragloom[postgres]" in refused.value.fix


def _limit_pages(db: Database, pages: int) -> None:
    """A full disk as SQLite meets it: no page more. The limit belongs to a connection."""
    db.close()
    from sqlalchemy import event

    def limit(connection: object, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]

    event.listen(db.engine, "connect", limit)


def _base(name: str) -> KnowledgeBase:
    return KnowledgeBase(id=name, name=name, created_at=0.0, updated_at=0.0)
